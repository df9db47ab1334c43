//! One client's share of a load: calls one after the other, until the time is over.

use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::pacer::Pacer;
use crate::load::{Direction, PROBE_SIZE, stream_messages};
use crate::system::{BoxError, Client as _, Endpoint, System, Transferred};
use crate::tally::Tally;

/// One client's share of a load. [`System::spawn`] runs it.
pub struct Job<S: System> {
    pub(super) task: Task<S>,
    pub(super) until: Instant,
    pub(super) record: Arc<Record>,
    /// Goes with the job, however that ends.
    pub(super) alive: mpsc::Sender<Infallible>,
}

/// What a job does.
pub(super) enum Task<S: System> {
    /// Calls, one after the other.
    Calls(S::Client, Bytes),
    /// Calls, each when it is due.
    Schedule(S::Client, Bytes, Arc<Schedule>),
    /// Streams, one after the other.
    Streams(S::Client, Direction, Bytes),
    /// Connections with one call each, one after the other.
    Connections(Endpoint),
}

/// What the jobs of one load have brought together.
pub(super) struct Record(Mutex<Progress>);

pub(super) struct Progress {
    pub(super) tally: Tally,
    /// When the last call ended.
    pub(super) end: Option<Instant>,
    /// Jobs that came to their end.
    pub(super) finished: usize,
}

impl Record {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Progress { tally: Tally::new(), end: None, finished: 0 }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, took: Duration) {
        self.lock().tally.record(took);
    }
}

/// When calls are due: at a fixed rate, whoever makes them.
pub(super) struct Schedule {
    start: Instant,
    interval: Duration,
    next: AtomicU64,
}

impl Schedule {
    pub(super) fn new(start: Instant, rate: u32) -> Self {
        Self { start, interval: Duration::from_secs(1) / rate.max(1), next: AtomicU64::new(0) }
    }

    /// When the next call is due.
    fn next(&self) -> Instant {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX);
        self.start + Duration::from_nanos(nanos.saturating_mul(number))
    }
}

impl<S: System> Job<S> {
    /// Does what there is to do; what comes of it goes where the job came from.
    pub async fn run(self) {
        let Self { task, until, record, alive } = self;
        let result = match task {
            Task::Calls(client, payload) => calls::<S>(&client, payload, until, &record).await,
            Task::Schedule(client, payload, schedule) => {
                on_schedule::<S>(&client, payload, &schedule, until, &record).await
            }
            Task::Streams(client, direction, payload) => {
                streams::<S>(&client, direction, payload, until, &record).await
            }
            Task::Connections(endpoint) => connections::<S>(&endpoint, until, &record).await,
        };
        let mut progress = record.lock();
        if let Err(error) = result {
            progress.tally.fail(error);
        }
        progress.end = progress.end.max(Some(Instant::now()));
        progress.finished += 1;
        drop(progress);
        drop(alive);
    }
}

async fn calls<S: System>(
    client: &S::Client,
    payload: Bytes,
    until: Instant,
    record: &Record,
) -> Result<(), BoxError> {
    let mut start = Instant::now();
    while start < until {
        call::<S>(client, &payload).await?;
        let end = Instant::now();
        record.call(end - start);
        start = end;
    }
    Ok(())
}

async fn on_schedule<S: System>(
    client: &S::Client,
    payload: Bytes,
    schedule: &Schedule,
    until: Instant,
    record: &Record,
) -> Result<(), BoxError> {
    let mut pacer = Pacer::new(S::BLOCKING)?;
    loop {
        let due = schedule.next();
        if due >= until {
            return Ok(());
        }
        pacer.wait_until(due).await?;
        call::<S>(client, &payload).await?;
        record.call(due.elapsed());
    }
}

async fn call<S: System>(client: &S::Client, payload: &Bytes) -> Result<(), BoxError> {
    let length = client.unary(payload.clone()).await?;
    if length != payload.len() {
        return Err(format!("sent {} bytes, and got {length} back", payload.len()).into());
    }
    Ok(())
}

async fn streams<S: System>(
    client: &S::Client,
    direction: Direction,
    payload: Bytes,
    until: Instant,
    record: &Record,
) -> Result<(), BoxError> {
    let size = u32::try_from(payload.len())?;
    let messages = stream_messages(size);
    let expected = Transferred { messages, bytes: messages * u64::from(size) };
    while Instant::now() < until {
        let transferred = match direction {
            Direction::Download => client.download(messages, size).await?,
            Direction::Upload => client.upload(messages, payload.clone()).await?,
            Direction::Chat => client.chat(messages, payload.clone()).await?,
        };
        if transferred != expected {
            return Err(format!("{transferred:?} instead of {expected:?}").into());
        }
        record.lock().tally.calls += messages;
    }
    Ok(())
}

async fn connections<S: System>(
    endpoint: &Endpoint,
    until: Instant,
    record: &Record,
) -> Result<(), BoxError> {
    let payload = Bytes::from_static(&[0x5a; PROBE_SIZE as usize]);
    let mut start = Instant::now();
    while start < until {
        let client = S::connect(endpoint).await?;
        call::<S>(&client, &payload).await?;
        client.close().await?;
        let end = Instant::now();
        record.call(end - start);
        start = end;
    }
    Ok(())
}

impl<S: System> fmt::Debug for Job<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("system", &S::NAME).finish_non_exhaustive()
    }
}
