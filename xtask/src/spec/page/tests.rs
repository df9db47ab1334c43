//! Small pages, right and wrong.

use super::Page;

#[test]
fn bullets_and_paragraphs_define() {
    let page = Page::parse(
        "# Page\n\n- **[PRE-001]** One side MUST speak.\n  It goes on ([FRM-002]).\n\n\
         **[FRM-002]** A frame has a header.\n1. text **[FRM-002]** refers\n",
    );
    assert_eq!(page.problems, [""; 0]);
    let clauses: Vec<_> =
        page.clauses.iter().map(|c| (c.id.as_str(), c.line, c.summary())).collect();
    assert_eq!(
        clauses,
        [
            ("PRE-001", 3, "One side MUST speak. It goes on ([FRM-002]).".to_owned()),
            ("FRM-002", 6, "A frame has a header. 1. text **[FRM-002]** refers".to_owned()),
        ]
    );
}

#[test]
fn code_neither_defines_nor_refers() {
    let page = Page::parse("**[A-001]** x\n**[AB-001]** y `[ZZZ-001]`\n```\n**[AB-002]** z\n```\n");
    let ids: Vec<_> = page.clauses.iter().map(|clause| clause.id.as_str()).collect();
    assert_eq!(ids, ["AB-001"]);
    assert_eq!(page.problems, [""; 0]);
}

#[test]
fn ids_are_defined_once_and_exist() {
    let page = Page::parse("- **[FRM-001]** a\n- **[FRM-001]** b, see [FRM-003]\n");
    assert_eq!(page.clauses.len(), 1);
    assert_eq!(page.problems.len(), 2);
    assert_eq!(page.problems[0], "2: [FRM-001] is defined before, in line 1");
    assert!(page.problems[1].starts_with("2: [FRM-003] is not defined"));
}

#[test]
fn what_does_not_apply_has_a_reason() {
    let page = Page::parse(
        "- **[FRM-001]** a\n  *(not applicable: has no threads)*\n- **[FRM-002]** b\n\n\
         *(not applicable: stands outside)*\n\n- **[FRM-003]** c *(not applicable: )*\n",
    );
    let not_applicable: Vec<_> = page.clauses.iter().map(|c| c.not_applicable).collect();
    assert_eq!(not_applicable, [true, false, true]);
    assert_eq!(page.problems.len(), 1);
    assert!(page.problems[0].starts_with("7: [FRM-003] gives no reason"));
}

#[test]
fn an_empty_page_is_not_a_good_one() {
    assert_eq!(Page::parse("# Page\n").problems, ["1: defines no requirement"]);
}

#[test]
fn long_clauses_are_cut_between_words() {
    let page = Page::parse(&format!("**[FRM-001]** {}\n", "words ".repeat(20)));
    assert_eq!(page.clauses[0].summary(), format!("{} …", ["words"; 12].join(" ")));
}
