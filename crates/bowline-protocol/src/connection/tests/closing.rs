//! How connections end: cleanly, by loss, by a failed write, by silence.

use std::time::Duration;

use super::raw::{data, finish, goaway, id, ping, pong, request, status};
use super::rig::Rig;
use crate::wire::Code;
use crate::{
    Config, ConnectionError, ErrorCode, Event, Open, PREFACE, Side, Status, StopReason, TimedOut,
};

const SECOND: Duration = Duration::from_secs(1);

/// An idle accepting side that has drained, with its GOAWAY still in the output.
fn finishing() -> Rig {
    let mut rig = Rig::accepting();
    rig.core.drain();
    rig.sent();
    rig.feed([pong(1)]);
    rig.events();
    rig.poll();
    assert!(rig.core.is_write_ended() && !rig.out.is_empty());
    rig
}

#[test] // [CLS-001]
fn a_drained_side_ends_its_writing_and_waits_for_the_end_of_the_stream() {
    let mut rig = finishing();
    rig.sent();
    // What comes now is discarded, whatever it is.
    rig.feed([request(1), data(99, "x"), goaway(u64::MAX, ErrorCode::None)]);
    assert_eq!((rig.events(), rig.sent()), (vec![], vec![]));
    rig.eof();
    assert_eq!(rig.events(), [Event::Closed(None)]);
    // For a second at most.
    let mut rig = finishing();
    rig.sent();
    assert_eq!(rig.fire(), SECOND);
    assert_eq!(rig.events(), [Event::Closed(None)]);
    assert!(rig.core.open(Open::new("a/B"), rig.now).is_err());
}

#[test] // [CLS-001]
fn the_second_begins_when_the_output_has_been_written() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.send(id(1), &[7; 60_000], true);
    rig.core.drain();
    rig.poll();
    rig.feed([pong(1)]);
    rig.poll();
    assert!(rig.core.is_write_ended());
    rig.events();
    // A peer that reads slowly still gets its answer.
    let mut got = 0;
    for _ in 0..61 {
        rig.advance(20 * SECOND);
        rig.core.handle_timeout(rig.now);
        got += rig.write(1_000).len();
        rig.poll();
        assert!(!rig.core.is_closed());
    }
    assert!(got > 60_000 && rig.out.is_empty());
    assert_eq!(rig.fire(), SECOND);
    assert_eq!(rig.events(), [Event::Closed(None)]);
    // One that does not read at all is given up.
    let mut rig = finishing();
    assert_eq!(rig.fire(), Duration::from_secs(30));
    assert_eq!(rig.events(), [Event::Closed(Some(ConnectionError::TimedOut(TimedOut::Stall)))]);
}

#[test] // [CLS-001]
fn a_first_goaway_alone_ends_nothing() {
    let mut rig = Rig::accepting();
    rig.core.drain();
    rig.sent();
    assert!(!rig.core.is_write_ended());
    assert!(rig.core.is_draining());
}

#[test] // [CLS-003]
fn the_end_of_the_stream_is_clean_between_frames_without_a_call() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.end(id(1), Status::ok());
    rig.sent();
    rig.eof();
    assert_eq!(rig.events(), [Event::Closed(None)]);
    rig.eof();
    assert_eq!((rig.events(), rig.core.poll_timeout()), (vec![], None));
}

#[test] // [CLS-001]
fn a_drain_waits_no_longer_than_a_second_for_a_client_that_says_nothing() {
    for begun in [&PREFACE[..0], &PREFACE[..]] {
        let mut rig = Rig::new(Config::new(Side::Accepting));
        rig.feed_bytes(begun);
        rig.core.drain();
        assert_eq!(rig.fire(), SECOND);
        assert_eq!(rig.core.error(), Some(&ConnectionError::TimedOut(TimedOut::Handshake)));
    }
}

#[test] // [CLS-003]
fn a_client_that_leaves_before_its_preface_has_lost_nothing() {
    for begun in [&PREFACE[..0], &PREFACE[..7]] {
        let mut rig = Rig::new(Config::new(Side::Accepting));
        rig.feed_bytes(begun);
        rig.eof();
        assert_eq!(rig.events(), [Event::Closed(None)]);
    }
}

#[test] // [CLS-003]
fn any_other_end_of_the_stream_is_a_loss() {
    let lost = || Event::Closed(Some(ConnectionError::Eof));
    // Inside a frame, also a skipped one.
    for begun in
        [&ping(1).encode()[..5], &ping(1).encode()[..20], &data(1, "x").kind(0x99).encode()[..16]]
    {
        let mut rig = Rig::accepting();
        rig.feed_bytes(begun);
        rig.eof();
        assert_eq!(rig.events(), [lost()]);
    }
    // With a live call, each way; even after its END, as there is no half-open use.
    let mut rig = Rig::accepting();
    rig.feed([request(1), data(1, "all").end()]);
    rig.events();
    rig.eof();
    assert_eq!(rig.events(), [Event::Stopped(id(1), StopReason::Lost), lost()]);
    assert_eq!(rig.core.responding(), 1, "until its handler has ended");
    rig.end(id(1), Status::ok());
    assert_eq!((rig.core.responding(), rig.sent()), (0, vec![]));
    let mut rig = Rig::connecting();
    let call = rig.opened();
    rig.feed([data(1, "part")]);
    rig.eof();
    assert_eq!(rig.events(), [lost()]);
    assert_eq!(rig.message(call), "part", "what came is still there");
    let status = rig.outcome(call);
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, false));
    // With a call that was given up, but whose terminal frame is missing.
    let mut rig = Rig::connecting();
    let call = rig.opened();
    rig.call(call).cancel();
    rig.eof();
    assert_eq!(rig.events(), [lost()]);
    // Before HELLO.
    let mut rig = Rig::new(Config::new(Side::Accepting));
    rig.feed_bytes(&PREFACE);
    rig.eof();
    assert_eq!(rig.events(), [lost()]);
}

