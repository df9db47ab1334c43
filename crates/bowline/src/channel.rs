//! Channels: a client's connection to a server, made once or made again when it is lost.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bowline_protocol::{CALLS_LEAST, Config, Limits, Open, PeerLimits, Side};
use bowline_transport::{Address, Connector, PeerIdentity, Socket};
use bytes::Bytes;
use prost::Message;

use crate::connection::{BusyPoll, CallHandle, Driver, Handlers, Opened, Shared};
use crate::error::Error;
use crate::messages::Single;
use crate::method::Method;
use crate::reconnect::Reconnect;
use crate::reconnecting::Reconnecting;
use crate::request::{Request, Response};
use crate::service::{Router, Service};
use crate::streaming::{Reply, Sender, Streaming};
use crate::{Status, transports};

/// What a call over a channel that was closed is told.
pub(crate) const CLOSED: &str = "this side closed the channel";

/// Makes calls to one server. Cheap to clone; all clones share one connection.
///
/// When the last clone is dropped, the calls that are open go on, and then the connection ends.
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
pub(crate) struct Link {
    pub(crate) shared: Arc<Shared>,
    /// The connection ends with its last channel.
    owner: bool,
    /// A channel was closed: its clones open no more calls.
    closed: AtomicBool,
}

impl Link {
    fn open(
        &self,
        open: Open,
        message: Option<&impl Message>,
        cx: Option<&Context<'_>>,
    ) -> Result<Opened, Status> {
        self.check_open()?;
        self.shared.open(open, message, cx)
    }

    fn check_open(&self) -> Result<(), Status> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Status::unavailable(CLOSED).with_not_started(true));
        }
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.owner {
            self.shared.drain();
        }
    }
}

impl Channel {
    /// Connects to a server, with the defaults: `unix:PATH`, `unix-abstract:NAME`, `tcp:HOST:PORT`
    /// or `memory:NAME`.
    ///
    /// # Errors
    /// The address is not one, or nobody could be reached there: the text says why, and what to do.
    pub async fn connect(address: &str) -> Result<Self, Error> {
        Self::builder(address)?.connect().await
    }

    /// A channel with options.
    ///
    /// # Errors
    /// The address is not one, or its transport is not built in.
    pub fn builder(address: &str) -> Result<ChannelBuilder, Error> {
        let address: Address = address.parse()?;
        Ok(ChannelBuilder::new(transports::connector(&address)?))
    }

    /// A channel over any transport.
    pub fn with_connector(connector: impl Connector) -> ChannelBuilder {
        ChannelBuilder::new(Arc::new(connector))
    }

    pub(crate) fn callback(shared: Arc<Shared>) -> Self {
        let link = Link { shared, owner: false, closed: AtomicBool::new(false) };
        Self { inner: Inner::Fixed(Arc::new(link)), timeout: None }
    }

    /// Waits until the server has said what it accepts, and returns that. Calls need not wait for
    /// it.
    ///
    /// # Errors
    /// The connection is lost, or the peer speaks something else.
    pub async fn ready(&self) -> Result<PeerLimits, Status> {
        self.link().await?.shared.established().await
    }

    /// Sends a PING and waits for its answer: one round trip.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn ping(&self) -> Result<Duration, Status> {
        let link = self.link().await?;
        let start = Instant::now();
        link.shared.ping().await?;
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

    /// Who is at the other end of a channel that has one connection.
    pub(crate) fn fixed_peer(&self) -> Option<&PeerIdentity> {
        match &self.inner {
            Inner::Fixed(link) => Some(link.shared.peer()),
            Inner::Reconnecting(_) => None,
        }
    }

    /// Opens no more calls, lets those that are open end, and waits until the connection is closed.
    /// Other clones of the channel fail with UNAVAILABLE from now on. The connection of a callback's
    /// channel is the client's: there, only further calls fail.
    pub async fn close(self) {
        let link = match &self.inner {
            Inner::Fixed(link) => Some(Arc::clone(link)),
            Inner::Reconnecting(reconnecting) => reconnecting.close(),
        };
        if let Some(link) = link {
            link.closed.store(true, Ordering::Relaxed);
            if link.owner {
                link.shared.drain();
                link.shared.closed().await;
            }
        }
    }

    async fn link(&self) -> Result<Arc<Link>, Status> {
        match &self.inner {
            Inner::Fixed(link) => link.check_open().map(|()| Arc::clone(link)),
            Inner::Reconnecting(reconnecting) => reconnecting.link(None).await,
        }
    }

    /// Makes a call that takes one message and gives one. Used by generated code.
    ///
    /// # Errors
    /// How the call ended, if not well.
    pub async fn unary<Q: Message, R: Message + Default>(
        &self,
        method: &Method,
        request: Request<Q>,
    ) -> Result<Response<R>, Status> {
        let (message, open) = self.prepare(method, request);
        let made;
        let link = match &self.inner {
            Inner::Fixed(link) => link,
            Inner::Reconnecting(reconnecting) => {
                made = reconnecting.link(open.deadline).await?;
                &made
            }
        };
        // Opening the call and waiting for its reply is one step.
        let mut unopened = Some((open, message));
        let mut call = None;
        let mut single = Single::new();
        poll_fn(|cx| {
            if let Some((open, message)) = unopened.take() {
                let opened = link.open(open, Some(&message), Some(cx))?;
                call = Some(opened.call);
                if opened.waits {
                    return Poll::Pending;
                }
            }
            call.as_ref().expect("it was opened").poll_reply(&mut single, cx)
        })
        .await
    }

