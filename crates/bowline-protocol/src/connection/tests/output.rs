//! What is owed, its order and its bounds; and the memory that a peer can make this side hold.

use super::raw::{Raw, cancel, credit, cut, data, finish, goaway, hello, id, ping, pong, request};
use super::rig::Rig;
use crate::wire::{self};
use crate::{
    Config, Connection, ErrorCode, Event, HEADER_LEN, Metadata, Outbound, Recv, Side, Status,
};

impl Connection {
    /// Memory of all messages in progress.
    pub(super) fn reassembly_capacity(&self) -> usize {
        self.calls.iter().map(|(_, call)| call.incoming.reassembly_capacity()).sum()
    }

    /// What large messages have of `large_max`.
    pub(super) fn large_used(&self) -> u64 {
        self.receive.large.used()
    }

    /// Entries of all queues of what is owed.
    fn owed(&self) -> usize {
        let transmit = &self.transmit;
        transmit.turns.iter().count()
            + transmit.credits.len()
            + transmit.cancels.len()
            + self.calls.len()
    }
}

/// Without a look at the invariants, which costs most of the time.
fn feed_quietly(rig: &mut Rig, frames: &[Raw]) {
    let bytes: Vec<u8> = frames.iter().flat_map(Raw::encode).collect();
    rig.core.handle_input(&mut bytes::BytesMut::from(&bytes[..]), rig.now);
    rig.core.settle();
}

#[test] // [OUT-001] [OUT-002]
fn a_peer_that_never_reads_costs_one_output_and_one_frame() {
    let mut config = Config::new(Side::Accepting);
    config.limits.calls_max = 64;
    let most = config.limits.output_max + HEADER_LEN + 64 * 1024 + 512;
    let mut rig = Rig::established(config, &hello());
    let mut next = 1;
    for _ in 0..100_000 {
        // As many calls as there are slots, each answered at once; and a PING now and then.
        if rig.core.responding() < 64 {
            let frames = [request(next), data(next, "x").end(), ping(next)];
            feed_quietly(&mut rig, &frames);
            rig.events();
            rig.call(id(next)).end(Status::not_found("n".repeat(100)));
            next += 2;
        } else {
            feed_quietly(&mut rig, &[ping(7), data(1, "skipped")]);
        }
        rig.core.poll_transmit(&mut rig.out, rig.now);
        assert!(rig.out.len() <= most);
    }
    assert_eq!(rig.core.responding(), 64, "the slots are taken until the peer reads");
    assert!(rig.out.len() >= rig.core.limits().output_max && rig.out.capacity() < 2 * most);
    assert_eq!(rig.core.owed(), 64 + 64);
    // It goes on as soon as the peer reads.
    let answers = rig.sent().iter().filter(|line| line.starts_with("STATUS")).count();
    assert_eq!(answers, (next as usize - 1) / 2);
    assert_eq!(rig.core.responding(), 0);
}

#[test] // [OUT-002]
fn the_bound_holds_for_every_kind_of_frame() {
    let mut config = Config::new(Side::Accepting);
    config.limits.output_max = 1_000;
    let mut rig = Rig::established(config, &hello());
    for call in [1, 3, 5] {
        rig.taken(call);
        rig.send(id(call), &[0; 60_000], true);
    }
    rig.feed([ping(1)]);
    rig.core.ping();
    rig.core.drain();
    let mut frames = Vec::new();
    loop {
        rig.poll();
        if rig.out.is_empty() {
            break;
        }
        assert!(rig.out.len() < 1_000 + HEADER_LEN + 16_384);
        frames.extend(Raw::decode_all(&rig.write(usize::MAX)));
    }
    assert_eq!(frames.len(), 3 + 3 * 4, "and nothing is lost");
    // The last GOAWAY keeps to it, too.
    let mut rig = Rig::accepting();
    rig.taken(1);
    rig.core.limits_mut().output_max = 10;
    rig.send(id(1), b"fills it", false);
    rig.poll();
    let before = rig.out.len();
    rig.core.abort(ErrorCode::Internal, "", rig.now);
    rig.poll();
    assert_eq!((rig.out.len(), rig.core.is_write_ended()), (before, false));
    assert_eq!(rig.sent().last().unwrap(), "GOAWAY last=1 INTERNAL");
}

impl Connection {
    fn limits_mut(&mut self) -> &mut crate::Limits {
        &mut std::sync::Arc::make_mut(&mut self.config).limits
    }
}

