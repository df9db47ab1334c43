//! Where a test takes place: a transport, a fresh address, and what listens and connects there.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bowline::{Channel, ChannelBuilder, Server, ServerBuilder, ServerHandle};
use bowline_tcp::{TcpConnector, TcpListener};
use bowline_transport::memory::{MemoryConnector, MemoryListener};
use bowline_transport::{Address, Connector, Listener};
use bowline_unix::{UnixConnector, UnixListener};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::raw::Raw;
use crate::script::Script;
use crate::test::test_client::TestClient;
use crate::wait;

/// No test takes so long, not even on a machine that is busy with something else.
const TEST_MAX: Duration = Duration::from_secs(20);

/// The transports that every test runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A Unix socket at a path.
    Unix,
    /// TCP on loopback.
    Tcp,
    /// A pair of pipes in memory.
    Memory,
}

/// The kind of runtime that a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// Everything on the test's own thread.
    One,
    /// Tasks on two threads beside it.
    Two,
}

/// Runs a test to its end, and waits until it has left no task behind.
pub fn run<F: Future<Output = ()>>(transport: Transport, threads: Threads, test: fn(Net) -> F) {
    let mut builder = match threads {
        Threads::One => tokio::runtime::Builder::new_current_thread(),
        Threads::Two => tokio::runtime::Builder::new_multi_thread(),
    };
    if threads == Threads::Two {
        builder.worker_threads(2);
    }
    let runtime = builder.enable_all().build().expect("a runtime can be made");
    runtime.block_on(async {
        let net = Net::new(transport);
        let ended = tokio::time::timeout(TEST_MAX, test(net.clone())).await;
        assert!(ended.is_ok(), "the test over {transport:?} hangs: not done after {TEST_MAX:?}");
        net.shut_down();
        wait::until("all tasks have ended", || Handle::current().metrics().num_alive_tasks() == 0)
            .await;
    });
}

/// A transport and an address of one test's own.
#[derive(Debug, Clone)]
pub struct Net {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    transport: Transport,
    address: Address,
    path: PathBuf,
    /// Shut down at the end of the test.
    servers: Mutex<Vec<ServerHandle>>,
    /// Holds the path.
    _directory: TempDir,
    /// Holds the port: bound, but not listening.
    _port: Option<tokio::net::TcpSocket>,
}

impl Net {
    fn new(transport: Transport) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let directory = tempfile::tempdir().expect("a directory can be made");
        let path = directory.path().join("s");
        let mut port = None;
        let address = match transport {
            Transport::Unix => Address::unix(&path),
            Transport::Memory => {
                Address::memory(&format!("e2e-{}", NEXT.fetch_add(1, Ordering::Relaxed)))
            }
            Transport::Tcp => {
                let (socket, number) = reserve_port();
                port = Some(socket);
                Address::tcp("127.0.0.1", number)
            }
        };
        let inner = Inner {
            transport,
            address: address.expect("the address is one"),
            path,
            servers: Mutex::default(),
            _directory: directory,
            _port: port,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The transport of this run.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.inner.transport
    }

    /// What was written by a side that has closed can still be read.
    #[must_use]
    pub fn keeps_written(&self) -> bool {
        self.transport() != Transport::Tcp
    }

    /// The address, as text.
    #[must_use]
    pub fn address(&self) -> String {
        self.inner.address.to_string()
    }

    /// Where the socket file is, over a Unix socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Serves this script with a server's defaults.
    pub async fn serve(&self, script: Script) -> Running {
        self.serve_with(Server::builder(), script).await
    }

    /// Serves this script with these options.
    pub async fn serve_with(&self, builder: ServerBuilder, script: Script) -> Running {
        self.start(builder.add_service(script.into_service())).await
    }

    /// Starts a server.
    pub async fn start(&self, builder: ServerBuilder) -> Running {
        let server = builder.listen(&self.address()).await.expect("the address is free");
        let handle = server.handle();
        self.inner.servers.lock().expect("not poisoned").push(handle.clone());
        Running { handle, task: tokio::spawn(server.serve()) }
    }

    /// A connected channel with a client's defaults.
    pub async fn channel(&self) -> Channel {
        self.builder().connect().await.expect("the server listens")
    }

    /// A connected client of the test service.
    pub async fn client(&self) -> TestClient {
        TestClient::new(self.channel().await)
    }

    /// Options of a channel to the address.
    pub fn builder(&self) -> ChannelBuilder {
        Channel::builder(&self.address()).expect("the address is one")
    }

    /// A connection that sends and reads bytes as it is told.
    pub async fn raw(&self) -> Raw {
        self.raw_over(&*self.connector()).await
    }

    /// What connects to the address.
    pub fn connector(&self) -> Box<dyn Connector> {
        let address = &self.inner.address;
        match self.transport() {
            Transport::Unix => Box::new(UnixConnector::new(address).expect("a Unix address")),
            Transport::Tcp => Box::new(TcpConnector::new(address).expect("a TCP address")),
            Transport::Memory => Box::new(MemoryConnector::new(address).expect("a memory address")),
        }
    }

    /// The same as [`raw`](Self::raw), made by this connector.
    pub async fn raw_over(&self, connector: &dyn Connector) -> Raw {
        Raw::new(connector.connect().await.expect("the server listens"))
    }

    /// A listener that yields connections which send and read bytes as they are told.
    pub async fn raw_listener(&self) -> RawListener {
        let address = &self.inner.address;
        let listener: Box<dyn Listener> = match self.transport() {
            Transport::Unix => Box::new(UnixListener::bind(address).expect("the path is free")),
            Transport::Tcp => Box::new(TcpListener::bind(address).await.expect("the port is free")),
            Transport::Memory => Box::new(MemoryListener::bind(address).expect("the name is free")),
        };
        RawListener { listener }
    }

    fn shut_down(&self) {
        for server in self.inner.servers.lock().expect("not poisoned").iter() {
            server.shutdown();
        }
    }
}

/// A port that nobody else is given, and at which a server can listen nevertheless.
fn reserve_port() -> (tokio::net::TcpSocket, u16) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket can be made");
    socket.set_reuseaddr(true).expect("the option is known");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port is free");
    let port = socket.local_addr().expect("it is bound").port();
    (socket, port)
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    handle: ServerHandle,
    task: JoinHandle<()>,
}

impl Running {
    /// What shuts it down.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Shuts it down and waits until it has ended.
    pub async fn stop(self) {
        self.handle.shutdown();
        self.ended().await;
    }

    /// Waits until it has ended.
    pub async fn ended(self) {
        self.task.await.expect("the server does not panic");
    }

    /// Drops it as it is.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.is_err(), "it had not ended");
    }

    /// Has ended.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.task.is_finished()
    }
}

/// Takes connections for a scripted server.
#[derive(Debug)]
pub struct RawListener {
    listener: Box<dyn Listener>,
}

impl RawListener {
    /// The next connection.
    pub async fn accept(&self) -> Raw {
        Raw::new(self.listener.accept().await.expect("somebody connects"))
    }
}
