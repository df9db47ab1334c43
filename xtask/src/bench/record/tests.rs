//! What counts as a difference.

use super::Record;

fn record(counts: &[(&str, u64)]) -> Record {
    let instructions = counts.iter().map(|(path, count)| ((*path).to_owned(), *count)).collect();
    Record { toolchain: [("rustc".to_owned(), "rustc 1".to_owned())].into(), instructions }
}

/// The problem of the only path.
fn problem(recorded: u64, now: u64) -> Option<&'static str> {
    let rows = record(&[("core/unary", recorded)]).compare(&record(&[("core/unary", now)]));
    assert_eq!(rows.len(), 1);
    rows[0].problem()
}

#[test]
fn two_percent_either_way_are_the_same() {
    assert_eq!(problem(1_000, 1_000), None);
    assert_eq!(problem(1_000, 1_020), None);
    assert_eq!(problem(1_000, 980), None);
    assert_eq!(problem(1_000, 1_021), Some("MORE than recorded"));
    assert_eq!(problem(1_000, 979), Some("LESS than recorded"));
}

#[test]
fn changes_are_relative_to_the_record() {
    let rows = record(&[("a", 200), ("b", 50)]).compare(&record(&[("a", 100), ("b", 100)]));
    let changes: Vec<_> = rows.iter().map(|row| row.change()).collect();
    assert_eq!(changes, [Some(-50.0), Some(100.0)]);
}

#[test]
fn a_path_on_one_side_alone_is_a_difference() {
    let rows = record(&[("kept", 1), ("old", 2)]).compare(&record(&[("kept", 1), ("new", 3)]));
    let problems: Vec<_> =
        rows.iter().filter_map(|row| Some((row.path.as_str(), row.problem()?))).collect();
    assert_eq!(problems, [("new", "NEW"), ("old", "GONE")]);
}

#[test]
fn the_nearer_of_two_runs_counts() {
    let recorded = record(&[("noisy", 1_000), ("slower", 1_000), ("steady", 1_000)]);
    let mut now = record(&[("noisy", 1_100), ("slower", 1_100), ("steady", 999)]);
    assert!(!recorded.agrees(&now));
    let again = record(&[("noisy", 995), ("slower", 1_101), ("steady", 900)]).instructions;
    now.take_nearer(&recorded, &again);
    assert_eq!(now, record(&[("noisy", 995), ("slower", 1_100), ("steady", 999)]));
    assert!(!recorded.agrees(&now));
    assert!(recorded.agrees(&recorded));
}

#[test]
fn another_toolchain_is_told_with_both_versions() {
    let recorded = record(&[]);
    assert!(recorded.other_toolchain(&record(&[])).is_empty());
    let mut now = record(&[]);
    now.toolchain.insert("rustc".into(), "rustc 2".into());
    now.toolchain.insert("libc".into(), "glibc 3".into());
    assert_eq!(
        recorded.other_toolchain(&now),
        ["libc: recorded none, here glibc 3", "rustc: recorded rustc 1, here rustc 2"]
    );
}
