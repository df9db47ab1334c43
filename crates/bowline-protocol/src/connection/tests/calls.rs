//! Calls from REQUEST to the terminal frame, and their slots.

use super::raw::{
    cancel, credit, cut, data, finish, goaway, hello, id, ping, request, response, status,
};
use super::rig::Rig;
use crate::wire::{self, Code};
use crate::{
    Config, ConnectionError, ErrorCode, Event, Metadata, Open, OpenError, PeerMisbehaved, Recv,
    SendError, Side, Status, StopReason,
};

#[test] // [CAL-001]
fn ids_have_a_side_and_rise_strictly() {
    let mut rig = Rig::accepting();
    rig.feed([1, 3, 9, 1001].map(request));
    assert_eq!(rig.core.responding(), 4, "they may skip");
    let error = rig.expect_breach([request(1001)], ErrorCode::CallId, "CAL-001");
    assert_eq!(error, PeerMisbehaved::CallIdNotRising { call: 1001, highest: 1001 });
    let mut rig = Rig::accepting();
    let frames = [request(5), data(5, "").end(), request(3)];
    rig.expect_breach(frames, ErrorCode::CallId, "CAL-001");
    // Ended or not makes no difference.
    let mut rig = Rig::accepting();
    rig.taken(5);
    rig.end(id(5), Status::not_found(""));
    rig.sent();
    rig.expect_breach([request(5)], ErrorCode::CallId, "CAL-001");
    for (side, first) in [(Side::Connecting, 1), (Side::Accepting, 2)] {
        let mut rig = Rig::of(side);
        assert_eq!([rig.open().number(), rig.open().number()], [first, first + 2]);
    }
}

#[test] // [CAL-002]
fn frames_for_a_call_that_was_never_opened_are_refused() {
    for frame in [data(3, ""), finish(3), cancel(3), credit(3, 1)] {
        let mut rig = Rig::accepting();
        rig.taken(1);
        let error = rig.expect_breach([frame], ErrorCode::CallId, "CAL-002");
        assert!(matches!(error, PeerMisbehaved::CallNeverOpened { call: 3, .. }), "{error}");
    }
    for frame in [data(3, ""), response(3), status(3, Code::Ok, ""), credit(3, 1)] {
        let mut rig = Rig::connecting();
        rig.opened();
        // Call 3 exists here, but its REQUEST has not left.
        rig.open();
        rig.expect_breach([frame], ErrorCode::CallId, "CAL-002");
    }
}

#[test] // [CAL-003]
fn frames_for_a_call_that_has_ended_are_skipped() {
    let mut rig = Rig::accepting();
    rig.taken(5);
    rig.end(id(5), Status::not_found(""));
    assert_eq!(rig.sent(), ["STATUS 5 NOT_FOUND"]);
    for call in [5, 3] {
        // Nothing of them is looked at: not even whether they decode.
        rig.feed([data(call, "x"), data(call, "").end(), data(call, ""), cut(call, 0, "")]);
        rig.feed([
            finish(call),
            finish(call),
            cancel(call).body([0x0a]),
            cancel(call),
            credit(call, 0),
        ]);
    }
    assert_eq!((rig.events(), rig.sent(), rig.left()), (vec![], vec![], 0));
    let mut rig = Rig::connecting();
    let call = rig.opened();
    rig.feed([data(1, "").end()]);
    for _ in 0..2 {
        rig.feed([data(1, "x"), response(1), status(1, Code::Ok, ""), credit(1, 0)]);
    }
    assert_eq!(rig.message(call), "");
    assert_eq!(rig.outcome(call).code(), Code::Ok, "the first end stands");
    rig.feed([status(1, Code::Internal, "again")]);
    assert_eq!((rig.events(), rig.sent()), (vec![], vec![]));
}

#[test] // [CAL-003]
fn skipping_costs_nothing() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.end(id(1), Status::ok());
    rig.sent();
    let flood: Vec<u8> = [data(1, [0; 8]), cancel(1), credit(1, 9)]
        .iter()
        .cycle()
        .take(10_000)
        .flat_map(super::raw::Raw::encode)
        .collect();
    for _ in 0..10 {
        rig.feed_bytes(&flood);
    }
    assert_eq!((rig.events(), rig.sent_bytes().len(), rig.core.buffered()), (vec![], 0, 0));
    assert_eq!(rig.out.capacity(), rig.out.capacity().min(65_536));
}

