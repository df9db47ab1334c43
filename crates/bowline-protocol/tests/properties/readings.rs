//! Readings of the rules that are easy to come by and that deadlock or leak. Exhaustive models of
//! the rules found them; here is what the core does in the very situation in which each fails. The
//! letters and numbers are those of the models' variants.

use std::time::Instant;

use bowline_protocol::{
    CallId, Code, Config, Connection, ConnectionError, ErrorCode, Event, FLAG_MORE, FrameType,
    Limits, Outbound, PREFACE, PeerMisbehaved, Recv, Side, Status, StopReason,
};
use bytes::BytesMut;

use crate::model::{CallerEnd, Handler};
use crate::op::{Op, Setting, Size};
use crate::sut::{SIDES, Sut};
use crate::wire::{control, frame, hello, request};

/// The largest message, in windows of the least size a little more than three.
const LARGE: u64 = 200_000;
const WINDOW: u64 = 65_536;
const CALLER: usize = 0;
const RESPONDER: usize = 1;

fn limits(side: Side) -> Limits {
    Limits {
        calls_max: if side == Side::Connecting { 2 } else { 64 },
        window: WINDOW,
        window_ahead: 0,
        frame_max: 16_384,
        message_max: LARGE,
        large_max: LARGE,
        output_max: 256,
        send_queue_max: 1 << 20,
        ..Limits::accepting()
    }
}

fn pair_with(established: bool, change: impl Fn(&mut Config)) -> Sut {
    let setting = Setting { limits: 0, pipe: 1 << 20, one_at_a_time: false, established };
    let configs = SIDES.map(|side| {
        let mut config = Config::new(side);
        config.limits = limits(side);
        change(&mut config);
        config
    });
    Sut::with(setting, configs)
}

fn pair() -> Sut {
    pair_with(true, |_| {})
}

impl Sut {
    fn opened(&mut self) -> CallId {
        self.open(CALLER, 0, None).expect("the connection takes calls")
    }

    /// Calls that each have a message of this length on its way, as far as credit goes.
    fn announced(&mut self, calls: usize, length: u64) -> Vec<CallId> {
        let calls: Vec<CallId> = (0..calls).map(|_| self.opened()).collect();
        for call in &calls {
            self.send(CALLER, *call, Size::Bytes(u32::try_from(length).unwrap()), false, false);
        }
        self.flow_all();
        calls
    }

    /// The application of the responder begins to wait, and nothing is there yet.
    fn wait(&mut self, call: CallId) {
        assert!(!self.recv(RESPONDER, call), "call {call} has something already");
    }

    /// It takes a whole message.
    #[track_caller]
    fn take(&mut self, call: CallId) {
        assert!(self.recv(RESPONDER, call), "call {call} has nothing");
    }

    fn give_up(&mut self, call: CallId) {
        self.give_up_of(RESPONDER, call);
    }

    fn give_up_of(&mut self, side: usize, call: CallId) {
        self.peers[side].core.call(call).expect("is open").stop_waiting();
    }

    /// The caller of this call, which does not know the limit, sends a message over it. The core
    /// is fed past the observer, as a caller that knows the limit does not send it.
    fn stop_by_limit(&mut self, call: CallId) {
        let announced = (LARGE + 1).to_le_bytes();
        let piece = [&announced[..], b"x"].concat();
        let bytes = frame(FrameType::Data, FLAG_MORE, call.number(), &piece);
        let mut input = BytesMut::from(&bytes[..]);
        let core = &mut self.peers[RESPONDER].core;
        core.handle_input(&mut input, self.now);
        let stopped = Some(Event::Stopped(call, StopReason::Limit));
        assert_eq!(core.poll_event(), stopped);
    }

    fn buffered(&self) -> u64 {
        self.peers[RESPONDER].core.buffered()
    }

    fn frames(&self, side: usize, kind: FrameType) -> usize {
        self.wire.seen.iter().filter(|(s, h)| *s == side && h.kind == kind as u8).count()
    }

    fn status(&mut self, call: CallId) -> (Code, bool) {
        match self.peers[CALLER].core.call(call).expect("is held").recv() {
            Recv::Ended(status) => (status.code(), status.not_started()),
            other => panic!("{other:?}"),
        }
    }
}

#[test] // [CRD-004]
fn a_what_large_messages_hold_is_bounded() {
    let mut sut = pair();
    let calls = sut.announced(3, LARGE);
    assert_eq!(sut.buffered(), 3 * WINDOW, "nobody waits");
    sut.wait(calls[0]);
    sut.flow_all();
    assert_eq!(sut.buffered(), 2 * WINDOW + LARGE + 16, "one waits, and nobody takes");
    // With all three waiting, and each byte looked at, the invariants keep `large_max`.
    sut.wait(calls[1]);
    sut.wait(calls[2]);
    while !sut.step(1_000) {}
    sut.finale();
}

