//! Loads: what is asked of every system that is compared.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units::Bytes;

/// What a stream of one call carries, about, and the bounds of the number of its messages.
const STREAM_BYTES: u64 = 32 << 20;
const STREAM_MESSAGES_LEAST: u64 = 256;
const STREAM_MESSAGES_MOST: u64 = 16_384;

/// What is asked of a system, and how its handlers answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Load {
    /// What clients do.
    pub work: Work,
    /// What the server does before it answers a unary call.
    pub handler: Handler,
}

/// What clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Unary calls, one after the other in each of so many tasks: a closed loop.
    Unary {
        /// Bytes of payload, each way.
        size: u32,
        /// Calls in flight on each connection.
        in_flight: u32,
        /// Connections.
        connections: u32,
    },
    /// Unary calls at a fixed rate on one connection, whether or not earlier ones were answered: an
    /// open loop. Latencies count from when a call was due, not from when it was made.
    Open {
        /// Bytes of payload, each way.
        size: u32,
        /// Calls that are due in a second.
        rate: u32,
        /// Calls in flight at the most; further ones wait, and their time runs.
        in_flight: u32,
    },
    /// Streams, one after the other on one connection.
    Stream {
        /// Which way.
        direction: Direction,
        /// Bytes of payload of each message.
        size: u32,
    },
    /// Small calls beside large ones on one connection.
    Mixed,
    /// Connect, one call, close: one after the other.
    Connect,
    /// Connections on which nothing happens after one call on each.
    Idle {
        /// How many at once, at the most.
        connections: u32,
    },
}

/// Which way the messages of a stream go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Server to client.
    Download,
    /// Client to server.
    Upload,
    /// Client to server, and each back as soon as it has arrived.
    Chat,
}

/// What the server does before it answers a unary call. An option of the server process, so that
/// messages need not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handler {
    /// Nothing.
    #[default]
    AtOnce,
    /// Yields to the other tasks, or threads, once.
    Yield,
    /// Waits for a timer of one millisecond.
    Timer,
}

impl Handler {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AtOnce, Self::Yield, Self::Timer];
    const TIMER: Duration = Duration::from_millis(1);

    /// What an asynchronous handler does before it answers.
    pub async fn wait(self) {
        match self {
            Self::AtOnce => {}
            Self::Yield => tokio::task::yield_now().await,
            Self::Timer => tokio::time::sleep(Self::TIMER).await,
        }
    }

    /// What a handler that has a thread does before it answers.
    pub fn block(self) {
        match self {
            Self::AtOnce => {}
            Self::Yield => std::thread::yield_now(),
            Self::Timer => std::thread::sleep(Self::TIMER),
        }
    }

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AtOnce => "at-once",
            Self::Yield => "yield",
            Self::Timer => "timer",
        }
    }
}

/// The small calls of [`Work::Mixed`]: bytes of payload, and calls in flight.
pub const MIXED_SMALL: (u32, u32) = (64, 4);
/// The large calls of [`Work::Mixed`]: bytes of payload, and calls in flight.
pub const MIXED_LARGE: (u32, u32) = (1 << 20, 2);
/// Bytes of payload of the calls of [`Work::Connect`] and [`Work::Idle`].
pub const PROBE_SIZE: u32 = 64;

/// Messages of one stream of this size: enough that opening the call does not show.
#[must_use]
pub fn stream_messages(size: u32) -> u64 {
    (STREAM_BYTES / u64::from(size.max(1))).clamp(STREAM_MESSAGES_LEAST, STREAM_MESSAGES_MOST)
}

impl Load {
    /// This work for handlers that answer at once.
    #[must_use]
    pub const fn new(work: Work) -> Self {
        Self { work, handler: Handler::AtOnce }
    }

    /// Closed-loop unary calls on one connection, for handlers that answer at once.
    #[must_use]
    pub const fn unary(size: u32, in_flight: u32) -> Self {
        Self::new(Work::Unary { size, in_flight, connections: 1 })
    }

