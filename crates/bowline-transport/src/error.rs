//! What keeps a transport from listening or connecting: one variant per situation, each with a text
//! that says what was wrong, where, and what to do about it.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::Address;

/// Why an address could not be listened at or connected to.
///
/// Its text is one complete message; the causes are part of it, and `source()` is empty, so that
/// nothing is said twice.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {address}: {fault}")]
pub struct TransportError {
    operation: Operation,
    address: Address,
    fault: Box<Fault>,
}

impl TransportError {
    /// What kept a listener from listening.
    #[must_use]
    pub fn listen(address: &Address, fault: Fault) -> Self {
        Self { operation: Operation::Listen, address: address.clone(), fault: Box::new(fault) }
    }

    /// What kept a connector from connecting.
    #[must_use]
    pub fn connect(address: &Address, fault: Fault) -> Self {
        Self { operation: Operation::Connect, address: address.clone(), fault: Box::new(fault) }
    }

    /// What was tried.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Where it was tried.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What was wrong.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// Whether the same attempt may well succeed in a moment, without anybody changing anything but
    /// starting or stopping a server: nobody listens yet, the server's queue is full, descriptors are
    /// short. The wrong kind of file, a path too long or a missing permission do not pass by
    /// themselves.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match &*self.fault {
            Fault::NobodyListening { .. } | Fault::BacklogFull => true,
            // A server may make its directory when it starts; a listener has to have one.
            Fault::DirectoryMissing { .. } => self.operation == Operation::Connect,
            Fault::Io { error, .. } => is_passing(error),
            Fault::PathTooLong { .. }
            | Fault::NoFileName
            | Fault::NotADirectory { .. }
            | Fault::PermissionDenied { .. }
            | Fault::LiveOwner { .. }
            | Fault::NotASocket { .. }
            | Fault::ForeignLock { .. }
            | Fault::WrongPeer { .. }
            | Fault::NotLoopback { .. }
            | Fault::AddressInUse
            | Fault::PrivilegedPort { .. }
            | Fault::Resolve { .. }
            | Fault::NameTaken
            | Fault::Unsupported { .. } => false,
        }
    }
}

/// What a [`TransportError`] was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A listener was to be made.
    Listen,
    /// A connection was to be made.
    Connect,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Listen => "listen at",
            Self::Connect => "connect to",
        })
    }
}

/// What was wrong. Each text can be read after a colon.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The path, or the abstract name, does not fit into a socket address.
    #[error(
        "it is {length} bytes long, and a socket address takes {limit}; use a shorter path, a path \
         relative to the working directory, or unix-abstract:"
    )]
    PathTooLong {
        /// Its length in bytes.
        length: usize,
        /// The longest that fits, in bytes.
        limit: usize,
    },
    /// The path ends in `/`, `.` or `..`.
    #[error("the path names a directory; add the name of the socket file")]
    NoFileName,
    /// A directory on the way does not exist.
    #[error("the directory {} does not exist; create it first", directory.display())]
    DirectoryMissing {
        /// The first directory of the path that does not exist.
        directory: PathBuf,
    },
    /// Something on the way is not a directory.
    #[error("{} is {found}, not a directory; correct the path", path.display())]
    NotADirectory {
        /// The part of the path.
        path: PathBuf,
        /// What it is.
        found: FileKind,
    },
    /// A permission is missing.
    #[error("permission denied: {} lacks {needs} for uid {uid}", path.display())]
    PermissionDenied {
        /// The part of the path that denies.
        path: PathBuf,
        /// What is missing there.
        needs: Permission,
        /// The user who lacks it.
        uid: u32,
    },
    /// No server is there.
    #[error("{}", if *stale {
        "nobody listens: the socket file is there, but its server is gone; start the server"
    } else {
        "nobody listens; start the server, or check the address"
    })]
    NobodyListening {
        /// A socket file was left behind.
        stale: bool,
    },
    /// The server is there, but has not accepted the connections that wait.
    #[error("the server does not accept: its queue of new connections is full; try again later")]
    BacklogFull,
    /// A living server has the address.
    #[error("a server is running there{}; stop it first, or choose another address",
        Owner { pid: *pid, uid: *uid })]
    LiveOwner {
        /// Its process id, where known.
        pid: Option<u32>,
        /// Its user id, where known.
        uid: Option<u32>,
    },
    /// Something other than a socket has the path. It was not touched.
    #[error("{} is {found}, not a socket; move it away, or choose another path", path.display())]
    NotASocket {
        /// Where.
        path: PathBuf,
        /// What it is.
        found: FileKind,
    },
    /// The lock file is not one that a server of this user made. It was not touched.
    #[error("the lock file {} {why}; move it away, or choose another directory", path.display())]
    ForeignLock {
        /// The lock file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The peer is another user than asked for. No byte was sent.
    #[error("the server runs as {}, not as uid {expected}; it may be an impostor",
        match found { Some(uid) => format!("uid {uid}"), None => "an unknown user".to_owned() })]
    WrongPeer {
        /// The user id asked for.
        expected: u32,
        /// The peer's, where known.
        found: Option<u32>,
    },
    /// The address is reachable from other machines, or lies on one.
    #[error(
        "{addr} is not a loopback address, and this transport has neither encryption nor \
         authentication; use 127.0.0.1, [::1] or a Unix socket, or allow it explicitly"
    )]
    NotLoopback {
        /// The address, or one of those that the name has.
        addr: IpAddr,
    },
    /// The port is taken.
    #[error(
        "the port is in use; stop the other server, or choose another port (0 lets the system)"
    )]
    AddressInUse,
    /// Ports below 1024 are root's.
    #[error("port {port} needs privileges; choose one from 1024")]
    PrivilegedPort {
        /// The port.
        port: u16,
    },
    /// The host name has no address.
    #[error("the host name {host:?} cannot be resolved: {error}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver says.
        error: io::Error,
    },
    /// The name has a listener in this process.
    #[error("the name has a listener in this process; drop it first, or choose another name")]
    NameTaken,
    /// The transport does not know the scheme.
    #[error("this transport does not speak {scheme}: addresses; choose the transport that does")]
    Unsupported {
        /// The scheme.
        scheme: String,
    },
    /// The system refused for a reason of its own.
    #[error("{action} failed: {error}")]
    Io {
        /// What was being done, such as `bind`.
        action: &'static str,
        /// What the system says.
        error: io::Error,
    },
}

