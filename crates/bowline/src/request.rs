//! Requests and responses: a message and what goes beside it.

use std::time::{Duration, Instant};

use bowline_protocol::Metadata;
use bowline_transport::PeerIdentity;

#[cfg(feature = "blocking")]
use crate::blocking;
#[cfg(feature = "tokio")]
use crate::channel::Channel;

/// A message of a caller, with metadata and a deadline; at the server with the caller's identity.
#[derive(Debug, Clone)]
pub struct Request<T> {
    message: T,
    metadata: Metadata,
    deadline: Option<Deadline>,
    caller: Option<Caller>,
}

/// Who made a call, and the way back: of the kind that the server is.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    #[cfg(feature = "tokio")]
    Async(Channel),
    #[cfg(feature = "blocking")]
    Blocking(blocking::Caller),
}

#[derive(Debug, Clone, Copy)]
enum Deadline {
    In(Duration),
    At(Instant),
}

impl<T> Request<T> {
    /// A request without metadata and deadline.
    pub const fn new(message: T) -> Self {
        Self { message, metadata: Metadata::new(), deadline: None, caller: None }
    }

    pub(crate) const fn received(
        message: T,
        metadata: Metadata,
        deadline: Option<Instant>,
        caller: Caller,
    ) -> Self {
        let deadline = match deadline {
            Some(at) => Some(Deadline::At(at)),
            None => None,
        };
        Self { message, metadata, deadline, caller: Some(caller) }
    }

    /// Ends the call with DEADLINE_EXCEEDED when it has not ended this long after it was made.
    pub const fn set_timeout(&mut self, timeout: Duration) {
        self.deadline = Some(Deadline::In(timeout));
    }

    /// As [`set_timeout`](Self::set_timeout), for use in an expression.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.set_timeout(timeout);
        self
    }

    /// Sets the metadata, for use in an expression.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// The message.
    pub const fn message(&self) -> &T {
        &self.message
    }

    /// The message, to be changed.
    pub const fn message_mut(&mut self) -> &mut T {
        &mut self.message
    }

    /// The message alone.
    pub fn into_inner(self) -> T {
        self.message
    }

    /// What the caller says beside the message.
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The metadata, to be changed.
    pub const fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// In a handler: when the call must have ended. The handler is dropped then; a blocking one, which
    /// cannot be, is told (`is_cancelled`).
    pub fn deadline(&self) -> Option<Instant> {
        match self.deadline? {
            Deadline::At(at) => Some(at),
            Deadline::In(timeout) => Instant::now().checked_add(timeout),
        }
    }

    /// In a handler: who calls, as far as the transport knows; for a Unix socket the uid, gid and
    /// pid that the kernel vouches for.
    pub fn peer(&self) -> Option<&PeerIdentity> {
        match self.caller.as_ref()? {
            #[cfg(feature = "tokio")]
            Caller::Async(channel) => channel.fixed_peer(),
            #[cfg(feature = "blocking")]
            Caller::Blocking(caller) => Some(caller.peer()),
        }
    }

    /// In a handler: a channel back to the caller, for callbacks on the same connection. Calls fail
    /// with UNIMPLEMENTED unless the client takes calls
    /// ([`ChannelBuilder::add_service`](crate::ChannelBuilder::add_service)). A handler of a blocking
    /// server has none; see `blocking_caller`.
    #[cfg(feature = "tokio")]
    pub const fn caller(&self) -> Option<&Channel> {
        match &self.caller {
            Some(Caller::Async(channel)) => Some(channel),
            _ => None,
        }
    }

    /// In a handler of a blocking server: a channel back to the caller, as `caller` gives it to other
    /// handlers.
    #[cfg(feature = "blocking")]
    pub const fn blocking_caller(&self) -> Option<&blocking::Channel> {
        match &self.caller {
            Some(Caller::Blocking(caller)) => Some(caller.channel()),
            _ => None,
        }
    }

    /// In a handler of a blocking server: nobody waits for the answer any more, as the caller has
    /// cancelled the call, its deadline has passed, or the connection is lost. A handler that computes
    /// for long looks here now and then, and returns. Always `false` elsewhere: other handlers are
    /// dropped.
    #[cfg(feature = "blocking")]
    pub fn is_cancelled(&self) -> bool {
        match &self.caller {
            Some(Caller::Blocking(caller)) => caller.is_cancelled(),
            _ => false,
        }
    }

    pub(crate) fn into_parts(self, default: Option<Duration>) -> (T, Metadata, Option<Instant>) {
        let default = default.map(Deadline::In);
        let deadline = match self.deadline.or(default) {
            Some(Deadline::At(at)) => Some(at),
            Some(Deadline::In(timeout)) => Instant::now().checked_add(timeout),
            None => None,
        };
        (self.message, self.metadata, deadline)
    }
}

/// What can be the request of a call: a [`Request`], or the message alone.
pub trait IntoRequest<T> {
    /// The request.
    fn into_request(self) -> Request<T>;
}

impl<T> IntoRequest<T> for Request<T> {
    fn into_request(self) -> Self {
        self
    }
}

impl<T> IntoRequest<T> for T {
    fn into_request(self) -> Request<T> {
        Request::new(self)
    }
}

/// A message of a server, with initial and trailing metadata.
#[derive(Debug, Clone)]
pub struct Response<T> {
    message: T,
    metadata: Metadata,
    trailers: Metadata,
}

impl<T> Response<T> {
    /// A response without metadata.
    pub const fn new(message: T) -> Self {
        Self { message, metadata: Metadata::new(), trailers: Metadata::new() }
    }

    pub(crate) const fn from_parts(message: T, metadata: Metadata, trailers: Metadata) -> Self {
        Self { message, metadata, trailers }
    }

    pub(crate) fn into_parts(self) -> (T, Metadata, Metadata) {
        (self.message, self.metadata, self.trailers)
    }

    /// The message.
    pub const fn message(&self) -> &T {
        &self.message
    }

    /// The message alone.
    pub fn into_inner(self) -> T {
        self.message
    }

    /// Initial metadata: what goes before the message.
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Initial metadata, to be changed.
    pub const fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// Trailing metadata: what goes behind the message.
    pub const fn trailers(&self) -> &Metadata {
        &self.trailers
    }

    /// Trailing metadata, to be changed.
    pub const fn trailers_mut(&mut self) -> &mut Metadata {
        &mut self.trailers
    }
}

impl<T> From<T> for Response<T> {
    fn from(message: T) -> Self {
        Self::new(message)
    }
}
