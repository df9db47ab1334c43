//! Processor time that processes have used.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time that this process has used, with all its threads.
pub(super) fn of_this_process() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Time that another process has used, with all its threads that live; `None` when it is gone.
pub(super) fn of_process(pid: u32) -> Option<Duration> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let mut sum = 0;
    for task in tasks.flatten() {
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        sum += on_cpu(&text)?;
    }
    Some(Duration::from_nanos(sum))
}

/// The first number of a `schedstat`: nanoseconds on a processor.
fn on_cpu(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn work_shows_and_both_ways_agree() {
        let (own, other) = (of_this_process(), of_process(std::process::id()).unwrap());
        let start = Instant::now();
        let mut number = 1_u64;
        while start.elapsed() < Duration::from_millis(60) {
            number = std::hint::black_box(number.wrapping_mul(3));
        }
        let own = of_this_process() - own;
        assert!(own > Duration::from_millis(10), "{own:?}");
        // The kernel brings schedstat up to date at its ticks.
        let other = of_process(std::process::id()).unwrap() - other;
        assert!(other > Duration::from_millis(5), "{other:?}");
        assert!(of_process(u32::MAX).is_none());
    }

    #[test]
    fn schedstat_is_read() {
        assert_eq!(on_cpu("88617 0 1\n"), Some(88_617));
        assert_eq!(on_cpu(""), None);
    }
}
