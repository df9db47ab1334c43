//! The hot paths of the core as work to be measured, once for times and once for instructions.
//!
//! Each workload is [`OPERATIONS`] operations. What it needs is made beforehand, and has been
//! through the same work: what is measured is a connection in its stride.

pub(crate) mod codec;
pub(crate) mod pair;

/// Operations of every workload: frames, rounds of control messages, calls, batches of a stream.
pub(crate) const OPERATIONS: usize = 64;

/// Messages that a stream sends at once: one operation.
pub(crate) const BATCH: usize = 16;
