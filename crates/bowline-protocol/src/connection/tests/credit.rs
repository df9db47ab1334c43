//! Credit: what messages cost, when it returns, and the budget for large messages.

use super::raw::{Raw, cancel, credit, cut, data, finish, hello, id, request, response, status};
use super::rig::Rig;
use crate::frame::NUMBER_END;
use crate::wire::{self, Code};
use crate::{Config, ErrorCode, Event, PeerMisbehaved, Recv, Side, Status};

const WINDOW: u64 = 65_536;

/// An accepting side that grants no more than it must.
fn strict() -> Config {
    let mut config = Config::new(Side::Accepting);
    config.limits.window = WINDOW;
    config.limits.window_ahead = 0;
    config.limits.message_max = 1_000_000;
    config.limits.large_max = 1_000_000;
    config
}

fn taken(config: Config) -> Rig {
    let mut rig = Rig::established(config, &hello());
    rig.taken(1);
    rig
}

#[test] // [CRD-001] [CRD-002]
fn a_message_costs_16_and_its_length() {
    // Exactly the window, in each way in which it can be divided.
    let exact: [Vec<Raw>; 5] = [
        vec![data(1, vec![0; 65_520])],
        vec![data(1, vec![0; 60_000]), data(1, vec![0; 5_488]), data(1, "")],
        vec![cut(1, 65_520, [0; 1]), data(1, vec![0; 65_518]).more(), data(1, [0; 1])],
        vec![cut(1, 100_000, vec![0; 65_520])],
        (0..4_096).map(|_| data(1, "")).collect(),
    ];
    for frames in exact {
        let mut rig = taken(strict());
        rig.feed(frames.clone());
        assert_eq!(rig.core.error(), None);
        // One byte or one empty message more is too much.
        let next =
            if frames.last().unwrap().header.more() { data(1, [0]).more() } else { data(1, "") };
        let error = rig.expect_breach([next], ErrorCode::Credit, "CRD-002");
        assert!(matches!(error, PeerMisbehaved::CreditExceeded { .. }), "{error}");
    }
    let mut rig = taken(strict());
    let error = rig.expect_breach([data(1, vec![0; 65_521])], ErrorCode::Credit, "CRD-002");
    assert_eq!(error, PeerMisbehaved::CreditExceeded { call: 1, excess: 1 });
    let mut rig = taken(strict());
    let error = rig.expect_breach([cut(1, 99_999, vec![0; 65_521])], ErrorCode::Credit, "CRD-002");
    assert_eq!(error, PeerMisbehaved::CreditExceeded { call: 1, excess: 1 });
}

#[test] // [CRD-002]
fn credit_that_is_owed_and_not_sent_is_not_there() {
    let mut rig = taken(strict());
    rig.feed([data(1, vec![0; 65_520])]);
    rig.message(id(1));
    // CREDIT has not moved, so the peer cannot know of it.
    rig.expect_breach([data(1, "")], ErrorCode::Credit, "CRD-002");
}

#[test] // [CRD-002]
fn grants_of_nothing_and_of_too_much_are_refused() {
    for bytes in [0, NUMBER_END - WINDOW, NUMBER_END, u64::MAX] {
        let mut rig = Rig::accepting();
        rig.taken(1);
        let error = rig.expect_breach([credit(1, bytes)], ErrorCode::Credit, "CRD-002");
        assert_eq!(error == PeerMisbehaved::CreditZero { call: 1 }, bytes == 0);
        let mut rig = Rig::connecting();
        rig.opened();
        rig.expect_breach([credit(1, bytes)], ErrorCode::Credit, "CRD-002");
    }
    let mut rig = Rig::accepting();
    rig.taken(1);
    let rest = NUMBER_END - 1 - WINDOW;
    rig.feed([credit(1, rest - 7), credit(1, 7)]);
    assert_eq!(rig.core.error(), None);
    rig.expect_breach([credit(1, 1)], ErrorCode::Credit, "CRD-002");
}

#[test] // [CRD-001] [CRD-002] [CRD-006]
fn a_sender_keeps_to_its_credit() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.send(id(1), &[0; 65_500], false);
    rig.send(id(1), b"1234", false);
    rig.send(id(1), b"5", false);
    let sent = rig.sent();
    assert_eq!(sent.last().unwrap(), "DATA 1 \"1234\"", "20 were left, and it costs 20");
    rig.feed([credit(1, 1)]);
    assert_eq!(rig.sent(), [""; 0], "it fits the window, so it waits for all of it");
    rig.feed([credit(1, 15)]);
    assert_eq!(rig.sent(), [""; 0]);
    rig.feed([credit(1, 1)]);
    assert_eq!(rig.sent(), ["DATA 1 \"5\""]);
}

