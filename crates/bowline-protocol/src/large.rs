//! The budget for large messages of one connection: who may receive a message that costs more than
//! its window, first come, first served.

use std::collections::VecDeque;

use crate::call::CallId;

/// Bytes beyond the window that messages in progress may need together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LargeBudget {
    max: u64,
    used: u64,
    queue: VecDeque<(CallId, u64)>,
}

impl LargeBudget {
    pub(crate) const fn new(max: u64) -> Self {
        Self { max, used: 0, queue: VecDeque::new() }
    }

    /// Asks for room; it comes through [`admit`](Self::admit).
    pub(crate) fn ask(&mut self, call: CallId, bytes: u64) {
        debug_assert!(bytes <= self.max, "a message over message_max was not refused");
        self.queue.push_back((call, bytes));
    }

    /// The call no longer waits for its message: its place is lost.
    pub(crate) fn withdraw(&mut self, call: CallId) {
        self.queue.retain(|(waiting, _)| *waiting != call);
    }

    /// The next call whose message has room now, and how much it got.
    // [CRD-004]
    pub(crate) fn admit(&mut self) -> Option<(CallId, u64)> {
        let (_, bytes) = *self.queue.front()?;
        if self.used + bytes > self.max {
            return None;
        }
        self.used += bytes;
        self.queue.pop_front()
    }

    /// Gives back what a message had, once it is complete or its call over.
    // [CRD-005]
    pub(crate) fn give_back(&mut self, bytes: u64) {
        debug_assert!(bytes <= self.used, "gave back more than was used");
        self.used -= bytes;
    }

    /// What is given out.
    pub(crate) const fn used(&self) -> u64 {
        self.used
    }

    /// The calls that wait for room, the first first.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = CallId> {
        self.queue.iter().map(|(call, _)| *call)
    }
}

#[cfg(test)]
mod tests;
