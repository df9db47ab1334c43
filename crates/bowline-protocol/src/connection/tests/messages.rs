//! Messages, whole and cut, and what ends them.

use bytes::Bytes;

use super::raw::{cancel, credit, cut, data, finish, hello, id, ping, status};
use super::rig::Rig;
use crate::frame::{HEADER_LEN, NUMBER_END};
use crate::wire::{self, Code};
use crate::{Config, ErrorCode, Event, PeerMisbehaved, Recv, SendError, Side, Status, StopReason};

#[test] // [MSG-001]
fn data_without_more_is_a_whole_message() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.feed([data(1, ""), data(1, "a"), data(1, [7; 131_000]), data(1, "").end()]);
    assert_eq!(rig.message(id(1)), "");
    assert_eq!(rig.message(id(1)), "a");
    assert_eq!(rig.message(id(1)).len(), 131_000);
    assert_eq!(rig.message(id(1)), "");
    assert_eq!(rig.recv(id(1)), Recv::Finished);
    rig.send(id(1), b"", false);
    rig.send(id(1), b"b", true);
    assert_eq!(rig.sent(), ["DATA 1 \"\"", "DATA 1 END \"b\""]);
}

#[test] // [MSG-002] [MSG-003]
fn a_cut_message_is_put_together() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.feed([cut(1, 6, "ab"), data(1, "c").more()]);
    assert_eq!(rig.recv(id(1)), Recv::Pending);
    rig.feed([data(1, "def")]);
    assert_eq!(rig.events(), [Event::Readable(id(1))]);
    assert_eq!(rig.message(id(1)), "abcdef");
    rig.feed([cut(1, 2, "x"), data(1, "y").end()]);
    assert_eq!(rig.message(id(1)), "xy");
    assert_eq!(rig.recv(id(1)), Recv::Finished);
}

#[test] // [MSG-002]
fn the_sender_announces_the_length_before_the_first_piece() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    let message: Vec<u8> = (0..40_000_u32).map(|i| i as u8).collect();
    rig.send(id(1), &message, false);
    let frames = rig.frames();
    assert_eq!(frames.iter().map(|f| f.body.len()).collect::<Vec<_>>(), [16_384, 16_384, 7_240]);
    assert_eq!(frames.iter().map(|f| f.header.flags).collect::<Vec<_>>(), [1, 1, 0]);
    assert_eq!(frames[0].body[..8], 40_000_u64.to_le_bytes());
    let bytes: Vec<u8> = frames.into_iter().flat_map(|frame| frame.body).skip(8).collect();
    assert_eq!(bytes, message);
    // What just fits a frame is not cut.
    rig.send(id(1), &message[..16_384], true);
    assert_eq!(rig.sent(), ["DATA 1 END 16384 bytes"]);
}

#[test] // [MSG-002]
fn each_piece_carries_a_byte_of_the_message() {
    let short_prefix = data(1, [1; 7]).more();
    for frames in [
        vec![cut(1, 5, "")],
        vec![data(1, "").more()],
        vec![short_prefix],
        vec![cut(1, 5, "a"), data(1, "").more()],
        vec![cut(1, 5, "a"), data(1, "")],
        vec![cut(1, 5, "a"), data(1, "").end()],
    ] {
        let mut rig = Rig::accepting();
        rig.taken(1);
        let error = rig.expect_breach(frames, ErrorCode::Message, "MSG-002");
        assert_eq!(error, PeerMisbehaved::EmptyPiece { call: 1 });
    }
}

