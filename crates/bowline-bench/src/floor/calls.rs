//! Calls that share a connection. There are no tasks beside the callers: one of them writes for all,
//! and one of them reads.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::input::Input;
use super::output::Output;
use super::sockets::{Reader, Writer};

/// Both directions of a socket.
pub(super) type Halves = (Input, Writer);

/// A connection and its calls.
pub(super) struct Connection {
    /// A stream has them for itself.
    halves: Option<Halves>,
    output: Output,
    /// Calls from the first that has not ended, by their numbers.
    calls: VecDeque<Call>,
    first: u64,
    /// The next one that a reply is for.
    next: u64,
    /// The call that writes, and the one that reads, for all.
    writes: Option<u64>,
    reads: Option<u64>,
}

enum Call {
    Waits(Waker),
    Answered(usize),
    Ended,
}

impl Connection {
    pub(super) fn new(reader: Reader, writer: Writer) -> Self {
        Self {
            halves: Some((Input::new(reader), writer)),
            output: Output::default(),
            calls: VecDeque::new(),
            first: 0,
            next: 0,
            writes: None,
            reads: None,
        }
    }

    /// Takes the socket from all calls, or gives it back.
    pub(super) fn swap(&mut self, halves: Option<Halves>) -> Option<Halves> {
        mem::replace(&mut self.halves, halves)
    }

    /// Begins a call, and gives its number.
    pub(super) fn start(&mut self, payload: Bytes) -> u64 {
        self.output.push(payload);
        self.calls.push_back(Call::Waits(Waker::noop().clone()));
        self.first + self.calls.len() as u64 - 1
    }

    /// Waits for the reply of a call, and gives its length.
    pub(super) fn poll(
        &mut self,
        call: u64,
        is_new: bool,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let result = self.go_on(call, is_new, cx);
        if let Poll::Ready(Err(_)) = &result {
            self.halves = None;
            for call in self.calls.drain(..) {
                if let Call::Waits(waker) = call {
                    waker.wake();
                }
            }
        }
        result
    }

    fn go_on(&mut self, call: u64, is_new: bool, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let busy = || io::Error::other("a stream failed, or has the connection for itself");
        let (input, writer) = self.halves.as_mut().ok_or_else(busy)?;
        let index = (call - self.first) as usize;
        if is_new && self.calls.len() > 1 {
            // The replies that woke this one have woken others: all that they send is one write.
            if self.writes.is_none() {
                self.writes = Some(call);
                cx.waker().wake_by_ref();
            }
        } else if self.writes.is_none_or(|writes| writes == call) {
            let full = self.output.poll_flush(writer, cx)?.is_pending();
            self.writes = full.then_some(call);
        }
        if self.reads.is_none_or(|reads| reads == call) {
            self.reads = Some(call);
            while matches!(self.calls[index], Call::Waits(_)) && input.poll_fill(cx)?.is_ready() {
                while let Some(length) = input.message() {
                    let answered = &mut self.calls[(self.next - self.first) as usize];
                    if let Call::Waits(waker) = mem::replace(answered, Call::Answered(length)) {
                        waker.wake();
                    }
                    self.next += 1;
                }
            }
        }
        match &mut self.calls[index] {
            Call::Waits(waker) => waker.clone_from(cx.waker()),
            Call::Answered(length) => {
                let length = *length;
                self.end(call);
                return Poll::Ready(Ok(length));
            }
            Call::Ended => {}
        }
        Poll::Pending
    }

    /// Another call goes on with what this one did for all.
    fn end(&mut self, call: u64) {
        self.calls[(call - self.first) as usize] = Call::Ended;
        while let Some(Call::Ended) = self.calls.front() {
            self.calls.pop_front();
            self.first += 1;
        }
        for role in [&mut self.writes, &mut self.reads] {
            role.take_if(|role| *role == call);
        }
        if (self.reads.is_none() || self.writes.is_none() && !self.output.is_empty())
            && let Some(Call::Waits(waker)) = self.calls.get((self.next - self.first) as usize)
        {
            waker.wake_by_ref();
        }
    }
}