#[test] // [OUT-002]
fn what_is_owed_does_not_grow_with_what_the_peer_sends() {
    let mut config = Config::new(Side::Accepting);
    config.limits.output_max = 1;
    let mut rig = Rig::established(config, &hello());
    rig.taken(1);
    rig.feed([ping(0)]);
    rig.poll();
    let full = rig.out.len();
    rig.send(id(1), &[0; 60_000], true);
    for i in 1..10_000 {
        // Everything that could be answered, on a call that stays.
        rig.feed([ping(i), credit(1, 1), goaway(1 << 40, ErrorCode::None)]);
        if i % 10 == 0 {
            rig.feed([data(1, "x")]);
        }
    }
    assert!(rig.core.owed() < 5, "{}", rig.core.owed());
    rig.poll();
    assert_eq!(rig.out.len(), full);
    let sent = rig.sent();
    assert_eq!(sent[..2], ["PING ACK 0", "PING ACK 9999"]);
    assert!(sent[2].starts_with("CREDIT 1 "), "one sum: {sent:?}");
    assert!(sent[3].starts_with("DATA 1 "), "{sent:?}");
}

#[test] // [OUT-003]
fn frames_move_in_their_order() {
    let mut rig = Rig::connecting();
    // A call to be cancelled, one that is owed credit, one with messages, and the peer's.
    let (first, second, third) = (rig.opened(), rig.opened(), rig.opened());
    rig.feed([data(3, vec![0; 131_072])]);
    rig.taken(2);
    rig.call(id(2)).respond(Metadata::new()).unwrap();
    rig.send(id(2), b"answer", false);
    rig.end(id(2), Status::aborted(""));
    rig.send(third, b"message", false);
    rig.call(third).finish();
    rig.message(second);
    rig.call(first).cancel();
    let (fourth, fifth) = (rig.open(), rig.open());
    rig.send(fifth, b"late", true);
    rig.send(fourth, b"early", true);
    rig.core.drain();
    rig.feed([ping(8)]);
    let sent = rig.sent();
    let kinds: Vec<&str> = sent.iter().map(|line| line.as_str()).collect();
    assert_eq!(kinds[..3], ["PING ACK 8", "GOAWAY last=9007199254740991 NONE", "PING 1"]);
    assert_eq!(kinds[3], "CANCEL 1");
    assert!(kinds[4].starts_with("CREDIT 3 "));
    assert_eq!(kinds[5..7], ["REQUEST 7 number=1", "REQUEST 9 number=1"]);
    // Then the calls in turn, each in its own order.
    let of = |call: &str| -> Vec<&str> {
        kinds[7..].iter().copied().filter(|line| line.contains(call)).collect()
    };
    assert_eq!(of(" 2"), ["RESPONSE 2", "DATA 2 \"answer\"", "STATUS 2 ABORTED"]);
    assert_eq!(kinds[7..9], ["RESPONSE 2", "DATA 5 END \"message\""]);
    assert_eq!(kinds.len(), 7 + 3 + 1 + 2);
}

#[test] // [OUT-003]
fn calls_take_turns_with_pieces_of_at_most_64_kib() {
    let wide = hello().with(|hello: &mut wire::Hello| {
        hello.window = 1 << 30;
        hello.frame_max = 1 << 20;
        hello.message_max = 1 << 30;
    });
    let mut rig = Rig::established(Config::new(Side::Accepting), &wide);
    for call in [1, 3] {
        rig.taken(call);
        rig.send(id(call), &vec![0; 300_000], true);
    }
    rig.taken(5);
    rig.send(id(5), &[0; 65_536], false);
    rig.send(id(5), b"small", true);
    let frames = rig.frames();
    assert!(frames.iter().all(|frame| frame.body.len() <= 64 * 1024 + 512));
    let turns: Vec<u64> = frames.iter().map(|frame| frame.header.call).collect();
    // The long ones share a turn, and the first is finished before the second begins.
    assert_eq!(turns, [1, 5, 1, 5, 1, 1, 1, 3, 3, 3, 3, 3]);
    assert_eq!(frames[1].body.len(), 65_536, "64 KiB go in one");
}

#[test] // [OUT-003] [CRD-006]
fn another_long_message_begins_where_the_first_has_no_credit() {
    let narrow = hello().with(|hello: &mut wire::Hello| {
        hello.window = 100_000;
        hello.frame_max = 1 << 20;
        hello.message_max = 1 << 30;
    });
    let mut rig = Rig::established(Config::new(Side::Accepting), &narrow);
    for call in [1, 3, 5] {
        rig.taken(call);
        rig.send(id(call), &vec![0; 300_000], true);
    }
    let turns = |rig: &mut Rig| -> Vec<u64> {
        rig.frames().iter().map(|frame| frame.header.call).collect()
    };
    assert_eq!(turns(&mut rig), [1, 1, 3, 3, 5, 5]);
    // What has begun goes on before what has not, and takes no turns with its like.
    rig.taken(7);
    rig.send(id(7), &[0; 90_000], true);
    rig.feed([credit(5, 100_000), credit(1, 200_000)]);
    assert_eq!(turns(&mut rig), [1, 1, 1, 1, 5, 5, 7, 7]);
}

