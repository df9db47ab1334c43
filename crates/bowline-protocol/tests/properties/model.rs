//! What two connections do, as simply as it can be said: a call is a pair of queues and how each of
//! its ends has ended. There is no credit here, and there are no frames.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bowline_protocol::{Code, Origin, Status, StopReason, message_cost};
use bytes::Bytes;

/// The messages that one side of a call sends to the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    /// Taken from the sender and not yet given to the receiver.
    pub(crate) queue: VecDeque<Bytes>,
    /// The sender has said that no more come.
    pub(crate) closed: bool,
    /// Cost of what the receiver's application has taken.
    pub(crate) taken: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallerEnd {
    Open,
    GaveUp,
    Ended { not_started: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handler {
    /// The peer has not been told of the call.
    None,
    Running,
    Stopped(StopReason),
    /// It ended with this code, of its own or after it was stopped.
    Done {
        code: Code,
        stopped: Option<StopReason>,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) opener: usize,
    pub(crate) method: &'static str,
    pub(crate) deadline: Option<Instant>,
    /// By the side that sends.
    pub(crate) streams: [Stream; 2],
    pub(crate) caller: CallerEnd,
    pub(crate) handler: Handler,
    /// By the side that sends: a message longer than the receiver takes.
    pub(crate) oversize: [bool; 2],
}

/// Why the model allows an end that no application asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct World {
    /// The connection was cut, aborted, or ran into a timeout.
    pub(crate) broken: bool,
    /// This side was told to drain, or is idle and follows the other.
    pub(crate) draining: bool,
    /// The side takes no calls.
    pub(crate) no_calls: [bool; 2],
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) calls: BTreeMap<u64, Pair>,
    pub(crate) world: World,
}

impl Model {
    pub(crate) fn opened(
        &mut self,
        id: u64,
        opener: usize,
        method: &'static str,
        deadline: Option<Instant>,
    ) {
        let last = self.calls.keys().rfind(|other| *other % 2 == id % 2);
        assert!(last.is_none_or(|last| *last < id), "call {id} after {last:?}");
        assert_eq!(id % 2, 1 - opener as u64, "call {id} of side {opener}");
        let pair = Pair {
            opener,
            method,
            deadline,
            streams: Default::default(),
            caller: CallerEnd::Open,
            handler: Handler::None,
            oversize: [false; 2],
        };
        self.calls.insert(id, pair);
    }

    pub(crate) fn pair(&mut self, id: u64) -> &mut Pair {
        self.calls.get_mut(&id).expect("a call that was opened")
    }

    pub(crate) fn request(&mut self, id: u64, method: &str) {
        let pair = self.pair(id);
        assert_eq!(pair.handler, Handler::None, "call {id} was requested twice");
        assert_eq!(pair.method, method, "call {id}");
        assert_ne!(pair.caller, CallerEnd::Ended { not_started: true }, "call {id} starts");
        pair.handler = Handler::Running;
    }

    pub(crate) fn running(&self, responder: usize) -> usize {
        let lives = |pair: &&Pair| matches!(pair.handler, Handler::Running | Handler::Stopped(_));
        self.calls.values().filter(|pair| pair.opener != responder).filter(lives).count()
    }

    /// `receiver` was given a message.
    pub(crate) fn delivered(&mut self, id: u64, receiver: usize, payload: &Bytes) {
        let pair = self.pair(id);
        if pair.opener == receiver {
            assert_eq!(pair.caller, CallerEnd::Open, "call {id}: a message after the end");
        } else {
            assert_eq!(pair.handler, Handler::Running, "call {id}: a message after the end");
        }
        let stream = &mut pair.streams[1 - receiver];
        let expected = stream.queue.pop_front();
        let expected = expected.expect("a message that nobody sent");
        assert!(
            expected == *payload,
            "call {id}: {} bytes, sent {}",
            payload.len(),
            expected.len()
        );
        stream.taken += message_cost(payload.len() as u64, 0);
    }

