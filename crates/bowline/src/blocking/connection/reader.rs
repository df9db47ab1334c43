//! Reading from the socket: what the thread that reads owns, and how it waits.
//!
//! A plain wait is one `recv`. The system can bound it by a time limit of the socket (SO_RCVTIMEO),
//! but that is set by a system call of its own and coarse. So it is set only where it must be shorter
//! than the one in force, somewhat shorter than asked for, so that a later wait of about the same
//! length need not set it again; what is left then is waited for with `poll`, which is exact. A wait
//! that ends too early does no harm. Once no time limit has been needed for a while, it is taken away.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bowline_protocol::ErrorCode;
use bytes::BytesMut;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::sockopt::{Timeout, set_socket_timeout};

use super::waiters::Waker;
use crate::blocking::Socket;

/// Room for one read of a quiet connection.
const READ_MIN: usize = 4 * 1024;
/// Room for one read of a busy connection.
const READ_MAX: usize = 128 * 1024;
/// Reads in a row that could have done with the least room before less is made.
const QUIET_READS: u8 = 32;
/// A connection that was quiet for so long gives a large read buffer back.
const IDLE: Duration = Duration::from_millis(100);
/// Waits in a row that need no time limit before the socket's is taken away.
const NEEDLESS_MAX: u8 = 16;
/// Shorter waits are bounded by `poll`: the time limit of a socket counts in the system's ticks, which
/// are up to 10 ms long.
const SHORT: Duration = Duration::from_millis(80);

/// What the thread that reads owns. There is one for each connection: who has it, reads.
#[derive(Debug)]
pub(super) struct Reader {
    socket: Arc<dyn Socket>,
    /// What was read and is not used up.
    pub(super) input: BytesMut,
    /// Input is held back until what must go first has been written.
    pub(super) held: bool,
    /// Refuse the connection with this as soon as the peer can be told.
    pub(super) refuse: Option<(ErrorCode, &'static str)>,
    read_size: usize,
    quiet_reads: u8,
    /// The time limit of the socket.
    limit: Option<Duration>,
    /// Waits in a row that did not need it.
    needless: u8,
    /// The last wait ended without input.
    timed_out: bool,
}

/// What a wait is for, beside input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want<'a> {
    /// Bytes still to come of a large message, or 0.
    pub(super) hint: usize,
    /// The output waits for room, too.
    pub(super) writable: bool,
    /// When to look again, whatever has come.
    pub(super) until: Option<Instant>,
    /// What wakes it, if anything can.
    pub(super) waker: Option<&'a Waker>,
    pub(super) now: Instant,
}

/// What came of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Input,
    /// Nothing to read: it is time, or there is room to write.
    Nothing,
    /// The peer has ended its writing, or is gone.
    Lost,
}

impl Reader {
    pub(super) fn new(socket: Arc<dyn Socket>) -> Self {
        Self {
            socket,
            input: BytesMut::new(),
            held: false,
            refuse: None,
            read_size: READ_MIN,
            quiet_reads: 0,
            limit: None,
            needless: 0,
            timed_out: false,
        }
    }

    /// Waits for input, and reads it.
    // [OUT-001]
    pub(super) fn wait(&mut self, want: Want<'_>) -> Read {
        let idle = (self.input.capacity() > READ_MIN).then(|| want.now + IDLE);
        let until = want.until.into_iter().chain(idle).min();
        let left = until.map(|until| until.saturating_duration_since(want.now));
        self.make_room(want.hint);
        let short = left.is_some_and(|left| left < SHORT);
        if self.held || want.writable || want.waker.is_some() || short || !self.set_limit(left) {
            let flags = if self.held { PollFlags::empty() } else { PollFlags::IN };
            let out = if want.writable { PollFlags::OUT } else { PollFlags::empty() };
            let socket = self.socket.as_fd();
            let ready = match want.waker {
                Some(waker) => waker.poll(socket, flags | out, left),
                None => poll_one(socket, flags | out, left),
            };
            if self.held || (ready & !PollFlags::OUT).is_empty() {
                return self.nothing(ready.is_empty());
            }
            return self.take_in(|socket, input| socket.try_recv(input));
        }
        self.take_in(|socket, input| socket.recv(input))
    }

    /// Reads what is there.
    pub(super) fn try_read(&mut self, hint: usize) -> Read {
        if self.held {
            return Read::Nothing;
        }
        self.make_room(hint);
        self.take_in(|socket, input| socket.try_recv(input))
    }

    fn take_in(
        &mut self,
        receive: impl FnOnce(&dyn Socket, &mut BytesMut) -> io::Result<usize>,
    ) -> Read {
        let room = self.input.capacity() - self.input.len();
        match receive(&*self.socket, &mut self.input) {
            Ok(0) => Read::Lost,
            Ok(n) => {
                self.adapt(n, room);
                self.timed_out = false;
                Read::Input
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.nothing(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Read::Nothing,
            Err(error) => {
                tracing::debug!(%error, "reading failed");
                Read::Lost
            }
        }
    }

    /// Nothing has come; if that is as the time was over, a large buffer is given back.
    fn nothing(&mut self, timed_out: bool) -> Read {
        self.timed_out = timed_out;
        if timed_out && self.input.is_empty() {
            self.input = BytesMut::new();
            self.read_size = READ_MIN;
        }
        Read::Nothing
    }

    /// Bounds a `recv` by about this; false if the system will not.
    fn set_limit(&mut self, left: Option<Duration>) -> bool {
        self.needless = if left.is_none() { self.needless.saturating_add(1) } else { 0 };
        let wanted = match (left, self.limit) {
            (None, None) => return true,
            (Some(left), Some(limit)) if limit <= left && !self.timed_out => return true,
            // A wait with a limit costs more, as the system sets a timer for it.
            (None, Some(_)) if !self.timed_out && self.needless < NEEDLESS_MAX => return true,
            (left, _) => left.map(|left| left / 8 * 7),
        };
        let set = set_socket_timeout(self.socket.as_fd(), Timeout::Recv, wanted);
        self.limit = if set.is_ok() { wanted } else { self.limit };
        set.is_ok()
    }

    /// Room for what is announced, but never much more than what has arrived.
    fn make_room(&mut self, hint: usize) {
        let wanted = self.read_size.max(hint.min(self.input.len().max(READ_MAX)));
        self.input.reserve(wanted);
    }

    /// Makes the next read's room fit what comes.
    fn adapt(&mut self, read: usize, room: usize) {
        if read == room {
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
}

/// Waits until a descriptor is ready, or the time is over; what it is ready for.
pub(super) fn poll_one(fd: BorrowedFd<'_>, wanted: PollFlags, left: Option<Duration>) -> PollFlags {
    let mut fds = [PollFd::from_borrowed_fd(fd, wanted)];
    poll(&mut fds, left);
    fds[0].revents()
}

/// Waits until one of the descriptors is ready, or the time is over. A wait that the system breaks off
/// ends early, with nothing ready.
pub(crate) fn poll(fds: &mut [PollFd<'_>], left: Option<Duration>) {
    // Longer ones mean the same: for ever.
    let left = left.and_then(|left| Timespec::try_from(left).ok());
    if rustix::event::poll(fds, left.as_ref()).is_err() {
        fds.iter_mut().for_each(PollFd::clear_revents);
    }
}

#[cfg(all(test, feature = "unix"))]
mod tests;
