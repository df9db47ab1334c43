//! Waiting on a connection: reading it oneself, or sleeping while another thread does.

use std::sync::Arc;
use std::time::Instant;

use bowline_protocol::CallId;
use rustix::event::PollFlags;

use super::reader::Reader;
use super::waiters::Interest;
use super::{Guard, Shared, State};

impl Shared {
    /// Waits until there is a result; looks again whenever something has come.
    pub(super) fn wait<R>(
        self: &Arc<Self>,
        interest: Interest,
        result: impl FnMut(&mut State) -> Option<R>,
    ) -> R {
        self.wait_from(self.lock(), Instant::now(), interest, result)
    }

    /// As [`wait`](Self::wait), for one who holds the lock.
    pub(super) fn wait_from<'a, R>(
        self: &'a Arc<Self>,
        state: Guard<'a>,
        now: Instant,
        interest: Interest,
        result: impl FnMut(&mut State) -> Option<R>,
    ) -> R {
        let (state, result) = self.wait_locked(state, now, interest, result);
        self.leave(state);
        result
    }

    /// As [`wait_from`](Self::wait_from), for one who goes on with the lock, and [leaves](Self::leave)
    /// then.
    pub(super) fn wait_locked<'a, R>(
        self: &'a Arc<Self>,
        mut state: Guard<'a>,
        mut now: Instant,
        interest: Interest,
        mut result: impl FnMut(&mut State) -> Option<R>,
    ) -> (Guard<'a>, R) {
        let mut reader = None;
        let result = loop {
            if let Some(result) = result(&mut state) {
                break result;
            }
            // Only now: to wait for a message may owe the peer credit, which goes with what is sent.
            if self.advance(&mut state, now) {
                continue;
            }
            // Others start what this thread would have started.
            self.ask_for_threads(&mut state);
            reader = reader.or_else(|| self.take_reader(&mut state));
            state = match &mut reader {
                Some(reader) => self.turn(state, reader, interest, &mut now),
                None => self.sleep(state, interest, &mut now),
            };
        };
        if let Some(reader) = reader {
            self.give_reader(&mut state, reader);
        }
        self.advance(&mut state, now);
        (state, result)
    }

    /// Waits until what a call has sent is in the socket, or the call is over: nobody else might be
    /// there to write the rest.
    pub(super) fn wait_written(self: &Arc<Self>, state: Guard<'_>, id: CallId) {
        if state.blocked {
            let written = |state: &mut State| (!state.blocked || !state.may_send(id)).then_some(());
            self.wait_from(state, Instant::now(), Interest::Send(id), written);
        } else {
            self.leave(state);
        }
    }

    /// Takes the right to read, if nobody has it.
    pub(super) fn take_reader(&self, state: &mut State) -> Option<Reader> {
        let reader = state.reader.take()?;
        if let Some(served) = &self.served {
            served.watch.set_read(true);
        }
        Some(reader)
    }

    /// Gives the right to read back.
    pub(super) fn give_reader(&self, state: &mut State, reader: Reader) {
        if state.closed {
            return;
        }
        state.reader = Some(reader);
        if let Some(served) = &self.served {
            served.watch.set_read(false);
            served.workers.on_unread();
        }
    }

    /// Sleeps until there is something for this thread, until it shall read, or until a timer rings.
    pub(super) fn sleep<'a>(
        self: &'a Arc<Self>,
        mut state: Guard<'a>,
        interest: Interest,
        now: &mut Instant,
    ) -> Guard<'a> {
        let left = state.core.poll_timeout().map(|timer| timer.saturating_duration_since(*now));
        let unwatched = state.socket.clone().filter(|_| state.is_unwatched());
        let waker = state.waiters.add(interest, unwatched.is_some());
        if let Some(socket) = unwatched {
            // The one who reads does not know that the output waits, so that this thread waits for
            // room.
            state.watchers += 1;
            drop(state);
            waker.poll(socket.as_fd(), PollFlags::OUT, left);
            state = self.lock();
            state.watchers -= 1;
        } else {
            drop(state);
            waker.sleep(left);
            state = self.lock();
        }
        state.waiters.remove(interest, &waker);
        *now = Instant::now();
        state
    }

    /// Before a thread turns to something else: whoever else waits goes on reading, or waits for room
    /// in the socket. One who has been woken already does so, or passes here in turn.
    pub(super) fn leave(self: &Arc<Self>, mut state: Guard<'_>) {
        let deserted = state.reader.is_some() || state.is_unwatched();
        if deserted && !state.waiters.are_coming() {
            state.waiters.wake_one();
        }
        self.ask_for_threads(&mut state);
    }
}

impl State {
    /// The output waits for room in the socket, and nobody waits with it.
    pub(super) const fn is_unwatched(&self) -> bool {
        self.blocked && self.watchers == 0
    }
}
