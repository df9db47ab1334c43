//! Tests of waits: how long they last, what bounds them, and the room that they read into.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bowline_unix::RawSocket;

use super::{NEEDLESS_MAX, READ_MIN, Read, Reader, Want};
use crate::blocking::connection::waiters::{Interest, Waiters};

fn pair() -> (RawSocket, Reader) {
    let (near, far) = RawSocket::pair().expect("a pair of sockets");
    (far, Reader::new(Arc::new(near)))
}

fn want(left: Option<Duration>) -> Want<'static> {
    let now = Instant::now();
    let until = left.map(|left| now + left);
    Want { hint: 0, writable: false, until, waker: None, now }
}

fn send(socket: &RawSocket, bytes: &[u8]) {
    assert_eq!(socket.try_send(&[IoSlice::new(bytes)]).expect("there is room"), bytes.len());
}

/// With input there already.
fn read(far: &RawSocket, reader: &mut Reader, left: Option<Duration>) {
    send(far, b"input");
    assert_eq!(reader.wait(want(left)), Read::Input);
    assert_eq!(&reader.input[..], b"input");
    reader.input.clear();
}

#[test]
fn the_limit_of_the_socket_is_set_only_where_it_must_be_shorter() {
    let (far, mut reader) = pair();
    read(&far, &mut reader, None);
    assert_eq!(reader.limit, None);
    read(&far, &mut reader, Some(Duration::from_secs(1000)));
    let first = reader.limit.expect("it was set");
    assert!(first > Duration::from_secs(800) && first < Duration::from_secs(1000), "{first:?}");
    for longer in [Some(Duration::from_secs(990)), Some(Duration::from_secs(5000)), None] {
        read(&far, &mut reader, longer);
        assert_eq!(reader.limit, Some(first));
    }
    read(&far, &mut reader, Some(Duration::from_secs(500)));
    let second = reader.limit.expect("it was set");
    assert!(second < Duration::from_secs(500), "{second:?}");
    // Short ones are left to `poll`.
    read(&far, &mut reader, Some(Duration::from_millis(50)));
    assert_eq!(reader.limit, Some(second));
}

#[test]
fn a_limit_that_is_no_longer_needed_is_lifted() {
    let (far, mut reader) = pair();
    read(&far, &mut reader, Some(Duration::from_secs(1000)));
    for _ in 1..NEEDLESS_MAX {
        read(&far, &mut reader, None);
        assert!(reader.limit.is_some());
    }
    // Needed again, it counts anew.
    read(&far, &mut reader, Some(Duration::from_secs(1000)));
    for _ in 1..NEEDLESS_MAX {
        read(&far, &mut reader, None);
        assert!(reader.limit.is_some());
    }
    read(&far, &mut reader, None);
    assert_eq!(reader.limit, None);
}

#[test]
fn a_wait_ends_at_its_time() {
    let (_far, mut reader) = pair();
    for left in [Duration::ZERO, Duration::from_millis(10), Duration::from_millis(120)] {
        let begun = Instant::now();
        // It may end too early, and begins again then.
        while begun.elapsed() < left {
            let left = left.saturating_sub(begun.elapsed());
            assert_eq!(reader.wait(want(Some(left))), Read::Nothing);
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{left:?} took {:?}", begun.elapsed());
    }
}

#[test]
fn a_wait_ends_when_it_is_woken() {
    let (_far, mut reader) = pair();
    let mut waiters = Waiters::default();
    let waker = waiters.add(Interest::Change, true);
    waiters.wake_change();
    drop(waiters.take_woken());
    assert_eq!(reader.wait(Want { waker: Some(&waker), ..want(None) }), Read::Nothing);
}

#[test]
fn a_wait_ends_with_the_peer() {
    let (far, mut reader) = pair();
    send(&far, b"the last");
    drop(far);
    assert_eq!(reader.wait(want(None)), Read::Input);
    assert_eq!(reader.wait(want(None)), Read::Lost);
}

#[test]
fn the_room_grows_with_what_comes_and_is_given_back() {
    let (far, mut reader) = pair();
    send(&far, &[0; 3 * READ_MIN]);
    assert_eq!(reader.wait(want(None)), Read::Input);
    assert_eq!(reader.input.len(), READ_MIN);
    assert_eq!(reader.wait(want(None)), Read::Input);
    assert_eq!(reader.input.len(), 3 * READ_MIN);
    reader.input.clear();
    assert_eq!(reader.wait(want(Some(Duration::from_millis(10)))), Read::Nothing);
    assert_eq!(reader.input.capacity(), 0);
}
