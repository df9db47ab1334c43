//! What the harness and its workers say to each other: one line of JSON each way, in turns.

use serde::{Deserialize, Serialize};

use super::sample::Sample;
use crate::load::Load;
use crate::system::Address;

/// What a worker is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Say what this process has used so far.
    Sample,
    /// Connect, and run this load for some time without counting. Connections of an earlier load are
    /// closed; an idle load adds to those that there are.
    Prepare { load: Load, address: Address, warm_up_ms: u64 },
    /// Run the load that was prepared for so long.
    Measure { duration_ms: u64 },
    /// Close all connections.
    Release,
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// A server: clients can connect here.
    Listening { address: Address },
    /// To [`Order::Sample`].
    Sample(Sample),
    /// To [`Order::Measure`].
    Measured(Measured),
    /// To other orders.
    Done,
    /// It was not possible.
    Failed { error: String },
}

/// What came of a run at the clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// What came of each part of the load: one, but two of small calls beside large ones.
    pub(crate) parts: Vec<Part>,
    /// Processor time that the clients used, in nanoseconds.
    pub(crate) cpu_ns: u64,
    /// Allocations, if they are counted.
    pub(crate) allocations: Option<u64>,
}

/// What came of calls, or of messages of streams, that are alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// How many.
    pub(crate) count: u64,
    /// From the start to the end of the last one, in nanoseconds.
    pub(crate) elapsed_ns: u64,
    /// How long calls took, in nanoseconds; `None` for streams.
    pub(crate) latency: Option<Latency>,
}

impl Measured {
    /// Calls of all parts, or messages.
    pub(crate) fn calls(&self) -> u64 {
        self.parts.iter().map(|part| part.count).sum()
    }
}

impl Part {
    /// Calls in a second, or messages.
    pub(crate) fn rate(&self) -> f64 {
        self.count as f64 / (self.elapsed_ns.max(1) as f64 / 1e9)
    }
}

/// Percentiles, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}