#[test] // [MSG-003]
fn the_pieces_add_up_to_the_announced_length() {
    type Case = (Vec<super::raw::Raw>, PeerMisbehaved);
    let cases: [Case; 10] = [
        (vec![cut(1, 0, "a")], PeerMisbehaved::CutLength { call: 1, length: 0 }),
        (vec![cut(1, NUMBER_END, "a")], PeerMisbehaved::CutLength { call: 1, length: NUMBER_END }),
        (vec![cut(1, u64::MAX, "a")], PeerMisbehaved::CutLength { call: 1, length: u64::MAX }),
        (vec![cut(1, 2, "abc")], PeerMisbehaved::MessageOverrun { call: 1, length: 2 }),
        (vec![cut(1, 1, "a")], PeerMisbehaved::MoreOnLast { call: 1 }),
        (vec![cut(1, 3, "a"), data(1, "bc").more()], PeerMisbehaved::MoreOnLast { call: 1 }),
        (
            vec![cut(1, 3, "a"), data(1, "bcd")],
            PeerMisbehaved::MessageOverrun { call: 1, length: 3 },
        ),
        (
            vec![cut(1, 3, "a"), data(1, "bcd").more()],
            PeerMisbehaved::MessageOverrun { call: 1, length: 3 },
        ),
        (
            vec![cut(1, 3, "a"), data(1, "b")],
            PeerMisbehaved::MessageUnderrun { call: 1, missing: 1 },
        ),
        (
            vec![cut(1, 3, "a"), data(1, "b").end()],
            PeerMisbehaved::MessageUnderrun { call: 1, missing: 1 },
        ),
    ];
    for (frames, expected) in cases {
        let mut rig = Rig::accepting();
        rig.taken(1);
        let error = rig.expect_breach(frames.clone(), ErrorCode::Message, "MSG-003");
        assert_eq!(error, expected);
        // The other direction has the same rules, and so has a call that is being discarded.
        let mut rig = Rig::connecting();
        rig.opened();
        assert_eq!(rig.breach(frames.clone()), expected);
        let mut rig = Rig::accepting();
        rig.taken(1);
        rig.send(id(1), &[0; 65_520], false);
        rig.send(id(1), b"keeps the call alive", true);
        rig.sent();
        assert_eq!(rig.breach(frames), expected);
    }
}

#[test] // [MSG-004]
fn messages_of_one_call_never_mix() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.taken(3);
    for call in [1, 3] {
        rig.send(id(call), &[call as u8; 30_000], false);
        rig.send(id(call), &[call as u8 + 1; 30_000], true);
    }
    let mut turns = Vec::new();
    let mut messages = std::collections::BTreeMap::<u64, Vec<u8>>::new();
    for frame in rig.frames() {
        turns.push(frame.header.call);
        let begins = frame.header.more()
            && messages.get(&frame.header.call).is_none_or(|m| m.len() % 30_000 == 0);
        let body = &frame.body[if begins { 8 } else { 0 }..];
        messages.entry(frame.header.call).or_default().extend(body);
    }
    assert_eq!(turns, [1, 1, 3, 3, 1, 1, 3, 3]);
    for (call, bytes) in messages {
        let expected = [vec![call as u8; 30_000], vec![call as u8 + 1; 30_000]].concat();
        assert!(bytes == expected, "call {call}");
    }
    // While a message is there whole, it is sent whole: nothing of the second starts before.
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.send(id(1), &[0; 65_536], false);
    rig.send(id(1), b"second", false);
    assert!(!rig.sent().iter().any(|line| line.contains("second")));
}

#[test] // [MSG-005]
fn the_last_message_is_marked_or_a_frame_says_that_there_was_one() {
    let mut rig = Rig::connecting();
    let call = rig.opened();
    rig.send(call, b"a", false);
    rig.send(call, b"b", false);
    rig.call(call).finish();
    assert_eq!(rig.sent(), ["DATA 1 \"a\"", "DATA 1 END \"b\""], "it waited, so it tells it");
    let call = rig.opened();
    rig.send(call, b"a", false);
    assert_eq!(rig.sent(), ["DATA 3 \"a\""]);
    rig.call(call).finish();
    rig.call(call).finish();
    assert_eq!(rig.sent(), ["FINISH 3"]);
    let call = rig.opened();
    rig.call(call).finish();
    assert_eq!(rig.sent(), ["FINISH 5"], "none at all");
    // END on the last piece of a cut message.
    let call = rig.opened();
    rig.send(call, &[1; 20_000], true);
    assert_eq!(rig.sent(), ["DATA 7 MORE 16384 bytes", "DATA 7 END 3624 bytes"]);
    for last in [data(1, "x").end(), finish(1)] {
        let mut rig = Rig::accepting();
        rig.taken(1);
        let has_message = last.header.kind == 0x12;
        rig.feed([last]);
        if has_message {
            assert_eq!(rig.message(id(1)), "x");
        }
        assert_eq!(rig.recv(id(1)), Recv::Finished);
    }
}

#[test] // [MSG-006]
fn what_the_request_direction_does_not_allow_is_refused() {
    let cases = [
        vec![data(1, "").end(), data(1, "")],
        vec![data(1, "").end(), data(1, "").end()],
        vec![data(1, "").end(), cut(1, 5, "a")],
        vec![data(1, "").end(), finish(1)],
        vec![finish(1), finish(1)],
        vec![finish(1), data(1, "")],
        vec![cut(1, 5, "a"), finish(1)],
        vec![cancel(1), cancel(1)],
        vec![cancel(1), data(1, "")],
        vec![cancel(1), finish(1)],
        vec![cancel(1), credit(1, 5)],
        vec![finish(1), cancel(1), credit(1, 5)],
    ];
    for frames in cases {
        let mut rig = Rig::accepting();
        rig.taken(1);
        let error = rig.expect_breach(frames, ErrorCode::CallState, "MSG-006");
        assert!(matches!(error, PeerMisbehaved::CallState { call: 1, .. }), "{error}");
    }
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.feed([cut(1, 5, "a"), credit(1, 5), data(1, "bcde").end(), credit(1, 5), cancel(1)]);
    assert_eq!(rig.core.error(), None);
}

