//! A peer's client under test: an adapter drives it, and the kit listens for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bowline::Address;
use bowline::tcp::TcpListener;
use bowline::transport::memory::MemoryListener;
use bowline::transport::{Listener, Socket, TransportError};
use bowline::unix::UnixListener;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::adapter::Adapter;
use crate::messages::adapter::command::Kind;
use crate::messages::adapter::{Call, Close, Connect, Result as Outcome};

/// Over what a client is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Medium {
    /// Unix sockets, in a folder that is removed afterwards.
    Unix,
    /// TCP on the loopback address.
    Tcp,
    /// Memory, for an adapter in this very process.
    Memory,
}

impl Medium {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Unix => "unix",
            Self::Tcp => "tcp",
            Self::Memory => "memory",
        }
    }
}

/// A client under test.
#[derive(Debug, Clone)]
pub struct Client {
    /// What drives it.
    pub adapter: Adapter,
    /// Over what it is tested.
    pub media: Vec<Medium>,
}

/// A connection that the peer's client has made to the kit.
#[derive(Debug)]
pub(crate) struct Driven {
    adapter: Adapter,
    connection: u64,
    /// What has become of the calls, in the order in which they were made.
    pub(crate) calls: Vec<oneshot::Receiver<Outcome>>,
    /// Where the socket file is.
    _folder: Option<TempDir>,
}

impl Driven {
    /// Has the client connect, and accepts its connection.
    pub(crate) async fn connect(
        adapter: &Adapter,
        medium: Medium,
        timeouts: Option<Duration>,
        patience: Duration,
    ) -> Result<(Self, Box<dyn Socket>), String> {
        let (listener, folder) = listen(medium).await?;
        let connection = adapter.next_connection();
        let timeout_ms = timeouts.map_or(0, |timeout| timeout.as_millis() as u32);
        let address = listener.address().to_string();
        // Its result says nothing that its calls do not.
        drop(adapter.command(Kind::Connect(Connect { connection, address, timeout_ms })));
        let socket = tokio::time::timeout(patience, listener.accept());
        let socket = socket.await.map_err(|_| "the client does not connect")?;
        let socket = socket.map_err(|error| error.to_string())?;
        let adapter = adapter.clone();
        Ok((Self { adapter, connection, calls: Vec::new(), _folder: folder }, socket))
    }

    pub(crate) fn call(&mut self, call: Call) {
        let connection = self.connection;
        self.calls.push(self.adapter.command(Kind::Call(Call { connection, ..call })));
    }

    pub(crate) fn close(&self) {
        let connection = self.connection;
        drop(self.adapter.command(Kind::Close(Close { connection })));
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.close();
    }
}

/// A listener of its own for one connection.
async fn listen(medium: Medium) -> Result<(Box<dyn Listener>, Option<TempDir>), String> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let address = |text: String| text.parse::<Address>().map_err(|error| error.to_string());
    let failed = |error: TransportError| error.to_string();
    Ok(match medium {
        Medium::Unix => {
            let folder = tempfile::tempdir();
            let folder = folder.map_err(|error| format!("cannot make a folder: {error}"))?;
            let address = address(format!("unix:{}", folder.path().join("kit.sock").display()))?;
            (Box::new(UnixListener::bind(&address).map_err(failed)?), Some(folder))
        }
        Medium::Tcp => {
            let address = address("tcp:127.0.0.1:0".into())?;
            (Box::new(TcpListener::bind(&address).await.map_err(failed)?), None)
        }
        Medium::Memory => {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let address = address(format!("memory:conformance-kit-{number}"))?;
            (Box::new(MemoryListener::bind(&address).map_err(failed)?), None)
        }
    })
}