#[test] // [OUT-003] [CAL-001]
fn requests_leave_in_the_order_of_their_ids() {
    let mut rig = Rig::new(Config::new(Side::Connecting));
    let calls: Vec<_> = (0..10).map(|_| rig.open()).collect();
    for call in calls.iter().rev() {
        rig.send(*call, b"x", true);
    }
    rig.call(calls[4]).cancel();
    let sent = rig.sent();
    let ids: Vec<&str> = sent[2..11].iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(ids, ["1", "3", "5", "7", "11", "13", "15", "17", "19"]);
}

#[test] // [OUT-001]
fn input_is_taken_while_the_output_is_full_and_no_application_reads() {
    let mut config = Config::new(Side::Accepting);
    config.limits.output_max = 1;
    let mut rig = Rig::established(config, &hello());
    rig.feed([ping(1)]);
    rig.poll();
    for call in (1..200).step_by(2) {
        rig.feed([request(call), data(call, [0; 100]), cut(call, 9, "x"), credit(call, 1)]);
        rig.feed([ping(call), cancel(call)]);
        rig.poll();
    }
    assert_eq!((rig.left(), rig.core.error()), (0, None));
    assert_eq!(rig.core.responding(), 100);
}

#[test] // [MSG-008]
fn small_messages_do_not_pin_the_read_buffer() {
    let mut rig = Rig::accepting();
    rig.taken(1);
    let mut input = bytes::BytesMut::with_capacity(65_536);
    let bytes = data(1, "1").encode();
    let base = input.as_ptr();
    for _ in 0..500 {
        // A full read between small ones, all into the same buffer.
        input.extend_from_slice(&bytes);
        input.extend_from_slice(&ping(1).encode());
        rig.core.handle_input(&mut input, rig.now);
        rig.core.settle();
        input.reserve(65_536);
    }
    assert_eq!(input.as_ptr(), base, "the buffer is used again: no message holds it");
    assert_eq!(rig.core.buffered(), 500 * 17);
    assert_eq!(rig.message(id(1)), "1");
    // One that fills most of it is handed over as it is.
    let payload = vec![7; 60_000];
    let mut input = bytes::BytesMut::with_capacity(65_536);
    input.extend_from_slice(&data(1, &payload).encode());
    let place = input.as_ptr() as usize + HEADER_LEN;
    rig.core.handle_input(&mut input, rig.now);
    rig.core.settle();
    while let Recv::Message(message) = rig.recv(id(1)) {
        if message.payload.len() == 60_000 {
            assert_eq!(message.payload.as_ptr() as usize, place);
        }
    }
}

#[test] // [OUT-002] [PNG-002]
fn floods_of_everything_that_is_ignored_cost_nothing() {
    let mut rig = Rig::accepting();
    let kinds = [pong(9), data(0, [0; 30]).kind(0xfe), ping(4), goaway(1 << 50, ErrorCode::None)];
    let flood: Vec<u8> = kinds.iter().cycle().take(10_000).flat_map(Raw::encode).collect();
    // A call keeps the connection open, as the peer has sent GOAWAY.
    rig.taken(1);
    for _ in 0..10 {
        rig.feed_bytes(&flood);
    }
    assert_eq!(rig.events(), [Event::GoAway { last: 1 << 50 }]);
    assert_eq!(rig.sent(), ["PING ACK 4"]);
    assert_eq!(rig.core.owed(), 1);
}

#[test] // [OUT-002]
fn a_writer_is_told_when_there_is_room() {
    let mut rig = Rig::connecting();
    let call = rig.opened();
    let mut taken = 0_u64;
    while rig.call(call).send(vec![0; 50_000].into(), false).is_ok() {
        taken += 50_000;
    }
    assert!((262_144..262_144 + 50_000).contains(&taken), "{taken}");
    assert!(!rig.call(call).has_room());
    rig.sent();
    assert_eq!(rig.events(), [], "one window is not half of it");
    rig.feed([credit(1, 1 << 20)]);
    rig.sent();
    assert_eq!(rig.events(), [Event::Writable(call)]);
    assert!(rig.call(call).has_room());
    // Always one message is taken, however long.
    rig.send(call, &[0; 65_536], false);
    rig.feed([finish(1)].map(|frame| frame.kind(0x99)));
}

#[test] // [OUT-002]
fn a_writer_of_short_messages_waits_sooner() {
    let mut rig = Rig::connecting();
    let call = rig.opened();
    // What could go at once does not.
    rig.feed([ping(1)]);
    let message = vec![0_u8; 1_000];
    let mut out = Outbound::new();
    let mut taken = 0;
    while rig.call(call).send_message(&message, false, &mut out).is_ok() {
        taken += 1;
    }
    assert!(out.is_empty());
    assert_eq!(taken, 17, "16 KiB, and one beyond");
    assert!(rig.call(call).send(message.into(), false).is_ok());
    rig.sent();
    assert_eq!(rig.events(), [Event::Writable(call)]);
}