    /// The responder was told that the caller sends no more.
    pub(crate) fn finished(&mut self, id: u64) {
        let pair = self.pair(id);
        assert_eq!(pair.handler, Handler::Running, "call {id}");
        let stream = &pair.streams[pair.opener];
        assert!(stream.closed, "call {id}: the caller has not finished");
        assert!(stream.queue.is_empty(), "call {id}: {} messages lost", stream.queue.len());
    }

    pub(crate) fn stopped(&mut self, id: u64, reason: StopReason, now: Instant) {
        let world = self.world;
        let pair = self.pair(id);
        assert_eq!(pair.handler, Handler::Running, "call {id} is stopped");
        pair.handler = Handler::Stopped(reason);
        let responder = 1 - pair.opener;
        let deadline = pair.deadline.is_some_and(|deadline| deadline <= now);
        let cancelled = pair.caller == CallerEnd::GaveUp || deadline || pair.oversize[responder];
        let allowed = match reason {
            StopReason::Cancelled => cancelled,
            // The time left travels, so the responder's clock may run later.
            StopReason::Deadline => pair.deadline.is_some(),
            StopReason::Limit => pair.oversize[pair.opener],
            StopReason::Lost => world.broken,
            _ => false,
        };
        assert!(allowed, "call {id}: stopped, {reason:?}");
    }

    pub(crate) fn handler_ended(&mut self, id: u64, code: Code) {
        let pair = self.pair(id);
        let stopped = match pair.handler {
            Handler::Stopped(reason) => Some(reason),
            Handler::Running => None,
            other => panic!("call {id}: {other:?} ends"),
        };
        pair.handler = Handler::Done { code, stopped };
        let responder = 1 - pair.opener;
        pair.streams[responder].closed = true;
    }

    /// The caller's application was told how its call ended.
    pub(crate) fn caller_ended(&mut self, id: u64, status: &Status, now: Instant) {
        let world = self.world;
        let pair = self.pair(id);
        assert_eq!(pair.caller, CallerEnd::Open, "call {id} ended twice");
        let not_started = status.not_started();
        pair.caller = CallerEnd::Ended { not_started };
        // STA-003
        assert!(!not_started || pair.handler == Handler::None, "call {id} ran: {status}");
        let responder = 1 - pair.opener;
        let has_deadline = pair.deadline.is_some();
        let too_long = pair.oversize[pair.opener] || pair.oversize[responder];
        if status.origin() == Origin::Remote {
            let Handler::Done { code, stopped } = pair.handler else {
                // DLN-002
                let expired = status.code() == Code::DeadlineExceeded && not_started;
                assert!(expired && has_deadline, "call {id}: {status} of no handler");
                return;
            };
            let own = match status.code() {
                Code::DeadlineExceeded => has_deadline && !status.is_ok(),
                Code::ResourceExhausted => pair.oversize[pair.opener],
                _ => false,
            };
            if !own {
                assert_eq!(stopped, None, "call {id}: {status}");
                assert_eq!(status.code(), code, "call {id}");
                let left = pair.streams[responder].queue.len();
                assert_eq!(left, 0, "call {id} ended with {left} messages missing");
            }
            return;
        }
        let allowed = match status.code() {
            Code::DeadlineExceeded => pair.deadline.is_some_and(|deadline| deadline <= now),
            Code::Unavailable => world.broken || not_started && world.draining,
            Code::ResourceExhausted => too_long,
            Code::Unimplemented => world.no_calls[responder] && not_started,
            _ => false,
        };
        assert!(allowed, "call {id}: {status}");
    }

    /// Everything flows and every application is willing: nothing may be left.
    pub(crate) fn assert_over(&self) {
        for (id, pair) in &self.calls {
            assert_ne!(pair.caller, CallerEnd::Open, "call {id} has not ended: {pair:?}");
            let over = matches!(pair.handler, Handler::None | Handler::Done { .. });
            assert!(over, "the handler of call {id} has not ended: {pair:?}");
        }
    }
}