#[test] // [CAL-004]
fn every_form_is_legal_for_every_method() {
    // No message at all, one, and several, each way, for the same method.
    let mut rig = Rig::accepting();
    for (call, messages) in [(1, 0), (3, 1), (5, 3)] {
        rig.taken(call);
        for _ in 0..messages {
            rig.feed([data(call, "m")]);
            assert_eq!(rig.message(id(call)), "m");
            rig.send(id(call), b"r", false);
        }
        rig.feed([finish(call)]);
        assert_eq!(rig.recv(id(call)), Recv::Finished);
        rig.end(id(call), Status::ok());
        let sent = rig.sent();
        let last = match messages {
            0 => format!("STATUS {call} OK"),
            _ => format!("DATA {call} END \"r\""),
        };
        assert_eq!((sent.len(), sent.last()), (messages.max(1), Some(&last)));
    }
}

#[test] // [CAL-005]
fn each_call_gets_exactly_one_terminal_frame() {
    type End = fn(&mut Rig);
    let ends: [(End, &[&str]); 6] = [
        (|rig| rig.end(id(1), Status::ok()), &["STATUS 1 OK"]),
        (|rig| rig.end(id(1), Status::aborted("no")), &["STATUS 1 ABORTED \"no\""]),
        (|rig| rig.send(id(1), b"r", true), &["DATA 1 END \"r\""]),
        (
            |rig| {
                rig.send(id(1), b"r", false);
                rig.end(id(1), Status::ok());
            },
            &["DATA 1 END \"r\""],
        ),
        (
            |rig| {
                rig.send(id(1), b"r", false);
                rig.end(id(1), Status::internal(""));
            },
            &["DATA 1 \"r\"", "STATUS 1 INTERNAL"],
        ),
        (
            |rig| {
                let mut metadata = Metadata::new();
                metadata.insert("k", "v").unwrap();
                rig.send(id(1), b"r", false);
                rig.end(id(1), Status::ok().with_metadata(metadata));
            },
            &["DATA 1 \"r\"", "STATUS 1 OK k=b\"v\""],
        ),
    ];
    for (end, sent) in ends {
        let mut rig = Rig::accepting();
        rig.taken(1);
        end(&mut rig);
        // Whatever the handler says afterwards does not count.
        let again = rig.call(id(1)).send("late".into(), true);
        assert_eq!(again, Err(SendError::Closed));
        rig.end(id(1), Status::data_loss("late"));
        assert_eq!(rig.sent(), sent);
        assert!(rig.core.call(id(1)).is_none(), "both directions are over");
        assert_eq!(rig.sent(), [""; 0]);
    }
}

#[test] // [CAL-005]
fn the_terminal_frame_ends_the_callers_direction_too() {
    for terminal in [data(1, "r").end(), status(1, Code::Ok, ""), status(1, Code::Aborted, "")] {
        let mut rig = Rig::connecting();
        let call = rig.opened();
        rig.send(call, &[0; 65_520], false);
        rig.send(call, b"waits for credit", false);
        assert_eq!(rig.frames().len(), 4, "in pieces of 16 KiB");
        rig.feed([terminal]);
        assert_eq!(rig.call(call).send("more".into(), false), Err(SendError::Closed));
        rig.call(call).finish();
        assert_eq!(rig.sent(), [""; 0], "neither messages nor FINISH");
        assert_eq!(rig.core.slots_used(), 0);
    }
}

#[test] // [CAL-006]
fn response_comes_once_and_before_any_message() {
    for before in [response(1), data(1, ""), cut(1, 9, "a")] {
        let mut rig = Rig::connecting();
        rig.opened();
        let frames = [before, response(1)];
        let error = rig.expect_breach(frames, ErrorCode::CallState, "CAL-006");
        assert!(matches!(error, PeerMisbehaved::CallState { what: "RESPONSE", .. }), "{error}");
    }
    // Our side does not let a handler do so.
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.call(id(1)).respond(Metadata::new()).unwrap();
    assert_eq!(rig.call(id(1)).respond(Metadata::new()), Err(SendError::Closed));
    rig.send(id(1), b"r", false);
    assert_eq!(rig.sent(), ["RESPONSE 1", "DATA 1 \"r\""]);
    rig.taken(3);
    rig.send(id(3), b"r", false);
    assert_eq!(rig.call(id(3)).respond(Metadata::new()), Err(SendError::Closed));
    rig.sent();
    assert_eq!(rig.call(id(3)).respond(Metadata::new()), Err(SendError::Closed));
}

