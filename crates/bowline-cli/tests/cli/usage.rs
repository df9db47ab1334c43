//! Help, completions, and wrong arguments.

use insta::assert_snapshot;

use super::support::{directory, run};

#[test]
fn wrong_arguments() {
    let directory = directory();
    let runs = [
        &["serve"][..],
        &["ping", "/run/echo.sock"],
        &["ping", "tcp:localhost"],
        &["ping", "memory:echo"],
        &["ping", "unix:a.sock", "--interval", "3"],
        &["serve", "--listen", "unix:a.sock", "--mode", "rw"],
        &["serve", "--listen", "unix:a.sock", "--max-message", "4MB"],
        &["frobnicate"],
    ];
    let texts: Vec<_> = runs.iter().map(|args| run(directory.path(), args).to_string()).collect();
    assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn help() {
    let directory = directory();
    assert_snapshot!(run(directory.path(), &["--help"]));
}

#[test]
fn each_command_has_help_with_examples() {
    let directory = directory();
    for command in ["serve", "ping", "echo", "compare", "conformance", "completions"] {
        let help = run(directory.path(), &[command, "--help"]);
        assert_eq!(help.code, Some(0), "{help}");
        assert!(help.stdout.contains(&format!("\n  bowline {command} ")), "{help}");
    }
}

#[test]
fn version() {
    let directory = directory();
    let version = run(directory.path(), &["--version"]);
    assert_eq!(version.stdout, concat!("bowline ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn completions() {
    let directory = directory();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(directory.path(), &["completions", shell]);
        assert_eq!(script.code, Some(0), "{script}");
        for word in ["compare", "listen", "drain-timeout"] {
            assert!(script.stdout.contains(word), "{word}: {script}");
        }
    }
}

#[test]
fn a_reader_that_has_gone_is_an_error_not_a_panic() {
    let directory = directory();
    let mut command = super::support::bowline(directory.path(), &["completions", "bash"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    command.stdout(full);
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr, "error: cannot write to stdout: No space left on device (os error 28)\n");
}
