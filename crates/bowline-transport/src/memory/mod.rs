//! The memory transport: connections inside one process, for tests and for services that share one.
//!
//! A connection is a pair of bounded byte pipes and behaves as a Unix socket does: what was written
//! before the writer closed can be read to the end, writing to a closed reader fails with
//! `BrokenPipe`, and a full pipe makes the writer wait. It needs no runtime and uses no system call;
//! everything rests on mutexes and wakers. It carries no descriptors.
//!
//! [`pair`] makes two connected sockets; [`MemoryListener`] and [`MemoryConnector`] meet at a name
//! (`memory:name`) that is known in this process alone.

mod listener;
mod pipe;

use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;

pub use self::listener::{BACKLOG, MemoryConnector, MemoryListener};
use self::pipe::Pipe;
use crate::{Capabilities, PeerIdentity, Socket};

/// How many bytes each direction of a connection holds unless told otherwise: as a Unix socket on
/// Linux, 208 KiB.
pub const CAPACITY: usize = 208 * 1024;

/// Two connected sockets, each direction of which holds up to `capacity` bytes (at least one).
///
/// ```
/// use bowline_transport::{Socket, memory};
/// use std::io::IoSlice;
///
/// let (a, b) = memory::pair(memory::CAPACITY);
/// a.try_send(&[IoSlice::new(b"ahoy")], &[])?;
/// let mut bytes = bytes::BytesMut::with_capacity(64);
/// assert_eq!(b.try_recv(&mut bytes, &mut Vec::new())?, 4);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn pair(capacity: usize) -> (MemorySocket, MemorySocket) {
    let (there, back) = (Arc::new(Pipe::new(capacity)), Arc::new(Pipe::new(capacity)));
    let peer = this_process();
    let first = MemorySocket {
        incoming: Arc::clone(&back),
        outgoing: Arc::clone(&there),
        peer: peer.clone(),
    };
    (first, MemorySocket { incoming: there, outgoing: back, peer })
}

/// One end of a connection in memory.
#[derive(Debug)]
pub struct MemorySocket {
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
    peer: PeerIdentity,
}

impl Socket for MemorySocket {
    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buf: &mut BytesMut,
        _descriptors: &mut Vec<OwnedFd>,
    ) -> Poll<io::Result<usize>> {
        pending_if_blocked(self.incoming.recv(buf, Some(cx)))
    }

    fn try_recv(&self, buf: &mut BytesMut, _descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
        self.incoming.recv(buf, None)
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
        descriptors: &[BorrowedFd<'_>],
    ) -> Poll<io::Result<usize>> {
        refuse(descriptors)?;
        pending_if_blocked(self.outgoing.send(data, Some(cx)))
    }

    fn try_send(&self, data: &[IoSlice<'_>], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        refuse(descriptors)?;
        self.outgoing.send(data, None)
    }

    fn shutdown(&self) -> io::Result<()> {
        self.outgoing.close_writer();
        Ok(())
    }

    fn peer(&self) -> &PeerIdentity {
        &self.peer
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_keeps_written(true)
    }
}

impl Drop for MemorySocket {
    fn drop(&mut self) {
        self.outgoing.close_writer();
        self.incoming.close_reader();
    }
}

fn pending_if_blocked(result: io::Result<usize>) -> Poll<io::Result<usize>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

fn refuse(descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    if descriptors.is_empty() {
        return Ok(());
    }
    let text = "the memory transport carries no descriptors";
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

/// This process as a peer. Its user and group are the effective ones at this moment, as the kernel
/// tells them in `/proc`; where that is not mounted they are not known.
fn this_process() -> PeerIdentity {
    let peer = PeerIdentity::new("memory").with_pid(std::process::id());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    // The columns are the real, effective, saved and file-system id.
    let effective = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().nth(1)?.parse().ok()
    };
    match (effective("Uid:"), effective("Gid:")) {
        (Some(uid), Some(gid)) => peer.with_uid(uid).with_gid(gid),
        _ => peer,
    }
}

#[cfg(test)]
mod tests;
