//! `bowline conformance`: against this program's own servers, a server by its address, and nobody.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use serde_json::Value;

use super::support::{Served, directory, run};

#[test]
fn our_own_server_and_client_conform() {
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
    assert_eq!(of("side").into_iter().collect::<Vec<_>>(), ["client", "server"]);
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
    let args = ["--listen", "unix:impatient.sock", "--timeouts", "200ms"];
    let _impatient = Served::start(directory.path(), &args);
    let args = ["conformance", "unix:echo.sock", "--impatient", "unix:impatient.sock"];
    let ran = run(directory.path(), &[&args[..], &["--only", "HEL-001/silence"]].concat());
    assert!(ran.stdout.contains(": 6 PASS"), "{ran}");
}

#[test]
fn a_client_by_its_adapter_and_reports_of_it() {
    let directory = directory();
    let adapter = format!("{} adapter", env!("CARGO_BIN_EXE_bowline"));
    let args = ["conformance", "--adapter", &adapter, "--only", "STA-001", "--html", "report.html"];
    let ran = run(directory.path(), &[&args[..], &["--junit", "report.xml"]].concat());
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains(" PASS") && !ran.stdout.contains("FAIL"), "{ran}");
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    assert!(read("report.html").contains("STATUS 1 ABORTED"));
    assert!(read("report.xml").contains("client, tcp"));
    // One that is not there.
    let ran = run(directory.path(), &["conformance", "--adapter", "./nobody", "--only", "STA-001"]);
    assert_eq!(ran.code, Some(1), "{ran}");
}

#[test]
fn known_failures_must_go_on_failing() {
    let directory = directory();
    let _server = Served::start(directory.path(), &["--listen", "unix:echo.sock"]);
    std::fs::write(directory.path().join("known"), "PNG-001/answer repaired long ago\n").unwrap();
    let args = ["conformance", "unix:echo.sock", "--only", "PNG-001", "--known", "known"];
    let ran = run(directory.path(), &args);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("3 of"), "{ran}");
    std::fs::write(directory.path().join("known"), "PNG-001/answer\n").unwrap();
    let ran = run(directory.path(), &args);
    assert_eq!(ran.code, Some(2), "{ran}");
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
