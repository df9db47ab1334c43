//! The whole harness, for moments: workers are started, loads run, results are written and read.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bowline-bench")).args(args).output().expect("it is built")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs loads of all kinds for a moment each, and gives the path of the results.
fn run(directory: &Path) -> String {
    let json = directory.join("results.json").display().to_string();
    let loads = ["unary-64B-x1", "unary-64B-16x16", "open", "download-1KiB", "mixed", "connect"];
    let mut args = vec!["run", "--rounds", "2", "--duration", "5", "--setting", "two-cores"];
    args.extend(["--transport", "unix,tcp", "--json", &json]);
    args.extend(loads.iter().flat_map(|load| ["--load", load]));
    let output = bench(&args);
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    json
}

#[test]
fn all_systems_run_and_results_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let json = run(directory.path());
    let report: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!(report["schema"], "bowline-bench/1");
    let results = report["results"].as_array().unwrap();
    for (load, system) in [
        ("unary-64B-x1", "bowline"),
        ("unary-64B-x1", "raw-blocking"),
        ("unary-64B-16x16", "raw-tokio"),
        ("unary-64B-x1-yield", "bowline"),
        ("open-64B-5000", "bowline"),
        ("download-1KiB", "raw-tokio"),
        ("mixed", "bowline"),
        ("connect", "raw-blocking"),
    ] {
        for transport in ["unix", "tcp"] {
            let mut found = results.iter().filter(|result| {
                result["name"] == load
                    && result["system"] == system
                    && result["transport"] == transport
            });
            let result = found.next().unwrap_or_else(|| panic!("{system} lacks {load}"));
            let rounds = result["rounds"].as_array().unwrap();
            assert_eq!(rounds.len(), 2);
            for round in rounds {
                assert_eq!(
                    round["parts"].as_array().unwrap().len(),
                    1 + usize::from(load == "mixed")
                );
                assert!(round["parts"][0]["count"].as_u64().unwrap() > 0, "{load} {system}");
                assert!(round["client_cpu_ns"].as_u64().unwrap() > 0);
                assert!(round["server_cpu_ns"].as_u64().unwrap() > 0);
            }
        }
    }
    // What a system cannot do is left out.
    assert!(!results.iter().any(|result| {
        result["system"] == "raw-blocking" && result["name"] == "unary-64B-16x16"
    }));

    let table = bench(&["table", &json]);
    assert!(text(&table.stdout).contains("two cores: unary 64 B, 1 in flight"));
    let page = directory.path().join("page.md");
    fs::write(&page, "a\n<!-- bowline-bench: begin -->\n<!-- bowline-bench: end -->\nb\n").unwrap();
    assert!(bench(&["page", &json, "--into", page.to_str().unwrap()]).status.success());
    let page = fs::read_to_string(page).unwrap();
    assert!(
        page.starts_with("a\n") && page.ends_with("b\n") && page.contains("## Two cores, unix")
    );
}

#[test]
fn what_is_wrong_is_said() {
    for (args, expected) in [
        (["run", "--system", "morse"].as_slice(), "the system \"morse\" is none of bowline, "),
        (&["run", "--load", "tea"], "the load \"tea\" is none of unary-64B-x1, "),
        (&["run", "--peers", "/nowhere"], "cannot run /nowhere: No such file"),
        (&["run", "--transport", "memory"], "expected unix or tcp"),
        (&["table", "/nowhere"], "/nowhere: No such file"),
    ] {
        let output = bench(args);
        assert!(!output.status.success());
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
}

#[test]
fn a_worker_that_dies_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("peers");
    let script = "#!/bin/sh\n\
                  case $1 in systems) echo '[{\"name\": \"frail\", \"unsupported\": []}]' ;; *) exit 7 ;; esac\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let args = ["run", "--system", "frail", "--load", "unary-64B-x1", "--setting", "two-cores"];
    let output = bench(&[&args[..], &["--peers", program.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(said.contains("the server of frail unix ended: exit status: 7"), "{said}");
}
