//! Processor time that processes have used.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time that this process has used, with all its threads.
pub(crate) fn of_this_process() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Time that another process has used, with all its threads that live; `None` when it is gone.
pub(crate) fn of_process(pid: u32) -> Option<Duration> {
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
    use std::process::Command;
    use std::time::Instant;

    use super::*;

    /// On a busy machine, others go first.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn own_work_shows() {
        let before = of_this_process();
        let start = Instant::now();
        while of_this_process() - before < Duration::from_millis(10) {
            assert!(start.elapsed() < PATIENCE);
        }
    }

    #[test]
    fn work_of_others_shows() {
        let busy = Command::new("sh").args(["-c", "while :; do :; done"]).spawn();
        let mut busy = busy.unwrap();
        let start = Instant::now();
        // The kernel brings schedstat up to date at its ticks.
        while of_process(busy.id()).unwrap() < Duration::from_millis(10) {
            assert!(start.elapsed() < PATIENCE);
        }
        busy.kill().unwrap();
        busy.wait().unwrap();
        assert!(of_process(u32::MAX).is_none());
    }

    #[test]
    fn schedstat_is_read() {
        assert_eq!(on_cpu("88617 0 1\n"), Some(88_617));
        assert_eq!(on_cpu(""), None);
    }
}
