//! Bowline over TCP, on this machine's loopback interface unless told otherwise.
//!
//! TCP is for what a socket file cannot reach, and to compare. It carries neither encryption nor
//! credentials: every local user can connect to a loopback port, and so can web pages in a browser.
//! Prefer a Unix socket. A name or address beyond loopback, and the unspecified addresses `0.0.0.0`
//! and `[::]`, are refused unless the options allow them.
//!
//! ```
//! # #[cfg(feature = "tokio")] {
//! use std::future::poll_fn;
//! use std::io::IoSlice;
//! use bowline_tcp::{TcpConnector, TcpListener};
//! use bowline_transport::{Connector, Listener};
//! use bytes::BytesMut;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! // Port 0 has the system choose; the listener knows which it is.
//! let listener = TcpListener::bind(&"tcp:127.0.0.1:0".parse()?).await?;
//! let client = TcpConnector::new(listener.address())?.connect().await?;
//! let server = listener.accept().await?;
//!
//! poll_fn(|cx| client.poll_send(cx, &[IoSlice::new(b"ahoy")], &[])).await?;
//! let (mut bytes, mut descriptors) = (BytesMut::with_capacity(64), Vec::new());
//! poll_fn(|cx| server.poll_recv(cx, &mut bytes, &mut descriptors)).await?;
//! assert_eq!(bytes, "ahoy");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What a peer wrote before it closed can be lost if this side was writing, too: the peer's system
//! answers with a reset, which discards it. So a [`Socket`](bowline_transport::Socket) of this crate
//! does not claim to keep what was written.
//!
//! [`BindOptions::bind`], [`BoundListener`], [`ConnectOptions::connect`] and [`RawSocket`] need no
//! runtime; `TcpListener`, `TcpConnector` and `TcpSocket` are what the feature `tokio` (on by default)
//! makes of them.
#![forbid(unsafe_code)]

mod bind;
mod connect;
mod options;
mod resolve;
#[cfg(feature = "tokio")]
mod runtime;
mod stream;

pub use bind::{BindOptions, BoundListener};
pub use connect::ConnectOptions;
#[cfg(feature = "tokio")]
pub use runtime::{TcpConnector, TcpListener, TcpSocket};
pub use stream::RawSocket;
