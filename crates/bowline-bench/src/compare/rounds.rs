//! The rounds: every transport has its turn in each, and what they bring is put together.

use std::process::Command;
use std::time::Duration;

use bowline::{Address, Channel, Limits, Server, ServerHandle, Status};
use hdrhistogram::Histogram;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::load;
use super::plan::{Load, Plan, Transport};
use super::report::LoadResult;
use super::server::ServerProcess;
use crate::statistics::median;
use crate::tally::{self, Tally};
use crate::{cpu, demo};

/// What a message has beside the payload, at the most.
const ENVELOPE: u64 = 1024;

/// Why there is nothing to compare. Calls that fail are counted instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// There is no place for the socket.
    #[error("cannot make a directory for the socket in {}: {error}; set TMPDIR", std::env::temp_dir().display())]
    Directory {
        /// What the system says.
        error: std::io::Error,
    },
    /// The server did not start.
    #[error("cannot start the server to compare with: {text}")]
    Server {
        /// What happened.
        text: String,
    },
    /// The server, or memory, cannot be reached.
    #[error(transparent)]
    Connect(#[from] bowline::Error),
    /// The server was reached, but does not answer.
    #[error("the server at {address} does not answer: {status}")]
    Answer {
        /// Where it is.
        address: Address,
        /// How it ended.
        status: Box<Status>,
    },
}

impl CompareError {
    pub(super) const fn server(text: String) -> Self {
        Self::Server { text }
    }
}

/// Where a comparison is.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Step {
    /// Measurements made so far.
    pub done: usize,
    /// Measurements in all.
    pub total: usize,
    /// The round, from 1.
    pub round: u32,
    /// What is measured now.
    pub load: Load,
    /// Over what.
    pub transport: Transport,
}

/// Runs a plan. `server` gives the command of a server with the Echo service that listens at these
/// addresses, writes `listening on ADDRESS` to stdout for each, and ends when its stdin is closed;
/// it takes messages of the plan's sizes. It is not asked for if only memory is measured. `progress`
/// is told before each measurement.
///
/// # Errors
/// The server cannot be started or reached. Calls that fail are counted in the results.
pub async fn run(
    plan: &Plan,
    server: impl FnOnce(&[Address]) -> Command,
    mut progress: impl FnMut(Step),
) -> Result<Vec<LoadResult>, CompareError> {
    let place = Place::new(plan, server).await?;
    let mut ends = Vec::new();
    for transport in &plan.transports {
        ends.push(End::connect(*transport, &place, plan).await?);
    }
    let mut rows: Vec<Row> = Vec::new();
    for load in &plan.loads {
        rows.extend(ends.iter().map(|end| Row::new(*load, end.transport)));
    }
    let (total, mut done) = (plan.measurements(), 0);
    for round in 1..=plan.rounds {
        for (index, load) in plan.loads.iter().enumerate() {
            for turn in 0..ends.len() {
                // Another one begins in each round.
                let which = (turn + round as usize) % ends.len();
                let end = &ends[which];
                progress(Step { done, total, round, load: *load, transport: end.transport });
                let row = &mut rows[index * ends.len() + which];
                end.measure(*load, plan, &place, row).await;
                done += 1;
            }
        }
    }
    for end in ends {
        end.close().await;
    }
    place.clear().await;
    Ok(rows.into_iter().map(Row::finish).collect())
}

/// Where the servers are.
struct Place {
    /// Holds the socket file.
    _directory: Option<TempDir>,
    process: Option<ServerProcess>,
    memory: Option<(Address, ServerHandle, JoinHandle<()>)>,
}

impl Place {
    async fn new(
        plan: &Plan,
        command: impl FnOnce(&[Address]) -> Command,
    ) -> Result<Self, CompareError> {
        let mut place = Self { _directory: None, process: None, memory: None };
        let mut addresses = Vec::new();
        if plan.transports.contains(&Transport::Unix) {
            let directory = tempfile::Builder::new().prefix("bowline-").tempdir();
            let directory = directory.map_err(|error| CompareError::Directory { error })?;
            let path = directory.path().join("echo.sock");
            addresses.push(Address::unix(path).map_err(bowline::Error::from)?);
            place._directory = Some(directory);
        }
        if plan.transports.contains(&Transport::Tcp) {
            addresses.push(Address::tcp("127.0.0.1", 0).map_err(bowline::Error::from)?);
        }
        for address in &addresses {
            // What is wrong with an address is better said here than by the server.
            let _ = Channel::builder(&address.to_string())?;
        }
        if !addresses.is_empty() {
            let process = ServerProcess::start(command(&addresses), addresses.len()).await?;
            place.process = Some(process);
        }
        if plan.transports.contains(&Transport::Memory) {
            let address = format!("memory:bowline-compare-{}", std::process::id());
            let server = Server::builder()
                .add_service(demo::service())
                .limits(limits(plan, Limits::accepting()))
                .listen(&address)
                .await?;
            let stop = server.handle();
            let address = address.parse().map_err(bowline::Error::from)?;
            place.memory = Some((address, stop, tokio::spawn(server.serve())));
        }
        Ok(place)
    }

