//! What the clauses share: connecting, sending and receiving through the contract, joining futures,
//! and wakers that can be watched.

use std::fmt::Display;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::BytesMut;

use super::Harness;
use crate::{Listener, Socket};

/// More than any socket holds unread; who takes more without waiting knows no bound.
pub(super) const PLENTY: usize = 256 * 1024 * 1024;

/// A clause's name, to fail with.
#[derive(Clone, Copy)]
pub(super) struct Clause(pub(super) &'static str);

impl Clause {
    #[track_caller]
    pub(super) fn fail(self, what: impl Display) -> ! {
        panic!("the transport breaks the clause {}: {what}", self.0)
    }

    #[track_caller]
    pub(super) fn ensure(self, holds: bool, what: impl Display) {
        if !holds {
            self.fail(what);
        }
    }

    /// The value of an operation that must succeed.
    #[track_caller]
    pub(super) fn ok<T, E: Display>(self, what: &str, result: Result<T, E>) -> T {
        match result {
            Ok(value) => value,
            Err(error) => self.fail(format_args!("{what} failed: {error}")),
        }
    }

    #[track_caller]
    pub(super) fn same(self, what: &str, found: &[u8], expected: &[u8]) {
        if found == expected {
            return;
        }
        let at =
            found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
        self.fail(format_args!(
            "{what} differs from byte {at} on; {} bytes came of {}",
            found.len(),
            expected.len()
        ));
    }
}

/// A listener and one connection to it.
pub(super) struct Connected {
    pub(super) listener: Box<dyn Listener>,
    pub(super) client: Box<dyn Socket>,
    pub(super) server: Box<dyn Socket>,
}

pub(super) async fn connected(harness: &dyn Harness, clause: Clause) -> Connected {
    let listener = harness.listen().await;
    let (client, server) = connect(harness, clause, &*listener).await;
    Connected { listener, client, server }
}

/// Makes one more connection to a listener.
pub(super) async fn connect(
    harness: &dyn Harness,
    clause: Clause,
    listener: &dyn Listener,
) -> (Box<dyn Socket>, Box<dyn Socket>) {
    let connector = harness.connector(listener.address());
    let (client, server) = join(connector.connect(), listener.accept()).await;
    (clause.ok("connect", client), clause.ok("accept", server))
}

/// Polls once; `waker` waits if there is nothing.
pub(super) fn recv_once(
    socket: &dyn Socket,
    waker: &Waker,
    buf: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    socket.poll_recv(&mut Context::from_waker(waker), buf, &mut Vec::new())
}

/// A receiver that finds nothing and waits.
#[track_caller]
pub(super) fn wait_to_receive(clause: Clause, socket: &dyn Socket, waker: &Waker) {
    let mut buf = BytesMut::with_capacity(64);
    if let Poll::Ready(result) = recv_once(socket, waker, &mut buf) {
        clause.fail(format_args!("poll_recv of nothing is not pending, but {result:?}"));
    }
}

pub(super) async fn send_some(socket: &dyn Socket, data: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        match poll_fn(|cx| socket.poll_send(cx, data, &[])).await {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

pub(super) async fn send_all(clause: Clause, socket: &dyn Socket, mut data: &[u8]) {
    while !data.is_empty() {
        let sent = clause.ok("poll_send", send_some(socket, &[IoSlice::new(data)]).await);
        clause.ensure(sent > 0, "poll_send sent nothing of what was not empty");
        clause.ensure(sent <= data.len(), "poll_send sent more than it was given");
        data = &data[sent..];
    }
}

/// Appends to `buf`, whose capacity is at most `room` beyond its length.
pub(super) async fn recv_some(
    socket: &dyn Socket,
    buf: &mut BytesMut,
    room: usize,
) -> io::Result<usize> {
    let mut chunk = BytesMut::with_capacity(room);
    let mut descriptors = Vec::new();
    loop {
        match poll_fn(|cx| socket.poll_recv(cx, &mut chunk, &mut descriptors)).await {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => {
                buf.extend_from_slice(&chunk);
                return result.inspect(|count| {
                    assert_eq!(*count, chunk.len(), "poll_recv counts other than it appends");
                });
            }
        }
    }
}

pub(super) async fn recv_exact(clause: Clause, socket: &dyn Socket, length: usize) -> BytesMut {
    let mut buf = BytesMut::new();
    while buf.len() < length {
        let room = (length - buf.len()).min(64 * 1024);
        if clause.ok("poll_recv", recv_some(socket, &mut buf, room).await) == 0 {
            clause.fail(format_args!("the end came after {} bytes of {length}", buf.len()));
        }
    }
    buf
}

/// Reads until the end of file or an error, which may be the sign of a peer that has gone.
pub(super) async fn recv_to_end(socket: &dyn Socket) -> (BytesMut, io::Result<()>) {
    let mut buf = BytesMut::new();
    loop {
        match recv_some(socket, &mut buf, 64 * 1024).await {
            Ok(0) => return (buf, Ok(())),
            Ok(_) => {}
            Err(error) => return (buf, Err(error)),
        }
    }
}

/// Sends one byte there and one back: both ends are alive and nothing is left in between.
pub(super) async fn exchange(clause: Clause, first: &dyn Socket, second: &dyn Socket) {
    for (from, to, byte) in [(first, second, b'a'), (second, first, b'b')] {
        send_all(clause, from, &[byte]).await;
        clause.same("what was sent", &recv_exact(clause, to, 1).await, &[byte]);
    }
}

/// Sends `pattern(offset, ..)` until the socket takes no more; then `waker` waits for room. Returns
/// how many bytes went.
pub(super) fn fill(clause: Clause, socket: &dyn Socket, offset: usize, waker: &Waker) -> usize {
    let mut cx = Context::from_waker(waker);
    let mut sent = 0;
    loop {
        let piece = pattern(offset + sent, 60_000);
        match socket.poll_send(&mut cx, &[IoSlice::new(&piece)], &[]) {
            Poll::Ready(count) => sent += clause.ok("poll_send", count),
            Poll::Pending => return sent,
        }
        clause.ensure(sent < PLENTY, "a socket whose peer does not read takes bytes without end");
    }
}

/// Bytes that tell where in the stream they belong.
pub(super) fn pattern(offset: usize, length: usize) -> Vec<u8> {
    let byte = |at: usize| (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
    (offset..offset + length).map(|at| byte(at) as u8).collect()
}

/// Numbers that look random and are the same in each run.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    /// Few bytes, some, or many.
    pub(super) fn size(&mut self) -> usize {
        let most = [10, 1_000, 200_000][self.up_to(3) - 1];
        self.up_to(most)
    }

    /// A number from 1 to `most`.
    pub(super) fn up_to(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        1 + (self.0 % most as u64) as usize
    }
}

/// Runs two futures side by side, in one task.
pub(super) async fn join<A: Future, B: Future>(first: A, second: B) -> (A::Output, B::Output) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut first_out, mut second_out) = (None, None);
    poll_fn(|cx| {
        if first_out.is_none()
            && let Poll::Ready(out) = first.as_mut().poll(cx)
        {
            first_out = Some(out);
        }
        if second_out.is_none()
            && let Poll::Ready(out) = second.as_mut().poll(cx)
        {
            second_out = Some(out);
        }
        match (first_out.take(), second_out.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            (first, second) => {
                (first_out, second_out) = (first, second);
                Poll::Pending
            }
        }
    })
    .await
}

/// Lets the executor and its I/O have a turn.
pub(super) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A waker of which can be told whether it was woken, and for which a task can wait.
#[derive(Default)]
pub(super) struct Probe {
    woken: AtomicBool,
    watcher: Mutex<Option<Waker>>,
}

impl Probe {
    pub(super) fn new() -> (Arc<Self>, Waker) {
        let probe = Arc::new(Self::default());
        (Arc::clone(&probe), probe.into())
    }

    pub(super) async fn woken(&self) {
        poll_fn(|cx| {
            *self.watcher.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
            if self.woken.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    pub(super) fn reset(&self) {
        self.woken.store(false, Ordering::SeqCst);
    }
}

impl Wake for Probe {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        let watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(watcher) = watcher {
            watcher.wake();
        }
    }
}
