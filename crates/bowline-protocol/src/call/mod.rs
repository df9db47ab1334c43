//! One call: its id, its states, what arrives for it and what it sends.

mod incoming;
mod outgoing;
mod queue;
pub(crate) mod state;

use std::borrow::Cow;
use std::fmt;
use std::time::Instant;

pub use incoming::Message;
pub(crate) use incoming::{Arrived, Incoming};
pub(crate) use outgoing::{Next, Outgoing, Sent, Tail};
use state::{CallerState, HandlerState, RequestState, ResponseState};

use crate::Side;
use crate::metadata::Metadata;
use crate::status::Status;

/// The id of a call: odd if the connecting side opened it, even if the accepting side did.
// [CAL-001]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(crate) u64);

impl CallId {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The side that opened the call.
    #[must_use]
    pub const fn opener(self) -> Side {
        Side::of_call(self.0)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What REQUEST will carry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Opening {
    pub(crate) method: Cow<'static, str>,
    pub(crate) metadata: Metadata,
}

/// What only the caller's end of a call has.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "hash", derive(PartialEq, Eq, Hash))]
pub(crate) struct Caller {
    pub(crate) life: CallerState,
    /// What REQUEST will carry, until it has moved.
    pub(crate) opening: Option<Opening>,
    /// Initial metadata, once RESPONSE, DATA or the terminal frame has come.
    pub(crate) head: Option<Metadata>,
    pub(crate) head_waiting: bool,
    /// How the call ended, until the application has taken it.
    pub(crate) outcome: Option<Status>,
    /// The application has taken the end, or given the call up.
    pub(crate) released: bool,
}

/// What only the responder's end of a call has.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "hash", derive(PartialEq, Eq, Hash))]
pub(crate) struct Responder {
    pub(crate) life: HandlerState,
    /// Why this side ends the call, where it does.
    pub(crate) cause: Option<Status>,
}

#[derive(Debug, Clone)]
#[cfg_attr(feature = "hash", derive(PartialEq, Eq, Hash))]
pub(crate) enum Role {
    Caller(Caller),
    Responder(Responder),
}

#[derive(Debug, Clone)]
#[cfg_attr(feature = "hash", derive(PartialEq, Eq, Hash))]
pub(crate) struct Call {
    pub(crate) role: Role,
    pub(crate) request: RequestState,
    pub(crate) response: ResponseState,
    pub(crate) outgoing: Outgoing,
    pub(crate) incoming: Incoming,
    pub(crate) deadline: Option<Instant>,
    /// CREDIT is owed and stands in the queue.
    pub(crate) credit_queued: bool,
}

impl Call {
    pub(crate) fn new(role: Role, outgoing: Outgoing, incoming: Incoming) -> Self {
        Self {
            role,
            request: RequestState::Open,
            response: ResponseState::Silent,
            outgoing,
            incoming,
            deadline: None,
            credit_queued: false,
        }
    }

    pub(crate) const fn caller(&self) -> Option<&Caller> {
        match &self.role {
            Role::Caller(caller) => Some(caller),
            Role::Responder(_) => None,
        }
    }

    pub(crate) const fn caller_mut(&mut self) -> Option<&mut Caller> {
        match &mut self.role {
            Role::Caller(caller) => Some(caller),
            Role::Responder(_) => None,
        }
    }

    pub(crate) const fn responder_mut(&mut self) -> Option<&mut Responder> {
        match &mut self.role {
            Role::Responder(responder) => Some(responder),
            Role::Caller(_) => None,
        }
    }

    /// Frames for it are still looked at.
    pub(crate) const fn is_live(&self) -> bool {
        match &self.role {
            Role::Caller(caller) => {
                matches!(caller.life, CallerState::Live | CallerState::Cancelled)
            }
            Role::Responder(responder) => !matches!(responder.life, HandlerState::Ended),
        }
    }
}
