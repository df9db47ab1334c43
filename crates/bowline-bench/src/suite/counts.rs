//! System calls and allocations for each call, in runs of their own: counting takes time, and a
//! traced process is several times slower.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;
use std::{fs, io};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use super::SuiteError;
use super::plan::{Contestant, Plan, Setting};
use super::pool::Pool;
use super::report::{Count, PerSide, Report};
use crate::load::Load;

/// Between two looks whether strace is there yet.
const POLL: Duration = Duration::from_millis(5);

/// Counts at each system, for the loads that are calls or streams.
pub(super) fn measure(
    plan: &Plan,
    report: &mut Report,
    mut progress: impl FnMut(&Load),
) -> Result<(), SuiteError> {
    let mut traced = Pool::new(plan, Setting::OneCore)?;
    let mut counted = Pool::new(plan, Setting::OneCore)?;
    for load in plan.loads.iter().filter(|load| load.has_counts()) {
        progress(load);
        for contestant in plan.contestants(load) {
            let count = system_calls(&mut traced, &contestant, load, plan)
                .and_then(|calls| Ok((calls, allocations(&mut counted, &contestant, load, plan)?)));
            match count {
                Ok((system_calls, allocations)) => report.counts.push(Count {
                    load: load.name(),
                    system: contestant.listed.system.name.clone(),
                    transport: contestant.transport,
                    system_calls,
                    allocations,
                }),
                Err(error) => report.fail(Setting::OneCore, load, &contestant, &error),
            }
        }
    }
    Ok(())
}

/// `PROGRAM-counting`.
fn beside(program: &Path) -> PathBuf {
    let mut name = program.file_name().unwrap_or_default().to_owned();
    name.push("-counting");
    program.with_file_name(name)
}

/// `None` if the program that counts them has not been built.
fn allocations(
    pool: &mut Pool<'_>,
    contestant: &Contestant,
    load: &Load,
    plan: &Plan,
) -> Result<Option<PerSide>, SuiteError> {
    let mut contestant = contestant.clone();
    contestant.listed.program = beside(&contestant.listed.program);
    if !contestant.listed.program.is_file() {
        return Ok(None);
    }
    let mut pair = pool.pair(&contestant, load.handler)?;
    pair.prepare(load, plan.warm_up)?;
    let before = pair.server.process.sample()?.allocations;
    let measured = pair.measure(plan.duration)?;
    let after = pair.server.process.sample()?.allocations;
    let calls = measured.calls();
    let side = |count: u64| count as f64 / calls.max(1) as f64;
    let server = after.zip(before).map(|(after, before)| after - before);
    Ok(measured
        .allocations
        .zip(server)
        .map(|(client, server)| PerSide { client: side(client), server: side(server) }))
}

fn system_calls(
    pool: &mut Pool<'_>,
    contestant: &Contestant,
    load: &Load,
    plan: &Plan,
) -> Result<PerSide, SuiteError> {
    let mut pair = pool.pair(contestant, load.handler)?;
    pair.prepare(load, plan.warm_up)?;
    let (client, server) =
        (Trace::start(pair.client.pid())?, Trace::start(pair.server.process.pid())?);
    let calls = pair.measure(plan.duration)?.calls();
    let side = |trace: Trace| Ok(trace.stop()? as f64 / calls.max(1) as f64);
    Ok(PerSide { client: side(client)?, server: side(server)? })
}

/// strace, attached to a process.
struct Trace {
    strace: Child,
    output: NamedTempFile,
}

impl Trace {
    fn start(pid: u32) -> Result<Self, SuiteError> {
        let failed = SuiteError::io("cannot trace system calls; is strace installed?");
        Self::attach(pid).map_err(failed)
    }

    fn attach(pid: u32) -> io::Result<Self> {
        let output = NamedTempFile::new()?;
        let mut said = tempfile::tempfile()?;
        let strace = Command::new("strace")
            .args(["-qq", "-f", "-c", "-p", &pid.to_string(), "-o"])
            .arg(output.path())
            .stderr(said.try_clone()?)
            .spawn()?;
        let mut trace = Self { strace, output };
        while !has_all_threads(pid)? {
            if let Some(status) = trace.strace.try_wait()? {
                let mut text = String::new();
                said.seek(SeekFrom::Start(0))?;
                said.read_to_string(&mut text)?;
                return Err(io::Error::other(format!("{status}: {}", text.trim())));
            }
            sleep(POLL);
        }
        Ok(trace)
    }

    /// Lets the process go, and gives how many system calls it has made.
    fn stop(mut self) -> Result<u64, SuiteError> {
        let mut stop = || {
            kill_process(Pid::from_child(&self.strace), Signal::INT)?;
            self.strace.wait()?;
            let text = fs::read_to_string(self.output.path())?;
            total(&text).ok_or_else(|| io::Error::other("it has no total"))
        };
        stop().map_err(SuiteError::io("cannot read what strace counted"))
    }
}

/// Whether all threads of a process are traced.
fn has_all_threads(pid: u32) -> io::Result<bool> {
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(task?.path().join("status"))?;
        if status.lines().any(|line| line.split_ascii_whitespace().eq(["TracerPid:", "0"])) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The number of calls in the last line of `strace -c`.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().rfind(|line| line.ends_with(" total"))?;
    // The share, seconds, microseconds per call, calls.
    line.split_ascii_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_found() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
                    ------ ----------- ----------- --------- --------- ----------------\n \
                    53.12    0.001234           5       246         3 read\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                    100.00    0.002345           4       501         3 total\n";
        assert_eq!(total(text), Some(501));
        assert_eq!(total(""), None);
    }
}