#[test] // [CRD-006]
fn a_message_over_the_window_starts_with_what_there_is() {
    let large = hello().with(|hello: &mut wire::Hello| hello.message_max = 1 << 20);
    let mut rig = Rig::established(Config::new(Side::Accepting), &large);
    rig.taken(1);
    rig.send(id(1), &[0; 30_000], false);
    rig.sent();
    rig.send(id(1), &vec![0; 65_521], true);
    // 35,520 of credit are left, 16 of which the message itself costs.
    let bodies =
        |rig: &mut Rig| -> usize { rig.frames().iter().map(|frame| frame.body.len()).sum() };
    assert_eq!(bodies(&mut rig), 8 + 35_504);
    rig.feed([credit(1, 1)]);
    assert_eq!(rig.sent(), ["DATA 1 MORE 1 bytes"]);
    rig.feed([credit(1, 100_000)]);
    assert_eq!(bodies(&mut rig), 65_521 - 35_504 - 1);
    // With 16 or less nothing can start, as each piece carries a byte.
    let mut rig = Rig::established(Config::new(Side::Accepting), &large);
    rig.taken(1);
    rig.send(id(1), &[0; 65_504], false);
    rig.sent();
    rig.send(id(1), &vec![0; 65_521], true);
    assert_eq!(rig.sent(), [""; 0]);
    rig.feed([credit(1, 1)]);
    assert_eq!(rig.sent(), ["DATA 1 MORE 9 bytes"]);
}

#[test] // [CRD-003]
fn credit_returns_in_steps_until_the_application_waits() {
    let mut rig = taken(strict());
    rig.feed([data(1, [0; 984]), data(1, [0; 20_000]), data(1, [0; 20_000])]);
    rig.message(id(1));
    rig.message(id(1));
    assert_eq!(rig.sent(), [""; 0], "less than half of the window is due");
    rig.message(id(1));
    assert_eq!(rig.sent(), ["CREDIT 1 41032"]);
    rig.feed([data(1, [0; 84])]);
    rig.message(id(1));
    assert_eq!(rig.sent(), [""; 0]);
    assert_eq!(rig.recv(id(1)), Recv::Pending);
    assert_eq!(rig.sent(), ["CREDIT 1 100"], "now it waits, so all that is due is granted");
    assert_eq!(rig.recv(id(1)), Recv::Pending);
    assert_eq!(rig.sent(), [""; 0]);
}

#[test] // [CRD-003]
fn a_sender_that_waits_for_a_whole_message_is_never_stuck() {
    // Messages of all sizes around the half of the window, each needing credit that must come back.
    for length in [1, 32_751, 32_752, 32_753, 40_000, 65_519, 65_520] {
        let mut rig = taken(strict());
        let mut credit_left = WINDOW;
        for _ in 0..5 {
            let cost = 16 + length as u64;
            assert!(credit_left >= cost, "{length}: stuck with {credit_left}");
            credit_left -= cost;
            rig.feed([data(1, vec![0; length])]);
            rig.message(id(1));
            assert_eq!(rig.recv(id(1)), Recv::Pending);
            for line in rig.sent() {
                credit_left += line.strip_prefix("CREDIT 1 ").unwrap().parse::<u64>().unwrap();
            }
            assert!(credit_left >= WINDOW);
        }
    }
}

#[test] // [CRD-008]
fn more_is_granted_ahead_so_that_a_fast_stream_needs_few_frames() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    let mut credits = 0;
    for _ in 0..1_000 {
        rig.feed([data(1, [0; 1_008])]);
        rig.message(id(1));
        rig.recv(id(1));
        credits += rig.sent().len();
    }
    assert!(credits <= 8, "{credits} for a megabyte");
}

/// Feeds the beginning of a large message and lets the application wait for it.
fn begin_large(rig: &mut Rig, call: u64, length: u64) {
    rig.feed([request(call), cut(call, length, [0; 10])]);
    rig.events();
    assert_eq!(rig.recv(id(call)), Recv::Pending);
}

