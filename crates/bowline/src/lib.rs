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
#![forbid(unsafe_code)]

mod channel;
mod connection;
mod error;
mod reconnect;
mod request;
mod server;
mod service;
mod streaming;
mod transports;

use bowline_protocol::SendError;
pub use bowline_protocol::{
    Code, ConnectionError, ErrorCode, Limits, Metadata, MetadataError, Origin, PeerLimits, Status,
};
#[cfg(feature = "tcp")]
pub use bowline_tcp as tcp;
pub use bowline_transport as transport;
pub use bowline_transport::{Address, PeerIdentity};
#[cfg(feature = "unix")]
pub use bowline_unix as unix;

pub use self::channel::{Channel, ChannelBuilder};
pub use self::connection::BusyPoll;
pub use self::error::Error;
pub use self::reconnect::Reconnect;
pub use self::request::{IntoRequest, Request, Response};
pub use self::server::{Server, ServerBuilder, ServerHandle};
pub use self::service::{Handler, Method, MethodKind, ServerCall, Service};
pub use self::streaming::{Reply, Sender, Streaming};

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

/// What the sender of a message is told when it was not taken.
fn send_status(error: SendError) -> Status {
    let text = error.to_string();
    match error {
        SendError::TooLong { .. } => Status::resource_exhausted(text),
        SendError::Metadata(_) => Status::invalid_argument(text),
        SendError::Closed => Status::cancelled(text),
        _ => Status::internal(text),
    }
}
