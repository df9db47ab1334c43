//! Servers: listening, accepting, limits on connections, and shutting down without losing calls.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bowline_protocol::{Config, ErrorCode, Limits, Side};
use bowline_transport::{Address, Listener, Socket};
use bytes::Bytes;
use tokio::sync::watch;

use crate::channel;
use crate::connection::{BusyPoll, Shared};
use crate::error::Error;
use crate::service::{Router, Service};
use crate::transports;

/// Pause after an accept that failed for a lack of resources, so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections beyond the limit that are told so; more are closed at once.
const REFUSALS_MAX: usize = 64;

/// Options of a [`Server`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it listens"]
pub struct ServerBuilder {
    router: Router,
    limits: Limits,
    token: Option<Bytes>,
    connections_max: usize,
    drain_timeout: Duration,
    busy_poll: BusyPoll,
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

    /// Sets how many connections may be open at once, 4,096 unless told otherwise. Further ones are
    /// refused with the error BUSY.
    pub const fn connections_max(mut self, connections: usize) -> Self {
        self.connections_max = connections;
        self
    }

    /// Sets how long a shutdown lets open calls go on before it ends them, 30 s unless told
    /// otherwise.
    pub const fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Sets whether connections poll their sockets before their tasks park.
    pub const fn busy_poll(mut self, busy_poll: BusyPoll) -> Self {
        self.busy_poll = busy_poll;
        self
    }

    /// Listens at this address: `unix:PATH`, `unix-abstract:NAME`, `tcp:HOST:PORT` or
    /// `memory:NAME`. From now on clients can connect; [`Server::serve`] answers them.
    ///
    /// # Errors
    /// The address is not one, it cannot be listened at, or a limit is out of its range: the text
    /// says why, and what to do.
    pub async fn listen(self, address: &str) -> Result<Server, Error> {
        self.build()?.also_listen(address).await
    }

    /// Takes connections of this listener, of any transport.
    ///
    /// # Errors
    /// A limit is out of its range.
    pub fn listen_on(self, listener: impl Listener) -> Result<Server, Error> {
        Ok(self.build()?.also_listen_on(listener))
    }

    fn build(self) -> Result<Server, Error> {
        self.limits.validate(Side::Accepting)?;
        let handle = ServerHandle { stop: Arc::new(watch::channel(false).0) };
        Ok(Server { options: Arc::new(self), listeners: Vec::new(), handle })
    }
}

/// A server that listens. Dropping it closes its addresses and ends its connections.
///
/// A handler runs in the task of its connection until it waits for the first time, and in a task of
/// its own from then on: most local handlers answer at once, and cost no task. One that blocks its
/// thread, or computes for long before its first await, holds up the calls of its connection
/// meanwhile; leave such work to [`tokio::task::spawn_blocking`].
#[derive(Debug)]
pub struct Server {
    options: Arc<ServerBuilder>,
    listeners: Vec<Box<dyn Listener>>,
    handle: ServerHandle,
}

/// Shuts a [`Server`] down from elsewhere.
#[derive(Debug, Clone)]
pub struct ServerHandle {
    stop: Arc<watch::Sender<bool>>,
}

impl ServerHandle {
    /// Begins the shutdown: no new connections and calls; open calls go on until they end, or until
    /// the drain timeout. Then [`Server::serve`] returns.
    pub fn shutdown(&self) {
        self.stop.send_replace(true);
    }

    async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        if stop.wait_for(|stop| *stop).await.is_err() {
            pending::<()>().await;
        }
    }
}

impl Server {
    /// A server with options.
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            router: Router::default(),
            limits: Limits::accepting(),
            token: None,
            connections_max: 4096,
            drain_timeout: Duration::from_secs(30),
            busy_poll: BusyPoll::default(),
        }
    }

    /// Listens at one more address.
    ///
    /// # Errors
    /// The address is not one, or it cannot be listened at.
    pub async fn also_listen(mut self, address: &str) -> Result<Self, Error> {
        let address: Address = address.parse()?;
        self.listeners.push(transports::listen(&address).await?);
        Ok(self)
    }

    /// Takes connections of one more listener.
    #[must_use]
    pub fn also_listen_on(mut self, listener: impl Listener) -> Self {
        self.listeners.push(Box::new(listener));
        self
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
    /// ended. Dropping the future ends them at once.
    pub async fn serve(self) {
        self.serve_until(pending()).await;
    }

    /// Answers clients until this future has completed, then shuts down as
    /// [`ServerHandle::shutdown`] does.
    pub async fn serve_until(self, signal: impl Future<Output = ()>) {
        let Self { options, listeners, handle } = self;
        let connections = Arc::new(Connections::default());
        // Dropped with this future: nothing goes on that nobody waits for.
        let _ending = EndAll(Arc::clone(&connections));
        let mut accepting: Vec<_> = listeners
            .into_iter()
            .map(|listener| {
                Box::pin(accept_all(listener, Arc::clone(&options), Arc::clone(&connections)))
            })
            .collect();
        tokio::select! {
            () = signal => {}
            () = handle.stopped() => {}
            () = poll_all(&mut accepting) => {}
        }
        // Not in tasks of their own: once the listeners are dropped, the addresses are free.
        drop(accepting);
        let drained = tokio::time::timeout(options.drain_timeout, connections.drain()).await;
        if drained.is_err() {
            connections.abort("the drain timeout has passed");
            // GOAWAY goes out and the peers close, for a second at the most.
            let limit = bowline_protocol::CLOSE_TIMEOUT + Duration::from_secs(1);
            let _ = tokio::time::timeout(limit, connections.drain()).await;
        }
    }
}

