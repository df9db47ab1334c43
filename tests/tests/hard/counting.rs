//! A transport around another one that counts the bytes which really move, and a watchdog that
//! looks at the count from a thread of its own.

use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bowline::PeerIdentity;
use bowline::transport::{Address, Capabilities, Connector, Listener, Socket, TransportError};
use bytes::BytesMut;
use tokio::sync::{Notify, oneshot};

/// What has moved.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    pub(crate) client_sent: AtomicU64,
    pub(crate) client_received: AtomicU64,
    pub(crate) server_sent: AtomicU64,
    pub(crate) server_received: AtomicU64,
    /// Calls or messages that the test has seen complete.
    pub(crate) done: AtomicU64,
    /// Sockets of the server that have been closed, and the news of it.
    pub(crate) closed: AtomicU64,
    pub(crate) closing: Notify,
}

impl Counter {
    pub(crate) fn complete(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    fn total(&self) -> u64 {
        let all = [
            &self.client_sent,
            &self.client_received,
            &self.server_sent,
            &self.server_received,
            &self.done,
        ];
        all.iter().map(|count| count.load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    }
}

#[derive(Debug, Clone, Copy)]
enum End {
    Client,
    Server,
}

#[derive(Debug)]
struct Counted {
    socket: Box<dyn Socket>,
    counter: Arc<Counter>,
    end: End,
}

impl Counted {
    fn sent(&self, bytes: usize) {
        let count = match self.end {
            End::Client => &self.counter.client_sent,
            End::Server => &self.counter.server_sent,
        };
        count.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn received(&self, bytes: usize) {
        let count = match self.end {
            End::Client => &self.counter.client_received,
            End::Server => &self.counter.server_received,
        };
        count.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if matches!(self.end, End::Server) {
            self.counter.closed.fetch_add(1, Ordering::Release);
            self.counter.closing.notify_one();
        }
    }
}

impl Socket for Counted {
    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buf: &mut BytesMut,
        descriptors: &mut Vec<OwnedFd>,
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_recv(cx, buf, descriptors).map_ok(|n| {
            self.received(n);
            n
        })
    }

    fn try_recv(&self, buf: &mut BytesMut, descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
        self.socket.try_recv(buf, descriptors).inspect(|n| self.received(*n))
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_send(cx, data, descriptors).map_ok(|n| {
            self.sent(n);
            n
        })
    }

    fn try_send(&self, data: &[IoSlice<'_>], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.socket.try_send(data, descriptors).inspect(|n| self.sent(*n))
    }

    fn shutdown(&self) -> io::Result<()> {
        self.socket.shutdown()
    }

    fn peer(&self) -> &PeerIdentity {
        self.socket.peer()
    }

    fn capabilities(&self) -> Capabilities {
        self.socket.capabilities()
    }
}

/// A listener whose sockets count.
#[derive(Debug)]
pub(crate) struct CountingListener {
    pub(crate) listener: Box<dyn Listener>,
    pub(crate) counter: Arc<Counter>,
}

#[async_trait]
impl Listener for CountingListener {
    async fn accept(&self) -> io::Result<Box<dyn Socket>> {
        let socket = self.listener.accept().await?;
        Ok(Box::new(Counted { socket, counter: Arc::clone(&self.counter), end: End::Server }))
    }

    fn address(&self) -> &Address {
        self.listener.address()
    }
}

/// A connector whose sockets count.
#[derive(Debug)]
pub(crate) struct CountingConnector {
    pub(crate) connector: Box<dyn Connector>,
    pub(crate) counter: Arc<Counter>,
}

#[async_trait]
impl Connector for CountingConnector {
    async fn connect(&self) -> Result<Box<dyn Socket>, TransportError> {
        let socket = self.connector.connect().await?;
        Ok(Box::new(Counted { socket, counter: Arc::clone(&self.counter), end: End::Client }))
    }

    fn address(&self) -> &Address {
        self.connector.address()
    }
}

/// So long without a byte is a deadlock.
const STALL: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(50);

/// Runs something and fails when no byte moves for a second, even if the runtime is stuck.
pub(crate) async fn watched<F: Future>(what: &str, counter: &Arc<Counter>, work: F) -> F::Output {
    let (stop, stopped) = channel::<()>();
    let (alarm, mut alarmed) = oneshot::channel::<()>();
    let (name, counter_there) = (what.to_owned(), Arc::clone(counter));
    let watching = std::thread::spawn(move || {
        let (mut seen, mut since) = (counter_there.total(), Instant::now());
        let mut alarm = Some(alarm);
        loop {
            match stopped.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
            let total = counter_there.total();
            if total != seen {
                (seen, since) = (total, Instant::now());
            } else if since.elapsed() > STALL {
                if let Some(alarm) = alarm.take() {
                    let _ = alarm.send(());
                } else if since.elapsed() > 10 * STALL {
                    eprintln!("{name}: no byte moves and the runtime is stuck: {counter_there:?}");
                    std::process::exit(101);
                }
            }
        }
    });
    tokio::pin!(work);
    let output = tokio::select! {
        output = &mut work => Some(output),
        _ = &mut alarmed => None,
    };
    drop(stop);
    watching.join().expect("the watchdog does not panic");
    output.unwrap_or_else(|| panic!("{what}: no byte moved for {STALL:?}: {counter:?}"))
}
