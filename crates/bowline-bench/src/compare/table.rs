//! Results as a table for a terminal: one line per load, at most 120 columns.

use std::fmt::Write as _;

use super::plan::{Load, Transport};
use super::report::LoadResult;
use crate::units::{Count, Nanos};

/// Unix and TCP side by side, with the ratio of their rates, then what else was measured.
#[must_use]
pub fn table(results: &[LoadResult]) -> String {
    let mut loads: Vec<Load> = Vec::new();
    for result in results {
        if !loads.contains(&result.load()) {
            loads.push(result.load());
        }
    }
    let has = |transport| results.iter().any(|result| result.transport == transport);
    let mut text = String::new();
    let both = has(Transport::Unix) && has(Transport::Tcp);
    if both {
        text += &side_by_side(&loads, results);
    }
    for transport in Transport::ALL {
        if has(transport) && (!both || transport == Transport::Memory) {
            text += if text.is_empty() { "" } else { "\n" };
            text += &alone(transport, &loads, results);
        }
    }
    text
}

fn find(results: &[LoadResult], load: Load, transport: Transport) -> Option<&LoadResult> {
    results.iter().find(|result| result.load() == load && result.transport == transport)
}

fn side_by_side(loads: &[Load], results: &[LoadResult]) -> String {
    let mut text = String::new();
    line(
        &mut text,
        format_args!(
            "{:20}{:>19}  {:>12}  {:>15}  {:>15}  {:>15}  {:>15}",
            "", "calls/s      ", "MiB/s   ", "p50     ", "p99     ", "p99.9    ", "CPU/call   "
        ),
    );
    let pair = |first: usize, second: usize| format!("{:>first$} {:>second$}", "unix", "tcp");
    let (rates, bytes, times) = (pair(6, 5), pair(6, 5), pair(7, 7));
    line(
        &mut text,
        format_args!("{:20}{rates} ratio {bytes}  {times}  {times}  {times}  {times}", "load"),
    );
    for load in loads {
        let (Some(unix), Some(tcp)) =
            (find(results, *load, Transport::Unix), find(results, *load, Transport::Tcp))
        else {
            continue;
        };
        let ratio = unix.calls_per_second / tcp.calls_per_second;
        let time =
            |of: fn(&LoadResult) -> u64| format!("{:>7} {:>7}", short(of(unix)), short(of(tcp)));
        let (p50, p99, p999) = (time(|r| r.p50_ns), time(|r| r.p99_ns), time(|r| r.p999_ns));
        let cpu = time(|r| r.cpu_ns_per_call as u64);
        let (rates, bytes) = ([unix, tcp].map(rate), [unix, tcp].map(mib));
        line(
            &mut text,
            format_args!(
                "{load:20}{:>6} {:>5} {ratio:>4.2}× {:>6} {:>5}  {p50}  {p99}  {p999}  {cpu}",
                rates[0], rates[1], bytes[0], bytes[1],
            ),
        );
    }
    text
}

fn alone(transport: Transport, loads: &[Load], results: &[LoadResult]) -> String {
    let title = match transport {
        Transport::Memory => "memory, in 1 process",
        Transport::Unix | Transport::Tcp => transport.name(),
    };
    let mut text = String::new();
    line(
        &mut text,
        format_args!(
            "{title:20} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9}",
            "calls/s", "MiB/s", "p50", "p99", "p99.9", "CPU/call"
        ),
    );
    for result in loads.iter().filter_map(|load| find(results, *load, transport)) {
        let times = [result.p50_ns, result.p99_ns, result.p999_ns, result.cpu_ns_per_call as u64];
        let [p50, p99, p999, cpu] = times.map(short);
        line(
            &mut text,
            format_args!(
                "{:20} {:>8} {:>8} {p50:>9} {p99:>9} {p999:>9} {cpu:>9}",
                result.load(),
                rate(result),
                mib(result),
            ),
        );
    }
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    let start = text.len();
    let _ = write!(text, "{line}");
    text.truncate(start + text[start..].trim_end().len());
    text.push('\n');
}

/// Without the space, as columns are tight.
fn short(nanos: u64) -> String {
    Nanos(nanos).to_string().replace(' ', "")
}

fn rate(result: &LoadResult) -> String {
    Count(result.calls_per_second).to_string().replace(' ', "")
}

fn mib(result: &LoadResult) -> String {
    match result.mib_per_second {
        mib if mib < 99.95 => format!("{mib:.1}"),
        mib => format!("{mib:.0}"),
    }
}

#[cfg(test)]
mod tests;
