//! Listening: the options, and the listener without a runtime.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};

use bowline_transport::{Address, Fault, TransportError};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use rustix::net::sockopt::set_socket_reuseaddr;

use crate::options::{self, Buffers};
use crate::resolve;
use crate::stream::RawSocket;

/// How a TCP port is listened at.
///
/// ```
/// use bowline_tcp::BindOptions;
///
/// let listener = BindOptions::new().bind(&"tcp:127.0.0.1:0".parse()?)?;
/// assert!(listener.address().to_string().starts_with("tcp:127.0.0.1:"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct BindOptions {
    pub(crate) allow_non_loopback: bool,
    backlog: u32,
    buffers: Buffers,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl BindOptions {
    /// Loopback alone, the longest queue that the system allows, and its buffers.
    #[must_use]
    pub const fn new() -> Self {
        Self { allow_non_loopback: false, backlog: 4096, buffers: Buffers::new() }
    }

    /// Whether to listen at addresses that other machines can reach. Whoever reaches the port can make
    /// calls, and whoever is on the way can read and change them.
    #[must_use]
    pub const fn allow_non_loopback(mut self, yes: bool) -> Self {
        self.allow_non_loopback = yes;
        self
    }

    /// How many connections may wait to be accepted (at most `net.core.somaxconn`).
    #[must_use]
    pub const fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// Asks for send buffers of this many bytes on accepted connections (`SO_SNDBUF`).
    #[must_use]
    pub const fn send_buffer(mut self, bytes: usize) -> Self {
        self.buffers.send = Some(bytes);
        self
    }

    /// Asks for receive buffers of this many bytes on accepted connections (`SO_RCVBUF`).
    #[must_use]
    pub const fn recv_buffer(mut self, bytes: usize) -> Self {
        self.buffers.recv = Some(bytes);
        self
    }

    /// Listens at the first address that the host name has and that can be had. Looks the name up in
    /// this thread.
    ///
    /// # Errors
    /// What kept it from listening, with what to do about it.
    pub fn bind(&self, address: &Address) -> Result<BoundListener, TransportError> {
        resolve::resolve(address, self.allow_non_loopback)
            .and_then(|found| self.bind_any(&found))
            .map_err(|fault| TransportError::listen(address, fault))
    }

    /// Listens at the first of the addresses, which have been checked, that can be had.
    pub(crate) fn bind_any(&self, addresses: &[SocketAddr]) -> Result<BoundListener, Fault> {
        let mut fault = None;
        for addr in addresses {
            match self.bind_one(*addr) {
                Ok(listener) => return Ok(listener),
                Err(other) => fault = Some(other),
            }
        }
        Err(fault.unwrap_or_else(|| options::io("bind", Errno::ADDRNOTAVAIL)))
    }

    fn bind_one(&self, addr: SocketAddr) -> Result<BoundListener, Fault> {
        let fd = options::socket(addr, SocketFlags::empty(), self.buffers)?;
        // Connections of an earlier server that linger do not keep the port.
        set_socket_reuseaddr(&fd, true)
            .map_err(|errno| options::io("set the socket's options", errno))?;
        rustix::net::bind(&fd, &addr).map_err(|errno| match errno {
            Errno::ADDRINUSE => Fault::AddressInUse,
            Errno::ACCESS if addr.port() < 1024 => Fault::PrivilegedPort { port: addr.port() },
            errno => options::io("bind", errno),
        })?;
        let backlog = i32::try_from(self.backlog).unwrap_or(i32::MAX);
        rustix::net::listen(&fd, backlog).map_err(|errno| match errno {
            // With SO_REUSEADDR, two sockets can be bound to one port; only one of them listens.
            Errno::ADDRINUSE => Fault::AddressInUse,
            errno => options::io("listen", errno),
        })?;
        let listener = TcpListener::from(fd);
        match listener.local_addr() {
            Ok(local) => Ok(BoundListener { listener, address: local.into() }),
            Err(error) => Err(Fault::Io { action: "asking for the port", error }),
        }
    }
}

/// A listening TCP port without a runtime.
#[derive(Debug)]
pub struct BoundListener {
    pub(crate) listener: TcpListener,
    pub(crate) address: Address,
}

impl BoundListener {
    /// Where it listens, with the port that the system chose.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Waits for the next connection, in this thread; does not wait after
    /// [`set_nonblocking`](Self::set_nonblocking).
    ///
    /// # Errors
    /// Those of one accept; the listener stays usable. `WouldBlock` if it was told not to wait.
    pub fn accept(&self) -> io::Result<RawSocket> {
        loop {
            match self.listener.accept() {
                Ok((stream, peer)) => return RawSocket::new(stream, peer),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Says whether [`accept`](Self::accept) fails with `WouldBlock` instead of waiting.
    ///
    /// # Errors
    /// What the system reports.
    pub fn set_nonblocking(&self, yes: bool) -> io::Result<()> {
        self.listener.set_nonblocking(yes)
    }
}

impl AsFd for BoundListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// Linux has `accept` report what went wrong with a connection before anybody saw it, and says to
/// treat it as "try again" (`accept(2)`).
pub(crate) fn is_of_one_connection(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| {
        matches!(
            errno,
            Errno::INTR
                | Errno::CONNABORTED
                | Errno::NETDOWN
                | Errno::PROTO
                | Errno::NOPROTOOPT
                | Errno::HOSTDOWN
                | Errno::NONET
                | Errno::HOSTUNREACH
                | Errno::NETUNREACH
        )
    })
}
