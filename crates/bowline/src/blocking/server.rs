//! Servers: listening, accepting, limits on connections, and shutting down without losing calls.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bowline_protocol::{CLOSE_TIMEOUT, Config, ErrorCode, Limits, Side};
use bowline_transport::Address;
use bytes::Bytes;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};

use super::connection::poll;
use super::service::Service;
use super::transport::{self, Listener, Socket};
use super::workers::Workers;
use crate::error::Error;
use crate::router::Router;

/// Pause after an accept that failed for a lack of resources, so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections beyond the limit that are told so; more are closed at once.
const REFUSALS_MAX: usize = 64;

/// Options of a [`Server`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it listens"]
pub struct ServerBuilder {
    router: Router<dyn Service>,
    limits: Limits,
    token: Option<Bytes>,
    connections_max: usize,
    threads_max: usize,
    drain_timeout: Duration,
}

impl ServerBuilder {
    /// Answers the methods of this service.
    pub fn add_service(mut self, service: impl Service) -> Self {
        let methods = service.methods();
        self.router.add(Arc::new(service), methods);
        self
    }

    /// Sets what each connection accepts and holds.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Asks each client for this secret, and refuses those that do not show it.
    pub fn token(mut self, token: impl Into<Bytes>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Sets how many connections may be open at once, 1,024 unless told otherwise; each has a thread.
    /// Further ones are refused with the error BUSY.
    pub const fn connections_max(mut self, connections: usize) -> Self {
        self.connections_max = connections;
        self
    }

    /// Sets how many threads there may be beside one for each connection, 512 unless told otherwise:
    /// they run handlers while others of the same connection take long or wait. Calls that find none
    /// wait; they are still cancelled and meet their deadlines.
    pub const fn threads_max(mut self, threads: usize) -> Self {
        self.threads_max = threads;
        self
    }

    /// Sets how long a shutdown lets open calls go on before it ends them, 30 s unless told
    /// otherwise.
    pub const fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Listens at this address: `unix:PATH`, `unix-abstract:NAME` or `tcp:HOST:PORT`. From now on
    /// clients can connect; [`Server::serve`] answers them.
    ///
    /// # Errors
    /// The address is not one, it cannot be listened at, or a limit is out of its range: the text
    /// says why, and what to do.
    pub fn listen(self, address: &str) -> Result<Server, Error> {
        self.build()?.also_listen(address)
    }

    /// Takes connections of this listener, of any transport or with its options.
    ///
    /// # Errors
    /// A limit is out of its range, or the system is short of descriptors.
    pub fn listen_on(self, listener: impl Listener) -> Result<Server, Error> {
        self.build()?.also_listen_on(listener)
    }

    fn build(self) -> Result<Server, Error> {
        self.limits.validate(Side::Accepting)?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let event = event.map_err(|errno| Error::Resources(errno.into()))?;
        let handle = ServerHandle { stop: Arc::new(Stop { event, asked: AtomicBool::new(false) }) };
        Ok(Server { options: self, listeners: Vec::new(), handle })
    }
}

/// A server that listens. Dropping it closes its addresses.
///
/// Each connection has a thread, which reads it and runs its handlers. Handlers that take longer than a
/// few milliseconds, or that wait, hold up neither the other calls of their connection nor their own
/// cancellation: other threads go on, at most [`threads_max`](ServerBuilder::threads_max) of them.
///
/// A handler cannot be stopped from outside. When its call is cancelled or its deadline passes, what it
/// receives and sends fails; one that only computes looks at
/// [`Request::is_cancelled`](crate::Request::is_cancelled).
#[derive(Debug)]
pub struct Server {
    options: ServerBuilder,
    listeners: Vec<Box<dyn Listener>>,
    handle: ServerHandle,
}

/// Shuts a [`Server`] down from another thread.
#[derive(Debug, Clone)]
pub struct ServerHandle {
    stop: Arc<Stop>,
}

#[derive(Debug)]
struct Stop {
    /// Readable once the server shall stop.
    event: OwnedFd,
    asked: AtomicBool,
}

impl ServerHandle {
    /// Begins the shutdown: no new connections and calls; open calls go on until they end, or until
    /// the drain timeout. Then [`Server::serve`] returns.
    pub fn shutdown(&self) {
        if !self.stop.asked.swap(true, Ordering::SeqCst) {
            // It cannot fail: it counts to one.
            let _ = rustix::io::write(&self.stop.event, &1_u64.to_ne_bytes());
        }
    }

