//! What this process has used.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use super::CountAllocations;
use crate::cpu;

/// What a process has used up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Processor time of all threads, also of those that have ended, in nanoseconds.
    pub(crate) cpu_ns: u64,
    /// Memory that is resident now, in bytes.
    pub(crate) resident_bytes: u64,
    /// How often a thread was switched to, all but the one that takes samples.
    pub(crate) wakeups: u64,
    /// Allocations, if they are counted.
    pub(crate) allocations: Option<u64>,
}

impl Sample {
    pub(super) fn take(allocations: Option<CountAllocations>) -> io::Result<Self> {
        Ok(Self {
            cpu_ns: cpu_ns(),
            resident_bytes: resident_bytes()?,
            wakeups: wakeups()?,
            allocations: allocations.map(|count| count()),
        })
    }
}

/// Processor time of this process in nanoseconds.
pub(super) fn cpu_ns() -> u64 {
    u64::try_from(cpu::of_this_process().as_nanos()).unwrap_or(u64::MAX)
}

fn resident_bytes() -> io::Result<u64> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
    let kib = field(&rollup, "Rss:").ok_or(io::ErrorKind::InvalidData)?;
    Ok(kib * 1024)
}

/// The calling thread is left out: it is woken by the order to take a sample.
fn wakeups() -> io::Result<u64> {
    let own = rustix::thread::gettid().as_raw_nonzero().to_string();
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?;
        if *task.file_name() == *own {
            continue;
        }
        // A thread may end between the listing and the reading.
        let Ok(status) = fs::read_to_string(task.path().join("status")) else { continue };
        let count = |name| field(&status, name).unwrap_or(0);
        sum += count("voluntary_ctxt_switches:") + count("nonvoluntary_ctxt_switches:");
    }
    Ok(sum)
}

/// The number after a name at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "Name:\tx\nnonvoluntary_ctxt_switches:\t7\nvoluntary_ctxt_switches:\t12\n";
        assert_eq!(field(text, "voluntary_ctxt_switches:"), Some(12));
        assert_eq!(field("Rss:            5488 kB\n", "Rss:"), Some(5488));
        assert_eq!(field(text, "Rss:"), None);
    }

    #[test]
    fn memory_shows() {
        let before = Sample::take(Some(|| 5)).unwrap();
        assert_eq!(before.allocations, Some(5));
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = Sample::take(None).unwrap();
        // Other tests give memory back at the same time, but not so much of it.
        assert!(after.resident_bytes > before.resident_bytes + (32 << 20));
        assert!(after.cpu_ns > before.cpu_ns);
        drop(block);
    }

    #[test]
    fn wakeups_show() {
        let (ask, asked) = mpsc::channel::<()>();
        let (answer, answered) = mpsc::sync_channel::<()>(0);
        let thread = std::thread::spawn(move || {
            for () in asked {
                answer.send(()).unwrap();
            }
        });
        // Threads of other tests end at any time, and what they counted goes with them.
        let show = (0..100).any(|_| {
            let before = wakeups().unwrap();
            for _ in 0..100 {
                ask.send(()).unwrap();
                answered.recv().unwrap();
            }
            wakeups().unwrap() >= before + 50
        });
        assert!(show);
        drop(ask);
        thread.join().unwrap();
    }
}
