//! What changes the hash and what does not.

use std::collections::BTreeMap;

use super::{hash, recorded};

fn of(path: &str, text: &str) -> String {
    hash(&BTreeMap::from([(path.to_owned(), text.to_owned())]))
}

#[test]
fn only_what_the_definition_says_counts() {
    let base = of("proto/bowline/v1/wire.proto", "message A {}\n");
    assert_eq!(base, of("proto/bowline/v1/wire.proto", "\nmessage A {}  \r\n\n"));
    assert_ne!(base, of("proto/bowline/v1/wire.proto", "message B {}\n"));
    assert_ne!(base, of("proto/bowline/v1/wire.proto", "// Why.\nmessage A {}\n"));
    assert_ne!(base, of("proto/bowline/v1/other.proto", "message A {}\n"));
    assert_eq!(of("proto/test/a.proto", "a"), of("proto/test/a.proto", "b"));
}

#[test]
fn the_record_is_a_comment_on_the_page() {
    assert_eq!(recorded("# Page\n\n<!-- proto-hash: 12ab -->\n"), Some("12ab"));
    assert_eq!(recorded("# Page\n"), None);
}
