//! Deadlines, on a clock that only the test moves.

use std::time::Duration;

use super::raw::{Raw, credit, data, id, request, status};
use super::rig::Rig;
use crate::frame::NUMBER_END;
use crate::wire::{self, Code};
use crate::{Event, Open, Recv, Status, StopReason};

const SECOND: Duration = Duration::from_secs(1);

fn left(frame: &Raw) -> Option<u64> {
    let mut left = None;
    frame.clone().with(|request: &mut wire::Request| left = request.deadline_us);
    left
}

#[test] // [DLN-001]
fn what_is_left_is_measured_when_request_moves() {
    let mut rig = Rig::connecting();
    let deadline = rig.now + 5 * SECOND;
    rig.open_with(Open::new("a/B").with_deadline(Some(deadline)));
    rig.advance(2 * SECOND);
    assert_eq!(left(&rig.frames()[0]), Some(3_000_000));
    rig.open();
    assert_eq!(left(&rig.frames()[0]), None, "absent means none");
    // Passed while it moved, without a timer having fired.
    rig.open_with(Open::new("a/B").with_deadline(Some(deadline)));
    rig.advance(3 * SECOND);
    assert_eq!(left(&rig.frames()[0]), Some(0));
    // Longer than numbers go.
    let centuries = rig.now + Duration::from_micros(NUMBER_END + 1_000);
    rig.open_with(Open::new("a/B").with_deadline(Some(centuries)));
    assert_eq!(left(&rig.frames()[0]), Some(NUMBER_END - 1));
}

#[test] // [DLN-001]
fn a_deadline_counts_from_the_arrival_and_a_very_long_one_is_none() {
    let mut rig = Rig::accepting();
    rig.advance(SECOND);
    let cases = [
        (request(1), None),
        (request(3).deadline_us(1), Some(Duration::from_micros(1))),
        (request(5).deadline_us(NUMBER_END - 1), Some(Duration::from_micros(NUMBER_END - 1))),
        (request(7).deadline_us(NUMBER_END), None),
        (request(9).deadline_us(u64::MAX), None),
    ];
    for (frame, expected) in cases {
        rig.feed([frame]);
        let events = rig.events();
        let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(request.deadline, expected.map(|left| rig.now + left));
    }
}

#[test] // [DLN-002] [CAL-007]
fn a_responder_ends_a_call_whose_deadline_passes() {
    let mut rig = Rig::accepting();
    rig.feed([request(1).deadline_us(2_000_000)]);
    rig.events();
    assert_eq!(rig.recv(id(1)), Recv::Pending);
    assert_eq!(rig.fire(), 2 * SECOND);
    let stopped = Event::Stopped(id(1), StopReason::Deadline);
    assert_eq!(rig.events(), [stopped, Event::Readable(id(1))]);
    assert_eq!(rig.outcome(id(1)).code(), Code::DeadlineExceeded);
    assert_eq!(rig.sent(), [""; 0], "the handler runs");
    rig.send_refused(id(1));
    rig.end(id(1), Status::ok());
    assert_eq!(rig.sent(), ["STATUS 1 DEADLINE_EXCEEDED \"the deadline passed\""]);
    assert_eq!(rig.core.poll_timeout(), None);
}

impl Rig {
    fn send_refused(&mut self, call: crate::CallId) {
        let refused = self.call(call).send("late".into(), true);
        assert_eq!(refused, Err(crate::SendError::Closed));
    }
}

#[test] // [DLN-002] [CAN-002]
fn a_deadline_replaces_an_end_that_has_not_moved() {
    // The handler has ended, but its messages wait for credit.
    let mut rig = Rig::accepting();
    rig.feed([request(1).deadline_us(1_000_000)]);
    rig.send(id(1), &[0; 65_520], false);
    rig.send(id(1), b"waits", true);
    rig.sent();
    rig.fire();
    assert_eq!(rig.sent(), ["STATUS 1 DEADLINE_EXCEEDED \"the deadline passed\""]);
    assert_eq!(rig.core.responding(), 0);
}

