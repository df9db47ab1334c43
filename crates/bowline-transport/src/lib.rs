//! Bowline's transport contract, addresses, peer identity and the memory transport.
//!
//! A transport carries a reliable, ordered stream of bytes in both directions. It is a
//! [`Connector`], a [`Listener`] and the [`Socket`] that both of them yield; `bowline-unix` and
//! `bowline-tcp` are transports, the [`memory`] module is one, and any other crate can bring its
//! own. This crate knows no protocol and no runtime, and opens no sockets.
//!
//! ```
//! use std::future::poll_fn;
//! use std::io::IoSlice;
//! use bowline_transport::memory::{MemoryConnector, MemoryListener};
//! use bowline_transport::{Address, Connector, Listener};
//! use bytes::BytesMut;
//!
//! # fn block_on<F: Future>(future: F) -> F::Output {
//! #     let mut future = std::pin::pin!(future);
//! #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
//! #     loop {
//! #         if let std::task::Poll::Ready(out) = future.as_mut().poll(&mut cx) { return out }
//! #     }
//! # }
//! # block_on(async {
//! let address: Address = "memory:greeter".parse()?;
//! let listener = MemoryListener::bind(&address)?;
//! let client = MemoryConnector::new(&address)?.connect().await?;
//! let server = listener.accept().await?;
//!
//! poll_fn(|cx| client.poll_send(cx, &[IoSlice::new(b"ahoy")], &[])).await?;
//! let (mut bytes, mut descriptors) = (BytesMut::with_capacity(64), Vec::new());
//! poll_fn(|cx| server.poll_recv(cx, &mut bytes, &mut descriptors)).await?;
//! assert_eq!(bytes, "ahoy");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Writing a transport
//!
//! Implement the three traits, give the transport a scheme of its own (any scheme that is not one of
//! Bowline's parses as [`AddressKind::Other`]), and run the suite in `contract` (feature `contract`)
//! in a test. What passes the suite carries Bowline.
#![forbid(unsafe_code)]

mod address;
#[cfg(feature = "contract")]
pub mod contract;
mod error;
pub mod memory;
mod peer;
mod socket;

pub use address::{Address, AddressError, AddressKind, AddressProblem};
pub use error::{Fault, FileKind, Operation, Permission, TransportError};
pub use peer::PeerIdentity;
pub use socket::{Capabilities, Connector, Listener, Socket};
