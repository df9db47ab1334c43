//! Which feature sets are built.

use super::feature_sets;

#[test]
fn each_feature_alone_none_default_and_all() {
    let sets: Vec<_> = feature_sets(["unix", "default", "tcp"].into_iter())
        .iter()
        .map(|set| set.join(" "))
        .collect();
    assert_eq!(
        sets,
        [
            "--no-default-features",
            "",
            "--all-features",
            "--no-default-features --features tcp",
            "--no-default-features --features unix",
        ]
    );
}
