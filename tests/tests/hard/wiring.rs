//! Servers and channels of the hard suites: over each transport, with buffers as wanted, and with
//! the bytes counted.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bowline::transport::memory::{MemoryConnector, MemoryListener};
use bowline::transport::{Address, Connector, Listener, Socket, TransportError};
use bowline::{Channel, Limits, Request, Response, Server, ServerHandle};
use bowline_tcp::{TcpConnector, TcpListener};
use bowline_unix::{RawSocket, UnixSocket};
use rustix::net::sockopt::{socket_recv_buffer_size, socket_send_buffer_size};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use super::counting::{Counter, CountingConnector, CountingListener};
use super::service::{GRAB, Hard};
use super::{Raw, soon};

/// What carries the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Unix,
    Tcp,
    Memory,
}

/// How much a socket holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Buffers {
    /// The least that there is.
    Least,
    Default,
}

/// What the kernel makes of a socket buffer of one byte: of SO_SNDBUF and of SO_RCVBUF.
const LEAST: (usize, usize) = (4608, 2304);

/// Small for TCP.
const SMALL_TCP: usize = 16 * 1024;

/// A name that nobody else has.
pub(crate) fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{number}", std::process::id())
}

/// A directory of this process's own. What processes that have ended left behind is removed: their
/// servers were killed on purpose, and lock files stay in place.
fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let all = std::env::temp_dir().join("bowline-tests");
        let own = all.join(std::process::id().to_string());
        std::fs::create_dir_all(&own).expect("a directory can be made");
        for entry in std::fs::read_dir(&all).expect("it was made").flatten() {
            if !Path::new("/proc").join(entry.file_name()).exists() {
                // Another process may be removing it, too.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        own
    })
}

/// A path for a socket, short enough for one.
pub(crate) fn socket_path() -> PathBuf {
    directory().join(unique("s"))
}

/// An address at which a server can listen.
pub(crate) fn address(kind: Kind) -> Address {
    match kind {
        Kind::Unix => Address::unix(socket_path()),
        Kind::Tcp => Address::tcp("127.0.0.1", 0),
        Kind::Memory => Address::memory(&unique("hard")),
    }
    .expect("an address")
}

/// Gives one socket that is there already.
#[derive(Debug)]
struct Once {
    address: Address,
    socket: Mutex<Option<UnixSocket>>,
}

#[async_trait]
impl Listener for Once {
    async fn accept(&self) -> io::Result<Box<dyn Socket>> {
        match self.socket.lock().await.take() {
            Some(socket) => Ok(Box::new(socket)),
            None => std::future::pending().await,
        }
    }

    fn address(&self) -> &Address {
        &self.address
    }
}

#[async_trait]
impl Connector for Once {
    async fn connect(&self) -> Result<Box<dyn Socket>, TransportError> {
        Ok(Box::new(self.socket.lock().await.take().expect("connects once")))
    }

    fn address(&self) -> &Address {
        &self.address
    }
}

/// A Unix socket whose buffers are what the kernel says.
fn unix_once(address: &Address, buffers: Buffers) -> (Box<dyn Listener>, Box<dyn Connector>) {
    let (mut bind, mut connect) =
        (bowline_unix::BindOptions::new(), bowline_unix::ConnectOptions::new());
    if buffers == Buffers::Least {
        bind = bind.send_buffer(1).recv_buffer(1);
        connect = connect.send_buffer(1).recv_buffer(1);
    }
    let bound = bind.bind(address).expect("listens");
    let client = connect.connect(address).expect("connects");
    let server = bound.accept().expect("accepts");
    for socket in [&client, &server] {
        let (send, recv) = sizes(socket);
        match buffers {
            Buffers::Least => assert_eq!((send, recv), LEAST, "the kernel's least buffers"),
            Buffers::Default => assert!(send > LEAST.0 && recv > LEAST.1, "{send}, {recv}"),
        }
    }
    let once = |socket| Once {
        address: address.clone(),
        socket: Mutex::new(Some(UnixSocket::from_raw(socket).expect("a runtime"))),
    };
    (Box::new(once(server)), Box::new(once(client)))
}

fn sizes(socket: &RawSocket) -> (usize, usize) {
    let fd = socket.as_fd();
    let (send, recv) = (socket_send_buffer_size(fd), socket_recv_buffer_size(fd));
    (send.expect("SO_SNDBUF"), recv.expect("SO_RCVBUF"))
}

async fn sockets(kind: Kind, buffers: Buffers) -> (Box<dyn Listener>, Box<dyn Connector>) {
    let address = address(kind);
    let least = buffers == Buffers::Least;
    match kind {
        Kind::Unix => unix_once(&address, buffers),
        Kind::Tcp => {
            let (mut bind, mut connect) =
                (bowline_tcp::BindOptions::new(), bowline_tcp::ConnectOptions::new());
            if least {
                // With less, TCP's own timers (silly windows, delayed acknowledgements) rule.
                bind = bind.send_buffer(SMALL_TCP).recv_buffer(SMALL_TCP);
                connect = connect.send_buffer(SMALL_TCP).recv_buffer(SMALL_TCP);
            }
            let listener = TcpListener::bind_with(&address, &bind).await.expect("listens");
            let connector = TcpConnector::with_options(listener.address(), connect);
            (Box::new(listener), Box::new(connector.expect("a TCP address")))
        }
        Kind::Memory => {
            let capacity = if least { 1024 } else { bowline::transport::memory::CAPACITY };
            let listener = MemoryListener::bind_with_capacity(&address, capacity);
            let connector = MemoryConnector::new(&address);
            (Box::new(listener.expect("listens")), Box::new(connector.expect("a memory address")))
        }
    }
}

/// A server and a channel to it in one process, and the way back.
pub(crate) struct Rig {
    pub(crate) channel: Channel,
    /// The server's channel to the client.
    pub(crate) back: Channel,
    pub(crate) counter: Arc<Counter>,
    stop: ServerHandle,
    serving: JoinHandle<()>,
}

impl Rig {
    /// Both ends serve `service`, and state `limits`.
    pub(crate) async fn new(
        kind: Kind,
        buffers: Buffers,
        limits: &Limits,
        mut service: Hard,
    ) -> Self {
        let (listener, connector) = sockets(kind, buffers).await;
        let counter = Arc::new(Counter::default());
        let listener = CountingListener { listener, counter: Arc::clone(&counter) };
        let connector = CountingConnector { connector, counter: Arc::clone(&counter) };
        let (grabbed, mut grabs) = mpsc::unbounded_channel();
        service.grabbed = Some(grabbed);
        let server = Server::builder().limits(limits.clone()).add_service(service.clone());
        let server = server.listen_on(listener).expect("limits");
        let stop = server.handle();
        let serving = tokio::spawn(server.serve());
        let builder = Channel::with_connector(connector).limits(limits.clone());
        let channel = soon("connecting", builder.add_service(service).connect()).await;
        let channel = channel.expect("connects");
        let grab = channel.unary(&GRAB, Request::new(Raw::default()));
        let answer: Result<Response<Raw>, _> = soon("the first call", grab).await;
        answer.expect("the first call");
        let back = grabs.recv().await.expect("the channel back");
        Self { channel, back, counter, stop, serving }
    }

    /// Closes both ends, which takes until nothing is left.
    pub(crate) async fn close(self) {
        drop(self.back);
        soon("closing", self.channel.close()).await;
        self.stop.shutdown();
        soon("shutting down", self.serving).await.expect("the server does not panic");
    }
}
