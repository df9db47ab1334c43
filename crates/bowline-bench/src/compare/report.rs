//! Results, as they are written to JSON.

use std::fs;

use serde::{Deserialize, Serialize};

use super::plan::{Kind, Load, Transport};

/// What [`Report::schema`] says; another number for each change that readers would notice.
pub const SCHEMA: &str = "bowline-compare/1";

/// A comparison.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Where it was made.
    pub machine: Machine,
    /// The command that made it.
    pub command: String,
    /// What came of each load over each transport.
    pub results: Vec<LoadResult>,
}

impl Report {
    /// A report of this machine's.
    #[must_use]
    pub fn new(command: String, results: Vec<LoadResult>) -> Self {
        Self { schema: SCHEMA, machine: Machine::this(), command, results }
    }

    /// Calls that failed or brought something wrong, over all results.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.results.iter().map(|result| result.errors).sum()
    }
}

/// The machine of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// The kernel's name and release.
    pub kernel: String,
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn this() -> Self {
        let uname = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self {
            cpu: cpu_name(&cpuinfo).map_or_else(|| text(uname.machine()), str::to_owned),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: format!("{} {}", text(uname.sysname()), text(uname.release())),
        }
    }
}

/// Not all architectures give one.
fn cpu_name(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim())
}

/// What came of one load over one transport.
#[derive(Debug, Clone, Serialize)]
pub struct LoadResult {
    /// What carried it.
    pub transport: Transport,
    /// The kind of the calls.
    pub kind: Kind,
    /// Length of the payload of each message, in bytes.
    pub payload_bytes: u32,
    /// Calls in flight on each connection.
    pub concurrency: u32,
    /// Connections that made them.
    pub connections: u32,
    /// Processes that took part: 1 for memory, else 2.
    pub processes: u32,
    /// Calls that went well; messages, for streams.
    pub calls: u64,
    /// Calls that failed, or whose replies were not what was sent.
    pub errors: u64,
    /// Calls in a second, or messages: the median of the rounds.
    pub calls_per_second: f64,
    /// The payload of these calls. A payload that comes back as an echo counts once.
    pub mib_per_second: f64,
    /// Half of all calls took no longer, in nanoseconds.
    pub p50_ns: u64,
    /// 99 % of all calls took no longer, in nanoseconds.
    pub p99_ns: u64,
    /// 99.9 % of all calls took no longer, in nanoseconds.
    pub p999_ns: u64,
    /// Processor time of client and server together for each call, in nanoseconds: the median of
    /// the rounds.
    pub cpu_ns_per_call: f64,
    /// What the first of the errors was. Not part of the JSON.
    #[serde(skip)]
    pub first_error: Option<String>,
}

impl LoadResult {
    /// The load that it is of.
    #[must_use]
    pub const fn load(&self) -> Load {
        Load {
            kind: self.kind,
            payload_bytes: self.payload_bytes,
            concurrency: self.concurrency,
            connections: self.connections,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_has_a_name_where_the_kernel_knows_one() {
        assert_eq!(cpu_name("processor\t: 0\nmodel name\t: AMD EPYC\n"), Some("AMD EPYC"));
        assert_eq!(cpu_name("processor\t: 0\nCPU implementer\t: 0x41\n"), None);
        let machine = Machine::this();
        assert!(machine.kernel.starts_with("Linux ") && machine.cores > 0);
    }
}
