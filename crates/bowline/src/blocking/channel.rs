//! Channels: a client's connection to a server, made once or made again when it is lost.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bowline_protocol::{CALLS_LEAST, Config, Limits, Open, PeerLimits, Side};
use bowline_transport::{Address, PeerIdentity};
use bytes::Bytes;
use prost::Message;

use super::connection::Shared;
use super::reconnecting::Reconnecting;
use super::service::Service;
use super::streaming::{Call, Reply, Sender, Streaming};
use super::transport::{self, Connector};
use super::workers::Workers;
use crate::error::Error;
use crate::method::Method;
use crate::reconnect::Reconnect;
use crate::request::{Request, Response};
use crate::router::Router;
use crate::{Status, messages};

/// What a call over a channel that was closed is told.
pub(super) const CLOSED: &str = "this side closed the channel";
/// Threads that answer callbacks, beside the one that reads.
const CALLBACK_THREADS: usize = 64;

/// Makes calls to one server. Cheap to clone; all clones share one connection, and any number of
/// threads may call at once.
///
/// When the last clone is dropped, the calls that are open go on, and then the connection ends.
///
/// A channel has no thread of its own: what arrives is read by the threads that wait for it. So while
/// none waits, nothing is read, not even the server's PING, nor is the rest written of what the socket
/// did not take at once, and a stream that is left open for long without a look at it may be ended by
/// the server (`stall_timeout`). Only a channel that takes calls
/// ([`ChannelBuilder::add_service`]) has threads that read and answer them.
#[derive(Clone)]
pub struct Channel {
    inner: Inner,
    timeout: Option<Duration>,
}

#[derive(Clone)]
enum Inner {
    /// One connection, for as long as it lasts.
    Fixed(Arc<Link>),
    /// A connection that is made again.
    Reconnecting(Arc<Reconnecting>),
}

/// A connection that is used by channels.
pub(super) struct Link {
    pub(super) shared: Arc<Shared>,
    /// The connection ends with its last channel.
    owner: bool,
    /// A channel was closed: its clones open no more calls.
    closed: AtomicBool,
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.owner {
            self.shared.drain();
        }
    }
}

impl Channel {
    /// Connects to a server, with the defaults: `unix:PATH`, `unix-abstract:NAME` or
    /// `tcp:HOST:PORT`.
    ///
    /// # Errors
    /// The address is not one, or nobody could be reached there: the text says why, and what to do.
    pub fn connect(address: &str) -> Result<Self, Error> {
        Self::builder(address)?.connect()
    }

    /// A channel with options.
    ///
    /// # Errors
    /// The address is not one, or its transport is not built in or has no blocking half, as
    /// `memory:`.
    pub fn builder(address: &str) -> Result<ChannelBuilder, Error> {
        let address: Address = address.parse()?;
        Ok(ChannelBuilder::new(transport::connector(address)?))
    }

    /// A channel over any transport, or with its options.
    pub fn with_connector(connector: impl Connector) -> ChannelBuilder {
        ChannelBuilder::new(Arc::new(connector))
    }

    pub(super) fn callback(shared: Arc<Shared>) -> Self {
        let link = Link { shared, owner: false, closed: AtomicBool::new(false) };
        Self { inner: Inner::Fixed(Arc::new(link)), timeout: None }
    }

    /// The connection of a channel that has one.
    pub(super) fn fixed(&self) -> Option<&Arc<Shared>> {
        match &self.inner {
            Inner::Fixed(link) => Some(&link.shared),
            Inner::Reconnecting(_) => None,
        }
    }

    /// Waits until the server has said what it accepts, and returns that. Calls need not wait for
    /// it.
    ///
    /// # Errors
    /// The connection is lost, or the peer speaks something else.
    pub fn ready(&self) -> Result<PeerLimits, Status> {
        self.link(None)?.shared.established()
    }

