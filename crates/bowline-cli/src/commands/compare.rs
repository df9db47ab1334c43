//! `bowline compare`: runs the comparison, and writes what came of it.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process;
use std::time::Duration;

use bowline::Address;
use bowline_bench::compare::{self, CompareError, Load, LoadResult, Plan, Report, Step};

use crate::arguments::Compare;
use crate::failure::Failure;
use crate::json_file::JsonFile;
use crate::output;
use crate::signals::Signals;

/// The longest payload: the messages of 64 calls in flight must fit into memory.
const PAYLOAD_MAX: u64 = 64 << 20;
/// What a message has beside the payload, at the most.
const ENVELOPE: u64 = 1024;

pub(crate) async fn run(args: Compare) -> Result<(), Failure> {
    let plan = plan(&args)?;
    // Better now than after minutes of measuring.
    let json = args.json.as_deref().map(JsonFile::open).transpose()?;
    let program = std::env::current_exe().map_err(|error| {
        Failure::operation(format_args!("cannot find this program, to start the server: {error}"))
    })?;
    let mut signals = Signals::new()?;
    let mut progress = Progress::new(&plan);
    let running = compare::run(
        &plan,
        |addresses| server(&program, &plan, addresses),
        |step| progress.show(&step),
    );
    let results = tokio::select! {
        results = running => Ok(results),
        // What was started and made is dropped with `running`.
        signal = signals.next() => Err(Failure::interrupted(signal)),
    };
    progress.clear();
    let report = Report::new(command(), results?.map_err(failure)?);
    output::line(format_args!("{}", heading(&report, &plan)))?;
    output::line(compare::table(&report.results).trim_end())?;
    if let Some(json) = json {
        json.write(&report)?;
    }
    verdict(&report.results)
}

fn plan(args: &Compare) -> Result<Plan, Failure> {
    let mut payloads = Vec::new();
    for payload in &args.payload {
        let fitting = u32::try_from(*payload).ok().filter(|_| *payload <= PAYLOAD_MAX);
        payloads.push(fitting.ok_or_else(|| {
            Failure::usage("--payload takes sizes up to 64MiB: many of them are in flight at once")
        })?);
    }
    let (rounds, duration) =
        if args.quick { (3, Duration::from_millis(130)) } else { (5, Duration::from_secs(1)) };
    let duration = args.duration.unwrap_or(duration);
    Ok(Plan {
        transports: without_repeats(&args.transports),
        loads: without_repeats(&Load::all(&args.kinds, &payloads, &args.concurrency)),
        rounds: args.rounds.unwrap_or(rounds),
        warm_up: (duration / 5).clamp(Duration::from_millis(20), Duration::from_millis(200)),
        duration,
    })
}

fn without_repeats<T: Copy + PartialEq>(items: &[T]) -> Vec<T> {
    let mut kept = Vec::new();
    for item in items {
        if !kept.contains(item) {
            kept.push(*item);
        }
    }
    kept
}

/// This program again, as a server.
fn server(program: &Path, plan: &Plan, addresses: &[Address]) -> process::Command {
    let longest = plan.loads.iter().map(|load| u64::from(load.payload_bytes)).max().unwrap_or(0);
    let message_max = bowline::Limits::accepting().message_max.max(longest + ENVELOPE);
    let mut command = process::Command::new(program);
    command.args(["serve", "--until-stdin-closes", "--drain-timeout", "1s", "--max-message"]);
    command.arg(message_max.to_string());
    for address in addresses {
        command.arg("--listen").arg(address.to_os_string());
    }
    command
}

fn failure(error: CompareError) -> Failure {
    match error {
        CompareError::Connect(error) => error.into(),
        error => Failure::operation(error),
    }
}

/// The command line, to be run again.
fn command() -> String {
    let mut words = vec!["bowline".to_owned()];
    words.extend(std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

fn heading(report: &Report, plan: &Plan) -> String {
    let machine = &report.machine;
    format!(
        "{}, {} cores, {}; rounds: {} of {:?} for each load; latencies: see bowline compare --help\n",
        machine.cpu, machine.cores, machine.kernel, plan.rounds, plan.duration
    )
}

/// Calls that failed make the comparison fail, whatever the others say.
fn verdict(results: &[LoadResult]) -> Result<(), Failure> {
    let mut wrong = results.iter().filter(|result| result.errors > 0);
    let Some(first) = wrong.next() else { return Ok(()) };
    let rest: u64 = wrong.map(|result| result.errors).sum();
    let what = first.first_error.as_deref().unwrap_or("unknown");
    let more = if rest > 0 { format!("; {rest} more in other loads") } else { String::new() };
    Err(Failure::operation(format_args!(
        "calls failed, so the figures are not to be trusted: {} in {} over {}, of which the first \
         was: {what}{more}",
        first.errors,
        first.load(),
        first.transport
    )))
}

/// Where the comparison is, on stderr: a line that changes, or one per round where nobody watches.
struct Progress {
    terminal: bool,
    round: u32,
    rounds: u32,
}

impl Progress {
    fn new(plan: &Plan) -> Self {
        output::note(format_args!(
            "{} measurements, about {:.0} s",
            plan.measurements(),
            plan.estimate().as_secs_f64().max(1.0)
        ));
        Self { terminal: io::stderr().is_terminal(), round: 0, rounds: plan.rounds }
    }

    fn show(&mut self, step: &Step) {
        let Step { done, total, round, load, transport, .. } = step;
        if self.terminal {
            let percent = 100 * done / total;
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "\r\x1b[K{percent:3} %  round {round}: {load} over {transport}");
            let _ = stderr.flush();
        } else if *round > self.round {
            output::note(format_args!("round {round} of {}", self.rounds));
        }
        self.round = *round;
    }

    fn clear(&self) {
        if self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