#[test] // [CRD-004]
fn b_the_budget_is_not_given_out_in_pieces() {
    let mut sut = pair();
    let calls = sut.announced(3, LARGE);
    for call in &calls {
        sut.wait(*call);
    }
    for call in &calls {
        sut.flow_all();
        sut.take(*call);
    }
}

#[test] // [CRD-005]
fn c_the_budget_comes_back_when_a_message_is_complete_and_not_taken() {
    let mut sut = pair();
    let calls = sut.announced(3, LARGE);
    for call in &calls {
        sut.wait(*call);
        sut.flow_all();
    }
    // All three are complete, and none was taken.
    assert_eq!(sut.buffered(), 3 * (LARGE + 16));
    for call in &calls {
        sut.take(*call);
    }
}

#[test] // [CRD-004] [CRD-005]
fn d_an_application_gives_up_and_waits_elsewhere() {
    let mut sut = pair();
    let calls = sut.announced(3, LARGE);
    // The first is granted, the second stands in the queue, and then nobody waits for them.
    sut.wait(calls[0]);
    sut.wait(calls[1]);
    sut.give_up(calls[0]);
    sut.give_up(calls[1]);
    sut.wait(calls[2]);
    sut.flow_all();
    sut.take(calls[2]);
    // The second has lost its place: its message is where it was.
    assert_eq!(sut.buffered(), LARGE + 16 + WINDOW);
    sut.wait(calls[1]);
    sut.flow_all();
    sut.take(calls[1]);
    sut.take(calls[0]);
    assert_eq!(sut.buffered(), 0);
}

#[test] // [CRD-004]
fn d_who_gives_up_loses_its_own_place_and_nobody_elses() {
    let mut sut = pair();
    let calls = sut.announced(4, LARGE);
    calls.iter().for_each(|call| sut.wait(*call));
    sut.give_up(calls[2]);
    sut.flow_all();
    sut.take(calls[0]);
    sut.take(calls[1]);
    sut.take(calls[3]);
    assert_eq!(sut.buffered(), WINDOW);
}

#[test] // [CRD-005]
fn d_a_call_that_ends_gives_its_budget_back() {
    for end in [Sut::cancel_first as fn(&mut Sut, CallId), Sut::end_first] {
        let mut sut = pair();
        let calls = sut.announced(2, LARGE);
        sut.wait(calls[0]);
        sut.wait(calls[1]);
        end(&mut sut, calls[0]);
        sut.flow_all();
        sut.take(calls[1]);
    }
}

impl Sut {
    fn cancel_first(&mut self, call: CallId) {
        self.peers[CALLER].core.call(call).expect("is open").cancel();
        self.model.pair(call.number()).caller = CallerEnd::GaveUp;
    }

    fn end_first(&mut self, call: CallId) {
        self.end(RESPONDER, call, Code::Aborted);
    }
}

#[test] // [CRD-003] [CRD-006]
fn i_j_l_a_sender_waits_for_a_whole_message_and_a_receiver_returns_credit_in_steps() {
    // After the first of each pair less than half a window is due, and the second needs it.
    let pairs = [(3, 9), (4, 8), (1, 10), (5, 5), (6, 6), (8, 8), (10, 10), (2, 10), (10, 1)];
    for (first, second) in pairs {
        let mut sut = pair();
        let call = sut.opened();
        let costs = [first, second].map(|tenths| WINDOW * tenths / 10);
        for cost in costs.repeat(3) {
            sut.send(CALLER, call, Size::Bytes(u32::try_from(cost - 16).unwrap()), false, false);
        }
        sut.flow_all();
        for _ in 0..6 {
            if !sut.recv(RESPONDER, call) {
                sut.flow_all();
                sut.take(call);
            }
        }
        assert_eq!(sut.buffered(), 0);
    }
}

#[test] // [HEL-004] [CRD-003]
fn n_hello_raises_the_window_of_calls_that_are_open() {
    let mut sut = pair_with(false, |config| config.limits.window = 8 * WINDOW);
    let call = sut.opened();
    for _ in 0..16 {
        sut.send(CALLER, call, Size::Bytes(60_000), false, false);
    }
    for _ in 0..16 {
        sut.flow_all();
        sut.take(call);
    }
}

