//! One blocking connection: the core, its output and who waits on it, behind one short lock.
//!
//! There is no thread of the connection's own. Whoever waits for something, a caller for its reply, a
//! server's thread for the next call, a handler for a message, takes the [`Reader`] if it is there:
//! then it reads, feeds the core and tells others what has come for them, until what it waits for is
//! there. Whoever finds the reader taken sleeps, and is woken by the one who reads; who is done hands
//! the reader on. A caller alone on its connection so makes one system call to send and one to
//! receive.
//!
//! Reading never waits for writing: nothing is sent but what the socket takes at once. While it is full,
//! the one who reads waits for room as well. If that one sleeps in a plain `recv`, the first who needs
//! room waits for it itself. Who sends a message stays until it is in the socket or its call is over,
//! so that none is left to nobody.

mod calls;
mod reader;
mod serve;
mod turn;
mod wait;
mod waiters;
mod watch;

use std::collections::VecDeque;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bowline_protocol::{
    CallId, Config, Connection, ConnectionError, ErrorCode, LimitError, Metadata, Open, Outbound,
    PeerLimits, SendError,
};
use bowline_transport::PeerIdentity;
use bytes::Bytes;

pub(super) use self::calls::Received;
use self::reader::Reader;
pub(super) use self::reader::poll;
pub(super) use self::serve::Duty;
use self::waiters::{Interest, Waiters, Woken};
pub(super) use self::watch::{Seen, Watch};
use super::Socket;
use super::service::Service;
use super::workers::Workers;
use crate::Status;
use crate::arrivals::{Arrival, Arrivals};
use crate::messages::Single;
use crate::router::Router;
use crate::status::{connection_status, open_status};

/// A connection that nobody has read for so long is looked at before it is taken for usable.
const LOOKED: Duration = Duration::from_millis(10);

/// A connection, shared by its channels, its calls and the threads that serve it.
pub(crate) struct Shared {
    state: Mutex<State>,
    peer: PeerIdentity,
    router: Arc<Router<dyn Service>>,
    /// There on a side that takes calls.
    served: Option<Served>,
}

/// By whom the peer's calls are answered.
pub(super) struct Served {
    pub(super) workers: Arc<Workers>,
    /// This connection's number among theirs.
    pub(super) number: u64,
    pub(super) watch: Watch,
}

/// What the lock protects. It is never held over a wait.
pub(super) struct State {
    core: Connection,
    out: Outbound,
    /// Gone with the end of the connection, whoever still holds a handle.
    socket: Option<Arc<dyn Socket>>,
    /// There while nobody reads.
    reader: Option<Reader>,
    arrivals: Arrivals<dyn Service>,
    /// Calls whose handlers are to be started.
    starts: VecDeque<Arrival>,
    /// Threads that were asked for to start handlers, and have not come yet.
    asked: usize,
    waiters: Waiters,
    /// The socket is full.
    blocked: bool,
    /// Threads that wait until it is not.
    watchers: u32,
    /// Writing has been ended.
    shut: bool,
    /// The last PING answered.
    ponged: u64,
    /// When it was last seen what has come.
    looked: Instant,
    closed: bool,
}

/// The state, locked. Threads that are woken meanwhile are told once it is unlocked.
struct Guard<'a> {
    state: MutexGuard<'a, State>,
    /// Dropped after the lock.
    woken: Woken,
}

impl Deref for Guard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.woken = self.state.waiters.take_woken();
    }
}

