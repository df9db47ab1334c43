//! Listening: the options, and the listener without a runtime.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use bowline_transport::{Address, Fault, PeerIdentity, TransportError};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::connect::ConnectOptions;
use crate::credentials::peer_identity;
use crate::name::{self, Name};
use crate::options::Buffers;
use crate::stream::RawSocket;
use crate::takeover::Claim;

/// How a Unix socket is listened at.
///
/// ```no_run
/// use bowline_unix::BindOptions;
///
/// // The group may connect, too.
/// let listener = BindOptions::new().mode(0o660).bind(&"unix:///run/app/api.sock".parse()?)?;
/// let socket = listener.accept()?;
/// println!("{} is here", socket.peer());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct BindOptions {
    mode: u32,
    backlog: u32,
    any_uid: bool,
    buffers: Buffers,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl BindOptions {
    /// Mode 0600, the longest queue that the system allows, its buffers, and for abstract names no
    /// other user but root.
    #[must_use]
    pub const fn new() -> Self {
        Self { mode: 0o600, backlog: 4096, any_uid: false, buffers: Buffers::new() }
    }

    /// The permissions of the socket file; who may write to it may connect. They are in force from
    /// the first moment, whatever the umask is. Only the bits of 0777 count. Abstract names have no
    /// permissions.
    #[must_use]
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode & 0o777;
        self
    }

    /// How many connections may wait to be accepted (at most `net.core.somaxconn`).
    #[must_use]
    pub const fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// Whether any user may connect to an abstract name. Otherwise connections of users other than
    /// the server's own and root are closed before a byte is read, and their accept fails.
    ///
    /// An abstract name has no file and so no permissions: every process in the same network
    /// namespace can connect to it, also from inside a container that shares it, and any of them can
    /// take the name before the server does. Prefer a path.
    #[must_use]
    pub const fn any_uid(mut self, yes: bool) -> Self {
        self.any_uid = yes;
        self
    }

    /// Asks for send buffers of this many bytes on accepted connections (`SO_SNDBUF`; the system
    /// doubles it and has a least and a most).
    #[must_use]
    pub const fn send_buffer(mut self, bytes: usize) -> Self {
        self.buffers.send = Some(bytes);
        self
    }

    /// Asks for receive buffers of this many bytes on accepted connections (`SO_RCVBUF`). Linux gives
    /// it no meaning for Unix sockets: what is under way counts for the sender.
    #[must_use]
    pub const fn recv_buffer(mut self, bytes: usize) -> Self {
        self.buffers.recv = Some(bytes);
        self
    }

    /// Listens at a path or an abstract name. The address of a server that is gone is taken over, that
    /// of a living one never; nor is a file touched that is not a socket.
    ///
    /// Beside the socket file, two names are used: `PATH.lock`, which stays, and `PATH.new`, for a
    /// moment. The directory must be one to which only trusted users can write, or a sticky one.
    ///
    /// # Errors
    /// What kept it from listening, with what to do about it.
    pub fn bind(&self, address: &Address) -> Result<BoundListener, TransportError> {
        self.try_bind(address).map_err(|fault| TransportError::listen(address, fault))
    }

    fn try_bind(&self, address: &Address) -> Result<BoundListener, Fault> {
        let name = Name::of(address)?;
        let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .map_err(|errno| name::io("socket", errno))?;
        let backlog = i32::try_from(self.backlog).unwrap_or(i32::MAX);
        let mut only_uid = None;
        let claim = match name {
            Name::Path(path) => {
                let mode = Mode::from_raw_mode(self.mode);
                Some(Claim::take(&fd, path, mode, backlog)?)
            }
            Name::Abstract(_) => {
                if !self.any_uid {
                    only_uid = Some(rustix::process::geteuid().as_raw());
                }
                bind_abstract(&fd, address, backlog)?;
                None
            }
        };
        let (buffers, address) = (self.buffers, address.clone());
        Ok(BoundListener { claim, fd, address, buffers, only_uid })
    }
}

fn bind_abstract(fd: &OwnedFd, address: &Address, backlog: i32) -> Result<(), Fault> {
    match rustix::net::bind(fd, &Name::of(address)?.sockaddr()?) {
        Ok(()) => {}
        Err(Errno::ADDRINUSE) => {
            let owner = ConnectOptions::new().try_connect(address).ok();
            let owner = owner.as_ref().map(RawSocket::peer);
            return Err(Fault::LiveOwner {
                pid: owner.and_then(PeerIdentity::pid),
                uid: owner.and_then(PeerIdentity::uid),
            });
        }
        Err(errno) => return Err(name::io("bind", errno)),
    }
    rustix::net::listen(fd, backlog).map_err(|errno| name::io("listen", errno))
}

/// A listening Unix socket without a runtime.
///
/// Dropping it removes the socket file, if it is still its own, closes the socket, and lets go of
/// the lock.
#[derive(Debug)]
pub struct BoundListener {
    // The file is removed while the socket is open.
    claim: Option<Claim>,
    fd: OwnedFd,
    address: Address,
    buffers: Buffers,
    /// For abstract names: who may connect, beside root.
    only_uid: Option<u32>,
}

impl BoundListener {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether it has a file to remove when it is dropped. Abstract names have none.
    #[must_use]
    pub fn has_file(&self) -> bool {
        self.claim.is_some()
    }

    /// Waits for the next connection, in this thread; does not wait after
    /// [`set_nonblocking`](Self::set_nonblocking).
    ///
    /// # Errors
    /// Those of one accept; the listener stays usable. `PermissionDenied` for a connection that was
    /// refused, `WouldBlock` if it was told not to wait, and lack of resources, on which to pause. A
    /// connection whose peer cannot be identified is closed, and the error says so.
    pub fn accept(&self) -> io::Result<RawSocket> {
        let fd = loop {
            match rustix::net::accept_with(&self.fd, SocketFlags::CLOEXEC) {
                Ok(fd) => break fd,
                // The connection has gone before we saw it.
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(errno) => return Err(errno.into()),
            }
        };
        let peer = peer_identity(&fd)?;
        match (self.only_uid, peer.uid()) {
            (None, _) | (_, Some(0)) => {}
            (Some(ours), Some(theirs)) if ours == theirs => {}
            (Some(ours), _) => {
                let text = format!("refused {peer}: only uid {ours} and root may connect");
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
        }
        self.buffers.apply(&fd)?;
        Ok(RawSocket::new(fd, peer))
    }

    /// Says whether [`accept`](Self::accept) fails with `WouldBlock` instead of waiting.
    ///
    /// # Errors
    /// What the system reports.
    pub fn set_nonblocking(&self, yes: bool) -> io::Result<()> {
        Ok(rustix::io::ioctl_fionbio(&self.fd, yes)?)
    }
}

impl AsFd for BoundListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for BoundListener {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
