//! Whether anybody reads a connection, for the keeper to see without the connection's lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts how often reading was given up and taken up again; odd while nobody reads.
///
/// Written under the connection's lock alone.
#[derive(Debug, Default)]
pub(crate) struct Watch(AtomicU64);

/// What a [`Watch`] said at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen(u64);

impl Watch {
    /// Somebody reads from now on, or nobody does.
    pub(super) fn set_read(&self, read: bool) {
        let count = self.0.load(Ordering::Relaxed);
        let was_read = !Seen(count).is_unread();
        let next = if was_read == read { count + 2 } else { count + 1 };
        // The keeper looks here after it has said that it sleeps, and who gives reading up looks
        // whether the keeper sleeps after this.
        self.0.store(next, Ordering::SeqCst);
    }

    pub(crate) fn look(&self) -> Seen {
        Seen(self.0.load(Ordering::SeqCst))
    }
}

impl Seen {
    /// Nobody reads.
    pub(crate) const fn is_unread(self) -> bool {
        self.0 % 2 == 1
    }
}
