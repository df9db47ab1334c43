//! The task of a connection: reads, keeps the time, tells who waits, and writes what others could
//! not write themselves.

use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bowline_protocol::{ErrorCode, Event, Side};
use bowline_transport::Socket;
use bytes::BytesMut;
use tokio::task::coop::unconstrained;
use tokio::time::Sleep;

use super::handlers::Handlers;
use super::polling::Polling;
use super::{BusyPoll, Shared, State};
use crate::arrivals::Arrival;

/// Room for one read of a connection that is idle or was so a moment ago.
const READ_IDLE: usize = 256;
/// Reads in a row after which a connection is no longer idle.
const BUSY_READS: u8 = 8;
/// Room for one read of a quiet connection.
const READ_MIN: usize = 4 * 1024;
/// Room for one read of a busy connection.
const READ_MAX: usize = 256 * 1024;
/// Reads in a row that could have done with the least room before the buffer is given back.
const QUIET_READS: u8 = 32;

/// A connection that was quiet for so long gives its read buffer back.
const IDLE: Duration = Duration::from_millis(100);
/// Handlers of one batch run in place for so long; then the rest get tasks of their own.
const INLINE_MAX: Duration = Duration::from_micros(100);

/// Drives one connection until it has ended.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    socket: Arc<dyn Socket>,
    handlers: Handlers,
    input: BytesMut,
    /// When memory is given back, if nothing comes until then.
    rest_at: Option<Instant>,
    read_size: usize,
    quiet_reads: u8,
    /// Input is held back until what must go first has been written.
    held: bool,
    timer: Option<Pin<Box<Sleep>>>,
    /// Refuse the connection with this as soon as the peer can be told.
    refuse: Option<(ErrorCode, &'static str)>,
    wakers: Vec<Waker>,
    starts: Vec<Arrival>,
    /// What waits for HELLO, the answer to a PING or the end is to look again.
    changed: bool,
    polling: Polling,
    /// Something has come since the socket was last waited for.
    traffic: bool,
    /// Handlers have got tasks, which are to run before other processes.
    spawned: bool,
}

