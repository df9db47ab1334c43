//! Waiting for room in a socket that is full.
//!
//! While a socket is full, a copy of its descriptor is registered for writability. Once a number of
//! sends in a row have gone at once, the copy is dropped again, so that the peer's reads no longer
//! wake this side. A socket that is full again and again keeps it.

use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::task::coop::poll_proceed;

use crate::stream::RawSocket;

/// After how many sends in a row that went at once the copy is dropped.
const STREAK: u32 = 32;

/// When to try again if the copy could not be made for lack of resources.
const RETRY: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(super) struct Writable {
    /// Where the copy is registered, whichever task or thread happens to send.
    handle: Handle,
    /// Whether `copy` is there, so that a send that goes at once need not lock to know. Only a hint.
    registered: AtomicBool,
    copy: Mutex<Option<Copy>>,
}

#[derive(Debug)]
struct Copy {
    fd: AsyncFd<OwnedFd>,
    streak: u32,
    /// The task that waits for room. tokio has it, too, but forgets it when the copy is dropped.
    waiting: Option<Waker>,
}

impl Writable {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle, registered: AtomicBool::new(false), copy: Mutex::new(None) }
    }

    pub(super) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        socket: &RawSocket,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A task whose peer reads as fast as it sends would else never let others run.
        let turn = ready!(poll_proceed(cx));
        let mut slot = self.lock();
        // With a copy it is known whether there is room; without, trying tells.
        if slot.is_none()
            && let Some(result) = attempt(socket, data)
        {
            turn.made_progress();
            return Poll::Ready(result);
        }
        drop(turn);
        let copy = match &mut *slot {
            Some(copy) => copy,
            empty => match self.register(socket) {
                Ok(copy) => empty.insert(copy),
                Err(error) if is_shortage(&error) => {
                    self.wake_later(cx.waker().clone());
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(Err(error)),
            },
        };
        let result = copy.poll_send(cx, socket, data);
        let replaced = if result.is_pending() {
            copy.streak = 0;
            copy.waiting.replace(cx.waker().clone())
        } else {
            copy.waiting.take()
        };
        drop(slot);
        // Not under the lock: with a waker may go a task that owns this very socket.
        drop(replaced);
        result
    }

    /// Sends without waiting.
    #[inline]
    pub(super) fn try_send(&self, socket: &RawSocket, data: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.registered.load(Ordering::Relaxed) {
            self.try_registered(socket, data)
        } else {
            socket.try_send(data)
        }
    }

    #[cold]
    fn try_registered(&self, socket: &RawSocket, data: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut slot = self.lock();
        let Some(copy) = &mut *slot else { return socket.try_send(data) };
        let result = copy.try_send(socket, data);
        copy.streak = if is_short(&result, data) { 0 } else { copy.streak + 1 };
        let sent = result?;
        if copy.streak < STREAK {
            return Ok(sent);
        }
        let copy = slot.take();
        self.registered.store(false, Ordering::Relaxed);
        drop(slot);
        if let Some(waker) = copy.and_then(|copy| copy.waiting) {
            // There was room for others, so that it is its turn to try.
            waker.wake();
        }
        Ok(sent)
    }

    fn register(&self, socket: &RawSocket) -> io::Result<Copy> {
        // epoll takes a descriptor once, but a copy of it once more.
        let fd = rustix::io::fcntl_dupfd_cloexec(socket.as_fd(), 3)?;
        let _runtime = self.handle.enter();
        let fd = super::register(fd, Interest::WRITABLE)?;
        self.registered.store(true, Ordering::Relaxed);
        Ok(Copy { fd, streak: 0, waiting: None })
    }

    /// A connection does not end because some other one has taken the last descriptor.
    fn wake_later(&self, waker: Waker) {
        self.handle.spawn(async move {
            tokio::time::sleep(RETRY).await;
            waker.wake();
        });
    }

    fn lock(&self) -> MutexGuard<'_, Option<Copy>> {
        // It is whole at every point where a panic is possible.
        self.copy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Copy {
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        socket: &RawSocket,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.fd.poll_write_ready(cx))?;
            match attempt(socket, data) {
                Some(result) => {
                    if is_short(&result, data) {
                        ready.clear_ready();
                    }
                    return Poll::Ready(result);
                }
                None => ready.clear_ready(),
            }
        }
    }

    /// Tries, whatever the runtime believes; if that shows the socket to be full, the runtime is told.
    fn try_send(&self, socket: &RawSocket, data: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut result = None;
        let _full = self.fd.try_io(Interest::WRITABLE, |_| {
            let sent = result.insert(socket.try_send(data));
            if is_short(sent, data) { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        result.unwrap_or_else(|| socket.try_send(data))
    }
}

/// The socket is full: it took less than it was given.
fn is_short(sent: &io::Result<usize>, data: &[IoSlice<'_>]) -> bool {
    match sent {
        Ok(sent) => *sent < data.iter().map(|slice| slice.len()).sum(),
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

/// `None` if there is no room.
fn attempt(socket: &RawSocket, data: &[IoSlice<'_>]) -> Option<io::Result<usize>> {
    loop {
        match socket.try_send(data) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return Some(result),
        }
    }
}

fn is_shortage(error: &io::Error) -> bool {
    let shortage = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOSPC, libc::ENOBUFS];
    error.raw_os_error().is_some_and(|number| shortage.contains(&number))
}

#[cfg(test)]
mod tests;