#[test] // [CLS-003] [SLT-003]
fn calls_that_wait_have_not_started_when_the_connection_is_lost() {
    let mut rig = Rig::connecting();
    let calls: Vec<_> = (0..65).map(|_| rig.open()).collect();
    rig.sent();
    rig.eof();
    assert!(!rig.outcome(calls[63]).not_started());
    assert!(rig.outcome(calls[64]).not_started());
}

#[test] // [CLS-004]
fn input_is_discarded_for_a_second_after_an_error() {
    let mut rig = Rig::accepting();
    rig.feed([data(1, "never opened")]);
    assert_eq!(rig.sent().len(), 1);
    for _ in 0..9 {
        rig.advance(SECOND / 10);
        rig.core.handle_timeout(rig.now);
        rig.feed_bytes(&[0xff; 10_000]);
        assert_eq!((rig.left(), rig.core.is_closed()), (0, false));
    }
    assert_eq!(rig.fire(), SECOND / 10, "it is not prolonged");
    assert!(rig.core.is_closed());
    let mut rig = Rig::accepting();
    rig.feed([data(1, "never opened")]);
    rig.eof();
    assert!(rig.core.is_closed(), "or until the end of the stream");
}

#[test] // [CLS-005]
fn a_failed_write_does_not_end_reading() {
    let mut rig = Rig::connecting();
    let (first, second) = (rig.opened(), rig.opened());
    rig.core.handle_write_failed(rig.now);
    assert_eq!(rig.sent(), [""; 0]);
    rig.feed([data(1, "answer").end(), goaway(1, ErrorCode::Shutdown)]);
    assert_eq!(rig.message(first), "answer");
    assert_eq!(rig.outcome(first).code(), Code::Ok);
    let status = rig.outcome(second);
    assert!(status.not_started() && status.message().contains("SHUTDOWN"), "{status}");
}

#[test] // [CLS-005]
fn a_failed_write_ends_the_connection_within_a_second() {
    for handshake in [0, 8, 9] {
        let mut rig = Rig::new(Config::new(Side::Connecting));
        let call = rig.open();
        rig.sent();
        rig.feed_bytes(&PREFACE[..handshake.min(8)]);
        if handshake > 8 {
            rig.feed([super::raw::hello()]);
        }
        rig.events();
        rig.core.handle_write_failed(rig.now);
        assert_eq!(rig.fire(), SECOND);
        assert_eq!(rig.events(), [Event::Closed(Some(ConnectionError::Eof))]);
        let status = rig.outcome(call);
        assert_eq!((status.code(), status.not_started()), (Code::Unavailable, false));
    }
}

#[test] // [OUT-004]
fn output_that_moves_no_byte_ends_the_connection() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.send(id(1), &[0; 60_000], false);
    // One poll is enough: a driver that is blocked in writing does not come back.
    rig.poll();
    rig.advance(29 * SECOND);
    let mut bytes = rig.write(1);
    rig.poll();
    assert_eq!(rig.fire(), Duration::from_secs(30), "a byte has moved");
    assert_eq!(rig.core.error(), Some(&ConnectionError::TimedOut(TimedOut::Stall)));
    bytes.extend(rig.sent_bytes());
    let last = super::raw::Raw::decode_all(&bytes).pop().unwrap().describe();
    assert!(last.starts_with("GOAWAY last=1 STALLED"), "{last}");
}

#[test] // [OUT-004]
fn output_that_waits_for_credit_is_no_output() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.send(id(1), &[0; 65_520], false);
    rig.send(id(1), b"waits", true);
    rig.sent();
    assert_eq!(rig.core.poll_timeout(), None);
}

#[test] // [CLS-003]
fn keepalive_asks_and_gives_up() {
    let mut config = Config::new(Side::Accepting);
    config.limits.keepalive = Some(SECOND);
    let mut rig = Rig::established(config, &super::raw::hello());
    assert_eq!(rig.fire(), SECOND);
    assert_eq!(rig.sent(), ["PING 1"]);
    rig.advance(SECOND / 2);
    rig.feed([ping(1)]);
    assert_eq!(rig.fire(), SECOND, "anything that is read is a sign of life");
    rig.sent();
    assert_eq!(rig.fire(), SECOND);
    assert_eq!(rig.core.error(), Some(&ConnectionError::TimedOut(TimedOut::Keepalive)));
    let sent = rig.sent();
    assert!(sent[0].starts_with("GOAWAY last=0 TIMED_OUT"), "{sent:?}");
    // It is off by default.
    assert_eq!(Rig::accepting().core.poll_timeout(), None);
}

#[test] // [CLS-001] [CLS-003]
fn the_last_call_of_a_drain_may_be_the_peers_or_ours() {
    let mut rig = Rig::accepting();
    let call = rig.opened();
    rig.taken(1);
    rig.core.drain();
    rig.sent();
    rig.feed([pong(1), finish(1)]);
    rig.end(id(1), Status::not_found(""));
    rig.sent();
    assert!(!rig.core.is_write_ended());
    rig.feed([status(call.number(), Code::Ok, "")]);
    rig.sent();
    assert!(rig.core.is_write_ended());
}
