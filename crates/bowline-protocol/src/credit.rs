//! Credit of one direction of one call, counted in sums that only grow, so that nothing can go
//! negative.

use crate::frame::NUMBER_END;

/// What a message costs beside its bytes.
pub const MESSAGE_COST: u64 = 16;
/// What each descriptor of a message costs.
pub const DESCRIPTOR_COST: u64 = 1024;

/// What a message of this length, with so many descriptors, costs.
// [CRD-001]
#[must_use]
pub const fn message_cost(length: u64, descriptors: u8) -> u64 {
    MESSAGE_COST + length + DESCRIPTOR_COST * descriptors as u64
}

/// The sender's view of one direction of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SendCredit {
    granted: u64,
    used: u64,
}

impl SendCredit {
    pub(crate) const fn new(window: u64) -> Self {
        Self { granted: window, used: 0 }
    }

    pub(crate) const fn available(&self) -> u64 {
        self.granted - self.used
    }

    pub(crate) fn assert_invariants(&self, place: std::fmt::Arguments<'_>) {
        assert!(self.used <= self.granted, "{place}: {self:?}");
        assert!(self.granted < NUMBER_END, "{place}: {self:?}");
    }

    pub(crate) fn consume(&mut self, cost: u64) {
        debug_assert!(cost <= self.available(), "sent {cost} beyond the credit");
        self.used += cost;
    }

    /// Adds a grant; false when the sum is not a number any more.
    // [CRD-002]
    #[must_use]
    pub(crate) fn grant(&mut self, bytes: u64) -> bool {
        match self.granted.checked_add(bytes) {
            Some(sum) if sum < NUMBER_END => {
                self.granted = sum;
                true
            }
            _ => false,
        }
    }
}

/// The receiver's view of one direction of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RecvCredit {
    window: u64,
    ahead: u64,
    granted: u64,
    received: u64,
    taken: u64,
    /// Part of `granted` that no CREDIT frame has carried yet.
    owed: u64,
}

impl RecvCredit {
    pub(crate) const fn new(window: u64, ahead: u64) -> Self {
        Self { window, ahead, granted: window, received: 0, taken: 0, owed: 0 }
    }

    /// Counts what has arrived; by how much it is beyond what was granted, otherwise.
    // [CRD-002]
    pub(crate) fn receive(&mut self, cost: u64) -> Result<(), u64> {
        // Credit that is owed has not been sent, so the peer cannot have used it.
        let excess = (self.received + cost).saturating_sub(self.granted - self.owed);
        if excess > 0 {
            return Err(excess);
        }
        self.received += cost;
        Ok(())
    }

    /// What costs so much may arrive.
    pub(crate) const fn covers(&self, cost: u64) -> bool {
        self.received + cost <= self.granted - self.owed
    }

    /// Counts what the application has taken, or what was discarded.
    pub(crate) fn take(&mut self, cost: u64) {
        self.taken += cost;
        debug_assert!(self.taken <= self.received, "took more than was received");
    }

    /// Grants in steps: only when half the window is due.
    pub(crate) fn grant_lazily(&mut self) -> bool {
        let due = (self.window + self.taken).saturating_sub(self.granted);
        due >= self.window / 2 && self.grant_to(self.window + self.taken + self.ahead)
    }

    /// Grants what is due while the application waits with nothing to take.
    // [CRD-003] [CRD-008]
    pub(crate) fn grant_waiting(&mut self) -> bool {
        self.window + self.taken > self.granted
            && self.grant_to(self.window + self.taken + self.ahead)
    }

    /// Grants the whole of a message in progress, which is the first that was not taken.
    // [CRD-004]
    pub(crate) fn grant_message(&mut self, cost: u64) -> bool {
        self.grant_to(self.taken + cost)
    }

    /// The message in progress needs more than has been granted.
    pub(crate) const fn lacks(&self, cost: u64) -> bool {
        self.taken + cost > self.granted
    }

    fn grant_to(&mut self, sum: u64) -> bool {
        // A call that has carried 2^53 bytes gets no more credit; the peer would have to refuse it.
        let sum = sum.min(NUMBER_END - 1);
        if sum <= self.granted {
            return false;
        }
        self.owed += sum - self.granted;
        self.granted = sum;
        true
    }

    /// Takes the sum that the next CREDIT frame carries.
    pub(crate) const fn take_owed(&mut self) -> u64 {
        let owed = self.owed;
        self.owed = 0;
        owed
    }

    /// Everything that is due to an application that waits has been granted.
    pub(crate) fn is_generous(&self) -> bool {
        self.granted >= (self.window + self.taken).min(NUMBER_END - 1)
    }

    pub(crate) fn assert_invariants(&self, place: std::fmt::Arguments<'_>) {
        assert!(self.taken <= self.received, "{place}: {self:?}");
        assert!(self.received + self.owed <= self.granted, "{place}: {self:?}");
        assert!(self.window <= self.granted && self.granted < NUMBER_END, "{place}: {self:?}");
    }

    /// CREDIT is owed.
    pub(crate) const fn owes(&self) -> bool {
        self.owed > 0
    }

    pub(crate) const fn buffered(&self) -> u64 {
        self.received - self.taken
    }

    pub(crate) const fn window(&self) -> u64 {
        self.window
    }
}

#[cfg(test)]
mod tests;
