//! The page against what names its requirements.

use super::page::Page;
use super::tags::{Kind, Tag};
use super::{Named, count, problems};

fn named(tags: &[(&str, Kind)]) -> Named {
    let mut named = Named::default();
    for (id, kind) in tags {
        named.add("a.rs", vec![Tag { id: (*id).to_owned(), line: 7, kind: *kind }]);
    }
    named
}

#[test]
fn implemented_and_tested_is_all_that_is_asked() {
    let page = Page::parse("- **[AB-001]** a\n- **[AB-002]** b *(not applicable: no threads)*\n");
    let named = named(&[("AB-001", Kind::Code), ("AB-001", Kind::Test), ("AB-001", Kind::Code)]);
    assert_eq!(problems(&page, &named), [""; 0]);
    assert_eq!((count(&page, &named.code), count(&page, &named.tests)), (1, 1));
}

#[test]
fn what_is_missing_is_said() {
    let page = Page::parse("- **[AB-001]** a\n- **[AB-002]** b\n");
    let named = named(&[("AB-001", Kind::Test), ("AB-002", Kind::Code), ("AB-001", Kind::Mention)]);
    assert_eq!(
        problems(&page, &named),
        [
            "docs/protocol.md:1: [AB-001] is named by no code (in documentation only: a.rs:7)",
            "docs/protocol.md:2: [AB-002] is named by no test",
        ]
    );
}

#[test]
fn what_is_not_defined_or_astray_is_said() {
    let page = Page::parse("- **[AB-001]** a *(not applicable: b)*\n");
    let named = named(&[("AB-003", Kind::Code), ("AB-001", Kind::Astray)]);
    let problems = problems(&page, &named);
    assert_eq!(problems.len(), 2);
    assert!(problems[0].starts_with("a.rs:7: [AB-001] stands at no test"));
    assert_eq!(problems[1], "a.rs:7: [AB-003] is not defined in docs/protocol.md");
}
