//! Other processes for tests: this test's own program, run again in a role.
//!
//! A test file that uses it has a test `in_a_child` that does nothing unless a role is set.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

const ROLE: &str = "BOWLINE_TEST_ROLE";
const ARGUMENT: &str = "BOWLINE_TEST_ARGUMENT";

/// A user without permissions, whom every Linux has: `nobody`.
pub(crate) const NOBODY: u32 = 65_534;

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The role and the argument, in a child.
pub(crate) fn role() -> Option<(String, PathBuf)> {
    let role = std::env::var(ROLE).ok()?;
    Some((role, std::env::var_os(ARGUMENT).unwrap_or_default().into()))
}

/// Tells the parent something, in a child.
pub(crate) fn say(text: impl std::fmt::Display) {
    println!("@{text}");
}

/// A process in a role.
pub(crate) struct Actor {
    child: Child,
    output: BufReader<ChildStdout>,
    _program: Option<TempDir>,
}

impl Actor {
    pub(crate) fn start(role: &str, argument: &Path) -> Self {
        Self::run(Command::new(std::env::current_exe().unwrap()), role, argument, None)
    }

    /// Runs as `nobody` if we are root, and as we are otherwise. The program is copied to where
    /// anybody may run it.
    pub(crate) fn start_as_nobody(role: &str, argument: &Path) -> Self {
        if !is_root() {
            return Self::start(role, argument);
        }
        let directory = open_directory();
        let program = directory.path().join("program");
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let mut command = Command::new(program);
        command.uid(NOBODY).gid(NOBODY);
        Self::run(command, role, argument, Some(directory))
    }

    fn run(mut command: Command, role: &str, argument: &Path, program: Option<TempDir>) -> Self {
        command.args(["in_a_child", "--exact", "--nocapture"]);
        command.env(ROLE, role).env(ARGUMENT, argument);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = loop {
            match command.spawn() {
                Ok(child) => break child,
                // A process that another test is just starting still has the copy open for writing.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                    std::thread::yield_now();
                }
                Err(error) => panic!("the child does not start: {error}"),
            }
        };
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output, _program: program }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next thing that the child says.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the child ended in silence");
            // The test harness may have written something in front of it.
            if let Some((_, said)) = line.trim_end().split_once('@') {
                return said.to_owned();
            }
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Lets the child end by itself, and fails if it failed.
    pub(crate) fn finish(mut self) {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.output, &mut rest).unwrap();
        assert!(self.child.wait().unwrap().success(), "the child failed:\n{rest}");
    }
}

/// Waits until the parent lets the child end, in a child.
pub(crate) fn wait_for_the_end() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

/// A directory that everybody can enter, but only we can write to.
pub(crate) fn open_directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    chmod(directory.path(), 0o755);
    directory
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
