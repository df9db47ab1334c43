//! The send path: what is owed, and how it becomes frames.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::turns::Turns;
use super::{Connection, PREFACE, Phase};
use crate::Side;
use crate::call::state::{
    CallerEvent, HandlerEvent, RequestEvent, RequestState, ResponseEvent, ResponseState,
};
use crate::call::{Call, CallId, Role, Sent, Tail};
use crate::error::ErrorCode;
use crate::event::Event;
use crate::frame::{FLAG_ACK, FLAG_END, FLAG_MORE, FrameHeader, FrameType, NUMBER_END};
use crate::limits::CLOSE_TIMEOUT;
use crate::methods::OwnMethods;
use crate::outbound::Outbound;
use crate::wire;

/// Longest text of a GOAWAY in bytes.
const GOAWAY_TEXT_MAX: usize = 1024;

/// What is owed, as state that does not grow with what the peer sends.
// [OUT-002]
#[derive(Debug, Clone)]
#[cfg_attr(feature = "hash", derive(PartialEq, Eq, Hash))]
pub(super) struct Transmit {
    /// Preface and HELLO are to be sent.
    pub(super) opening_owed: bool,
    /// The preface alone is to be sent: the peer speaks another version.
    pub(super) preface_only: bool,
    /// The answer to the last PING.
    pub(super) pong: Option<[u8; 8]>,
    /// The number of the last PING asked for, of the last one sent, and of the last one answered.
    ping_wanted: u64,
    ping_sent: u64,
    ping_answered: u64,
    pub(super) keepalive_sent: bool,
    pub(super) goaway_first: bool,
    pub(super) goaway_real: bool,
    pub(super) goaway_error: Option<(ErrorCode, String)>,
    pub(super) cancels: VecDeque<CallId>,
    pub(super) credits: VecDeque<CallId>,
    /// Calls whose REQUEST has not moved, in the order of their ids.
    pub(super) waiting: VecDeque<CallId>,
    /// Calls that have something to send.
    pub(super) turns: Turns,
    /// Calls of this side that take a slot.
    pub(super) slots_used: u32,
    /// Highest id of this side's REQUESTs that have moved.
    pub(super) highest: u64,
    methods: OwnMethods,
    /// Nothing more will be sent.
    pub(super) ended: bool,
    /// Writing has failed.
    pub(super) failed: bool,
    pub(super) stall_deadline: Option<Instant>,
    /// What had been written when the output last moved.
    written: u64,
}

impl Transmit {
    pub(super) const fn new(side: Side) -> Self {
        Self {
            opening_owed: matches!(side, Side::Connecting),
            preface_only: false,
            pong: None,
            ping_wanted: 0,
            ping_sent: 0,
            ping_answered: 0,
            keepalive_sent: false,
            goaway_first: false,
            goaway_real: false,
            goaway_error: None,
            cancels: VecDeque::new(),
            credits: VecDeque::new(),
            waiting: VecDeque::new(),
            turns: Turns::new(),
            slots_used: 0,
            highest: 0,
            methods: OwnMethods::new(),
            ended: false,
            failed: false,
            stall_deadline: None,
            written: 0,
        }
    }

    pub(super) fn shrink(&mut self) {
        for queue in [&mut self.cancels, &mut self.credits, &mut self.waiting] {
            queue.shrink_to_fit();
        }
        self.turns.shrink();
    }

    /// A call no longer waits for its REQUEST to move.
    pub(super) fn stop_waiting(&mut self, id: CallId) {
        if let Ok(place) = self.waiting.binary_search(&id) {
            self.waiting.remove(place);
        }
    }

    /// Something is to be sent before any REQUEST and what follows it.
    // [OUT-003]
    pub(super) fn is_control_owed(&self) -> bool {
        self.pong.is_some()
            || self.goaway_first
            || self.goaway_real
            || self.ping_wanted > self.ping_sent
            || !self.cancels.is_empty()
            || !self.credits.is_empty()
    }

    pub(super) const fn next_ping(&mut self) -> u64 {
        self.ping_wanted += 1;
        self.ping_wanted
    }

    /// The number that this answer stands for, if it is one to a PING that was sent.
    pub(super) const fn acknowledge(&mut self, number: u64) -> Option<u64> {
        if number > self.ping_answered && number <= self.ping_sent {
            self.ping_answered = number;
            Some(number)
        } else {
            None
        }
    }
}

