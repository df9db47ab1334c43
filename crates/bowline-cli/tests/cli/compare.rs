//! `bowline compare`: a run as short as can be, its JSON, and what can go wrong with that.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;

use bowline::Channel;
use insta::assert_snapshot;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::support::{Ran, bowline, directory, run};

const SHORT: [&str; 9] = [
    "compare",
    "--quick",
    "--duration",
    "5ms",
    "--payload",
    "64",
    "--concurrency",
    "1",
    "--rounds=2",
];

fn short(directory: &Path, more: &[&str]) -> Ran {
    let mut args = SHORT.to_vec();
    args.extend(more);
    run(directory, &args)
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_short_run_and_its_json() {
    let directory = directory();
    let file = directory.path().join("results.json");
    fs::write(&file, "what stood there before, and was longer".repeat(1000)).unwrap();
    let ran = short(directory.path(), &["--json", "results.json"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    for row in ["unary 64 B ×1 ", "server stream 64 B ", "client stream 64 B ", "bidi stream 64 B "]
    {
        // Unix beside TCP, and memory.
        assert_eq!(ran.stdout.matches(row).count(), 2, "{ran}");
    }
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 120), "{ran}");
    assert_eq!(ran.stderr, "24 measurements, about 1 s\nround 1 of 2\nround 2 of 2\n");

    let json: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(keys(&json), ["command", "machine", "results", "schema"]);
    assert_eq!(json["schema"], "bowline-compare/1");
    assert_eq!(json["command"], format!("bowline {} --json results.json", SHORT.join(" ")));
    assert_eq!(keys(&json["machine"]), ["cores", "cpu", "kernel"]);
    let results = json["results"].as_array().unwrap();
    assert_eq!(results.len(), 4 * 3);
    for result in results {
        check_result(result);
    }
}

fn check_result(result: &Value) {
    let expected = [
        "calls",
        "calls_per_second",
        "concurrency",
        "connections",
        "cpu_ns_per_call",
        "errors",
        "kind",
        "mib_per_second",
        "p50_ns",
        "p999_ns",
        "p99_ns",
        "payload_bytes",
        "processes",
        "transport",
    ];
    assert_eq!(keys(result), expected);
    let processes = if result["transport"] == "memory" { 1 } else { 2 };
    assert_eq!(result["processes"], processes, "{result}");
    assert_eq!((&result["errors"], &result["payload_bytes"]), (&0.into(), &64.into()), "{result}");
    assert_eq!((&result["connections"], &result["concurrency"]), (&1.into(), &1.into()));
    let number = |key: &str| result[key].as_f64().unwrap();
    assert!(number("calls") > 0.0 && number("calls_per_second") > 0.0, "{result}");
    assert!(number("p50_ns") > 0.0, "{result}");
    assert!(number("p50_ns") <= number("p99_ns"), "{result}");
    assert!(number("p99_ns") <= number("p999_ns"), "{result}");
    assert!(number("cpu_ns_per_call") >= 0.0 && number("mib_per_second") > 0.0, "{result}");
}

#[test]
fn no_directory_for_the_json() {
    let directory = directory();
    let ran = run(directory.path(), &["compare", "--quick", "--json", "missing/results.json"]);
    // Nothing was measured before it was said.
    assert_snapshot!(ran);
}

#[test]
fn no_room_for_the_json() {
    let directory = directory();
    symlink("/dev/full", directory.path().join("full.json")).unwrap();
    let ran = short(directory.path(), &["--transports", "memory", "--json", "full.json"]);
    assert!(ran.stdout.contains("unary 64 B ×1"), "{ran}");
    assert_eq!(ran.code, Some(1), "{ran}");
    let last = ran.stderr.lines().last().unwrap_or_default();
    assert_snapshot!(last);
}

#[test]
fn what_cannot_be_compared() {
    let directory = directory();
    let udp = run(directory.path(), &["compare", "--transports", "unix,udp"]);
    let huge = run(directory.path(), &["compare", "--payload", "1GiB"]);
    let many = run(directory.path(), &["compare", "--concurrency", "0"]);
    assert_snapshot!(format!("{udp}\n\n{huge}\n\n{many}"));
}

#[test]
fn no_short_path_for_the_socket() {
    let directory = directory();
    let deep = directory.path().join("deep".repeat(30));
    fs::create_dir(&deep).unwrap();
    let args = ["compare", "--quick"];
    let mut command = bowline(directory.path(), &args);
    command.env("TMPDIR", &deep);
    let ran = Ran::of(command, &args);
    assert!(ran.code == Some(3) && ran.stderr.contains("a socket address takes 107"), "{ran}");
    assert_eq!(fs::read_dir(&deep).unwrap().count(), 0);
}

#[test]
fn a_signal_leaves_nothing_behind() {
    let directory = directory();
    let args = ["compare", "--rounds", "1000", "--json", "results.json"];
    let mut command = bowline(directory.path(), &args);
    command.env("TMPDIR", directory.path()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    while lines.next().unwrap().unwrap() != "round 1 of 1000" {}
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    assert_eq!(lines.last().unwrap().unwrap(), "error: interrupted");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn calls_that_fail_make_the_comparison_fail() {
    let directory = directory();
    let args = ["compare", "--transports=unix", "--kinds=unary", "--payload=64", "--concurrency=1"];
    let mut command = bowline(directory.path(), &args);
    command.args(["--rounds", "20", "--duration", "10ms"]).env("TMPDIR", directory.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    while lines.next().unwrap().unwrap() != "round 1 of 20" {}
    let server = server_in(directory.path());
    kill_process(server, Signal::KILL).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    // The table is there, and what it is worth.
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("unary 64 B ×1"), "{stdout}");
    let last = lines.last().unwrap().unwrap();
    assert!(
        last.starts_with("error: calls failed, so the figures are not to be trusted"),
        "{last}"
    );
    assert!(last.contains("UNAVAILABLE"), "{last}");
}

/// The process that listens in a directory below this one, as the kernel knows it.
fn server_in(directory: &Path) -> Pid {
    let entry = fs::read_dir(directory).unwrap().next().unwrap().unwrap();
    let address = format!("unix:{}", entry.path().join("echo.sock").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let channel = runtime.block_on(Channel::connect(&address)).unwrap();
    let pid = channel.peer().unwrap().pid().unwrap();
    Pid::from_raw(pid.cast_signed()).unwrap()
}
