//! Connecting, and what a failure to connect means.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use bowline_transport::{Address, Fault, FileKind, Permission, TransportError};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::credentials::peer_identity;
use crate::name::{Name, io};
use crate::options::Buffers;
use crate::path;
use crate::stream::RawSocket;

/// How connections to a Unix socket are made.
///
/// ```no_run
/// use bowline_unix::ConnectOptions;
///
/// // Only a server that runs as root is the real one.
/// let socket = ConnectOptions::new()
///     .require_peer_uid(0)
///     .connect(&"unix:///run/app/api.sock".parse()?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    pub(crate) buffers: Buffers,
    require_peer_uid: Option<u32>,
    backlog_wait: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ConnectOptions {
    /// Any server, the system's buffers, and up to 5 s for a place in the server's queue.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            buffers: Buffers::new(),
            require_peer_uid: None,
            backlog_wait: Duration::from_secs(5),
        }
    }

    /// Connects only to a server that runs as this user; else [`Fault::WrongPeer`], before a byte is
    /// sent. In a directory that others can write to, nothing else tells the server from an impostor.
    #[must_use]
    pub const fn require_peer_uid(mut self, uid: u32) -> Self {
        self.require_peer_uid = Some(uid);
        self
    }

    /// How long to wait while the server's queue of new connections is full; then
    /// [`Fault::BacklogFull`].
    ///
    /// A Unix socket has no connection in the making: an attempt that finds the queue full has never
    /// begun, and is repeated.
    #[must_use]
    pub const fn backlog_wait(mut self, limit: Duration) -> Self {
        self.backlog_wait = limit;
        self
    }

    /// Asks for a send buffer of this many bytes (`SO_SNDBUF`; the system doubles it and has a least
    /// and a most).
    #[must_use]
    pub const fn send_buffer(mut self, bytes: usize) -> Self {
        self.buffers.send = Some(bytes);
        self
    }

    /// Asks for a receive buffer of this many bytes (`SO_RCVBUF`). Linux gives it no meaning for Unix
    /// sockets: what is under way counts for the sender.
    #[must_use]
    pub const fn recv_buffer(mut self, bytes: usize) -> Self {
        self.buffers.recv = Some(bytes);
        self
    }

    /// Connects, and waits in this thread while the server's queue is full.
    ///
    /// # Errors
    /// What kept it from connecting, with what to do about it.
    pub fn connect(&self, address: &Address) -> Result<RawSocket, TransportError> {
        self.attempt(address, Some(self.backlog_wait))
            .map_err(|fault| TransportError::connect(address, fault))
    }

    /// Tries once to connect, without waiting.
    ///
    /// # Errors
    /// [`Fault::BacklogFull`] while the server's queue is full; else as [`connect`](Self::connect).
    pub fn try_connect(&self, address: &Address) -> Result<RawSocket, TransportError> {
        self.attempt(address, None).map_err(|fault| TransportError::connect(address, fault))
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn backlog_limit(&self) -> Duration {
        self.backlog_wait
    }

    fn attempt(&self, address: &Address, wait: Option<Duration>) -> Result<RawSocket, Fault> {
        let name = Name::of(address)?;
        let sockaddr = name.sockaddr()?;
        let flags = match wait {
            Some(_) => SocketFlags::CLOEXEC,
            None => SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        };
        let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(|errno| io("socket", errno))?;
        self.buffers.apply(&fd).map_err(|errno| io("set the buffer size", errno))?;
        if let Some(limit) = wait {
            // This is what bounds a connect that waits in the queue. Zero would be no limit.
            let limit = Some(limit.max(Duration::from_millis(1)));
            set_socket_timeout(&fd, Timeout::Send, limit)
                .map_err(|errno| io("set the time limit", errno))?;
        }
        // A signal finds the connection not begun.
        rustix::io::retry_on_intr(|| rustix::net::connect(&fd, &sockaddr))
            .map_err(|errno| explain(name, errno))?;
        self.finish(fd, wait.is_some())
    }

    /// Looks at the peer before anybody can send.
    fn finish(&self, fd: OwnedFd, waited: bool) -> Result<RawSocket, Fault> {
        if waited {
            set_socket_timeout(&fd, Timeout::Send, None)
                .map_err(|errno| io("lift the time limit", errno))?;
        } else {
            rustix::io::ioctl_fionbio(&fd, false)
                .map_err(|errno| io("set the blocking mode", errno))?;
        }
        let peer = peer_identity(&fd)
            .map_err(|error| Fault::Io { action: "asking who the server is", error })?;
        match self.require_peer_uid {
            Some(expected) if peer.uid() != Some(expected) => {
                Err(Fault::WrongPeer { expected, found: peer.uid() })
            }
            _ => Ok(RawSocket::new(fd, peer)),
        }
    }
}

/// What an error of `connect` means at this name.
fn explain(name: Name<'_>, errno: Errno) -> Fault {
    match (errno, name) {
        (Errno::AGAIN, _) => Fault::BacklogFull,
        (Errno::CONNREFUSED, Name::Path(path)) => refused(path),
        (Errno::CONNREFUSED, Name::Abstract(_)) => Fault::NobodyListening { stale: false },
        (Errno::NOENT | Errno::NOTDIR, Name::Path(path)) => {
            path::missing_directory(path).unwrap_or(Fault::NobodyListening { stale: false })
        }
        (Errno::ACCESS | Errno::PERM, Name::Path(path)) => path::denied(path, Permission::Connect),
        (errno, _) => io("connect", errno),
    }
}

/// The kernel refuses both at a socket without a server and at anything that is not a socket.
fn refused(path: &Path) -> Fault {
    match rustix::fs::stat(path).map(|found| path::kind(found.st_mode)) {
        Ok(FileKind::Socket) => Fault::NobodyListening { stale: true },
        Ok(found) => Fault::NotASocket { path: path.to_owned(), found },
        // It has gone in the meantime.
        Err(_) => Fault::NobodyListening { stale: false },
    }
}
