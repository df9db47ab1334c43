//! What is measured: systems, loads, where they run, and how often.

use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::SuiteError;
use super::catalogue::Listed;
use crate::compare::Transport;
use crate::load::{Direction, Load, Work};
use crate::worker::Runtime;

/// Where client and server run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Setting {
    /// Both processes on one processor, a current-thread runtime each
    OneCore,
    /// Both processes where the kernel puts them, a current-thread runtime each
    TwoCores,
    /// Both processes where the kernel puts them, a multi-thread runtime each
    MultiThread,
}

impl Setting {
    pub(crate) const fn runtime(self) -> Runtime {
        match self {
            Self::OneCore | Self::TwoCores => Runtime::CurrentThread,
            Self::MultiThread => Runtime::MultiThread,
        }
    }

    pub(crate) const fn is_pinned(self) -> bool {
        matches!(self, Self::OneCore)
    }

    /// Its name for people.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::OneCore => "one core",
            Self::TwoCores => "two cores",
            Self::MultiThread => "two cores, multi-thread runtime",
        }
    }
}

/// What is measured.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) systems: Vec<Listed>,
    /// Empty: Unix, and TCP for the loads of [`quick_loads`].
    pub(crate) transports: Vec<Transport>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) loads: Vec<Load>,
    pub(crate) rounds: u32,
    /// How long a load runs before the first round.
    pub(crate) warm_up: Duration,
    /// How long it runs in each round.
    pub(crate) duration: Duration,
    /// The processor of [`Setting::OneCore`].
    pub(crate) cpu: usize,
    pub(crate) busy_poll: Option<String>,
    /// Whether system calls and allocations are counted, too.
    pub(crate) counts: bool,
}

/// A system over a transport.
#[derive(Debug, Clone)]
pub(crate) struct Contestant {
    pub(crate) listed: Listed,
    pub(crate) transport: Transport,
}

impl Contestant {
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.listed.system.name, self.transport)
    }
}

impl Plan {
    /// Those that can run a load.
    pub(crate) fn contestants(&self, load: &Load) -> Vec<Contestant> {
        let mut all = Vec::new();
        for listed in &self.systems {
            for transport in self.transports(load) {
                if listed.unsupported(load, transport).is_none() {
                    all.push(Contestant { listed: listed.clone(), transport });
                }
            }
        }
        all
    }

    fn transports(&self, load: &Load) -> Vec<Transport> {
        if !self.transports.is_empty() {
            return self.transports.clone();
        }
        let mut usual = vec![Transport::Unix];
        if quick_loads().contains(load) {
            usual.push(Transport::Tcp);
        }
        usual
    }

    /// Loads of all settings.
    pub(crate) fn steps(&self) -> usize {
        let idle = self.loads.iter().filter(|load| load.is_idle()).count();
        let counted = self.loads.iter().filter(|load| self.counts && load.has_counts()).count();
        (self.loads.len() - idle) * self.settings.len() + idle + counted
    }

    /// How long it takes, about.
    pub(crate) fn estimate(&self) -> Duration {
        let runs: usize = self.loads.iter().map(|load| self.contestants(load).len()).sum();
        let runs = u32::try_from(runs * self.settings.len()).unwrap_or(u32::MAX);
        (self.warm_up + self.duration * self.rounds) * runs
    }
}

/// The loads that show most, for a quick look.
pub(crate) fn quick_loads() -> Vec<Load> {
    vec![
        Load::unary(64, 1),
        Load::unary(64, 64),
        Load::new(Work::Unary { size: 64, in_flight: 16, connections: 16 }),
        Load::unary(64 << 10, 8),
        Load::unary(1 << 20, 1),
        Load::new(Work::Stream { direction: Direction::Download, size: 1 << 10 }),
        Load::new(Work::Stream { direction: Direction::Download, size: 64 << 10 }),
    ]
}

/// Of these loads those whose names begin like one of the texts; all, without texts.
pub(crate) fn select_loads(loads: Vec<Load>, texts: &[String]) -> Result<Vec<Load>, SuiteError> {
    let is_meant = |load: &Load, text: &String| load.name().starts_with(text.as_str());
    for text in texts {
        if !loads.iter().any(|load| is_meant(load, text)) {
            let names: Vec<_> = loads.iter().map(Load::name).collect();
            let what = format!("the load {text:?}");
            return Err(SuiteError::Unknown { what, names: names.join(", ") });
        }
    }
    let selected = loads.into_iter();
    Ok(selected
        .filter(|load| texts.is_empty() || texts.iter().any(|text| is_meant(load, text)))
        .collect())
}
