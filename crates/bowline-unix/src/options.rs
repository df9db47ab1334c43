//! The options that listeners and connectors share.

use std::os::fd::OwnedFd;

use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};

/// The sizes to ask for, in bytes; `None` leaves them as they are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Buffers {
    pub(crate) send: Option<usize>,
    pub(crate) recv: Option<usize>,
}

impl Buffers {
    pub(crate) const fn new() -> Self {
        Self { send: None, recv: None }
    }

    pub(crate) fn apply(&self, fd: &OwnedFd) -> rustix::io::Result<()> {
        if let Some(bytes) = self.send {
            set_socket_send_buffer_size(fd, bytes)?;
        }
        if let Some(bytes) = self.recv {
            set_socket_recv_buffer_size(fd, bytes)?;
        }
        Ok(())
    }
}
