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
/// Where it tries each time, it parks at one of so many waits, to see how that compares.
const COMPARE: u32 = 1024;
/// The first wait of a connection at which it does so.
const COMPARE_FIRST: u32 = 16;
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
    /// connection whose peer takes longer than that, or whose waits are longer by a quarter with
    /// polling than without, polls at one in 64 waits. At most as many connections of a process
    /// poll at a time as it has processors.
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
    /// When the wait began.
    since: Option<Instant>,
    /// How long waits were with trying and without.
    tried: Average,
    parked: Average,
    /// Waits so far.
    waits: u32,
    /// It tries at one of so many waits: fewer and fewer while that is in vain.
    every: u32,
    /// How many of them are to be let pass now.
    left: u32,
}

/// A mean, in nanoseconds, in which what was long ago counts little.
#[derive(Debug, Clone, Copy)]
struct Average(Option<u32>);

impl Average {
    /// How long there is nothing to do, the peer decides: what is longer than a driver tries is not
    /// told apart.
    fn add(&mut self, sample: Duration) {
        let sample = sample.min(ADAPTIVE).subsec_nanos();
        self.0 = Some(self.0.map_or(sample, |mean| mean - mean / 8 + sample / 8));
    }
}

impl Polling {
    pub(super) const fn new(mode: BusyPoll) -> Self {
        Self {
            mode,
            trying: None,
            since: None,
            tried: Average(None),
            parked: Average(None),
            waits: 0,
            every: 1,
            left: 0,
        }
    }

    /// A wait begins, or something was tried in vain. Whether to try once more; `due` says whether
    /// something is likely to come.
    pub(super) fn again(&mut self, due: bool, now: Instant) -> bool {
        if let Some((until, _)) = &self.trying {
            if due && now < *until {
                return true;
            }
            if due {
                self.tried.add(ADAPTIVE);
                self.failed();
            }
            self.trying = None;
            self.since = None;
            return false;
        }
        self.since = due.then_some(now);
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
                if self.is_time_to_compare() {
                    return false;
                }
                let Some(slot) = Slot::take() else { return false };
                (ADAPTIVE, Some(slot))
            }
        };
        self.trying = Some((now + length, slot));
        true
    }

    fn is_time_to_compare(&mut self) -> bool {
        self.waits = self.waits.wrapping_add(1);
        let early = self.waits >= COMPARE_FIRST && self.waits.is_power_of_two();
        self.every == 1 && (early || self.waits.is_multiple_of(COMPARE))
    }

    /// Something has come. Trying was in vain if it was late, since others had the processor
    /// meanwhile (a task that sleeps is put before them when it is woken, one that yields is not), and
    /// if waits are much shorter without.
    pub(super) fn came(&mut self, now: Instant) {
        let Some(since) = self.since.take() else { return };
        let waited = now.saturating_duration_since(since);
        match self.trying.take() {
            None => self.parked.add(waited),
            Some((until, _)) => {
                self.tried.add(waited);
                // Where waits are about the same, what is saved is the work of parking.
                let most = self.parked.0.map_or(u32::MAX, |parked| parked + parked / 4);
                let pays = self.tried.0.is_none_or(|tried| tried <= most);
                if pays && now <= until { self.every = 1 } else { self.failed() }
            }
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
