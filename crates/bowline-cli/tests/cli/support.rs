//! Running the program: once to its end, or as a server beside the test.

use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead as _, BufReader, Lines, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A directory to be the working directory, so that texts show relative paths. Others may look in.
pub(crate) fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory.path(), mode).unwrap();
    directory
}

/// The program, to be run there.
pub(crate) fn bowline(directory: &Path, args: &[&str]) -> Command {
    program(env!("CARGO_BIN_EXE_bowline"), directory, args)
}

pub(crate) fn program(program: impl AsRef<OsStr>, directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(directory).stdin(Stdio::null());
    command.env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
    command
}

/// Runs it to its end.
pub(crate) fn run(directory: &Path, args: &[&str]) -> Ran {
    Ran::of(bowline(directory, args), args)
}

/// What came of a run. Its text is for snapshots.
pub(crate) struct Ran {
    args: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(mut command: Command, args: &[&str]) -> Self {
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self {
            args: args.join(" "),
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The same with what differs from run to run named.
    pub(crate) fn naming(mut self, what: impl fmt::Display, name: &str) -> Self {
        for text in [&mut self.args, &mut self.stdout, &mut self.stderr] {
            *text = text.replace(&what.to_string(), name);
        }
        self
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { args, code, stdout, stderr } = self;
        write!(f, "$ bowline {args}\n{stdout}{stderr}")?;
        match code {
            Some(code) => write!(f, "exit code {code}"),
            None => write!(f, "ended by a signal"),
        }
    }
}

/// `bowline serve`, ready. It is killed when it is dropped.
pub(crate) struct Served {
    child: Child,
    _stdout: Lines<BufReader<ChildStdout>>,
    stderr: BufReader<ChildStderr>,
    pub(crate) addresses: Vec<String>,
}

impl Served {
    /// Starts it with these arguments after `serve`, and waits until it listens everywhere.
    pub(crate) fn start(directory: &Path, args: &[&str]) -> Self {
        let mut all = vec!["serve"];
        all.extend(args);
        let mut command = bowline(directory, &all);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let count = args.iter().filter(|arg| **arg == "--listen").count();
        let addresses = (0..count)
            .map(|_| {
                let line = stdout.next().expect("the server ended before it listened").unwrap();
                line.strip_prefix("listening on ").unwrap().to_owned()
            })
            .collect();
        Self { child, _stdout: stdout, stderr, addresses }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// The next line on stderr.
    pub(crate) fn note(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Waits for its end: the exit code, and the rest of stderr.
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        let mut stderr = String::new();
        self.stderr.read_to_string(&mut stderr).unwrap();
        (code, stderr)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
