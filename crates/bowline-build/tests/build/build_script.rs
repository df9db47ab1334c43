//! As a build script runs: with its environment, heard by cargo.

use std::env;
use std::fs;
use std::process::Command;

use crate::directory;

/// Marks the process that plays the build script.
const INCLUDE: &str = "BOWLINE_BUILD_TEST_INCLUDE";

/// Runs the crate as a build script would, in a process of its own.
#[test]
fn without_protoc() {
    let out = tempfile::tempdir().unwrap();
    let include = directory("tests/proto/shapes");
    let run = Command::new(env::current_exe().unwrap())
        .args(["--exact", "build_script::script", "--ignored", "--nocapture"])
        .env(INCLUDE, &include)
        .env("OUT_DIR", out.path())
        .env("PROTOC", "/nonexistent")
        .env("PATH", "")
        .output()
        .unwrap();
    let printed = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{printed}");

    let mut lines: Vec<_> =
        printed.lines().filter_map(|l| l.split_once("cargo:rerun-if-changed=")).collect();
    lines.sort_unstable();
    let expected = ["a/v1/base.proto", "a/v1/service.proto", "b/v1/middle.proto"]
        .map(|name| include.join(name).display().to_string());
    assert_eq!(lines.iter().map(|(_, path)| *path).collect::<Vec<_>>(), expected);

    let included = fs::read_to_string(out.path().join("protos.rs")).unwrap();
    assert!(included.contains(r#"include!(concat!(env!("OUT_DIR"), "/a.v1.rs"));"#), "{included}");
    assert!(out.path().join("a.v1.rs").exists());
}

/// The build script: not a test by itself.
#[test]
#[ignore = "run by `without_protoc`"]
fn script() {
    let Some(include) = env::var_os(INCLUDE) else { return };
    bowline_build::Config::new()
        .include_file("protos.rs")
        .compile(&["a/v1/service.proto"], &[include])
        .unwrap();
}
