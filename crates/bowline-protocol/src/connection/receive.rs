//! The receive path: from bytes to frames to what they do.

use std::ops::Range;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};

use super::{Connection, Drain, PREFACE, Phase, VERSION};
use crate::Side;
use crate::call::state::{
    CallerEvent, HandlerState, RequestEvent, RequestState, ResponseEvent, ResponseState,
};
use crate::call::{Arrived, Call, CallId, Incoming, Outgoing, Responder, Role};
use crate::error::{PeerIncompatible, PeerMisbehaved};
use crate::event::{Event, IncomingCall, StopReason};
use crate::frame::{
    Checked, FLAG_ACK, FrameHeader, FrameType, HEADER_LEN, HeaderLimits, NUMBER_END,
};
use crate::large::LargeBudget;
use crate::limits::{Limits, PeerLimits};
use crate::metadata::Metadata;
use crate::methods::PeerMethods;
use crate::spare::SpareBuffers;
use crate::status::Status;
use crate::wire::{self, Feature};

/// What only the receive path knows.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "hash", derive(PartialEq, Eq, Hash))]
pub(super) struct Receive {
    /// Highest id of the peer's REQUESTs.
    pub(super) highest: u64,
    /// Calls of the peer's that take a slot.
    pub(super) responding: u32,
    /// REQUESTs above this are skipped: `last` of this side's GOAWAY, once it is real.
    pub(super) refused_above: Option<u64>,
    pub(super) methods: PeerMethods,
    pub(super) large: LargeBudget,
    /// When the frame that has begun must be complete.
    pub(super) frame_deadline: Option<Instant>,
    /// Bytes of a skipped frame's body that are still to come.
    skipping: usize,
    /// Bytes that are missing to the next whole frame.
    missing: usize,
    /// A frame whose body is stored as it comes: its header has been taken, and `missing` bytes of
    /// the body have not.
    piece: Option<FrameHeader>,
    /// Calls with messages that are slices of the read buffer.
    pub(super) fresh: Vec<CallId>,
    pub(super) spares: SpareBuffers,
    /// Largest read buffer seen.
    buffer_len: usize,
    /// Descriptors received, and taken by frames.
    descriptors_received: u64,
    descriptors_taken: u64,
}

impl Receive {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            highest: 0,
            responding: 0,
            refused_above: None,
            methods: PeerMethods::new(),
            large: LargeBudget::new(limits.large_max),
            frame_deadline: None,
            skipping: 0,
            missing: 0,
            piece: None,
            fresh: Vec::new(),
            spares: SpareBuffers::new(),
            buffer_len: 0,
            descriptors_received: 0,
            descriptors_taken: 0,
        }
    }

    /// A frame has begun and is not complete.
    pub(super) const fn is_inside_frame(&self) -> bool {
        self.missing > 0
    }
}

/// Where a frame for a call belongs.
enum Place {
    Live(CallId),
    Skip,
}

