//! Reports as gungraun writes them, cut to what is read.

use std::fs;

use super::{Counts, FILE, Record, medians, parse};
use crate::project;

const PROFILES: &str = r#""profiles":[{"data":{"parts":[],"total":{"metrics":{"Ir":{"values":{"new":1046,"old":1050}}}}},"tool":"Callgrind"}]"#;

#[test]
fn a_case_has_its_function_and_group_before_it() {
    let case = format!(r#"{{"group":"core","function_name":"unary","id":"kib_64",{PROFILES}}}"#);
    assert_eq!(parse(&case).unwrap(), ("core/unary/kib_64".to_owned(), 1046));
    let alone = format!(r#"{{"group":"core","function_name":"encode_frames",{PROFILES}}}"#);
    assert_eq!(parse(&alone).unwrap(), ("core/encode_frames".to_owned(), 1046));
}

#[test]
fn a_report_without_a_count_is_an_error() {
    let text = parse(r#"{"group":"core","function_name":"unary","profiles":[]}"#);
    assert_eq!(text.unwrap_err().to_string(), "no number of instructions");
    assert!(parse("Gungraun result: Ok").is_err());
}

#[test]
fn a_run_that_is_off_is_not_recorded() {
    let runs = [1_000, 700, 1_001].map(|count| Counts::from([("unary".to_owned(), count)]));
    assert_eq!(medians(&runs), Counts::from([("unary".to_owned(), 1_000)]));
}

#[test]
fn the_record_reads_and_has_counts_of_each_group() {
    let root = project::root().unwrap();
    let record: Record = serde_json::from_slice(&fs::read(root.join(FILE)).unwrap()).unwrap();
    for group in ["core", "driver"] {
        assert!(record.instructions.keys().any(|path| path.starts_with(group)), "{group}");
    }
}
