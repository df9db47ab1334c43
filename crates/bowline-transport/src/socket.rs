//! The contract: what a transport must do, and nothing of how it does it.
//!
//! Bowline's protocol needs a reliable, ordered stream of bytes in both directions. A transport is a
//! [`Connector`], a [`Listener`] and the [`Socket`] that both of them yield. All three are
//! object-safe, so that a transport can live in any crate. The contract knows no runtime: readiness
//! is told through [`std::task::Waker`]s.

use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::BytesMut;

use crate::{Address, PeerIdentity, TransportError};

/// One connected stream of bytes, in both directions.
///
/// One task at a time waits to receive and one task at a time waits to send: a later `poll_*` call
/// of the same direction replaces the earlier waker. `try_*` never touches a waker and may be called
/// from any thread. Dropping the socket closes it in both directions.
pub trait Socket: Send + Sync + fmt::Debug + 'static {
    /// Receives bytes into the spare capacity of `buf`, which must not be zero, and appends the
    /// descriptors that came along to `descriptors`. `Ok(0)` is the end of the peer's writing.
    ///
    /// Cancellation-safe: nothing is lost when `Pending` is returned.
    ///
    /// # Errors
    /// Any error but `Interrupted` ends receiving. Bytes that arrived before it were returned first.
    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buf: &mut BytesMut,
        descriptors: &mut Vec<OwnedFd>,
    ) -> Poll<io::Result<usize>>;

    /// As [`poll_recv`](Self::poll_recv), but fails with `WouldBlock` where that would wait.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; else as `poll_recv`.
    fn try_recv(&self, buf: &mut BytesMut, descriptors: &mut Vec<OwnedFd>) -> io::Result<usize>;

    /// Sends a prefix of `data`, as much as fits, and with its first byte all of `descriptors`.
    /// Returns how many bytes went; at least one where `data` is not empty.
    ///
    /// # Errors
    /// Any error but `Interrupted` ends sending; receiving goes on. Never raises SIGPIPE.
    /// `Unsupported` where `descriptors` is not empty and the transport cannot carry them.
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
    ) -> Poll<io::Result<usize>>;

    /// As [`poll_send`](Self::poll_send), but fails with `WouldBlock` where that would wait.
    ///
    /// # Errors
    /// `WouldBlock` when there is no room; else as `poll_send`.
    fn try_send(&self, data: &[IoSlice<'_>], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize>;

    /// Ends writing: the peer reads what was sent, then end of file. Receiving goes on.
    ///
    /// # Errors
    /// As the system reports; a socket whose peer is gone may report that.
    fn shutdown(&self) -> io::Result<()>;

    /// Who is at the other end, as far as the transport knows.
    fn peer(&self) -> &PeerIdentity;

    /// What the transport can do beyond carrying bytes.
    fn capabilities(&self) -> Capabilities;
}

/// What a transport can do beyond carrying bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Capabilities {
    /// What a peer wrote before it closed stays readable, whatever this side wrote meanwhile (Unix
    /// sockets, memory; not TCP, where a reset discards it).
    pub keeps_written: bool,
    /// Descriptors can be passed.
    pub descriptors: bool,
}

impl Capabilities {
    /// What an in-order stream of bytes has and nothing more.
    #[must_use]
    pub const fn new() -> Self {
        Self { keeps_written: false, descriptors: false }
    }

    /// Says whether what was written stays readable after the writer has closed.
    #[must_use]
    pub const fn with_keeps_written(mut self, yes: bool) -> Self {
        self.keeps_written = yes;
        self
    }

    /// Says whether descriptors can be passed.
    #[must_use]
    pub const fn with_descriptors(mut self, yes: bool) -> Self {
        self.descriptors = yes;
        self
    }
}

/// Makes connections to one address.
#[async_trait]
pub trait Connector: Send + Sync + fmt::Debug + 'static {
    /// Connects once. Cancellation-safe: a dropped attempt leaves nothing behind.
    ///
    /// # Errors
    /// What kept it from connecting, with what to do about it.
    async fn connect(&self) -> Result<Box<dyn Socket>, TransportError>;

    /// The address that it connects to.
    fn address(&self) -> &Address;
}

/// Accepts connections at one address. Dropping it closes the address and removes what it left in
/// the file system, if it is still its own.
#[async_trait]
pub trait Listener: Send + Sync + fmt::Debug + 'static {
    /// Waits for the next connection. Cancellation-safe.
    ///
    /// # Errors
    /// Those of one accept. The listener stays usable; the caller pauses before it tries again
    /// where the error is a lack of resources (EMFILE, ENFILE, ENOBUFS, ENOMEM).
    async fn accept(&self) -> io::Result<Box<dyn Socket>>;

    /// The address in force: with the port that the system chose, for TCP port 0.
    fn address(&self) -> &Address;
}
