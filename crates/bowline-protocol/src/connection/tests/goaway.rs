//! GOAWAY and drains.

use std::time::Duration;

use super::raw::{cancel, data, finish, goaway, hello, id, ping, pong, request, status};
use super::rig::Rig;
use crate::frame::NUMBER_END;
use crate::wire::Code;
use crate::{
    Config, ConnectionError, ErrorCode, Event, Open, OpenError, PREFACE, PeerMisbehaved, Side,
    Status,
};

const FIRST: &str = "GOAWAY last=9007199254740991 NONE";

#[test] // [GOA-003]
fn a_drain_refuses_no_call_that_was_under_way() {
    for side in [Side::Accepting, Side::Connecting] {
        let mut rig = Rig::of(side);
        let theirs = if side == Side::Accepting { 1 } else { 2 };
        rig.core.drain();
        rig.core.drain();
        assert_eq!(rig.sent(), [FIRST, "PING 1"]);
        // Opened before the peer heard of it.
        rig.taken(theirs);
        assert_eq!(rig.sent(), [""; 0]);
        rig.feed([pong(1)]);
        assert_eq!(rig.sent(), [format!("GOAWAY last={theirs} NONE")]);
        assert!(!rig.core.is_write_ended(), "the call goes on");
        rig.end(id(theirs), Status::not_found(""));
        assert_eq!(rig.sent().len(), 1);
        assert!(rig.core.is_write_ended());
    }
}

#[test] // [GOA-001]
fn last_is_what_it_is_when_goaway_moves() {
    let mut config = Config::new(Side::Accepting);
    config.limits.output_max = 1;
    let mut rig = Rig::established(config, &hello());
    rig.core.drain();
    rig.sent();
    rig.feed([pong(1), ping(9)]);
    // The drain is decided, but GOAWAY has not moved: the calls that come are taken.
    rig.poll();
    rig.events();
    rig.taken(7);
    rig.write(usize::MAX);
    rig.poll();
    assert_eq!(rig.sent(), ["GOAWAY last=7 NONE"]);
    // A side that takes no calls has none that may have started.
    let mut rig = Rig::established(Config::new(Side::Connecting), &hello());
    rig.core.drain();
    assert_eq!(rig.sent(), ["GOAWAY last=0 NONE"]);
}

#[test] // [GOA-001] [CAL-003]
fn requests_above_last_are_skipped() {
    let mut rig = Rig::accepting();
    rig.feed([request(1).method("a/B").number(1)]);
    rig.events();
    rig.core.drain();
    rig.sent();
    rig.feed([pong(1)]);
    assert_eq!(rig.sent(), ["GOAWAY last=1 NONE"]);
    rig.events();
    // Not checked, no slot, no answer, however many they are.
    rig.feed([
        request(3).method("").number(9).entry("BAD", ""),
        data(3, "x"),
        cancel(3),
        cancel(3),
    ]);
    rig.feed([request(5).body([0xff])]);
    rig.feed((3..10_003).map(|i| request(2 * i + 1).method("x/Y").number(1)));
    assert_eq!((rig.events(), rig.sent(), rig.core.responding()), (vec![], vec![], 1));
    // They raise the highest id.
    let mut lower = Rig::accepting();
    lower.taken(1);
    lower.core.drain();
    lower.sent();
    lower.feed([pong(1)]);
    lower.sent();
    lower.feed([request(9), finish(7)]);
    assert_eq!(lower.core.error(), None, "7 is at or below the highest");
    lower.expect_breach([request(9)], ErrorCode::CallId, "CAL-001");
    // An error later tells the same `last`.
    rig.feed([data(1 << 30 | 1, "")]);
    let sent = rig.sent();
    assert!(sent[0].starts_with("GOAWAY last=1 CALL_ID"), "{sent:?}");
}

