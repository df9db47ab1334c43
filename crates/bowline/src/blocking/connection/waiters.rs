//! Threads that wait while another one reads, and how they are woken.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bowline_protocol::{CallId, CallMap};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};

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
///
/// They are told once the lock is released, so that none wakes only to wait for the lock.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    recv: CallMap<Arc<Waker>>,
    send: CallMap<Arc<Waker>>,
    change: Vec<Arc<Waker>>,
    /// Those who are to be told.
    woken: Woken,
    /// Threads that are no longer among those who wait, and have not got the lock since.
    coming: usize,
}

impl Waiters {
    /// Adds this thread, which is about to sleep, or to wait for the socket.
    pub(super) fn add(&mut self, interest: Interest, polling: bool) -> Arc<Waker> {
        let current = Waker::current();
        current.prepare(polling);
        let waker = Arc::clone(&current);
        match interest {
            Interest::Recv(id) | Interest::Only(id) => drop(self.recv.insert(id, waker)),
            Interest::Send(id) => drop(self.send.insert(id, waker)),
            Interest::Change => self.change.push(waker),
        }
        current
    }

    /// This thread has waited, and has the lock again.
    pub(super) fn remove(&mut self, interest: Interest, waker: &Arc<Waker>) {
        if waker.is_called.swap(false, Ordering::Relaxed) {
            self.coming -= 1;
            return;
        }
        match interest {
            Interest::Recv(id) | Interest::Only(id) => drop(self.recv.remove(id)),
            Interest::Send(id) => drop(self.send.remove(id)),
            Interest::Change => self.change.retain(|w| !Arc::ptr_eq(w, waker)),
        }
    }

    /// Threads have been woken that have not got the lock yet. Each of them looks what there is to do on the
    /// connection before it leaves or waits again.
    pub(super) const fn are_coming(&self) -> bool {
        self.coming > 0
    }

    fn wake(&mut self, waker: Option<Arc<Waker>>) {
        let Some(waker) = waker else { return };
        waker.is_called.store(true, Ordering::Relaxed);
        self.coming += 1;
        self.woken.0.push(waker);
    }

    /// Those who are to be told, which happens when this is dropped: without the lock.
    pub(super) fn take_woken(&mut self) -> Woken {
        std::mem::take(&mut self.woken)
    }

    pub(super) fn wake_recv(&mut self, id: CallId) {
        let waker = self.recv.remove(id);
        self.wake(waker);
    }

    pub(super) fn wake_send(&mut self, id: CallId) {
        let waker = self.send.remove(id);
        self.wake(waker);
    }

    pub(super) fn wake_call(&mut self, id: CallId) {
        self.wake_recv(id);
        self.wake_send(id);
    }

    pub(super) fn wake_change(&mut self) {
        for waker in std::mem::take(&mut self.change) {
            self.wake(Some(waker));
        }
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
        self.wake(waker);
    }
}

/// Threads that are woken when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Woken(Vec<Arc<Waker>>);

impl Drop for Woken {
    fn drop(&mut self) {
        self.0.iter().for_each(|waker| waker.wake());
    }
}

/// What wakes one thread, on whichever connection it waits.
#[derive(Debug, Default)]
pub(super) struct Waker {
    bell: Mutex<Bell>,
    condvar: Condvar,
    /// Made when the thread first waits for a socket and for this at the same time.
    event: OnceLock<OwnedFd>,
    polling: AtomicBool,
    /// It is no longer among those who wait. Written under the connection's lock alone.
    is_called: AtomicBool,
}

#[derive(Debug, Default)]
struct Bell {
    rung: bool,
    /// Somebody sleeps until it rings: else telling the system would be in vain.
    awaited: bool,
}

impl Waker {
    /// The waker of this thread.
    fn current() -> Arc<Self> {
        thread_local! {
            static CURRENT: Arc<Waker> = Arc::default();
        }
        CURRENT.with(Arc::clone)
    }

    fn bell(&self) -> MutexGuard<'_, Bell> {
        self.bell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Without the lock of the connection. A thread that has gone on by itself meanwhile is woken from
    /// its next wait for nothing, which does no harm; one that has not is woken from this.
    fn wake(&self) {
        match self.event.get() {
            Some(event) if self.polling.load(Ordering::Relaxed) => {
                // It cannot fail: nobody counts as far as it can.
                let _ = rustix::io::write(event, &1_u64.to_ne_bytes());
            }
            _ => {
                let mut bell = self.bell();
                bell.rung = true;
                if bell.awaited {
                    drop(bell);
                    self.condvar.notify_one();
                }
            }
        }
    }

    /// Without the lock of the connection: until it is woken, or the time is over.
    pub(super) fn sleep(&self, left: Option<Duration>) {
        let mut bell = self.bell();
        bell.awaited = true;
        let silent = |bell: &mut Bell| !bell.rung;
        bell = match left {
            None => self.condvar.wait_while(bell, silent).unwrap_or_else(PoisonError::into_inner),
            Some(left) => {
                let waited = self.condvar.wait_timeout_while(bell, left, silent);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        bell.awaited = false;
    }

    /// Under the lock of the connection, before a wait: says how it is to be woken.
    fn prepare(&self, polling: bool) {
        if polling && self.event.get().is_none() {
            let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
            let _ = eventfd(0, flags).map(|event| self.event.set(event));
        }
        self.polling.store(polling, Ordering::Relaxed);
        self.bell().rung = false;
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
