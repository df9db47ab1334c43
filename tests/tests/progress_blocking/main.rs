//! No write-write deadlock where one side or both block their threads: calls and streams both ways at
//! once over real sockets, down to the least buffers that the kernel gives. A second without a byte
//! moving fails.

#[path = "../hard/mod.rs"]
mod hard;

mod counted;
mod ends;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

use self::ends::{End, Face, Rig};
use self::hard::content;
use self::hard::counting::watched;
use self::hard::wiring::{Buffers, Kind};

const WINDOW: usize = 64 * 1024;
const CALLS: [usize; 3] = [1, 64, 279];
const PAYLOADS: [usize; 5] = [0, 1, WINDOW - 1, WINDOW, 4 * WINDOW];
/// Of a caller's thread; there are many of them.
const STACK: usize = 512 * 1024;

/// The tests run one after the other: the watchdog looks at the clock.
static ALONE: Mutex<()> = Mutex::new(());

type Job = Box<dyn FnOnce() + Send>;

/// Runs all of them at once, each in a thread of its own, and fails when no byte moves any more.
fn run(what: &str, rig: &Rig, jobs: Vec<Job>) {
    let start = Instant::now();
    let threads: Vec<_> = jobs
        .into_iter()
        .map(|job| thread::Builder::new().stack_size(STACK).spawn(job).expect("a thread"))
        .collect();
    let (done, all) = oneshot::channel();
    thread::spawn(move || {
        let results: Result<(), _> = threads.into_iter().try_for_each(thread::JoinHandle::join);
        let _ = done.send(results.is_ok());
    });
    let good = rig.runtime.block_on(watched(what, &rig.counter, all)).expect("it is sent");
    assert!(good, "{what}: a thread panicked");
    eprintln!("{what}: {:?}", start.elapsed());
}

/// So many calls each way with so long a payload.
fn cell(kind: Kind, buffers: Buffers, faces: [Face; 2], calls: usize, payload: usize) {
    let what =
        format!("{kind:?}, buffers {buffers:?}, {faces:?}, {calls} calls of {payload} bytes");
    let rig = Rig::new(kind, buffers, WINDOW, faces);
    let mut jobs: Vec<Job> = Vec::new();
    for (side, end) in [&rig.client, &rig.back].into_iter().enumerate() {
        for number in side * calls..(side + 1) * calls {
            let (end, counter) = (end.clone(), Arc::clone(&rig.counter));
            jobs.push(Box::new(move || {
                let sent = content(number, payload);
                assert!(end.echo(sent.clone()) == sent, "call {number} brought something else");
                counter.complete();
            }));
        }
    }
    run(&what, &rig, jobs);
    rig.close();
}

fn matrix(buffers: Buffers, faces: [Face; 2]) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for payload in PAYLOADS {
        for calls in CALLS {
            cell(Kind::Unix, buffers, faces, calls, payload);
        }
    }
}

const BOTH: [Face; 2] = [Face::Blocking, Face::Blocking];
const CLIENT: [Face; 2] = [Face::Blocking, Face::Async];
const SERVER: [Face; 2] = [Face::Async, Face::Blocking];

#[test]
fn unix_least() {
    matrix(Buffers::Least, BOTH);
}

#[test]
fn unix_default() {
    matrix(Buffers::Default, BOTH);
}

#[test]
fn unix_least_with_an_async_server() {
    matrix(Buffers::Least, CLIENT);
}

#[test]
fn unix_default_with_an_async_server() {
    matrix(Buffers::Default, CLIENT);
}

#[test]
fn unix_least_with_an_async_client() {
    matrix(Buffers::Least, SERVER);
}

#[test]
fn unix_default_with_an_async_client() {
    matrix(Buffers::Default, SERVER);
}

#[test]
fn tcp() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for faces in [BOTH, CLIENT, SERVER] {
        for (calls, payload) in [(279, 1), (64, WINDOW - 1), (4, 4 * WINDOW)] {
            cell(Kind::Tcp, Buffers::Least, faces, calls, payload);
            cell(Kind::Tcp, Buffers::Default, faces, calls, payload);
        }
    }
}

/// Streams with messages both ways, opened by both sides, beside one from each side that nobody reads.
const STREAMS: usize = 8;
const MESSAGES: usize = 32;
const MESSAGE: usize = 8 * 1024;

fn streams(kind: Kind, buffers: Buffers, faces: [Face; 2]) {
    let what = format!("{kind:?}, buffers {buffers:?}, {faces:?}, streams");
    let rig = Rig::new(kind, buffers, WINDOW, faces);
    let ends = [&rig.client, &rig.back];
    let stuck = ends.map(End::stuck_stream);
    let mut jobs: Vec<Job> = Vec::new();
    for (side, end) in ends.into_iter().enumerate() {
        for number in 0..STREAMS {
            let (end, counter) = (end.clone(), Arc::clone(&rig.counter));
            let from = (side * STREAMS + number) * MESSAGES;
            jobs.push(Box::new(move || end.chat(from..from + MESSAGES, MESSAGE, &counter)));
        }
    }
    run(&what, &rig, jobs);
    for let_go in stuck {
        let_go();
    }
    rig.close();
}

#[test]
fn streams_both_ways() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for faces in [BOTH, CLIENT, SERVER] {
        for kind in [Kind::Unix, Kind::Tcp] {
            streams(kind, Buffers::Least, faces);
            streams(kind, Buffers::Default, faces);
        }
    }
}