#[test] // [CAL-006]
fn the_first_sign_of_the_responder_accepts_the_call() {
    for frame in [
        response(1).entry("k", "v"),
        data(1, "m"),
        cut(1, 9, "part"),
        status(1, Code::Internal, ""),
    ] {
        let metadata = frame.header.kind == 0x11;
        let mut rig = Rig::connecting();
        let call = rig.opened();
        assert_eq!(rig.call(call).head(), None);
        rig.feed([frame]);
        assert_eq!(rig.events(), [Event::Readable(call)]);
        let head = rig.call(call).head().expect("accepted");
        assert_eq!(head.text("k"), metadata.then_some("v"));
    }
}

#[test] // [CAL-007]
fn the_terminal_frame_waits_for_the_handler_and_its_messages() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.taken(3);
    rig.feed([cancel(1)]);
    assert_eq!(rig.sent(), [""; 0], "the handlers run");
    rig.send(id(3), &[1; 65_520], false);
    rig.send(id(3), b"waits", false);
    rig.end(id(3), Status::aborted("after them"));
    assert!(rig.sent().iter().all(|line| line.starts_with("DATA 3")));
    rig.feed([credit(3, 100)]);
    assert_eq!(rig.sent(), ["DATA 3 \"waits\"", "STATUS 3 ABORTED \"after them\""]);
    rig.end(id(1), Status::ok());
    assert_eq!(rig.sent().len(), 1);
}

#[test] // [CAL-008]
fn what_comes_after_the_handler_is_checked_discarded_and_credited() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.feed([data(1, [1; 1_000]), cut(1, 2_000, [1; 500])]);
    // The answer waits for credit, so the call stays.
    rig.send(id(1), &[0; 65_520], false);
    rig.send(id(1), b"r", true);
    let sent = rig.sent();
    assert_eq!(sent[0], "CREDIT 1 132604", "all that came, and the window ahead");
    rig.feed([data(1, [1; 1_500]), data(1, [2; 131_000])]);
    assert_eq!((rig.core.buffered(), rig.core.responding()), (0, 1));
    let sent = rig.sent();
    assert!(sent.len() == 1 && sent[0].starts_with("CREDIT 1 "), "{sent:?}");
    // It is checked as ever.
    rig.expect_breach([data(1, "").end(), data(1, "")], ErrorCode::CallState, "MSG-006");
}

#[test] // [CAL-008]
fn what_comes_after_a_stop_is_discarded_and_credited() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    // Too long for this side, so that the call ends.
    rig.feed([cut(1, 1 << 40, [1; 500])]);
    assert_eq!(rig.events(), [Event::Stopped(id(1), StopReason::Limit)]);
    for _ in 0..100 {
        rig.feed([data(1, [1; 60_000]).more()]);
        rig.sent();
        assert_eq!(rig.core.buffered(), 0);
    }
    rig.end(id(1), Status::ok());
    assert!(rig.sent()[0].starts_with("STATUS 1 RESOURCE_EXHAUSTED"));
}

#[test] // [SLT-001]
fn a_callers_slot_is_free_when_the_terminal_frame_arrives() {
    let mut rig = Rig::connecting();
    let call = rig.open();
    assert_eq!(rig.core.slots_used(), 0, "not before its REQUEST moves");
    rig.sent();
    assert_eq!(rig.core.slots_used(), 1);
    rig.call(call).cancel();
    assert_eq!(rig.sent(), ["CANCEL 1"]);
    assert_eq!(rig.core.slots_used(), 1, "CANCEL does not free it");
    rig.feed([response(1), data(1, "m")]);
    assert_eq!(rig.core.slots_used(), 1);
    rig.feed([status(1, Code::Cancelled, "")]);
    assert_eq!((rig.core.slots_used(), rig.events()), (0, vec![]));
}

#[test] // [SLT-001]
fn a_responders_slot_is_free_when_the_terminal_frame_has_moved() {
    let mut config = Config::new(Side::Accepting);
    config.limits.calls_max = 64;
    config.limits.output_max = 1;
    let mut rig = Rig::established(config, &hello());
    for call in (1..=127).step_by(2) {
        rig.taken(call);
    }
    rig.feed([cancel(1), ping(1)]);
    assert_eq!(rig.core.responding(), 64, "CANCEL does not free it");
    rig.poll();
    rig.end(id(1), Status::ok());
    rig.end(id(3), Status::ok());
    rig.poll();
    assert_eq!(rig.core.responding(), 64, "the output is full");
    rig.write(usize::MAX);
    rig.poll();
    assert_eq!(rig.core.responding(), 63);
    rig.feed([request(201)]);
    rig.expect_breach([request(203)], ErrorCode::CallsExceeded, "SLT-002");
}

