//! What Bowline has to reach, as ratios of medians, and what it reaches.

use super::plan::Setting;
use super::report::{Outcome, Report};
use crate::compare::Transport;

const PEERS: [&str; 6] = ["tonic", "ttrpc", "tarpc", "capnp-rpc", "vox", "connectrpc"];
const OURS: &str = "bowline";
const BLOCKING: &str = "bowline-blocking";
const RAW_BLOCKING: &str = "raw-blocking";
const RAW_TOKIO: &str = "raw-tokio";

/// Something to be reached.
pub(crate) struct Goal {
    setting: Setting,
    load: &'static str,
    measure: Measure,
    ours: &'static str,
    than: Than,
    bound: Bound,
}

/// What is compared.
#[derive(Clone, Copy)]
enum Measure {
    /// Calls in a second. Of mixed loads: of the small ones.
    Rate,
    /// The same, of the large ones.
    LargeRate,
    /// The slowest of a hundred calls. Of mixed loads: of the small ones.
    P99,
    /// Processor time of both sides for each call.
    Cpu,
    /// Memory of an idle connection at the server, in KiB. Compared with nothing.
    IdleMemory,
    /// Wake-ups per second of idle connections, both sides. Compared with nothing.
    Wakeups,
}

/// With what.
#[derive(Clone, Copy)]
enum Than {
    System(&'static str),
    /// The best of these.
    BestOf(&'static [&'static str]),
    /// The same system with another load.
    Load(&'static str),
    /// The same system over TCP.
    Tcp,
    /// Nothing: the figure itself.
    Itself,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// What became of a goal.
pub(crate) struct Verdict {
    /// The setting and the load.
    pub(crate) load: String,
    /// What was compared with what.
    pub(crate) text: String,
    pub(crate) bound: String,
    /// The figure, and whether it is good enough; `None` if something was not measured.
    pub(crate) reached: Option<(f64, bool)>,
}

/// What became of all goals.
pub(crate) fn verdicts(report: &Report) -> Vec<Verdict> {
    let ahead = ahead_of_all(report);
    goals().iter().map(|goal| goal.verdict(report)).chain([ahead]).collect()
}

fn goals() -> Vec<Goal> {
    use Bound::{AtLeast, AtMost};
    use Setting::{OneCore, TwoCores};
    use Than::{BestOf, Itself, System, Tcp};
    let mut goals = Vec::new();
    let mut rates = |setting, load, ours, rows: &[(Than, f64)]| {
        goals.extend(rows.iter().map(|(than, least)| Goal {
            setting,
            load,
            measure: Measure::Rate,
            ours,
            than: *than,
            bound: AtLeast(*least),
        }));
    };
    let (blocking, tokio, tonic) = (System(RAW_BLOCKING), System(RAW_TOKIO), System("tonic"));
    let but_tonic = BestOf(&["ttrpc", "tarpc", "capnp-rpc", "vox", "connectrpc"]);
    let but_tarpc = BestOf(&["tonic", "ttrpc", "capnp-rpc", "vox", "connectrpc"]);
    let http_and_vox = BestOf(&["tonic", "connectrpc", "vox"]);
    let (ttrpc, tarpc, all) = (System("ttrpc"), System("tarpc"), BestOf(&PEERS));
    let alone = [(blocking, 0.75), (tokio, 1.15), (tonic, 6.0), (but_tonic, 1.7)];
    rates(OneCore, "unary-64B-x1", OURS, &alone);
    rates(OneCore, "unary-64B-x1", BLOCKING, &[(blocking, 0.88)]);
    let many = [(tokio, 0.6), (http_and_vox, 20.0), (BestOf(&["ttrpc", "capnp-rpc"]), 12.0)];
    rates(OneCore, "unary-64B-x64", OURS, &many);
    rates(OneCore, "unary-64B-x64", OURS, &[(tarpc, 4.5)]);
    rates(OneCore, "unary-64B-16x16", OURS, &[(tarpc, 3.3), (but_tarpc, 8.0)]);
    rates(OneCore, "unary-64KiB-x8", OURS, &[(all, 2.2)]);
    rates(OneCore, "unary-1MiB-x1", OURS, &[(blocking, 0.7), (all, 3.0)]);
    rates(OneCore, "download-1KiB", OURS, &[(tokio, 0.45), (tonic, 2.0), (ttrpc, 8.0)]);
    rates(OneCore, "download-64KiB", OURS, &[(tokio, 0.65), (tonic, 2.5), (ttrpc, 1.4)]);
    rates(TwoCores, "unary-64B-x1", OURS, &[(blocking, 4.0), (all, 4.0)]);
    rates(TwoCores, "unary-64B-x64", OURS, &[(tokio, 1.0), (all, 4.0)]);
    for setting in [OneCore, TwoCores] {
        rates(setting, "unary-64B-x1", OURS, &[(Tcp, 1.0)]);
        rates(setting, "unary-64B-x64", OURS, &[(Tcp, 1.0)]);
    }
    let others = [
        (OneCore, "mixed", Measure::P99, Than::Load("unary-64B-x4"), AtMost(15.0)),
        (OneCore, "mixed", Measure::P99, tonic, AtMost(0.25)),
        (OneCore, "mixed", Measure::LargeRate, Than::Load("unary-1MiB-x2"), AtLeast(0.5)),
        (OneCore, "idle", Measure::IdleMemory, Itself, AtMost(4.0)),
        (OneCore, "idle", Measure::Wakeups, Itself, AtMost(0.0)),
        (TwoCores, "unary-64B-x1", Measure::Cpu, blocking, AtMost(1.0)),
    ];
    goals.extend(others.map(|(setting, load, measure, than, bound)| Goal {
        setting,
        load,
        measure,
        ours: OURS,
        than,
        bound,
    }));
    goals
}

impl Goal {
    fn verdict(&self, report: &Report) -> Verdict {
        let reached = self.figure(report).map(|figure| (figure, self.bound.holds(figure)));
        let unit = if matches!(self.measure, Measure::IdleMemory) { " KiB" } else { "" };
        Verdict {
            load: format!("{}: {}", self.setting.title(), self.load),
            text: self.text(),
            bound: self.bound.text(unit),
            reached,
        }
    }

    fn text(&self) -> String {
        let what = match self.measure {
            Measure::Rate => "calls per second",
            Measure::LargeRate => "calls per second of the large ones",
            Measure::P99 => "p99",
            Measure::Cpu => "CPU per call",
            Measure::IdleMemory => "memory of a connection, server",
            Measure::Wakeups => "wake-ups per second, both sides",
        };
        let than = match self.than {
            Than::System(system) => format!(" ÷ {system}"),
            Than::BestOf(systems) if systems.len() == PEERS.len() => " ÷ best peer".to_owned(),
            Than::BestOf(systems) => format!(" ÷ best of {}", systems.join(", ")),
            Than::Load(load) => format!(" ÷ {load}"),
            Than::Tcp => " ÷ the same over TCP".to_owned(),
            Than::Itself => String::new(),
        };
        format!("{}, {what}{than}", self.ours)
    }

    fn figure(&self, report: &Report) -> Option<f64> {
        let value = |load, system, transport| {
            let outcome = report.find(self.setting, load, system, transport)?;
            self.measure.of(outcome)
        };
        if matches!(self.than, Than::Itself) {
            return self.idle(report);
        }
        let ours = value(self.load, self.ours, Transport::Unix)?;
        let theirs = match self.than {
            Than::System(system) => value(self.load, system, Transport::Unix),
            Than::BestOf(systems) => {
                let all =
                    systems.iter().filter_map(|system| value(self.load, system, Transport::Unix));
                all.reduce(f64::max)
            }
            Than::Load(load) => value(load, self.ours, Transport::Unix),
            Than::Tcp => value(self.load, self.ours, Transport::Tcp),
            Than::Itself => None,
        };
        Some(ours / theirs?)
    }

    fn idle(&self, report: &Report) -> Option<f64> {
        let is_ours = |idle: &&super::report::Idle| {
            idle.system == self.ours && idle.transport == Transport::Unix
        };
        let idle = report.idle.iter().find(is_ours)?;
        match self.measure {
            Measure::IdleMemory => Some(idle.bytes_per_connection(|step| &step.server)? / 1024.0),
            _ => Some(idle.client_wakeups_per_second + idle.server_wakeups_per_second),
        }
    }
}

impl Measure {
    fn of(self, outcome: &Outcome) -> Option<f64> {
        match self {
            Self::Rate => Some(outcome.rate(0).median),
            Self::LargeRate => {
                // The large ones are the last part, also where they are the only one.
                let last = outcome.rounds.first()?.parts.len().checked_sub(1)?;
                Some(outcome.rate(last).median)
            }
            Self::P99 => outcome.latency(0, |latency| latency.p99),
            Self::Cpu => outcome.cpu_per_call(),
            Self::IdleMemory | Self::Wakeups => None,
        }
    }
}

impl Bound {
    fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {least}{unit}"),
            Self::AtMost(most) => format!("≤ {most}{unit}"),
        }
    }
}

/// Ahead of every peer on every load: the load where it is least so.
fn ahead_of_all(report: &Report) -> Verdict {
    let setting = Setting::MultiThread;
    let mut least: Option<(f64, String)> = None;
    for ours in report.results.iter().filter(|ours| {
        ours.setting == setting && ours.system == OURS && ours.transport == Transport::Unix
    }) {
        for peer in PEERS {
            let theirs = report.find(setting, &ours.name, peer, Transport::Unix);
            let Some(theirs) = theirs else { continue };
            let ratio = ours.rate(0).median / theirs.rate(0).median;
            if least.as_ref().is_none_or(|(least, _)| ratio < *least) {
                least = Some((ratio, format!("{peer} on {}", ours.name)));
            }
        }
    }
    let bound = Bound::AtLeast(1.0);
    let whom = least.as_ref().map(|(_, whom)| format!(": least {whom}")).unwrap_or_default();
    Verdict {
        load: format!("{}: every load", setting.title()),
        text: format!("{OURS}, calls per second ÷ every peer{whom}"),
        bound: bound.text(""),
        reached: least.map(|(ratio, _)| (ratio, bound.holds(ratio))),
    }
}

#[cfg(test)]
mod tests;