/// Polls futures that never end.
async fn poll_all<F: Future<Output = Infallible>>(futures: &mut [Pin<Box<F>>]) {
    poll_fn(|cx| {
        for future in &mut *futures {
            let _ = future.as_mut().poll(cx);
        }
        Poll::Pending
    })
    .await
}

async fn accept_all(
    listener: Box<dyn Listener>,
    options: Arc<ServerBuilder>,
    connections: Arc<Connections>,
) -> Infallible {
    let router = Arc::new(options.router.clone());
    let mut config = Config::new(Side::Accepting);
    config.limits = options.limits.clone();
    config.token_expected.clone_from(&options.token);
    let mut config = Arc::new(config);
    loop {
        match listener.accept().await {
            Ok(socket) => {
                // Connections of one listener are alike, and share this.
                let keeps_written = socket.capabilities().keeps_written;
                if config.keeps_written != keeps_written {
                    Arc::make_mut(&mut config).keeps_written = keeps_written;
                }
                connections.start(socket, &options, &config, &router);
            }
            Err(error) => {
                tracing::warn!(address = %listener.address(), %error, "accepting failed");
                if is_shortage(&error) {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// The system has run out of something: trying again at once would only spin.
fn is_shortage(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::PermissionDenied
    )
}

/// Those connections of a server that have not ended.
#[derive(Default)]
struct Open {
    all: HashMap<u64, Arc<Shared>>,
    /// Those of them that are only told that there are too many.
    refused: HashSet<u64>,
}

/// The connections of a server.
#[derive(Default)]
struct Connections {
    open: Mutex<Open>,
    next: AtomicU64,
    /// Rings when a connection has ended.
    ended: tokio::sync::Notify,
}

impl Connections {
    fn start(
        self: &Arc<Self>,
        socket: Box<dyn Socket>,
        options: &ServerBuilder,
        config: &Arc<Config>,
        router: &Arc<Router>,
    ) {
        let (open, refused) = {
            let open = self.lock();
            (open.all.len() - open.refused.len(), open.refused.len())
        };
        let refuse = open >= options.connections_max;
        if refuse && refused >= REFUSALS_MAX {
            tracing::warn!(peer = ?socket.peer(), "connection closed: far too many are open");
            return;
        }
        tracing::debug!(peer = ?socket.peer(), refused = refuse, "connection accepted");
        // The limits have been checked when the server was built.
        let config = Arc::clone(config);
        let router = Arc::clone(router);
        let driver = channel::driver(socket, config, router, options.busy_poll);
        let Ok(mut driver) = driver else { return };
        let shared = Arc::clone(driver.shared());
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut open = self.lock();
        open.all.insert(number, Arc::clone(&shared));
        if refuse {
            open.refused.insert(number);
            driver.refuse(ErrorCode::Busy, "the server has as many connections as it takes");
        }
        drop(open);
        let connections = Arc::clone(self);
        tokio::spawn(async move {
            driver.run().await;
            if let Some(error) = shared.error() {
                tracing::info!(peer = ?shared.peer(), %error, "connection ended");
            }
            let mut open = connections.lock();
            open.all.remove(&number);
            open.refused.remove(&number);
            drop(open);
            connections.ended.notify_waiters();
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn each(&self, act: impl Fn(&Shared)) {
        let open: Vec<Arc<Shared>> = self.lock().all.values().cloned().collect();
        for shared in open {
            act(&shared);
        }
    }

    /// Asks all connections to end, and waits until they have.
    async fn drain(&self) {
        self.each(Shared::drain);
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.lock().all.is_empty() {
                return;
            }
            ended.await;
        }
    }

    fn abort(&self, text: &str) {
        self.each(|shared| shared.abort(ErrorCode::Shutdown, text));
    }
}

/// Ends all connections when it is dropped.
struct EndAll(Arc<Connections>);

impl Drop for EndAll {
    fn drop(&mut self) {
        self.0.abort("the server was dropped");
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("open", &self.lock().all.len()).finish_non_exhaustive()
    }
}