    /// All loads that a complete comparison has.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut loads = Vec::new();
        for size in [64, 1 << 10, 64 << 10, 1 << 20] {
            loads.extend([1, 8, 64, 512].map(|in_flight| Self::unary(size, in_flight)));
        }
        loads.push(Self::new(Work::Unary { size: 64, in_flight: 16, connections: 16 }));
        let open = |rate| Self::new(Work::Open { size: 64, rate, in_flight: 64 });
        loads.extend([5_000, 20_000].map(open));
        for direction in [Direction::Download, Direction::Upload, Direction::Chat] {
            let stream = |size| Self::new(Work::Stream { direction, size });
            loads.extend([64, 1 << 10, 64 << 10].map(stream));
        }
        let ((small, calls), (large, large_calls)) = (MIXED_SMALL, MIXED_LARGE);
        loads.push(Self::unary(small, calls));
        loads.push(Self::unary(large, large_calls));
        loads.push(Self::new(Work::Mixed));
        loads.push(Self::new(Work::Connect));
        for handler in [Handler::Yield, Handler::Timer] {
            loads.extend([1, 64].map(|calls| Self { handler, ..Self::unary(64, calls) }));
        }
        loads.push(Self::new(Work::Idle { connections: 10_000 }));
        loads
    }

    /// Whether nothing happens, and there are no rounds.
    pub(crate) const fn is_idle(&self) -> bool {
        matches!(self.work, Work::Idle { .. })
    }

    /// Whether system calls and allocations for each call say something.
    pub(crate) const fn has_counts(&self) -> bool {
        matches!(self.work, Work::Unary { .. } | Work::Stream { .. } | Work::Connect)
    }

    /// Its name on the command line and in JSON.
    #[must_use]
    pub fn name(&self) -> String {
        let size = |size: u32| Bytes(size.into()).to_string().replace(' ', "");
        let name = match self.work {
            Work::Unary { size: bytes, in_flight, connections: 1 } => {
                format!("unary-{}-x{in_flight}", size(bytes))
            }
            Work::Unary { size: bytes, in_flight, connections } => {
                format!("unary-{}-{connections}x{in_flight}", size(bytes))
            }
            Work::Open { size: bytes, rate, .. } => format!("open-{}-{rate}", size(bytes)),
            Work::Stream { direction, size: bytes } => {
                let direction = match direction {
                    Direction::Download => "download",
                    Direction::Upload => "upload",
                    Direction::Chat => "chat",
                };
                format!("{direction}-{}", size(bytes))
            }
            Work::Mixed => "mixed".to_owned(),
            Work::Connect => "connect".to_owned(),
            Work::Idle { connections } => format!("idle-{connections}"),
        };
        match self.handler {
            Handler::AtOnce => name,
            handler => format!("{name}-{}", handler.name()),
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |size: u32| Bytes(size.into());
        let text = match self.work {
            Work::Unary { size: bytes, in_flight, connections: 1 } => {
                format!("unary {}, {in_flight} in flight", size(bytes))
            }
            Work::Unary { size: bytes, in_flight, connections } => {
                format!("unary {}, {connections} connections × {in_flight}", size(bytes))
            }
            Work::Open { size: bytes, rate, .. } => {
                format!("unary {}, {rate}/s, open loop", size(bytes))
            }
            Work::Stream { direction, size: bytes } => {
                let direction = match direction {
                    Direction::Download => "server",
                    Direction::Upload => "client",
                    Direction::Chat => "bidi",
                };
                format!("{direction} stream, {} messages", size(bytes))
            }
            Work::Mixed => format!(
                "unary {} × {} beside {} × {}",
                size(MIXED_SMALL.0),
                MIXED_SMALL.1,
                size(MIXED_LARGE.0),
                MIXED_LARGE.1
            ),
            Work::Connect => "connect, one call, close".to_owned(),
            Work::Idle { connections } => format!("{connections} idle connections"),
        };
        match self.handler {
            Handler::AtOnce => f.pad(&text),
            Handler::Yield => f.pad(&(text + ", handler yields")),
            Handler::Timer => f.pad(&(text + ", handler waits 1 ms")),
        }
    }
}

#[cfg(test)]
mod tests;
