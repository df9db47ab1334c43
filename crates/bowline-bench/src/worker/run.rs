//! The process of a worker: where it runs, on what runtime, and whom it listens to.

use std::io::{self, BufRead as _, Write as _};
use std::process::exit;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::arguments::{Command, Runtime, Worker};
use super::control::{Answer, Order};
use super::sample::Sample;
use super::{CountAllocations, Entry, clients, serve};
use crate::compare::Transport;
use crate::load::Load;
use crate::system::BoxError;

/// Runs a command of a worker program.
pub(crate) fn execute(
    command: Command,
    systems: &[Entry],
    allocations: Option<CountAllocations>,
) -> Result<(), BoxError> {
    match command {
        Command::Systems => {
            let described: Vec<_> = systems.iter().map(Described::new).collect();
            let mut stdout = io::stdout().lock();
            serde_json::to_writer_pretty(&mut stdout, &described)?;
            writeln!(stdout)?;
        }
        Command::Serve(args) => {
            let entry = find(systems, &args.worker.system)?;
            prepare(&args.worker)?;
            // A server is told nothing but to take samples, and when to end.
            listen(allocations, |_| {});
            on_runtime(args.worker.runtime, serve::run(entry, args))?;
        }
        Command::Load(worker) => {
            let entry = find(systems, &worker.system)?;
            prepare(&worker)?;
            let (tell, orders) = mpsc::unbounded_channel();
            listen(allocations, move |order| {
                // The receiver goes only with the process.
                let _ = tell.send(order);
            });
            let orders = clients::Orders { orders, busy_poll: worker.busy_poll, allocations };
            on_runtime(worker.runtime, (entry.load)(orders))?;
        }
    }
    Ok(())
}

fn find<'a>(systems: &'a [Entry], name: &str) -> Result<&'a Entry, BoxError> {
    systems.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<_> = systems.iter().map(|entry| entry.name).collect();
        format!("this program has no system {name:?}, but {}", names.join(", ")).into()
    })
}

/// A system as others are told of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) unsupported: Vec<NotSupported>,
}

/// What a system cannot do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NotSupported {
    /// The name of the load.
    pub(crate) load: String,
    pub(crate) transport: Transport,
    pub(crate) why: String,
}

impl Described {
    fn new(entry: &Entry) -> Self {
        let mut unsupported = Vec::new();
        for load in Load::all() {
            for transport in [Transport::Unix, Transport::Tcp] {
                if let Some(why) = (entry.unsupported)(&load, transport) {
                    unsupported.push(NotSupported {
                        load: load.name(),
                        transport,
                        why: why.to_owned(),
                    });
                }
            }
        }
        Self { name: entry.name.to_owned(), unsupported }
    }
}

/// Gives the process its processor and its descriptors, before it has other threads.
fn prepare(worker: &Worker) -> io::Result<()> {
    if let Some(cpu) = worker.cpu {
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(None, &set)?;
    }
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    Ok(())
}

/// Reads orders on a thread of its own, which is blocked while there are none, and ends the process
/// with the last of them. Samples are taken there, whatever the process does meanwhile.
fn listen(allocations: Option<CountAllocations>, mut other: impl FnMut(Order) + Send + 'static) {
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let order =
                line.map_err(BoxError::from).and_then(|line| Ok(serde_json::from_str(&line)?));
            match order {
                Ok(Order::Sample) => answer(&match Sample::take(allocations) {
                    Ok(sample) => Answer::Sample(sample),
                    Err(error) => failed(&error),
                }),
                Ok(order) => other(order),
                Err(error) => answer(&failed(&error)),
            }
        }
        exit(0)
    });
}

pub(super) fn failed(error: &impl ToString) -> Answer {
    Answer::Failed { error: error.to_string() }
}

/// Says something to the harness, which is gone if it cannot be said.
pub(super) fn answer(answer: &Answer) {
    let mut line = serde_json::to_vec(answer).expect("it has nothing that JSON lacks");
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    if stdout.write_all(&line).and_then(|()| stdout.flush()).is_err() {
        exit(0);
    }
}

fn on_runtime<T>(runtime: Runtime, future: impl Future<Output = T>) -> io::Result<T> {
    let mut builder = match runtime {
        Runtime::CurrentThread => tokio::runtime::Builder::new_current_thread(),
        Runtime::MultiThread => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build()?;
    Ok(runtime.block_on(LocalSet::new().run_until(future)))
}
