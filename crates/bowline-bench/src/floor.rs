//! The floor: what sockets alone can do, without any protocol. Nothing that has deadlines, flow
//! control and more than one method can be faster for long.

mod calls;
mod input;
mod output;
mod raw_blocking;
mod raw_streams;
mod raw_tokio;
mod sockets;

pub use raw_blocking::{RawBlocking, RawBlockingClient};
pub use raw_tokio::{RawTokio, RawTokioClient};