impl Connection {
    /// Takes bytes that were read, frame by frame; what is left in `input` is the beginning of a
    /// frame, to be given again with more behind it.
    ///
    /// An accepting side takes only the preface at first: the driver writes the answer
    /// ([`poll_transmit`](Self::poll_transmit)) before it calls again with the rest.
    // [OUT-001]
    pub fn handle_input(&mut self, input: &mut BytesMut, now: Instant) {
        self.last_read = now;
        self.transmit.keepalive_sent = false;
        self.receive.buffer_len = self.receive.buffer_len.max(input.capacity());
        if self.phase == Phase::Preface && !self.take_preface(input, now) {
            return;
        }
        while matches!(self.phase, Phase::Hello | Phase::Open) {
            match self.take_frame(input) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => self.fail_misbehaved(error, now),
            }
        }
        if !matches!(self.phase, Phase::Hello | Phase::Open) {
            // [CLS-004]
            input.clear();
            self.receive.missing = 0;
            self.receive.piece = None;
            return;
        }
        if self.receive.missing == 0 {
            self.receive.frame_deadline = None;
            self.check_leftover_descriptors(now);
        } else if self.receive.frame_deadline.is_none() {
            self.receive.frame_deadline = now.checked_add(self.config.limits.frame_timeout);
        }
    }

    /// Tells that so many more descriptors have come along with the input.
    pub fn handle_descriptors(&mut self, count: u64) {
        self.receive.descriptors_received += count;
    }

    // [DSC-004]
    fn check_leftover_descriptors(&mut self, now: Instant) {
        let (announced, received) =
            (self.receive.descriptors_taken, self.receive.descriptors_received);
        if announced != received {
            self.fail_misbehaved(PeerMisbehaved::DescriptorsMismatch { announced, received }, now);
        }
    }

    /// Bytes still to come of the frame that has begun; 0 between frames. The driver may make room
    /// for as many, in steps: they are announced, not there.
    #[must_use]
    pub const fn input_hint(&self) -> usize {
        self.receive.missing
    }

    /// Ends a turn of the driver: what the application has not taken of this turn's messages is
    /// copied out of the read buffer, unless it fills most of it.
    pub fn settle(&mut self) {
        let retain_min = self.receive.buffer_len / 2;
        for id in self.receive.fresh.drain(..) {
            if let Some(call) = self.calls.get_mut(id) {
                call.incoming.compact(retain_min);
            }
        }
    }

    /// Reads the peer's preface; false while more bytes are needed, or when it ended everything.
    // [PRE-003] [PRE-004] [PRE-005]
    fn take_preface(&mut self, input: &mut BytesMut, now: Instant) -> bool {
        let letters = &PREFACE[..7];
        let there = input.len().min(letters.len());
        if input[..there] != letters[..there] {
            let mut first = [0; 8];
            let len = input.len().min(8);
            first[..len].copy_from_slice(&input[..len]);
            let len = u8::try_from(len).unwrap_or(8);
            self.reject_preface(PeerIncompatible::Letters { first, len });
            input.clear();
            return false;
        }
        let Some(&theirs) = input.get(letters.len()) else { return false };
        input.advance(PREFACE.len());
        if theirs != VERSION {
            let error = PeerIncompatible::Version { theirs, ours: VERSION };
            if self.side() == Side::Accepting {
                self.transmit.preface_only = true;
                self.lose(error.into(), None);
                self.phase = Phase::Discarding;
                self.close_within(crate::limits::CLOSE_TIMEOUT, now);
            } else {
                self.reject_preface(error);
            }
            input.clear();
            return false;
        }
        self.phase = Phase::Hello;
        // [PRE-002]
        if self.side() == Side::Accepting {
            self.transmit.opening_owed = true;
            return false;
        }
        true
    }

    fn reject_preface(&mut self, error: PeerIncompatible) {
        self.lose(error.into(), Some(0));
        self.become_closed();
    }

    /// Takes one frame; false while it is not complete.
    fn take_frame(&mut self, input: &mut BytesMut) -> Result<bool, PeerMisbehaved> {
        if self.receive.skipping > 0 {
            let n = self.receive.skipping.min(input.len());
            input.advance(n);
            self.receive.skipping -= n;
            self.receive.missing = self.receive.skipping;
            if self.receive.skipping > 0 {
                return Ok(false);
            }
            self.receive.frame_deadline = None;
        }
        if let Some(header) = self.receive.piece {
            return self.take_piece(&header, input);
        }
        let Some(header) = input.first_chunk::<HEADER_LEN>().map(FrameHeader::decode) else {
            self.receive.missing = if input.is_empty() { 0 } else { HEADER_LEN - input.len() };
            return Ok(false);
        };
        let checked = header.check(&self.header_limits())?;
        // [HEL-001]
        match (self.phase, checked) {
            (Phase::Hello, Checked::Known(FrameType::Hello)) => {}
            (Phase::Hello, Checked::Known(FrameType::GoAway)) if self.may_refuse_at_once() => {}
            (Phase::Hello, _) => return Err(PeerMisbehaved::HelloMissing { kind: header.kind }),
            (_, Checked::Known(FrameType::Hello)) => return Err(PeerMisbehaved::HelloRepeated),
            _ => {}
        }
        let Checked::Known(kind) = checked else { return self.skip(header, input) };
        let place = self.place(&header, kind)?;
        if matches!(place, Some(Place::Skip)) {
            return self.skip(header, input);
        }
        let total = HEADER_LEN + header.length as usize;
        if input.len() < total {
            if let Some(Place::Live(id)) = place
                && kind == FrameType::Data
                && self.begin_piece(id, &header)
            {
                input.advance(HEADER_LEN);
                return Ok(true);
            }
            self.receive.missing = total - input.len();
            return Ok(false);
        }
        self.receive.missing = 0;
        self.receive.frame_deadline = None;
        let descriptors = self.take_descriptors(&header)?;
        if let Some(Place::Live(id)) = place
            && kind == FrameType::Data
        {
            let mut frame = input.split_to(total);
            frame.advance(HEADER_LEN);
            self.on_data(id, &header, Some(frame.freeze()), descriptors)?;
            return Ok(true);
        }
        // Bodies that are not kept are read where they are.
        let body = &input[HEADER_LEN..total];
        match place {
            Some(Place::Live(id)) => self.on_call_frame(id, kind, body)?,
            Some(Place::Skip) | None => self.on_connection_frame(&header, kind, body)?,
        }
        input.advance(total);
        Ok(true)
    }

    /// Whether a frame that is not complete goes to where its message is put together, as far as it
    /// is there: so it need not be moved from one read buffer to the next.
    fn begin_piece(&mut self, id: CallId, header: &FrameHeader) -> bool {
        let message_max = self.config.limits.message_max;
        let call = self.calls.get(id).filter(|call| call.incoming.is_storable(header, message_max));
        if call.is_some() {
            self.receive.piece = Some(*header);
            self.receive.missing = header.length as usize;
        }
        call.is_some()
    }

    /// Takes more of a frame that [`begin_piece`](Self::begin_piece) has begun.
    fn take_piece(
        &mut self,
        header: &FrameHeader,
        input: &mut BytesMut,
    ) -> Result<bool, PeerMisbehaved> {
        let id = CallId(header.call);
        let Some(call) = self.calls.get_mut(id).filter(|call| call.is_live()) else {
            // The call ended meanwhile. [CAL-003]
            self.receive.piece = None;
            self.receive.skipping = self.receive.missing;
            return Ok(true);
        };
        let n = self.receive.missing.min(input.len());
        call.incoming.store(&input[..n], &mut self.receive.spares);
        input.advance(n);
        self.receive.missing -= n;
        if self.receive.missing > 0 {
            return Ok(false);
        }
        self.receive.piece = None;
        self.receive.frame_deadline = None;
        self.on_data(id, header, None, 0..0)?;
        Ok(true)
    }

    /// The accepting side may end the connection before it has read our HELLO.
    // [HEL-005]
    fn may_refuse_at_once(&self) -> bool {
        self.side() == Side::Connecting
    }

    fn header_limits(&self) -> HeaderLimits {
        HeaderLimits {
            frame_max: self.config.limits.frame_max,
            metadata_max: self.config.limits.metadata_max,
            descriptors: self.features() & Feature::Descriptors as u32 != 0,
            sender: self.side().peer(),
        }
    }

    /// Passes over a frame's body as it comes.
    // [CAL-003]
    fn skip(&mut self, header: FrameHeader, input: &mut BytesMut) -> Result<bool, PeerMisbehaved> {
        input.advance(HEADER_LEN);
        self.receive.skipping = header.length as usize;
        let descriptors = self.take_descriptors(&header)?;
        self.close_descriptors(descriptors);
        Ok(true)
    }

    fn take_descriptors(&mut self, header: &FrameHeader) -> Result<Range<u64>, PeerMisbehaved> {
        let first = self.receive.descriptors_taken;
        let end = first + u64::from(header.fds);
        let received = self.receive.descriptors_received;
        if end > received {
            return Err(PeerMisbehaved::DescriptorsMismatch { announced: end, received });
        }
        self.receive.descriptors_taken = end;
        Ok(first..end)
    }

    // [DSC-005]
    fn close_descriptors(&mut self, descriptors: Range<u64>) {
        if !descriptors.is_empty() {
            self.events.push_back(Event::CloseDescriptors(descriptors));
        }
    }

    /// Where a frame belongs; `None` for those of the connection.
    // [CAL-001] [CAL-002] [CAL-003]
    fn place(
        &mut self,
        header: &FrameHeader,
        kind: FrameType,
    ) -> Result<Option<Place>, PeerMisbehaved> {
        let call = header.call;
        let id = CallId(call);
        if call == 0 {
            return Ok(None);
        }
        if kind == FrameType::Request {
            let highest = self.receive.highest;
            if call <= highest {
                return Err(PeerMisbehaved::CallIdNotRising { call, highest });
            }
            // [GOA-001]
            if self.receive.refused_above.is_some_and(|last| call > last) {
                self.receive.highest = call;
                return Ok(Some(Place::Skip));
            }
            return Ok(Some(Place::Live(id)));
        }
        let highest =
            if id.opener() == self.side() { self.transmit.highest } else { self.receive.highest };
        if call > highest {
            return Err(PeerMisbehaved::CallNeverOpened { kind, call });
        }
        let live = self.calls.get(id).is_some_and(Call::is_live);
        Ok(Some(if live { Place::Live(id) } else { Place::Skip }))
    }

    fn on_connection_frame(
        &mut self,
        header: &FrameHeader,
        kind: FrameType,
        body: &[u8],
    ) -> Result<(), PeerMisbehaved> {
        match kind {
            FrameType::Hello => self.on_hello(&decode(kind, body)?),
            FrameType::Ping => self.on_ping(header, body),
            _ => {
                let wire::GoAway { last, code, text } = decode(kind, body)?;
                self.on_goaway(last, code, text, self.last_read)
            }
        }
    }

    // [HEL-004] [HEL-006] [HEL-007]
    fn on_hello(&mut self, hello: &wire::Hello) -> Result<(), PeerMisbehaved> {
        let peer = PeerLimits::from_hello(hello, self.side().peer())?;
        let (ours, theirs) = (&self.config, &peer);
        let lacking = |required: u32, offered: u32| {
            if required & !offered != 0 {
                return Err(PeerMisbehaved::FeatureMissing { required, offered });
            }
            Ok(())
        };
        lacking(theirs.features_required, ours.features_offered & theirs.features_offered)?;
        lacking(ours.features_required, theirs.features_offered)?;
        if let Some(expected) = &self.config.token_expected
            && !equal_in_constant_time(expected, &hello.token)
        {
            return Err(PeerMisbehaved::TokenRejected);
        }
        let raised = peer.window - self.peer.window;
        self.peer = peer;
        self.phase = Phase::Open;
        self.handshake_deadline = None;
        for id in self.calls.ids() {
            if let Some(call) = self.calls.get_mut(id) {
                let fits = raised == 0 || call.outgoing.credit.grant(raised);
                debug_assert!(fits, "a window is far below 2^53");
            }
            self.make_ready_if_sent(id);
        }
        self.events.push_back(Event::Hello);
        if self.peer.calls_max == 0 {
            self.refuse_waiting();
        }
        Ok(())
    }

    // [PNG-001] [PNG-002] [PNG-003]
    fn on_ping(&mut self, header: &FrameHeader, body: &[u8]) -> Result<(), PeerMisbehaved> {
        let Ok(bytes) = <[u8; 8]>::try_from(body) else {
            return Err(PeerMisbehaved::PingLength { length: header.length });
        };
        if header.flags & FLAG_ACK == 0 {
            self.transmit.pong = Some(bytes);
            return Ok(());
        }
        if let Some(number) = self.transmit.acknowledge(u64::from_le_bytes(bytes)) {
            self.events.push_back(Event::Pong(number));
            if let Drain::Announced { ping } = self.drain
                && number >= ping
            {
                self.drain = Drain::Real;
                self.transmit.goaway_real = true;
            }
        }
        Ok(())
    }

    fn on_call_frame(
        &mut self,
        id: CallId,
        kind: FrameType,
        body: &[u8],
    ) -> Result<(), PeerMisbehaved> {
        match kind {
            FrameType::Request => self.on_request(id, decode(kind, body)?),
            FrameType::Credit => {
                let wire::Credit { bytes } = decode(kind, body)?;
                self.on_credit(id, bytes)
            }
            FrameType::Finish => {
                let wire::Finish {} = decode(kind, body)?;
                self.request_event(id, RequestEvent::Finish)?;
                self.peer_finished(id);
                Ok(())
            }
            FrameType::Cancel => {
                let wire::Cancel {} = decode(kind, body)?;
                self.request_event(id, RequestEvent::Cancel)?;
                let status = Status::cancelled("the caller gave the call up");
                self.stop(id, status, StopReason::Cancelled);
                Ok(())
            }
            FrameType::Response => {
                let wire::Response { metadata } = decode(kind, body)?;
                let limit = self.config.limits.metadata_max;
                let metadata = Metadata::from_wire(metadata, kind, limit)?;
                self.response_event(id, ResponseEvent::Response)?;
                self.accepted(id, Some(metadata));
                Ok(())
            }
            _ => self.on_status(id, decode(kind, body)?),
        }
    }

    fn on_request(&mut self, id: CallId, body: wire::Request) -> Result<(), PeerMisbehaved> {
        let limits = &self.config.limits;
        // [SLT-002]
        if self.receive.responding >= limits.calls_max {
            return Err(PeerMisbehaved::CallsExceeded { call: id.0, limit: limits.calls_max });
        }
        let wire::Request { method, method_number, deadline_us, metadata } = body;
        let metadata = Metadata::from_wire(metadata, FrameType::Request, limits.metadata_max)?;
        let (method, method_number) = self.receive.methods.resolve(&method, method_number)?;
        // [DLN-001]
        let deadline = deadline_us
            .filter(|us| *us < NUMBER_END)
            .and_then(|us| self.last_read.checked_add(std::time::Duration::from_micros(us)));
        self.receive.highest = id.0;
        self.receive.responding += 1;
        let responder = Responder { life: HandlerState::Running, cause: None };
        let incoming = Incoming::new(limits.window, limits.window_ahead);
        let mut call =
            Call::new(Role::Responder(responder), Outgoing::new(self.peer.window), incoming);
        let expired = deadline_us == Some(0);
        call.deadline = deadline.filter(|_| !expired);
        self.calls.insert(id, call);
        // [DLN-002] [STA-003]
        if expired {
            let text = "the deadline had passed when the call arrived";
            let status = Status::deadline_exceeded(text).with_not_started(true);
            self.call(id).expect("just inserted").end(status);
            return Ok(());
        }
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, id));
        }
        let call = IncomingCall { call: id, method, method_number, deadline, metadata };
        self.events.push_back(Event::Request(call));
        Ok(())
    }

    fn on_data(
        &mut self,
        id: CallId,
        header: &FrameHeader,
        body: Option<Bytes>,
        descriptors: Range<u64>,
    ) -> Result<(), PeerMisbehaved> {
        let from_caller = id.opener() != self.side();
        if from_caller {
            let event = match (header.more(), header.end()) {
                (true, _) => RequestEvent::DataMore,
                (false, true) => RequestEvent::DataEnd,
                (false, false) => RequestEvent::Data,
            };
            self.request_event(id, event)?;
        } else {
            let event = match (header.more(), header.end()) {
                (true, _) => ResponseEvent::DataMore,
                (false, true) => ResponseEvent::DataEnd,
                (false, false) => ResponseEvent::Data,
            };
            self.response_event(id, event)?;
        }
        let message_max = self.config.limits.message_max;
        let call = self.calls.get_mut(id).expect("the place of the frame is a live call");
        let discarded = if call.incoming.is_discarding() { descriptors.clone() } else { 0..0 };
        let spares = &mut self.receive.spares;
        let arrived = call.incoming.accept(header, body, descriptors, message_max, spares)?;
        let first_fresh = call.incoming.is_first_fresh();
        self.close_descriptors(discarded);
        self.accepted(id, None);
        match arrived {
            Arrived::Nothing => self.review_credit(id),
            Arrived::Message => {
                self.message_complete(id);
                if first_fresh {
                    self.receive.fresh.push(id);
                }
                self.wake(id);
            }
            Arrived::TooLong { length, dropped } => {
                self.close_descriptors(dropped);
                self.message_too_long(id, length, header.end());
            }
        }
        if header.end() {
            if from_caller {
                self.peer_finished(id);
            } else {
                self.responder_ended(id, Status::ok().received());
            }
        }
        Ok(())
    }

    // [MSG-007] [ERR-002]
    fn message_too_long(&mut self, id: CallId, length: u64, last: bool) {
        let limit = self.config.limits.message_max;
        let status = Status::resource_exhausted(format!(
            "a message of {length} bytes is over the limit of {limit} bytes (message_max)"
        ));
        if id.opener() == self.side() {
            if last {
                self.set_outcome(id, status);
            } else {
                self.conclude(id, status);
            }
        } else {
            self.stop(id, status, StopReason::Limit);
        }
    }

    /// The peer sends no more messages on a call that it opened.
    fn peer_finished(&mut self, id: CallId) {
        if let Some(call) = self.calls.get_mut(id) {
            call.incoming.ended = true;
        }
        self.wake(id);
    }

    fn on_credit(&mut self, id: CallId, bytes: u64) -> Result<(), PeerMisbehaved> {
        if id.opener() == self.side() {
            self.response_event(id, ResponseEvent::Credit)?;
        } else {
            self.request_event(id, RequestEvent::Credit)?;
        }
        // [CRD-002]
        if bytes == 0 {
            return Err(PeerMisbehaved::CreditZero { call: id.0 });
        }
        if let Some(call) = self.calls.get_mut(id)
            && !call.outgoing.credit.grant(bytes)
        {
            return Err(PeerMisbehaved::CreditOverflow { call: id.0 });
        }
        self.make_ready_if_sent(id);
        Ok(())
    }

    fn on_status(&mut self, id: CallId, body: wire::Status) -> Result<(), PeerMisbehaved> {
        let status = Status::from_wire(body, self.config.limits.metadata_max)?;
        let event =
            if status.is_ok() { ResponseEvent::StatusOk } else { ResponseEvent::StatusOther };
        self.response_event(id, event)?;
        self.accepted(id, None);
        self.responder_ended(id, status);
        Ok(())
    }

    /// The terminal frame of a call of this side has arrived.
    // [CAL-005] [SLT-001]
    fn responder_ended(&mut self, id: CallId, status: Status) {
        if let Some(call) = self.calls.get_mut(id) {
            call.incoming.ended = true;
            call.request = call.request.on(RequestEvent::Terminal).unwrap_or(RequestState::Ended);
        }
        self.caller_over(id, CallerEvent::Terminal);
        self.set_outcome(id, status);
        self.forget_if_over(id);
    }

    /// The responder has accepted a call of this side.
    fn accepted(&mut self, id: CallId, metadata: Option<Metadata>) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let Some(caller) = call.caller_mut() else { return };
        if caller.head.is_none() {
            caller.head = Some(metadata.unwrap_or_default());
            if std::mem::take(&mut caller.head_waiting) {
                self.events.push_back(Event::Readable(id));
            }
        }
    }

    fn request_event(&mut self, id: CallId, event: RequestEvent) -> Result<(), PeerMisbehaved> {
        let Some(call) = self.calls.get_mut(id) else { return Ok(()) };
        let state = call.request;
        call.request = state.on(event).ok_or_else(|| PeerMisbehaved::CallState {
            call: id.0,
            what: event.name(),
            state: state.name(),
        })?;
        Ok(())
    }

    fn response_event(&mut self, id: CallId, event: ResponseEvent) -> Result<(), PeerMisbehaved> {
        let Some(call) = self.calls.get_mut(id) else { return Ok(()) };
        let state = call.response;
        call.response = state.on(event).ok_or_else(|| PeerMisbehaved::CallState {
            call: id.0,
            what: event.name(),
            state: state.name(),
        })?;
        debug_assert!(state != ResponseState::Ended, "an ended call is skipped");
        Ok(())
    }

    fn make_ready_if_sent(&mut self, id: CallId) {
        if id.0 <= self.transmit.highest || id.opener() != self.side() {
            self.make_ready(id);
        }
    }

    /// Calls that wait for a slot of a peer that has none to give.
    fn refuse_waiting(&mut self) {
        for id in std::mem::take(&mut self.transmit.waiting) {
            self.caller_over(id, CallerEvent::Refused);
            let text = "the peer takes no calls (it announced calls_max = 0)";
            self.set_outcome(id, Status::unimplemented(text).with_not_started(true));
            self.forget_if_over(id);
        }
    }
}

fn decode<M: prost::Message + Default>(kind: FrameType, body: &[u8]) -> Result<M, PeerMisbehaved> {
    // [FRM-007]
    M::decode(body).map_err(|error| PeerMisbehaved::Undecodable { kind, reason: error.to_string() })
}

// [HEL-007]
fn equal_in_constant_time(expected: &[u8], shown: &[u8]) -> bool {
    let mut difference = expected.len() ^ shown.len();
    for (i, byte) in expected.iter().enumerate() {
        difference |= usize::from(byte ^ shown.get(i).copied().unwrap_or(!*byte));
    }
    difference == 0
}
