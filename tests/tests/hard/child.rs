//! Child processes: the test binary runs itself again, as what an environment variable says.
//!
//! A suite that uses them has an ignored test `child`, which plays the role. A child speaks on its
//! standard output and ends, at the latest, when its standard input does: that is, with its parent.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use tokio::sync::mpsc;

use super::soon;

const ROLE: &str = "BOWLINE_TESTS_ROLE";
/// What marks a child's own lines among those of the test harness.
const MARK: &str = "child says: ";

/// A child process, killed when it is dropped.
pub(crate) struct Child {
    process: std::process::Child,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Child {
    /// Starts this binary again with this role.
    pub(crate) fn spawn(role: &[&str]) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"])
            .env(ROLE, role.join("\n"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let stdout = process.stdout.take().expect("piped");
        let (sender, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { return };
                if let Some((_, said)) = line.split_once(MARK)
                    && sender.send(said.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        Self { process, lines }
    }

    /// The next line that it says.
    pub(crate) async fn line(&mut self) -> String {
        soon("a line of the child", self.lines.recv()).await.expect("the child lives")
    }

    pub(crate) fn pid(&self) -> String {
        self.process.id().to_string()
    }

    /// Kills it with SIGKILL; its sockets are closed when this returns.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.process.kill().expect("SIGKILL");
        self.process.wait().expect("the child ends");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !matches!(self.process.try_wait(), Ok(Some(_))) {
            self.end();
        }
    }
}

/// In a child: its role.
pub(crate) fn role() -> Option<Vec<String>> {
    let role = std::env::var(ROLE).ok()?;
    Some(role.split('\n').map(str::to_owned).collect())
}

/// In a child: says a line.
pub(crate) fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let said = writeln!(stdout, "{MARK}{line}").and_then(|()| stdout.flush());
    said.expect("the parent listens");
}

/// In a child: ends the process as soon as its parent has ended.
pub(crate) fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}