#[test] // [MSG-007] [ERR-002]
fn a_message_that_is_too_long_for_the_responder_ends_its_call() {
    let mut config = Config::new(Side::Accepting);
    config.limits.message_max = 65_536;
    for frame in [cut(1, 65_537, "a"), data(1, [0; 65_537]), data(1, [0; 65_537]).end()] {
        let mut rig = Rig::established(config.clone(), &hello());
        rig.taken(3);
        let mut rig = Rig::established(config.clone(), &hello());
        rig.taken(1);
        rig.taken(3);
        assert_eq!(rig.recv(id(1)), Recv::Pending);
        rig.feed([frame]);
        let stopped = Event::Stopped(id(1), StopReason::Limit);
        assert_eq!(rig.events(), [stopped, Event::Readable(id(1))]);
        assert_eq!(rig.core.buffered(), 0);
        assert_eq!(rig.outcome(id(1)).code(), Code::ResourceExhausted);
        rig.end(id(1), Status::ok());
        let sent = rig.sent();
        let status = sent.last().unwrap();
        assert!(status.starts_with("STATUS 1 RESOURCE_EXHAUSTED \"a message of 65537"), "{sent:?}");
        assert_eq!(rig.core.responding(), 1, "the other call goes on");
    }
    let mut rig = Rig::established(config, &hello());
    rig.taken(1);
    rig.feed([data(1, [0; 65_536])]);
    assert_eq!(rig.message(id(1)).len(), 65_536, "the limit itself is allowed");
}

#[test] // [MSG-007]
fn a_message_that_is_too_long_for_the_caller_cancels_its_call() {
    let mut config = Config::new(Side::Connecting);
    config.limits.message_max = 65_536;
    for frame in [cut(1, 65_537, "a"), data(1, [0; 65_537])] {
        let mut rig = Rig::established(config.clone(), &hello());
        let call = rig.opened();
        rig.feed([frame]);
        assert_eq!(rig.outcome(call).code(), Code::ResourceExhausted);
        assert_eq!(rig.sent(), ["CANCEL 1"]);
        rig.feed([status(1, Code::Cancelled, "")]);
        assert!(rig.core.is_idle());
    }
    // On the terminal frame there is nothing to cancel any more.
    let mut rig = Rig::established(config, &hello());
    let call = rig.opened();
    rig.feed([data(1, "fine"), data(1, [0; 65_537]).end()]);
    assert_eq!(rig.message(call), "fine");
    assert_eq!(rig.outcome(call).code(), Code::ResourceExhausted);
    assert_eq!((rig.sent(), rig.core.is_idle()), (vec![], true));
}

#[test] // [MSG-007]
fn a_sender_that_knows_the_limit_refuses_the_message() {
    let mut rig = Rig::connecting();
    let call = rig.opened();
    let long = Bytes::from(vec![0; 65_537]);
    let refused = rig.call(call).send(long.clone(), true);
    assert_eq!(refused, Err(SendError::TooLong { length: 65_537, limit: 65_536 }));
    rig.send(call, &long[..65_536], true);
    // Before HELLO it does not know.
    let mut rig = Rig::new(Config::new(Side::Connecting));
    let call = rig.open();
    rig.send(call, &long, true);
}

#[test] // [MSG-008]
fn memory_for_a_cut_message_grows_with_what_arrives() {
    let mut rig = Rig::accepting();
    for call in (0..1_000).map(|i| 2 * i + 1) {
        rig.taken(call);
        rig.feed([cut(call, 4_000_000, [1; 100])]);
    }
    assert_eq!(rig.core.buffered(), 1_000 * 116);
    assert!(rig.core.reassembly_capacity() <= 1_000 * 256, "{}", rig.core.reassembly_capacity());
    rig.feed([data(1, [1; 60_000]).more()]);
    assert!(rig.core.reassembly_capacity() <= 1_000 * 256 + 2 * 60_100);
    // Its end by STATUS or by the application gives the memory back at once.
    let mut rig = Rig::connecting();
    let (ended, given_up) = (rig.opened(), rig.opened());
    rig.feed([cut(1, 100_000, [1; 50_000]), cut(3, 100_000, [1; 50_000])]);
    rig.feed([status(1, Code::Internal, "")]);
    rig.call(given_up).cancel();
    assert_eq!((rig.core.reassembly_capacity(), rig.core.buffered()), (0, 0));
    assert_eq!(rig.outcome(ended).code(), Code::Internal);
}