#[test] // [HEL-004] [CRD-006]
fn p_a_message_fits_the_raised_window_and_not_the_initial_one() {
    let mut sut = pair_with(false, |config| config.limits.window = 4 * WINDOW);
    let calls = [sut.opened(), sut.opened()];
    // One that the caller has begun before it reads HELLO, and one that it has not.
    sut.send(CALLER, calls[0], Size::Bytes(LARGE as u32), false, false);
    sut.poll(CALLER);
    sut.send(CALLER, calls[1], Size::Bytes(LARGE as u32), false, false);
    sut.flow_all();
    for call in calls {
        sut.take(call);
    }
    assert_eq!(sut.frames(RESPONDER, FrameType::Credit), 0, "it fits the window");
}

/// A message that has begun goes on while its handler, which was stopped, has not ended: the budget
/// that it holds comes back without waiting for that.
#[test] // [CRD-005] [CAN-002]
fn half_a_message_of_a_stopped_handler_does_not_hold_the_budget() {
    let mut sut = pair_with(true, |config| config.limits.output_max = 1);
    let calls = [sut.opened(), sut.opened()];
    sut.flow_all();
    for call in calls {
        sut.send(RESPONDER, call, Size::Bytes(LARGE as u32), false, false);
    }
    sut.flow_all();
    // The first is granted all that it needs, and gets half of that.
    assert!(!sut.recv(CALLER, calls[0]));
    sut.poll(CALLER);
    sut.carry(CALLER);
    sut.carry(RESPONDER);
    sut.give_up_of(CALLER, calls[0]);
    sut.stop_by_limit(calls[0]);
    assert!(!sut.recv(CALLER, calls[1]));
    sut.flow_all();
    assert!(sut.recv(CALLER, calls[1]), "the other call is held up by a handler that lingers");
}

#[test] // [CAL-008] [MSG-007]
fn what_is_discarded_gives_its_credit_back_at_once() {
    let mut sut = pair_with(false, |config| config.limits.message_max = 100_000);
    let call = sut.opened();
    // Over the limit, which the caller does not know yet; so the responder ends the call, but its
    // handler goes on for a while.
    sut.send(CALLER, call, Size::Bytes(LARGE as u32), false, false);
    sut.send(CALLER, call, Size::Bytes(60_000), false, false);
    sut.flow_all();
    let handler = sut.model.pair(call.number()).handler;
    assert_eq!(handler, Handler::Stopped(StopReason::Limit));
    let left = sut.wire.credit_left(call.number(), CALLER);
    assert_eq!(left, Some(WINDOW), "all was sent, and all of it came back");
}

#[test] // [GOA-002] [SLT-003]
fn calls_that_wait_for_a_slot_end_with_the_first_goaway() {
    let mut sut = pair();
    let calls: Vec<CallId> = (0..65).map(|_| sut.opened()).collect();
    sut.flow_all();
    sut.drain(RESPONDER);
    sut.flow_all();
    assert_eq!(sut.status(calls[64]), (Code::Unavailable, true));
    for call in &calls[..64] {
        assert!(!sut.recv(CALLER, *call), "call {call} goes on");
        sut.end(RESPONDER, *call, Code::Ok);
    }
    sut.flow_all();
    assert!(sut.peers.iter().all(|peer| peer.core.is_closed() && peer.core.error().is_none()));
}

#[test] // [OUT-001]
fn reading_4_waits_for_no_room_in_the_output() {
    let mut sut = pair_with(true, |config| config.limits.output_max = 1);
    // Neither side writes a byte, and both have more than enough to say.
    for s in [CALLER, RESPONDER] {
        sut.peers[s].core.ping();
    }
    let calls: Vec<CallId> = (0..64).map(|_| sut.opened()).collect();
    let back = [sut.open(RESPONDER, 0, None), sut.open(RESPONDER, 0, None)];
    assert!(back.iter().all(Option::is_some));
    let mut blocked = Outbound::new();
    for frame in calls.iter().map(|call| request(call.number())) {
        // What the caller would have written reaches a responder whose output is full.
        let core = &mut sut.peers[RESPONDER].core;
        core.poll_transmit(&mut blocked, sut.now);
        let before = blocked.len();
        assert!(before > 0);
        // The core itself is fed, past the observer: its name is bound once.
        let mut input = BytesMut::from(&frame[..]);
        core.handle_input(&mut input, sut.now);
        assert!(input.is_empty(), "reading waits for writing");
        assert!(matches!(core.poll_event(), Some(Event::Request(_))));
        assert_eq!(blocked.len(), before);
    }
    assert_eq!(sut.peers[RESPONDER].core.responding(), 64);
}

