//! A peer written in Python from `docs/protocol.md` and `proto/` alone talks to `bowline serve`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server that is ended with the test.
struct Serve(Child);

impl Drop for Serve {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn python_peer() {
    if Command::new("python3").arg("--version").output().is_err() {
        // Not println!: the test harness keeps that to itself when a test passes.
        writeln!(std::io::stdout(), "SKIPPED python_peer: python3 is not installed")
            .expect("standard output is open");
        return;
    }
    let peer = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/python");
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let socket = format!("unix:{}", dir.path().join("echo.sock").display());
    let mut serve = Command::new(env!("CARGO_BIN_EXE_bowline"))
        .args(["serve", "--listen", &socket, "--listen", "tcp:127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .map(Serve)
        .expect("bowline starts");
    let stdout = serve.0.stdout.take().expect("standard output is piped");
    let addresses: Vec<String> = BufReader::new(stdout)
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("listening on ").map(str::to_owned))
        .take(2)
        .collect();
    assert_eq!(addresses.len(), 2, "the server says where it listens");

    python(&peer, &["-m", "unittest", "-q", "test_bowline_peer"]);
    for address in &addresses {
        let steps = python(&peer, &["echo_client.py", address]);
        assert!(steps.lines().filter(|line| line.starts_with("ok ")).count() >= 3, "{steps}");
    }
}

/// Runs Python in the peer's directory and returns what it printed.
fn python(peer: &Path, args: &[&str]) -> String {
    let output = Command::new("python3")
        .args(args)
        .current_dir(peer)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("python3 runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "python3 {args:?} failed:\n{printed}{errors}");
    printed
}
