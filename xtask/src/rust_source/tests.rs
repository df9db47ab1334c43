//! Functions, words and test lines of a small file.

use super::Source;

const FILE: &str = r#"//! Opens.
#![forbid(unsafe_code, unused_must_use)]

/// Documented.
#[inline]
pub fn one(
    x: u32,
) -> u32 {
    fn inner() {}
    x
}

impl<'a> Frame<'a> {
    fn two(&self) { dbg!(self) }
    #[cfg(test)]
    fn only_for_tests() {}
}

impl std::fmt::Display for Frame<'_> {
    fn fmt(&self) {}
}

trait Three {
    fn declared();
    fn default() {}
}

#[cfg(not(test))]
fn four() {}

#[cfg(test)]
mod tests {
    fn not_measured() { todo!() }
}
"#;

#[test]
fn functions_have_names_and_sizes() {
    let source = Source::parse(FILE).unwrap();
    let functions: Vec<_> = source
        .functions()
        .iter()
        .map(|function| (function.name.as_str(), function.first_line, function.lines))
        .collect();
    let expected = [
        ("one", 6, 6),
        ("inner", 9, 1),
        ("Frame::two", 14, 1),
        ("Display for Frame::fmt", 20, 1),
        ("Three::default", 25, 1),
        ("four", 29, 1),
    ];
    assert_eq!(functions, expected);
}

#[test]
fn tests_are_known_by_line() {
    let source = Source::parse(FILE).unwrap();
    assert!(source.is_test_line(16) && source.is_test_line(33));
    assert!(!source.is_test_line(14) && !source.is_test_line(29));
    assert_eq!(source.shipped_lines(), FILE.lines().count() - 2 - 4);
    let whole = Source::parse("#![cfg(test)]\nfn f() {}\n").unwrap();
    assert_eq!((whole.shipped_lines(), whole.functions().len()), (0, 0));
}

#[test]
fn words_leave_out_tests_and_know_macro_calls() {
    let words = Source::parse(FILE).unwrap().words();
    let dbg = words.iter().find(|word| word.text == "dbg").unwrap();
    assert!(dbg.bang && dbg.line == 14);
    assert!(!words.iter().any(|word| word.text == "todo"));
}

#[test]
fn forbidden_lints_are_seen() {
    let source = Source::parse(FILE).unwrap();
    assert!(source.forbids("unsafe_code"));
    assert!(!source.forbids("missing_docs"));
}

#[test]
fn errors_name_the_line() {
    let error = Source::parse("fn a() {}\nfn b( {}\n").err().unwrap();
    assert!(error.to_string().starts_with("line 2: "), "{error}");
}
