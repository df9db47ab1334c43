//! A queue that holds its first item in place: most calls carry one message each way, and need no
//! memory for more.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

/// First in, first out.
#[expect(clippy::box_collection, reason = "every call has two, and few have anything in it")]
#[derive(Debug, Clone)]
pub(crate) struct Queue<T> {
    first: Option<T>,
    /// What is behind the first, once there was more than one; empty while there is no first. Boxed,
    /// as few calls need it and all have room for it.
    rest: Option<Box<VecDeque<T>>>,
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self { first: None, rest: None }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) const fn front(&self) -> Option<&T> {
        self.first.as_ref()
    }

    pub(crate) fn back_mut(&mut self) -> Option<&mut T> {
        self.rest.as_mut().and_then(|rest| rest.back_mut()).or(self.first.as_mut())
    }

    pub(crate) fn back(&self) -> Option<&T> {
        self.rest.as_ref().and_then(|rest| rest.back()).or(self.first.as_ref())
    }

    pub(crate) fn push_back(&mut self, item: T) {
        if self.first.is_none() {
            self.first = Some(item);
        } else {
            self.rest.get_or_insert_default().push_back(item);
        }
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let item = self.first.take()?;
        if let Some(rest) = &mut self.rest {
            self.first = rest.pop_front();
        }
        Some(item)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.first.iter().chain(self.rest.iter().flat_map(|rest| rest.iter()))
    }

    pub(crate) fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut T> {
        self.first.iter_mut().chain(self.rest.iter_mut().flat_map(|rest| rest.iter_mut()))
    }

    /// Drops all but the first `len` items.
    pub(crate) fn truncate(&mut self, len: usize) {
        if let Some(rest) = &mut self.rest {
            rest.truncate(len.saturating_sub(1));
        }
        if len == 0 {
            self.first = None;
        }
    }
}

/// Queues with the same items are equal, whatever they held before.
impl<T: PartialEq> PartialEq for Queue<T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: Eq> Eq for Queue<T> {}

impl<T: Hash> Hash for Queue<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.iter().for_each(|item| item.hash(state));
        state.write_usize(self.iter().count());
    }
}

#[cfg(test)]
mod tests;