#[test] // [GOA-001]
fn number_of_goaway_5_is_fixed_when_it_moves() {
    let mut sut = pair_with(true, |config| {
        config.limits.output_max = 1;
        if config.side == Side::Connecting {
            config.limits.calls_max = 0;
        }
    });
    let first = sut.opened();
    sut.flow_all();
    sut.drain(CALLER);
    sut.flow_all();
    // With its last call the responder owes a GOAWAY of its own, but the answer fills its output.
    sut.end(RESPONDER, first, Code::Ok);
    sut.poll(RESPONDER);
    sut.poll(RESPONDER);
    assert!(sut.peers[RESPONDER].core.is_idle());
    assert_eq!(sut.frames(RESPONDER, FrameType::GoAway), 0, "there is no room");
    // A call comes meanwhile: who drains may still open calls. It starts.
    let call = sut.opened();
    sut.carry(CALLER);
    assert_eq!(sut.model.pair(call.number()).handler, Handler::Running);
    sut.flow_all();
    assert_eq!(sut.frames(RESPONDER, FrameType::GoAway), 1);
    assert_eq!(sut.model.pair(call.number()).caller, CallerEnd::Open, "it goes on");
    sut.end(RESPONDER, call, Code::Ok);
    sut.flow_all();
    assert_eq!(sut.status(call), (Code::Ok, false));
}

impl Sut {
    /// A few bytes move each way; true when nothing did.
    fn step(&mut self, bytes: u32) -> bool {
        let before = self.peers.each_ref().map(|peer| peer.out.written());
        for side in SIDES {
            self.apply(Op::Poll { side });
            self.apply(Op::Write { side, bytes });
            self.apply(Op::Read { side: side.peer(), bytes });
        }
        before == self.peers.each_ref().map(|peer| peer.out.written())
    }

    /// What this side has to say reaches the other.
    fn carry(&mut self, side: usize) {
        self.apply(Op::Flow { side: SIDES[side] });
    }
}

#[test] // [CLS-002] [GOA-002]
fn end_of_writing_6_comes_after_a_goaway_of_ones_own() {
    let mut sut = pair_with(true, |config| {
        if config.side == Side::Connecting {
            config.limits.calls_max = 0;
        }
    });
    let first = sut.opened();
    sut.flow_all();
    sut.drain(CALLER);
    sut.flow_all();
    // The responder is idle: it answers, and ends its writing; a call of the drainer's crosses it.
    sut.end(RESPONDER, first, Code::Ok);
    sut.poll(RESPONDER);
    assert!(sut.peers[RESPONDER].core.is_write_ended());
    let call = sut.opened();
    sut.poll(CALLER);
    sut.flow_all();
    assert_eq!(sut.frames(RESPONDER, FrameType::GoAway), 1, "a GOAWAY of its own");
    assert_eq!(sut.status(call), (Code::Unavailable, true));
    assert_eq!(sut.model.pair(call.number()).handler, Handler::None);
    for s in [CALLER, RESPONDER] {
        assert!(sut.peers[s].core.is_closed(), "side {s}");
        assert_eq!(sut.peers[s].core.error(), None, "side {s}");
    }
}

#[test] // [SLT-001] [SLT-002] [OUT-002]
fn slot_7_is_free_when_the_terminal_frame_has_moved_and_not_before() {
    let now = Instant::now();
    let mut config = Config::new(Side::Accepting);
    config.limits = limits(Side::Accepting);
    config.limits.output_max = 1;
    let mut core = Connection::new(config, now).unwrap();
    let mut out = Outbound::new();
    let mut input = BytesMut::from(&PREFACE[..]);
    core.handle_input(&mut input, now);
    core.poll_transmit(&mut out, now);
    input.extend_from_slice(&control(FrameType::Hello, 0, &hello()));
    core.handle_input(&mut input, now);
    // A caller that never reads: every handler ends at once, and no answer leaves.
    for call in (1..).step_by(2).take(64) {
        input.extend_from_slice(&request(call));
        core.handle_input(&mut input, now);
        while let Some(event) = core.poll_event() {
            if let Event::Request(request) = event {
                core.call(request.call).unwrap().end(Status::aborted("no"));
            }
        }
        core.poll_transmit(&mut out, now);
        core.assert_invariants();
    }
    assert_eq!(core.responding(), 64, "as many answers are owed");
    input.extend_from_slice(&request(1_001));
    core.handle_input(&mut input, now);
    let Some(ConnectionError::PeerMisbehaved(error)) = core.error() else { panic!() };
    assert!(matches!(error, PeerMisbehaved::CallsExceeded { call: 1_001, limit: 64 }), "{error}");
    assert_eq!(error.code(), ErrorCode::CallsExceeded);
}
