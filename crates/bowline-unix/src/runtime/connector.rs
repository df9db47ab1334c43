//! The connector.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use async_trait::async_trait;
use bowline_transport::{Address, Connector, Fault, Socket, TransportError};
use tokio::time::{Instant, sleep};

use super::UnixSocket;
use crate::connect::ConnectOptions;
use crate::name::Name;

/// The first and the longest pause while the server's queue is full.
const PAUSE_FIRST: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Makes connections to a Unix socket, on tokio.
#[derive(Debug, Clone)]
pub struct UnixConnector {
    address: Address,
    options: ConnectOptions,
}

impl UnixConnector {
    /// Makes connections to a `unix:` or `unix-abstract:` address with the default
    /// [`ConnectOptions`]. The server may come later.
    ///
    /// # Errors
    /// [`Fault::Unsupported`] for an address of another transport, [`Fault::PathTooLong`].
    pub fn new(address: &Address) -> Result<Self, TransportError> {
        Self::with_options(address, ConnectOptions::new())
    }

    /// As [`new`](Self::new), with options.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_options(
        address: &Address,
        options: ConnectOptions,
    ) -> Result<Self, TransportError> {
        match Name::of(address) {
            Ok(_) => Ok(Self { address: address.clone(), options }),
            Err(fault) => Err(TransportError::connect(address, fault)),
        }
    }
}

#[async_trait]
impl Connector for UnixConnector {
    /// While the server's queue of new connections is full, tries again after a pause that grows from
    /// 1 to 50 ms, with jitter, for [`ConnectOptions::backlog_wait`] in all.
    async fn connect(&self) -> Result<Box<dyn Socket>, TransportError> {
        let mut deadline = None;
        let mut pause = PAUSE_FIRST;
        loop {
            let full = match self.options.try_connect(&self.address) {
                Ok(socket) => {
                    let socket = UnixSocket::from_raw(socket).map_err(|error| {
                        let fault = Fault::Io { action: "registering the socket", error };
                        TransportError::connect(&self.address, fault)
                    })?;
                    return Ok(Box::new(socket));
                }
                Err(error) if matches!(error.fault(), Fault::BacklogFull) => error,
                Err(error) => return Err(error),
            };
            let now = Instant::now();
            let deadline = *deadline.get_or_insert_with(|| now + self.options.backlog_limit());
            if now >= deadline {
                return Err(full);
            }
            sleep(jittered(pause).min(deadline - now)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn address(&self) -> &Address {
        &self.address
    }
}

/// Between half of it and all of it, so that those who wait together do not return together.
fn jittered(pause: Duration) -> Duration {
    // Each `RandomState` has other keys.
    let random = RandomState::new().hash_one(()) as u32;
    pause / 2 + (pause / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}
