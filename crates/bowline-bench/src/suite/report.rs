//! Results, as they are written to JSON, and what follows from them.

use serde::{Deserialize, Serialize};

use super::SuiteError;
use super::plan::{Contestant, Plan, Setting};
use crate::compare::{Machine, Transport};
use crate::load::{Load, Work};
use crate::statistics::{median, quantile};
use crate::worker::control::{Latency, Part};
use crate::worker::sample::Sample;

/// What [`Report::schema`] says; another number for each change that readers would notice.
const SCHEMA: &str = "bowline-bench/1";

/// A comparison.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) schema: String,
    pub(crate) machine: Machine,
    /// What compiled it.
    pub(crate) rustc: String,
    /// The command that made it.
    pub(crate) command: String,
    pub(crate) rounds: u32,
    pub(crate) duration_ms: u64,
    /// What `--busy-poll` said.
    pub(crate) busy_poll: Option<String>,
    pub(crate) results: Vec<Outcome>,
    pub(crate) idle: Vec<Idle>,
    pub(crate) counts: Vec<Count>,
    /// What did not work: such a result is missing.
    pub(crate) failures: Vec<Failure>,
}

/// What came of one load at one system.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) setting: Setting,
    /// The name of `load`.
    pub(crate) name: String,
    pub(crate) load: Load,
    pub(crate) system: String,
    pub(crate) transport: Transport,
    pub(crate) rounds: Vec<Round>,
}

/// What came of one round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Round {
    /// One, but two of small calls beside large ones: the small ones first.
    pub(crate) parts: Vec<Part>,
    /// Processor time of the processes, in nanoseconds.
    pub(crate) client_cpu_ns: u64,
    pub(crate) server_cpu_ns: u64,
}

/// A system that did not manage a load.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) setting: Setting,
    pub(crate) load: String,
    pub(crate) system: String,
    pub(crate) transport: Transport,
    pub(crate) error: String,
}

/// What idle connections cost.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Idle {
    pub(crate) system: String,
    pub(crate) transport: Transport,
    /// With 1 connection, with 1,001, and with as many as the load has; one second after the last
    /// call each.
    pub(crate) steps: Vec<IdleStep>,
    /// With the most connections, how often threads woke up.
    pub(crate) client_wakeups_per_second: f64,
    pub(crate) server_wakeups_per_second: f64,
}

/// What both sides have used when there were so many connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct IdleStep {
    pub(crate) connections: u32,
    pub(crate) client: Sample,
    pub(crate) server: Sample,
}

/// What was counted for each call, or message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Count {
    pub(crate) load: String,
    pub(crate) system: String,
    pub(crate) transport: Transport,
    pub(crate) system_calls: PerSide,
    /// `None` if the program that counts them has not been built.
    pub(crate) allocations: Option<PerSide>,
}

/// A number of each side's.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct PerSide {
    pub(crate) client: f64,
    pub(crate) server: f64,
}

/// The middle of the rounds, and how far the middle half of them reaches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        Self { median: median(values), low: quantile(values, 0.25), high: quantile(values, 0.75) }
    }

    /// Half the distance of the quartiles, as a share of the median.
    pub(crate) fn share(self) -> f64 {
        if self.median > 0.0 { (self.high - self.low) / 2.0 / self.median } else { 0.0 }
    }
}

