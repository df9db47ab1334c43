//! What an RPC system has to bring in order to be compared: a server and a client for the four kinds
//! of method of `proto/bowline/bench/v1/bench.proto`, in whatever terms are its own.
//!
//! A system is written once and measured by the same generator as all others:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bowline_bench::system::{BoxError, Client, Endpoint, Job, Ready, System, spawn_on_runtime};
//! use bowline_bench::load::Handler;
//! use bytes::Bytes;
//!
//! /// Answers without asking anybody.
//! struct Imaginary;
//!
//! #[derive(Clone)]
//! struct ImaginaryClient;
//!
//! impl System for Imaginary {
//!     const NAME: &'static str = "imaginary";
//!     type Client = ImaginaryClient;
//!
//!     async fn serve(endpoint: Endpoint, _: Handler, ready: Ready) -> Result<Infallible, BoxError> {
//!         ready.at(endpoint.address);
//!         std::future::pending().await
//!     }
//!
//!     async fn connect(_: &Endpoint) -> Result<ImaginaryClient, BoxError> {
//!         Ok(ImaginaryClient)
//!     }
//!
//!     spawn_on_runtime!();
//! }
//!
//! impl Client for ImaginaryClient {
//!     async fn unary(&self, payload: Bytes) -> Result<usize, BoxError> {
//!         Ok(payload.len())
//!     }
//! }
//! # assert!(Imaginary::unsupported(&bowline_bench::load::Load::unary(64, 1),
//! #     bowline_bench::compare::Transport::Unix).is_none());
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::ready;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::compare::Transport;
use crate::load::{Handler, Load};
pub use crate::spawn_on_runtime;
pub use crate::worker::Job;

/// Whatever went wrong.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// An RPC system.
///
/// All of it runs in worker processes: [`serve`](Self::serve) in one, clients in another. Both have
/// a tokio runtime (current-thread or multi-thread, as the command line says) and a
/// [`LocalSet`](tokio::task::LocalSet) around the futures given here, so that `spawn` and
/// `spawn_local` both work.
pub trait System: Sized + 'static {
    /// Its name on the command line and in reports: lower case, no spaces.
    const NAME: &'static str;

    /// Whether its futures never wait but block their thread. They are then polled once, on threads
    /// of their own.
    const BLOCKING: bool = false;

    /// A connection to a server.
    type Client: Client;

    /// Listens at the endpoint's address (of TCP port 0, where the system chooses), says through
    /// `ready` where that is, and answers until the process is killed. `handler` is what the handler
    /// of unary calls does before it answers.
    fn serve(
        endpoint: Endpoint,
        handler: Handler,
        ready: Ready,
    ) -> impl Future<Output = Result<Infallible, BoxError>>;

    /// Makes a connection of its own, which is closed when the last clone of the client is dropped.
    fn connect(endpoint: &Endpoint) -> impl Future<Output = Result<Self::Client, BoxError>>;

    /// Runs a job, `job.run()`, so that many can run at once. [`spawn_on_runtime!`] writes it with
    /// `tokio::spawn`; systems whose futures are not `Send` use `tokio::task::spawn_local`, and
    /// those that block use [`spawn_thread`].
    ///
    /// It stands here, where all types are known, because a trait cannot promise that its futures
    /// are `Send` for some systems and not for others.
    fn spawn(job: Job<Self>);

    /// Why it cannot run a load over a transport, in a few words; `None` if it can.
    #[must_use]
    fn unsupported(load: &Load, transport: Transport) -> Option<&'static str> {
        let _ = (load, transport);
        None
    }
}

/// A connection to a server. Clones share it.
///
/// Every method checks what the other side sends as far as its result says: the number of messages
/// that came, and of their bytes. The content is not looked at.
pub trait Client: Clone + 'static {
    /// Calls Unary, and gives the length of the payload that came back.
    fn unary(&self, payload: Bytes) -> impl Future<Output = Result<usize, BoxError>>;

    /// Calls Download, and gives what arrived. The server sends one buffer again and again, as far
    /// as the system lets it.
    fn download(
        &self,
        count: u64,
        size: u32,
    ) -> impl Future<Output = Result<Transferred, BoxError>> {
        let _ = (count, size);
        ready(Err(Unsupported.into()))
    }

    /// Calls Upload with `count` clones of the payload, and gives what the server says it has
    /// received.
    fn upload(
        &self,
        count: u64,
        payload: Bytes,
    ) -> impl Future<Output = Result<Transferred, BoxError>> {
        let _ = (count, payload);
        ready(Err(Unsupported.into()))
    }

    /// Calls Chat: sends `count` clones of the payload and receives what comes back, both at the
    /// same time, as far ahead as flow control allows. Gives what came back.
    fn chat(
        &self,
        count: u64,
        payload: Bytes,
    ) -> impl Future<Output = Result<Transferred, BoxError>> {
        let _ = (count, payload);
        ready(Err(Unsupported.into()))
    }

    /// Closes the connection as the system's users would, and waits until that is done where they
    /// would. Called by the load that connects again and again; elsewhere clients are dropped.
    fn close(self) -> impl Future<Output = Result<(), BoxError>> {
        drop(self);
        ready(Ok(()))
    }
}

/// What a stream has carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transferred {
    /// Messages.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
}

impl Transferred {
    /// Counts a message with a payload of this length.
    pub const fn add(&mut self, length: usize) {
        self.messages += 1;
        self.bytes += length as u64;
    }
}

/// A method that a system does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this system does not have this kind of method")]
pub struct Unsupported;

/// Where a server is, and options of both sides.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where it is.
    pub address: Address,
    /// What `--busy-poll` says, for systems that can poll before they sleep.
    pub busy_poll: Option<String>,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// The path of a Unix socket, in a directory that exists.
    Unix(PathBuf),
    /// An address of the loopback.
    Tcp(SocketAddr),
}

impl Address {
    /// What leads there.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        match self {
            Self::Unix(_) => Transport::Unix,
            Self::Tcp(_) => Transport::Tcp,
        }
    }
}

/// As `unix:PATH` or `tcp:HOST:PORT`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

/// Takes the news that a server listens.
#[must_use = "clients wait until a server is ready"]
pub struct Ready(Box<dyn FnOnce(Address) + Send>);

impl Ready {
    /// Calls this when the server listens.
    pub fn new(tell: impl FnOnce(Address) + Send + 'static) -> Self {
        Self(Box::new(tell))
    }

    /// Clients can connect to this address from now on.
    pub fn at(self, address: Address) {
        (self.0)(address);
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").finish_non_exhaustive()
    }
}

/// Writes [`System::spawn`] for systems whose futures are `Send`.
#[macro_export]
macro_rules! spawn_on_runtime {
    () => {
        fn spawn(job: $crate::system::Job<Self>) {
            $crate::system::spawn(job.run());
        }
    };
}

/// `tokio::spawn`, for [`spawn_on_runtime!`].
#[doc(hidden)]
pub fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(future);
}

/// Runs a future that never waits on a thread of its own, for [`System::spawn`].
pub fn spawn_thread(future: impl Future<Output = ()> + Send + 'static) {
    std::thread::spawn(|| finish(future));
}

/// Polls a future that never waits.
///
/// # Panics
/// If it waits.
pub fn finish<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future of a blocking system waits"),
    }
}