    fn address(&self, transport: Transport) -> Option<&Address> {
        if transport == Transport::Memory {
            return self.memory.as_ref().map(|(address, ..)| address);
        }
        let mut addresses = self.process.iter().flat_map(|process| &process.addresses);
        addresses.find(|address| address.scheme() == transport.name())
    }

    async fn clear(self) {
        if let Some(process) = self.process {
            process.stop().await;
        }
        if let Some((_, stop, serving)) = self.memory {
            stop.shutdown();
            let _ = serving.await;
        }
    }
}

/// The client's connections over one transport.
struct End {
    transport: Transport,
    channels: Vec<Channel>,
}

impl End {
    async fn connect(
        transport: Transport,
        place: &Place,
        plan: &Plan,
    ) -> Result<Self, CompareError> {
        let address = place.address(transport).ok_or_else(|| {
            CompareError::server(format!("it does not listen at a {transport} address"))
        })?;
        let connections = plan.loads.iter().map(|load| load.connections).max().unwrap_or(0);
        let mut channels = Vec::new();
        for _ in 0..connections {
            let channel = Channel::builder(&address.to_string())?
                .limits(limits(plan, Limits::connecting()))
                .connect()
                .await?;
            channel.ready().await.map_err(|status| CompareError::Answer {
                address: address.clone(),
                status: Box::new(status),
            })?;
            channels.push(channel);
        }
        Ok(Self { transport, channels })
    }

    async fn measure(&self, load: Load, plan: &Plan, place: &Place, row: &mut Row) {
        let channels = &self.channels[..load.connections as usize];
        let server = match self.transport {
            Transport::Memory => None,
            Transport::Unix | Transport::Tcp => place.process.as_ref().and_then(ServerProcess::pid),
        };
        let cpu = || cpu::of_this_process() + server.and_then(cpu::of_process).unwrap_or_default();
        let (warm_up, _) = load::run(load, channels, plan.warm_up).await;
        let before = cpu();
        let (tally, elapsed) = load::run(load, channels, plan.duration).await;
        row.add(&warm_up, &tally, elapsed, cpu().saturating_sub(before));
    }

    async fn close(self) {
        for channel in self.channels {
            channel.close().await;
        }
    }
}

/// What both ends accept, so that the plan's messages fit.
fn limits(plan: &Plan, mut limits: Limits) -> Limits {
    let longest = plan.loads.iter().map(|load| load.payload_bytes).max().unwrap_or(0);
    limits.message_max = limits.message_max.max(u64::from(longest) + ENVELOPE);
    limits.large_max = limits.large_max.max(limits.message_max);
    limits
}

/// What the rounds of one load over one transport have brought.
struct Row {
    load: Load,
    transport: Transport,
    latencies: Histogram<u64>,
    calls: u64,
    errors: u64,
    first_error: Option<String>,
    calls_per_second: Vec<f64>,
    cpu_ns_per_call: Vec<f64>,
}

impl Row {
    fn new(load: Load, transport: Transport) -> Self {
        Self {
            load,
            transport,
            latencies: tally::histogram(),
            calls: 0,
            errors: 0,
            first_error: None,
            calls_per_second: Vec::new(),
            cpu_ns_per_call: Vec::new(),
        }
    }

    fn add(&mut self, warm_up: &Tally, tally: &Tally, elapsed: Duration, cpu: Duration) {
        self.latencies.add(&tally.latencies).expect("all histograms have the same bounds");
        self.calls += tally.calls;
        // An error is an error, also while it warms up.
        self.errors += warm_up.errors + tally.errors;
        let first = warm_up.first_error.as_ref().or(tally.first_error.as_ref());
        if self.first_error.is_none() {
            self.first_error = first.cloned();
        }
        self.calls_per_second.push(tally.calls as f64 / elapsed.as_secs_f64());
        self.cpu_ns_per_call.push(cpu.as_nanos() as f64 / tally.calls.max(1) as f64);
    }

    fn finish(self) -> LoadResult {
        let calls_per_second = median(&self.calls_per_second);
        let percentile = |quantile| self.latencies.value_at_quantile(quantile);
        LoadResult {
            transport: self.transport,
            kind: self.load.kind,
            payload_bytes: self.load.payload_bytes,
            concurrency: self.load.concurrency,
            connections: self.load.connections,
            processes: if self.transport == Transport::Memory { 1 } else { 2 },
            calls: self.calls,
            errors: self.errors,
            calls_per_second,
            mib_per_second: calls_per_second * f64::from(self.load.payload_bytes)
                / f64::from(1 << 20),
            p50_ns: percentile(0.5),
            p99_ns: percentile(0.99),
            p999_ns: percentile(0.999),
            cpu_ns_per_call: median(&self.cpu_ns_per_call),
            first_error: self.first_error,
        }
    }
}