impl Shared {
    pub(super) fn new(
        socket: Arc<dyn Socket>,
        mut config: Config,
        router: Arc<Router<dyn Service>>,
        served: Option<Served>,
        refuse: Option<(ErrorCode, &'static str)>,
    ) -> Result<Arc<Self>, LimitError> {
        config.keeps_written = socket.keeps_written();
        let peer = socket.peer().clone();
        let mut reader = Reader::new(Arc::clone(&socket));
        reader.refuse = refuse;
        let now = Instant::now();
        let state = State {
            core: Connection::new(config, now)?,
            out: Outbound::new(),
            socket: Some(socket),
            reader: Some(reader),
            arrivals: Arrivals::new(Arc::clone(&router)),
            starts: VecDeque::new(),
            asked: 0,
            waiters: Waiters::default(),
            blocked: false,
            watchers: 0,
            shut: false,
            ponged: 0,
            looked: now,
            closed: false,
        };
        Ok(Arc::new(Self { state: Mutex::new(state), peer, router, served }))
    }

    pub(super) const fn peer(&self) -> &PeerIdentity {
        &self.peer
    }

    fn lock(&self) -> Guard<'_> {
        // A panic under the lock is a bug of ours; what the state says still holds call by call.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Guard { state, woken: Woken::default() }
    }

    /// Changes the state, and sends what came of it.
    fn with<R>(self: &Arc<Self>, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        self.advance(&mut state, Instant::now());
        self.leave(state);
        result
    }

    /// Says HELLO: the peer does not wait for it for ever.
    pub(super) fn greet(self: &Arc<Self>) {
        self.with(|_| ());
    }

    /// Opens a call, to send messages later.
    pub(super) fn open(self: &Arc<Self>, open: Open) -> Result<CallId, Status> {
        self.with(|state| state.core.open(open, Instant::now()).map_err(open_status))
    }

    /// Opens a call and sends its only message.
    pub(super) fn open_with(
        self: &Arc<Self>,
        open: Open,
        message: Bytes,
    ) -> Result<CallId, Status> {
        self.with(|state| state.open_with(open, message, Instant::now()))
    }

    /// Makes a call that takes one message and gives one; how it ended, and what it brought.
    pub(super) fn unary(
        self: &Arc<Self>,
        open: Open,
        message: Bytes,
    ) -> Result<(Single, Status), Status> {
        let now = Instant::now();
        let mut state = self.lock();
        let id = match state.open_with(open, message, now) {
            Ok(id) => id,
            Err(status) => {
                self.advance(&mut state, now);
                self.leave(state);
                return Err(status);
            }
        };
        let mut single = Single::new();
        let status =
            self.wait_from(state, now, Interest::Only(id), |state| state.reply(id, &mut single));
        status.map(|status| (single, status))
    }

    /// Waits for the end of a call that gives one message.
    pub(super) fn reply(self: &Arc<Self>, id: CallId) -> Result<(Single, Status), Status> {
        let mut single = Single::new();
        let status = self.wait(Interest::Recv(id), |state| state.reply(id, &mut single));
        status.map(|status| (single, status))
    }

    /// Waits for the next message of a call, in which this thread may be the only one to have a part.
    pub(super) fn recv(self: &Arc<Self>, id: CallId, only: bool) -> Received {
        let interest = if only { Interest::Only(id) } else { Interest::Recv(id) };
        self.wait(interest, |state| state.recv(id))
    }

    /// Waits for a call's initial metadata.
    pub(super) fn head(self: &Arc<Self>, id: CallId) -> Metadata {
        self.wait(Interest::Recv(id), |state| match state.core.call(id) {
            Some(mut call) => call.head(),
            None => Some(Metadata::new()),
        })
    }

    /// Hands a message over and sends it, once there is room for it.
    pub(super) fn send(self: &Arc<Self>, id: CallId, message: &Bytes) -> Result<(), SendError> {
        let handed = |state: &mut State| match state.send(id, message) {
            Err(SendError::Full) => None,
            result => Some(result),
        };
        let interest = Interest::Send(id);
        let (state, result) = self.wait_locked(self.lock(), Instant::now(), interest, handed);
        self.wait_written(state, id);
        result
    }

    /// Hands a message over, if there is room for it, to be sent together with later ones.
    pub(super) fn feed(&self, id: CallId, message: &Bytes) -> Result<(), SendError> {
        self.lock().send(id, message)
    }

    /// Sends what was handed over.
    pub(super) fn flush(self: &Arc<Self>, id: CallId) {
        let mut state = self.lock();
        self.advance(&mut state, Instant::now());
        self.wait_written(state, id);
    }

