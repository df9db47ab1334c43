//! Trying again for a little while before parking.
//!
//! To wake a thread on a core that sleeps costs more than a whole call. So while something is likely
//! to come at once, the driver tries the read again, and yields to the runtime and to the kernel
//! between the tries: others go first, wherever they are.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// For so long an adaptive driver tries.
const ADAPTIVE: Duration = Duration::from_micros(100);
/// After tries that were in vain again and again, it tries at one of so many waits.
const SELDOM: u32 = 64;
/// Nobody polls for longer.
const LONGEST: Duration = Duration::from_secs(1);

/// Whether a connection polls its socket for a little while before its task parks: less latency, for
/// processor time that nobody else wants.
///
/// A connection polls while an answer is due to it, or, at a server, when something has just come.
/// Between two tries it yields to the runtime, so that other tasks are not held up, and to the
/// kernel, so that other processes are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum BusyPoll {
    /// Parks at once.
    Off,
    /// Polls for up to 100 µs where that has paid, and ever more seldom where it has not: a
    /// connection whose peer takes longer than that polls at one in 64 waits. At most as many
    /// connections of a process poll at a time as it has processors.
    #[default]
    Adaptive,
    /// Polls for so long, each time; a second at the most.
    For(Duration),
}

/// The state of it in one connection.
#[derive(Debug)]
pub(super) struct Polling {
    mode: BusyPoll,
    /// Trying, until then.
    trying: Option<(Instant, Option<Slot>)>,
    /// It tries at one of so many waits: fewer and fewer while that is in vain.
    every: u32,
    /// How many of them are to be let pass now.
    left: u32,
}

impl Polling {
    pub(super) const fn new(mode: BusyPoll) -> Self {
        Self { mode, trying: None, every: 1, left: 0 }
    }

    /// A wait begins, or something was tried in vain. Whether to try once more; `due` says whether
    /// something is likely to come.
    pub(super) fn again(&mut self, due: bool, now: Instant) -> bool {
        if let Some((until, _)) = &self.trying {
            if due && now < *until {
                return true;
            }
            if due {
                self.failed();
            }
            self.trying = None;
            return false;
        }
        if self.mode == BusyPoll::Adaptive && self.left > 0 {
            self.left -= 1;
            return false;
        }
        if !due {
            return false;
        }
        let (length, slot) = match self.mode {
            BusyPoll::Off => return false,
            BusyPoll::For(length) => (length.min(LONGEST), None),
            BusyPoll::Adaptive => {
                let Some(slot) = Slot::take() else { return false };
                (ADAPTIVE, Some(slot))
            }
        };
        self.trying = Some((now + length, slot));
        true
    }

    /// Something has come. If it was late, others had the processor meanwhile: a task that sleeps is
    /// put before them when it is woken, one that yields is not.
    pub(super) fn came(&mut self, now: Instant) {
        match self.trying.take() {
            Some((until, _)) if now > until => self.failed(),
            Some(_) => self.every = 1,
            None => {}
        }
    }

    /// Whether it would try if something were due.
    pub(super) const fn is_willing(&self) -> bool {
        match self.mode {
            BusyPoll::Off => false,
            BusyPoll::For(_) => true,
            BusyPoll::Adaptive => self.left == 0,
        }
    }

    fn failed(&mut self) {
        if self.mode == BusyPoll::Adaptive {
            self.every = (2 * self.every).min(SELDOM);
            self.left = self.every - 1;
        }
    }
}

/// The right to poll: as many as there are processors.
#[derive(Debug)]
struct Slot;

static POLLING: AtomicUsize = AtomicUsize::new(0);

impl Slot {
    fn take() -> Option<Self> {
        static PROCESSORS: OnceLock<usize> = OnceLock::new();
        let processors =
            *PROCESSORS.get_or_init(|| available_parallelism().map_or(1, std::num::NonZero::get));
        if POLLING.fetch_add(1, Ordering::Relaxed) < processors {
            return Some(Self);
        }
        POLLING.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        POLLING.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
