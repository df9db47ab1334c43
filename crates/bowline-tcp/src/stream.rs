//! A connected TCP socket, and the system calls of its data plane. It knows no runtime.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bowline_transport::PeerIdentity;
use bytes::BytesMut;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};

/// The most slices that one system call takes (Linux's `IOV_MAX`). Further ones wait for the next.
const SLICES_MAX: usize = 1024;

/// A connected TCP socket without a runtime, with `TCP_NODELAY`.
///
/// The descriptor is in blocking mode: [`recv`](Self::recv) and [`send`](Self::send) wait,
/// [`try_recv`](Self::try_recv) and [`try_send`](Self::try_send) do not. All of them may be called
/// from any thread.
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

    /// Waits for bytes and appends them to `buf`, as many as its spare capacity holds. `Ok(0)` is the
    /// end of the peer's writing.
    ///
    /// # Errors
    /// `InvalidInput` if there is no spare capacity; else what the system reports.
    pub fn recv(&self, buf: &mut BytesMut) -> io::Result<usize> {
        recv(self.stream.as_fd(), buf, RecvFlags::empty())
    }

    /// As [`recv`](Self::recv), but fails with `WouldBlock` where that would wait.
    ///
    /// # Errors
    /// `WouldBlock`, else as [`recv`](Self::recv).
    pub fn try_recv(&self, buf: &mut BytesMut) -> io::Result<usize> {
        recv(self.stream.as_fd(), buf, RecvFlags::DONTWAIT)
    }

    /// Waits for room and sends a prefix of `data`. Unlike a vectored write to the stream it never
    /// raises SIGPIPE.
    ///
    /// # Errors
    /// What the system reports; `BrokenPipe` or `ConnectionReset` when the peer has closed.
    pub fn send(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        send(self.stream.as_fd(), data, SendFlags::empty())
    }

    /// As [`send`](Self::send), but fails with `WouldBlock` where that would wait.
    ///
    /// # Errors
    /// `WouldBlock`, else as [`send`](Self::send).
    pub fn try_send(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        send(self.stream.as_fd(), data, SendFlags::DONTWAIT)
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

/// Safe code can only receive into bytes that have a value, so that the room is filled with zeroes
/// first: little beside what TCP itself costs.
fn recv(fd: BorrowedFd<'_>, buf: &mut BytesMut, flags: RecvFlags) -> io::Result<usize> {
    let (len, room) = (buf.len(), buf.capacity());
    if room == len {
        // Reading nothing would look like the end of the stream.
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no room to receive into"));
    }
    buf.resize(room, 0);
    let received = rustix::net::recv(fd, &mut buf[len..], flags).map(|(_, received)| received);
    buf.truncate(len + received.unwrap_or(0));
    Ok(received?)
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
