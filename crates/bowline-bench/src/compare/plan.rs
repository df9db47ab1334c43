//! What is measured: loads, transports, and how often.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units::Bytes;

/// What carries the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// A Unix socket, between two processes.
    Unix,
    /// TCP loopback, between two processes.
    Tcp,
    /// Memory, inside one process.
    Memory,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Unix, Self::Tcp, Self::Memory];

    /// The scheme of its addresses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unix => "unix",
            Self::Tcp => "tcp",
            Self::Memory => "memory",
        }
    }
}

/// What kind of call a load makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One message each way.
    Unary,
    /// One message to the server, thousands back.
    ServerStream,
    /// Thousands of messages to the server, one back.
    ClientStream,
    /// Thousands of messages each way.
    BidiStream,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Unary, Self::ServerStream, Self::ClientStream, Self::BidiStream];

    /// Its name on the command line and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ServerStream => "server_stream",
            Self::ClientStream => "client_stream",
            Self::BidiStream => "bidi_stream",
        }
    }
}

/// A text that is the name of nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is none of {names}")]
pub struct UnknownName {
    text: String,
    names: String,
}

fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, text: &str) -> Result<T, UnknownName> {
    all.iter().copied().find(|one| name(*one) == text).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|one| name(*one)).collect();
        UnknownName { text: text.to_owned(), names: names.join(", ") }
    })
}

impl FromStr for Transport {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        named(&Self::ALL, Self::name, text)
    }
}

impl FromStr for Kind {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        named(&Self::ALL, Self::name, text)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Calls of one kind and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Load {
    /// The kind of the calls.
    pub kind: Kind,
    /// Length of the payload of each message, in bytes.
    pub payload_bytes: u32,
    /// Calls in flight on each connection.
    pub concurrency: u32,
    /// Connections that make them.
    pub connections: u32,
}

impl Load {
    /// A load on one connection.
    #[must_use]
    pub const fn new(kind: Kind, payload_bytes: u32, concurrency: u32) -> Self {
        Self { kind, payload_bytes, concurrency, connections: 1 }
    }

    /// Loads of all these kinds: unary calls of each size at each concurrency, and a stream of each
    /// size, alone. Without sizes, those that the kind is usually measured with.
    #[must_use]
    pub fn all(kinds: &[Kind], payloads: &[u32], concurrency: &[u32]) -> Vec<Self> {
        let mut loads = Vec::new();
        for kind in kinds {
            let (usual, concurrency): (&[u32], _) = match kind {
                Kind::Unary => (&[64, 1 << 10, 64 << 10, 1 << 20], concurrency),
                _ => (&[1 << 10, 64 << 10], [1].as_slice()),
            };
            let payloads = if payloads.is_empty() { usual } else { payloads };
            for payload in payloads {
                loads.extend(concurrency.iter().map(|calls| Self::new(*kind, *payload, *calls)));
            }
        }
        loads
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = Bytes(self.payload_bytes.into());
        let mut text = match self.kind {
            Kind::Unary => format!("unary {payload} ×{}", self.concurrency),
            Kind::ServerStream => format!("server stream {payload}"),
            Kind::ClientStream => format!("client stream {payload}"),
            Kind::BidiStream => format!("bidi stream {payload}"),
        };
        if self.connections > 1 {
            text += &format!(" ({} connections)", self.connections);
        }
        f.pad(&text)
    }
}

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Over what.
    pub transports: Vec<Transport>,
    /// What.
    pub loads: Vec<Load>,
    /// How often.
    pub rounds: u32,
    /// How long each load runs before it is measured.
    pub warm_up: Duration,
    /// How long it is measured, in each round.
    pub duration: Duration,
}

impl Plan {
    /// Measurements of the plan.
    #[must_use]
    pub fn measurements(&self) -> usize {
        self.rounds as usize * self.loads.len() * self.transports.len()
    }

    /// How long it takes, about.
    #[must_use]
    pub fn estimate(&self) -> Duration {
        let measurements = u32::try_from(self.measurements()).unwrap_or(u32::MAX);
        (self.warm_up + self.duration).saturating_mul(measurements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_loads() {
        let loads = Load::all(&Kind::ALL, &[], &[1, 64]);
        assert_eq!(loads.len(), 4 * 2 + 3 * 2);
        let texts: Vec<_> = loads.iter().map(ToString::to_string).collect();
        assert_eq!(texts[1], "unary 64 B ×64");
        assert_eq!(texts[13], "bidi stream 64 KiB");
    }

    #[test]
    fn streams_run_alone() {
        let loads = Load::all(&[Kind::ServerStream], &[7], &[64]);
        assert_eq!(loads, [Load::new(Kind::ServerStream, 7, 1)]);
    }

    #[test]
    fn names_go_both_ways() {
        for transport in Transport::ALL {
            assert_eq!(transport.name().parse(), Ok(transport));
        }
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        let error = "udp".parse::<Transport>().unwrap_err();
        assert_eq!(error.to_string(), "\"udp\" is none of unix, tcp, memory");
    }
}
