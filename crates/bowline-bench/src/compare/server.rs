//! The server in a process of its own.

use std::process::Stdio;
use std::time::Duration;

use bowline::Address;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::rounds::CompareError;

const START_TIMEOUT: Duration = Duration::from_secs(10);
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that ends with its stdin, and so with this process, however that ends.
pub(super) struct ServerProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Where it listens, in the order in which it said so.
    pub(super) addresses: Vec<Address>,
}

impl ServerProcess {
    /// Starts it, and waits until it listens at so many addresses.
    pub(super) async fn start(
        command: std::process::Command,
        addresses: usize,
    ) -> Result<Self, CompareError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = Command::from(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| CompareError::server(format!("cannot run {program}: {error}")))?;
        let stdin = child.stdin.take();
        let mut server = Self { child, stdin, addresses: Vec::new() };
        tokio::time::timeout(START_TIMEOUT, server.read_addresses(addresses))
            .await
            .unwrap_or_else(|_| {
                let text =
                    format!("{program} did not say within {START_TIMEOUT:?} that it listens");
                Err(CompareError::server(text))
            })?;
        Ok(server)
    }

    async fn read_addresses(&mut self, count: usize) -> Result<(), CompareError> {
        let stdout = self.child.stdout.take().expect("its stdout is a pipe");
        let mut lines = BufReader::new(stdout).lines();
        while self.addresses.len() < count {
            let line = lines.next_line().await.map_err(|error| {
                CompareError::server(format!("reading what it says failed: {error}"))
            })?;
            let Some(line) = line else {
                let status =
                    self.child.wait().await.map_or_else(|e| e.to_string(), |s| s.to_string());
                return Err(CompareError::server(format!("it ended before it listened: {status}")));
            };
            if let Some(address) = line.strip_prefix("listening on ") {
                let address =
                    address.parse().map_err(|error: bowline::transport::AddressError| {
                        CompareError::server(error.to_string())
                    })?;
                self.addresses.push(address);
            }
        }
        Ok(())
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends it in order, if it does so in time.
    pub(super) async fn stop(mut self) {
        drop(self.stdin.take());
        if tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            // It is killed when it is dropped; nothing of it is needed any more.
            let _ = self.child.kill().await;
        }
    }
}
