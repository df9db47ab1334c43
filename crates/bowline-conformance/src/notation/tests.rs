//! Words, numbers and bytes of scripts.

use super::{Names, words};

#[test]
fn words_keep_together_what_quotes_and_brackets_hold() {
    assert_eq!(words("> DATA 1  END"), [">", "DATA", "1", "END"]);
    assert_eq!(words(r#"a "b  (c" d(1, 2) e"#), ["a", r#""b  (c""#, "d(1, 2)", "e"]);
    assert_eq!(words(""), [""; 0]);
}

#[test]
fn numbers_are_sums_of_products() {
    let names = Names { round: 3, ..Names::default() };
    for (text, number) in [
        ("5", 5),
        ("0x10", 16),
        ("65_536", 65_536),
        ("2*i+1", 7),
        ("window-16", 65_520),
        ("2^53-1", (1 << 53) - 1),
        ("2^63*2-1", u64::MAX),
        ("i-3", 0),
        ("2*window/100+1", 1_311),
    ] {
        assert_eq!(names.number(text), Ok(number), "{text}");
    }
    for text in ["", "x", "1+", "i-4", "1.5", "2^64"] {
        assert!(names.number(text).is_err(), "{text}");
    }
}

#[test]
fn bytes_are_texts_hexadecimal_or_messages() {
    let names = Names::default();
    let bytes = |word: &str| names.bytes(word).unwrap().map(|bytes| bytes.to_vec());
    assert_eq!(bytes(r#""ab c""#), Some(b"ab c".to_vec()));
    assert_eq!(bytes("0x00ff"), Some(vec![0, 255]));
    assert_eq!(bytes("0x"), Some(vec![]));
    assert_eq!(bytes("bytes(3)"), Some(vec![0, 1, 2]));
    assert_eq!(bytes("repeat(0xab,2)"), Some(vec![0xab, 0xab]));
    assert_eq!(bytes("echo(2)"), Some(vec![0x0a, 2, 0, 1]));
    assert_eq!(bytes("echo(0,5)"), Some(vec![0x18, 5]));
    assert_eq!(bytes("counted(1,2)"), Some(vec![0x08, 1, 0x12, 2, 1, 2]));
    assert_eq!(bytes("END"), None);
    assert!(names.bytes("nothing(1)").is_err());
    assert!(names.bytes("0xabc").is_err());
    assert!(names.bytes("bytes(2^40)").is_err(), "more than fits into memory");
}