impl Fault {
    /// The fault of an address that another transport speaks.
    #[must_use]
    pub fn unsupported(address: &Address) -> Self {
        Self::Unsupported { scheme: address.scheme().to_owned() }
    }
}

/// What stands where a socket or a directory should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum FileKind {
    /// A regular file.
    #[error("a regular file")]
    Regular,
    /// A directory.
    #[error("a directory")]
    Directory,
    /// A symbolic link.
    #[error("a symbolic link")]
    Symlink,
    /// A named pipe.
    #[error("a named pipe")]
    Fifo,
    /// A device.
    #[error("a device")]
    Device,
    /// A socket.
    #[error("a socket")]
    Socket,
    /// Something else.
    #[error("a file of unknown kind")]
    Unknown,
}

/// What a part of a path denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Permission {
    /// To look up a name in a directory (`x`).
    #[error("search permission (x)")]
    Search,
    /// To create a file in a directory (`w`).
    #[error("write permission (w), needed to create the socket file")]
    Create,
    /// To connect to a socket (`w`).
    #[error("write permission (w), needed to connect")]
    Connect,
    /// To open a lock file (`rw`).
    #[error("read and write permission (rw), needed to lock it")]
    Lock,
    /// The system denies something that the permission bits do not show, such as a security module's
    /// rule or a sticky directory.
    #[error("a permission that its mode does not show (an ACL, a sticky bit, a security module)")]
    Other,
}

struct Owner {
    pid: Option<u32>,
    uid: Option<u32>,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, self.uid) {
            (Some(pid), Some(uid)) => write!(f, " (pid {pid}, uid {uid})"),
            (Some(pid), None) => write!(f, " (pid {pid})"),
            (None, Some(uid)) => write!(f, " (uid {uid})"),
            (None, None) => Ok(()),
        }
    }
}

/// Errors that pass: a peer that left, a signal, and the lack of a resource, which have no stable
/// [`io::ErrorKind`] and are told by Linux's numbers: ENFILE, EMFILE, ENOBUFS.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::TimedOut
            | Kind::WouldBlock
            | Kind::Interrupted
            | Kind::OutOfMemory
    ) || matches!(error.raw_os_error(), Some(23 | 24 | 105))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Address {
        "unix:///run/app.sock".parse().unwrap()
    }

    #[test]
    fn texts_are_whole_sentences_about_one_thing() {
        let text = |fault| TransportError::listen(&address(), fault).to_string();
        assert_eq!(
            text(Fault::LiveOwner { pid: Some(7), uid: Some(1000) }),
            "cannot listen at unix:///run/app.sock: a server is running there (pid 7, uid 1000); \
             stop it first, or choose another address"
        );
        assert_eq!(
            text(Fault::NotASocket { path: "/run/app.sock".into(), found: FileKind::Symlink }),
            "cannot listen at unix:///run/app.sock: /run/app.sock is a symbolic link, not a socket; \
             move it away, or choose another path"
        );
        assert_eq!(
            text(Fault::PathTooLong { length: 120, limit: 107 }),
            "cannot listen at unix:///run/app.sock: it is 120 bytes long, and a socket address takes \
             107; use a shorter path, a path relative to the working directory, or unix-abstract:"
        );
        let denied =
            Fault::PermissionDenied { path: "/run".into(), needs: Permission::Create, uid: 1000 };
        assert_eq!(
            text(denied),
            "cannot listen at unix:///run/app.sock: permission denied: /run lacks write permission \
             (w), needed to create the socket file for uid 1000"
        );
        let nobody = TransportError::connect(&address(), Fault::NobodyListening { stale: true });
        assert_eq!(
            nobody.to_string(),
            "cannot connect to unix:///run/app.sock: nobody listens: the socket file is there, but \
             its server is gone; start the server"
        );
        assert!(std::error::Error::source(&nobody).is_none());
    }

    #[test]
    fn only_what_passes_by_itself_is_retryable() {
        let retry = |fault| TransportError::connect(&address(), fault).is_retryable();
        let missing = || Fault::DirectoryMissing { directory: "/run/app".into() };
        let io =
            |number| Fault::Io { action: "connect", error: io::Error::from_raw_os_error(number) };
        assert!(retry(Fault::NobodyListening { stale: false }));
        assert!(retry(Fault::NobodyListening { stale: true }));
        assert!(retry(Fault::BacklogFull));
        assert!(retry(missing()));
        assert!(!TransportError::listen(&address(), missing()).is_retryable());
        assert!(retry(io(24)) && retry(io(104)) && !retry(io(22)));
        assert!(!retry(Fault::PathTooLong { length: 108, limit: 107 }));
        let found = FileKind::Regular;
        assert!(!retry(Fault::NotASocket { path: "/run/app.sock".into(), found }));
        assert!(!retry(Fault::WrongPeer { expected: 0, found: None }));
    }
}
