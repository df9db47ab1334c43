//! `bowline conformance`: against this program's own servers, a server by its address, and nobody.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use serde_json::Value;

use super::support::{Served, directory, run};

#[test]
fn our_own_server_conforms() {
    let directory = directory();
    let ran = run(directory.path(), &["conformance", "--self", "--json", "report.json"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let report = std::fs::read(directory.path().join("report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let rows = report["cases"].as_array().unwrap();
    let of = |field: &str| -> BTreeSet<String> {
        rows.iter().map(|row| row[field].as_str().unwrap().to_owned()).collect()
    };
    assert!(of("id").len() >= 250, "{} cases", of("id").len());
    assert!(rows.len() >= 1_500, "{} runs", rows.len());
    let verdicts = of("verdict");
    assert!(verdicts.iter().all(|verdict| verdict.starts_with("PASS")), "{verdicts:?}");
    assert_eq!(of("transport").into_iter().collect::<Vec<_>>(), ["memory", "tcp", "unix"]);
    assert_eq!(of("size").len(), 3);
    for row in rows {
        let requirement = row["requirement"].as_str().unwrap();
        assert!(row["id"].as_str().unwrap().starts_with(requirement), "{row}");
        assert!(row["level"].is_u64() && row["side"].is_string(), "{row}");
    }
}

#[test]
fn a_server_by_its_address() {
    let directory = directory();
    let _server = Served::start(directory.path(), &["--listen", "unix:echo.sock"]);
    let ran =
        run(directory.path(), &["conformance", "unix:echo.sock", "--only", "PNG", "--level", "0"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains("33 runs in") && ran.stdout.contains(": 33 PASS"), "{ran}");
    // The cases about timeouts need a server that is told to be impatient.
    let ran =
        run(directory.path(), &["conformance", "unix:echo.sock", "--only", "HEL-001/silence"]);
    assert!(ran.stdout.contains(": 6 UNSUPPORTED"), "{ran}");
}

#[test]
fn what_cannot_be_played_is_said() {
    let directory = directory();
    let nobody = run(directory.path(), &["conformance", "unix:nobody.sock"]);
    assert_eq!(nobody.code, Some(3), "{nobody}");
    let neither = run(directory.path(), &["conformance"]);
    let none = run(directory.path(), &["conformance", "--list", "--only", "ABC-001"]);
    assert_snapshot!(format!("{nobody}\n\n{neither}\n\n{none}"));
}

#[test]
fn cases_can_be_listed() {
    let directory = directory();
    let ran = run(directory.path(), &["conformance", "--list", "--only", "PNG-003"]);
    assert_snapshot!(ran);
}
