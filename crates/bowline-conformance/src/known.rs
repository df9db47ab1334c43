//! Failures that are known: a list with reasons, which must stay true.

use crate::case::Side;
use crate::suite::{Report, Row};

/// A list of failures that are known, each with its reason. A run that is on the list and passes is
/// wrong, too, so that the list cannot grow old.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    id: String,
    side: Option<Side>,
    reason: String,
}

/// A line of the list that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: write `ID REASON`, or `ID server REASON`, or `ID client REASON`")]
pub struct KnownError {
    line: usize,
}

impl Known {
    /// Reads the list: a case's id, perhaps a side, and a reason on each line; `#` begins a comment.
    ///
    /// # Errors
    /// A line has no reason.
    pub fn parse(text: &str) -> Result<Self, KnownError> {
        let mut entries = Vec::new();
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = KnownError { line: index + 1 };
            let (id, rest) = line.split_once(' ').ok_or_else(|| wrong.clone())?;
            let rest = rest.trim_start();
            let (side, reason) = match rest.split_once(' ') {
                Some(("server", reason)) => (Some(Side::Server), reason),
                Some(("client", reason)) => (Some(Side::Client), reason),
                _ => (None, rest),
            };
            if matches!(reason, "" | "server" | "client") {
                return Err(wrong);
            }
            entries.push(Entry { id: id.into(), side, reason: reason.trim().into() });
        }
        Ok(Self { entries })
    }

    /// Notes in each row what is known about it.
    pub fn mark(&self, report: &mut Report) {
        for row in &mut report.cases {
            let known = |entry: &&Entry| {
                entry.id == row.id && entry.side.is_none_or(|side| side == row.side)
            };
            row.known = self.entries.iter().find(known).map(|entry| entry.reason.clone());
        }
    }
}

impl Row {
    /// What came of it is not what was to be expected: it failed and is not known to, or is known to
    /// fail and did not.
    #[must_use]
    pub const fn is_unexpected(&self) -> bool {
        self.verdict.is_good() == self.known.is_some()
    }
}

#[cfg(test)]
mod tests {
    //! Lists of known failures.

    use super::{Known, KnownError};

    #[test]
    fn lines_have_an_id_and_a_reason() {
        let list = "# comment\n\nABC-001/x not done yet\nABC-002/y client its own limit\n";
        let known = Known::parse(list).unwrap();
        assert_eq!(known.entries.len(), 2);
        assert_eq!(known.entries[0].reason, "not done yet");
        assert_eq!(known.entries[1].side, Some(crate::Side::Client));
        for text in ["ABC-001/x", "a b\nABC-001/x server", "a b\nABC-001/x client "] {
            assert!(Known::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(Known::parse("a b\n\nc"), Err(KnownError { line: 3 }));
    }
}
