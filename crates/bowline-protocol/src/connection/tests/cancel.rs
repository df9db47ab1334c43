//! CANCEL, and statuses that the responder's own side causes.

use super::raw::{cancel, credit, cut, data, finish, hello, id, ping, request, response, status};
use super::rig::Rig;
use crate::wire::Code;
use crate::{Config, Event, Metadata, Recv, SendError, Side, Status, StopReason};

#[test] // [CAN-001]
fn cancel_is_the_callers_last_frame() {
    let mut rig = Rig::connecting();
    let call = rig.opened();
    // Something of everything is owed: messages, credit.
    rig.send(call, &[0; 65_520], false);
    rig.sent();
    rig.send(call, b"waits", false);
    rig.call(call).finish();
    rig.feed([data(1, vec![0; 100_000])]);
    rig.message(call);
    rig.call(call).cancel();
    assert_eq!(rig.sent(), ["CANCEL 1"]);
    rig.feed([credit(1, 100_000), data(1, vec![0; 10_000]), data(1, vec![0; 20_000])]);
    assert_eq!(rig.sent(), [""; 0], "not even CREDIT");
    assert_eq!(rig.core.slots_used(), 1);
    rig.feed([status(1, Code::Cancelled, "")]);
    assert_eq!((rig.core.slots_used(), rig.events()), (0, vec![]));
}

#[test] // [CAN-001]
fn a_call_given_up_before_its_request_moved_leaves_no_trace() {
    let mut rig = Rig::connecting();
    let call = rig.open();
    rig.send(call, b"never", true);
    rig.call(call).cancel();
    assert_eq!((rig.sent(), rig.core.is_idle()), (vec![], true));
}

#[test] // [CAN-001]
fn a_call_that_was_given_up_says_nothing_more() {
    let mut rig = Rig::connecting();
    let call = rig.opened();
    assert_eq!(rig.recv(call), Recv::Pending);
    assert_eq!(rig.call(call).head(), None);
    while rig.call(call).send(vec![0; 60_000].into(), false).is_ok() {}
    rig.sent();
    rig.call(call).cancel();
    assert!(rig.core.call(call).is_none());
    rig.feed([response(1), data(1, "m"), status(1, Code::Ok, "")]);
    assert_eq!(rig.events(), []);
}

#[test] // [CAN-001] [SLT-001]
fn cancel_may_follow_end_and_finish() {
    for last in [data(1, "").end(), finish(1)] {
        let mut rig = Rig::accepting();
        rig.taken(1);
        rig.feed([last, cancel(1)]);
        assert_eq!(rig.events(), [Event::Stopped(id(1), StopReason::Cancelled)]);
    }
    let mut rig = Rig::connecting();
    let call = rig.opened();
    rig.send(call, b"all", true);
    rig.sent();
    rig.call(call).cancel();
    assert_eq!(rig.sent(), ["CANCEL 1"]);
}

#[test] // [CAN-002] [CAL-007]
fn the_status_of_a_cancelled_call_waits_for_the_handler() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    assert_eq!(rig.recv(id(1)), Recv::Pending);
    rig.call(id(1)).respond(Metadata::new()).unwrap();
    rig.send(id(1), &[0; 65_520], false);
    rig.sent();
    rig.send(id(1), b"has not moved", false);
    rig.feed([cancel(1)]);
    let stopped = Event::Stopped(id(1), StopReason::Cancelled);
    assert_eq!(rig.events(), [stopped, Event::Readable(id(1))]);
    assert_eq!(rig.outcome(id(1)).code(), Code::Cancelled);
    assert_eq!(rig.call(id(1)).stopped().map(Status::code), Some(Code::Cancelled));
    assert_eq!(rig.call(id(1)).send("late".into(), true), Err(SendError::Closed));
    assert_eq!(rig.call(id(1)).respond(Metadata::new()), Err(SendError::Closed));
    assert_eq!(rig.sent(), [""; 0], "the handler has not ended");
    rig.end(id(1), Status::ok());
    assert_eq!(rig.sent(), ["STATUS 1 CANCELLED \"the caller gave the call up\""]);
}