impl Report {
    pub(crate) fn new(command: String, plan: &Plan) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            machine: Machine::this(),
            rustc: env!("BOWLINE_BENCH_RUSTC").to_owned(),
            command,
            rounds: plan.rounds,
            duration_ms: u64::try_from(plan.duration.as_millis()).unwrap_or(u64::MAX),
            busy_poll: plan.busy_poll.clone(),
            results: Vec::new(),
            idle: Vec::new(),
            counts: Vec::new(),
            failures: Vec::new(),
        }
    }

    pub(super) fn fail(
        &mut self,
        setting: Setting,
        load: &Load,
        contestant: &Contestant,
        error: &SuiteError,
    ) {
        self.failures.push(Failure {
            setting,
            load: load.name(),
            system: contestant.listed.system.name.clone(),
            transport: contestant.transport,
            error: error.to_string(),
        });
    }

    pub(crate) fn find(
        &self,
        setting: Setting,
        load: &str,
        system: &str,
        transport: Transport,
    ) -> Option<&Outcome> {
        self.results.iter().find(|outcome| {
            outcome.setting == setting
                && outcome.name == load
                && outcome.system == system
                && outcome.transport == transport
        })
    }
}

impl Idle {
    /// Memory of a connection, in bytes: how much 1,000 of them add.
    pub(crate) fn bytes_per_connection(&self, side: fn(&IdleStep) -> &Sample) -> Option<f64> {
        let [few, many, ..] = &self.steps[..] else { return None };
        let bytes = |step| side(step).resident_bytes as f64;
        Some((bytes(many) - bytes(few)) / f64::from(many.connections - few.connections))
    }
}

impl Outcome {
    fn over_rounds(&self, value: impl Fn(&Round) -> Option<f64>) -> Spread {
        let values: Vec<_> = self.rounds.iter().filter_map(value).collect();
        Spread::of(&values)
    }

    /// Calls in a second, or messages. Of mixed loads: those of one part.
    pub(crate) fn rate(&self, part: usize) -> Spread {
        self.over_rounds(|round| round.parts.get(part).map(Part::rate))
    }

    /// Processor time of both sides for each call, in nanoseconds; none of mixed loads, whose calls
    /// are not alike.
    pub(crate) fn cpu_per_call(&self) -> Option<f64> {
        let cpu = |round: &Round| {
            let count = round.parts[0].count;
            (count > 0).then(|| (round.client_cpu_ns + round.server_cpu_ns) as f64 / count as f64)
        };
        (self.load.work != Work::Mixed).then(|| self.over_rounds(cpu).median)
    }

    /// The median of the rounds of a percentile, in nanoseconds; `None` of streams.
    pub(crate) fn latency(&self, part: usize, of: fn(&Latency) -> u64) -> Option<f64> {
        self.rounds.first()?.parts.get(part)?.latency.as_ref()?;
        let value = |round: &Round| {
            let latency = round.parts.get(part)?.latency.as_ref()?;
            Some(of(latency) as f64)
        };
        Some(self.over_rounds(value).median)
    }
}

#[cfg(test)]
pub(super) mod testing {
    //! Results that were made up.

    use super::*;

    pub(in crate::suite) fn report(results: Vec<Outcome>) -> Report {
        Report {
            schema: SCHEMA.to_owned(),
            machine: Machine { cpu: "abacus".to_owned(), cores: 2, kernel: "none".to_owned() },
            rustc: "rustc".to_owned(),
            command: "bowline-bench run".to_owned(),
            rounds: 3,
            duration_ms: 1000,
            busy_poll: None,
            results,
            idle: Vec::new(),
            counts: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Rounds of a second with so many calls each, that take turns.
    pub(in crate::suite) fn outcome(
        setting: Setting,
        name: &str,
        system: &str,
        counts: &[u64],
    ) -> Outcome {
        let load = Load::all().into_iter().find(|load| load.name() == name).expect("a load");
        let round = |count: &u64| {
            let nanos = 1_000_000_000 / count;
            let latency = Latency { p50: nanos, p99: nanos, p999: nanos, max: nanos };
            let part = Part { count: *count, elapsed_ns: 1_000_000_000, latency: Some(latency) };
            Round { parts: vec![part], client_cpu_ns: 600_000_000, server_cpu_ns: 400_000_000 }
        };
        Outcome {
            setting,
            name: name.to_owned(),
            load,
            system: system.to_owned(),
            transport: Transport::Unix,
            rounds: counts.iter().map(round).collect(),
        }
    }
}
