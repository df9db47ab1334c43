//! The socket: when to make which system call.
//!
//! The descriptor is registered for readability alone. A Unix socket that is registered for both has
//! its owner woken by every read of the peer, for the room that it makes; two wasted wake-ups per
//! call. Waiting for room is in [`writable`](super::writable).

use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use bowline_transport::{Capabilities, PeerIdentity, Socket};
use bytes::BytesMut;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

use super::register;
use super::writable::Writable;
use crate::stream::RawSocket;

/// A connected Unix socket on tokio.
///
/// Descriptors that a peer sends along are closed by the kernel and never enter the process.
#[derive(Debug)]
pub struct UnixSocket {
    // Dropped before the descriptor whose copy it may hold.
    writable: Writable,
    raw: AsyncFd<RawSocket>,
}

impl UnixSocket {
    /// Two connected sockets, without a name. Call it inside a tokio runtime with I/O and time
    /// enabled.
    ///
    /// # Errors
    /// If there is no runtime, or the system is short of resources.
    ///
    /// # Panics
    /// If the runtime has no I/O.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (first, second) = RawSocket::pair()?;
        Ok((Self::from_raw(first)?, Self::from_raw(second)?))
    }

    /// Takes a socket that is connected already. Call it inside a tokio runtime with I/O and time
    /// enabled; that runtime is the one that will tell it what is ready.
    ///
    /// # Errors
    /// If there is no runtime, or the system is short of resources.
    ///
    /// # Panics
    /// If the runtime has no I/O.
    pub fn from_raw(raw: RawSocket) -> io::Result<Self> {
        let handle = Handle::try_current().map_err(io::Error::other)?;
        let raw = register(raw, Interest::READABLE)?;
        Ok(Self { writable: Writable::new(handle), raw })
    }

    pub(super) fn raw(&self) -> &RawSocket {
        self.raw.get_ref()
    }
}

impl Socket for UnixSocket {
    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buf: &mut BytesMut,
        _descriptors: &mut Vec<OwnedFd>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.raw.poll_read_ready(cx))?;
            match self.raw().try_recv_all(buf) {
                Ok((received, emptied)) => {
                    // Saves the read that would find nothing. What comes from now on is told of.
                    if emptied && received > 0 {
                        ready.clear_ready();
                    }
                    return Poll::Ready(Ok(received));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn try_recv(&self, buf: &mut BytesMut, _descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
        // Whoever tries again and again wants to know what the socket has, not what the runtime has
        // seen of it. But if the runtime believes it to be ready, and it is empty, then the runtime
        // is told, so that the `poll_recv` to come need not try once more.
        let mut tried = false;
        let result = self.raw.try_io(Interest::READABLE, |raw| {
            tried = true;
            raw.try_recv(buf)
        });
        if tried { result } else { self.raw().try_recv(buf) }
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
    ) -> Poll<io::Result<usize>> {
        refuse(descriptors)?;
        self.writable.poll_send(cx, self.raw(), data)
    }

    fn try_send(&self, data: &[IoSlice<'_>], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        refuse(descriptors)?;
        self.writable.try_send(self.raw(), data)
    }

    fn shutdown(&self) -> io::Result<()> {
        self.raw().shutdown()
    }

    fn peer(&self) -> &PeerIdentity {
        self.raw().peer()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_keeps_written(true)
    }
}

fn refuse(descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    if descriptors.is_empty() {
        return Ok(());
    }
    let text = "this version passes no descriptors over Unix sockets";
    Err(io::Error::new(ErrorKind::Unsupported, text))
}