#[test] // [MSG-003]
fn a_further_piece_is_taken_as_it_comes() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.feed([cut(1, 12, "ab")]);
    for (piece, left) in [(data(1, "cdefg").more(), 5), (data(1, "hijkl").end(), 5)] {
        let bytes = piece.encode();
        rig.feed_bytes(&bytes[..HEADER_LEN]);
        assert_eq!((rig.left(), rig.core.input_hint()), (0, left));
        rig.feed_bytes(&bytes[HEADER_LEN..HEADER_LEN + 2]);
        assert_eq!((rig.left(), rig.core.input_hint()), (0, left - 2));
        assert!(rig.core.poll_timeout().is_some(), "the frame is to be complete in time");
        rig.feed_bytes(&bytes[HEADER_LEN + 2..]);
        assert_eq!(rig.core.input_hint(), 0);
    }
    assert_eq!(rig.message(id(1)), "abcdefghijkl");
    assert_eq!(rig.recv(id(1)), Recv::Finished);
    assert_eq!(rig.core.poll_timeout(), None);
}

#[test] // [CAL-003] [CAL-008]
fn a_call_may_end_while_a_piece_comes() {
    let half = HEADER_LEN + 3;
    let piece = data(1, "cdefg").more().encode();
    // The terminal frame has left: the rest of the piece is passed over.
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.feed([cut(1, 12, "ab")]);
    rig.feed_bytes(&piece[..half]);
    rig.end(id(1), Status::not_found("gone"));
    assert!(rig.sent().iter().any(|frame| frame.starts_with("STATUS 1 ")));
    rig.feed_bytes(&piece[half..]);
    rig.feed([data(1, "hijkl").end(), ping(7)]);
    assert!(rig.sent().iter().any(|frame| frame.starts_with("PING")));
    assert_eq!(rig.core.buffered(), 0);
    // The caller gave it up: what comes is counted, not kept.
    let mut rig = Rig::connecting();
    let call = rig.opened();
    rig.feed([cut(1, 12, "ab")]);
    rig.feed_bytes(&piece[..half]);
    rig.call(call).cancel();
    rig.feed_bytes(&piece[half..]);
    assert_eq!((rig.core.reassembly_capacity(), rig.core.buffered()), (0, 0));
    rig.feed([data(1, "hijkl").end(), ping(7)]);
    assert!(rig.sent().iter().any(|frame| frame.starts_with("PING")));
}

#[test] // [STA-001]
fn status_ok_does_not_stand_inside_a_message() {
    let mut rig = Rig::connecting();
    rig.opened();
    let frames = [cut(1, 5, "a"), status(1, Code::Ok, "")];
    let error = rig.expect_breach(frames, ErrorCode::CallState, "STA-001");
    assert!(matches!(error, PeerMisbehaved::CallState { what: "STATUS OK", .. }), "{error}");
    // Another one does, and the message in progress is lost.
    let mut rig = Rig::connecting();
    let call = rig.opened();
    rig.feed([data(1, "whole"), cut(1, 5, "a"), status(1, Code::Aborted, "enough")]);
    assert_eq!(rig.message(call), "whole");
    let status = rig.outcome(call);
    assert_eq!((status.code(), status.message()), (Code::Aborted, "enough"));
}

#[test] // [STA-001]
fn status_carries_all_that_it_may_and_unknown_codes_read_as_unknown() {
    for (wire_code, code) in
        [(17, Code::Unknown), (u32::MAX, Code::Unknown), (16, Code::Unauthenticated)]
    {
        let mut rig = Rig::connecting();
        let call = rig.opened();
        let frame = status(1, Code::Ok, "text").entry("k", "v").with(|s: &mut wire::Status| {
            s.code = wire_code;
            s.not_started = true;
            s.details.push(prost_types::Any { type_url: "t".into(), value: vec![1] });
        });
        rig.feed([frame]);
        let status = rig.outcome(call);
        assert_eq!((status.code(), status.message()), (code, "text"));
        assert_eq!((status.details().len(), status.metadata().text("k")), (1, Some("v")));
        assert_eq!((status.not_started(), status.origin()), (true, crate::Origin::Remote));
    }
}