#[test] // [GOA-002]
fn goaway_ends_what_was_not_started_and_nothing_else() {
    let mut rig = Rig::connecting();
    let calls: Vec<_> = (0..66).map(|_| rig.open()).collect();
    rig.sent();
    rig.taken(2);
    rig.call(calls[2]).cancel();
    rig.sent();
    rig.feed([goaway(calls[1].number(), ErrorCode::None)]);
    assert_eq!(rig.events(), [Event::GoAway { last: 3 }]);
    for (i, call) in calls.iter().enumerate() {
        match i {
            0 | 1 => assert!(rig.core.call(*call).is_some()),
            2 => assert!(rig.core.call(*call).is_none(), "it was given up"),
            _ => {
                let status = rig.outcome(*call);
                assert_eq!((status.code(), status.not_started()), (Code::Unavailable, true));
            }
        }
    }
    assert_eq!(rig.core.slots_used(), 2);
    let refused = rig.core.open(Open::new("a/B"), rig.now);
    assert_eq!(refused, Err(OpenError::Connection(ConnectionError::Draining)));
    // The others go on in both directions, and the peer may still open calls.
    rig.send(calls[0], b"more", true);
    rig.feed([data(1, "answer").end()]);
    rig.taken(4);
    assert_eq!(rig.message(calls[0]), "answer");
    rig.end(id(2), Status::not_found(""));
    assert_eq!(rig.sent(), ["STATUS 2 NOT_FOUND"]);
    // Frames for calls that were refused are skipped.
    rig.feed([data(131, "?"), status(131, Code::Ok, "")].map(|frame| frame.call(127)));
    assert_eq!(rig.core.error(), None);
}

#[test] // [GOA-002]
fn calls_that_wait_are_not_started_even_below_last() {
    let mut rig = Rig::new(Config::new(Side::Connecting));
    let calls: Vec<_> = (0..65).map(|_| rig.open()).collect();
    rig.sent();
    rig.feed_bytes(&PREFACE);
    rig.feed([hello(), goaway(NUMBER_END - 1, ErrorCode::None)]);
    assert!(rig.outcome(calls[64]).not_started());
    assert_eq!(rig.core.slots_used(), 64);
}

#[test] // [GOA-002]
fn a_side_that_drains_may_still_open_calls() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.core.drain();
    rig.sent();
    rig.feed([pong(1)]);
    rig.sent();
    let call = rig.opened();
    rig.feed([data(call.number(), "r").end()]);
    assert_eq!(rig.message(call), "r");
}

#[test] // [GOA-003]
fn last_never_rises() {
    let mut rig = Rig::connecting();
    for last in [NUMBER_END - 1, 100, 100, 7, 0] {
        rig.feed([goaway(last, ErrorCode::None)]);
    }
    let lasts: Vec<_> = rig.events();
    assert_eq!(lasts, [NUMBER_END - 1, 100, 7, 0].map(|last| Event::GoAway { last }));
    for (first, second) in [(5, 7), (0, 1), (5, NUMBER_END), (5, NUMBER_END - 1)] {
        let mut rig = Rig::connecting();
        // A live call keeps the connection open.
        rig.taken(2);
        let frames = [goaway(first, ErrorCode::None), goaway(second, ErrorCode::None)];
        let error = rig.expect_breach(frames, ErrorCode::Goaway, "GOA-003");
        assert_eq!(error, PeerMisbehaved::GoAwayRaised { last: second, earlier: first });
    }
    for last in [NUMBER_END, u64::MAX] {
        for code in [ErrorCode::None, ErrorCode::Internal] {
            let frame = goaway(last, code);
            Rig::accepting().expect_breach([frame], ErrorCode::Goaway, "GOA-003");
        }
    }
}

