//! Connecting, and what a failure to connect means.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;

use bowline_transport::{Address, Fault, TransportError};
use rustix::io::Errno;
use rustix::net::SocketFlags;

use crate::options::{self, Buffers};
use crate::resolve;
use crate::stream::RawSocket;

/// How connections to a TCP port are made.
///
/// ```no_run
/// use bowline_tcp::ConnectOptions;
///
/// let socket = ConnectOptions::new().connect(&"tcp:localhost:7000".parse()?)?;
/// println!("connected to {}", socket.peer());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    pub(crate) allow_non_loopback: bool,
    buffers: Buffers,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ConnectOptions {
    /// Loopback alone, and the system's buffers.
    #[must_use]
    pub const fn new() -> Self {
        Self { allow_non_loopback: false, buffers: Buffers::new() }
    }

    /// Whether to connect to other machines. Whoever is on the way can read and change what is sent,
    /// and whoever answers the look-up of the name decides who the server is.
    #[must_use]
    pub const fn allow_non_loopback(mut self, yes: bool) -> Self {
        self.allow_non_loopback = yes;
        self
    }

    /// Asks for a send buffer of this many bytes (`SO_SNDBUF`).
    #[must_use]
    pub const fn send_buffer(mut self, bytes: usize) -> Self {
        self.buffers.send = Some(bytes);
        self
    }

    /// Asks for a receive buffer of this many bytes (`SO_RCVBUF`).
    #[must_use]
    pub const fn recv_buffer(mut self, bytes: usize) -> Self {
        self.buffers.recv = Some(bytes);
        self
    }

    /// Connects to the first address of the host name that answers; waits in this thread.
    ///
    /// # Errors
    /// What kept it from connecting, with what to do about it.
    pub fn connect(&self, address: &Address) -> Result<RawSocket, TransportError> {
        self.try_connect(address).map_err(|fault| TransportError::connect(address, fault))
    }

    fn try_connect(&self, address: &Address) -> Result<RawSocket, Fault> {
        let found = resolve::resolve(address, self.allow_non_loopback)?;
        let mut last = options::io("connect", Errno::ADDRNOTAVAIL);
        for addr in found {
            let fd = self.socket(addr, SocketFlags::empty())?;
            let connected = rustix::net::connect(&fd, &addr).map_err(io::Error::from);
            match connected.and_then(|()| RawSocket::new(TcpStream::from(fd), addr)) {
                Ok(socket) => {
                    return not_oneself(socket.stream().local_addr(), addr).map(|()| socket);
                }
                Err(error) => last = explain(error),
            }
        }
        Err(last)
    }

    pub(crate) fn socket(&self, addr: SocketAddr, flags: SocketFlags) -> Result<OwnedFd, Fault> {
        options::socket(addr, flags, self.buffers)
    }
}

/// A socket that connects to a free port of this machine may be given that very port for itself, and
/// then TCP connects it to itself.
pub(crate) fn not_oneself(local: io::Result<SocketAddr>, peer: SocketAddr) -> Result<(), Fault> {
    match local {
        Ok(local) if local == peer => Err(Fault::NobodyListening { stale: false }),
        _ => Ok(()),
    }
}

/// What an error of `connect` means.
pub(crate) fn explain(error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Fault::NobodyListening { stale: false },
        _ => Fault::Io { action: "connect", error },
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use rustix::net::{AddressFamily, SocketType, bind, connect, getsockname, socket};

    use super::*;

    #[test]
    fn a_socket_connected_to_itself_is_nobody() {
        let fd = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&fd, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let addr: SocketAddr = getsockname(&fd).unwrap().try_into().unwrap();
        connect(&fd, &addr).expect("TCP connects it to itself");
        let fault = not_oneself(TcpStream::from(fd).local_addr(), addr).unwrap_err();
        assert!(matches!(fault, Fault::NobodyListening { stale: false }));
        let other = SocketAddr::from((Ipv4Addr::LOCALHOST, addr.port().wrapping_add(1)));
        assert!(not_oneself(Ok(other), addr).is_ok());
    }
}
