//! Later.

use crate::Connection;

impl Connection {
    /// Memory of all messages in progress.
    pub(super) fn reassembly_capacity(&self) -> usize {
        self.calls.values().map(|call| call.incoming.reassembly_capacity()).sum()
    }
}

impl Connection {
    /// What large messages have of `large_max`.
    pub(super) fn large_used(&self) -> u64 {
        self.receive.large.used()
    }
}
