//! The keeper: a thread that reads connections whose own thread is busy.
//!
//! A connection's thread runs handlers itself and does not read meanwhile. That is right for handlers
//! that answer at once, but reading must never wait for one that does not: its cancellation, its
//! deadline and all other calls of the connection would. So while anything happens, the keeper looks
//! every other millisecond; a connection that nobody has read since the last look is the keeper's, which
//! waits for its input together with that of others, until some thread reads it again. New calls go
//! to other threads. When nothing happens, the keeper sleeps.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};

use super::Workers;
use crate::blocking::connection::{Duty, Seen, Shared, poll};

/// Between two looks, while anything happens.
const LOOK: Duration = Duration::from_millis(2);
/// Looks without anything new before the keeper sleeps.
const QUIET_LOOKS: u32 = 10;

/// What others know of the keeper.
pub(super) struct Keeper {
    /// Readable when the keeper shall look again.
    event: OwnedFd,
    /// The keeper sleeps until something is readable.
    parked: AtomicBool,
    stopped: AtomicBool,
}

impl Keeper {
    pub(super) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { event, parked: AtomicBool::new(false), stopped: AtomicBool::new(false) })
    }

    /// Has the keeper look, if it sleeps.
    pub(super) fn wake_if_parked(&self) {
        if self.parked.load(Ordering::SeqCst) && self.parked.swap(false, Ordering::SeqCst) {
            self.ring();
        }
    }

    /// Lets the keeper go.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.ring();
    }

    fn ring(&self) {
        // It cannot fail: nobody counts as far as it can.
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }
}

/// Starts the keeper.
pub(super) fn spawn(workers: Arc<Workers>) -> io::Result<()> {
    let thread = thread::Builder::new().name("bowline-keeper".to_owned());
    thread.spawn(move || keep(&workers)).map(drop)
}

fn keep(workers: &Workers) {
    let keeper = &workers.keeper;
    let mut seen = HashMap::new();
    let mut quiet_looks = 0;
    while !keeper.stopped.load(Ordering::SeqCst) {
        let parks = quiet_looks >= QUIET_LOOKS;
        // Before the look: whoever stops reading after it sees this.
        keeper.parked.store(parks, Ordering::SeqCst);
        let (unread, lively) = look(workers, &mut seen);
        quiet_looks = if lively { 0 } else { quiet_looks + 1 };
        let look_again = !parks || lively;
        if look_again {
            keeper.parked.store(false, Ordering::SeqCst);
        }
        attend(keeper, unread, look_again.then_some(LOOK));
    }
}

/// The connections that nobody has read since the last look, and whether anything happens on others.
fn look(workers: &Workers, seen: &mut HashMap<u64, Seen>) -> (Vec<Arc<Shared>>, bool) {
    let mut unread = Vec::new();
    let mut lively = false;
    let open = workers.lock();
    seen.retain(|number, _| open.all.contains_key(number));
    for (number, connection) in &open.all {
        let Some(now) = connection.shared.look() else { continue };
        if seen.insert(*number, now) != Some(now) {
            lively = true;
        } else if now.is_unread() {
            unread.push(Arc::clone(&connection.shared));
        }
    }
    (unread, lively)
}

/// Waits for input of these connections, or until it is time, and deals with it.
fn attend(keeper: &Keeper, unread: Vec<Arc<Shared>>, look: Option<Duration>) {
    let duties: Vec<(Arc<Shared>, Duty)> =
        unread.into_iter().filter_map(|shared| shared.duty().map(|duty| (shared, duty))).collect();
    let timer = duties.iter().filter_map(|(_, duty)| duty.until).min();
    let left = timer.map(|timer| timer.saturating_duration_since(Instant::now()));
    let mut fds = vec![PollFd::new(&keeper.event, PollFlags::IN)];
    fds.extend(duties.iter().map(|(_, duty)| duty.poll_fd()));
    poll(&mut fds, left.into_iter().chain(look).min());
    let ready: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
    if !ready[0].is_empty() {
        let _ = rustix::io::read(&keeper.event, &mut [0_u8; 8]);
    }
    for ((shared, duty), ready) in duties.iter().zip(&ready[1..]) {
        shared.attend(duty, *ready);
    }
}
