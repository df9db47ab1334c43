//! Load generator and comparison report for Bowline.
//!
//! [`demo`] is the Echo service of `proto/bowline/demo/v1/echo.proto`: what `bowline serve` runs.
//! [`compare`] puts the same loads on it over Unix sockets, TCP and memory, in turns, and says what
//! came of it.
//!
//! ```
//! use bowline::{Channel, Server};
//! use bowline_bench::demo;
//! use bowline_bench::demo::v1::EchoRequest;
//! use bowline_bench::demo::v1::echo_client::EchoClient;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder().add_service(demo::service()).listen("memory:bench").await?;
//! let stop = server.handle();
//! let serving = tokio::spawn(server.serve());
//!
//! let client = EchoClient::new(Channel::connect("memory:bench").await?);
//! let request = EchoRequest { payload: b"ahoy".to_vec(), ..Default::default() };
//! assert_eq!(client.unary(request).await?.message().payload, b"ahoy");
//!
//! stop.shutdown();
//! serving.await?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod check;
pub mod command;
pub mod compare;
pub mod demo;
pub mod floor;
pub mod load;
pub mod system;
pub mod systems;
pub mod units;
pub mod worker;

mod cpu;
mod statistics;
mod suite;
mod tally;
