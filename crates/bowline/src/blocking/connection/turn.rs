//! What the one who reads does: feeding the core, handing out what came of it, and writing.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bowline_protocol::{Event, Side};
use rustix::net::{Shutdown, shutdown};

use super::reader::{Read, Reader, Want};
use super::waiters::Interest;
use super::{Guard, Shared, State};

/// A connection that nobody has read for so long was left alone; otherwise a thread was about to read.
const UNREAD: Duration = Duration::from_millis(100);
/// Reads in a row of one who only catches up: more than a socket holds.
const CATCH_UP_MAX: usize = 256;
/// Slices of one vectored write.
const SLICES: usize = 32;

impl Shared {
    /// Waits for input once, without the lock, and deals with it.
    pub(super) fn turn<'a>(
        self: &'a Arc<Self>,
        mut state: Guard<'a>,
        reader: &mut Reader,
        interest: Interest,
        now: &mut Instant,
    ) -> Guard<'a> {
        if reader.held && !state.blocked {
            self.digest(&mut state, reader, Read::Input, *now);
            return state;
        }
        let writable = state.blocked;
        let (hint, until) = (state.core.input_hint(), state.core.poll_timeout());
        state.watchers += u32::from(writable);
        let waker = interest.is_shared().then(|| state.waiters.add(interest, true));
        drop(state);
        let read = reader.wait(Want { hint, writable, until, waker: waker.as_deref(), now: *now });
        state = self.lock();
        state.watchers -= u32::from(writable);
        if let Some(waker) = waker {
            state.waiters.remove(interest, &waker);
        }
        *now = Instant::now();
        state.looked = *now;
        self.digest(&mut state, reader, read, *now);
        state
    }

    /// Feeds the core with what was read.
    pub(super) fn digest(&self, state: &mut State, reader: &mut Reader, read: Read, now: Instant) {
        match read {
            Read::Input => self.take_input(state, reader, now),
            Read::Nothing => state.core.settle(),
            Read::Lost => state.core.handle_eof(now),
        }
    }

    fn take_input(&self, state: &mut State, reader: &mut Reader, now: Instant) {
        reader.held = false;
        state.core.settle();
        loop {
            let before = reader.input.len();
            state.core.handle_input(&mut reader.input, now);
            // Here the preface has been taken and nothing else: no call has started.
            if reader.input.len() < before
                && let Some((code, text)) = reader.refuse.take()
            {
                state.core.abort(code, text, now);
            }
            // [PRE-002]
            if !state.core.is_established() && state.core.side() == Side::Accepting {
                self.write(state, now);
                if state.blocked {
                    reader.held = true;
                    return;
                }
            }
            if reader.input.is_empty() || reader.input.len() == before {
                return;
            }
        }
    }

    /// Does what is due, hands out what there is to tell, and writes, until there is nothing more of
    /// it. Whether anything has happened but that bytes were written: then whoever waits has to look
    /// again.
    pub(super) fn advance(self: &Arc<Self>, state: &mut State, now: Instant) -> bool {
        let is_due = |state: &State| state.core.poll_timeout().is_some_and(|timer| timer <= now);
        let mut happened = is_due(state);
        if happened {
            self.catch_up(state, now);
            if is_due(state) {
                state.core.handle_timeout(now);
            }
        }
        loop {
            // Before the output: a call that has no handler is answered.
            happened |= self.handle_events(state);
            happened |= self.write(state, now);
            if !state.core.has_events() {
                return happened;
            }
        }
    }

    /// Reads what has come while nobody read: the peer is not to blame for what only nobody has seen,
    /// nor for silence that nobody heard.
    pub(super) fn catch_up(&self, state: &mut State, now: Instant) {
        let Some(mut reader) = state.reader.take() else { return };
        if now.saturating_duration_since(state.looked) > UNREAD {
            state.core.handle_input(&mut reader.input, now);
        }
        state.looked = now;
        for _ in 0..CATCH_UP_MAX {
            let read = reader.try_read(state.core.input_hint());
            self.digest(state, &mut reader, read, now);
            if read != Read::Input || reader.held {
                break;
            }
        }
        state.reader = Some(reader);
    }

    /// Writes as much as the socket takes. Whether it is no longer full, or takes nothing any more.
    fn write(&self, state: &mut State, now: Instant) -> bool {
        let was_blocked = state.blocked;
        let mut happened = false;
        if state.core.wants_transmit() || !state.out.is_empty() {
            happened = self.fill_socket(state, now);
        }
        self.end_writing(state);
        if was_blocked && !state.blocked {
            state.waiters.wake_output();
            happened = true;
        } else if state.blocked
            && state.reader.is_some()
            && let Some(served) = &self.served
        {
            // The keeper might be waiting for input alone.
            served.workers.on_unread();
        }
        happened
    }

    /// Whether the socket takes nothing any more.
    fn fill_socket(&self, state: &mut State, now: Instant) -> bool {
        // Somebody waits until there is room, and writes then.
        if state.closed || state.blocked && state.watchers > 0 {
            return false;
        }
        let mut failed = false;
        loop {
            // Also once all is written: the core watches whether the output moves.
            state.core.poll_transmit(&mut state.out, now);
            state.blocked = false;
            if state.out.is_empty() {
                return failed;
            }
            match state.write_once() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    state.blocked = true;
                    return failed;
                }
                Err(_) => {
                    state.core.handle_write_failed(now);
                    failed = true;
                }
            }
        }
    }

    fn end_writing(&self, state: &mut State) {
        if state.core.is_write_ended() && !state.shut {
            state.shut = true;
            // A peer that is gone cannot be told; reading finds that out.
            let _ = state.socket.as_ref().map(|socket| shutdown(socket.as_fd(), Shutdown::Write));
        }
    }

    /// Hands out what the core has to tell. Whether there was anything.
    pub(super) fn handle_events(&self, state: &mut State) -> bool {
        let mut any = false;
        while let Some(event) = state.core.poll_event() {
            any = true;
            match event {
                Event::Request(call) => {
                    let start = state.arrivals.on_request(&mut state.core, call);
                    state.starts.extend(start);
                }
                Event::Readable(id) => match state.arrivals.on_readable(&mut state.core, id) {
                    Some(start) => state.starts.push_back(start),
                    None => state.waiters.wake_recv(id),
                },
                Event::Writable(id) => state.waiters.wake_send(id),
                Event::Stopped(id, _) => {
                    state.arrivals.on_stopped(&mut state.core, id);
                    state.waiters.wake_call(id);
                }
                Event::Pong(number) => {
                    state.ponged = number;
                    state.waiters.wake_change();
                }
                Event::Closed(error) => {
                    tracing::debug!(connection = ?self, ?error, "connection closed");
                    self.close(state);
                }
                _ => state.waiters.wake_change(),
            }
        }
        any
    }

    /// The connection has ended: nobody waits on it any longer.
    fn close(&self, state: &mut State) {
        state.closed = true;
        state.blocked = false;
        state.starts.clear();
        // Whoever still holds a handle: the connection's descriptor is closed. Who waits in it is
        // woken, and lets go of it.
        if let Some(socket) = state.socket.take() {
            let _ = shutdown(socket.as_fd(), Shutdown::Both);
        }
        state.reader = None;
        state.waiters.wake_all();
        if let Some(served) = &self.served {
            served.workers.on_closed(served.number, state.core.error());
        }
    }
}

impl State {
    fn write_once(&mut self) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Err(io::ErrorKind::NotConnected.into()) };
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = self.out.slices(&mut slices);
        match socket.try_send(&slices[..filled]) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(sent) => {
                self.out.advance(sent);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}
