//! Unsafe code and unfinished code, where they may stand and where not.

use super::check_file;
use crate::rust_source::Source;
use crate::tidy::Report;

fn problems(path: &str, text: &str) -> Vec<String> {
    let mut report = Report::default();
    check_file(path, &Source::parse(text).unwrap(), &mut report);
    report.problems
}

#[test]
fn unsafe_lives_in_one_crate() {
    let text = "fn f() {\n    unsafe { g() }\n}\n";
    assert_eq!(problems("crates/bowline-unix/src/lib.rs", text), [""; 0]);
    let found = problems("crates/bowline/src/a.rs", text);
    assert_eq!(found, ["crates/bowline/src/a.rs:2: `unsafe` lives in crates/bowline-unix/ alone"]);
    assert_eq!(problems("crates/bowline/src/a.rs", "inside_a_macro![unsafe { g() }];").len(), 1);
}

#[test]
fn crates_forbid_it() {
    assert_eq!(problems("crates/bowline/src/lib.rs", "#![forbid(unsafe_code)]\n"), [""; 0]);
    assert_eq!(problems("crates/bowline/src/lib.rs", "#![deny(unsafe_code)]\n").len(), 1);
    assert_eq!(problems("crates/bowline-cli/src/main.rs", "fn main() {}\n").len(), 1);
    assert_eq!(problems("crates/bowline/src/a.rs", "fn a() {}\n"), [""; 0]);
}

#[test]
fn unfinished_code_is_found_outside_tests() {
    let text = "fn f() { todo!() }\nfn dbg() {}\n#[cfg(test)]\nmod t { fn g() { todo!() } }\n";
    assert_eq!(
        problems("crates/a/src/a.rs", text),
        ["crates/a/src/a.rs:1: `todo!` in shipped code"]
    );
}
