//! Local RPC: protobuf services between the processes of one machine, over Unix sockets.
//!
//! A [`Server`] answers calls, a [`Channel`] makes them. Services are written as `.proto` files; the
//! crate `bowline-build` turns them into traits to implement and clients to call, in a `build.rs`,
//! without protoc. The same service runs unchanged over a Unix socket, TCP loopback and memory.
//!
//! ```
//! use bowline::codegen::prost;
//! use bowline::{Channel, Method, MethodKind, Request, Response, Server, Status};
//!
//! # // What bowline-build generates, in short.
//! # struct Greeter;
//! # const HELLO: Method = Method::new("example.Greeter/Hello", MethodKind::Unary);
//! # impl bowline::Service for Greeter {
//! #     fn methods(&self) -> &'static [Method] { &[HELLO] }
//! #     fn call(&self, _: usize, call: bowline::ServerCall) -> bowline::Handler {
//! #         call.unary(|request: Request<String>| async move { hello(request).await })
//! #     }
//! # }
//! /// A handler is a plain `async fn`.
//! async fn hello(request: Request<String>) -> Result<Response<String>, Status> {
//!     Ok(Response::new(format!("Hello {}", request.message())))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder().add_service(Greeter).listen("memory:greeter").await?;
//! let stop = server.handle();
//! let serving = tokio::spawn(server.serve());
//!
//! let channel = Channel::connect("memory:greeter").await?;
//! let reply: Response<String> = channel.unary(&HELLO, Request::new("Ada".to_owned())).await?;
//! assert_eq!(reply.message(), "Hello Ada");
//!
//! stop.shutdown();
//! serving.await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature    | default | what it adds                                                       |
//! |------------|---------|--------------------------------------------------------------------|
//! | `tokio`    | yes     | servers and channels on tokio, the types at the top of this crate  |
//! | `unix`     | yes     | Unix sockets                                                       |
//! | `tcp`      | yes     | TCP, loopback only unless told otherwise                           |
//! | `blocking` | no      | servers and channels on threads, in `bowline::blocking`            |
//!
//! Programs without an async runtime switch the default features off and take `blocking` and `unix`:
//! then tokio is not in their dependency tree.
#![forbid(unsafe_code)]

#[cfg(any(feature = "tokio", feature = "blocking"))]
mod arrivals;
#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "tokio")]
mod channel;
#[cfg(feature = "tokio")]
mod connection;
#[cfg(any(feature = "tokio", feature = "blocking"))]
mod error;
#[cfg(any(feature = "tokio", feature = "blocking"))]
mod messages;
#[cfg(any(feature = "tokio", feature = "blocking"))]
mod method;
#[cfg(any(feature = "tokio", feature = "blocking"))]
mod reconnect;
#[cfg(feature = "tokio")]
mod reconnecting;
#[cfg(any(feature = "tokio", feature = "blocking"))]
mod request;
#[cfg(any(feature = "tokio", feature = "blocking"))]
mod router;
#[cfg(feature = "tokio")]
mod server;
#[cfg(feature = "tokio")]
mod service;
#[cfg(any(feature = "tokio", feature = "blocking"))]
mod status;
#[cfg(feature = "tokio")]
mod streaming;
#[cfg(feature = "tokio")]
mod transports;

pub use bowline_protocol::{
    Code, ConnectionError, ErrorCode, Limits, Metadata, MetadataError, Origin, PeerLimits, Status,
};
#[cfg(feature = "tcp")]
pub use bowline_tcp as tcp;
pub use bowline_transport as transport;
pub use bowline_transport::{Address, PeerIdentity};
#[cfg(feature = "unix")]
pub use bowline_unix as unix;

#[cfg(feature = "tokio")]
pub use self::channel::{Channel, ChannelBuilder};
#[cfg(feature = "tokio")]
pub use self::connection::BusyPoll;
#[cfg(feature = "tokio")]
pub use self::server::{Server, ServerBuilder, ServerHandle};
#[cfg(feature = "tokio")]
pub use self::service::{Handler, ServerCall, Service};
#[cfg(feature = "tokio")]
pub use self::streaming::{Reply, Sender, Streaming};
#[cfg(any(feature = "tokio", feature = "blocking"))]
pub use self::{
    error::Error,
    method::{Method, MethodKind},
    reconnect::Reconnect,
    request::{IntoRequest, Request, Response},
};

/// What generated code uses, so that it depends on this crate alone.
pub mod codegen {
    pub use {prost, prost_types};
}

/// Includes the code that `bowline-build` generated for a protobuf package.
///
/// ```ignore
/// mod greeter {
///     bowline::include_proto!("example.greeter.v1");
/// }
/// ```
#[macro_export]
macro_rules! include_proto {
    ($package:tt) => {
        include!(concat!(env!("OUT_DIR"), "/", $package, ".rs"));
    };
}
