//! The end of a run: everything flows, and every application is willing. Whatever is still stuck
//! then is stuck for ever.

use bowline_protocol::{CallId, Code};

use super::Sut;
use crate::model::{CallerEnd, Handler};

impl Sut {
    /// Moves bytes both ways until nothing moves.
    pub(crate) fn flow_all(&mut self) {
        let mut rounds = 0;
        loop {
            let mut moved = 0;
            for s in 0..2 {
                self.poll(s);
                moved += self.write(s, usize::MAX);
                moved += self.read(1 - s, usize::MAX);
                self.after_step();
            }
            if moved == 0 {
                return;
            }
            rounds += 1;
            assert!(rounds < 1_000_000, "bytes move for ever");
        }
    }

    pub(crate) fn finale(&mut self) {
        for peer in &mut self.peers {
            peer.frozen = false;
        }
        // Drops by drops would take as long as it sounds.
        self.setting.pipe = self.setting.pipe.max(16 * 1024);
        self.flow_all();
        if self.setting.one_at_a_time && !self.model.world.broken {
            self.wait_on_each();
        }
        self.willing();
        self.assert_flows();
        if !self.model.world.broken {
            self.close();
        }
        self.time_out();
        self.willing();
        self.model.assert_over();
        for (s, peer) in self.peers.iter().enumerate() {
            assert!(peer.core.is_closed() && peer.closed.is_some(), "side {s} is not closed");
            assert!(peer.core.is_idle() && peer.core.buffered() == 0, "side {s} holds calls");
            assert!(peer.calls.is_empty(), "side {s}: {:?}", peer.calls);
        }
        self.cover_wire();
    }

    /// An application that waits on one call alone gets what was sent on it, whatever it did not
    /// take of others, and whatever it has waited for and given up.
    // [CRD-003] [CRD-004] [CRD-005]
    fn wait_on_each(&mut self) {
        for s in 0..2 {
            let calls: Vec<CallId> = self.peers[s].calls.keys().copied().collect();
            for id in calls.iter().rev() {
                let waits = self.peers[s].calls.get(id).is_some_and(|handle| handle.waiting);
                if waits {
                    self.stop_waiting(s, *id);
                }
            }
            for id in calls {
                self.wait_on(s, id);
            }
        }
    }

    fn wait_on(&mut self, s: usize, id: CallId) {
        loop {
            if !self.peers[s].calls.contains_key(&id) {
                return;
            }
            let pair = self.model.pair(id.number());
            let mine = pair.opener == s;
            let flows = match pair.handler {
                Handler::Running => true,
                Handler::Done { stopped: None, .. } => mine,
                _ => false,
            };
            let sent = !pair.streams[1 - s].queue.is_empty();
            let troubled = pair.oversize != [false; 2] || pair.deadline.is_some();
            if !sent || !flows || troubled || pair.caller != CallerEnd::Open {
                return;
            }
            if self.recv(s, id) {
                continue;
            }
            self.after_step();
            self.flow_all();
            let waits = self.peers[s].calls.get(&id).is_some_and(|handle| handle.waiting);
            assert!(!waits, "call {id} is held up by another one");
            self.cover("waits on one call alone");
        }
    }

    /// Every application takes what there is and ends what it has, until nothing moves. Each looks
    /// at a call again only when it is told to.
    fn willing(&mut self) {
        loop {
            let mut did = false;
            for s in 0..2 {
                let calls: Vec<CallId> = self.peers[s].calls.keys().copied().collect();
                for id in calls {
                    did |= self.willing_call(s, id);
                }
            }
            self.after_step();
            self.flow_all();
            self.assert_windows();
            self.assert_writable();
            if !did && self.peers.iter().all(|peer| peer.calls.values().all(|h| h.waiting)) {
                return;
            }
        }
    }

