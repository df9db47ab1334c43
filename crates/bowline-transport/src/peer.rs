//! Who is at the other end of a socket, as far as the system can tell.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;

/// Who is at the other end of a [`Socket`](crate::Socket), as far as the transport knows.
///
/// What a transport does not know is `None`. A transport never fills in what the peer says about
/// itself: only what the system vouches for. Over Unix sockets that is user, group and process as
/// they were when the peer connected (or began to listen); over TCP it is the peer's address; in
/// memory it is this process.
///
/// A transport outside Bowline builds its own:
///
/// ```
/// use bowline_transport::PeerIdentity;
///
/// let peer = PeerIdentity::new("pipe").with_pid(std::process::id());
/// assert_eq!(peer.kind(), "pipe");
/// assert_eq!(peer.uid(), None);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PeerIdentity {
    kind: Cow<'static, str>,
    uid: Option<u32>,
    gid: Option<u32>,
    pid: Option<u32>,
    socket_addr: Option<SocketAddr>,
}

impl PeerIdentity {
    /// A peer of which nothing is known but the transport's scheme, such as `unix`.
    #[must_use]
    pub fn new(kind: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: kind.into(), uid: None, gid: None, pid: None, socket_addr: None }
    }

    /// The same with a user id that the system vouches for.
    #[must_use]
    pub fn with_uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// The same with a group id that the system vouches for.
    #[must_use]
    pub fn with_gid(mut self, gid: u32) -> Self {
        self.gid = Some(gid);
        self
    }

    /// The same with a process id that the system vouches for.
    #[must_use]
    pub fn with_pid(mut self, pid: u32) -> Self {
        self.pid = Some(pid);
        self
    }

    /// The same with the peer's network address.
    #[must_use]
    pub fn with_socket_addr(mut self, addr: SocketAddr) -> Self {
        self.socket_addr = Some(addr);
        self
    }

    /// The transport's scheme: `unix`, `tcp`, `memory`, or another transport's own.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The peer's effective user id. In a user namespace, every user that has no id there shows as
    /// the overflow id (65534 as a rule).
    #[must_use]
    pub fn uid(&self) -> Option<u32> {
        self.uid
    }

    /// The peer's effective group id. Its supplementary groups are not known.
    #[must_use]
    pub fn gid(&self) -> Option<u32> {
        self.gid
    }

    /// The peer's process id, for logs. Do not decide by it who may do what: the process may have
    /// ended and its id been given to another, have executed another program, or have handed the
    /// socket on. It is `None` where the peer has no id in this process's namespace.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// The peer's network address.
    #[must_use]
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        self.socket_addr
    }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if let Some(addr) = self.socket_addr {
            write!(f, " {addr}")?;
        }
        for (name, id) in [("uid", self.uid), ("gid", self.gid), ("pid", self.pid)] {
            if let Some(id) = id {
                write!(f, " {name}={id}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerIdentity({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_is_known() {
        let peer = PeerIdentity::new("unix").with_uid(1000).with_gid(100).with_pid(7);
        assert_eq!(peer.to_string(), "unix uid=1000 gid=100 pid=7");
        assert_eq!(format!("{peer:?}"), "PeerIdentity(unix uid=1000 gid=100 pid=7)");
        let addr = "127.0.0.1:7000".parse().unwrap();
        let peer = PeerIdentity::new("tcp").with_socket_addr(addr);
        assert_eq!(peer.to_string(), "tcp 127.0.0.1:7000");
        assert_eq!((peer.uid(), peer.socket_addr()), (None, Some(addr)));
    }
}
