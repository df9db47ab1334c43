//! All cases against a peer: over each transport, with writes of each size, many at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bowline::transport::Connector;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::case::{Case, Side};
use crate::client::{Client, Driven, Medium};
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
    pub side: Side,
    /// Over what.
    pub transport: String,
    /// How many bytes the kit wrote at once.
    pub size: String,
    /// What came of it.
    pub verdict: Verdict,
    /// Why it was not passed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Why it is known to fail, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
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

    /// Runs that came out otherwise than they should.
    pub fn unexpected(&self) -> impl Iterator<Item = &Row> {
        self.cases.iter().filter(|row| row.is_unexpected())
    }

    /// Adds what was unexpected in an earlier run of the same.
    pub fn add(&mut self, earlier: Self) {
        self.duration_ms += earlier.duration_ms;
        self.cases.extend(earlier.cases.into_iter().filter(Row::is_unexpected));
    }
}

/// A peer under test.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// How its server is reached, over each transport. Without any, only its client is tested.
    pub servers: Vec<Target>,
    /// Its client. Without one, only its server is tested.
    pub client: Option<Client>,
}

/// One way in which a case is played.
#[derive(Debug, Clone)]
enum Way {
    Server(Target),
    Client(Client, Medium),
}

impl Way {
    const fn side(&self) -> Side {
        match self {
            Self::Server(_) => Side::Server,
            Self::Client(..) => Side::Client,
        }
    }

    fn transport(&self) -> &str {
        match self {
            Self::Server(target) => &target.transport,
            Self::Client(_, medium) => medium.name(),
        }
    }
}

impl Peer {
    fn ways(&self) -> Vec<Way> {
        let servers = self.servers.iter().cloned().map(Way::Server);
        let client = |client: &Client| {
            let ways = client.media.iter().map(|medium| Way::Client(client.clone(), *medium));
            ways.collect::<Vec<_>>()
        };
        servers.chain(self.client.iter().flat_map(client)).collect()
    }
}

/// Runs cases against a peer. `done` is told of each run that has ended, and how many there are.
pub async fn run(
    cases: Vec<Case>,
    peer: &Peer,
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
        for way in peer.ways() {
            if !case.side.contains(way.side()) {
                continue;
            }
            for size in &options.sizes {
                let play = Play { case: case.clone(), way: way.clone(), size: *size };
                let (level, patience, slots) = (options.level, options.patience, slots.clone());
                runs.spawn(async move {
                    // Never closed.
                    let _slot = slots.acquire().await;
                    play.row(level, patience).await
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
    let key = |row: &Row| (row.id.clone(), row.side, row.transport.clone(), row.size.clone());
    rows.sort_by_cached_key(key);
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Report { schema: "bowline-conformance/1", duration_ms, cases: rows }
}

/// What one run plays.
struct Play {
    case: Arc<Case>,
    way: Way,
    size: Size,
}

impl Play {
    async fn row(self, level: u8, patience: Duration) -> Row {
        let case = &self.case;
        let (outcome, trace) = if case.level <= level && self.is_possible() {
            self.play(patience).await
        } else {
            let reason = "the peer does not claim it".into();
            (Err(Failure { verdict: Verdict::Unsupported, reason }), Trace::default())
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
            side: self.way.side(),
            transport: self.way.transport().to_owned(),
            size: self.size.name(),
            verdict,
            reason,
            known: None,
            trace,
        }
    }

    fn is_possible(&self) -> bool {
        match &self.way {
            Way::Server(target) => !self.case.timeouts || target.impatient.is_some(),
            Way::Client(..) => true,
        }
    }

    /// Plays the case beside a bystander, which must not notice.
    async fn play(&self, patience: Duration) -> (Result<(), Failure>, Trace) {
        let case = &self.case;
        let mut player = match self.connect(self.size, patience).await {
            Ok(player) => player,
            Err(failure) => return (Err(failure), Trace::default()),
        };
        let outcome = async {
            // An impatient peer would not wait for it.
            if case.timeouts {
                return player.play(case).await;
            }
            let mut bystander = self.connect(Size::Whole, patience).await?;
            bystander.handshake("").await?;
            bystander.lines(bystanding(self.way.side(), false)).await.map_err(noticed)?;
            player.play(case).await?;
            bystander.lines(bystanding(self.way.side(), true)).await.map_err(noticed)
        };
        let outcome = outcome.await;
        (outcome, player.into_trace())
    }

    async fn connect(&self, size: Size, patience: Duration) -> Result<Player, Failure> {
        let fail = |reason| Failure { verdict: Verdict::Fail, reason };
        match &self.way {
            Way::Server(target) => {
                let connector = match &target.impatient {
                    Some(impatient) if self.case.timeouts => impatient,
                    _ => &target.connector,
                };
                let socket = tokio::time::timeout(patience, connector.connect()).await;
                let socket = socket
                    .map_err(|_| fail(format!("cannot connect within {patience:?}")))?
                    .map_err(|error| fail(error.to_string()))?;
                Ok(Player::new(socket, size.bytes(), patience, None))
            }
            Way::Client(client, medium) => {
                let timeouts = self.case.timeouts.then_some(IMPATIENCE);
                let driven = Driven::connect(&client.adapter, *medium, timeouts, patience);
                let (driven, socket) = driven.await.map_err(fail)?;
                Ok(Player::new(socket, size.bytes(), patience, Some(driven)))
            }
        }
    }
}

/// What all timeouts of an impatient peer are.
const IMPATIENCE: Duration = Duration::from_millis(200);

/// A unary call on a connection that has nothing to do with the case: before it, and `after` it.
const fn bystanding(side: Side, after: bool) -> &'static [&'static str] {
    match (side, after) {
        (Side::Server, false) => {
            &["> REQUEST 1 Unary", "> DATA 1 END echo(40)", "< message 1 reply(40)", "< end 1 OK"]
        }
        (Side::Server, true) => {
            &["> REQUEST 3 Unary", "> DATA 3 END echo(9)", "< message 3 reply(9)", "< end 3 OK"]
        }
        (Side::Client, false) => &[
            "call Unary echo(40)",
            "< request",
            "< message c1 echo(40)",
            "< finished c1",
            "> DATA c1 END reply(40)",
            "result 1 OK reply(40)",
        ],
        (Side::Client, true) => &[
            "call Unary echo(9)",
            "< request",
            "< message c2 echo(9)",
            "< finished c2",
            "> DATA c2 END reply(9)",
            "result 2 OK reply(9)",
        ],
    }
}

fn noticed(failure: Failure) -> Failure {
    let reason = format!("another connection to the peer suffers: {}", failure.reason);
    Failure { reason, ..failure }
}

#[cfg(test)]
mod tests;
