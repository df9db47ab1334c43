//! Tags in code, tests and documentation.

use super::{Kind, ids, scan};

fn kinds(text: &str, test: bool) -> Vec<(String, usize, Kind)> {
    scan(text, |_| test).into_iter().map(|tag| (tag.id, tag.line, tag.kind)).collect()
}

#[test]
fn ids_stand_in_brackets() {
    assert_eq!(
        ids("// [FRM-012][CLS-001] and [HEL-003], see [x]."),
        ["FRM-012", "CLS-001", "HEL-003"]
    );
    assert_eq!(ids("FRM-012 [frm-012] [FRM-12] [FRM-0123] [F-012] [FRM012] [FRM-012"), [""; 0]);
}

#[test]
fn comments_in_code_implement_and_documentation_mentions() {
    let text =
        "//! [AB-001]\n/// [AB-002]\nfn f() { // [AB-003]\n    // Why, [AB-004].\n    g()\n}\n";
    let expected = [
        ("AB-001".to_owned(), 1, Kind::Mention),
        ("AB-002".to_owned(), 2, Kind::Mention),
        ("AB-003".to_owned(), 3, Kind::Code),
        ("AB-004".to_owned(), 4, Kind::Code),
    ];
    assert_eq!(kinds(text, false), expected);
    assert_eq!(kinds("let x = \"[AB-001]\";\n", false), []);
}

#[test]
fn tests_are_tagged_on_or_above_their_attribute() {
    for text in [
        "#[test] // [AB-001]\nfn f() {}\n",
        "// [AB-001]\n#[test]\nfn f() {}\n",
        "    #[tokio::test] // [AB-001]\n    #[ignore = \"slow\"]\n    async fn f() {}\n",
        "#[test]\n// Why: [AB-001]\n// goes on.\npub(crate) fn f() {}\n",
        "#[test]\nfn f() { // [AB-001]\n}\n",
        "proptest! {\n    #[test] // [AB-001]\n    fn f(x in 0..3) {}\n}\n",
        "// [AB-001]\npub async fn suite_case(transport: &T) {}\n",
    ] {
        let found = kinds(text, true);
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!((found[0].0.as_str(), found[0].2), ("AB-001", Kind::Test), "{text}");
    }
}

#[test]
fn tags_inside_a_test_are_astray() {
    for text in [
        "#[test]\nfn f() {\n    // [AB-001]\n    g();\n}\n",
        "const A: u8 = 1; // [AB-001]\n",
        "// [AB-001]\n\n#[test]\nfn f() {}\n",
    ] {
        assert_eq!(kinds(text, true)[0].2, Kind::Astray, "{text}");
    }
}
