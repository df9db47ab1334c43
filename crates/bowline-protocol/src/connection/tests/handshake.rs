//! Preface and HELLO.

use std::time::Duration;

use bytes::Bytes;

use super::raw::{Raw, data, frame, goaway, grease, hello, ping, request, status};
use super::rig::Rig;
use crate::frame::{FrameType, NUMBER_END};
use crate::wire::{self, Code, Feature};
use crate::{
    Config, ConnectionError, ErrorCode, Event, Open, OpenError, PREFACE, PeerIncompatible,
    PeerMisbehaved, Side, TimedOut,
};

const DESCRIPTORS: u32 = Feature::Descriptors as u32;

fn hello_with(change: impl FnOnce(&mut wire::Hello)) -> Raw {
    hello().with(change)
}

/// A side that has exchanged prefaces and waits for HELLO.
fn before_hello(side: Side) -> Rig {
    let mut rig = Rig::new(Config::new(side));
    rig.feed_bytes(&PREFACE);
    assert!(!rig.core.is_established());
    rig
}

#[test] // [PRE-001]
fn the_connecting_side_speaks_first_and_does_not_wait() {
    let mut rig = Rig::new(Config::new(Side::Connecting));
    rig.core.ping();
    let call = rig.open();
    rig.send(call, b"hi", true);
    let sent = rig.sent();
    let hello = "HELLO calls_max=0 window=262144 frame_max=131072 metadata_max=16384 \
                 message_max=4194304";
    let request = "REQUEST 1 test.Echo/Say number=1";
    assert_eq!(sent, ["preface", hello, "PING 1", request, "DATA 1 END \"hi\""]);
}

#[test] // [PRE-001] [PRE-002] [HEL-005]
fn the_accepting_side_waits_for_the_preface_and_answers_it_before_anything_else() {
    let mut rig = Rig::new(Config::new(Side::Accepting));
    rig.core.ping();
    assert_eq!(rig.sent(), [""; 0]);
    // Everything comes at once, yet only the preface is taken.
    let bytes = [&PREFACE[..], &hello().encode(), &request(1).encode()].concat();
    let mut input = bytes::BytesMut::from(&bytes[..]);
    rig.core.handle_input(&mut input, rig.now);
    assert_eq!(input.len(), bytes.len() - PREFACE.len());
    assert_eq!(rig.events(), [], "no handler starts yet");
    let sent = rig.sent();
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent[0] == "preface" && sent[1].starts_with("HELLO"), "{sent:?}");
    rig.core.handle_input(&mut input, rig.now);
    let events = rig.events();
    assert!(matches!(events[..], [Event::Hello, Event::Request(_)]), "{events:?}");
    assert_eq!(rig.sent(), ["PING 1"]);
}

#[test] // [PRE-003]
fn another_version_is_answered_with_the_preface_alone() {
    for theirs in [0, 2, 255] {
        let mut rig = Rig::new(Config::new(Side::Accepting));
        let mut preface = PREFACE;
        preface[7] = theirs;
        rig.feed_bytes(&preface);
        rig.feed_bytes(b"whatever that version says");
        assert_eq!(rig.left(), 0, "discarded");
        assert_eq!(rig.sent_bytes(), PREFACE);
        assert!(rig.core.is_write_ended() && !rig.core.is_closed());
        assert_eq!(rig.fire(), Duration::from_secs(1));
        let error = PeerIncompatible::Version { theirs, ours: 1 };
        assert_eq!(rig.events(), [Event::Closed(Some(error.into()))]);
    }
}

