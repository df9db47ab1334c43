//! The command line.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::compare::Transport;
use crate::load::Load;
use crate::suite::catalogue;
use crate::suite::plan::{Plan, Setting, quick_loads, select_loads};
use crate::system::BoxError;
use crate::systems::parse_busy_poll;
use crate::worker;

const ROUNDS: u32 = 9;
const QUICK_ROUNDS: u32 = 3;
const DURATION_MS: u64 = 200;
const QUICK_DURATION_MS: u64 = 150;
const WARM_UP_MS: u64 = 100;

/// Compare Bowline with raw sockets and other systems: the same loads, in turns
#[derive(Debug, Parser)]
#[command(name = "bowline-bench", version, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Measure, and print a table
    Run(Run),
    /// Print the table of results that `run --json` has written
    Table {
        /// The results
        file: PathBuf,
        /// As Markdown
        #[arg(long)]
        markdown: bool,
    },
    /// Write results into a Markdown page, between its two markers
    Page {
        /// The results
        file: PathBuf,
        /// The page
        #[arg(long, value_name = "PAGE")]
        into: PathBuf,
    },
    #[command(flatten)]
    Worker(worker::Command),
}

#[derive(Debug, Args)]
pub(super) struct Run {
    /// Few loads, few rounds: for a look
    #[arg(long)]
    quick: bool,
    /// Only loads whose names begin so; may be repeated
    #[arg(long, value_name = "NAME")]
    load: Vec<String>,
    /// Only this system; may be repeated
    #[arg(long, value_name = "NAME")]
    system: Vec<String>,
    /// Over what: unix, tcp [default: unix, and tcp for a few loads]
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = socket)]
    transport: Vec<Transport>,
    /// Where the processes run [default: one-core,two-cores]
    #[arg(long, value_name = "WHERE", value_enum, value_delimiter = ',')]
    setting: Vec<Setting>,
    /// How often each load is measured [default: 9, or 3 with --quick]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// How long each load is measured in a round [default: 200, or 150 with --quick]
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    duration: Option<u64>,
    /// The processor for one-core [default: the last one]
    #[arg(long, value_name = "NUMBER")]
    cpu: Option<usize>,
    /// How long Bowline polls before it sleeps: off, adaptive, or microseconds, as 50us
    #[arg(long, value_name = "HOW", value_parser = polling)]
    busy_poll: Option<String>,
    /// Count system calls (with strace) and allocations, too
    #[arg(long)]
    count: bool,
    /// Another program with systems; may be repeated
    #[arg(long, value_name = "PROGRAM")]
    peers: Vec<PathBuf>,
    /// Write all results to this file
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}

impl Run {
    fn transports(&self) -> Vec<Transport> {
        if self.quick && self.transport.is_empty() {
            return vec![Transport::Unix];
        }
        self.transport.clone()
    }

    pub(super) fn plan(&self) -> Result<Plan, BoxError> {
        let mut programs = vec![env::current_exe()?];
        programs.extend(self.peers.iter().cloned());
        let systems = catalogue::select(catalogue::list(&programs)?, &self.system)?;
        let quick = self.quick && self.load.is_empty();
        let loads = if quick { quick_loads() } else { Load::all() };
        let settings = match (self.setting.is_empty(), self.quick) {
            (false, _) => self.setting.clone(),
            (true, true) => vec![Setting::OneCore],
            (true, false) => vec![Setting::OneCore, Setting::TwoCores],
        };
        let milliseconds = if self.quick { QUICK_DURATION_MS } else { DURATION_MS };
        Ok(Plan {
            systems,
            transports: self.transports(),
            settings,
            loads: select_loads(loads, &self.load)?,
            rounds: self.rounds.unwrap_or(if self.quick { QUICK_ROUNDS } else { ROUNDS }),
            warm_up: Duration::from_millis(WARM_UP_MS),
            duration: Duration::from_millis(self.duration.unwrap_or(milliseconds)),
            cpu: self.cpu.map_or_else(last_cpu, Ok)?,
            busy_poll: self.busy_poll.clone(),
            counts: self.count,
        })
    }
}

/// The text as it is: workers are told the same.
fn polling(text: &str) -> Result<String, String> {
    parse_busy_poll(text).map(|_| text.to_owned())
}

/// Memory is not between processes.
fn socket(text: &str) -> Result<Transport, String> {
    match text.parse() {
        Ok(Transport::Memory) | Err(_) => Err("expected unix or tcp".to_owned()),
        Ok(transport) => Ok(transport),
    }
}

/// The last processor that this process may use.
fn last_cpu() -> Result<usize, BoxError> {
    let set = rustix::thread::sched_getaffinity(None)?;
    let last = (0..rustix::thread::CpuSet::MAX_CPU).rev().find(|cpu| set.is_set(*cpu));
    last.ok_or_else(|| "no processor to run on".into())
}
