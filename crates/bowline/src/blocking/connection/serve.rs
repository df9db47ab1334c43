//! The peer's calls: the thread that reads runs their handlers itself, one after the other. If one of
//! them takes long, the keeper goes on reading and other threads run the rest.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bowline_protocol::CallId;
use rustix::event::{PollFd, PollFlags};

use super::reader::Read;
use super::waiters::Interest;
use super::{Guard, Seen, Shared, State};
use crate::Status;
use crate::arrivals::Arrival;
use crate::blocking::Socket;
use crate::blocking::channel::Channel;
use crate::blocking::service::{Answer, ServerCall};

/// Handlers that were run one after the other for so long let their answers out before the next one.
const BATCH_MAX: Duration = Duration::from_micros(100);

/// What the keeper does for a connection that nobody reads.
#[derive(Debug)]
pub(crate) struct Duty {
    pub(crate) socket: Arc<dyn Socket>,
    /// What it waits for in the socket.
    pub(crate) wanted: PollFlags,
    /// When it has to look in any case.
    pub(crate) until: Option<Instant>,
}

impl Duty {
    pub(crate) fn poll_fd(&self) -> PollFd<'_> {
        PollFd::from_borrowed_fd(self.socket.as_fd(), self.wanted)
    }
}

impl Shared {
    /// Whether anybody reads, on a side that takes calls.
    pub(crate) fn look(&self) -> Option<Seen> {
        self.served.as_ref().map(|served| served.watch.look())
    }

    /// Answers calls until the connection has ended, or another thread reads. `asked` is whether
    /// the thread was asked for to start a handler.
    pub(crate) fn serve(self: &Arc<Self>, asked: bool) {
        let back = Channel::callback(Arc::clone(self));
        let mut reader = None;
        let mut batch = None;
        let mut now = Instant::now();
        let mut state = self.lock();
        state.asked -= usize::from(asked);
        loop {
            if let Some(start) = state.next_start() {
                if let Some(reader) = reader.take() {
                    self.give_reader(&mut state, reader);
                }
                if state.has_starts() && batch.is_none() {
                    batch = Some(now);
                }
                state = self.run(state, start, &back);
                now = Instant::now();
                if batch.is_some_and(|begun| now.duration_since(begun) > BATCH_MAX) {
                    self.advance(&mut state, now);
                    batch = None;
                }
                continue;
            }
            batch = None;
            self.advance(&mut state, now);
            if state.has_starts() {
                continue;
            }
            if state.closed {
                break;
            }
            reader = reader.or_else(|| self.take_reader(&mut state));
            state = match &mut reader {
                Some(reader) => self.turn(state, reader, Interest::Change, &mut now),
                // What was answered last is not left to nobody.
                None if state.is_unwatched() => self.sleep(state, Interest::Change, &mut now),
                // Another thread reads, and sees to all.
                None => break,
            };
        }
        self.leave(state);
    }

    /// Runs a handler without the lock, and takes in what it answers. That is written by the caller,
    /// together with what the next ones answer.
    fn run<'a>(self: &'a Arc<Self>, state: Guard<'a>, start: Arrival, back: &Channel) -> Guard<'a> {
        drop(state);
        let Arrival { route, call, message } = start;
        let route = self.router.route(route);
        let id = call.call;
        let call = ServerCall::new(back.clone(), call, message);
        let answer = catch_unwind(AssertUnwindSafe(|| route.service.call(route.index, call)));
        let answer = answer.unwrap_or_else(|_| {
            tracing::error!("a handler panicked; its call has ended with INTERNAL");
            Answer::from(Status::internal("the handler panicked"))
        });
        let mut state = self.lock();
        state.answer(id, answer);
        state
    }

    /// Has other threads start the handlers that this one does not.
    pub(super) fn ask_for_threads(self: &Arc<Self>, state: &mut State) {
        let Some(served) = &self.served else { return };
        while state.asked < state.starts.len() {
            state.asked += 1;
            served.workers.help(Arc::clone(self));
        }
    }

    /// What the keeper is to do if nobody reads.
    pub(crate) fn duty(&self) -> Option<Duty> {
        let mut state = self.lock();
        let socket = Arc::clone(state.socket.as_ref()?);
        let held = state.reader.as_ref()?.held;
        let mut wanted = if held { PollFlags::empty() } else { PollFlags::IN };
        if state.blocked {
            wanted |= PollFlags::OUT;
            state.watchers += 1;
        }
        Some(Duty { socket, wanted, until: state.core.poll_timeout() })
    }

    /// The keeper has waited as its duty said, and does what has come up.
    pub(crate) fn attend(self: &Arc<Self>, duty: &Duty, ready: PollFlags) {
        let now = Instant::now();
        let mut state = self.lock();
        state.watchers -= u32::from(duty.wanted.contains(PollFlags::OUT));
        self.advance(&mut state, now);
        if let Some(mut reader) = state.reader.take() {
            if reader.held && !state.blocked {
                self.digest(&mut state, &mut reader, Read::Input, now);
            } else if !(ready & !PollFlags::OUT).is_empty() {
                let read = reader.try_read(state.core.input_hint());
                self.digest(&mut state, &mut reader, read, now);
            }
            if !state.closed {
                state.reader = Some(reader);
            }
            self.advance(&mut state, now);
        }
        self.ask_for_threads(&mut state);
    }
}

impl State {
    /// The next call whose handler is to run.
    fn next_start(&mut self) -> Option<Arrival> {
        while let Some(start) = self.starts.pop_front() {
            let Some(mut call) = self.core.call(start.call.call) else { continue };
            if call.stopped().is_none() {
                return Some(start);
            }
            call.end(Status::cancelled("the call was stopped before it started"));
        }
        None
    }

    fn has_starts(&self) -> bool {
        !self.starts.is_empty()
    }

    /// A handler has ended, so. Who still has a half of its stream looks again.
    fn answer(&mut self, id: CallId, answer: Answer) {
        if let Some(mut call) = self.core.call(id) {
            answer.give(&mut call, &mut self.out);
        }
        self.waiters.wake_call(id);
    }
}
