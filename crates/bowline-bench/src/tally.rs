//! Counting what comes back.

use std::fmt::Display;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest latency that is told from longer ones, in nanoseconds.
const LATENCY_MAX: u64 = 60_000_000_000;

/// Latencies in nanoseconds, to a thousandth.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX, 3).expect("the bounds are valid")
}

/// What came of calls, or of messages.
pub(crate) struct Tally {
    pub(crate) latencies: Histogram<u64>,
    pub(crate) calls: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { latencies: histogram(), calls: 0, errors: 0, first_error: None }
    }

    /// A call that went well and took so long.
    pub(crate) fn record(&mut self, took: Duration) {
        self.calls += 1;
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.latencies.saturating_record(nanos.max(1));
    }

    /// A call that failed, or whose reply was wrong.
    pub(crate) fn fail(&mut self, what: impl Display) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| what.to_string());
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.latencies.add(&other.latencies).expect("all histograms have the same bounds");
        self.calls += other.calls;
        self.errors += other.errors;
        if self.first_error.is_none() {
            self.first_error.clone_from(&other.first_error);
        }
    }
}