/// What a turn of the driver came to.
enum Turn {
    /// There is input.
    Input,
    /// Others have been woken and are about to add their frames.
    Woken,
    /// Nothing is there, but something may be in a moment.
    Again,
    Closed,
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        socket: Arc<dyn Socket>,
        handlers: Handlers,
        busy_poll: BusyPoll,
    ) -> Self {
        Self {
            shared,
            socket,
            handlers,
            input: BytesMut::new(),
            rest_at: None,
            read_size: READ_IDLE,
            quiet_reads: 0,
            held: false,
            timer: None,
            refuse: None,
            wakers: Vec::new(),
            starts: Vec::new(),
            changed: false,
            polling: Polling::new(busy_poll),
            traffic: false,
            spawned: false,
        }
    }

    /// Ends the connection with this code once the peer has shown that it speaks the protocol.
    pub(crate) const fn refuse(&mut self, code: ErrorCode, text: &'static str) {
        self.refuse = Some((code, text));
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Runs until the connection has ended. Boxed, as a future has room for what is moved into it
    /// twice.
    pub(crate) async fn run(mut self: Box<Self>) {
        loop {
            match poll_fn(|cx| self.poll_turn(cx)).await {
                Turn::Closed => break,
                Turn::Woken => tokio::task::yield_now().await,
                Turn::Again => {
                    // The peer may need this very processor, but not before this side's handlers.
                    if !std::mem::take(&mut self.spawned) {
                        std::thread::yield_now();
                    }
                    tokio::task::yield_now().await;
                }
                Turn::Input => {
                    if self.take_input() {
                        // Those who were woken add their frames; then all go in one write. The
                        // yield lets the runtime look at its sockets, too.
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
        tracing::debug!(connection = ?self.shared, "connection closed");
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let now = Instant::now();
        state.clock = now;
        state.deferred = false;
        match &mut state.driver {
            Some(waker) => waker.clone_from(cx.waker()),
            None => state.driver = Some(cx.waker().clone()),
        }
        if state.core.poll_timeout().is_some_and(|timer| timer <= now) {
            state.core.handle_timeout(now);
        }
        loop {
            shared.flush(&mut state, now);
            shared.poll_unblock(&mut state, cx, now);
            if self.handle_events(&mut state) {
                drop(state);
                self.wake_and_start();
                return Poll::Ready(Turn::Woken);
            }
            // Events may have ended a call without waking anybody: its STATUS is still to go.
            if state.blocked || !state.core.wants_transmit() && state.out.is_empty() {
                break;
            }
        }
        if state.core.is_closed() {
            return Poll::Ready(Turn::Closed);
        }
        if self.held && !state.blocked {
            return Poll::Ready(Turn::Input);
        }
        let hint = state.core.input_hint();
        let due =
            state.core.slots_used() > 0 || self.traffic && state.core.side() == Side::Accepting;
        state.eager = !due && self.polling.is_willing();
        drop(state);
        if !self.held {
            let read = self.poll_read(hint, cx);
            if read.is_ready() {
                self.polling.came(now);
                self.traffic = true;
                return read;
            }
            if self.polling.again(due, now) {
                return Poll::Ready(Turn::Again);
            }
            self.traffic = false;
        }
        self.park(now, cx);
        Poll::Pending
    }

    /// Before the task waits: sees to it that it is woken in time. Not at each turn, as setting a
    /// timer costs the runtime a system call.
    fn park(&mut self, now: Instant, cx: &mut Context<'_>) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        self.rest(&mut state, now);
        let ring = [state.core.poll_timeout(), self.rest_at].into_iter().flatten().min();
        state.armed = self.poll_timer(ring, cx);
        if self.read_size == READ_IDLE {
            // Many connections have a call now and then: none of them holds what a call needs.
            self.give_back(&mut state);
        }
    }

    /// Makes the timer ring no later than this, and returns when it will. A timer that is set for an
    /// earlier time stays: most deadlines never come, and a needless turn is cheaper than setting
    /// the timer for each call.
    fn poll_timer(&mut self, ring: Option<Instant>, cx: &mut Context<'_>) -> Option<Instant> {
        let set = self.timer.as_ref().filter(|timer| !timer.is_elapsed());
        let set = set.map(|timer| timer.deadline().into_std());
        if let Some(ring) = ring.filter(|ring| set.is_none_or(|set| *ring < set)) {
            let at = tokio::time::Instant::from_std(ring);
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(at),
                None => self.timer = Some(Box::pin(tokio::time::sleep_until(at))),
            }
        } else if set.is_none() || ring.is_none() && self.read_size == READ_IDLE {
            self.timer = None;
            return None;
        }
        let timer = self.timer.as_mut()?;
        // Every time, and whatever the task's budget: else its waker might not be registered.
        if pin!(unconstrained(timer.as_mut())).poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Some(timer.deadline().into_std())
    }

    /// Gives memory back when the connection has been quiet for a while.
    fn rest(&mut self, state: &mut State, now: Instant) {
        if self.input.capacity() <= READ_IDLE {
            self.rest_at = None;
        } else if *self.rest_at.get_or_insert(now + IDLE) <= now {
            self.rest_at = None;
            self.give_back(state);
            if self.input.is_empty() {
                self.read_size = READ_IDLE;
                self.quiet_reads = 0;
            }
        }
    }

    /// Gives all memory back that nothing is in.
    fn give_back(&mut self, state: &mut State) {
        state.core.settle();
        state.core.shrink();
        state.out.shrink();
        state.spares.clear();
        state.entries.shrink();
        self.wakers = Vec::new();
        self.starts = Vec::new();
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
    }

    /// Reads once.
    // [OUT-001]
    fn poll_read(&mut self, hint: usize, cx: &mut Context<'_>) -> Poll<Turn> {
        // Room for what is announced, but never much more than what has arrived.
        let wanted = self.read_size.max(hint.min(self.input.len().max(READ_MAX)));
        self.input.reserve(wanted);
        let room = self.input.capacity() - self.input.len();
        // Descriptors are not agreed on, so what comes along is closed.
        let mut descriptors: Vec<OwnedFd> = Vec::new();
        match self.socket.poll_recv(cx, &mut self.input, &mut descriptors) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0)) => {
                self.lost();
                Poll::Ready(Turn::Woken)
            }
            Poll::Ready(Ok(n)) => {
                self.adapt(n, room);
                Poll::Ready(Turn::Input)
            }
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "reading failed");
                self.lost();
                Poll::Ready(Turn::Woken)
            }
        }
    }

    fn lost(&self) {
        self.shared.lock().core.handle_eof(Instant::now());
    }

    /// Makes the next read's room fit what comes.
    fn adapt(&mut self, read: usize, room: usize) {
        if self.read_size < READ_MIN {
            self.quiet_reads += 1;
            if read == room || self.quiet_reads >= BUSY_READS {
                self.read_size = READ_MIN;
                self.quiet_reads = 0;
            }
        } else if read == room {
            self.read_size = (self.read_size * 2).min(READ_MAX);
            self.quiet_reads = 0;
        } else if read > READ_MIN {
            self.quiet_reads = 0;
        } else if self.quiet_reads < QUIET_READS {
            self.quiet_reads += 1;
        } else {
            self.read_size = READ_MIN;
        }
    }

    /// Feeds what was read; true if others were woken and shall add their frames first.
    fn take_input(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        // The turn that found the input has just looked.
        let now = state.clock;
        self.held = false;
        self.rest_at = None;
        state.core.settle();
        loop {
            let before = self.input.len();
            state.core.handle_input(&mut self.input, now);
            // Here the preface has been taken and nothing else: no call has started.
            if self.input.len() < before
                && let Some((code, text)) = self.refuse.take()
            {
                state.core.abort(code, text, now);
            }
            // A connecting side must read on, whatever it has to write: else both might hold back.
            // [PRE-002] [OUT-001]
            if !state.core.is_established() && state.core.side() == Side::Accepting {
                shared.flush(&mut state, now);
                if state.blocked {
                    self.held = true;
                    return false;
                }
            }
            if self.input.is_empty() || self.input.len() == before {
                break;
            }
        }
        self.handle_events(&mut state);
        let batch = self.wakers.len() + self.starts.len() > 1 || !self.starts.is_empty();
        state.deferred = batch;
        drop(state);
        let woken = self.wakers.len();
        self.wake_and_start();
        // A driver that polls lets those whom it has woken send first: then something is due.
        (batch || self.polling.is_willing()) && woken > 0
    }

    /// Sorts out what the core has to tell; true if somebody is to be woken or started.
    fn handle_events(&mut self, state: &mut State) -> bool {
        while let Some(event) = state.core.poll_event() {
            match event {
                Event::Request(call) => {
                    if let Some(start) = self.handlers.arrivals.on_request(&mut state.core, call) {
                        self.start_soon(start);
                    }
                }
                Event::Readable(id) => {
                    match self.handlers.arrivals.on_readable(&mut state.core, id) {
                        Some(start) => self.start_soon(start),
                        None => self.wakers.extend(state.take_recv(id)),
                    }
                }
                Event::Writable(id) => self.wakers.extend(state.take_send(id)),
                Event::Stopped(id, _) => {
                    self.handlers.arrivals.on_stopped(&mut state.core, id);
                    self.wakers.extend(state.take_recv(id));
                    self.wakers.extend(state.take_send(id));
                    if let Some(handler) = state.entries.get(id).and_then(|e| e.handler.as_ref()) {
                        handler.abort();
                    }
                }
                Event::Pong(number) => {
                    state.ponged = number;
                    self.changed = true;
                }
                Event::Closed(_) => {
                    state.closed = true;
                    self.changed = true;
                }
                _ => self.changed = true,
            }
        }
        !self.wakers.is_empty() || !self.starts.is_empty() || self.changed
    }

    fn start_soon(&mut self, start: Arrival) {
        if self.starts.capacity() == 0 {
            // Many connections never have more than one call at a time.
            self.starts.reserve_exact(1);
        }
        self.starts.push(start);
    }

    fn wake_and_start(&mut self) {
        if std::mem::take(&mut self.changed) {
            self.shared.changed.notify_waiters();
        }
        let mut starts = std::mem::take(&mut self.starts);
        let last = starts.len().saturating_sub(1);
        let begun = (last > 0).then(Instant::now);
        let mut in_place = true;
        for (number, start) in starts.drain(..).enumerate() {
            self.spawned |= self.handlers.start(&self.shared, start, in_place);
            // The clock is not looked at each time: it costs as much as a small handler.
            let look = number % 8 == 7 || number.is_power_of_two() || number == 0;
            if in_place
                && look
                && number < last
                && begun.is_some_and(|begun| begun.elapsed() > INLINE_MAX)
            {
                // Handlers that take their time shall not hold up each other, nor their replies.
                in_place = false;
                let mut state = self.shared.lock();
                state.deferred = false;
                self.shared.flush(&mut state, Instant::now());
            }
        }
        self.starts = starts;
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }
}

impl State {
    fn take_recv(&mut self, id: bowline_protocol::CallId) -> Option<Waker> {
        self.entries.get_mut(id)?.recv.take()
    }

    fn take_send(&mut self, id: bowline_protocol::CallId) -> Option<Waker> {
        self.entries.get_mut(id)?.send.take()
    }
}

impl Drop for Driver {
    /// A driver that is dropped before the end (the runtime shuts down) leaves nobody waiting.
    fn drop(&mut self) {
        let wakers = {
            let mut state = self.shared.lock();
            if !state.core.is_closed() {
                state.core.handle_eof(Instant::now());
            }
            state.closed = true;
            // Whoever still holds a handle: the connection's descriptor is closed.
            state.socket = None;
            let mut wakers: Vec<Waker> = Vec::new();
            for id in state.entries.ids() {
                let Some(entry) = state.entries.get_mut(id) else { continue };
                wakers.extend(entry.recv.take());
                wakers.extend(entry.send.take());
                if let Some(handler) = &entry.handler {
                    handler.abort();
                }
            }
            wakers
        };
        for waker in wakers {
            waker.wake();
        }
        self.shared.changed.notify_waiters();
    }
}
