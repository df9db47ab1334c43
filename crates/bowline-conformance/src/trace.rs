//! What went over a connection, to be read by whoever asks why a case has failed.

use serde::Serialize;

use crate::frames::{self, Frame};

/// Bytes of a frame that a trace keeps.
const SHOWN_MAX: usize = 64;
/// Entries that a trace keeps.
const ENTRIES_MAX: usize = 80;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    /// From the peer.
    In,
    /// From the kit.
    Out,
}

/// One thing that happened on a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    /// None for a note of the kit's.
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<Direction>,
    /// What it means.
    text: String,
    /// Its first bytes.
    #[serde(skip_serializing_if = "String::is_empty")]
    hex: String,
    /// How many bytes it has in all.
    length: usize,
}

/// Everything that happened on a connection, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Trace {
    entries: Vec<Entry>,
}

impl Trace {
    fn push(&mut self, entry: Entry) {
        if self.entries.len() < ENTRIES_MAX {
            self.entries.push(entry);
        }
    }

    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.push(Entry { direction: None, text: text.into(), hex: String::new(), length: 0 });
    }

    pub(crate) fn bytes(&mut self, direction: Direction, text: impl Into<String>, bytes: &[u8]) {
        let shown: Vec<String> =
            bytes.iter().take(SHOWN_MAX).map(|byte| format!("{byte:02x}")).collect();
        let (hex, length) = (shown.join(" "), bytes.len());
        self.push(Entry { direction: Some(direction), text: text.into(), hex, length });
    }

    pub(crate) fn frame(&mut self, direction: Direction, frame: &Frame) {
        let mut bytes = bytes::BytesMut::new();
        frame.write_to(&mut bytes);
        self.bytes(direction, frames::describe(frame), &bytes);
    }

    /// The trace in lines: what, then its bytes.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let line = |entry: &Entry| {
            let arrow = match entry.direction {
                Some(Direction::In) => "<",
                Some(Direction::Out) => ">",
                None => "-",
            };
            let more = if entry.length > SHOWN_MAX { " …" } else { "" };
            let hex = if entry.hex.is_empty() {
                String::new()
            } else {
                format!("  [{}{more}]", entry.hex)
            };
            format!("{arrow} {}{hex}", entry.text)
        };
        self.entries.iter().map(line).collect()
    }
}