    fn willing_call(&mut self, s: usize, id: CallId) -> bool {
        let mut did = false;
        let handle = self.peers[s].calls[&id];
        if self.model.pair(id.number()).opener == s && !handle.closed {
            self.finish(s, id);
            did = true;
        }
        while self.peers[s].calls.get(&id).is_some_and(|handle| !handle.waiting) {
            did |= self.recv(s, id);
            let Some(handle) = self.peers[s].calls.get(&id) else { return true };
            let pair = self.model.pair(id.number());
            let stopped = matches!(pair.handler, Handler::Stopped(_));
            if pair.opener != s && (handle.finished || stopped) {
                self.end(s, id, Code::Ok);
                return true;
            }
        }
        did
    }

    /// All has arrived: the sender has a whole window for each call of which all was taken.
    // [CRD-003]
    fn assert_windows(&mut self) {
        for s in 0..2 {
            let calls: Vec<CallId> =
                self.peers[s].calls.iter().filter(|(_, h)| h.waiting).map(|(id, _)| *id).collect();
            for id in calls {
                let id = id.number();
                let Some(left) = self.wire.credit_left(id, 1 - s) else { continue };
                let stream = &self.model.pair(id).streams[1 - s];
                if stream.queue.is_empty() && !stream.closed && !self.model.world.broken {
                    let window = self.peers[s].core.limits().window;
                    assert!(left >= window, "call {id}: {left} of the window of {window}");
                    self.cover("whole window given back");
                }
            }
        }
    }

    /// An application that was refused a message is told when all of its messages have left.
    fn assert_writable(&mut self) {
        for s in 0..2 {
            for (id, handle) in &self.peers[s].calls {
                let stream = &self.model.calls[&id.number()].streams[s];
                let told = !handle.blocked || !stream.queue.is_empty();
                assert!(told || self.model.world.broken, "call {id} is writable and nobody knows");
            }
        }
    }

    /// Nothing moves any more: no work may be left on a connection that lives.
    // [CRD-002] [CRD-003]
    fn assert_flows(&self) {
        if self.model.world.broken {
            return;
        }
        self.model.assert_over();
        if self.peers.iter().all(|peer| peer.closed.is_none()) {
            self.wire.assert_settled();
        }
        for (id, pair) in &self.model.calls {
            let plain = pair.deadline.is_none() && pair.oversize == [false; 2];
            let unhurt = matches!(pair.handler, Handler::Done { stopped: None, .. });
            if plain && unhurt && pair.caller != CallerEnd::GaveUp {
                let left = pair.streams[1 - pair.opener].queue.len();
                assert_eq!(left, 0, "call {id}: replies were lost");
            }
        }
        for (s, peer) in self.peers.iter().enumerate() {
            assert!(peer.out.is_empty() && peer.pipe.is_empty(), "side {s}: bytes are stuck");
            assert!(!peer.core.wants_transmit(), "side {s}: frames are stuck");
            assert!(peer.closed.is_some() || peer.pings.0 == peer.pings.1, "side {s}: no answer");
            assert!(peer.core.is_idle(), "side {s}: slots are not given back");
            assert_eq!(peer.core.buffered(), 0, "side {s}");
        }
    }

    /// A drain closes both sides cleanly, without a timer.
    // [GOA-003] [CLS-001] [CLS-002]
    fn close(&mut self) {
        self.drain(usize::from(self.setting.limits & 1 == 0));
        self.after_step();
        self.flow_all();
        for (s, peer) in self.peers.iter().enumerate() {
            assert_eq!(peer.closed, Some(None), "side {s} after a drain");
        }
    }

    /// Lets time pass until both sides have closed.
    // [CLS-004]
    fn time_out(&mut self) {
        for _ in 0..16 {
            if self.peers.iter().all(|peer| peer.core.is_closed()) {
                return;
            }
            let due = self.peers.iter().filter_map(|peer| peer.core.poll_timeout()).min();
            if let Some(due) = due {
                self.advance(due.saturating_duration_since(self.now));
            }
            self.after_step();
            self.flow_all();
            self.model.world.broken = true;
        }
    }
}