#[test] // [CRD-004]
fn all_of_a_large_message_is_granted_at_once() {
    let mut rig = taken(strict());
    rig.feed([cut(1, 500_000, vec![0; 10])]);
    assert_eq!(rig.sent(), [""; 0], "not before the application waits");
    rig.recv(id(1));
    assert_eq!(rig.sent(), [format!("CREDIT 1 {}", 500_016 - WINDOW)], "in one sum");
    rig.feed((0..4).map(|_| data(1, vec![0; 124_997]).more()));
    rig.feed([data(1, [0; 2]).end()]);
    assert_eq!(rig.message(id(1)).len(), 500_000);
    assert_eq!(rig.sent(), [""; 0], "and none after END");
    // What stands before it must be taken first.
    let mut rig = taken(strict());
    rig.feed([data(1, "first"), cut(1, 500_000, vec![0; 10])]);
    rig.message(id(1));
    assert_eq!(rig.sent(), [""; 0]);
    rig.recv(id(1));
    let sum = 21 + 500_016 - WINDOW;
    let sent = rig.sent();
    assert_eq!(sent, [format!("CREDIT 1 {sum}")]);
    // A message that costs just the window needs nothing.
    let mut rig = taken(strict());
    rig.feed([cut(1, 65_520, vec![0; 10])]);
    rig.recv(id(1));
    assert_eq!(rig.sent(), [""; 0]);
    assert_eq!(rig.core.large_used(), 0);
}

#[test] // [CRD-004]
fn large_messages_wait_their_turn() {
    let mut rig = Rig::established(strict(), &hello());
    begin_large(&mut rig, 1, 800_000);
    begin_large(&mut rig, 3, 400_000);
    begin_large(&mut rig, 5, 100_000);
    let granted = rig.sent();
    assert_eq!(granted, [format!("CREDIT 1 {}", 800_016 - WINDOW)], "first come, first served");
    // The second loses its place when its application turns away; so the third is next.
    rig.call(id(3)).stop_waiting();
    assert_eq!(rig.sent(), [format!("CREDIT 5 {}", 100_016 - WINDOW)]);
    assert_eq!(rig.core.large_used(), 800_016 + 100_016 - 2 * WINDOW);
    rig.recv(id(3));
    assert_eq!(rig.sent(), [""; 0], "it is the last now");
    rig.end(id(1), Status::ok());
    let sent = rig.sent();
    assert!(sent.contains(&format!("CREDIT 3 {}", 400_016 - WINDOW)), "{sent:?}");
}

#[test] // [CRD-004] [MSG-008]
fn a_thousand_stalled_announcements_do_not_hold_an_honest_message_up() {
    let mut rig = Rig::established(strict(), &hello());
    for call in (0..1_000).map(|i| 2 * i + 1) {
        rig.feed([request(call), cut(call, 1_000_000, [0; 1])]);
    }
    // Nobody waits for those.
    begin_large(&mut rig, 5_001, 1_000_000);
    assert_eq!(rig.sent(), [format!("CREDIT 5001 {}", 1_000_016 - WINDOW)]);
    assert!(rig.core.reassembly_capacity() < 100_000);
}

#[test] // [CRD-005]
fn the_budget_comes_back_when_the_message_is_complete_or_the_call_over() {
    let large = |call: u64| format!("CREDIT {call} {}", 1_000_016 - WINDOW);
    // Complete, though the application has not taken it.
    let mut rig = Rig::established(strict(), &hello());
    begin_large(&mut rig, 1, 1_000_000);
    begin_large(&mut rig, 3, 1_000_000);
    assert_eq!(rig.sent(), [large(1)]);
    rig.feed((0..9).map(|_| data(1, vec![0; 100_000]).more()));
    rig.feed([data(1, vec![0; 99_990])]);
    assert_eq!(rig.sent(), [large(3)]);
    // The call is over, in each way in which it can be.
    let ends: [fn(&mut Rig); 3] = [
        |rig| rig.feed([cancel(1)]),
        |rig| rig.end(id(1), Status::ok()),
        |rig| rig.fire_deadline(),
    ];
    for end in ends {
        let mut rig = Rig::established(strict(), &hello());
        rig.feed([request(1).deadline_us(5), cut(1, 1_000_000, [0; 10])]);
        rig.recv(id(1));
        begin_large(&mut rig, 3, 1_000_000);
        assert_eq!(rig.sent(), [large(1)]);
        end(&mut rig);
        let sent = rig.sent();
        assert!(sent.contains(&large(3)), "{sent:?}");
    }
    // So it is at the caller.
    let mut config = Config::new(Side::Connecting);
    config.limits.large_max = config.limits.message_max;
    for end in [status(1, Code::Internal, ""), data(1, vec![0; 100_000]).end()] {
        let mut rig = Rig::established(config.clone(), &hello());
        let (first, second) = (rig.opened(), rig.opened());
        let length = if end.header.end() { 4_194_304 } else { 4_194_303 };
        rig.feed([cut(1, length, [0; 10]), cut(3, 4_194_304, [0; 10])]);
        assert_eq!((rig.recv(first), rig.recv(second)), (Recv::Pending, Recv::Pending));
        assert_eq!(rig.sent().len(), 1);
        let rest = length as usize - 10 - 100_000;
        if end.header.end() {
            rig.feed((0..rest / 100_000).map(|_| data(1, vec![0; 100_000]).more()));
            rig.feed([data(1, vec![0; rest % 100_000]).more()]);
        }
        rig.feed([end]);
        let sent = rig.sent();
        assert!(sent[0].starts_with("CREDIT 3 "), "{sent:?}");
    }
}

