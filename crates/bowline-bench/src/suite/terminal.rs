//! Results as a table for a terminal.

use std::fmt::Write as _;

use super::report::{Outcome, PerSide, Report};
use crate::load::Work;
use crate::units::{Count, Nanos};

/// What one's rate is compared with.
const OURS: &str = "bowline";

/// A block of lines for each load, a line for each system.
pub(crate) fn table(report: &Report) -> String {
    let mut text = String::new();
    let mut last = None;
    for outcome in &report.results {
        let this = (outcome.setting, outcome.load);
        if last.replace(this) != Some(this) {
            heading(&mut text, outcome);
        }
        for part in 0..outcome.rounds.first().map_or(0, |round| round.parts.len()) {
            line(&mut text, report, outcome, part);
        }
    }
    text += &idle(report);
    text += &counts(report);
    for failure in &report.failures {
        let title = failure.setting.title();
        let _ = writeln!(
            text,
            "FAILED {title}, {}, {} {}: {}",
            failure.load, failure.system, failure.transport, failure.error
        );
    }
    text
}

fn idle(report: &Report) -> String {
    let mut text = String::new();
    for idle in &report.idle {
        if text.is_empty() {
            let _ = writeln!(
                text,
                "\n{:58} {:>12} {:>12} {:>12} {:>12}",
                "idle connections: memory of one, wake-ups per second of all",
                "client",
                "server",
                "client",
                "server"
            );
        }
        let bytes = |side| {
            let bytes = idle.bytes_per_connection(side);
            bytes.map_or_else(String::new, |bytes| format!("{:.1} KiB", bytes / 1024.0))
        };
        let _ = writeln!(
            text,
            "  {:48} {:7} {:>12} {:>12} {:>12.1} {:>12.1}",
            idle.system,
            idle.transport,
            bytes(|step| &step.client),
            bytes(|step| &step.server),
            idle.client_wakeups_per_second,
            idle.server_wakeups_per_second
        );
    }
    text
}

fn counts(report: &Report) -> String {
    let mut text = String::new();
    let mut last = None;
    for count in &report.counts {
        if last.replace(&count.load) != Some(&count.load) {
            let title = format!("for each call: {}", count.load);
            let _ = writeln!(
                text,
                "\n{title:58} {:>12} {:>12} {:>12} {:>12}",
                "calls client", "calls server", "alloc client", "alloc server"
            );
        }
        let sides = |sides: PerSide| format!("{:>12.2} {:>12.2}", sides.client, sides.server);
        let (calls, allocations) = (sides(count.system_calls), count.allocations.map(sides));
        let allocations = allocations.unwrap_or_default();
        let name = &count.system;
        let _ = writeln!(text, "  {name:48} {:7} {calls} {allocations}", count.transport);
    }
    text
}

fn heading(text: &mut String, outcome: &Outcome) {
    let gap = if text.is_empty() { "" } else { "\n" };
    let title = format!("{}: {}", outcome.setting.title(), outcome.load);
    let _ = writeln!(
        text,
        "{gap}{title:58} {:>10} {:>6} {:>9} {:>9} {:>9} {:>12}",
        "per second", "±", "CPU/call", "p50", "p99", "bowline is"
    );
}

fn line(text: &mut String, report: &Report, outcome: &Outcome, part: usize) {
    let name = match (outcome.load.work, part) {
        (Work::Mixed, 0) => format!("{}, small", outcome.system),
        (Work::Mixed, _) => format!("{}, large", outcome.system),
        _ => outcome.system.clone(),
    };
    let rate = outcome.rate(part);
    let time = |nanos: Option<f64>| nanos.map_or_else(String::new, |n| Nanos(n as u64).to_string());
    let cpu = time(outcome.cpu_per_call());
    let (p50, p99) = (outcome.latency(part, |l| l.p50), outcome.latency(part, |l| l.p99));
    let ours = report.find(outcome.setting, &outcome.name, OURS, outcome.transport);
    let ratio = match ours {
        Some(ours) if outcome.system != OURS => {
            format!("{:.2} ×", ours.rate(part).median / rate.median)
        }
        _ => String::new(),
    };
    let start = text.len();
    let _ = write!(
        text,
        "  {name:48} {:7} {:>10} {:>5.1}% {cpu:>9} {:>9} {:>9} {ratio:>12}",
        outcome.transport,
        Count(rate.median).to_string(),
        rate.share() * 100.0,
        time(p50),
        time(p99),
    );
    text.truncate(start + text[start..].trim_end().len());
    text.push('\n');
}