    /// Sends a PING and waits for its answer: one round trip.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn ping(&self) -> Result<Duration, Status> {
        let link = self.link(None)?;
        let start = Instant::now();
        link.shared.ping()?;
        Ok(start.elapsed())
    }

    /// Who is at the other end, as far as the transport knows; `None` while there is no connection.
    #[must_use]
    pub fn peer(&self) -> Option<PeerIdentity> {
        match &self.inner {
            Inner::Fixed(link) => Some(link.shared.peer().clone()),
            Inner::Reconnecting(reconnecting) => reconnecting.peer(),
        }
    }

    /// Opens no more calls, lets those that are open end, and waits until the connection is closed.
    /// Other clones of the channel fail with UNAVAILABLE from now on. The connection of a callback's
    /// channel is the client's: there, only further calls fail.
    pub fn close(self) {
        let link = match &self.inner {
            Inner::Fixed(link) => Some(Arc::clone(link)),
            Inner::Reconnecting(reconnecting) => reconnecting.close(),
        };
        if let Some(link) = link {
            link.closed.store(true, Ordering::Relaxed);
            if link.owner {
                link.shared.drain();
                link.shared.closed();
            }
        }
    }

    fn link(&self, deadline: Option<Instant>) -> Result<Arc<Link>, Status> {
        match &self.inner {
            Inner::Fixed(link) if link.closed.load(Ordering::Relaxed) => {
                Err(Status::unavailable(CLOSED).with_not_started(true))
            }
            Inner::Fixed(link) => Ok(Arc::clone(link)),
            Inner::Reconnecting(reconnecting) => reconnecting.link(deadline),
        }
    }

    /// Makes a call that takes one message and gives one. Used by generated code.
    ///
    /// # Errors
    /// How the call ended, if not well.
    pub fn unary<Q: Message, R: Message + Default>(
        &self,
        method: &Method,
        request: Request<Q>,
    ) -> Result<Response<R>, Status> {
        let (message, metadata, deadline) = request.into_parts(self.timeout);
        let message = messages::encode(&message);
        let link = self.link(deadline)?;
        let open = Open::new(method.path()).with_deadline(deadline).with_metadata(metadata);
        let (mut single, status) = link.shared.unary(open, message)?;
        single.conclude(status)
    }

    /// Makes a call that takes one message and gives any number. Used by generated code.
    ///
    /// # Errors
    /// The call could not be opened.
    pub fn server_streaming<Q: Message, R: Message + Default>(
        &self,
        method: &Method,
        request: Request<Q>,
    ) -> Result<Streaming<R>, Status> {
        let (message, metadata, deadline) = request.into_parts(self.timeout);
        let message = messages::encode(&message);
        let link = self.link(deadline)?;
        let open = Open::new(method.path()).with_deadline(deadline).with_metadata(metadata);
        let id = link.shared.open_with(open, message)?;
        Ok(Streaming::new(Arc::new(Call::reading(Arc::clone(&link.shared), id))))
    }

    /// Makes a call that takes any number of messages and gives one. Used by generated code.
    ///
    /// # Errors
    /// The call could not be opened.
    pub fn client_streaming<Q: Message, R: Message + Default>(
        &self,
        method: &Method,
        request: Request<()>,
    ) -> Result<(Sender<Q>, Reply<R>), Status> {
        let call = self.open(method, request)?;
        Ok((Sender::new(Arc::clone(&call)), Reply::new(call)))
    }

    /// Makes a call that takes and gives any number of messages. Used by generated code.
    ///
    /// # Errors
    /// The call could not be opened.
    pub fn bidi_streaming<Q: Message, R: Message + Default>(
        &self,
        method: &Method,
        request: Request<()>,
    ) -> Result<(Sender<Q>, Streaming<R>), Status> {
        let call = self.open(method, request)?;
        Ok((Sender::new(Arc::clone(&call)), Streaming::new(call)))
    }

    fn open(&self, method: &Method, request: Request<()>) -> Result<Arc<Call>, Status> {
        let ((), metadata, deadline) = request.into_parts(self.timeout);
        let link = self.link(deadline)?;
        let open = Open::new(method.path()).with_deadline(deadline).with_metadata(metadata);
        let id = link.shared.open(open)?;
        Ok(Arc::new(Call::caller(Arc::clone(&link.shared), id)))
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Channel");
        match &self.inner {
            Inner::Fixed(link) => debug.field("connection", &link.shared),
            Inner::Reconnecting(reconnecting) => debug.field("connection", reconnecting),
        };
        debug.finish_non_exhaustive()
    }
}

