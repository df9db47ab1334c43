//! One side of a connection: commands, timers and events. The receive path stands in `receive.rs`,
//! the send path in `transmit.rs`, an application's view of one call in `calls.rs`, how calls and
//! connections end in `ending.rs`.

mod at_once;
mod calls;
mod ending;
mod invariants;
mod receive;
mod transmit;
mod turns;

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

pub use self::calls::CallMut;
use self::receive::Receive;
use self::transmit::Transmit;
use crate::Side;
use crate::call::state::CallerState;
use crate::call::{Call, CallId, Caller, Incoming, Opening, Outgoing, Role};
use crate::call_map::CallMap;
use crate::error::{ConnectionError, LimitError, OpenError};
use crate::event::Event;
use crate::frame::NUMBER_END;
use crate::limits::{CLOSE_TIMEOUT, Limits, METHOD_NAME_MAX, PeerLimits};
use crate::metadata::Metadata;

/// The major version of the protocol.
pub const VERSION: u8 = 1;

/// The first bytes of each side.
// [PRE-001]
pub const PREFACE: [u8; 8] = *b"BOWLINE\x01";

/// What a connection is to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Config {
    /// Which side of the connection this is.
    pub side: Side,
    /// What this side accepts and holds.
    pub limits: Limits,
    /// Feature bits that this side offers.
    pub features_offered: u32,
    /// Feature bits without which this side ends the connection.
    pub features_required: u32,
    /// The secret that this side shows in its HELLO.
    pub token: Bytes,
    /// The secret that this side asks for, if any.
    pub token_expected: Option<Bytes>,
    /// What the peer wrote before it closed stays readable (Unix sockets, memory; not TCP).
    pub keeps_written: bool,
}

impl Config {
    /// The defaults of this side.
    #[must_use]
    pub fn new(side: Side) -> Self {
        Self {
            side,
            limits: match side {
                Side::Connecting => Limits::connecting(),
                Side::Accepting => Limits::accepting(),
            },
            features_offered: 0,
            features_required: 0,
            token: Bytes::new(),
            token_expected: None,
            keeps_written: false,
        }
    }
}

/// A call to be opened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Open {
    /// Full name of the method, `package.Service/Method`.
    pub method: Cow<'static, str>,
    /// When the call must have ended.
    pub deadline: Option<Instant>,
    /// Metadata of the request.
    pub metadata: Metadata,
}

impl Open {
    /// A call of this method without deadline and metadata.
    #[must_use]
    pub fn new(method: impl Into<Cow<'static, str>>) -> Self {
        Self { method: method.into(), deadline: None, metadata: Metadata::new() }
    }

    /// Sets the deadline.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }
}

/// Where a connection is; a drain is apart from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    /// The peer's preface has not been read.
    Preface,
    /// The peer's HELLO has not been read.
    Hello,
    Open,
    /// Writing has ended after a drain; input is discarded.
    Finishing,
    /// Writing ends after an error; input is discarded.
    Discarding,
    Closed,
}

/// How far a drain of this side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Drain {
    None,
    /// Asked for before the peer's HELLO was there.
    Wanted,
    /// GOAWAY(2^53−1) and PING are owed or sent; the real one follows the answer.
    Announced {
        ping: u64,
    },
    /// GOAWAY with the real number is owed or sent.
    Real,
}

/// One side of a connection, as plain data.
///
/// Four kinds of methods:
/// - *inputs* tell what happened: [`handle_input`](Self::handle_input),
///   [`handle_eof`](Self::handle_eof), [`handle_write_failed`](Self::handle_write_failed),
///   [`handle_timeout`](Self::handle_timeout), [`settle`](Self::settle);
/// - *commands* are the application's wishes: [`open`](Self::open), [`call`](Self::call),
///   [`ping`](Self::ping), [`drain`](Self::drain), [`abort`](Self::abort);
/// - *outputs* say what is to be done: [`poll_transmit`](Self::poll_transmit),
///   [`poll_event`](Self::poll_event), [`poll_timeout`](Self::poll_timeout);
/// - the rest looks.
///
/// Any order of calls is correct. After inputs and commands, drain the outputs: that is what makes
/// progress. Time is the caller's: `now` must not go backwards by much, and a little is harmless.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "hash", derive(PartialEq, Eq, Hash))]
pub struct Connection {
    /// Shared, as a server's connections all have the same.
    config: Arc<Config>,
    peer: PeerLimits,
    phase: Phase,
    drain: Drain,
    /// `last` of the peer's GOAWAY.
    peer_goaway: Option<u64>,
    /// Why the connection has ended or is ending.
    error: Option<ConnectionError>,
    calls: CallMap<Call>,
    next_call: u64,
    deadlines: BTreeSet<(Instant, CallId)>,
    events: VecDeque<Event>,
    receive: Receive,
    transmit: Transmit,
    handshake_deadline: Option<Instant>,
    close_deadline: Option<Instant>,
    last_read: Instant,
}

