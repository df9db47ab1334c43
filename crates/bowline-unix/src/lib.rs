//! Bowline over Unix sockets.
//!
//! A server listens at a path (`unix:///run/app/api.sock`) or at a name in Linux's abstract namespace
//! (`unix-abstract:app`), and knows from the kernel who connects.
//!
//! ```
//! # #[cfg(feature = "tokio")] {
//! use std::future::poll_fn;
//! use std::io::IoSlice;
//! use bowline_transport::{Address, Connector, Listener};
//! use bowline_unix::{UnixConnector, UnixListener};
//! use bytes::BytesMut;
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("api.sock");
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let address = Address::unix(&path)?;
//! let listener = UnixListener::bind(&address)?;
//! let client = UnixConnector::new(&address)?.connect().await?;
//! let server = listener.accept().await?;
//! assert_eq!(server.peer().pid(), Some(std::process::id()));
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
//! # Safe by default
//!
//! - Only the server's own user can connect (mode 0600), from the first moment on, whatever the umask
//!   is; [`BindOptions::mode`] says otherwise.
//! - A second server at the same path fails and says who is there. After a crash, `kill -9` included,
//!   the next start takes the path over. A file that is not a socket is never touched.
//! - The socket file is removed at the end, unless another server's has taken its place.
//! - Abstract names have no permissions, so that connections of other users are closed at once unless
//!   [`BindOptions::any_uid`] allows them.
//! - A client that knows which user the server runs as can insist on it:
//!   [`ConnectOptions::require_peer_uid`].
//!
//! # Without a runtime
//!
//! [`BindOptions::bind`], [`BoundListener`], [`ConnectOptions::connect`] and [`RawSocket`] need no
//! runtime; `UnixListener`, `UnixConnector` and `UnixSocket` are what the feature `tokio` (on by
//! default) makes of them. The crate is for Linux.

mod bind;
mod connect;
mod credentials;
mod lock;
mod name;
mod options;
mod path;
mod place;
#[cfg(feature = "tokio")]
mod runtime;
mod stream;
mod takeover;

pub use bind::{BindOptions, BoundListener};
pub use connect::ConnectOptions;
pub use credentials::peer_identity;
pub use name::NAME_MAX;
#[cfg(feature = "tokio")]
pub use runtime::{UnixConnector, UnixListener, UnixSocket};
pub use stream::RawSocket;