impl Rig {
    fn fire_deadline(&mut self) {
        self.fire();
    }
}

#[test] // [CRD-007]
fn no_credit_is_sent_where_nobody_can_use_it() {
    // After END or FINISH.
    for last in [data(1, vec![0; 20_000]).end(), finish(1)] {
        let mut rig = taken(strict());
        rig.feed([data(1, vec![0; 40_000]), last]);
        while let Recv::Message(_) = rig.recv(id(1)) {}
        assert_eq!(rig.sent(), [""; 0]);
    }
    // Owed already when END arrives.
    let mut rig = taken(strict());
    rig.feed([data(1, vec![0; 40_000])]);
    rig.message(id(1));
    rig.feed([finish(1)]);
    assert_eq!(rig.sent(), [""; 0]);
    // After the terminal frame of either side.
    let mut rig = taken(strict());
    rig.feed([data(1, vec![0; 40_000])]);
    rig.message(id(1));
    rig.send(id(1), b"r", true);
    assert_eq!(rig.sent(), ["CREDIT 1 40016", "DATA 1 END \"r\""]);
    let mut rig = Rig::connecting();
    let call = rig.opened();
    rig.feed([data(1, vec![0; 100_000])]);
    rig.feed([status(1, Code::Ok, "")]);
    rig.message(call);
    assert_eq!(rig.sent(), [""; 0]);
    // After CANCEL, and before REQUEST.
    let mut rig = Rig::connecting();
    let call = rig.opened();
    rig.feed([response(1), data(1, vec![0; 100_000])]);
    rig.message(call);
    rig.call(call).cancel();
    assert_eq!(rig.sent(), ["CANCEL 1"]);
    let call = rig.open();
    assert_eq!(rig.recv(call), Recv::Pending);
    assert_eq!(rig.sent(), ["REQUEST 3 number=1"]);
}

#[test] // [CRD-007] [CAL-005]
fn a_unary_call_is_three_frames() {
    let mut rig = Rig::accepting();
    rig.feed([request(1), data(1, vec![0; 65_536]).end()]);
    assert_eq!(rig.message(id(1)).len(), 65_536);
    assert_eq!(rig.recv(id(1)), Recv::Finished);
    rig.send(id(1), b"reply", true);
    assert_eq!(rig.sent(), ["DATA 1 END \"reply\""]);
}

#[test] // [CRD-002]
fn credit_is_for_one_call_and_one_direction() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.taken(3);
    rig.send(id(1), &[0; 65_520], false);
    rig.send(id(1), b"waits", true);
    rig.send(id(3), b"free", true);
    let sent = rig.sent();
    assert!(sent.contains(&"DATA 3 END \"free\"".to_owned()), "{sent:?}");
    rig.feed([credit(3, 1_000), credit(1, 20)]);
    assert_eq!(rig.sent(), [""; 0]);
    rig.feed([credit(1, 1)]);
    assert_eq!(rig.sent(), ["DATA 1 END \"waits\""]);
    assert_eq!(rig.events(), [] as [Event; 0]);
}

#[test] // [CRD-002]
fn a_million_grants_of_one_byte_are_one_state() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    let flood: Vec<u8> = (0..10_000).flat_map(|_| credit(1, 1).encode()).collect();
    (0..10).for_each(|_| rig.feed_bytes(&flood));
    assert_eq!((rig.events(), rig.sent()), (vec![], vec![]));
    rig.send(id(1), &[0; 65_520], false);
    rig.send(id(1), &[0; 65_520], false);
    assert_eq!(rig.frames().len(), 8);
}
