//! A connected Unix socket, and the system calls of its data plane. It knows no runtime.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use bowline_transport::PeerIdentity;
use bytes::BytesMut;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketFlags, SocketType,
};

use crate::credentials::peer_identity;

/// The most slices that one system call takes (Linux's `IOV_MAX`). Further ones wait for the next.
const SLICES_MAX: usize = 1024;

/// A connected Unix socket without a runtime.
///
/// The descriptor is in blocking mode: [`recv`](Self::recv) and [`send`](Self::send) wait,
/// [`try_recv`](Self::try_recv) and [`try_send`](Self::try_send) do not. All of them may be called
/// from any thread. Nothing here raises SIGPIPE.
#[derive(Debug)]
pub struct RawSocket {
    fd: OwnedFd,
    peer: PeerIdentity,
}

impl RawSocket {
    /// Two connected sockets, without a name.
    ///
    /// # Errors
    /// If the system is short of descriptors or memory.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (first, second) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self::from_fd(first)?, Self::from_fd(second)?))
    }

    /// Takes a connected Unix stream socket, asks who its peer is, and puts it in blocking mode.
    ///
    /// # Errors
    /// If the peer's credentials cannot be had; then the socket is closed.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let peer = peer_identity(&fd)?;
        rustix::io::ioctl_fionbio(&fd, false)?;
        Ok(Self { fd, peer })
    }

    /// For a descriptor known to be in blocking mode.
    pub(crate) fn new(fd: OwnedFd, peer: PeerIdentity) -> Self {
        Self { fd, peer }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &PeerIdentity {
        &self.peer
    }

    /// Waits for bytes and appends them to `buf`, as many as its spare capacity holds. `Ok(0)` is the
    /// end of the peer's writing.
    ///
    /// # Errors
    /// `InvalidInput` if there is no spare capacity; else what the system reports. Descriptors that
    /// come along are closed.
    pub fn recv(&self, buf: &mut BytesMut) -> io::Result<usize> {
        self.recv_with(buf, RecvFlags::empty())
    }

    /// As [`recv`](Self::recv), but fails with `WouldBlock` where that would wait.
    ///
    /// # Errors
    /// `WouldBlock`, else as [`recv`](Self::recv).
    pub fn try_recv(&self, buf: &mut BytesMut) -> io::Result<usize> {
        self.recv_with(buf, RecvFlags::DONTWAIT)
    }

    /// As [`try_recv`](Self::try_recv), and whether the socket was empty behind what was read. A read
    /// that did not fill the buffer shows that, unless it ended behind a message that carried
    /// descriptors, as the kernel cuts reads there.
    ///
    /// Bytes that a peer marks as urgent cut a read as well, and nothing tells of it: those behind
    /// them may be read only when still more have come.
    #[cfg(feature = "tokio")]
    pub(crate) fn try_recv_all(&self, buf: &mut BytesMut) -> io::Result<(usize, bool)> {
        let spare = buf.spare_capacity_mut();
        if spare.is_empty() {
            return Err(no_room());
        }
        let room = spare.len();
        let mut slice = libc::iovec { iov_base: spare.as_mut_ptr().cast(), iov_len: room };
        // SAFETY: All fields may be zero: no address, no slices, no control data.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut slice;
        header.msg_iovlen = 1;
        // Without room for control data, descriptors are closed by the kernel before they enter this
        // process, and the header says that there were some.
        // SAFETY: The header points to one slice, which is the spare capacity of `buf`; both live
        // until the call returns.
        let received =
            unsafe { libc::recvmsg(self.fd.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT) };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        // SAFETY: The system has initialized the first `received` bytes of the spare capacity, which
        // begins at `buf.len()`.
        unsafe { buf.set_len(buf.len() + received) };
        let cut = header.msg_flags & libc::MSG_CTRUNC != 0;
        Ok((received, received < room && !cut))
    }

    /// Waits for room and sends a prefix of `data`.
    ///
    /// # Errors
    /// What the system reports; `BrokenPipe` when the peer has closed.
    pub fn send(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send_with(data, SendFlags::NOSIGNAL)
    }

    /// As [`send`](Self::send), but fails with `WouldBlock` where that would wait.
    ///
    /// # Errors
    /// `WouldBlock`, else as [`send`](Self::send).
    pub fn try_send(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send_with(data, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }

    /// Ends writing. The peer reads what was sent, then end of file.
    ///
    /// # Errors
    /// What the system reports.
    pub fn shutdown(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(&self.fd, Shutdown::Write)?)
    }

    /// A plain `recv`, not `recvmsg`: descriptors that a peer sends unasked are closed by the kernel
    /// before they enter this process.
    #[inline]
    fn recv_with(&self, buf: &mut BytesMut, flags: RecvFlags) -> io::Result<usize> {
        let spare = buf.spare_capacity_mut();
        if spare.is_empty() {
            return Err(no_room());
        }
        let ((filled, _), _) = rustix::net::recv(&self.fd, spare, flags)?;
        let received = filled.len();
        // SAFETY: `recv` has initialized the first `received` bytes of the spare capacity, which
        // begins at `buf.len()`.
        unsafe { buf.set_len(buf.len() + received) };
        Ok(received)
    }

    #[inline]
    fn send_with(&self, data: &[IoSlice<'_>], flags: SendFlags) -> io::Result<usize> {
        match data {
            [] => Ok(0),
            [slice] => Ok(rustix::net::send(&self.fd, slice, flags)?),
            data => {
                let data = &data[..data.len().min(SLICES_MAX)];
                let mut nothing = SendAncillaryBuffer::default();
                Ok(rustix::net::sendmsg(&self.fd, data, &mut nothing, flags)?)
            }
        }
    }
}

/// Reading nothing would look like the end of the stream.
fn no_room() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "no room to receive into")
}

impl AsFd for RawSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for RawSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl From<RawSocket> for OwnedFd {
    fn from(socket: RawSocket) -> Self {
        socket.fd
    }
}
