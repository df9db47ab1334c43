//! Headers and bodies: what is refused, ignored and skipped, however the bytes are cut.

use std::time::Duration;

use super::raw::{
    Raw, cancel, credit, data, finish, goaway, grease, hello, id, ping, pong, request, response,
    status,
};
use super::rig::Rig;
use crate::frame::NUMBER_END;
use crate::wire::Code;
use crate::{Config, ConnectionError, ErrorCode, Event, PREFACE, PeerMisbehaved, Side, TimedOut};

#[test] // [FRM-001]
fn a_body_over_the_limit_is_refused_before_it_comes() {
    let accepting = [
        (data(1, ""), 131_073, 131_072),
        (grease(0), 131_073, 131_072),
        (grease(0), u32::MAX, 131_072),
        (ping(0), 16_385, 16_384),
        (goaway(0, ErrorCode::None), 1 << 31, 16_384),
        (request(1), 16_385, 16_384),
        (finish(1), u32::MAX, 16_384),
        (cancel(1), 16_385, 16_384),
        (credit(1, 1), 16_385, 16_384),
    ];
    for (frame, length, limit) in accepting {
        let kind = frame.header.kind;
        let header_alone = frame.body([]).length(length);
        let error = Rig::accepting().expect_breach([header_alone], ErrorCode::FrameSize, "FRM-001");
        assert_eq!(error, PeerMisbehaved::FrameTooLong { kind, length, limit });
    }
    for frame in [response(1), status(1, Code::Ok, "")] {
        let header_alone = frame.body([]).length(16_385);
        Rig::connecting().expect_breach([header_alone], ErrorCode::FrameSize, "FRM-001");
    }
    let mut rig = Rig::accepting();
    rig.feed([grease(131_072)]);
    assert_eq!(rig.core.error(), None, "the limit itself is allowed");
}

#[test] // [FRM-002]
fn unknown_types_are_refused_below_0x80_and_ignored_from_there_on() {
    for kind in [0x00, 0x04, 0x0f, 0x17, 0x7f] {
        let unknown = ping(0).kind(kind);
        let error = Rig::accepting().expect_breach([unknown], ErrorCode::FrameType, "FRM-002");
        assert_eq!(error, PeerMisbehaved::UnknownType { kind });
    }
    let mut rig = Rig::accepting();
    for kind in 0x80..=0xff {
        // Neither flags nor the call are looked at.
        rig.feed([grease(20).kind(kind).flags(0xff).call(u64::MAX).reserved(9)]);
    }
    rig.feed([ping(3)]);
    assert_eq!((rig.sent(), rig.events()), (vec!["PING ACK 3".to_owned()], vec![]));
}

#[test] // [FRM-003]
fn critical_flags_that_a_type_does_not_have_are_refused() {
    let refused = [
        (ping(0), 0x02),
        (goaway(0, ErrorCode::None), 0x01),
        (request(1), 0x01),
        (finish(1), 0x02),
        (cancel(1), 0x08),
        (credit(1, 1), 0x04),
        (data(1, "x"), 0x03),
        (data(1, "x"), 0x04),
        (data(1, "x"), 0xff),
    ];
    for (frame, flags) in refused {
        let frame = frame.flags(flags);
        Rig::accepting().expect_breach([frame], ErrorCode::FrameFlags, "FRM-003");
    }
}

#[test] // [FRM-003] [FRM-004]
fn grease_in_known_frames_is_ignored() {
    let mut rig = Rig::accepting();
    let greased = |frame: Raw| frame.flags(0xf0).reserved(0xff);
    rig.feed([ping(5), request(1), data(1, "hi"), credit(1, 7)].map(greased));
    rig.feed([greased(data(1, "end").end())]);
    assert_eq!(rig.sent(), ["PING ACK 5"]);
    assert_eq!(rig.message(id(1)), "hi");
    assert_eq!(rig.message(id(1)), "end");
    rig.end(id(1), crate::Status::not_found("no"));
    let sent = rig.frames();
    assert!(sent.iter().all(|frame| frame.header.reserved == 0), "sent as 0");
}

