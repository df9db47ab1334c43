//! Metadata that a side makes itself. What a peer sends is in the tests of the connection.

use super::{KEY_MAX, Metadata};
use crate::MetadataError;

#[test] // [MET-001]
fn keys_have_1_to_256_of_few_characters() {
    let mut metadata = Metadata::new();
    let longest = "k".repeat(KEY_MAX);
    for key in ["a", "0", "a.b-c_d", &longest] {
        assert_eq!(metadata.insert(key, ""), Ok(()));
    }
    let too_long = "k".repeat(KEY_MAX + 1);
    for key in ["", "A", "a b", "ä", "a:", "a/b", &too_long] {
        let refused = Err(MetadataError::Key { key: key.to_owned() });
        assert_eq!(metadata.insert(key, ""), refused);
        if !key.is_empty() {
            assert!(metadata.insert_bin(&format!("{key}-bin"), "").is_err());
        }
    }
    assert_eq!(metadata.len(), 4);
}

#[test] // [MET-002]
fn bytes_go_under_keys_that_end_in_bin_and_text_under_the_others() {
    let mut metadata = Metadata::new();
    assert!(metadata.insert("k-bin", "text").is_err());
    assert!(metadata.insert_bin("k", "bytes").is_err());
    for value in ["tab\t", "ü", "\u{7f}", "\n"] {
        assert_eq!(metadata.insert("k", value), Err(MetadataError::Value { key: "k".into() }));
    }
    assert!(metadata.is_empty());
    metadata.insert("k", " ~").unwrap();
    metadata.insert("k", "second").unwrap();
    metadata.insert_bin("k-bin", vec![0, 255]).unwrap();
    assert_eq!((metadata.text("k"), metadata.text("k-bin")), (Some(" ~"), None));
    assert_eq!(metadata.bytes("k-bin"), Some(&[0, 255][..]));
    let keys: Vec<&str> = metadata.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["k", "k", "k-bin"]);
}

#[test] // [MET-003]
fn an_entry_counts_32_beside_its_bytes() {
    let mut metadata = Metadata::new();
    assert_eq!(metadata.size(), 0);
    metadata.insert("key", "value").unwrap();
    metadata.insert("k", "").unwrap();
    assert_eq!(metadata.size(), 40 + 33);
    // What passes fits in a frame of that length, beside a method's name of that length.
    assert_eq!(metadata.check_size(73 + 32 + 10, 10), Ok(()));
    assert!(metadata.check_size(73 + 32 + 9, 10).is_err());
    assert_eq!(Metadata::new().check_size(0, 1_000), Ok(()), "without any there is nothing to cut");
}
