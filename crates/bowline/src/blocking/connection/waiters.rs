//! Threads that wait while another one reads, and how they are woken.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bowline_protocol::{CallId, CallMap};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};

use super::State;
use super::reader::{poll, poll_one};

/// How long a thread that cannot be woken waits at a time.
const RETRY: Duration = Duration::from_millis(5);

/// What a thread waits for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Interest {
    /// A message, or the end of a call.
    Recv(CallId),
    /// The same, where no other thread has a part in the call.
    Only(CallId),
    /// Room for a message of a call, or that the output has moved.
    Send(CallId),
    /// HELLO, the answer to a PING, the end of the connection, or that the output has moved.
    Change,
}

impl Interest {
    /// Another thread of this side can bring about what is waited for, so that who reads can be woken,
    /// too. That costs a system call.
    pub(super) const fn is_shared(self) -> bool {
        matches!(self, Self::Recv(_) | Self::Send(_))
    }
}

/// The threads that wait on one connection and can be woken.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    recv: CallMap<Arc<Waker>>,
    send: CallMap<Arc<Waker>>,
    change: Vec<Arc<Waker>>,
}

impl Waiters {
    /// Adds this thread, which is about to sleep, or to wait for the socket.
    pub(super) fn add(&mut self, interest: Interest, polling: bool) -> Arc<Waker> {
        let current = Waker::current();
        current.set_polling(polling);
        let waker = Arc::clone(&current);
        match interest {
            Interest::Recv(id) | Interest::Only(id) => drop(self.recv.insert(id, waker)),
            Interest::Send(id) => drop(self.send.insert(id, waker)),
            Interest::Change => self.change.push(waker),
        }
        current
    }

    pub(super) fn remove(&mut self, interest: Interest, waker: &Arc<Waker>) {
        match interest {
            Interest::Recv(id) | Interest::Only(id) => drop(self.recv.remove(id)),
            Interest::Send(id) => drop(self.send.remove(id)),
            Interest::Change => self.change.retain(|w| !Arc::ptr_eq(w, waker)),
        }
    }

    pub(super) fn wake_recv(&mut self, id: CallId) {
        self.recv.remove(id).iter().for_each(|waker| waker.wake());
    }

    pub(super) fn wake_send(&mut self, id: CallId) {
        self.send.remove(id).iter().for_each(|waker| waker.wake());
    }

    pub(super) fn wake_call(&mut self, id: CallId) {
        self.wake_recv(id);
        self.wake_send(id);
    }

    pub(super) fn wake_change(&mut self) {
        self.change.drain(..).for_each(|waker| waker.wake());
    }

    /// The output has moved.
    pub(super) fn wake_output(&mut self) {
        self.send.ids().into_iter().for_each(|id| self.wake_send(id));
        self.wake_change();
    }

    pub(super) fn wake_all(&mut self) {
        self.recv.ids().into_iter().for_each(|id| self.wake_recv(id));
        self.wake_output();
    }

    /// Wakes one of those who wait, if there is one, so that it reads or waits for room.
    pub(super) fn wake_one(&mut self) {
        // Of calls the latest: its answer is likely to be the last to come.
        let latest = |waiting: &mut CallMap<Arc<Waker>>| waiting.remove(waiting.latest()?);
        let waker =
            latest(&mut self.recv).or_else(|| latest(&mut self.send)).or_else(|| self.change.pop());
        waker.iter().for_each(|waker| waker.wake());
    }
}

/// What wakes one thread, on whichever connection it waits.
#[derive(Debug, Default)]
pub(super) struct Waker {
    condvar: Condvar,
    /// Made when the thread first waits for a socket and for this at the same time.
    event: OnceLock<OwnedFd>,
    polling: AtomicBool,
}

impl Waker {
    /// The waker of this thread.
    fn current() -> Arc<Self> {
        thread_local! {
            static CURRENT: Arc<Waker> = Arc::default();
        }
        CURRENT.with(Arc::clone)
    }

    /// Under the lock of the connection, as all of these.
    fn wake(&self) {
        match self.event.get() {
            Some(event) if self.polling.load(Ordering::Relaxed) => {
                // It cannot fail: nobody counts as far as it can.
                let _ = rustix::io::write(event, &1_u64.to_ne_bytes());
            }
            _ => self.condvar.notify_one(),
        }
    }

    /// Gives the lock away until it is woken, or the time is over.
    pub(super) fn sleep<'a>(
        &self,
        state: MutexGuard<'a, State>,
        left: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        match left {
            None => self.condvar.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(left) => {
                let waited = self.condvar.wait_timeout(state, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }

    /// Says how it is to be woken.
    fn set_polling(&self, yes: bool) {
        if yes && self.event.get().is_none() {
            let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
            let _ = eventfd(0, flags).map(|event| self.event.set(event));
        }
        self.polling.store(yes, Ordering::Relaxed);
    }

    /// Without the lock: until the socket is ready, it is woken, or the time is over; what the socket is
    /// ready for.
    pub(super) fn poll(
        &self,
        socket: BorrowedFd<'_>,
        wanted: PollFlags,
        left: Option<Duration>,
    ) -> PollFlags {
        let Some(event) = self.event.get() else {
            // No descriptor is left: it looks by itself.
            return poll_one(socket, wanted, Some(left.map_or(RETRY, |left| left.min(RETRY))));
        };
        let socket = PollFd::from_borrowed_fd(socket, wanted);
        let mut fds = [socket, PollFd::new(event, PollFlags::IN)];
        poll(&mut fds, left);
        if !fds[1].revents().is_empty() {
            let _ = rustix::io::read(event, &mut [0_u8; 8]);
        }
        fds[0].revents()
    }
}
