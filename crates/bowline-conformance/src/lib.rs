//! Conformance kit for peers of the Bowline protocol, in whatever language they are written.
//!
//! The kit talks raw bytes to a peer that serves `bowline.demo.v1.Echo`, or to a client that calls it
//! and is driven by an [`adapter`], and holds it to `docs/protocol.md`: what it must answer, what it
//! must refuse, how, and that no other connection notices. Cases are data, in `cases/`; each names its requirement. It knows the frames of the
//! protocol from `bowline-protocol`, but not its state machine: what a peer may do is written down
//! here a second time.
//!
//! ```
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use std::sync::Arc;
//!
//! use bowline::unix::UnixConnector;
//! use bowline_conformance::{Options, Peer, Target, run};
//!
//! let address = "unix:/run/echo.sock".parse()?;
//! let target = Target {
//!     transport: "unix".into(),
//!     connector: Arc::new(UnixConnector::new(&address)?),
//!     impatient: None,
//! };
//! let options = Options { only: vec!["PNG-001".into()], ..Options::default() };
//! let peer = Peer { servers: vec![target], client: None };
//! let report = run(bowline_conformance::cases(), &peer, &options, |_, _| {}).await;
//! // Nobody listens there.
//! assert!(report.unexpected().count() > 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod adapter;
mod case;
mod client;
mod frames;
mod known;
mod link;
mod messages;
mod notation;
mod observer;
mod play;
mod report;
mod script;
mod suite;
mod trace;

pub use case::{Case, CaseError, LEVEL_MAX, Side, Sides, all as cases, parse};
pub use client::{Client, Medium};
pub use known::{Known, KnownError};
pub use messages::adapter as commands;
pub use notation::NotationError;
pub use play::Verdict;
pub use report::{html, junit};
pub use suite::{Options, Peer, Report, Row, Size, Target, run};
pub use trace::Trace;
