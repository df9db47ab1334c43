//! What a connection tells its application.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use crate::call::{CallId, Message};
use crate::error::ConnectionError;
use crate::metadata::Metadata;
use crate::status::Status;

/// Something became ready or happened. Data is not in events: it is pulled, call by call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "hash", derive(Hash))]
#[non_exhaustive]
pub enum Event {
    /// The peer's HELLO has been read: its limits are known.
    Hello,
    /// The peer has opened a call.
    Request(IncomingCall),
    /// The application waited on this call, and there is a message, initial metadata or an end.
    Readable(CallId),
    /// The application was refused a message on this call, and there is room again.
    Writable(CallId),
    /// The handler of this call must end; its own status counts no more. Follows once at most.
    Stopped(CallId, StopReason),
    /// A PING was answered: this one and all before it.
    Pong(u64),
    /// The peer takes no more calls. Those above `last` have ended as not started.
    GoAway {
        /// The highest call of this side that may have started.
        last: u64,
    },
    /// These descriptors, counted from the connection's first, are to be closed.
    CloseDescriptors(Range<u64>),
    /// The connection has ended; `None` if cleanly. Nothing follows.
    Closed(Option<ConnectionError>),
}

/// A call that the peer has opened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct IncomingCall {
    /// Its id.
    pub call: CallId,
    /// Full name of the method, as the peer gave it.
    pub method: Arc<str>,
    /// Number that stands for the method on this connection, or 0.
    pub method_number: u16,
    /// When it must have ended.
    pub deadline: Option<Instant>,
    /// The caller's metadata.
    pub metadata: Metadata,
}

/// Why a handler must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// The caller has given the call up.
    Cancelled,
    /// The deadline has passed.
    Deadline,
    /// A limit was met.
    Limit,
    /// The connection is lost.
    Lost,
}

/// What a call has for its application.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recv {
    /// The next message.
    Message(Message),
    /// Nothing yet. The application now waits: [`Event::Readable`] tells when to look again.
    Pending,
    /// The caller sends no more messages.
    Finished,
    /// The call has ended, so. Told once.
    Ended(Status),
}
