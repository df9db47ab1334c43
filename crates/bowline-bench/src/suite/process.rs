//! A worker in a process of its own, and the talk with it.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::SuiteError;
use crate::worker::control::{Answer, Order};
use crate::worker::sample::Sample;

/// How long a worker may be silent beyond the time of the run it was asked for. Ten thousand
/// connections take a while.
const PATIENCE: Duration = Duration::from_secs(60);

/// A worker. It ends when this is dropped, and when this process ends, however that happens.
pub(super) struct Process {
    name: String,
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Process {
    pub(super) fn start(name: String, command: &mut Command) -> Result<Self, SuiteError> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| not_run(command.get_program(), &error))?;
        let stdin = child.stdin.take().expect("its stdin is a pipe");
        let stdout = child.stdout.take().expect("its stdout is a pipe");
        let (tell, lines) = channel();
        // Beside a timeout: the thread ends with the process.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { name, child, stdin, lines })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it what to do, and waits until that is done.
    pub(super) fn ask(&mut self, order: &Order) -> Result<Answer, SuiteError> {
        self.tell(order)?;
        let more = match order {
            Order::Prepare { warm_up_ms: ms, .. } | Order::Measure { duration_ms: ms } => *ms,
            Order::Sample | Order::Release => 0,
        };
        self.hear(PATIENCE + Duration::from_millis(more))
    }

    fn tell(&mut self, order: &Order) -> Result<(), SuiteError> {
        let mut line = serde_json::to_vec(order).expect("it has nothing that JSON lacks");
        line.push(b'\n');
        self.stdin.write_all(&line).map_err(|_| self.died())
    }

    /// What it says next, and what it says first, too.
    pub(super) fn first_answer(&mut self) -> Result<Answer, SuiteError> {
        self.hear(PATIENCE)
    }

    fn hear(&mut self, timeout: Duration) -> Result<Answer, SuiteError> {
        let line = match self.lines.recv_timeout(timeout) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return Err(self.died()),
            Err(RecvTimeoutError::Timeout) => {
                return Err(SuiteError::Silent { worker: self.name.clone(), timeout });
            }
        };
        match serde_json::from_str(&line) {
            Ok(Answer::Failed { error }) => Err(self.failed(error)),
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.failed(format!("{error}: {line}"))),
        }
    }

    pub(super) fn sample(&mut self) -> Result<Sample, SuiteError> {
        match self.ask(&Order::Sample)? {
            Answer::Sample(sample) => Ok(sample),
            other => Err(self.unexpected(&other)),
        }
    }

    pub(super) fn unexpected(&self, answer: &Answer) -> SuiteError {
        self.failed(format!("unexpected answer {answer:?}"))
    }

    fn failed(&self, error: String) -> SuiteError {
        SuiteError::Failed { worker: self.name.clone(), error }
    }

    fn died(&mut self) -> SuiteError {
        let status = self.child.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
        SuiteError::Died { worker: self.name.clone(), status }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn not_run(program: &OsStr, error: &std::io::Error) -> SuiteError {
    SuiteError::Program { program: program.into(), error: error.to_string(), hint: "" }
}