    /// Accepts a call of the peer's.
    pub(super) fn respond(
        self: &Arc<Self>,
        id: CallId,
        metadata: Metadata,
    ) -> Result<(), SendError> {
        let responded = self.with_call(id, |mut call| call.respond(metadata));
        self.flush(id);
        responded.unwrap_or(Err(SendError::Closed))
    }

    /// Changes a call, if it is still there, and sends what came of it. Who waits on it looks again.
    pub(super) fn with_call<R>(
        self: &Arc<Self>,
        id: CallId,
        change: impl FnOnce(bowline_protocol::CallMut<'_>) -> R,
    ) -> Option<R> {
        self.with(|state| {
            let result = state.core.call(id).map(change);
            state.waiters.wake_call(id);
            result
        })
    }

    /// The handler of this call must end, or the call has ended.
    pub(super) fn is_stopped(&self, id: CallId) -> bool {
        self.lock().core.call(id).is_none_or(|mut call| call.stopped().is_some())
    }

    /// Takes no more calls, lets those that are open end, and ends the connection.
    pub(super) fn drain(self: &Arc<Self>) {
        self.with(|state| state.core.drain());
    }

    /// Ends the connection at once.
    pub(super) fn abort(self: &Arc<Self>, code: ErrorCode, text: &str) {
        self.with(|state| state.core.abort(code, text, Instant::now()));
    }

    /// Ends the connection if no call is open.
    pub(super) fn end_if_idle(self: &Arc<Self>, code: ErrorCode, text: &str) {
        self.with(|state| {
            if state.core.is_idle() {
                state.core.abort(code, text, Instant::now());
            }
        });
    }

    /// Ends the connection without another word: whoever waits on it is told.
    pub(super) fn kill(&self) {
        let mut state = self.lock();
        if !state.core.is_closed() {
            state.core.handle_eof(Instant::now());
        }
        self.handle_events(&mut state);
    }

    /// New calls can be opened. Looks whether the peer has gone, if nobody has read for a while.
    pub(super) fn is_usable(self: &Arc<Self>) -> bool {
        let mut state = self.lock();
        let now = Instant::now();
        if now.saturating_duration_since(state.looked) > LOOKED {
            self.catch_up(&mut state, now);
            self.advance(&mut state, now);
        }
        !state.closed && !state.core.is_draining() && state.core.error().is_none()
    }

    /// Was good for calls: the peer let this side in.
    pub(super) fn has_stood(&self) -> bool {
        let state = self.lock();
        let refused = matches!(
            state.core.error(),
            Some(ConnectionError::PeerClosed { code: ErrorCode::Busy | ErrorCode::Token, .. })
        );
        state.core.peer_limits().message_max.is_some() && !refused
    }

    /// Waits for the peer's HELLO.
    pub(super) fn established(self: &Arc<Self>) -> Result<PeerLimits, Status> {
        self.wait(Interest::Change, |state| {
            if let Some(error) = state.end() {
                return Some(Err(connection_status(&error)));
            }
            state.core.is_established().then(|| Ok(state.core.peer_limits().clone()))
        })
    }

    /// Sends a PING and waits for its answer.
    pub(super) fn ping(self: &Arc<Self>) -> Result<(), Status> {
        let number = self.with(|state| state.core.ping());
        self.wait(Interest::Change, |state| {
            if state.ponged >= number {
                return Some(Ok(()));
            }
            state.end().map(|error| Err(connection_status(&error)))
        })
    }

    /// Waits for the end of the connection.
    pub(super) fn closed(self: &Arc<Self>) -> Option<ConnectionError> {
        self.wait(Interest::Change, |state| state.closed.then(|| state.core.error().cloned()))
    }
}

impl State {
    /// Why the connection has ended or is ending, if it is.
    fn end(&self) -> Option<ConnectionError> {
        let clean = self.closed.then_some(ConnectionError::Eof);
        self.core.error().cloned().or(clean)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer).finish_non_exhaustive()
    }
}
