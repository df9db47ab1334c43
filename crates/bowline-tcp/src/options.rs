//! Making sockets, with the options that listeners and connectors share.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use bowline_transport::Fault;
use rustix::io::Errno;
use rustix::net::sockopt::{
    set_socket_recv_buffer_size, set_socket_send_buffer_size, set_tcp_nodelay,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// The sizes to ask for, in bytes; `None` leaves them to the system, which adapts them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Buffers {
    pub(crate) send: Option<usize>,
    pub(crate) recv: Option<usize>,
}

impl Buffers {
    pub(crate) const fn new() -> Self {
        Self { send: None, recv: None }
    }
}

/// A socket for an address. The buffers are set before it connects or listens, since the window that
/// TCP announces depends on them.
pub(crate) fn socket(
    addr: SocketAddr,
    flags: SocketFlags,
    buffers: Buffers,
) -> Result<OwnedFd, Fault> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let fd = socket_with(family, SocketType::STREAM, flags | SocketFlags::CLOEXEC, None)
        .map_err(|errno| io("socket", errno))?;
    let set = || {
        if let Some(bytes) = buffers.send {
            set_socket_send_buffer_size(&fd, bytes)?;
        }
        if let Some(bytes) = buffers.recv {
            set_socket_recv_buffer_size(&fd, bytes)?;
        }
        // Accepted sockets have it from the listening one.
        set_tcp_nodelay(&fd, true)
    };
    set().map_err(|errno| io("set the socket's options", errno))?;
    Ok(fd)
}

/// The fault of a system call that failed for a reason that has no variant.
pub(crate) fn io(action: &'static str, errno: Errno) -> Fault {
    Fault::Io { action, error: errno.into() }
}