    /// Makes a call that takes one message and gives any number. Used by generated code.
    ///
    /// # Errors
    /// The call could not be opened.
    pub async fn server_streaming<Q: Message, R: Message + Default>(
        &self,
        method: &Method,
        request: Request<Q>,
    ) -> Result<Streaming<R>, Status> {
        let call = self.open(method, request, true).await?;
        Ok(Streaming::new(Arc::new(call)))
    }

    /// Makes a call that takes any number of messages and gives one. Used by generated code.
    ///
    /// # Errors
    /// The call could not be opened.
    pub async fn client_streaming<Q: Message, R: Message + Default>(
        &self,
        method: &Method,
        request: Request<()>,
    ) -> Result<(Sender<Q>, Reply<R>), Status> {
        let call = Arc::new(self.open(method, request, false).await?);
        Ok((Sender::new(Arc::clone(&call)), Reply::new(call)))
    }

    /// Makes a call that takes and gives any number of messages. Used by generated code.
    ///
    /// # Errors
    /// The call could not be opened.
    pub async fn bidi_streaming<Q: Message, R: Message + Default>(
        &self,
        method: &Method,
        request: Request<()>,
    ) -> Result<(Sender<Q>, Streaming<R>), Status> {
        let call = Arc::new(self.open(method, request, false).await?);
        Ok((Sender::new(Arc::clone(&call)), Streaming::new(call)))
    }

    async fn open<Q: Message>(
        &self,
        method: &Method,
        request: Request<Q>,
        single: bool,
    ) -> Result<CallHandle, Status> {
        let (message, open) = self.prepare(method, request);
        let message = single.then_some(&message);
        let opened = match &self.inner {
            Inner::Fixed(link) => link.open(open, message, None),
            Inner::Reconnecting(reconnecting) => {
                reconnecting.link(open.deadline).await?.open(open, message, None)
            }
        };
        opened.map(|opened| opened.call)
    }

    fn prepare<Q>(&self, method: &Method, request: Request<Q>) -> (Q, Open) {
        let (message, metadata, deadline) = request.into_parts(self.timeout);
        let open = Open::new(method.path()).with_deadline(deadline).with_metadata(metadata);
        (message, open)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Channel");
        match &self.inner {
            Inner::Fixed(link) => debug.field("connection", &link.shared),
            Inner::Reconnecting(reconnecting) => debug.field("connector", reconnecting),
        };
        debug.finish_non_exhaustive()
    }
}

/// Options of a [`Channel`].
#[derive(Clone)]
#[must_use = "a builder does nothing until it connects"]
pub struct ChannelBuilder {
    pub(crate) connector: Arc<dyn Connector>,
    limits: Limits,
    token: Bytes,
    timeout: Option<Duration>,
    busy_poll: BusyPoll,
    router: Router,
    reconnect: Option<Reconnect>,
}

impl ChannelBuilder {
    fn new(connector: Arc<dyn Connector>) -> Self {
        Self {
            connector,
            limits: Limits::connecting(),
            token: Bytes::new(),
            timeout: None,
            busy_poll: BusyPoll::default(),
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

    /// Sets whether the connection polls its socket before its task parks.
    pub const fn busy_poll(mut self, busy_poll: BusyPoll) -> Self {
        self.busy_poll = busy_poll;
        self
    }

    /// Answers calls of the server's on the same connection: callbacks.
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
    pub async fn connect(self) -> Result<Channel, Error> {
        let link = self.connect_once().await?;
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

    pub(crate) async fn connect_once(&self) -> Result<Arc<Link>, Error> {
        let socket = self.connector.connect().await?;
        let mut config = Config::new(Side::Connecting);
        config.limits = self.limits.clone();
        if !self.router.is_empty() {
            config.limits.calls_max = config.limits.calls_max.max(CALLS_LEAST);
        }
        config.token = self.token.clone();
        let router = Arc::new(self.router.clone());
        let driver = driver(socket, Arc::new(config), router, self.busy_poll)?;
        let shared = Arc::clone(driver.shared());
        tokio::spawn(driver.run());
        Ok(Arc::new(Link { shared, owner: true, closed: AtomicBool::new(false) }))
    }
}

impl fmt::Debug for ChannelBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelBuilder")
            .field("connector", &self.connector)
            .field("limits", &self.limits)
            .field("timeout", &self.timeout)
            .field("reconnect", &self.reconnect)
            .finish_non_exhaustive()
    }
}

/// What runs the protocol over a socket.
pub(crate) fn driver(
    socket: Box<dyn Socket>,
    config: Arc<Config>,
    router: Arc<Router>,
    busy_poll: BusyPoll,
) -> Result<Box<Driver>, Error> {
    let socket: Arc<dyn Socket> = Arc::from(socket);
    let shared = Shared::new(Arc::clone(&socket), config)?;
    let caller = Channel::callback(Arc::clone(&shared));
    let handlers = Handlers::new(router, caller);
    Ok(Box::new(Driver::new(shared, socket, handlers, busy_poll)))
}
