//! The instructions that the hot paths took when somebody last agreed to them, and how that
//! compares with now. Knows nothing of how they are counted.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// How far a count may be off, in percent.
pub(super) const TOLERANCE: u64 = 2;

/// Instructions by path.
pub(super) type Counts = BTreeMap<String, u64>;

/// Counts, and all that decides over them besides this repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Versions of compiler, valgrind and C library, and what processor valgrind pretends to be.
    pub(super) toolchain: BTreeMap<String, String>,
    pub(super) instructions: Counts,
}

/// A path whose count is not as recorded, or which is in one of two records alone.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) path: String,
    pub(super) recorded: Option<u64>,
    pub(super) now: Option<u64>,
}

impl Row {
    /// How much more now, in percent, where there are both.
    pub(super) fn change(&self) -> Option<f64> {
        let (recorded, now) = (self.recorded? as f64, self.now? as f64);
        Some((now / recorded - 1.0) * 100.0)
    }

    /// What is wrong, if anything is.
    pub(super) fn problem(&self) -> Option<&'static str> {
        match (self.recorded, self.now) {
            (None, _) => Some("NEW"),
            (_, None) => Some("GONE"),
            (Some(then), Some(now)) if now.abs_diff(then) * 100 <= then * TOLERANCE => None,
            (then, now) if now > then => Some("MORE than recorded"),
            _ => Some("LESS than recorded"),
        }
    }
}

impl Record {
    /// Each path of either record.
    pub(super) fn compare(&self, now: &Self) -> Vec<Row> {
        let paths: BTreeSet<_> = self.instructions.keys().chain(now.instructions.keys()).collect();
        let row = |path: &String| Row {
            path: path.clone(),
            recorded: self.instructions.get(path).copied(),
            now: now.instructions.get(path).copied(),
        };
        paths.into_iter().map(row).collect()
    }

    /// Whether all paths take what is recorded.
    pub(super) fn agrees(&self, now: &Self) -> bool {
        self.compare(now).iter().all(|row| row.problem().is_none())
    }

    /// Takes over what of a second run is nearer to what is recorded. A real change is in every run.
    pub(super) fn take_nearer(&mut self, recorded: &Self, again: &Counts) {
        for (path, count) in &mut self.instructions {
            if let (Some(recorded), Some(again)) =
                (recorded.instructions.get(path), again.get(path))
                && again.abs_diff(*recorded) < count.abs_diff(*recorded)
            {
                *count = *again;
            }
        }
    }

    /// What of the toolchain is another one now: what, recorded, now.
    pub(super) fn other_toolchain(&self, now: &Self) -> Vec<String> {
        let names: BTreeSet<_> = self.toolchain.keys().chain(now.toolchain.keys()).collect();
        let of = |record: &Self, name: &String| {
            record.toolchain.get(name).cloned().unwrap_or_else(|| "none".to_owned())
        };
        names
            .into_iter()
            .filter(|name| self.toolchain.get(*name) != now.toolchain.get(*name))
            .map(|name| format!("{name}: recorded {}, here {}", of(self, name), of(now, name)))
            .collect()
    }
}

#[cfg(test)]
mod tests;
