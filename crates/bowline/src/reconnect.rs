//! Connecting again, with backoff and jitter: how long to pause.

use std::time::{Duration, Instant};

use crate::error::Error;

/// How a channel connects again: the pause before each attempt grows from `initial` to `max`, and is
/// varied at random so that many clients do not come back at the same moment.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Reconnect {
    /// Pause before the second attempt; the first is made at once.
    pub initial: Duration,
    /// Longest pause.
    pub max: Duration,
    /// By how much each pause is longer than the one before.
    pub factor: f64,
    /// Part of a pause by which it is varied at random in both directions, 0 to 1.
    pub jitter: f64,
    /// How long a call without a deadline waits for a connection.
    pub patience: Duration,
}

impl Default for Reconnect {
    /// From 20 ms to 2 s, by 1.6, ± 20 %; a call without a deadline waits for 20 s.
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(20),
            max: Duration::from_secs(2),
            factor: 1.6,
            jitter: 0.2,
            patience: Duration::from_secs(20),
        }
    }
}

impl Reconnect {
    /// The pause before the attempt with this number, from 0; `random` is from 0 to 1.
    pub(crate) fn pause(&self, attempt: u32, random: f64) -> Duration {
        if attempt == 0 {
            return Duration::ZERO;
        }
        let exponent = i32::try_from(attempt - 1).unwrap_or(i32::MAX);
        let factor = self.factor.max(1.0).powi(exponent);
        let longest = self.max.as_secs_f64();
        let pause = (self.initial.as_secs_f64() * factor).min(longest);
        let jitter = self.jitter.clamp(0.0, 1.0);
        let varied = pause * (1.0 + jitter * (2.0 * random - 1.0));
        Duration::try_from_secs_f64(varied).unwrap_or(self.max)
    }
}

/// So long from now, or in thirty years: no clock reaches further than a `Duration` can.
pub(crate) fn after(duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    Instant::now() + duration.min(FAR)
}

/// Another attempt may succeed in a moment.
pub(crate) fn is_retryable(error: &Error) -> bool {
    matches!(error, Error::Transport(error) if error.is_retryable())
}

#[cfg(test)]
mod tests;
