//! What holds between any two calls of a connection's methods. Tests of all kinds look at it.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{Connection, Phase};
use crate::call::state::{CallerState, HandlerState};
use crate::call::{Call, CallId, Role};

impl Connection {
    /// Checks everything about the connection that must always hold.
    ///
    /// # Panics
    /// Something does not: the core has a bug.
    #[doc(hidden)]
    pub fn assert_invariants(&self) {
        self.assert_counters();
        self.assert_queues();
        self.assert_deadlines();
        for (id, call) in self.calls.iter() {
            call.incoming.assert_invariants(format_args!("call {id}, incoming"));
            call.outgoing.assert_invariants(format_args!("call {id}, outgoing"));
            if let Role::Caller(caller) = &call.role {
                let over = caller.released && caller.life == CallerState::Ended;
                assert!(!over, "call {id} is over and not forgotten");
            }
        }
        if self.phase == Phase::Closed {
            assert!(self.transmit.ended, "closed, and writing has not ended");
            assert!(self.transmit.waiting.is_empty(), "closed, and calls wait for a slot");
            assert_eq!(self.poll_timeout(), None, "closed, and a timer runs");
        }
    }

    // [SLT-001]
    fn assert_counters(&self) {
        let count = |test: fn(&Call) -> bool| self.calls.iter().filter(|(_, c)| test(c)).count();
        let responding = count(|call| match &call.role {
            Role::Responder(responder) => responder.life != HandlerState::Ended,
            Role::Caller(_) => false,
        });
        assert_eq!(self.receive.responding as usize, responding, "calls of the peer's");
        assert!(self.receive.responding <= self.config.limits.calls_max, "over calls_max");
        let slots = count(|call| call.caller().is_some() && call.is_live());
        assert_eq!(self.transmit.slots_used as usize, slots, "calls of this side");
        assert!(self.transmit.slots_used <= self.peer.calls_max, "over the peer's calls_max");
        let waiting = count(|call| call.caller().is_some_and(|c| c.life == CallerState::Waiting));
        assert_eq!(self.transmit.waiting.len(), waiting, "calls that wait for a slot");
        let large: u64 = self.calls.iter().map(|(_, call)| call.incoming.large).sum();
        assert_eq!(self.receive.large.used(), large, "what large messages have of large_max");
        assert!(large <= self.config.limits.large_max, "over large_max");
    }

    fn assert_queues(&self) {
        let count = |queue: &mut dyn Iterator<Item = CallId>| {
            let mut counts: BTreeMap<CallId, usize> = BTreeMap::new();
            queue.for_each(|id| *counts.entry(id).or_default() += 1);
            counts
        };
        let ready = count(&mut self.transmit.turns.iter());
        let credits = count(&mut self.transmit.credits.iter().copied());
        let asking = count(&mut self.receive.large.waiting());
        for (id, call) in self.calls.iter() {
            let is = |queue: &BTreeMap<CallId, usize>| queue.get(&id).copied().unwrap_or(0);
            assert_eq!(is(&ready), usize::from(call.outgoing.ready), "call {id}: ready");
            assert_eq!(is(&credits), usize::from(call.credit_queued), "call {id}: credit");
            assert_eq!(is(&asking), usize::from(call.incoming.asking), "call {id}: asking");
            let silent = call.caller().is_some_and(|caller| caller.life != CallerState::Live);
            let owes = call.incoming.credit.owes() && !silent && !call.incoming.ended;
            assert!(!owes || call.credit_queued, "call {id} owes credit and is not queued");
            let sendable = call.is_live() && call.outgoing.next(&self.peer).is_some();
            assert!(!sendable || call.outgoing.ready, "call {id} is sendable and not queued");
        }
        let stranger = asking.keys().find(|id| self.calls.get(**id).is_none());
        assert_eq!(stranger, None, "asks for room and is no call");
    }

    fn assert_deadlines(&self) {
        let of_calls = self.calls.iter().filter_map(|(id, call)| Some((call.deadline?, id)));
        let mut of_calls: Vec<(Instant, CallId)> = of_calls.collect();
        of_calls.sort_unstable();
        let queued: Vec<(Instant, CallId)> = self.deadlines.iter().copied().collect();
        assert_eq!(queued, of_calls, "deadlines");
    }
}
