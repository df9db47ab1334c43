//! Which files count as shipped and which as tests.

use super::{is_shipped, is_test};

#[test]
fn places_decide_what_is_shipped() {
    assert!(is_shipped("crates/bowline/src/lib.rs"));
    assert!(is_shipped("crates/bowline/src/call/state.rs"));
    assert!(is_shipped("xtask/src/main.rs"));
    assert!(!is_shipped("crates/bowline/src/call/tests.rs"));
    assert!(!is_shipped("crates/bowline/src/call/tests/close.rs"));
    assert!(!is_shipped("crates/bowline/examples/hello.rs"));
    assert!(!is_shipped("crates/bowline/benches/src/lib.rs"));
    assert!(!is_shipped("tests/src/lib.rs"));
}

#[test]
fn places_decide_what_is_a_test() {
    assert!(is_test("tests/src/lib.rs"));
    assert!(is_test("crates/bowline/tests/api.rs"));
    assert!(is_test("crates/bowline/src/call/tests.rs"));
    assert!(is_test("crates/bowline/src/call/tests/close.rs"));
    assert!(!is_test("crates/bowline/src/call.rs"));
    assert!(!is_test("tests/README.md"));
}
