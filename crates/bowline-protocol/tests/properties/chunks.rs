//! How input is split makes no difference: to events, to messages, to what is sent.

use std::time::Instant;

use bowline_protocol::{
    CallId, Config, Connection, Event, Limits, Metadata, Open, Outbound, Recv, Side, Status,
};
use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::runner::check;

/// What the sending side does, in order.
#[derive(Debug, Clone, Copy)]
enum Step {
    Open(bool),
    Send { call: u8, size: u16, last: bool },
    Respond(u8),
    End { call: u8, ok: bool },
    Cancel(u8),
    Finish(u8),
    Recv(u8),
    Ping,
    Drain,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<bool>().prop_map(Step::Open),
        8 => (any::<u8>(), prop_oneof![0_u16..40, 0_u16..24_000], prop::bool::weighted(0.2))
            .prop_map(|(call, size, last)| Step::Send { call, size, last }),
        1 => any::<u8>().prop_map(Step::Respond),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(call, ok)| Step::End { call, ok }),
        1 => any::<u8>().prop_map(Step::Cancel),
        1 => any::<u8>().prop_map(Step::Finish),
        3 => any::<u8>().prop_map(Step::Recv),
        1 => Just(Step::Ping),
        1 => Just(Step::Drain),
    ]
}

fn transmit(core: &mut Connection, now: Instant) -> Vec<u8> {
    let mut out = Outbound::new();
    let mut bytes = Vec::new();
    loop {
        core.poll_transmit(&mut out, now);
        if out.is_empty() {
            return bytes;
        }
        let mut slices = [std::io::IoSlice::new(&[]); 8];
        let filled = out.slices(&mut slices);
        let n = slices[..filled].iter().map(|slice| slice.len()).sum();
        slices[..filled].iter().for_each(|slice| bytes.extend_from_slice(slice));
        out.advance(n);
    }
}

/// Feeds all of it, a driver's turn for each chunk.
fn feed(core: &mut Connection, chunks: &[&[u8]], now: Instant) {
    let mut input = BytesMut::new();
    for chunk in chunks {
        input.extend_from_slice(chunk);
        loop {
            let before = input.len();
            core.handle_input(&mut input, now);
            core.assert_invariants();
            if input.is_empty() || input.len() == before {
                break;
            }
        }
        core.settle();
    }
    assert!(input.is_empty(), "{} bytes are left over", input.len());
}

/// A stream of bytes of a whole connection, and a connection that has not read any of it.
struct Recording {
    receiver: Connection,
    calls: Vec<CallId>,
    bytes: Vec<u8>,
    now: Instant,
}

fn record(sender: Side, steps: &[Step]) -> Recording {
    let now = Instant::now();
    let make = |side| {
        let mut config = Config::new(side);
        config.limits = Limits { calls_max: 1_000, window: 1 << 20, ..Limits::accepting() };
        Connection::new(config, now).unwrap()
    };
    let (mut sender, mut receiver) = (make(sender), make(sender.peer()));
    let mut opened = Vec::new();
    let mut bytes = Vec::new();
    // What the receiver has said before it reads anything: an accepting side nothing at all.
    if receiver.side() == Side::Connecting {
        for _ in 0..4 {
            let call = receiver.open(Open::new("a.B/C"), now).unwrap();
            let mut view = receiver.call(call).unwrap();
            view.send(Bytes::from_static(b"request"), false).unwrap();
            assert_eq!(view.recv(), Recv::Pending);
            opened.push(call);
        }
        let said = transmit(&mut receiver, now);
        let (preface, rest) = said.split_at(8);
        feed(&mut sender, &[preface], now);
        bytes.extend(transmit(&mut sender, now));
        feed(&mut sender, &[rest], now);
    }
    let mut calls = opened.clone();
    for step in steps {
        act(&mut sender, &mut calls, *step, now);
        bytes.extend(transmit(&mut sender, now));
    }
    Recording { receiver, calls: opened, bytes, now }
}

fn act(core: &mut Connection, calls: &mut Vec<CallId>, step: Step, now: Instant) {
    let nth = |call: u8| calls.get(usize::from(call) % calls.len().max(1)).copied();
    match step {
        Step::Open(deadline) => {
            let deadline = deadline.then(|| now + std::time::Duration::from_millis(5));
            calls.extend(core.open(Open::new("a.B/D").with_deadline(deadline), now));
        }
        Step::Ping => {
            core.ping();
        }
        Step::Drain => core.drain(),
        Step::Send { call, .. }
        | Step::Respond(call)
        | Step::End { call, .. }
        | Step::Cancel(call)
        | Step::Finish(call)
        | Step::Recv(call) => {
            let Some(mut view) = nth(call).and_then(|call| core.call(call)) else { return };
            match step {
                Step::Send { size, last, .. } => {
                    let fill = size as u8;
                    let _ = view.send(vec![fill; size.into()].into(), last);
                }
                Step::Respond(_) => {
                    let _ = view.respond(Metadata::new());
                }
                Step::End { ok, .. } => {
                    view.end(if ok { Status::ok() } else { Status::aborted("no") });
                }
                Step::Cancel(_) => view.cancel(),
                Step::Finish(_) => view.finish(),
                _ => {
                    view.recv();
                }
            }
        }
    }
}

/// All that shows of a connection that has read these chunks.
fn trace(recording: &Recording, chunks: &[&[u8]]) -> (String, Vec<u8>) {
    let mut core = recording.receiver.clone();
    let now = recording.now;
    feed(&mut core, chunks, now);
    let mut lines = String::new();
    let mut calls = recording.calls.clone();
    while let Some(event) = core.poll_event() {
        if let Event::Request(request) = &event {
            calls.push(request.call);
        }
        lines += &format!("{event:?}\n");
    }
    let sent = transmit(&mut core, now);
    for call in calls {
        while let Some(mut view) = core.call(call) {
            let got = view.recv();
            lines += &format!("{call}: {got:?}\n");
            if !matches!(got, Recv::Message(_)) {
                break;
            }
        }
    }
    lines += &format!("{:?} {}", core.error(), core.buffered());
    (lines, [sent, transmit(&mut core, now)].concat())
}

fn check_splits(sender: Side, steps: &[Step], cuts: &[u16]) {
    let recording = record(sender, steps);
    let bytes = &recording.bytes[..];
    let whole = trace(&recording, &[bytes]);
    assert!(!whole.0.contains("PeerMisbehaved"), "{}", whole.0);
    let mut places: Vec<usize> =
        cuts.iter().map(|cut| usize::from(*cut) * bytes.len() / 65_536).collect();
    places.sort_unstable();
    let mut chunks = Vec::new();
    let mut from = 0;
    for place in places {
        chunks.push(&bytes[from..place]);
        from = place;
    }
    chunks.push(&bytes[from..]);
    assert_eq!(trace(&recording, &chunks), whole, "split at {cuts:?}");
    // Every byte by itself: all of the beginning, and of a long stream no more.
    let (head, tail) = bytes.split_at(bytes.len().min(1_500));
    let mut chunks: Vec<&[u8]> = head.chunks(1).collect();
    chunks.push(tail);
    assert_eq!(trace(&recording, &chunks), whole, "byte by byte");
}

#[test] // [CAL-003] [MSG-002] [OUT-001]
fn a_split_makes_no_difference() {
    let side = prop_oneof![Just(Side::Connecting), Just(Side::Accepting)];
    let case = (side, vec(step(), 1..30), vec(any::<u16>(), 0..12));
    check("chunks::a_split_makes_no_difference", case, |(sender, steps, cuts)| {
        check_splits(*sender, steps, cuts);
    });
}
