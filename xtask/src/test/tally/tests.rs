//! Lines as the test harness prints them.

use super::{Skipped, Tally};

fn tally(lines: &[&str]) -> Tally {
    let mut tally = Tally::default();
    for line in lines {
        tally.read(line);
    }
    tally
}

#[test]
fn results_add_up() {
    let tally = tally(&[
        "running 3 tests",
        "test a ... ok",
        "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 9 filtered out; finished in 0.00s",
        "",
        "test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
    ]);
    assert_eq!((tally.passed, tally.failed, tally.ignored), (13, 2, 1));
}

#[test]
fn colours_do_not_hide_a_result() {
    let line = "test result: \u{1b}[31mFAILED\u{1b}(B\u{1b}[m. 1 passed; 2 failed; 0 ignored";
    let tally = tally(&[line]);
    assert_eq!((tally.passed, tally.failed), (1, 2));
}

#[test]
fn other_lines_do_not_count() {
    let tally = tally(&["5 passed; 5 failed", "the test result: ok. 5 passed; 5 failed"]);
    assert_eq!((tally.passed, tally.failed), (0, 0));
}

#[test]
fn skipped_suites_are_kept_once_each() {
    let tally = tally(&[
        "SKIPPED python_peer: no python3 in PATH",
        "test go::peer ... SKIPPED go_peer: no go: none at all",
        "SKIPPED python_peer: no python3 in PATH",
        "NOTSKIPPED a: b",
        "all was SKIPPED today",
    ]);
    let skip = |name: &str, reason: &str| Skipped { name: name.into(), reason: reason.into() };
    let expected =
        [skip("go_peer", "no go: none at all"), skip("python_peer", "no python3 in PATH")];
    assert_eq!(tally.skipped(), expected);
}