#[test] // [FRM-005]
fn call_ids_stand_where_they_belong() {
    for frame in [ping(1), pong(1), goaway(0, ErrorCode::None), hello()] {
        Rig::accepting().expect_breach([frame.call(1)], ErrorCode::CallId, "FRM-005");
    }
    for call in [0, NUMBER_END, NUMBER_END + 1, u64::MAX] {
        for frame in [request(1), data(1, "x"), finish(1), cancel(1), credit(1, 1)] {
            let error =
                Rig::accepting().expect_breach([frame.call(call)], ErrorCode::CallId, "FRM-005");
            assert!(matches!(error, PeerMisbehaved::CallIdMisplaced { .. }), "{error}");
        }
    }
    let mut rig = Rig::accepting();
    rig.taken(NUMBER_END - 1);
}

#[test] // [FRM-006]
fn each_type_comes_from_the_side_whose_it_is() {
    // In their own call's direction, and in ours: the frames are wrong wherever the call is.
    for opened in [false, true] {
        let side = Side::Accepting;
        let rig = || {
            let mut rig = Rig::of(side);
            if opened {
                rig.taken(1);
                rig.opened();
            }
            rig
        };
        let error = rig().expect_breach([request(2)], ErrorCode::CallId, "FRM-006");
        assert_eq!(error, PeerMisbehaved::RequestParity { call: 2 });
        for frame in [finish(2), cancel(2), response(1), status(1, Code::Ok, "")] {
            let error = rig().expect_breach([frame], ErrorCode::CallState, "FRM-006");
            assert!(matches!(error, PeerMisbehaved::WrongRole { .. }), "{error}");
        }
    }
    Rig::connecting().expect_breach([request(1)], ErrorCode::CallId, "FRM-006");
}

#[test] // [FRM-001] [FRM-002] [FRM-003] [FRM-005] [FRM-006]
fn the_first_check_that_fails_names_the_error() {
    let all_wrong = response(1).flags(0x0f).call(u64::MAX);
    let long = all_wrong.clone().body([]).length(16_385);
    Rig::accepting().expect_breach([long], ErrorCode::FrameSize, "FRM-001");
    let unknown = all_wrong.clone().kind(0x44);
    Rig::accepting().expect_breach([unknown], ErrorCode::FrameType, "FRM-002");
    Rig::accepting().expect_breach([all_wrong], ErrorCode::FrameFlags, "FRM-003");
    let no_call = finish(0).fds(3);
    Rig::accepting().expect_breach([no_call], ErrorCode::CallId, "FRM-005");
    let wrong_role = finish(2).fds(3);
    Rig::accepting().expect_breach([wrong_role], ErrorCode::CallState, "FRM-006");
}

/// Bodies that no protobuf decoder may take, for REQUEST.
fn undecodable() -> Vec<(&'static str, Vec<u8>)> {
    let any = |depth: usize| {
        // Unknown groups: field 15, start and end.
        let mut bytes = vec![0x7b; depth];
        bytes.extend(vec![0x7c; depth]);
        bytes
    };
    vec![
        ("a varint cut short", vec![0x10, 0x80]),
        ("a varint of eleven bytes", [&[0x18][..], &[0x80; 10], &[1]].concat()),
        ("a field number of 0", vec![0x02, 0x00]),
        ("a wire type that is none", vec![0x0f]),
        ("a field number beyond 2^29 - 1", vec![0x80, 0x80, 0x80, 0x80, 0x10, 0x00]),
        ("a wrong wire type", vec![0x08, 0x01]),
        ("a length past the end", vec![0x0a, 0x05, b'a']),
        ("a string that is not UTF-8", vec![0x0a, 0x02, 0xc3, 0x28]),
        ("nesting of 101", any(101)),
        ("nesting of 8,000", any(8_000)),
        ("a group without an end", vec![0x7b]),
        ("an end without a group", vec![0x7c]),
    ]
}

#[test] // [FRM-007]
fn a_body_that_does_not_decode_is_refused() {
    for (what, body) in undecodable() {
        let error = Rig::accepting().breach([request(1).body(body)]);
        assert_eq!((error.code(), error.requirement()), (ErrorCode::Decode, "FRM-007"), "{what}");
    }
    let garbage = vec![0x0a, 0x05];
    for frame in [goaway(0, ErrorCode::None), finish(1), cancel(1), credit(1, 1)] {
        let frames = [request(1), frame.body(garbage.clone())];
        Rig::accepting().expect_breach(frames, ErrorCode::Decode, "FRM-007");
    }
    for frame in [response(1), status(1, Code::Ok, "")] {
        let mut rig = Rig::connecting();
        rig.opened();
        rig.expect_breach([frame.body(garbage.clone())], ErrorCode::Decode, "FRM-007");
    }
    let mut rig = Rig::new(Config::new(Side::Accepting));
    rig.feed_bytes(&PREFACE);
    rig.expect_breach([hello().body(garbage)], ErrorCode::Decode, "FRM-007");
}

