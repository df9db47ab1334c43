//! The listener.

use std::io;

use async_trait::async_trait;
use bowline_transport::{Address, Fault, Listener, Socket, TransportError};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

use super::{UnixSocket, register};
use crate::bind::{BindOptions, BoundListener};

/// Accepts connections at a Unix socket, on tokio.
///
/// Dropping it removes the socket file, if it is still its own.
#[derive(Debug)]
pub struct UnixListener {
    bound: AsyncFd<BoundListener>,
}

impl UnixListener {
    /// Listens at a `unix:` or `unix-abstract:` address with the default [`BindOptions`]. Call it
    /// inside a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// What kept it from listening, with what to do about it.
    ///
    /// # Panics
    /// If the runtime has no I/O.
    pub fn bind(address: &Address) -> Result<Self, TransportError> {
        Self::bind_with(address, &BindOptions::new())
    }

    /// As [`bind`](Self::bind), with options.
    ///
    /// # Errors
    /// What kept it from listening, with what to do about it.
    ///
    /// # Panics
    /// If the runtime has no I/O.
    pub fn bind_with(address: &Address, options: &BindOptions) -> Result<Self, TransportError> {
        Self::from_bound(options.bind(address)?)
    }

    /// Takes a listener that is bound already. Call it inside a tokio runtime with I/O and time
    /// enabled.
    ///
    /// # Errors
    /// If there is no runtime, or the system is short of resources.
    ///
    /// # Panics
    /// If the runtime has no I/O.
    pub fn from_bound(bound: BoundListener) -> Result<Self, TransportError> {
        let address = bound.address().clone();
        let watch = || {
            // tokio panics where there is no runtime; an error can be shown.
            Handle::try_current().map_err(io::Error::other)?;
            bound.set_nonblocking(true)?;
            register(bound, Interest::READABLE)
        };
        watch().map(|bound| Self { bound }).map_err(|error| {
            let fault = Fault::Io { action: "handing the listener to the runtime", error };
            TransportError::listen(&address, fault)
        })
    }
}

#[async_trait]
impl Listener for UnixListener {
    /// Fails with `PermissionDenied` for a connection to an abstract name from another user, which is
    /// closed.
    async fn accept(&self) -> io::Result<Box<dyn Socket>> {
        loop {
            let mut ready = self.bound.readable().await?;
            match ready.try_io(|bound| bound.get_ref().accept()) {
                Ok(socket) => return Ok(Box::new(UnixSocket::from_raw(socket?)?)),
                Err(_would_block) => {}
            }
        }
    }

    fn address(&self) -> &Address {
        self.bound.get_ref().address()
    }
}
