//! Every interleaving of a tiny configuration of two real connections: calls both ways, given up or
//! not, drains, an output and a pipe of one frame in each direction. No state may break a rule, and
//! none may be stuck.

use std::collections::{BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use bowline_protocol::{
    CallId, Config, Connection, Event, Limits, Open, Outbound, Recv, Side, Status,
};
use bytes::BytesMut;

use crate::runner::cases;
use crate::sut::SIDES;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Caller {
    Open,
    GaveUp,
    Ended { not_started: bool },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Node {
    core: Connection,
    out: Outbound,
    /// Written and not yet read by the other side.
    pipe: VecDeque<Vec<u8>>,
    ended: bool,
    eof_read: bool,
    drained: bool,
    mine: Vec<(CallId, Caller)>,
    /// Calls that were started here, and whether the handler still runs.
    handlers: Vec<(CallId, bool)>,
}

type State = [Node; 2];

/// How much may happen.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    calls: [usize; 2],
    cancel: bool,
    drain: [bool; 2],
}

fn start(now: Instant) -> State {
    let mut state = SIDES.map(|side| {
        let mut config = Config::new(side);
        config.limits = Limits {
            calls_max: if side == Side::Connecting { 1 } else { 64 },
            output_max: 1,
            ..Limits::accepting()
        };
        Node {
            core: Connection::new(config, now).unwrap(),
            out: Outbound::new(),
            pipe: VecDeque::new(),
            ended: false,
            eof_read: false,
            drained: false,
            mine: Vec::new(),
            handlers: Vec::new(),
        }
    });
    // The handshake.
    for s in [0, 1, 0, 1, 0, 1] {
        poll(&mut state, s, now);
        write(&mut state, s);
        read(&mut state, 1 - s, now);
    }
    assert!(state.iter().all(|node| node.core.is_established()));
    state
}

fn poll(state: &mut State, s: usize, now: Instant) {
    let node = &mut state[s];
    node.core.poll_transmit(&mut node.out, now);
}

/// The whole output, which is one frame, goes into the pipe, which holds one.
fn write(state: &mut State, s: usize) {
    let node = &mut state[s];
    if node.pipe.is_empty() && !node.out.is_empty() {
        let mut slices = [std::io::IoSlice::new(&[]); 4];
        let filled = node.out.slices(&mut slices);
        let bytes = slices[..filled].iter().flat_map(|slice| slice.iter().copied());
        node.pipe.push_back(bytes.collect());
        // Bytes that were written long ago are no part of the state.
        node.out = Outbound::new();
    }
    if node.core.is_closed() || node.core.is_write_ended() && node.out.is_empty() {
        node.ended = true;
    }
}

fn read(state: &mut State, s: usize, now: Instant) {
    if let Some(bytes) = state[1 - s].pipe.pop_front() {
        let node = &mut state[s];
        let mut input = BytesMut::from(&bytes[..]);
        node.core.handle_input(&mut input, now);
        if !input.is_empty() {
            // What follows the preface.
            node.core.poll_transmit(&mut node.out, now);
            node.core.handle_input(&mut input, now);
        }
        assert!(input.is_empty());
    } else if state[1 - s].ended && !state[s].eof_read {
        state[s].eof_read = true;
        state[s].core.handle_eof(now);
    }
    settle(state, s);
}

/// The application looks at what has happened.
fn settle(state: &mut State, s: usize) {
    while let Some(event) = state[s].core.poll_event() {
        match event {
            Event::Request(request) => {
                let caller = &state[1 - s].mine;
                let (_, end) = caller.iter().find(|(id, _)| *id == request.call).unwrap();
                assert_ne!(*end, Caller::Ended { not_started: true }, "{} starts", request.call);
                let node = &mut state[s];
                assert!(node.handlers.iter().all(|(id, _)| *id != request.call));
                node.handlers.push((request.call, true));
                let running = node.handlers.iter().filter(|(_, runs)| *runs).count();
                assert!(running <= node.core.limits().calls_max as usize);
            }
            Event::Closed(error) => assert_eq!(error, None, "side {s}"),
            _ => {}
        }
    }
    let [a, b] = state;
    let (node, other) = if s == 0 { (a, b) } else { (b, a) };
    for (id, end) in &mut node.mine {
        if *end != Caller::Open {
            continue;
        }
        let Some(mut call) = node.core.call(*id) else { panic!("call {id} is lost") };
        match call.recv() {
            Recv::Pending => {}
            Recv::Ended(status) => {
                let not_started = status.not_started();
                let ran = other.handlers.iter().any(|(handler, _)| handler == id);
                assert!(!not_started || !ran, "call {id} ran: {status}");
                assert!(not_started || ran, "call {id} never ran: {status}");
                *end = Caller::Ended { not_started };
            }
            other => panic!("{other:?}"),
        }
    }
    node.core.assert_invariants();
}

/// What the protocol and the handlers do by themselves.
fn own_steps(state: &State, now: Instant) -> Vec<State> {
    let mut next = Vec::new();
    let mut add = |step: &dyn Fn(&mut State)| {
        let mut after = state.clone();
        step(&mut after);
        if after != *state {
            next.push(after);
        }
    };
    for s in 0..2 {
        add(&|state| {
            poll(state, s, now);
            settle(state, s);
        });
        add(&|state| write(state, s));
        add(&|state| read(state, s, now));
        for (at, (id, runs)) in state[s].handlers.iter().enumerate() {
            if *runs {
                add(&|state| {
                    state[s].core.call(*id).expect("runs").end(Status::ok());
                    state[s].handlers[at].1 = false;
                    settle(state, s);
                });
            }
        }
    }
    next
}

/// What applications may do or leave.
fn choices(state: &State, bounds: Bounds, now: Instant) -> Vec<State> {
    let mut next = Vec::new();
    for s in 0..2 {
        if state[s].mine.len() < bounds.calls[s] {
            let mut after = state.clone();
            if let Ok(id) = after[s].core.open(Open::new("a.B/C"), now) {
                after[s].mine.push((id, Caller::Open));
                settle(&mut after, s);
                next.push(after);
            }
        }
        for (at, (id, end)) in state[s].mine.iter().enumerate() {
            if bounds.cancel && *end == Caller::Open {
                let mut after = state.clone();
                after[s].core.call(*id).expect("is open").cancel();
                after[s].mine[at].1 = Caller::GaveUp;
                settle(&mut after, s);
                next.push(after);
            }
        }
        if bounds.drain[s] && !state[s].drained {
            let mut after = state.clone();
            after[s].core.drain();
            after[s].drained = true;
            settle(&mut after, s);
            next.push(after);
        }
    }
    next
}

fn fingerprint(state: &State) -> u128 {
    let [low, high] = [0_u8, 1].map(|salt| {
        let mut hasher = DefaultHasher::new();
        (salt, state).hash(&mut hasher);
        hasher.finish()
    });
    u128::from(high) << 64 | u128::from(low)
}

/// Goes through all states; returns how many, and in how many both sides have closed.
fn search(bounds: Bounds) -> (usize, usize) {
    let now = Instant::now();
    let first = start(now);
    let mut seen = BTreeSet::from([fingerprint(&first)]);
    let mut queue = VecDeque::from([first]);
    let mut closed = 0;
    while let Some(state) = queue.pop_front() {
        let own = own_steps(&state, now);
        if own.is_empty() {
            assert_done(&state);
            closed += usize::from(state.iter().all(|node| node.core.is_closed()));
        }
        for next in own.into_iter().chain(choices(&state, bounds, now)) {
            if seen.insert(fingerprint(&next)) {
                queue.push_back(next);
            }
        }
    }
    (seen.len(), closed)
}

/// Nothing moves by itself: then no work is left.
fn assert_done(state: &State) {
    for (s, node) in state.iter().enumerate() {
        assert!(node.mine.iter().all(|(_, end)| *end != Caller::Open), "stuck: {state:#?}");
        assert!(node.out.is_empty() && node.pipe.is_empty(), "stuck: {state:#?}");
        assert!(node.core.is_idle(), "side {s} is stuck: {state:#?}");
    }
    let drained = state.iter().any(|node| node.drained);
    let closed = state.iter().all(|node| node.core.is_closed());
    assert_eq!(drained, closed, "stuck: {state:#?}");
}

#[test] // [GOA-001] [GOA-002] [CLS-001] [CLS-002] [SLT-001]
fn no_interleaving_is_stuck() {
    let quick = [
        Bounds { calls: [1, 0], cancel: true, drain: [true, false] },
        Bounds { calls: [0, 1], cancel: false, drain: [true, true] },
        Bounds { calls: [0, 2], cancel: true, drain: [false, false] },
        Bounds { calls: [1, 1], cancel: false, drain: [false, true] },
        Bounds { calls: [0, 2], cancel: false, drain: [true, false] },
    ];
    let thorough = [
        Bounds { calls: [1, 0], cancel: true, drain: [true, true] },
        Bounds { calls: [0, 1], cancel: true, drain: [true, true] },
        Bounds { calls: [1, 1], cancel: true, drain: [true, false] },
        Bounds { calls: [1, 1], cancel: true, drain: [false, true] },
        Bounds { calls: [1, 1], cancel: false, drain: [true, true] },
        Bounds { calls: [0, 2], cancel: true, drain: [true, false] },
        Bounds { calls: [2, 0], cancel: true, drain: [false, true] },
        Bounds { calls: [1, 2], cancel: true, drain: [false, false] },
    ];
    let all: &[Bounds] = if cases() >= 2_000 { &thorough } else { &quick };
    for bounds in all {
        let begun = Instant::now();
        let (states, closed) = search(*bounds);
        println!("{bounds:?}: {states} states, {closed} closed, {:?}", begun.elapsed());
        assert!(states > 100);
    }
}