#[test] // [FRM-007]
fn unknown_fields_are_ignored_and_the_last_scalar_counts() {
    let mut rig = Rig::accepting();
    // Every wire type under unknown numbers, then the method twice.
    let mut body =
        vec![0x78, 0x01, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7a, 0x01, 0xff, 0x7d, 1, 2, 3, 4];
    body.extend([0x7b, 0x78, 0x01, 0x7c]);
    body.extend(b"\x0a\x03a/B\x0a\x03c/D");
    rig.feed([request(1).body(body)]);
    let events = rig.events();
    let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(&*request.method, "c/D");
}

#[test] // [FRM-001]
fn bytes_may_be_cut_anywhere() {
    let script = [
        request(1).entry("k", "v"),
        data(1, "one"),
        grease(40),
        ping(77),
        data(1, "two").end(),
        data(3, "skipped"),
    ];
    let script: Vec<u8> = script
        .into_iter()
        .chain([request(5), cancel(5)])
        // Call 3 was skipped, its frames are, too, once 5 is known.
        .enumerate()
        .map(|(i, frame)| if i == 5 { grease(9) } else { frame })
        .flat_map(|frame| frame.encode())
        .collect();
    let run = |chunks: &[&[u8]]| {
        let mut rig = Rig::accepting();
        chunks.iter().for_each(|chunk| rig.feed_bytes(chunk));
        assert_eq!(rig.left(), 0);
        let messages = [rig.message(id(1)), rig.message(id(1))];
        (rig.events(), messages, rig.sent())
    };
    // Deadlines are instants of each run's own clock, and there are none here.
    let whole = run(&[&script]);
    for at in 1..script.len() {
        let (a, b) = script.split_at(at);
        assert_eq!(run(&[a, b]), whole, "cut at {at}");
    }
    let bytes: Vec<&[u8]> = script.chunks(1).collect();
    assert_eq!(run(&bytes), whole);
    let threes: Vec<&[u8]> = script.chunks(3).collect();
    assert_eq!(run(&threes), whole);
}

#[test] // [CAL-003]
fn a_skipped_body_is_passed_over_as_it_comes() {
    let mut rig = Rig::accepting();
    let bytes = grease(100_000).encode();
    rig.feed_bytes(&bytes[..50_000]);
    assert_eq!(rig.left(), 0, "nothing is kept");
    assert_eq!(rig.core.input_hint(), bytes.len() - 50_000);
    rig.feed_bytes(&bytes[50_000..]);
    assert_eq!(rig.core.input_hint(), 0);
    rig.feed([ping(1)]);
    assert_eq!(rig.sent(), ["PING ACK 1"]);
}

#[test] // [FRM-001]
fn a_frame_that_stays_incomplete_ends_the_connection() {
    for begun in
        [&ping(1).encode()[..3], &data(1, [0; 900]).encode()[..600], &grease(900).encode()[..600]]
    {
        let mut rig = Rig::accepting();
        rig.taken(1);
        rig.feed_bytes(begun);
        // More bytes of the same frame do not help.
        rig.advance(Duration::from_secs(20));
        rig.feed_bytes(&[0]);
        assert_eq!(rig.fire(), Duration::from_secs(10));
        assert_eq!(rig.core.error(), Some(&ConnectionError::TimedOut(TimedOut::Frame)));
        let sent = rig.sent();
        assert!(sent[0].starts_with("GOAWAY last=1 TIMED_OUT"), "{sent:?}");
    }
}

#[test] // [FRM-001]
fn each_frame_has_its_own_time() {
    // The second frame begins in the same read in which the first one ends, and the third in the
    // one in which the second ends.
    let frames = [data(1, [1; 50]).encode(), grease(50).encode(), data(1, [2; 50]).encode()];
    for order in [[0, 1, 0], [1, 0, 1], [1, 1, 1], [0, 2, 0]] {
        let mut rig = Rig::accepting();
        rig.taken(1);
        let bytes: Vec<u8> = order.iter().flat_map(|i| frames[*i].clone()).collect();
        for chunk in [&bytes[..40], &bytes[40..100], &bytes[100..160], &bytes[160..]] {
            rig.feed_bytes(chunk);
            rig.advance(Duration::from_secs(29));
            rig.core.handle_timeout(rig.now);
            assert_eq!(rig.core.error(), None, "{order:?}");
        }
    }
}