#[test] // [DLN-002] [STA-003]
fn a_call_that_comes_too_late_does_not_start_its_handler() {
    let mut rig = Rig::accepting();
    rig.feed([request(1).deadline_us(0), data(1, "x").end()]);
    assert_eq!(rig.events(), []);
    let sent = rig.sent();
    assert!(sent[0].starts_with("STATUS 1 DEADLINE_EXCEEDED"), "{sent:?}");
    assert!(sent[0].ends_with("not_started"), "{sent:?}");
    assert_eq!((rig.core.responding(), rig.core.poll_timeout()), (0, None));
}

#[test] // [DLN-003] [CAN-001]
fn a_caller_reports_its_deadline_at_once_and_cancels() {
    let mut rig = Rig::connecting();
    let deadline = rig.now + SECOND;
    let call = rig.open_with(Open::new("a/B").with_deadline(Some(deadline)));
    rig.send(call, &[0; 65_520], false);
    rig.send(call, b"waits for credit", false);
    rig.sent();
    assert_eq!(rig.recv(call), Recv::Pending);
    assert_eq!(rig.fire(), SECOND);
    assert_eq!(rig.events(), [Event::Readable(call)]);
    let status = rig.outcome(call);
    assert_eq!((status.code(), status.not_started()), (Code::DeadlineExceeded, false));
    assert_eq!(rig.sent(), ["CANCEL 1"]);
    // The answer that crosses it changes nothing.
    rig.feed([credit(1, 9), data(1, "late").end()]);
    assert!(rig.core.call(call).is_none());
    assert_eq!((rig.events(), rig.sent(), rig.core.slots_used()), (vec![], vec![], 0));
}

#[test] // [DLN-003]
fn one_that_waits_to_send_hears_of_the_deadline_too() {
    let mut rig = Rig::connecting();
    let deadline = rig.now + SECOND;
    let call = rig.open_with(Open::new("a/B").with_deadline(Some(deadline)));
    while rig.call(call).send(vec![0; 60_000].into(), false).is_ok() {}
    rig.sent();
    rig.fire();
    assert_eq!(rig.events(), [Event::Writable(call)]);
    rig.send_refused(call);
}

#[test] // [DLN-003]
fn a_deadline_that_has_passed_already_opens_nothing() {
    let mut rig = Rig::connecting();
    let now = rig.now;
    let call = rig.open_with(Open::new("a/B").with_deadline(Some(now)));
    let status = rig.outcome(call);
    assert_eq!((status.code(), status.not_started()), (Code::DeadlineExceeded, true));
    assert_eq!(rig.sent(), [""; 0]);
    assert!(rig.core.is_idle());
}

#[test] // [DLN-003]
fn the_first_end_of_a_call_stands() {
    // The answer first, then the deadline.
    let mut rig = Rig::connecting();
    let deadline = rig.now + SECOND;
    let call = rig.open_with(Open::new("a/B").with_deadline(Some(deadline)));
    rig.sent();
    rig.feed([data(1, "in time"), status(1, Code::NotFound, "")]);
    rig.advance(2 * SECOND);
    rig.core.handle_timeout(rig.now);
    assert_eq!(rig.message(call), "in time");
    assert_eq!(rig.outcome(call).code(), Code::NotFound);
    assert_eq!(rig.sent(), [""; 0], "nothing to cancel");
    // The connection's end first, then the deadline: what came before is still there.
    let deadline = rig.now + SECOND;
    let call = rig.open_with(Open::new("a/B").with_deadline(Some(deadline)));
    rig.sent();
    rig.feed([data(3, "in time")]);
    rig.eof();
    rig.advance(2 * SECOND);
    rig.core.handle_timeout(rig.now);
    assert_eq!(rig.message(call), "in time");
    assert_eq!(rig.outcome(call).code(), Code::Unavailable);
}