impl Connection {
    /// Moves frames into the output while it holds less than `output_max`.
    // [OUT-002] [OUT-003]
    pub fn poll_transmit(&mut self, out: &mut Outbound, now: Instant) {
        if self.transmit.failed || self.phase == Phase::Closed {
            out.clear();
            return;
        }
        self.watch_stall(out, now);
        if self.transmit.ended {
            return;
        }
        self.send_opening(out);
        if self.phase == Phase::Discarding {
            self.send_last_goaway(out);
            self.watch_stall(out, now);
            return;
        }
        // Twice, as sending the last frame of the last call may make GOAWAY due.
        for _ in 0..2 {
            while self.may_send(out) && self.send_next(out, now) {}
            self.review_closing();
        }
        self.watch_stall(out, now);
    }

    // [OUT-002]
    pub(super) fn may_send(&self, out: &Outbound) -> bool {
        self.may_speak() && out.len() < self.config.limits.output_max
    }

    // [HEL-005]
    fn may_speak(&self) -> bool {
        match self.phase {
            Phase::Open => true,
            Phase::Preface | Phase::Hello => self.side() == Side::Connecting,
            Phase::Finishing | Phase::Discarding | Phase::Closed => false,
        }
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) would have something to do, room given.
    #[must_use]
    pub fn wants_transmit(&self) -> bool {
        let owed = &self.transmit;
        if owed.ended {
            return false;
        }
        let anything = owed.is_control_owed()
            || !owed.turns.is_empty()
            || !owed.waiting.is_empty() && self.may_request();
        owed.opening_owed
            || owed.preface_only
            || owed.goaway_error.is_some()
            || self.may_speak() && anything
            || self.is_closing_due()
    }

    /// Output that moves no byte is watched.
    // [OUT-004]
    fn watch_stall(&mut self, out: &Outbound, now: Instant) {
        if out.is_empty() {
            self.transmit.stall_deadline = None;
            // [CLS-001]
            if self.phase == Phase::Finishing {
                self.close_within(CLOSE_TIMEOUT, now);
            }
        } else if self.transmit.stall_deadline.is_none() || out.written() != self.transmit.written {
            self.transmit.stall_deadline = now.checked_add(self.config.limits.stall_timeout);
        }
        self.transmit.written = out.written();
    }

    fn send_opening(&mut self, out: &mut Outbound) {
        if std::mem::take(&mut self.transmit.preface_only) {
            out.push_raw(&PREFACE);
        }
        if !std::mem::take(&mut self.transmit.opening_owed) {
            return;
        }
        let limits = &self.config.limits;
        let hello = wire::Hello {
            calls_max: limits.calls_max,
            window: limits.window,
            frame_max: limits.frame_max,
            metadata_max: limits.metadata_max,
            message_max: limits.message_max,
            features_offered: self.config.features_offered,
            features_required: self.config.features_required,
            token: self.config.token.clone(),
        };
        out.push_raw(&PREFACE);
        out.push_message(FrameHeader::new(FrameType::Hello, 0, 0), &hello);
    }

    // [ERR-001] [GOA-004]
    fn send_last_goaway(&mut self, out: &mut Outbound) {
        // [OUT-002]
        if self.transmit.goaway_error.is_some() && out.len() >= self.config.limits.output_max {
            return;
        }
        if let Some((code, mut text)) = self.transmit.goaway_error.take() {
            let mut end = text.len().min(GOAWAY_TEXT_MAX);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            let last = self.receive.refused_above.unwrap_or(self.receive.highest);
            send_goaway(out, last, code, text);
        }
        self.transmit.ended = true;
    }

    /// Moves one frame into the output; false when there is nothing to send.
    fn send_next(&mut self, out: &mut Outbound, now: Instant) -> bool {
        if let Some(bytes) = self.transmit.pong.take() {
            send_ping(out, bytes, FLAG_ACK);
        } else if self.transmit.goaway_first {
            self.transmit.goaway_first = false;
            send_goaway(out, NUMBER_END - 1, ErrorCode::None, String::new());
        } else if self.transmit.goaway_real {
            // [GOA-001]
            self.transmit.goaway_real = false;
            let last = *self.receive.refused_above.get_or_insert(self.receive.highest);
            send_goaway(out, last, ErrorCode::None, String::new());
        } else if self.transmit.ping_wanted > self.transmit.ping_sent {
            self.transmit.ping_sent = self.transmit.ping_wanted;
            send_ping(out, self.transmit.ping_sent.to_le_bytes(), 0);
        } else if let Some(id) = self.transmit.cancels.pop_front() {
            self.send_cancel(id, out);
        } else if let Some(id) = self.transmit.credits.pop_front() {
            self.send_credit(id, out);
        } else if self.may_request()
            && let Some(id) = self.transmit.waiting.pop_front()
        {
            self.send_request(id, out, now);
        } else if let Some(id) = self.transmit.turns.pop() {
            self.send_turn(id, out);
        } else {
            return false;
        }
        true
    }