/// Options of a [`Channel`].
#[derive(Clone)]
#[must_use = "a builder does nothing until it connects"]
pub struct ChannelBuilder {
    connector: Arc<dyn Connector>,
    limits: Limits,
    token: Bytes,
    timeout: Option<Duration>,
    router: Router<dyn Service>,
    reconnect: Option<Reconnect>,
}

impl ChannelBuilder {
    fn new(connector: Arc<dyn Connector>) -> Self {
        Self {
            connector,
            limits: Limits::connecting(),
            token: Bytes::new(),
            timeout: None,
            router: Router::default(),
            reconnect: None,
        }
    }

    /// Sets what this side accepts and holds.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the secret that the server asks for.
    pub fn token(mut self, token: impl Into<Bytes>) -> Self {
        self.token = token.into();
        self
    }

    /// Sets the deadline of calls whose request has none.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Answers calls of the server's on the same connection: callbacks. They are answered by threads of
    /// the channel's own, as a server's are.
    pub fn add_service(mut self, service: impl Service) -> Self {
        let methods = service.methods();
        self.router.add(Arc::new(service), methods);
        self
    }

    /// Connects again when the connection is lost. Calls in flight at that moment fail with
    /// UNAVAILABLE and say whether they may have started; none is repeated. Calls made while there
    /// is no connection wait for one.
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = Some(reconnect);
        self
    }

    /// Connects; with [`reconnect`](Self::reconnect) this is the first attempt, and it must succeed.
    ///
    /// # Errors
    /// Nobody could be reached, or a limit is out of its range.
    pub fn connect(self) -> Result<Channel, Error> {
        let link = self.connect_once()?;
        let timeout = self.timeout;
        let inner = match self.reconnect {
            None => Inner::Fixed(link),
            Some(policy) => {
                Inner::Reconnecting(Arc::new(Reconnecting::new(self, policy, Some(link))))
            }
        };
        Ok(Channel { inner, timeout })
    }

    /// Makes a channel that connects when the first call is made, and again when the connection is
    /// lost.
    ///
    /// # Errors
    /// A limit is out of its range.
    pub fn connect_lazily(self) -> Result<Channel, Error> {
        self.limits.validate(Side::Connecting)?;
        let policy = self.reconnect.unwrap_or_default();
        let timeout = self.timeout;
        let inner = Inner::Reconnecting(Arc::new(Reconnecting::new(self, policy, None)));
        Ok(Channel { inner, timeout })
    }

    pub(super) fn connect_once(&self) -> Result<Arc<Link>, Error> {
        let socket = self.connector.connect()?;
        let mut config = Config::new(Side::Connecting);
        config.limits = self.limits.clone();
        config.token = self.token.clone();
        let router = Arc::new(self.router.clone());
        let shared = if self.router.is_empty() {
            Shared::new(Arc::from(socket), config, router, None, None)?
        } else {
            config.limits.calls_max = config.limits.calls_max.max(CALLS_LEAST);
            Workers::of_one_connection(CALLBACK_THREADS, socket, config, router)?
        };
        shared.greet();
        Ok(Arc::new(Link { shared, owner: true, closed: AtomicBool::new(false) }))
    }
}

impl fmt::Debug for ChannelBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelBuilder")
            .field("limits", &self.limits)
            .field("timeout", &self.timeout)
            .field("reconnect", &self.reconnect)
            .finish_non_exhaustive()
    }
}
