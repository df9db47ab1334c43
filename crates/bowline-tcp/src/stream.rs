//! A connected TCP socket, and its system call for sending. It knows no runtime.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bowline_transport::PeerIdentity;
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown};

/// The most slices that one system call takes (Linux's `IOV_MAX`). Further ones wait for the next.
const SLICES_MAX: usize = 1024;

/// A connected TCP socket without a runtime, in blocking mode and with `TCP_NODELAY`.
///
/// To receive, read from [`stream`](Self::stream).
#[derive(Debug)]
pub struct RawSocket {
    stream: TcpStream,
    peer: PeerIdentity,
}

impl RawSocket {
    pub(crate) fn new(stream: TcpStream, peer: SocketAddr) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, peer: identity(peer) })
    }

    /// Who is at the other end: its address.
    #[must_use]
    pub fn peer(&self) -> &PeerIdentity {
        &self.peer
    }

    /// The socket.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Waits for room and sends a prefix of `data`. Unlike a vectored write to the stream it never
    /// raises SIGPIPE.
    ///
    /// # Errors
    /// What the system reports; `BrokenPipe` or `ConnectionReset` when the peer has closed.
    pub fn send(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        send(self.stream.as_fd(), data, SendFlags::empty())
    }

    /// Ends writing. The peer reads what was sent, then end of file.
    ///
    /// # Errors
    /// What the system reports; `NotConnected` when the peer has reset the connection.
    pub fn shutdown(&self) -> io::Result<()> {
        shutdown(self.stream.as_fd())
    }
}

impl AsFd for RawSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl From<RawSocket> for TcpStream {
    fn from(socket: RawSocket) -> Self {
        socket.stream
    }
}

impl From<RawSocket> for OwnedFd {
    fn from(socket: RawSocket) -> Self {
        socket.stream.into()
    }
}

/// What is known of a peer.
pub(crate) fn identity(addr: SocketAddr) -> PeerIdentity {
    PeerIdentity::new("tcp").with_socket_addr(addr)
}

/// The standard library's vectored write raises SIGPIPE where the signal is not ignored.
pub(crate) fn send(
    fd: BorrowedFd<'_>,
    data: &[IoSlice<'_>],
    flags: SendFlags,
) -> io::Result<usize> {
    let flags = flags | SendFlags::NOSIGNAL;
    match data {
        [] => Ok(0),
        [slice] => Ok(rustix::net::send(fd, slice, flags)?),
        data => {
            let data = &data[..data.len().min(SLICES_MAX)];
            let mut nothing = SendAncillaryBuffer::default();
            Ok(rustix::net::sendmsg(fd, data, &mut nothing, flags)?)
        }
    }
}

pub(crate) fn shutdown(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::net::shutdown(fd, Shutdown::Write)?)
}
