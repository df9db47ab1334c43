//! Properties of the core, shown on arbitrary input and on arbitrary schedules.
//!
//! - `codec`: what is encoded decodes to the same; limits of STATUS and metadata.
//! - `bytes`: no input of any kind makes a connection panic, grow, or speak after its end.
//! - `chunks`: how input is split makes no difference.
//! - `random`: two connections under random operations ([`op`]) and a random schedule ([`sut`])
//!   do what a simple model says ([`model`]); an observer of the wire ([`wire`]) keeps the credit.
//! - `readings`: each reading of the rules that deadlocks or leaks, in the very situation in which
//!   it does.
//! - `search` (with the feature `hash`): every interleaving of a tiny configuration.
//!
//! # When a property fails
//!
//! Cases are made from seeds 0, 1, 2 and so on, so a run is the same every time; `BOWLINE_SEED=n`
//! begins with another one. `PROPTEST_CASES` says how many (256). A failure prints the smallest
//! case that fails and a line that replays it:
//!
//! ```text
//! replay: BOWLINE_REPLAY=17 cargo test -p bowline-protocol --test properties random::quick
//! ```
//!
//! Generators change, and seeds then mean something else. So a schedule that has found a bug is
//! kept as what it is: the operations of the smallest case, pasted into `regressions`, as they are
//! printed in Rust's syntax.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers of tests panic as tests do, and the virtual clock begins somewhere"
)]

mod bytes;
mod chunks;
mod codec;
mod model;
mod op;
mod random;
mod readings;
mod regressions;
mod runner;
#[cfg(feature = "hash")]
mod search;
mod sut;
mod wire;
