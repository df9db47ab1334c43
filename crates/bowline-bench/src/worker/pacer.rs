//! Waiting for a point in time more exactly than a runtime's timers do, whose steps are 1 ms.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Waits for points in time.
pub(super) enum Pacer {
    /// A timer of the kernel's, for a task.
    Task(AsyncFd<OwnedFd>),
    /// The thread sleeps.
    Thread,
}

impl Pacer {
    pub(super) fn new(blocking: bool) -> io::Result<Self> {
        if blocking {
            return Ok(Self::Thread);
        }
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(deprecated, reason = "sound for an OwnedFd, and what replaces it is unsafe")]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        Ok(Self::Task(timer))
    }

    /// Waits, or does not, if that time has passed.
    pub(super) async fn wait_until(&mut self, due: Instant) -> io::Result<()> {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        match self {
            Self::Thread => std::thread::sleep(left),
            Self::Task(timer) => {
                let spec =
                    Itimerspec { it_interval: timespec(Duration::ZERO), it_value: timespec(left) };
                timerfd_settime(timer.get_ref(), TimerfdTimerFlags::empty(), &spec)?;
                let mut expirations = [0; 8];
                timer
                    .async_io(Interest::READABLE, |timer| {
                        Ok(rustix::io::read(timer, &mut expirations)?)
                    })
                    .await?;
            }
        }
        Ok(())
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn never_too_early() {
        for blocking in [false, true] {
            let mut pacer = Pacer::new(blocking).unwrap();
            for micros in [0, 50, 1500] {
                let due = Instant::now() + Duration::from_micros(micros);
                pacer.wait_until(due).await.unwrap();
                assert!(Instant::now() >= due);
            }
        }
    }
}