    fn is_shut_down(&self) -> bool {
        self.stop.asked.load(Ordering::SeqCst)
    }
}

impl Server {
    /// A server with options.
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            router: Router::default(),
            limits: Limits::accepting(),
            token: None,
            connections_max: 1024,
            threads_max: 512,
            drain_timeout: Duration::from_secs(30),
        }
    }

    /// Listens at one more address.
    ///
    /// # Errors
    /// The address is not one, or it cannot be listened at.
    pub fn also_listen(self, address: &str) -> Result<Self, Error> {
        let listener = transport::listen(&address.parse()?)?;
        self.push(listener)
    }

    /// Takes connections of one more listener.
    ///
    /// # Errors
    /// The system does not let it be waited for.
    pub fn also_listen_on(self, listener: impl Listener) -> Result<Self, Error> {
        self.push(Box::new(listener))
    }

    fn push(mut self, listener: Box<dyn Listener>) -> Result<Self, Error> {
        // A connection may be gone again when its turn comes; then the others are not to wait.
        rustix::io::ioctl_fionbio(listener.as_fd(), true)
            .map_err(|errno| Error::Resources(errno.into()))?;
        self.listeners.push(listener);
        Ok(self)
    }

    /// The addresses in force: with the port that the system chose, for TCP port 0.
    pub fn addresses(&self) -> impl ExactSizeIterator<Item = &Address> {
        self.listeners.iter().map(|listener| listener.address())
    }

    /// What shuts the server down.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Answers clients until [`ServerHandle::shutdown`], and returns when all connections have
    /// ended. A handler that still runs then, as it could not be stopped, ends in a thread of its own.
    ///
    /// # Errors
    /// The system is short of threads or descriptors, and no client was answered.
    pub fn serve(self) -> Result<(), Error> {
        let Self { options, listeners, handle } = self;
        let workers = Workers::new(options.threads_max)?;
        let router = Arc::new(options.router.clone());
        while !handle.is_shut_down() {
            let mut fds = vec![PollFd::new(&handle.stop.event, PollFlags::IN)];
            fds.extend(
                listeners.iter().map(|l| PollFd::from_borrowed_fd(l.as_fd(), PollFlags::IN)),
            );
            poll(&mut fds, None);
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            for (listener, _) in listeners.iter().zip(&ready[1..]).filter(|(_, ready)| **ready) {
                accept(&**listener, &options, &workers, &router, &handle);
            }
        }
        // Once the listeners are dropped, the addresses are free.
        drop(listeners);
        shut_down(&workers, options.drain_timeout);
        workers.stop();
        Ok(())
    }
}

/// Takes a connection that waits.
fn accept(
    listener: &dyn Listener,
    options: &ServerBuilder,
    workers: &Arc<Workers>,
    router: &Arc<Router<dyn Service>>,
    handle: &ServerHandle,
) {
    let started = match listener.accept() {
        Ok(socket) => start(socket, options, workers, router),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
        Err(error) => {
            tracing::warn!(address = %listener.address(), %error, "accepting failed");
            if is_shortage(&error) { Err(Error::Resources(error)) } else { return }
        }
    };
    if let Err(error) = started {
        tracing::warn!(address = %listener.address(), %error, "a connection was not taken");
        // Trying again at once would only spin.
        poll(&mut [PollFd::new(&handle.stop.event, PollFlags::IN)], Some(ACCEPT_PAUSE));
    }
}

fn start(
    socket: Box<dyn Socket>,
    options: &ServerBuilder,
    workers: &Arc<Workers>,
    router: &Arc<Router<dyn Service>>,
) -> Result<(), Error> {
    let (open, refused) = workers.connections();
    let refuse = (open >= options.connections_max)
        .then_some((ErrorCode::Busy, "the server has as many connections as it takes"));
    if refuse.is_some() && refused >= REFUSALS_MAX {
        tracing::warn!(peer = ?socket.peer(), "connection closed: far too many are open");
        return Ok(());
    }
    tracing::debug!(peer = ?socket.peer(), refused = refuse.is_some(), "connection accepted");
    let mut config = Config::new(Side::Accepting);
    config.limits = options.limits.clone();
    config.token_expected.clone_from(&options.token);
    workers.add(socket, config, Arc::clone(router), refuse).map(drop)
}

/// Lets open calls end for so long, then ends them.
fn shut_down(workers: &Workers, drain_timeout: Duration) {
    let begun = Instant::now();
    workers.each(|shared| shared.drain());
    while begun.elapsed() < drain_timeout {
        let left = drain_timeout.saturating_sub(begun.elapsed());
        if workers.wait_until_ended(left.min(CLOSE_TIMEOUT)) {
            return;
        }
        // A client that reads only while it waits for something does not take part in the end. Without
        // a call it loses nothing.
        workers.each(|shared| shared.end_if_idle(ErrorCode::Shutdown, "the server shuts down"));
    }
    workers.each(|shared| shared.abort(ErrorCode::Shutdown, "the drain timeout has passed"));
    // GOAWAY goes out and the peers close, for a second at the most.
    if !workers.wait_until_ended(CLOSE_TIMEOUT + Duration::from_secs(1)) {
        workers.each(|shared| shared.kill());
    }
}

/// The system has run out of something.
fn is_shortage(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::PermissionDenied
    )
}
