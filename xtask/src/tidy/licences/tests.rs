//! SPDX expressions as they occur in the registry.

use super::is_accepted;

#[test]
fn one_way_to_comply_is_enough() {
    for expression in [
        "MIT",
        "MIT OR Apache-2.0",
        "MIT/Apache-2.0",
        "MIT or Apache-2.0",
        "GPL-3.0 OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        "MIT OR Apache-2.0 OR LGPL-2.1-or-later",
    ] {
        assert_eq!(is_accepted(expression), Some(true), "{expression}");
    }
}

#[test]
fn what_all_must_hold_must_be_accepted() {
    for expression in [
        "MPL-2.0",
        "MIT AND GPL-3.0",
        "MIT and GPL-3.0",
        "MIT AND (GPL-3.0 OR MPL-2.0)",
        "GPL-3.0 OR MIT AND MPL-2.0",
    ] {
        assert_eq!(is_accepted(expression), Some(false), "{expression}");
    }
}

#[test]
fn nonsense_is_not_an_answer() {
    for expression in ["", "MIT OR", "(MIT", "MIT)", "MIT Apache-2.0", "OR", "MIT WITH"] {
        assert_eq!(is_accepted(expression), None, "{expression}");
    }
}
