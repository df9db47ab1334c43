//! Unix sockets against TCP and memory: the same loads, in turns, every reply checked.
//!
//! The Echo service of [`demo`](crate::demo) runs in a process of its own for Unix and TCP; over
//! memory both ends share this process. In each round every load runs over each transport after a
//! warm-up, and the order of the transports changes from round to round, so that a machine that gets
//! slower or faster favours none. Rates and CPU are the median of the rounds, percentiles those of
//! all calls.
//!
//! What the latencies are:
//!
//! | kind | from | to |
//! |---|---|---|
//! | unary | the call | its reply |
//! | bidi stream | sending a message | its echo; 16 messages are on their way at once |
//! | server stream | a message's arrival | the next one's; the first one's from the call |
//! | client stream | handing a message over | its being taken, after what flow control demands |
//!
//! A stream is one call that carries thousands of messages. `calls` then count messages.
//!
//! ```
//! use std::time::Duration;
//! use bowline_bench::compare::{Kind, Load, Plan, Transport, run};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let plan = Plan {
//!     transports: vec![Transport::Memory],
//!     loads: vec![Load::new(Kind::Unary, 64, 1)],
//!     rounds: 1,
//!     warm_up: Duration::from_millis(1),
//!     duration: Duration::from_millis(5),
//! };
//! // Only Unix and TCP need the command of a server.
//! let results = run(&plan, |_| unreachable!("memory needs none"), |_| {}).await?;
//! assert!(results[0].calls > 0 && results[0].errors == 0);
//! # Ok(())
//! # }
//! ```

mod load;
mod plan;
mod report;
mod rounds;
mod server;
mod streams;
mod table;

pub use plan::{Kind, Load, Plan, Transport, UnknownName};
pub use report::{LoadResult, Machine, Report, SCHEMA};
pub use rounds::{CompareError, Step, run};
pub use table::table;
