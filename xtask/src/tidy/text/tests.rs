//! Lines that are clean and lines that are not.

use super::{Report, check_file};
use crate::project::GENERATED;

fn problems(path: &str, text: &str) -> Vec<String> {
    let mut report = Report::default();
    check_file(path, text, &mut report);
    report.problems
}

#[test]
fn modules_open_with_what_they_own() {
    assert_eq!(problems("crates/a/src/lib.rs", "//! Owns a.\n"), [""; 0]);
    assert_eq!(problems("crates/a/src/lib.rs", "fn f() {}\n").len(), 1);
    assert_eq!(problems("crates/a/src/tests.rs", "use super::f;\n").len(), 1);
    assert_eq!(problems("crates/a/src/generated/a.rs", &format!("{GENERATED}\n")), [""; 0]);
}

#[test]
fn lines_are_clean() {
    assert_eq!(problems("a.md", "one \n"), ["a.md:1: white space at the end of the line"]);
    assert_eq!(problems("a.toml", "a\r\n").len(), 1);
    assert_eq!(problems("a.proto", "one"), ["a.proto: the last line has no newline"]);
    assert_eq!(problems("a.proto", "a\tb\n").len(), 1);
    assert_eq!(problems("a.toml", "a\tb\n"), [""; 0]);
    assert_eq!(problems("a.snap", "one \n\ttwo"), [""; 0]);
    assert_eq!(problems("a.md", ""), [""; 0]);
}

#[test]
fn nothing_unfinished_is_shipped() {
    let text = concat!("//! A.\n// TO", "DO: b\n// MASTO", "DON\n");
    assert_eq!(problems("crates/a/src/a.rs", text).len(), 1);
    assert_eq!(problems("crates/a/src/tests.rs", text), [""; 0]);
}

#[test]
fn paths_of_one_machine_are_found() {
    for line in
        [concat!("see /hom", "e/x\n"), concat!("\"unix:/wor", "k/x\"\n"), concat!("/roo", "t/\n")]
    {
        assert_eq!(problems("a.md", line).len(), 1, "{line}");
    }
    for line in
        [concat!("net", "wor", "k/x\n"), concat!("a/wor", "k/x\n"), concat!("~/wor", "k/\n")]
    {
        assert_eq!(problems("a.md", line), [""; 0], "{line}");
    }
}

#[test]
fn registries_are_named_in_the_lock_file_alone() {
    let line = concat!("https://static.crates", ".io/x\n");
    assert_eq!(problems("a.md", line).len(), 1);
    assert_eq!(problems("tests/fixtures/consumer/Cargo.lock", line), [""; 0]);
    assert_eq!(problems("a.md", concat!("mycrates", ".io\n")), [""; 0]);
}