impl Connection {
    /// A connection that has just been made.
    ///
    /// # Errors
    /// A limit is out of its range.
    pub fn new(config: impl Into<Arc<Config>>, now: Instant) -> Result<Self, LimitError> {
        let config = config.into();
        config.limits.validate(config.side)?;
        Ok(Self {
            peer: PeerLimits::initial(config.side.peer()),
            phase: Phase::Preface,
            drain: Drain::None,
            peer_goaway: None,
            error: None,
            calls: CallMap::new(),
            next_call: if config.side == Side::Connecting { 1 } else { 2 },
            deadlines: BTreeSet::new(),
            // Mostly it is one at a time, and many connections are idle.
            events: VecDeque::with_capacity(2),
            receive: Receive::new(&config.limits),
            transmit: Transmit::new(config.side),
            handshake_deadline: now.checked_add(config.limits.handshake_timeout),
            close_deadline: None,
            last_read: now,
            config,
        })
    }

    /// Opens a call. It waits while all slots are taken; what is sent on it waits with it.
    ///
    /// # Errors
    /// The call has not started: see [`OpenError`].
    pub fn open(&mut self, open: Open, now: Instant) -> Result<CallId, OpenError> {
        let Open { method, deadline, metadata } = open;
        self.check_open(&method, &metadata)?;
        let id = CallId(self.next_call);
        self.next_call += 2;
        let caller = Caller {
            life: CallerState::Waiting,
            opening: Some(Opening { method, metadata }),
            head: None,
            head_waiting: false,
            outcome: None,
            released: false,
        };
        let limits = &self.config.limits;
        let incoming = Incoming::new(limits.window, limits.window_ahead);
        let outgoing = Outgoing::new(self.peer.window);
        let mut call = Call::new(Role::Caller(caller), outgoing, incoming);
        call.deadline = deadline;
        self.calls.insert(id, call);
        self.transmit.waiting.push_back(id);
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, id));
            if deadline <= now {
                self.expire(id);
            }
        }
        Ok(id)
    }

    fn check_open(&self, method: &str, metadata: &Metadata) -> Result<(), OpenError> {
        if !(1..=METHOD_NAME_MAX).contains(&method.len()) {
            return Err(OpenError::MethodName { length: method.len() });
        }
        // [GOA-002]
        if self.peer_goaway.is_some() && self.error.is_none() {
            return Err(OpenError::Connection(ConnectionError::Draining));
        }
        if !matches!(self.phase, Phase::Preface | Phase::Hello | Phase::Open) {
            let error = self.error.clone().unwrap_or(if self.drain == Drain::None {
                ConnectionError::Eof
            } else {
                ConnectionError::LocallyClosed
            });
            return Err(OpenError::Connection(error));
        }
        if self.phase == Phase::Open && self.peer.calls_max == 0 {
            return Err(OpenError::NoCalls);
        }
        let waiting = self.transmit.waiting.len();
        if waiting >= self.config.limits.waiting_max {
            return Err(OpenError::TooManyWaiting { waiting });
        }
        if self.next_call >= NUMBER_END {
            return Err(OpenError::IdsExhausted);
        }
        metadata.check_size(self.peer.metadata_max, method.len())?;
        Ok(())
    }

    /// The view of a call; `None` once it has ended and its end was taken.
    pub fn call(&mut self, call: CallId) -> Option<CallMut<'_>> {
        let held = match &self.calls.get(call)?.role {
            Role::Caller(caller) => !caller.released,
            Role::Responder(_) => true,
        };
        held.then(|| CallMut::new(self, call))
    }

    /// Sends a PING; [`Event::Pong`] with the returned number or a higher one is its answer.
    pub fn ping(&mut self) -> u64 {
        self.transmit.next_ping()
    }

    /// Takes no more calls, lets those that are open end, then ends the connection. Refuses no call
    /// that the peer opens before it hears of it.
    // [GOA-003]
    pub fn drain(&mut self) {
        if self.drain != Drain::None {
            return;
        }
        self.drain = match self.phase {
            Phase::Open if self.config.limits.calls_max > 0 => {
                let ping = self.transmit.next_ping();
                self.transmit.goaway_first = true;
                Drain::Announced { ping }
            }
            Phase::Open => {
                self.transmit.goaway_real = true;
                Drain::Real
            }
            _ => Drain::Wanted,
        };
        // A client that has not said who it is does not hold up a shutdown for long.
        if self.config.side == Side::Accepting
            && let Some(deadline) = &mut self.handshake_deadline
        {
            *deadline = (*deadline).min(self.last_read + CLOSE_TIMEOUT);
        }
    }

    /// Gives memory back that an idle connection does not need. A driver calls it when nothing has
    /// come for a while.
    pub fn shrink(&mut self) {
        self.calls.shrink();
        self.events.shrink_to_fit();
        self.transmit.shrink();
        self.receive.fresh.shrink_to_fit();
        self.receive.spares.clear();
    }

    /// The next event, in the order in which things happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether [`poll_event`](Self::poll_event) has something.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called, at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.phase == Phase::Closed {
            return None;
        }
        let mut earliest = self.close_deadline;
        for deadline in [
            self.handshake_deadline,
            self.receive.frame_deadline,
            self.transmit.stall_deadline,
            self.keepalive_deadline(),
            self.deadlines.first().map(|(deadline, _)| *deadline),
        ] {
            if deadline.is_some() && (earliest.is_none() || deadline < earliest) {
                earliest = deadline;
            }
        }
        earliest
    }

    fn keepalive_deadline(&self) -> Option<Instant> {
        let interval = self.config.limits.keepalive?;
        if self.phase != Phase::Open {
            return None;
        }
        let silent_for =
            if self.transmit.keepalive_sent { interval.saturating_mul(2) } else { interval };
        self.last_read.checked_add(silent_for)
    }

    /// The side of the connection that this is.
    #[must_use]
    pub fn side(&self) -> Side {
        self.config.side
    }

    /// What this side accepts and holds.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// What the peer accepts: the initial limits until its HELLO has been read.
    #[must_use]
    pub const fn peer_limits(&self) -> &PeerLimits {
        &self.peer
    }

    /// The feature bits in use: those that both sides offer.
    // [HEL-006]
    #[must_use]
    pub fn features(&self) -> u32 {
        self.config.features_offered & self.peer.features_offered
    }

    /// Why the connection has ended or is ending, if it was not clean.
    #[must_use]
    pub const fn error(&self) -> Option<&ConnectionError> {
        self.error.as_ref()
    }

    /// The connection is over: the socket can be closed.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Nothing more will be sent: once the output is empty, the driver ends writing.
    #[must_use]
    pub const fn is_write_ended(&self) -> bool {
        self.transmit.ended
    }

    /// The peer's HELLO has been read.
    #[must_use]
    pub const fn is_established(&self) -> bool {
        !matches!(self.phase, Phase::Preface | Phase::Hello)
    }

    /// Takes no new calls: this side drains, or the peer does.
    #[must_use]
    pub const fn is_draining(&self) -> bool {
        !matches!(self.drain, Drain::None) || self.peer_goaway.is_some()
    }

    /// No call is open in either direction, and none waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.transmit.slots_used == 0
            && self.receive.responding == 0
            && self.transmit.waiting.is_empty()
    }

    /// Calls of this side that take a slot of the peer's.
    #[must_use]
    pub const fn slots_used(&self) -> u32 {
        self.transmit.slots_used
    }

    /// Calls of the peer's that take a slot of this side's.
    #[must_use]
    pub const fn responding(&self) -> u32 {
        self.receive.responding
    }

    /// Bytes of messages that wait for the application, on all calls.
    #[must_use]
    pub fn buffered(&self) -> u64 {
        self.calls.iter().map(|(_, call)| call.incoming.buffered()).sum()
    }

    fn close_within(&mut self, timeout: Duration, now: Instant) {
        let deadline = now + timeout;
        self.close_deadline = Some(self.close_deadline.map_or(deadline, |d| d.min(deadline)));
    }
}

#[cfg(test)]
mod tests;
