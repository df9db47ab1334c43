//! One connection at runtime: the core, its output and who waits on it, behind one short lock.
//!
//! Whoever has something to send puts it straight into the core and writes to the socket; there is
//! no queue and no task between. A driver task reads, and writes what others could not.

mod call;
mod driver;
mod handlers;
mod polling;

use std::fmt;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bowline_protocol::{
    CallId, CallMap, CallMut, Config, Connection, ConnectionError, ErrorCode, Metadata, Open,
    OpenError, Outbound, PeerLimits, SendError, SpareBuffers,
};
use bowline_transport::{PeerIdentity, Socket};
use bytes::{Bytes, BytesMut};
use prost::Message;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

pub(crate) use self::call::{CallHandle, HandlerGuard, Received};
pub(crate) use self::driver::Driver;
pub(crate) use self::handlers::Handlers;
pub use self::polling::BusyPoll;
use crate::{Status, messages};

/// Slices of one vectored write.
const SLICES: usize = 32;

/// Writes in a row of one flush; what is left then is the driver's.
const WRITES_MAX: usize = 8;

/// A connection, shared by its driver, its channels and its calls.
pub(crate) struct Shared {
    state: Mutex<State>,
    peer: PeerIdentity,
    /// Rings when HELLO, the answer to a PING or the end has come.
    changed: Notify,
}

/// What the lock protects. It is never held over an await or a wake.
pub(crate) struct State {
    pub(crate) core: Connection,
    out: Outbound,
    /// Gone with the end of the connection, whoever still holds a handle.
    socket: Option<Arc<dyn Socket>>,
    entries: CallMap<Entry>,
    /// The driver is about to write: others only add their frames.
    deferred: bool,
    /// The socket is full: the driver waits until it is not.
    blocked: bool,
    /// Writing has been ended.
    shut: bool,
    /// A driver that waits is to be told when something is sent: it would poll for the answer.
    eager: bool,
    /// Set while the driver waits; taken by who wants it to run.
    driver: Option<Waker>,
    /// When the driver's timer rings.
    armed: Option<Instant>,
    /// The last PING answered.
    pub(crate) ponged: u64,
    closed: bool,
    /// When the driver last looked.
    clock: Instant,
    /// Memory of large messages that were sent.
    spares: SpareBuffers,
}

/// Who waits on a call.
#[derive(Default)]
struct Entry {
    recv: Option<Waker>,
    send: Option<Waker>,
    handler: Option<AbortHandle>,
    trailers: Metadata,
}

/// A message that is about to be sent.
#[derive(Debug)]
pub(crate) enum Payload<'a, M> {
    Message(&'a M),
    Bytes(Bytes),
}

/// A call that has been opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) call: CallHandle,
    /// Its task is woken when the call has something.
    pub(crate) waits: bool,
}

/// A call whose message has not been sent: it is given up unless this is forgotten.
struct Unsent<'a> {
    state: &'a mut State,
    id: CallId,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if let Some(call) = self.state.core.call(self.id) {
            call.cancel();
        }
    }
}

impl Shared {
    pub(crate) fn new(
        socket: Arc<dyn Socket>,
        mut config: Arc<Config>,
    ) -> Result<Arc<Self>, bowline_protocol::LimitError> {
        let keeps_written = socket.capabilities().keeps_written;
        if config.keeps_written != keeps_written {
            Arc::make_mut(&mut config).keeps_written = keeps_written;
        }
        let peer = socket.peer().clone();
        let now = Instant::now();
        let state = State {
            core: Connection::new(config, now)?,
            out: Outbound::new(),
            socket: Some(socket),
            entries: CallMap::new(),
            deferred: false,
            blocked: false,
            shut: false,
            eager: false,
            driver: None,
            armed: None,
            ponged: 0,
            closed: false,
            clock: now,
            spares: SpareBuffers::new(),
        };
        Ok(Arc::new(Self { state: Mutex::new(state), peer, changed: Notify::new() }))
    }

    pub(crate) const fn peer(&self) -> &PeerIdentity {
        &self.peer
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a bug of ours; what the state says still holds call by call.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and sends what came of it.
    fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        let mut driver = None;
        if !state.deferred {
            self.flush(&mut state, Instant::now());
            if state.needs_driver() {
                driver = state.driver.take();
            }
        }
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }

    fn with_flush<R>(&self, deferred: bool, change: impl FnOnce(&mut State) -> R) -> R {
        if deferred { self.with_deferred(change) } else { self.with(change) }
    }

