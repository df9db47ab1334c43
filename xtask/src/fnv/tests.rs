//! Known answers.

use super::Fnv;

#[test]
fn known_answers() {
    let hash = |text: &str| {
        let mut fnv = Fnv::new();
        fnv.add(text.as_bytes());
        fnv.hex()
    };
    assert_eq!(hash(""), "cbf29ce484222325");
    assert_eq!(hash("a"), "af63dc4c8601ec8c");
    assert_eq!(hash("foobar"), "85944171f73967e8");
}