#[test] // [CAN-002]
fn a_cause_replaces_the_handlers_end_while_it_has_not_moved() {
    let ends: [fn(&mut Rig); 3] = [
        |rig| rig.send(id(1), b"r", true),
        |rig| rig.end(id(1), Status::ok()),
        |rig| rig.end(id(1), Status::not_found("the handler's own")),
    ];
    for end in ends {
        let mut config = Config::new(Side::Accepting);
        config.limits.output_max = 1;
        let mut rig = Rig::established(config, &hello());
        rig.taken(1);
        rig.feed([ping(7)]);
        rig.poll();
        // The output is full, so the handler's end stays.
        end(&mut rig);
        rig.poll();
        rig.feed([cancel(1)]);
        assert_eq!(rig.events(), [], "no handler is left to be told");
        assert_eq!(
            rig.sent(),
            ["PING ACK 7", "STATUS 1 CANCELLED \"the caller gave the call up\""]
        );
    }
}

#[test] // [CAN-002]
fn the_first_cause_stays() {
    let mut config = Config::new(Side::Accepting);
    config.limits.output_max = 1;
    for end_between in [false, true] {
        let mut rig = Rig::established(config.clone(), &hello());
        rig.feed([request(1).deadline_us(1_000_000), ping(7)]);
        rig.events();
        rig.poll();
        rig.feed([cut(1, 1 << 40, "x")]);
        assert_eq!(rig.events(), [Event::Stopped(id(1), StopReason::Limit)]);
        if end_between {
            rig.end(id(1), Status::ok());
            rig.poll();
        }
        rig.feed([cancel(1)]);
        rig.advance(std::time::Duration::from_secs(2));
        rig.core.handle_timeout(rig.now);
        assert_eq!(rig.events(), [], "told once");
        if !end_between {
            rig.end(id(1), Status::ok());
        }
        let sent = rig.sent();
        assert!(sent.last().unwrap().starts_with("STATUS 1 RESOURCE_EXHAUSTED"), "{sent:?}");
    }
}

#[test] // [CAN-002]
fn a_cut_answer_is_broken_off() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.send(id(1), &[0; 65_536], true);
    let sent = rig.sent();
    assert!(sent.last().unwrap().starts_with("DATA 1 MORE"), "{sent:?}");
    rig.feed([cancel(1)]);
    assert_eq!(rig.sent(), ["STATUS 1 CANCELLED \"the caller gave the call up\""]);
}

#[test] // [CAN-001] [SLT-001]
fn open_and_cancel_for_ever_is_bounded_by_the_slots() {
    let mut config = Config::new(Side::Accepting);
    config.limits.calls_max = 64;
    let mut rig = Rig::established(config, &hello());
    let mut next = 1;
    for _ in 0..64 {
        rig.feed([request(next), cancel(next)]);
        next += 2;
    }
    assert_eq!(rig.core.responding(), 64, "each handler may still run");
    rig.expect_breach([request(next)], crate::ErrorCode::CallsExceeded, "SLT-002");
}

#[test] // [STA-002]
fn a_status_is_cut_to_what_the_peer_takes() {
    let mut metadata = Metadata::new();
    metadata.insert("k", &"v".repeat(9_000)).unwrap();
    let detail = prost_types::Any { type_url: "t".into(), value: vec![0; 9_000] };
    let mut rig = Rig::accepting();
    rig.taken(1);
    let status = Status::aborted("m".repeat(20_000)).with_metadata(metadata).with_detail(detail);
    rig.end(id(1), status.with_not_started(true));
    let frames = rig.frames();
    assert!(frames[0].body.len() <= 16_384);
    let line = frames[0].describe();
    assert!(line.starts_with("STATUS 1 ABORTED \"mmm") && line.ends_with("m\" not_started"));
}
