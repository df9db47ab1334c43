//! All cases against a peer: over each transport, with writes of each size, many at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bowline::transport::Connector;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::case::Case;
use crate::play::{Failure, Player, Verdict};
use crate::trace::Trace;

/// How the kit reaches a peer over one transport.
#[derive(Debug, Clone)]
pub struct Target {
    /// What reports call the transport.
    pub transport: String,
    /// Connects to the peer.
    pub connector: Arc<dyn Connector>,
    /// Connects to the same peer, started with its timeouts at 200 ms. Without one, the cases that
    /// need it are not run.
    pub impatient: Option<Arc<dyn Connector>>,
}

/// How many bytes the kit writes at once, at the beginning of each write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// So many.
    Bytes(usize),
    /// All that there is.
    Whole,
}

impl Size {
    /// What is run unless something else is asked for.
    pub const ALL: [Self; 3] = [Self::Bytes(1), Self::Bytes(7), Self::Whole];

    const fn bytes(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Whole => usize::MAX,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Bytes(bytes) => bytes.to_string(),
            Self::Whole => "whole".into(),
        }
    }
}

/// What is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Cases whose ids begin so; all, if empty.
    pub only: Vec<String>,
    /// The highest level that the peer claims to have.
    pub level: u8,
    /// In how many sizes of write.
    pub sizes: Vec<Size>,
    /// How many cases run at a time.
    pub parallel: usize,
    /// How long to wait for a peer that does nothing. Only one that hangs makes the kit wait so
    /// long: no other verdict depends on how fast the machine is.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            only: Vec::new(),
            level: 2,
            sizes: Size::ALL.to_vec(),
            parallel: 32,
            patience: Duration::from_secs(10),
        }
    }
}

/// One case, over one transport, in one size.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// The case's id: the same on each side, transport and size.
    pub id: String,
    /// The requirement that it is about.
    pub requirement: String,
    /// The level that it belongs to.
    pub level: u8,
    /// Which side the peer under test plays.
    pub side: &'static str,
    /// Over what.
    pub transport: String,
    /// How many bytes the kit wrote at once.
    pub size: String,
    /// What came of it.
    pub verdict: Verdict,
    /// Why it was not passed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What went over the connection.
    #[serde(skip)]
    pub trace: Trace,
}

/// What came of all of them.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The form of this report.
    pub schema: &'static str,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// One row per run.
    pub cases: Vec<Row>,
}

impl Report {
    /// How many runs have this verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.cases.iter().filter(|row| row.verdict == verdict).count()
    }

    /// Runs in which something was wrong with the peer.
    pub fn failures(&self) -> impl Iterator<Item = &Row> {
        self.cases.iter().filter(|row| !row.verdict.is_good())
    }
}

/// Runs cases against a peer. `done` is told of each run that has ended, and how many there are.
pub async fn run(
    cases: Vec<Case>,
    targets: &[Target],
    options: &Options,
    mut done: impl FnMut(&Row, usize),
) -> Report {
    let begun = Instant::now();
    let slots = Arc::new(Semaphore::new(options.parallel.max(1)));
    let mut runs = JoinSet::new();
    let chosen = |case: &Case| {
        options.only.is_empty() || options.only.iter().any(|begin| case.id.starts_with(begin))
    };
    for case in cases.into_iter().filter(chosen).map(Arc::new) {
        for target in targets {
            for size in &options.sizes {
                let (case, target, size) = (case.clone(), target.clone(), *size);
                let (level, patience, slots) = (options.level, options.patience, slots.clone());
                runs.spawn(async move {
                    // Never closed.
                    let _slot = slots.acquire().await;
                    run_case(&case, &target, size, level, patience).await
                });
            }
        }
    }
    let total = runs.len();
    let mut rows = Vec::with_capacity(total);
    while let Some(row) = runs.join_next().await {
        match row {
            Ok(row) => {
                done(&row, total);
                rows.push(row);
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    let key = |row: &Row| (row.id.clone(), row.transport.clone(), row.size.clone());
    rows.sort_by_cached_key(key);
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Report { schema: "bowline-conformance/1", duration_ms, cases: rows }
}

async fn run_case(case: &Case, target: &Target, size: Size, level: u8, patience: Duration) -> Row {
    let connector = if case.timeouts { &target.impatient } else { &Some(target.connector.clone()) };
    let (outcome, trace) = match connector {
        Some(connector) if case.level <= level => {
            play(case, connector.as_ref(), size, patience).await
        }
        _ => {
            let reason = "the peer does not claim it".into();
            (Err(Failure { verdict: Verdict::Unsupported, reason }), Trace::default())
        }
    };
    let (verdict, reason) = match outcome {
        Ok(()) => (Verdict::Pass, String::new()),
        Err(Failure { verdict: Verdict::Fail, reason }) if case.should => {
            (Verdict::PassNonstrict, reason)
        }
        Err(Failure { verdict, reason }) => (verdict, reason),
    };
    Row {
        id: case.id.clone(),
        requirement: case.requirement().to_owned(),
        level: case.level,
        side: "server",
        transport: target.transport.clone(),
        size: size.name(),
        verdict,
        reason,
        trace,
    }
}

/// Plays a case beside a bystander, which must not notice.
async fn play(
    case: &Case,
    connector: &dyn Connector,
    size: Size,
    patience: Duration,
) -> (Result<(), Failure>, Trace) {
    let mut player = match connect(connector, size, patience).await {
        Ok(player) => player,
        Err(failure) => return (Err(failure), Trace::default()),
    };
    let outcome = async {
        // An impatient peer would not wait for it.
        if case.timeouts {
            return player.play(case).await;
        }
        let mut bystander = connect(connector, Size::Whole, patience).await?;
        bystander.handshake("").await?;
        bystander.lines(&call(1)).await.map_err(noticed)?;
        player.play(case).await?;
        bystander.lines(&call(3)).await.map_err(noticed)
    };
    let outcome = outcome.await;
    (outcome, player.into_trace())
}

/// A unary call, for a connection that has nothing to do with the case.
const fn call(id: u8) -> [&'static str; 4] {
    match id {
        1 => ["> REQUEST 1 Unary", "> DATA 1 END echo(40)", "< message 1 reply(40)", "< end 1 OK"],
        _ => ["> REQUEST 3 Unary", "> DATA 3 END echo(9)", "< message 3 reply(9)", "< end 3 OK"],
    }
}

fn noticed(failure: Failure) -> Failure {
    let reason = format!("another connection to the peer suffers: {}", failure.reason);
    Failure { reason, ..failure }
}

async fn connect(
    connector: &dyn Connector,
    size: Size,
    patience: Duration,
) -> Result<Player, Failure> {
    let reason = match tokio::time::timeout(patience, connector.connect()).await {
        Ok(Ok(socket)) => return Ok(Player::new(socket, size.bytes(), patience)),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("cannot connect to {} within {patience:?}", connector.address()),
    };
    Err(Failure { verdict: Verdict::Fail, reason })
}

#[cfg(test)]
mod tests;