    // [SLT-001] [SLT-002] [SLT-003]
    pub(super) fn may_request(&self) -> bool {
        self.transmit.slots_used < self.peer.calls_max && self.peer_goaway.is_none()
    }

    fn send_cancel(&mut self, id: CallId, out: &mut Outbound) {
        let Some(call) = self.calls.get_mut(id).filter(|call| call.is_live()) else { return };
        if let Some(next) = call.request.on(RequestEvent::Cancel) {
            call.request = next;
            out.push_message(FrameHeader::new(FrameType::Cancel, 0, id.0), &wire::Cancel {});
        }
    }

    // [CRD-007]
    fn send_credit(&mut self, id: CallId, out: &mut Outbound) {
        let Some(call) = self.calls.get_mut(id) else { return };
        call.credit_queued = false;
        let silent = match &call.role {
            Role::Caller(caller) => caller.life != crate::call::state::CallerState::Live,
            Role::Responder(_) => false,
        };
        if silent || call.incoming.ended || !call.is_live() {
            return;
        }
        let bytes = call.incoming.credit.take_owed();
        if bytes > 0 {
            out.push_message(FrameHeader::new(FrameType::Credit, 0, id.0), &wire::Credit { bytes });
        }
    }

    pub(super) fn send_request(&mut self, id: CallId, out: &mut Outbound, now: Instant) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let deadline = call.deadline;
        let Some(caller) = call.caller_mut() else { return };
        let Some(opening) = caller.opening.take() else { return };
        if let Some(next) = caller.life.on(CallerEvent::RequestMoves) {
            caller.life = next;
        }
        let (method, method_number) = self.transmit.methods.name(opening.method);
        // [DLN-001]
        let deadline_us = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(now).as_micros();
            u64::try_from(left).unwrap_or(NUMBER_END).min(NUMBER_END - 1)
        });
        let metadata = opening.metadata.into_wire();
        let body = wire::Request { method, method_number, deadline_us, metadata };
        out.push_message(FrameHeader::new(FrameType::Request, 0, id.0), &body);
        self.transmit.highest = id.0;
        self.transmit.slots_used += 1;
        self.make_ready(id);
    }

    /// Moves one frame of a call, which gets in line again if it has more. Where no other call is
    /// ready, that is at once its turn again.
    fn send_turn(&mut self, id: CallId, out: &mut Outbound) {
        let Some(call) = self.calls.get_mut(id) else { return };
        call.outgoing.ready = false;
        if !call.is_live() || call.request == RequestState::Cancelled && call.caller().is_some() {
            return;
        }
        while let Some(terminal) = self.send_frame(id, out) {
            if terminal {
                self.terminal_moved(id);
                return;
            }
            if !self.transmit.turns.is_empty() || !self.may_send(out) {
                self.make_ready(id);
                return;
            }
        }
    }

    /// Moves the next frame of a call, if it has one that can be sent: whether it was the terminal
    /// frame.
    fn send_frame(&mut self, id: CallId, out: &mut Outbound) -> Option<bool> {
        let call = self.calls.get_mut(id)?;
        let sent = if let Some(metadata) = call.outgoing.head.take() {
            let metadata = metadata.into_wire();
            let header = FrameHeader::new(FrameType::Response, 0, id.0);
            out.push_message(header, &wire::Response { metadata });
            call.sent_response(ResponseEvent::Response);
            Some(false)
        } else {
            match call.outgoing.send_data(id.0, &self.peer, out) {
                Sent::Data { flags } => Some(call.sent_data(flags)),
                Sent::Nothing => call.send_tail(id, self.peer.metadata_max, out),
            }
        };
        if call.outgoing.wants.is_some_and(|limit| call.outgoing.has_room(limit)) {
            call.outgoing.wants = None;
            self.events.push_back(Event::Writable(id));
        }
        sent
    }

    /// The terminal frame of a call of the peer's has moved into the output: its slot is free.
    // [SLT-001] [CAL-005]
    pub(super) fn terminal_moved(&mut self, id: CallId) {
        if let Some(call) = self.calls.get_mut(id)
            && let Some(responder) = call.responder_mut()
            && let Some(next) = responder.life.on(HandlerEvent::TerminalMoves)
        {
            responder.life = next;
            self.receive.responding -= 1;
            self.forget(id);
        }
    }

    /// Grants what is due on a call, and queues its CREDIT.
    pub(super) fn review_credit(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let incoming = &mut call.incoming;
        if incoming.ended {
            return;
        }
        let hungry = incoming.is_discarding() || incoming.waiting && incoming.is_empty();
        let granted =
            if hungry { incoming.credit.grant_waiting() } else { incoming.credit.grant_lazily() };
        // [CRD-004]
        if incoming.waiting
            && !incoming.asking
            && incoming.large == 0
            && let Some(cost) = incoming.lacking()
        {
            incoming.asking = true;
            let beyond = cost.saturating_sub(incoming.credit.window());
            self.receive.large.ask(id, beyond);
            self.admit_large();
        }
        if granted {
            self.owe_credit(id);
        }
    }

    /// Grants the large messages whose turn it is.
    // [CRD-004]
    pub(super) fn admit_large(&mut self) {
        while let Some((id, bytes)) = self.receive.large.admit() {
            let Some(call) = self.calls.get_mut(id) else {
                self.receive.large.give_back(bytes);
                continue;
            };
            call.incoming.asking = false;
            call.incoming.large = bytes;
            if let Some(cost) = call.incoming.lacking() {
                call.incoming.credit.grant_message(cost);
            }
            self.owe_credit(id);
        }
    }

    /// The message in progress is complete.
    // [CRD-005]
    pub(super) fn message_complete(&mut self, id: CallId) {
        self.release_large(id);
    }

    /// Gives back what a call has of the large budget, or its place in the queue.
    // [CRD-005]
    pub(super) fn release_large(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let bytes = std::mem::take(&mut call.incoming.large);
        let asked = std::mem::take(&mut call.incoming.asking);
        if bytes > 0 {
            self.receive.large.give_back(bytes);
        }
        if asked {
            self.receive.large.withdraw(id);
        }
        if bytes > 0 || asked {
            self.admit_large();
        }
    }

    /// Nobody takes this call's messages any more.
    // [CAL-008]
    pub(super) fn discard_incoming(&mut self, id: CallId) {
        self.release_large(id);
        let Some(call) = self.calls.get_mut(id) else { return };
        for range in call.incoming.discard() {
            self.events.push_back(Event::CloseDescriptors(range));
        }
        self.review_credit(id);
    }

    fn owe_credit(&mut self, id: CallId) {
        if let Some(call) = self.calls.get_mut(id)
            && !call.credit_queued
        {
            call.credit_queued = true;
            self.transmit.credits.push_back(id);
        }
    }
}

