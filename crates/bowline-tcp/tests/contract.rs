//! The contract's test suite over TCP.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use async_trait::async_trait;
use bowline_tcp::{BindOptions, ConnectOptions, TcpConnector, TcpListener};
use bowline_transport::contract::{self, Harness};
use bowline_transport::{Address, Connector, Listener};

struct Tcp {
    address: &'static str,
    /// Of the sender: with small receive buffers, TCP waits for timers at each turn.
    buffer: Option<usize>,
}

#[async_trait]
impl Harness for Tcp {
    async fn listen(&self) -> Box<dyn Listener> {
        let mut options = BindOptions::new();
        if let Some(bytes) = self.buffer {
            options = options.send_buffer(bytes);
        }
        let address = self.address.parse().unwrap();
        Box::new(TcpListener::bind_with(&address, &options).await.unwrap())
    }

    fn connector(&self, address: &Address) -> Box<dyn Connector> {
        let mut options = ConnectOptions::new();
        if let Some(bytes) = self.buffer {
            options = options.send_buffer(bytes);
        }
        Box::new(TcpConnector::with_options(address, options).unwrap())
    }
}

async fn keep(harness: Tcp) {
    let limit = Duration::from_secs(120);
    tokio::time::timeout(limit, contract::run_all(&harness)).await.expect("somebody is woken");
}

#[tokio::test]
async fn on_one_thread() {
    keep(Tcp { address: "tcp:127.0.0.1:0", buffer: None }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_two_threads() {
    tokio::spawn(keep(Tcp { address: "tcp:127.0.0.1:0", buffer: None })).await.unwrap();
}

#[tokio::test]
async fn over_ipv6() {
    keep(Tcp { address: "tcp:[::1]:0", buffer: None }).await;
}

#[tokio::test]
async fn with_the_smallest_send_buffers() {
    keep(Tcp { address: "tcp:127.0.0.1:0", buffer: Some(1) }).await;
}
