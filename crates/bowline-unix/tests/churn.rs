//! Servers that start and stop at one path, all at once: never two of them, never none after the last
//! start, and nobody else's file removed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and talks"
)]

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bowline_transport::{Address, Fault};
use bowline_unix::{BindOptions, BoundListener, ConnectOptions};
use support::{Actor, role, say, wait_for_the_end};

fn bind(path: &Path) -> Option<BoundListener> {
    match BindOptions::new().bind(&Address::unix(path).unwrap()) {
        Ok(listener) => Some(listener),
        Err(error) if matches!(error.fault(), Fault::LiveOwner { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

/// That the path leads to this listener, and to it alone.
fn is_mine(listener: &BoundListener, path: &Path) {
    listener.set_nonblocking(true).unwrap();
    let client = ConnectOptions::new().try_connect(&Address::unix(path).unwrap()).unwrap();
    let server = loop {
        // There may be one in front, of a start that looked whether anybody lives here.
        let server = listener.accept().expect("the path leads to this listener");
        client.send(&[std::io::IoSlice::new(b"x")]).unwrap();
        let mut buf = bytes::BytesMut::with_capacity(8);
        if server.try_recv(&mut buf).is_ok_and(|count| count > 0) {
            break server;
        }
    };
    drop(server);
}

#[test]
fn in_a_child() {
    let Some((role, path)) = role() else { return };
    match role.as_str() {
        "start and stop" => {
            say("ready");
            let mut starts = 0;
            while starts < 100 {
                let Some(listener) = bind(&path) else {
                    std::thread::yield_now();
                    continue;
                };
                is_mine(&listener, &path);
                starts += 1;
            }
        }
        "serve" => {
            say("starting");
            let listener = loop {
                if let Some(listener) = bind(&path) {
                    break listener;
                }
            };
            is_mine(&listener, &path);
            say("listening");
            wait_for_the_end();
        }
        other => panic!("{other} is not a role"),
    }
}

#[test]
fn threads_that_start_and_stop_never_serve_together() {
    const THREADS: usize = 4;
    const STARTS: usize = 250;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let serving = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut starts = 0;
                while starts < STARTS {
                    let Some(listener) = bind(&path) else {
                        std::thread::yield_now();
                        continue;
                    };
                    assert_eq!(serving.fetch_add(1, Ordering::SeqCst), 0, "two servers");
                    is_mine(&listener, &path);
                    starts += 1;
                    serving.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
    let listener = bind(&path).expect("all others have stopped");
    is_mine(&listener, &path);
}

#[test]
fn processes_that_start_and_stop_never_serve_together() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let actors: Vec<_> = (0..3).map(|_| Actor::start("start and stop", &path)).collect();
    actors.into_iter().for_each(Actor::finish);
    let listener = bind(&path).expect("all others have stopped");
    is_mine(&listener, &path);
}

#[test]
fn killed_at_any_moment_the_next_start_succeeds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    for round in 0..40_u32 {
        let mut actor = Actor::start("serve", &path);
        actor.hear();
        // Somewhere between the start of the bind and well after it.
        let spins = round * 2_000;
        for _ in 0..spins {
            std::hint::spin_loop();
        }
        actor.kill();
        let listener = bind(&path).expect("the other one is dead");
        is_mine(&listener, &path);
        if round % 2 == 0 {
            continue;
        }
        // Half of the time the dead one is followed by another process.
        drop(listener);
        let mut actor = Actor::start("serve", &path);
        assert_eq!((actor.hear().as_str(), actor.hear().as_str()), ("starting", "listening"));
        assert!(bind(&path).is_none());
        actor.kill();
    }
    drop(bind(&path).expect("the other one is dead"));
    let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "only the lock file is left: {left:?}");
}

#[test]
fn a_stranger_that_comes_and_goes_is_never_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let first = directory.path().join("stranger");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _done = SetAtTheEnd(&done);
            let mut strangers = 0;
            while strangers < 300 {
                // It comes to be elsewhere, for nobody can tell a socket that does not listen yet
                // from a dead one; then it takes the path, where that is free.
                let stranger = StdListener::bind(&first).unwrap();
                let taken = fs::hard_link(&first, &path);
                fs::remove_file(&first).unwrap();
                if taken.is_err() {
                    std::thread::yield_now();
                    continue;
                }
                strangers += 1;
                let inode = fs::symlink_metadata(&path).unwrap().ino();
                for _ in 0..5 {
                    StdStream::connect(&path).expect("the stranger's socket is there");
                    std::thread::yield_now();
                }
                assert_eq!(fs::symlink_metadata(&path).unwrap().ino(), inode);
                fs::remove_file(&path).unwrap();
                drop(stranger);
            }
        });
        while !done.load(Ordering::Relaxed) {
            // No other fault may come of it, either: see `bind`.
            drop(bind(&path));
        }
    });
}

struct SetAtTheEnd<'a>(&'a AtomicBool);

impl Drop for SetAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
