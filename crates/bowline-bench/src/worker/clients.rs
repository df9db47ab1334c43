//! The worker that makes calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::CountAllocations;
use super::control::{Answer, Latency, Measured, Order, Part};
use super::job::{Job, Record, Schedule, Task};
use super::run::{answer, failed};
use super::sample::cpu_ns;
use crate::load::{Load, MIXED_LARGE, MIXED_SMALL, PROBE_SIZE, Work};
use crate::system::{BoxError, Client as _, Endpoint, System};

/// What clients are told, and with which options they run.
pub(super) struct Orders {
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    pub(super) busy_poll: Option<String>,
    pub(super) allocations: Option<CountAllocations>,
}

/// Does what it is told.
pub(super) async fn obey<S: System>(mut from: Orders) {
    let mut prepared = None;
    while let Some(order) = from.orders.recv().await {
        let result = match order {
            Order::Prepare { load, address, warm_up_ms } => {
                let endpoint = Endpoint { address, busy_poll: from.busy_poll.clone() };
                let warm_up = Duration::from_millis(warm_up_ms);
                let earlier = prepared.take();
                Prepared::<S>::new(load, endpoint, earlier, warm_up).await.map(|now| {
                    prepared = Some(now);
                    Answer::Done
                })
            }
            Order::Measure { duration_ms } => match &prepared {
                Some(prepared) => prepared
                    .measure(Duration::from_millis(duration_ms), from.allocations)
                    .await
                    .map(Answer::Measured),
                None => Err("nothing was prepared".into()),
            },
            Order::Release => {
                prepared = None;
                Ok(Answer::Done)
            }
            Order::Sample => Err("samples are taken elsewhere".into()),
        };
        answer(&result.unwrap_or_else(|error| failed(&error)));
    }
}

/// A load with its connections.
struct Prepared<S: System> {
    load: Load,
    endpoint: Endpoint,
    clients: Vec<S::Client>,
}

/// Jobs that are alike, and what came of them.
struct Group {
    record: Arc<Record>,
    jobs: usize,
    /// Whether it consists of calls, and not of messages of streams.
    calls: bool,
}

impl<S: System> Prepared<S> {
    async fn new(
        load: Load,
        endpoint: Endpoint,
        earlier: Option<Self>,
        warm_up: Duration,
    ) -> Result<Self, BoxError> {
        let connections = match load.work {
            Work::Unary { connections, .. } | Work::Idle { connections } => connections as usize,
            Work::Open { .. } | Work::Stream { .. } | Work::Mixed => 1,
            Work::Connect => 0,
        };
        let kept = earlier.filter(|earlier| {
            matches!((earlier.load.work, load.work), (Work::Idle { .. }, Work::Idle { .. }))
                && earlier.endpoint.address == endpoint.address
        });
        let clients = kept.map(|earlier| earlier.clients).unwrap_or_default();
        let mut prepared = Self { load, endpoint, clients };
        prepared.clients.truncate(connections);
        while prepared.clients.len() < connections {
            prepared.connect().await?;
        }
        if !matches!(load.work, Work::Idle { .. }) {
            prepared.run(warm_up).await?;
        }
        Ok(prepared)
    }

    /// Makes one more connection, and a call on it, so that it is known to work.
    async fn connect(&mut self) -> Result<(), BoxError> {
        let client = S::connect(&self.endpoint).await?;
        let length = client.unary(payload(PROBE_SIZE)).await?;
        if length != PROBE_SIZE as usize {
            return Err(format!("sent {PROBE_SIZE} bytes, and got {length} back").into());
        }
        self.clients.push(client);
        Ok(())
    }

    async fn measure(
        &self,
        duration: Duration,
        allocations: Option<CountAllocations>,
    ) -> Result<Measured, BoxError> {
        let count = || allocations.map(|count| count());
        let (cpu, allocated) = (cpu_ns(), count());
        let parts = self.run(duration).await?;
        Ok(Measured {
            parts,
            cpu_ns: cpu_ns() - cpu,
            allocations: count().zip(allocated).map(|(now, before)| now - before),
        })
    }

    /// Runs the load for so long. What began before the end is completed.
    async fn run(&self, duration: Duration) -> Result<Vec<Part>, BoxError> {
        let start = Instant::now();
        let (alive, mut ended) = mpsc::channel(1);
        let mut groups = Vec::new();
        for (tasks, calls) in self.tasks(start) {
            let record = Arc::new(Record::new());
            groups.push(Group { record: Arc::clone(&record), jobs: tasks.len(), calls });
            for task in tasks {
                let (record, alive) = (Arc::clone(&record), alive.clone());
                S::spawn(Job { task, until: start + duration, record, alive });
            }
        }
        drop(alive);
        // Nothing is sent: the last job's end closes the channel.
        let _ = ended.recv().await;
        groups.iter().map(|group| group.conclude(start)).collect()
    }

    /// What there is to do at once, in groups.
    fn tasks(&self, start: Instant) -> Vec<(Vec<Task<S>>, bool)> {
        let calls = |(size, count): (u32, u32)| -> Vec<Task<S>> {
            let content = payload(size);
            let each = |client: &S::Client| Task::Calls(client.clone(), content.clone());
            let clients = self.clients.iter();
            clients.flat_map(|client| (0..count).map(move |_| client)).map(each).collect()
        };
        match self.load.work {
            Work::Unary { size, in_flight, .. } => vec![(calls((size, in_flight)), true)],
            Work::Mixed => vec![(calls(MIXED_SMALL), true), (calls(MIXED_LARGE), true)],
            Work::Open { size, rate, in_flight } => {
                let (content, schedule) = (payload(size), Arc::new(Schedule::new(start, rate)));
                let each = |client: &S::Client| {
                    Task::Schedule(client.clone(), content.clone(), Arc::clone(&schedule))
                };
                let clients = self.clients.iter().cycle().take(in_flight as usize);
                vec![(clients.map(each).collect(), true)]
            }
            Work::Stream { direction, size } => {
                let each =
                    |client: &S::Client| Task::Streams(client.clone(), direction, payload(size));
                vec![(self.clients.iter().map(each).collect(), false)]
            }
            Work::Connect => vec![(vec![Task::Connections(self.endpoint.clone())], true)],
            Work::Idle { .. } => Vec::new(),
        }
    }
}

impl Group {
    fn conclude(&self, start: Instant) -> Result<Part, BoxError> {
        let progress = self.record.lock();
        if let Some(error) = &progress.tally.first_error {
            return Err(
                format!("{} of {} failed: {error}", progress.tally.errors, self.jobs).into()
            );
        }
        if progress.finished < self.jobs {
            return Err(
                format!("{} of {} panicked", self.jobs - progress.finished, self.jobs).into()
            );
        }
        let elapsed = progress.end.map_or(Duration::ZERO, |end| end - start);
        let latencies = &progress.tally.latencies;
        Ok(Part {
            count: progress.tally.calls,
            elapsed_ns: u64::try_from(elapsed.as_nanos())?,
            latency: self.calls.then(|| Latency {
                p50: latencies.value_at_quantile(0.5),
                p99: latencies.value_at_quantile(0.99),
                p999: latencies.value_at_quantile(0.999),
                max: latencies.max(),
            }),
        })
    }
}

fn payload(size: u32) -> Bytes {
    // Not of zeroes: they would all be one page of memory.
    Bytes::from(vec![0x5a; size as usize])
}
