//! Snapshots in use and left over.

use std::collections::BTreeMap;

use super::verdict;

const SNAP: &str = "---\nsource: crates/a/src/call/tests.rs\nexpression: x\n---\nx\n";

fn left_over(path: &str, code: &str) -> Option<String> {
    let texts = BTreeMap::from([("crates/a/src/call/tests.rs".to_owned(), code.to_owned())]);
    verdict(path, SNAP, &texts)
}

#[test]
fn tests_keep_their_snapshots() {
    let dir = "crates/a/src/call/snapshots";
    for (name, code) in [
        ("a__call__tests__matrix.snap", "fn matrix() {}"),
        ("a__call__tests__matrix-2.snap", "fn matrix() {}"),
        ("a__call__tests__matrix@linux.snap", "fn test_matrix() {}"),
        ("a__call__tests__graph.snap", "assert_snapshot!(\"graph\", x)"),
        ("a__call__tests__two__words.snap", "fn two__words() {}"),
        ("a__call__tests__inner__matrix.snap", "mod inner { fn matrix() {} }"),
        ("graph.snap", "assert_snapshot!(\"graph\", x)"),
    ] {
        assert_eq!(left_over(&format!("{dir}/{name}"), code), None, "{name}");
    }
}

#[test]
fn leftovers_are_named() {
    let dir = "crates/a/src/call/snapshots";
    let gone = left_over(&format!("{dir}/a__call__tests__matrix.snap"), "fn other() {}").unwrap();
    assert_eq!(gone, "no test in crates/a/src/call/tests.rs has this name");
    let module = left_over(&format!("{dir}/a__call__old__matrix.snap"), "fn matrix() {}");
    assert!(module.is_some());
    let moved = left_over("crates/a/src/snapshots/a__call__tests__matrix.snap", "fn matrix() {}");
    assert!(moved.unwrap().contains("beside"));
    let source = verdict("a.snap", SNAP, &BTreeMap::new()).unwrap();
    assert_eq!(source, "its source crates/a/src/call/tests.rs is gone");
    assert!(verdict("a.snap", "no header", &BTreeMap::new()).is_some());
}