#[test] // [SLT-002]
fn a_request_without_a_slot_is_an_error() {
    let mut config = Config::new(Side::Accepting);
    config.limits.calls_max = 64;
    let mut rig = Rig::established(config, &hello());
    rig.feed((0..64).map(|i| request(2 * i + 1)));
    let error = rig.expect_breach([request(129)], ErrorCode::CallsExceeded, "SLT-002");
    assert_eq!(error, PeerMisbehaved::CallsExceeded { call: 129, limit: 64 });
    // A side that announced none takes none.
    let mut rig = Rig::established(Config::new(Side::Connecting), &hello());
    rig.expect_breach([request(2)], ErrorCode::CallsExceeded, "SLT-002");
}

#[test] // [SLT-002] [SLT-003]
fn a_caller_waits_for_a_slot() {
    let mut rig = Rig::connecting();
    let calls: Vec<_> = (0..66).map(|_| rig.open()).collect();
    let requests =
        |rig: &mut Rig| rig.sent().iter().filter(|line| line.starts_with("REQUEST")).count();
    assert_eq!((requests(&mut rig), rig.core.slots_used()), (64, 64));
    rig.send(calls[64], b"waits with it", true);
    rig.call(calls[0]).cancel();
    assert_eq!(requests(&mut rig), 0);
    rig.feed([status(1, Code::Cancelled, "")]);
    assert_eq!(rig.sent(), ["REQUEST 129 number=1", "DATA 129 END \"waits with it\""]);
    // Given up while it waits, it has never existed for the peer.
    rig.call(calls[65]).cancel();
    rig.feed([status(3, Code::Ok, "")]);
    assert_eq!(rig.sent(), [""; 0]);
    let next = rig.opened();
    assert_eq!(next.number(), 133, "ids may skip");
}

#[test] // [SLT-003]
fn the_deadline_of_a_call_that_waits_says_so() {
    let mut rig = Rig::connecting();
    for _ in 0..64 {
        rig.open();
    }
    rig.sent();
    let deadline = rig.now + std::time::Duration::from_secs(5);
    let call = rig.open_with(Open::new("a/B").with_deadline(Some(deadline)));
    assert_eq!(rig.recv(call), Recv::Pending);
    rig.fire();
    assert_eq!(rig.events(), [Event::Readable(call)]);
    let status = rig.outcome(call);
    assert_eq!((status.code(), status.not_started()), (Code::DeadlineExceeded, true));
    assert!(status.message().contains("64 slots"), "{status}");
    assert_eq!(rig.sent(), [""; 0]);
}

#[test] // [SLT-003]
fn as_many_calls_wait_as_the_limit_says() {
    let mut config = Config::new(Side::Connecting);
    config.limits.waiting_max = 2;
    let mut rig = Rig::new(config);
    rig.open();
    rig.open();
    let refused = rig.core.open(Open::new("a/B"), rig.now);
    assert_eq!(refused, Err(OpenError::TooManyWaiting { waiting: 2 }));
    rig.sent();
    rig.open();
}

#[test] // [SLT-002]
fn calls_towards_a_side_that_takes_none_fail() {
    let none = hello().with(|hello: &mut wire::Hello| hello.calls_max = 0);
    let mut rig = Rig::new(Config::new(Side::Accepting));
    rig.feed_bytes(&crate::PREFACE);
    let early = rig.open();
    rig.feed([none]);
    let status = rig.outcome(early);
    assert_eq!((status.code(), status.not_started()), (Code::Unimplemented, true));
    assert_eq!(rig.core.open(Open::new("a/B"), rig.now), Err(OpenError::NoCalls));
}

#[test] // [CAL-001] [SLT-002]
fn a_call_can_be_refused_before_it_exists() {
    let mut rig = Rig::connecting();
    for length in [0, 1025] {
        let refused = rig.core.open(Open::new("x".repeat(length)), rig.now);
        assert_eq!(refused, Err(OpenError::MethodName { length }));
    }
    rig.feed([goaway(0, ErrorCode::None)]);
    let refused = rig.core.open(Open::new("a/B"), rig.now);
    assert_eq!(refused, Err(OpenError::Connection(ConnectionError::Draining)));
}
