//! The half of the crate that runs on tokio: the transport contract over the sockets of the other
//! half. All system calls are there; here is only when to make them.

mod connector;
mod listener;
mod socket;
mod writable;

pub use self::connector::UnixConnector;
pub use self::listener::UnixListener;
pub use self::socket::UnixSocket;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::bind::BoundListener;
use crate::stream::RawSocket;

/// What owns one descriptor, and keeps it open and the same for as long as it lives.
trait Owner: AsRawFd {}

impl Owner for OwnedFd {}
impl Owner for RawSocket {}
impl Owner for BoundListener {}

/// Has the current runtime watch a descriptor.
fn register<T: Owner>(owner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: An `Owner` holds its descriptor in a private `OwnedFd` field (or is one), which it
    // neither closes nor replaces before it is dropped, and `as_raw_fd` always returns that one. The
    // `AsyncFd` deregisters it before it drops the owner.
    let registered = unsafe { AsyncFd::register_with_interest(owner, interest) };
    registered.map_err(|error| error.into_parts().1)
}
