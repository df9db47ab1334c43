//! Which files count as stale.

use super::{Files, stale};
use crate::project::GENERATED;

fn files(files: &[(&str, &str)]) -> Files {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn changed_missing_and_left_over_files_are_stale() {
    let old = format!("{GENERATED}\nold");
    let fresh = files(&[("a.rs", "a"), ("b.rs", "b"), ("c.rs", "c")]);
    let present =
        files(&[("a.rs", "a"), ("b.rs", "other"), ("old.rs", &old), ("mod.rs", "by hand")]);
    assert_eq!(stale(&fresh, &present), ["b.rs", "c.rs", "old.rs"]);
    assert_eq!(stale(&fresh, &fresh), [""; 0]);
}
