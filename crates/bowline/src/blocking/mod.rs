//! Servers and channels that block their threads: the same protocol, without an async runtime.
//!
//! [`Channel`], [`Server`], [`Streaming`] and [`Sender`] are what their namesakes one module up are, for
//! code without `async`: the right tool for command-line programs, and the shortest way from a call to
//! its reply, one system call to send and one to receive on each side. Both kinds talk to each other,
//! and share requests, responses, statuses and methods. `bowline-build` generates the clients and
//! servers with `Config::blocking`.
//!
//! ```
//! # #[cfg(feature = "unix")] {
//! use bowline::blocking::{self, Channel, Server};
//! use bowline::{Method, MethodKind, Request, Response, Status};
//!
//! # // What bowline-build generates, in short.
//! # struct Greeter;
//! # const HELLO: Method = Method::new("example.Greeter/Hello", MethodKind::Unary);
//! # impl blocking::Service for Greeter {
//! #     fn methods(&self) -> &'static [Method] { &[HELLO] }
//! #     fn call(&self, _: usize, call: blocking::ServerCall) -> blocking::Answer {
//! #         call.unary(hello)
//! #     }
//! # }
//! /// A handler is a plain function.
//! fn hello(request: Request<String>) -> Result<Response<String>, Status> {
//!     Ok(Response::new(format!("Hello {}", request.message())))
//! }
//!
//! let server = Server::builder().add_service(Greeter).listen("unix-abstract:blocking-greeter")?;
//! let stop = server.handle();
//! let serving = std::thread::spawn(|| server.serve());
//!
//! let channel = Channel::connect("unix-abstract:blocking-greeter")?;
//! let reply: Response<String> = channel.unary(&HELLO, Request::new("Ada".to_owned()))?;
//! assert_eq!(reply.message(), "Hello Ada");
//!
//! stop.shutdown();
//! serving.join().expect("the server does not panic")?;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Unix sockets and TCP have a blocking half. The memory transport has none: its other end is a task.

mod channel;
mod connection;
mod reconnecting;
mod server;
mod service;
mod streaming;
mod transport;
mod workers;

pub use self::channel::{Channel, ChannelBuilder};
pub use self::server::{Server, ServerBuilder, ServerHandle};
pub(crate) use self::service::Caller;
pub use self::service::{Answer, ServerCall, Service};
pub use self::streaming::{Reply, Sender, Streaming};
pub use self::transport::{Connector, Listener, Socket};