#[test] // [PNG-001] [PNG-002] [PNG-003]
fn pings_are_answered_once_and_answers_are_counted() {
    for side in [Side::Accepting, Side::Connecting] {
        let mut rig = Rig::of(side);
        rig.feed([ping(0xdead_beef)]);
        assert_eq!(rig.sent(), [format!("PING ACK {}", 0xdead_beef_u32)]);
        rig.feed((1..=1_000).map(ping));
        assert_eq!(rig.sent(), ["PING ACK 1000"], "the last stands for all");
        // Answers that nobody asked for, also one from the future.
        rig.feed([pong(0), pong(1), pong(u64::MAX)]);
        assert_eq!((rig.events(), rig.sent()), (vec![], vec![]));
        rig.core.ping();
        rig.sent();
        let third = (rig.core.ping(), rig.core.ping()).1;
        assert_eq!(rig.sent(), ["PING 3"], "one PING for two that are owed");
        rig.feed([pong(third), pong(1), pong(third)]);
        assert_eq!(rig.events(), [Event::Pong(3)]);
        for length in [0, 7, 9] {
            let short = ping(0).body(vec![0; length]);
            let error = Rig::of(side).expect_breach([short], ErrorCode::FrameSize, "PNG-001");
            assert_eq!(error, PeerMisbehaved::PingLength { length: length as u32 });
        }
    }
}

#[test] // [PNG-001]
fn a_ping_is_answered_after_what_came_before_it() {
    let mut rig = Rig::accepting();
    rig.feed([request(1), data(1, "x").end(), ping(9)]);
    assert_eq!(rig.core.responding(), 1);
    assert_eq!(rig.sent(), ["PING ACK 9"]);
}

#[test] // [ERR-001]
fn of_a_breaching_frame_nothing_else_has_an_effect() {
    // A REQUEST with a bad entry of metadata: the call is not taken, and `last` says so.
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.feed([request(7).entry("BAD", "v")]);
    assert_eq!(rig.events(), [Event::Stopped(id(1), crate::StopReason::Lost)]);
    let sent = rig.sent();
    assert!(sent[0].starts_with("GOAWAY last=1 METADATA"), "{sent:?}");
    // DATA beyond the credit: its bytes are not delivered, and nobody is told of it.
    let mut config = Config::new(Side::Connecting);
    config.limits.window = 100_000;
    let mut rig = Rig::established(config, &hello());
    let call = rig.opened();
    assert_eq!(rig.call(call).head(), None);
    rig.feed([data(1, [7; 100_000 - 15])]);
    assert!(matches!(rig.core.error(), Some(ConnectionError::PeerMisbehaved(_))));
    assert_eq!(rig.events(), [Event::Readable(call)], "of the end");
    assert_eq!(rig.outcome(call).code(), Code::Unavailable);
    // STATUS with bad metadata: the call ends by the error, not by the status.
    let mut rig = Rig::connecting();
    let call = rig.opened();
    rig.feed([status(1, Code::NotFound, "").entry("Bad", "v")]);
    assert_eq!(rig.outcome(call).code(), Code::Unavailable);
}

#[test] // [ERR-001]
fn a_breach_fails_all_calls_and_says_which_may_have_started() {
    let mut rig = Rig::connecting();
    let (first, second) = (rig.opened(), rig.opened());
    let waiting = rig.open();
    rig.taken(2);
    rig.feed([data(2, "kept")]);
    rig.feed([finish(first.number())]);
    let events = rig.events();
    assert_eq!(events, [Event::Stopped(id(2), crate::StopReason::Lost)]);
    for (call, not_started) in [(first, false), (second, false), (waiting, true)] {
        let status = rig.outcome(call);
        assert_eq!((status.code(), status.not_started()), (Code::Unavailable, not_started));
    }
    // The handler has its time; its end is not sent.
    assert_eq!(rig.core.responding(), 1);
    rig.end(id(2), crate::Status::ok());
    assert_eq!(rig.core.responding(), 0);
    let sent = rig.sent();
    assert!(sent.len() == 1 && sent[0].starts_with("GOAWAY last=2 CALL_STATE"), "{sent:?}");
}
