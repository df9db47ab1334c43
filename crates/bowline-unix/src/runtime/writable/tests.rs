//! Tests of waiting for room: interest in writing exists only while the socket is full.

use std::future::poll_fn;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use bowline_transport::Socket;
use bytes::BytesMut;

use super::*;
use crate::UnixSocket;

/// What epoll watches a file for, as the kernel tells it: for each of this process's epoll
/// descriptors, the events of each descriptor that leads to the same socket.
fn interests(socket: &RawSocket) -> Vec<u32> {
    let inode = |fd: &str| std::fs::read_link(format!("/proc/self/fd/{fd}")).ok();
    let ours = inode(&socket.as_fd().as_raw_fd().to_string()).expect("is open");
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fdinfo").unwrap() {
        let Ok(text) = std::fs::read_to_string(entry.unwrap().path()) else { continue };
        for line in text.lines().filter(|line| line.starts_with("tfd:")) {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            if inode(words[1]).as_ref() == Some(&ours) {
                found.push(u32::from_str_radix(words[3], 16).unwrap());
            }
        }
    }
    found
}

fn watched_for_room(socket: &UnixSocket) -> bool {
    interests(socket.raw()).iter().any(|events| events & libc::EPOLLOUT as u32 != 0)
}

/// Sends until there is no room; returns how many bytes went.
fn fill(socket: &UnixSocket, waker: &Waker) -> usize {
    let mut sent = 0;
    loop {
        let mut cx = Context::from_waker(waker);
        match socket.poll_send(&mut cx, &[IoSlice::new(&[7; 4_096])], &[]) {
            Poll::Ready(count) => sent += count.unwrap(),
            Poll::Pending => return sent,
        }
    }
}

async fn drain(socket: &UnixSocket, length: usize) {
    let (mut buf, mut received) = (BytesMut::new(), 0);
    while received < length {
        buf.clear();
        buf.reserve(8_192);
        received += poll_fn(|cx| socket.poll_recv(cx, &mut buf, &mut Vec::new())).await.unwrap();
    }
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn room_is_watched_only_while_the_socket_is_full() {
    let (a, b) = UnixSocket::pair().unwrap();
    assert!(!interests(a.raw()).is_empty(), "the test can see what epoll watches");
    assert!(!watched_for_room(&a));
    let send = async |count: u32| {
        for _ in 0..count {
            a.try_send(&[IoSlice::new(b"x")], &[]).unwrap();
            drain(&b, 1).await;
        }
    };
    send(3).await;
    assert!(!watched_for_room(&a));
    let sent = fill(&a, Waker::noop());
    assert!(watched_for_room(&a));
    drain(&b, sent).await;
    send(STREAK - 1).await;
    assert!(watched_for_room(&a), "it may soon be full again");
    send(1).await;
    assert!(!watched_for_room(&a));
    assert!(!watched_for_room(&b));
}

#[tokio::test]
async fn a_sender_that_waits_outlives_the_copy() {
    let (a, b) = UnixSocket::pair().unwrap();
    let count = Arc::new(Count::default());
    let sent = fill(&a, &Arc::clone(&count).into());
    // The runtime has no turn, so that the news of the room does not come through tokio.
    let mut buf = BytesMut::with_capacity(sent);
    while b.raw().try_recv(&mut buf).is_ok_and(|_| buf.len() < sent) {}
    assert_eq!(count.0.load(Ordering::SeqCst), 0);
    for _ in 0..STREAK {
        a.try_send(&[IoSlice::new(b"x")], &[]).unwrap();
    }
    assert!(!watched_for_room(&a));
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
}

#[test]
fn the_copy_is_registered_from_a_thread_without_a_runtime() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().unwrap();
    let (a, b) = runtime.block_on(async { UnixSocket::pair().unwrap() });
    let sent = fill(&a, Waker::noop());
    assert!(watched_for_room(&a));
    runtime.block_on(async {
        let more = poll_fn(|cx| a.poll_send(cx, &[IoSlice::new(b"x")], &[]));
        let both = async { tokio::join!(more, drain(&b, sent)).0.unwrap() };
        let limit = Duration::from_secs(30);
        assert_eq!(tokio::time::timeout(limit, both).await.expect("it is woken"), 1);
    });
}

#[tokio::test]
async fn a_sender_without_end_lets_others_run() {
    let (a, b) = UnixSocket::pair().unwrap();
    let mut buf = BytesMut::with_capacity(64);
    for _ in 0..10_000 {
        let mut cx = Context::from_waker(Waker::noop());
        if a.poll_send(&mut cx, &[IoSlice::new(b"x")], &[]).is_pending() {
            return;
        }
        buf.clear();
        b.raw().try_recv(&mut buf).unwrap();
    }
    panic!("ten thousand sends took no turn of the task's");
}
