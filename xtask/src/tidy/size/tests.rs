//! The ratchet turns one way.

use super::{Entry, compare, format, parse};

fn entry(name: &str, lines: usize) -> Entry {
    Entry { path: "crates/a/src/a.rs".to_owned(), name: name.to_owned(), lines }
}

#[test]
fn what_is_long_and_not_listed_is_a_problem() {
    let (lowered, problems) = compare(&[], &[entry("f", 71), entry("(file)", 801)], true);
    assert_eq!(lowered, []);
    assert_eq!(
        problems,
        [
            "crates/a/src/a.rs: f has 71 lines, allowed are 70: split it",
            "crates/a/src/a.rs: the file has 801 lines, allowed are 800: split it",
        ]
    );
}

#[test]
fn what_is_listed_may_stay_but_not_grow() {
    let listed = [entry("A::f", 90)];
    assert_eq!(compare(&listed, &[entry("A::f", 90)], false), (listed.to_vec(), Vec::new()));
    let (lowered, problems) = compare(&listed, &[entry("A::f", 91)], true);
    assert_eq!(lowered, listed);
    assert_eq!(problems, ["crates/a/src/a.rs: A::f has 91 lines, allowed are 90: split it"]);
}

#[test]
fn numbers_fall_when_told_to() {
    let listed = [entry("f", 90), entry("g", 80)];
    let now = [entry("f", 75)];
    let (_, problems) = compare(&listed, &now, false);
    assert_eq!(problems.len(), 2);
    assert!(problems.iter().all(|problem| problem.ends_with("run `cargo xtask tidy --fix`")));
    assert_eq!(compare(&listed, &now, true), (vec![entry("f", 75)], Vec::new()));
}

#[test]
fn the_file_reads_back() {
    let entries = [entry("Display for Frame::fmt", 90), entry("(file)", 900)];
    assert_eq!(parse(&format(&entries)).unwrap(), entries);
    assert!(parse("crates/a/src/a.rs f\n").is_err());
}