#[test] // [PRE-004]
fn other_letters_close_without_a_byte() {
    let strangers: [&[u8]; 5] =
        [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02", b"X", b"BOWLINX\x01", b"BOWLIN\0"];
    for letters in strangers {
        let mut rig = Rig::new(Config::new(Side::Accepting));
        rig.feed_bytes(letters);
        assert_eq!(rig.sent_bytes(), b"");
        assert!(rig.core.is_closed());
        let closed = rig.core.error();
        assert!(matches!(closed, Some(ConnectionError::PeerIncompatible(_))), "{closed:?}");
    }
    let mut rig = Rig::new(Config::new(Side::Accepting));
    for byte in &PREFACE[..7] {
        rig.feed_bytes(&[*byte]);
        assert!(!rig.core.is_closed());
    }
}

#[test] // [PRE-005]
fn a_connecting_side_closes_on_other_letters_and_other_versions() {
    for first in [*b"HTTP/1.1", *b"BOWLINE\x02", *b"BOWLINE\x00"] {
        let mut rig = Rig::new(Config::new(Side::Connecting));
        let call = rig.open();
        rig.sent();
        rig.feed_bytes(&first);
        assert!(rig.core.is_closed());
        let status = rig.outcome(call);
        assert_eq!((status.code(), status.not_started()), (Code::FailedPrecondition, true));
        assert_eq!(rig.sent_bytes(), b"");
    }
}

#[test] // [PRE-006]
fn the_end_before_a_preface_proves_that_nothing_started_where_writes_are_kept() {
    for (keeps_written, preface, not_started) in
        [(true, 0, true), (true, 7, true), (true, 8, false), (false, 0, false)]
    {
        let mut config = Config::new(Side::Connecting);
        config.keeps_written = keeps_written;
        let mut rig = Rig::new(config);
        let call = rig.open();
        rig.sent();
        rig.feed_bytes(&PREFACE[..preface]);
        rig.eof();
        let status = rig.outcome(call);
        assert_eq!((status.code(), status.not_started()), (Code::Unavailable, not_started));
    }
}

#[test] // [PRE-006]
fn nothing_is_claimed_when_this_side_gives_up_first() {
    let mut config = Config::new(Side::Connecting);
    config.keeps_written = true;
    // The peer may be writing its preface and starting the call right now.
    let mut rig = Rig::new(config.clone());
    let call = rig.open();
    rig.sent();
    rig.fire();
    assert_eq!(rig.core.error(), Some(&ConnectionError::TimedOut(TimedOut::Handshake)));
    assert!(!rig.outcome(call).not_started());
    let mut rig = Rig::new(config);
    let call = rig.open();
    rig.sent();
    rig.core.abort(ErrorCode::None, "", rig.now);
    assert!(!rig.outcome(call).not_started());
}

#[test] // [HEL-001]
fn the_first_frame_is_hello() {
    for side in [Side::Accepting, Side::Connecting] {
        let request = request(if side == Side::Accepting { 1 } else { 2 });
        for first in [ping(1), request, grease(4), goaway(0, ErrorCode::None)] {
            let error = before_hello(side).expect_breach([first], ErrorCode::Hello, "HEL-001");
            assert!(matches!(error, PeerMisbehaved::HelloMissing { .. }), "{error}");
        }
    }
    let refusal = goaway(0, ErrorCode::Busy);
    before_hello(Side::Accepting).expect_breach([refusal], ErrorCode::Hello, "HEL-001");
}

#[test] // [HEL-001]
fn there_is_one_hello() {
    for side in [Side::Accepting, Side::Connecting] {
        let error = Rig::of(side).expect_breach([hello()], ErrorCode::Hello, "HEL-001");
        assert_eq!(error, PeerMisbehaved::HelloRepeated);
    }
}

#[test] // [HEL-002]
fn limits_below_the_least_are_refused() {
    let changes: [fn(&mut wire::Hello); 10] = [
        |hello| hello.window = 65_535,
        |hello| hello.window = 0,
        |hello| hello.window = NUMBER_END,
        |hello| hello.window = u64::MAX,
        |hello| hello.frame_max = 16_383,
        |hello| hello.metadata_max = 16_383,
        |hello| hello.message_max = 65_535,
        |hello| hello.message_max = NUMBER_END,
        |hello| *hello = wire::Hello::default(),
        |hello| hello.frame_max = 0,
    ];
    for side in [Side::Accepting, Side::Connecting] {
        for change in changes {
            before_hello(side).expect_breach([hello_with(change)], ErrorCode::Hello, "HEL-002");
        }
    }
    let few = |calls_max| hello_with(|hello| hello.calls_max = calls_max);
    before_hello(Side::Connecting).expect_breach([few(63)], ErrorCode::Hello, "HEL-002");
    let mut rig = before_hello(Side::Accepting);
    rig.feed([few(0)]);
    assert!(rig.core.is_established(), "a connecting side takes calls if it likes");
}

#[test] // [HEL-002]
fn the_largest_limits_are_taken() {
    for side in [Side::Accepting, Side::Connecting] {
        let mut rig = before_hello(side);
        let call = (side == Side::Connecting).then(|| rig.open());
        rig.feed([hello_with(|hello| {
            hello.calls_max = u32::MAX;
            hello.window = NUMBER_END - 1;
            hello.frame_max = u32::MAX;
            hello.metadata_max = u32::MAX;
            hello.message_max = NUMBER_END - 1;
        })]);
        assert!(rig.core.is_established());
        let call = call.unwrap_or_else(|| rig.open());
        rig.send(call, &[7; 100_000], true);
        assert!(rig.sent().len() > 2, "the call goes out");
    }
}

#[test] // [HEL-003]
fn the_initial_limits_hold_until_hello_is_read() {
    let mut rig = Rig::new(Config::new(Side::Connecting));
    let calls: Vec<_> = (0..65).map(|_| rig.open()).collect();
    rig.send(calls[0], &[1; 65_520], false);
    rig.send(calls[1], &[1; 65_521], true);
    let mut metadata = crate::Metadata::new();
    metadata.insert("k", &"v".repeat(16_384)).unwrap();
    let open = Open::new("a/B").with_metadata(metadata.clone());
    let refused = rig.core.open(open.clone(), rig.now);
    assert!(matches!(refused, Err(OpenError::Metadata(_))), "{refused:?}");
    let frames = Raw::decode_all(&rig.sent_bytes()[8..]);
    assert!(frames.iter().all(|frame| frame.body.len() <= 16_384));
    let requests = frames.iter().filter(|f| f.header.kind == FrameType::Request as u8).count();
    assert_eq!(requests, 64);
    let sent_on = |call: u64| -> usize {
        let data = frames.iter().filter(|f| f.header.kind == 0x12 && f.header.call == call);
        data.map(|frame| frame.body.len()).sum()
    };
    assert_eq!(sent_on(1), 65_520 + 8, "it fits the window");
    assert_eq!(sent_on(3), 65_520 + 8, "it started with what it had");
    rig.feed_bytes(&PREFACE);
    rig.feed([hello_with(|hello| {
        hello.calls_max = 65;
        hello.metadata_max = 32_768;
    })]);
    assert_eq!(rig.sent(), ["REQUEST 129 number=1"]);
    assert!(rig.core.open(open, rig.now).is_ok());
}

#[test] // [HEL-004]
fn a_raised_window_reaches_the_calls_that_are_open() {
    let mut rig = Rig::new(Config::new(Side::Connecting));
    let call = rig.open();
    rig.send(call, &[1; 100_000], true);
    let before: usize = rig.frames_after_preface().iter().map(|frame| frame.body.len()).sum();
    assert!(before < 70_000, "{before}");
    rig.feed_bytes(&PREFACE);
    rig.feed([hello_with(|hello| {
        hello.window = 100_016;
        hello.message_max = 200_000;
    })]);
    let after: usize = rig.frames().iter().map(|frame| frame.body.len()).sum();
    assert_eq!(after, 100_000 - 65_520, "the rest, and no CREDIT says so");
    // The difference is not granted twice.
    rig.events();
    rig.feed([status(call.number(), Code::Ok, "")]);
    let next = rig.open();
    rig.send(next, &[1; 100_001], true);
    let sent: usize = rig.frames()[1..].iter().map(|frame| frame.body.len() - 8).sum();
    assert!(sent <= 100_000, "{sent}");
}

impl Rig {
    fn frames_after_preface(&mut self) -> Vec<Raw> {
        let bytes = self.sent_bytes();
        let frames = Raw::decode_all(bytes.strip_prefix(&PREFACE).unwrap());
        frames.into_iter().filter(|frame| frame.header.kind == FrameType::Data as u8).collect()
    }
}

#[test] // [HEL-005]
fn the_accepting_side_sends_only_hello_and_an_error_before_it_has_read_hello() {
    let mut rig = before_hello(Side::Accepting);
    rig.core.ping();
    rig.core.drain();
    rig.open();
    let sent = rig.sent();
    assert_eq!(sent.len(), 2, "{sent:?}");
    rig.core.abort(ErrorCode::Busy, "too many", rig.now);
    assert_eq!(rig.sent(), ["GOAWAY last=0 BUSY \"too many\""]);
    // The connecting side takes such a GOAWAY, and no other.
    let mut rig = before_hello(Side::Connecting);
    let call = rig.open();
    rig.sent();
    rig.feed([goaway(0, ErrorCode::Busy)]);
    assert!(rig.outcome(call).not_started());
    let closed = ConnectionError::PeerClosed { code: ErrorCode::Busy, text: String::new() };
    assert_eq!(rig.core.error(), Some(&closed));
}

#[test] // [HEL-006]
fn features_that_are_required_and_missing_end_the_connection() {
    let required = |offered, required| {
        hello_with(|hello| {
            hello.features_offered = offered;
            hello.features_required = required;
        })
    };
    for (side, first) in [
        (Side::Accepting, required(0x80, 0x80)),
        (Side::Connecting, required(DESCRIPTORS, DESCRIPTORS)),
        (Side::Accepting, required(0, DESCRIPTORS)),
    ] {
        before_hello(side).expect_breach([first], ErrorCode::Feature, "HEL-006");
    }
    let mut config = Config::new(Side::Connecting);
    config.features_offered = DESCRIPTORS;
    // Required, but not offered, although we would.
    let mut rig = Rig::new(config.clone());
    rig.feed_bytes(&PREFACE);
    rig.expect_breach([required(0, DESCRIPTORS)], ErrorCode::Feature, "HEL-006");
    config.features_required = DESCRIPTORS;
    let mut rig = Rig::new(config);
    rig.feed_bytes(&PREFACE);
    rig.expect_breach([hello()], ErrorCode::Feature, "HEL-006");
}

#[test] // [HEL-006]
fn a_feature_is_in_use_when_both_offer_it() {
    for (ours, theirs, used) in [(1, 1, 1), (1, 0, 0), (0, 1, 0), (0xf1, 0x8f, 0x81)] {
        let mut config = Config::new(Side::Connecting);
        config.features_offered = ours;
        let mut rig = Rig::new(config);
        assert_eq!(rig.core.features(), 0, "not before HELLO");
        rig.feed_bytes(&PREFACE);
        rig.feed([hello_with(|hello| hello.features_offered = theirs)]);
        assert_eq!(rig.core.features(), used);
    }
}

#[test] // [HEL-007]
fn the_token_must_be_the_expected_one() {
    let mut config = Config::new(Side::Accepting);
    config.token_expected = Some(Bytes::from_static(b"secret"));
    for wrong in ["", "Secret", "secre", "secrets", "secret\0", "ecrets"] {
        let mut rig = Rig::new(config.clone());
        rig.feed_bytes(&PREFACE);
        let hello = hello_with(|hello| hello.token = Bytes::from(wrong));
        rig.expect_breach([hello], ErrorCode::Token, "HEL-007");
    }
    let mut rig = Rig::new(config);
    rig.feed_bytes(&PREFACE);
    rig.feed([hello_with(|hello| hello.token = Bytes::from_static(b"secret"))]);
    assert!(rig.core.is_established());
    let mut config = Config::new(Side::Connecting);
    config.token = Bytes::from_static(b"secret");
    let sent = Rig::new(config).sent();
    assert!(sent[1].ends_with("token=b\"secret\""), "{sent:?}");
}

#[test] // [PRE-004]
fn a_slow_or_silent_handshake_is_cut() {
    // One byte at a time does not buy more time than silence does.
    let mut rig = Rig::new(Config::new(Side::Accepting));
    for byte in &PREFACE[..4] {
        rig.advance(Duration::from_secs(2));
        rig.feed_bytes(&[*byte]);
    }
    assert_eq!(rig.fire(), Duration::from_secs(2));
    assert_eq!(rig.sent_bytes(), b"");
    let timed_out = ConnectionError::TimedOut(TimedOut::Handshake);
    assert_eq!(rig.events(), [Event::Closed(Some(timed_out))]);
    // With a preface there is somebody to talk to.
    let mut rig = before_hello(Side::Accepting);
    assert_eq!(rig.fire(), Duration::from_secs(10));
    let sent = rig.sent();
    assert!(sent[2].starts_with("GOAWAY last=0 TIMED_OUT"), "{sent:?}");
}

#[test] // [FRM-001] [HEL-001]
fn a_hello_that_is_too_long_is_refused_by_its_header() {
    let long = frame(FrameType::Hello, 0, []).length(16_385);
    before_hello(Side::Accepting).expect_breach([long], ErrorCode::FrameSize, "FRM-001");
    let unknown = hello().body([&hello().body[..], &[0xf8, 0x07, 0x01]].concat());
    let mut rig = before_hello(Side::Accepting);
    rig.feed([unknown]);
    assert!(rig.core.is_established(), "unknown fields are ignored");
    rig.feed([data(1, "")].map(|frame| frame.kind(0xff)));
    assert!(rig.core.error().is_none());
}