impl Call {
    fn sent_response(&mut self, event: ResponseEvent) {
        let next = self.response.on(event);
        debug_assert!(next.is_some(), "sent {event:?} in {:?}", self.response);
        self.response = next.unwrap_or(ResponseState::Ended);
    }

    /// Follows a DATA frame that was sent; true if it was the terminal frame.
    pub(super) fn sent_data(&mut self, flags: u8) -> bool {
        let last = flags & FLAG_END != 0;
        let more = flags & FLAG_MORE != 0;
        if self.caller().is_some() {
            let event = match (more, last) {
                (true, _) => RequestEvent::DataMore,
                (false, true) => RequestEvent::DataEnd,
                (false, false) => RequestEvent::Data,
            };
            let next = self.request.on(event);
            debug_assert!(next.is_some(), "sent {event:?} in {:?}", self.request);
            self.request = next.unwrap_or(RequestState::Ended);
            return false;
        }
        self.sent_response(match (more, last) {
            (true, _) => ResponseEvent::DataMore,
            (false, true) => ResponseEvent::DataEnd,
            (false, false) => ResponseEvent::Data,
        });
        last
    }

    /// Sends what follows the last message, once all messages have left: whether that was STATUS.
    fn send_tail(&mut self, id: CallId, metadata_max: u32, out: &mut Outbound) -> Option<bool> {
        if !self.outgoing.is_empty() {
            return None;
        }
        match std::mem::replace(&mut self.outgoing.tail, Tail::Sent) {
            Tail::Finish => {
                let header = FrameHeader::new(FrameType::Finish, 0, id.0);
                out.push_message(header, &wire::Finish {});
                self.request = self.request.on(RequestEvent::Finish).unwrap_or(self.request);
                Some(false)
            }
            Tail::Status(status) => {
                let event = if status.is_ok() {
                    ResponseEvent::StatusOk
                } else {
                    ResponseEvent::StatusOther
                };
                let header = FrameHeader::new(FrameType::Status, 0, id.0);
                out.push_message(header, &status.into_wire(metadata_max));
                self.sent_response(event);
                Some(true)
            }
            other => {
                self.outgoing.tail = other;
                None
            }
        }
    }
}

fn send_ping(out: &mut Outbound, bytes: [u8; 8], flags: u8) {
    let header = FrameHeader::new(FrameType::Ping, 8, 0).with_flags(flags);
    out.push_frame(&header, &bytes, Bytes::new());
}

fn send_goaway(out: &mut Outbound, last: u64, code: ErrorCode, text: String) {
    let body = wire::GoAway { last, code: code as u32, text };
    out.push_message(FrameHeader::new(FrameType::GoAway, 0, 0), &body);
}
