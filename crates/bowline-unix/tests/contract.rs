//! The contract's test suite over Unix sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bowline_transport::contract::{self, Harness};
use bowline_transport::{Address, Connector, Listener};
use bowline_unix::{BindOptions, ConnectOptions, UnixConnector, UnixListener};
use tempfile::TempDir;

struct Unix {
    /// Abstract names where there is none.
    directory: Option<TempDir>,
    buffer: Option<usize>,
    next: AtomicUsize,
}

impl Unix {
    fn paths(buffer: Option<usize>) -> Self {
        let directory = Some(tempfile::tempdir().unwrap());
        Self { directory, buffer, next: AtomicUsize::new(0) }
    }

    fn abstract_names() -> Self {
        Self { directory: None, buffer: None, next: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl Harness for Unix {
    async fn listen(&self) -> Box<dyn Listener> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let address = match &self.directory {
            Some(directory) => Address::unix(directory.path().join(format!("{number}.sock"))),
            None => {
                let process = std::process::id();
                Address::unix_abstract(format!("bowline-contract-{process}-{number}"))
            }
        };
        let mut options = BindOptions::new();
        if let Some(bytes) = self.buffer {
            options = options.send_buffer(bytes).recv_buffer(bytes);
        }
        Box::new(UnixListener::bind_with(&address.unwrap(), &options).unwrap())
    }

    fn connector(&self, address: &Address) -> Box<dyn Connector> {
        let mut options = ConnectOptions::new();
        if let Some(bytes) = self.buffer {
            options = options.send_buffer(bytes).recv_buffer(bytes);
        }
        Box::new(UnixConnector::with_options(address, options).unwrap())
    }
}

async fn keep(harness: Unix) {
    let limit = Duration::from_secs(120);
    tokio::time::timeout(limit, contract::run_all(&harness)).await.expect("somebody is woken");
}

#[tokio::test]
async fn on_one_thread() {
    keep(Unix::paths(None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_two_threads() {
    tokio::spawn(keep(Unix::paths(None))).await.unwrap();
}

#[tokio::test]
async fn with_abstract_names() {
    keep(Unix::abstract_names()).await;
}

#[tokio::test]
async fn with_the_smallest_buffers() {
    keep(Unix::paths(Some(1))).await;
}