#[test] // [GOA-004]
fn goaway_with_a_code_ends_the_connection() {
    let mut rig = Rig::connecting();
    let calls: Vec<_> = (0..3).map(|_| rig.open()).collect();
    rig.taken(2);
    rig.sent();
    rig.feed([goaway(3, ErrorCode::Internal), request(4), ping(1)]);
    for (call, not_started) in calls.into_iter().zip([false, false, true]) {
        assert_eq!(rig.outcome(call).not_started(), not_started);
    }
    let closed = ConnectionError::PeerClosed { code: ErrorCode::Internal, text: String::new() };
    assert_eq!(rig.core.error(), Some(&closed));
    assert_eq!(rig.events(), [Event::Stopped(id(2), crate::StopReason::Lost)]);
    assert_eq!(rig.sent(), [""; 0], "no answer");
    assert!(rig.core.is_write_ended());
    assert_eq!(rig.fire(), Duration::from_secs(1));
    assert_eq!(rig.events(), [Event::Closed(Some(closed))]);
    // Every code is known by its name, and one from the future is not an error.
    let mut rig = Rig::connecting();
    let unknown = goaway(0, ErrorCode::None).with(|body: &mut crate::wire::GoAway| body.code = 999);
    rig.feed([unknown]);
    let error = rig.core.error();
    assert!(matches!(error, Some(ConnectionError::PeerClosed { code: ErrorCode::Internal, .. })));
}

#[test] // [GOA-004] [ERR-001]
fn goaway_with_a_code_is_the_last_frame() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.send(id(1), b"moved", false);
    rig.poll();
    rig.send(id(1), b"not moved", false);
    rig.core.ping();
    rig.core.drain();
    rig.feed([ping(3)]);
    rig.core.abort(ErrorCode::Shutdown, &"€".repeat(1_000), rig.now);
    let sent = rig.sent();
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_eq!(sent[0], "DATA 1 \"moved\"");
    let text = "€".repeat(341);
    assert_eq!(sent[1], format!("GOAWAY last=1 SHUTDOWN {text:?}"), "cut between characters");
    rig.core.abort(ErrorCode::Internal, "", rig.now);
    assert_eq!(rig.sent(), [""; 0]);
}

#[test] // [CLS-002]
fn goaway_is_answered_when_no_call_is_live() {
    for side in [Side::Accepting, Side::Connecting] {
        let (ours, theirs) = if side == Side::Accepting { (2, 1) } else { (1, 2) };
        let mut rig = Rig::of(side);
        rig.opened();
        rig.taken(theirs);
        rig.feed([goaway(ours, ErrorCode::None)]);
        assert_eq!(rig.sent(), [""; 0]);
        rig.feed([status(ours, Code::Ok, "")]);
        assert_eq!(rig.sent(), [""; 0], "one is left");
        rig.end(id(theirs), Status::not_found(""));
        let sent = rig.sent();
        assert_eq!(sent[1], format!("GOAWAY last={theirs} NONE"));
        assert!(rig.core.is_write_ended());
    }
    // At once, if there is none.
    let mut rig = Rig::accepting();
    rig.feed([goaway(0, ErrorCode::None)]);
    assert_eq!(rig.sent(), ["GOAWAY last=0 NONE"]);
    // In the midst of a drain of its own, too: nobody has to wait for the PING.
    let mut rig = Rig::accepting();
    rig.core.drain();
    rig.sent();
    rig.feed([goaway(0, ErrorCode::None)]);
    assert_eq!(rig.sent(), ["GOAWAY last=0 NONE"]);
}

#[test] // [GOA-003] [HEL-005]
fn a_drain_that_is_asked_for_early_waits_for_hello() {
    let mut rig = Rig::new(Config::new(Side::Connecting));
    let call = rig.open();
    rig.core.drain();
    let sent = rig.sent();
    assert_eq!(sent.len(), 3, "preface, HELLO and REQUEST: {sent:?}");
    rig.feed_bytes(&PREFACE);
    rig.feed([hello()]);
    assert_eq!(rig.sent(), ["GOAWAY last=0 NONE"]);
    rig.feed([status(call.number(), Code::Ok, "")]);
    rig.sent();
    assert!(rig.core.is_write_ended());
}
