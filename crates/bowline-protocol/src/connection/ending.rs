//! How calls end, and how the connection does.

use std::time::Instant;

use super::{Connection, Drain, Phase};
use crate::call::state::{CallerEvent, CallerState, HandlerEvent, HandlerState};
use crate::call::{CallId, Role, Tail};
use crate::error::{ConnectionError, ErrorCode, PeerMisbehaved, TimedOut};
use crate::event::{Event, StopReason};
use crate::frame::FrameType;
use crate::limits::CLOSE_TIMEOUT;
use crate::metadata::Metadata;
use crate::status::{Code, Status};

impl Connection {
    /// Does what is due at this time.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if due(self.close_deadline) {
            self.close_deadline = None;
            if matches!(self.phase, Phase::Preface | Phase::Hello | Phase::Open) {
                self.lose(ConnectionError::Eof, None);
            }
            self.become_closed();
        } else if due(self.handshake_deadline) {
            self.handshake_deadline = None;
            self.fail_timed_out(TimedOut::Handshake, now);
        } else if due(self.receive.frame_deadline) {
            self.receive.frame_deadline = None;
            self.fail_timed_out(TimedOut::Frame, now);
        } else if due(self.transmit.stall_deadline) {
            self.transmit.stall_deadline = None;
            self.fail_timed_out(TimedOut::Stall, now);
        } else if due(self.keepalive_deadline()) {
            if self.transmit.keepalive_sent {
                self.fail_timed_out(TimedOut::Keepalive, now);
            } else {
                self.transmit.keepalive_sent = true;
                self.transmit.next_ping();
            }
        }
        while self.deadlines.first().is_some_and(|(deadline, _)| *deadline <= now)
            && let Some((_, id)) = self.deadlines.pop_first()
        {
            self.expire(id);
        }
    }

    fn fail_timed_out(&mut self, what: TimedOut, now: Instant) {
        // Without a preface there is nobody to talk to, and after the end of writing no way to.
        if matches!(self.phase, Phase::Preface | Phase::Finishing) {
            self.lose(ConnectionError::TimedOut(what), None);
            self.become_closed();
            return;
        }
        // [OUT-004]
        let code = match what {
            TimedOut::Stall => ErrorCode::Stalled,
            _ => ErrorCode::TimedOut,
        };
        // The peer reads this, so it is said from its side.
        let text = match what {
            TimedOut::Handshake => "your handshake took too long (handshake_timeout)",
            TimedOut::Frame => "a frame of yours took too long (frame_timeout)",
            TimedOut::Keepalive => "you gave no sign of life for twice the keepalive interval",
            TimedOut::Stall => "you did not read: output moved no byte in time (stall_timeout)",
        };
        self.fail_with(ConnectionError::TimedOut(what), code, text.to_owned(), now);
    }

    /// The deadline of a call has passed.
    // [DLN-002] [DLN-003]
    pub(super) fn expire(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(id) else { return };
        if let Some(deadline) = call.deadline.take() {
            self.deadlines.remove(&(deadline, id));
        }
        match &call.role {
            Role::Caller(caller) => {
                let waiting = caller.life == CallerState::Waiting;
                let status = if waiting && self.transmit.slots_used >= self.peer.calls_max {
                    // [SLT-003]
                    let taken = self.peer.calls_max;
                    Status::deadline_exceeded(format!(
                        "the deadline passed while the call waited for one of the {taken} slots \
                         of the connection (calls_max of the peer)"
                    ))
                } else {
                    Status::deadline_exceeded("the deadline passed")
                };
                self.conclude(id, status.with_not_started(waiting));
            }
            Role::Responder(_) => {
                let status = Status::deadline_exceeded("the deadline passed");
                self.stop(id, status, StopReason::Deadline);
            }
        }
    }

    /// Ends a call of this side for its application, for a cause of this side's own.
    pub(super) fn conclude(&mut self, id: CallId, status: Status) {
        // In this order: giving up ends the application's wait.
        self.set_outcome(id, status);
        self.give_up(id);
        self.forget_if_over(id);
    }

    /// Tells the application how its call ended, unless it has been told or does not care.
    pub(super) fn set_outcome(&mut self, id: CallId, status: Status) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let Some(caller) = call.caller_mut() else { return };
        if caller.released || caller.outcome.is_some() {
            return;
        }
        caller.head.get_or_insert_with(Metadata::new);
        caller.outcome = Some(status);
        self.wake(id);
    }

    /// Gives a call of this side up: CANCEL is owed if its REQUEST has left.
    // [CAN-001]
    pub(super) fn give_up(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(id) else { return };
        call.outgoing.drop_messages();
        call.outgoing.tail = Tail::Sent;
        if call.outgoing.wants.take().is_some() {
            self.events.push_back(Event::Writable(id));
        }
        if let Some(deadline) = call.deadline.take() {
            self.deadlines.remove(&(deadline, id));
        }
        let Some(caller) = call.caller_mut() else { return };
        let before = caller.life;
        if let Some(next) = before.on(CallerEvent::GiveUp) {
            caller.life = next;
        }
        match before {
            CallerState::Waiting => {
                self.transmit.stop_waiting(id);
            }
            CallerState::Live => self.transmit.cancels.push_back(id),
            CallerState::Cancelled | CallerState::Ended => {}
        }
        self.discard_incoming(id);
    }

    /// A call of this side is over on the wire.
    pub(super) fn caller_over(&mut self, id: CallId, event: CallerEvent) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let Some(caller) = call.caller_mut() else { return };
        let before = caller.life;
        let Some(next) = before.on(event) else { return };
        caller.life = next;
        match before {
            CallerState::Live | CallerState::Cancelled => self.transmit.slots_used -= 1,
            CallerState::Waiting => {
                self.transmit.stop_waiting(id);
            }
            CallerState::Ended => {}
        }
        call.outgoing.drop_messages();
        call.outgoing.tail = Tail::Sent;
        if call.outgoing.wants.take().is_some() {
            self.events.push_back(Event::Writable(id));
        }
        if let Some(descriptors) = call.incoming.abandon_partial() {
            self.events.push_back(Event::CloseDescriptors(descriptors));
        }
        if let Some(deadline) = call.deadline.take() {
            self.deadlines.remove(&(deadline, id));
        }
        self.release_large(id);
    }

    /// Drops a call of this side once it is over and its application is done with it.
    pub(super) fn forget_if_over(&mut self, id: CallId) {
        let Some(call) = self.calls.get(id) else { return };
        let Some(caller) = call.caller() else { return };
        if caller.released && caller.life == CallerState::Ended {
            self.forget(id);
        }
    }

    pub(super) fn forget(&mut self, id: CallId) {
        self.release_large(id);
        let Some(call) = self.calls.get_mut(id) else { return };
        if let Some(deadline) = call.deadline.take() {
            self.deadlines.remove(&(deadline, id));
        }
        self.calls.discard(id);
    }

    /// This side ends a call of the peer's: the handler is told, and then this status goes out.
    // [CAN-002]
    pub(super) fn stop(&mut self, id: CallId, status: Status, reason: StopReason) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let Role::Responder(responder) = &mut call.role else { return };
        let before = responder.life;
        let Some(next) = before.on(HandlerEvent::Stop) else { return };
        responder.life = next;
        match before {
            HandlerState::Running => {
                call.outgoing.drop_unbegun();
                responder.cause = Some(status);
                self.events.push_back(Event::Stopped(id, reason));
            }
            // The first cause stays.
            HandlerState::Ending if responder.cause.is_none() => {
                responder.cause = Some(status.clone());
                call.outgoing.drop_messages();
                call.outgoing.tail = Tail::Status(status);
            }
            HandlerState::Ending | HandlerState::Stopping | HandlerState::Ended => {}
        }
        if let Some(deadline) = call.deadline.take() {
            self.deadlines.remove(&(deadline, id));
        }
        if call.outgoing.wants.take().is_some() {
            self.events.push_back(Event::Writable(id));
        }
        self.wake(id);
        self.discard_incoming(id);
        self.make_ready(id);
    }

    /// On a dead connection a call of the peer's is over as soon as its handler is.
    pub(super) fn drop_if_lost(&mut self, id: CallId) {
        if self.phase == Phase::Closed || self.phase == Phase::Discarding {
            self.receive.responding = self.receive.responding.saturating_sub(1);
            self.forget(id);
        }
    }

    /// A rule was broken: ends the connection and says why.
    // [ERR-001]
    pub(super) fn fail_misbehaved(&mut self, error: PeerMisbehaved, now: Instant) {
        // The text is read by the one at fault.
        let (code, text) = (error.code(), error.to_string());
        self.fail_with(ConnectionError::PeerMisbehaved(error), code, text, now);
    }

    /// Ends the connection with a GOAWAY of this code.
    fn fail_with(&mut self, error: ConnectionError, code: ErrorCode, text: String, now: Instant) {
        if matches!(self.phase, Phase::Finishing | Phase::Discarding | Phase::Closed) {
            return;
        }
        self.transmit.goaway_error = Some((code, text));
        self.lose(error, None);
        self.phase = Phase::Discarding;
        // [CLS-004]
        self.close_within(CLOSE_TIMEOUT, now);
    }

    /// Ends the connection at once with this code, failing the calls that are open. The output is
    /// still to be flushed.
    pub fn abort(&mut self, code: ErrorCode, text: &str, now: Instant) {
        match self.phase {
            Phase::Preface if self.side() == crate::Side::Accepting => {
                self.lose(ConnectionError::LocallyClosed, None);
                self.become_closed();
            }
            Phase::Discarding | Phase::Closed | Phase::Finishing => {}
            _ => {
                self.fail_with(ConnectionError::LocallyClosed, code, text.to_owned(), now);
            }
        }
    }

    /// All calls fail: the connection is lost. Calls above `last` have not started.
    pub(super) fn lose(&mut self, error: ConnectionError, last: Option<u64>) {
        for id in self.calls.ids() {
            let Some(call) = self.calls.get(id) else { continue };
            match &call.role {
                Role::Caller(caller) => {
                    let not_started =
                        caller.life == CallerState::Waiting || last.is_some_and(|last| id.0 > last);
                    self.caller_over(id, CallerEvent::Lost);
                    let status = lost_status(&error).with_not_started(not_started);
                    self.set_outcome(id, status);
                    self.forget_if_over(id);
                }
                Role::Responder(responder) if responder.life == HandlerState::Ending => {
                    self.receive.responding -= 1;
                    self.forget(id);
                }
                Role::Responder(_) => {
                    let status = Status::cancelled(error.to_string());
                    self.stop(id, status, StopReason::Lost);
                }
            }
        }
        self.transmit.waiting.clear();
        self.error.get_or_insert(error);
        self.handshake_deadline = None;
        self.receive.frame_deadline = None;
    }

    /// At the end of the stream: no preface has come, over a transport on which none can be lost.
    // [PRE-006]
    fn knows_nothing_started(&self) -> bool {
        self.side() == crate::Side::Connecting
            && self.phase == Phase::Preface
            && self.config.keeps_written
    }

    pub(super) fn become_closed(&mut self) {
        if self.phase == Phase::Closed {
            return;
        }
        self.phase = Phase::Closed;
        self.transmit.ended = true;
        self.transmit.stall_deadline = None;
        self.events.push_back(Event::Closed(self.error.clone()));
    }

    /// The peer has ended its writing, or is gone.
    // [CLS-003]
    pub fn handle_eof(&mut self, _now: Instant) {
        match self.phase {
            Phase::Closed => return,
            Phase::Open if self.is_idle() && !self.receive.is_inside_frame() => {}
            Phase::Finishing | Phase::Discarding => {}
            // A port probe, or a client that thought better of it: nothing was lost.
            Phase::Preface if self.side() == crate::Side::Accepting && self.is_idle() => {}
            _ => {
                let last = self.knows_nothing_started().then_some(0);
                self.lose(ConnectionError::Eof, last);
            }
        }
        self.become_closed();
    }

    /// Writing has failed: nothing more is sent. What the peer sent is still read, for a second at
    /// most.
    // [CLS-005]
    pub fn handle_write_failed(&mut self, now: Instant) {
        if self.phase == Phase::Closed {
            return;
        }
        self.transmit.ended = true;
        self.transmit.failed = true;
        self.transmit.stall_deadline = None;
        self.close_within(CLOSE_TIMEOUT, now);
    }

    /// The peer's GOAWAY.
    // [GOA-002] [GOA-003] [GOA-004]
    pub(super) fn on_goaway(
        &mut self,
        last: u64,
        code: u32,
        text: String,
        now: Instant,
    ) -> Result<(), PeerMisbehaved> {
        // [HEL-005]
        if code == 0 && self.phase == Phase::Hello {
            return Err(PeerMisbehaved::HelloMissing { kind: FrameType::GoAway as u8 });
        }
        let earlier = self.peer_goaway.unwrap_or(crate::frame::NUMBER_END - 1);
        if last > earlier {
            return Err(PeerMisbehaved::GoAwayRaised { last, earlier });
        }
        let repeated = self.peer_goaway.replace(last) == Some(last);
        if code != 0 {
            let code = i32::try_from(code).ok().and_then(|code| ErrorCode::try_from(code).ok());
            let code = code.unwrap_or(ErrorCode::Internal);
            self.lose(ConnectionError::PeerClosed { code, text }, Some(last));
            self.phase = Phase::Discarding;
            self.close_within(CLOSE_TIMEOUT, now);
            return Ok(());
        }
        let refused: Vec<CallId> = self
            .calls
            .iter()
            .filter(|(id, call)| {
                call.caller().is_some_and(|caller| {
                    id.0 > last && caller.life != CallerState::Ended
                        || caller.life == CallerState::Waiting
                })
            })
            .map(|(id, _)| id)
            .collect();
        for id in refused {
            self.caller_over(id, CallerEvent::Refused);
            let text = "the peer is shutting down and has not started the call";
            self.set_outcome(id, Status::unavailable(text).with_not_started(true));
            self.discard_incoming(id);
            self.forget_if_over(id);
        }
        if !repeated {
            self.events.push_back(Event::GoAway { last });
        }
        Ok(())
    }

    /// Follows a drain to its end.
    // [CLS-001] [CLS-002]
    pub(super) fn review_closing(&mut self) {
        if self.phase != Phase::Open {
            return;
        }
        if self.drain == Drain::Wanted {
            self.drain = Drain::None;
            self.drain();
        }
        if self.is_answer_due() {
            self.transmit.goaway_first = false;
            self.transmit.goaway_real = true;
            self.drain = Drain::Real;
        }
        if self.receive.refused_above.is_some() && self.is_idle() {
            self.phase = Phase::Finishing;
            self.transmit.ended = true;
            self.receive.frame_deadline = None;
        }
    }

    // [CLS-002]
    fn is_answer_due(&self) -> bool {
        self.peer_goaway.is_some() && self.is_idle() && self.drain != Drain::Real
    }

    /// [`review_closing`](Self::review_closing) has something to do.
    pub(super) fn is_closing_due(&self) -> bool {
        let drained = self.receive.refused_above.is_some() && self.is_idle();
        self.phase == Phase::Open
            && (self.drain == Drain::Wanted || self.is_answer_due() || drained)
    }
}

/// What the caller of a lost call is told.
fn lost_status(error: &ConnectionError) -> Status {
    let code = match error {
        ConnectionError::PeerIncompatible(_) => Code::FailedPrecondition,
        _ => Code::Unavailable,
    };
    Status::new(code, error.to_string())
}