    /// Changes the state and lets the driver send what came of it, together with what others add
    /// until it runs.
    fn with_deferred<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        // A driver that is about to write needs no waking.
        let driver = if state.deferred { None } else { state.driver.take() };
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }

    /// Writes as much as the socket takes, within reason: the rest of a long queue is the driver's.
    fn flush(&self, state: &mut State, now: Instant) {
        for _ in 0..WRITES_MAX {
            if state.blocked {
                break;
            }
            state.core.poll_transmit(&mut state.out, now);
            if state.out.is_empty() {
                self.end_writing(state);
                break;
            }
            match self.write(state, |socket, slices| socket.try_send(slices, &[])) {
                Ok(all) => state.blocked = !all,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => state.blocked = true,
                Err(_) => state.core.handle_write_failed(now),
            }
        }
    }

    /// Waits until the socket takes more, and writes.
    fn poll_unblock(&self, state: &mut State, cx: &mut Context<'_>, now: Instant) {
        while state.blocked {
            state.core.poll_transmit(&mut state.out, now);
            let mut pending = false;
            let written =
                self.write(state, |socket, slices| match socket.poll_send(cx, slices, &[]) {
                    Poll::Ready(result) => result,
                    Poll::Pending => {
                        pending = true;
                        Err(io::ErrorKind::WouldBlock.into())
                    }
                });
            if pending {
                return;
            }
            state.blocked = matches!(written, Ok(false));
            if written.is_err() {
                state.core.handle_write_failed(now);
            }
        }
    }

    /// Writes once; whether the socket took all that it was given. One that did not is full.
    fn write(
        &self,
        state: &mut State,
        send: impl FnOnce(&dyn Socket, &[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<bool> {
        let Some(socket) = &state.socket else { return Err(io::ErrorKind::NotConnected.into()) };
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = state.out.slices(&mut slices);
        let given: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
        match send(&**socket, &slices[..filled]) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(sent) => {
                state.out.advance(sent);
                Ok(sent == given)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn end_writing(&self, state: &mut State) {
        if state.core.is_write_ended() && !state.shut {
            state.shut = true;
            // A peer that is gone cannot be told; reading finds that out.
            let _ = state.socket.as_ref().map(|socket| socket.shutdown());
        }
    }

    fn encode(&self, message: &impl Message) -> Bytes {
        let length = message.encoded_len();
        if length < SpareBuffers::LEAST {
            return messages::encode(message);
        }
        let spare = self.lock().spares.take(length);
        let mut buffer = spare.unwrap_or_else(|| BytesMut::with_capacity(length));
        message.encode_raw(&mut buffer);
        self.lock().spares.freeze(buffer)
    }

    /// Opens a call and sends its message, if it has one already. With a context, its task then waits
    /// for what the call brings.
    pub(crate) fn open<M: Message>(
        self: &Arc<Self>,
        open: Open,
        message: Option<&M>,
        cx: Option<&Context<'_>>,
    ) -> Result<Opened, Status> {
        let payload = message.map(|message| self.payload(message));
        // Without a message, one is about to follow: both go in one write.
        let deferred = payload.is_none();
        let (id, waits) = self.with_flush(deferred, |state| {
            // Only a deadline asks how late it is.
            let now = if open.deadline.is_some() { Instant::now() } else { state.clock };
            let id = state.core.open(open, now).map_err(open_status)?;
            if let Some(mut payload) = payload {
                state.send_first(id, &mut payload, now)?;
            }
            Ok((id, cx.is_some_and(|cx| state.wait_if_empty(id, cx))))
        })?;
        Ok(Opened { call: CallHandle::caller(Arc::clone(self), id), waits })
    }

    /// A message as it is sent: a short one is encoded where it goes.
    pub(crate) fn payload<'a, M: Message>(&self, message: &'a M) -> Payload<'a, M> {
        if message.encoded_len() <= CallMut::AT_ONCE_MAX {
            Payload::Message(message)
        } else {
            Payload::Bytes(self.encode(message))
        }
    }

    /// Takes no more calls, lets those that are open end, and ends the connection.
    pub(crate) fn drain(&self) {
        self.with(|state| state.core.drain());
        self.kick();
    }

    /// Ends the connection at once.
    pub(crate) fn abort(&self, code: ErrorCode, text: &str) {
        self.with(|state| state.core.abort(code, text, Instant::now()));
        self.kick();
    }

    /// Makes the driver run.
    fn kick(&self) {
        let driver = self.lock().driver.take();
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// New calls can be opened.
    pub(crate) fn is_usable(&self) -> bool {
        let state = self.lock();
        !state.closed && !state.core.is_draining() && state.core.error().is_none()
    }

    /// Was good for calls: the peer let this side in.
    pub(crate) fn has_stood(&self) -> bool {
        let state = self.lock();
        let refused = matches!(
            state.core.error(),
            Some(ConnectionError::PeerClosed { code: ErrorCode::Busy | ErrorCode::Token, .. })
        );
        state.core.peer_limits().message_max.is_some() && !refused
    }

    /// Waits for the peer's HELLO.
    pub(crate) async fn established(&self) -> Result<PeerLimits, Status> {
        self.until(|state| {
            if let Some(error) = state.end() {
                return Some(Err(connection_status(&error)));
            }
            state.core.is_established().then(|| Ok(state.core.peer_limits().clone()))
        })
        .await
    }

    /// Sends a PING and waits for its answer.
    pub(crate) async fn ping(&self) -> Result<(), Status> {
        let number = self.with(|state| state.core.ping());
        self.until(|state| {
            if state.ponged >= number {
                return Some(Ok(()));
            }
            state.end().map(|error| Err(connection_status(&error)))
        })
        .await
    }

    /// Why the connection has ended or is ending, if it was not clean.
    pub(crate) fn error(&self) -> Option<ConnectionError> {
        self.lock().core.error().cloned()
    }

    /// Waits for the end of the connection.
    pub(crate) async fn closed(&self) -> Option<ConnectionError> {
        self.until(|state| state.closed.then(|| state.core.error().cloned())).await
    }

    /// Waits until there is a result; looks again whenever something has changed.
    async fn until<R>(&self, mut result: impl FnMut(&State) -> Option<R>) -> R {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(result) = result(&self.lock()) {
                return result;
            }
            changed.await;
        }
    }
}

impl State {
    /// Sends the only message of a call that has just been opened; if that fails, the call is gone.
    fn send_first<M: Message>(
        &mut self,
        id: CallId,
        payload: &mut Payload<'_, M>,
        now: Instant,
    ) -> Result<(), Status> {
        let unsent = Unsent { state: self, id };
        unsent.state.core.transmit_requests(&mut unsent.state.out, now);
        match unsent.state.send(id, payload, true) {
            // A call that takes no message has ended already, and tells so itself: it was too late.
            Ok(()) | Err(SendError::Closed) => {
                std::mem::forget(unsent);
                Ok(())
            }
            Err(error) => Err(Status::resource_exhausted(error.to_string()).with_not_started(true)),
        }
    }

    /// Sends a message on a call; what is sent is taken out of a payload of bytes.
    fn send<M: Message>(
        &mut self,
        id: CallId,
        payload: &mut Payload<'_, M>,
        last: bool,
    ) -> Result<(), SendError> {
        let Some(mut call) = self.core.call(id) else { return Err(SendError::Closed) };
        match payload {
            Payload::Message(message) => call.send_message(*message, last, &mut self.out),
            Payload::Bytes(bytes) => {
                call.check_send(bytes.len())?;
                call.send(std::mem::take(bytes), last)
            }
        }
    }

    /// There is something that only the driver does.
    fn needs_driver(&self) -> bool {
        let earlier = |timer: Instant| self.armed.is_none_or(|armed| timer < armed);
        self.blocked
            || !self.out.is_empty()
            || self.eager && self.core.slots_used() > 0
            || self.core.wants_transmit()
            || self.core.has_events()
            || self.core.is_closed()
            || self.core.poll_timeout().is_some_and(earlier)
    }

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

/// What the caller is told of a call that could not be opened.
fn open_status(error: OpenError) -> Status {
    let status = match &error {
        OpenError::Connection(connection) => connection_status(connection),
        OpenError::NoCalls => Status::unimplemented(error.to_string()),
        OpenError::MethodName { .. } => Status::invalid_argument(error.to_string()),
        OpenError::Metadata(error) => match error {
            bowline_protocol::MetadataError::TooLarge { .. } => {
                Status::resource_exhausted(error.to_string())
            }
            _ => Status::invalid_argument(error.to_string()),
        },
        OpenError::IdsExhausted => Status::unavailable(error.to_string()),
        _ => Status::resource_exhausted(error.to_string()),
    };
    status.with_not_started(true)
}

/// What a user of the connection is told of its end.
pub(crate) fn connection_status(error: &ConnectionError) -> Status {
    match error {
        ConnectionError::PeerIncompatible(_) => Status::failed_precondition(error.to_string()),
        _ => Status::unavailable(error.to_string()),
    }
}
