//! Whose turn it is: the order in which calls move their frames into the output.

use std::collections::VecDeque;

use crate::call::{CallId, Next};

/// Stands in the queue for all calls with long messages: they share one turn.
const LONG: CallId = CallId(0);

/// The calls that have something to send.
///
/// A long message, one of several frames, is finished before the next one begins, so that each side
/// has few of them in its hands; frames of other calls go between its pieces.
// [OUT-003]
#[derive(Debug, Clone)]
#[cfg_attr(feature = "hash", derive(PartialEq, Eq, Hash))]
pub(super) struct Turns {
    /// Calls that send one frame each, and `LONG` if there are long messages.
    queue: VecDeque<CallId>,
    /// Calls that go on with a message, or are about to begin a long one: the first one has the turn.
    long: VecDeque<CallId>,
}

impl Turns {
    pub(super) const fn new() -> Self {
        Self { queue: VecDeque::new(), long: VecDeque::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn push(&mut self, id: CallId, next: Next) {
        match next {
            Next::Short => return self.queue.push_back(id),
            Next::Begins => self.long.push_back(id),
            Next::GoesOn => self.long.push_front(id),
        }
        if self.long.len() == 1 {
            self.queue.push_back(LONG);
        }
    }

    /// Takes out the call whose turn it is.
    pub(super) fn pop(&mut self) -> Option<CallId> {
        let id = self.queue.pop_front()?;
        if id != LONG {
            return Some(id);
        }
        let id = self.long.pop_front();
        if !self.long.is_empty() {
            self.queue.push_back(LONG);
        }
        id
    }

    pub(super) fn shrink(&mut self) {
        self.queue.shrink_to_fit();
        self.long.shrink_to_fit();
    }

    /// The calls in it, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = CallId> + '_ {
        let turns = self.queue.iter().filter(|id| **id == LONG).count();
        debug_assert_eq!(turns, usize::from(!self.long.is_empty()), "one turn for long messages");
        self.queue.iter().chain(&self.long).copied().filter(|id| *id != LONG)
    }
}
