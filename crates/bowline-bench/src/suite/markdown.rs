//! Results as Markdown: what was to be reached, then all rates, then details.

use std::fmt::Write as _;

use super::goals;
use super::plan::Setting;
use super::report::{Outcome, PerSide, Report};
use crate::compare::Transport;
use crate::load::{Load, Work};
use crate::units::{Count, Nanos};

/// All of it.
pub(crate) fn page(report: &Report) -> String {
    let mut text = String::new();
    about(&mut text, report);
    reached(&mut text, report);
    for setting in [Setting::OneCore, Setting::TwoCores, Setting::MultiThread] {
        for transport in [Transport::Unix, Transport::Tcp] {
            let results: Vec<_> = report
                .results
                .iter()
                .filter(|outcome| outcome.setting == setting && outcome.transport == transport)
                .collect();
            if !results.is_empty() {
                rates(&mut text, setting, transport, &results);
                details(&mut text, &results);
            }
        }
    }
    idle(&mut text, report);
    counts(&mut text, report);
    failures(&mut text, report);
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "{line}");
}

fn about(text: &mut String, report: &Report) {
    let machine = &report.machine;
    let busy_poll = report.busy_poll.as_deref().unwrap_or("its default");
    line(
        text,
        format_args!("- machine: {}, {} cores, {}", machine.cpu, machine.cores, machine.kernel),
    );
    line(text, format_args!("- compiler: {}", report.rustc));
    line(text, format_args!("- command: `{}`", report.command));
    line(
        text,
        format_args!(
            "- rounds: {} of {} ms for each system and load",
            report.rounds, report.duration_ms
        ),
    );
    line(text, format_args!("- busy polling of Bowline: {busy_poll}"));
}

fn reached(text: &mut String, report: &Report) {
    text.push_str("\n## What is to be reached\n\nRatios of medians over the rounds.\n\n");
    text.push_str("| load | figure | wanted | measured | |\n|---|---|---|---|---|\n");
    for verdict in goals::verdicts(report) {
        let (figure, word) = match verdict.reached {
            Some((figure, true)) => (format!("{figure:.2}"), "reached"),
            Some((figure, false)) => (format!("{figure:.2}"), "**missed**"),
            None => ("–".to_owned(), "not measured"),
        };
        let (load, what, bound) = (verdict.load, verdict.text, verdict.bound);
        line(text, format_args!("| {load} | {what} | {bound} | {figure} | {word} |"));
    }
}

/// Of each load its parts: small calls beside large ones are two.
fn parts(outcome: &Outcome) -> std::ops::Range<usize> {
    0..outcome.rounds.first().map_or(0, |round| round.parts.len())
}

fn title(load: &Load, part: usize) -> String {
    match (load.work, part) {
        (Work::Mixed, 0) => format!("{load}: the small"),
        (Work::Mixed, _) => format!("{load}: the large"),
        _ => load.to_string(),
    }
}

fn rates(text: &mut String, setting: Setting, transport: Transport, results: &[&Outcome]) {
    let systems = unique(results.iter().map(|outcome| outcome.system.as_str()));
    line(
        text,
        format_args!("\n## {}, {transport}: calls or messages per second\n", upper(setting)),
    );
    line(text, format_args!("| load | {} |", systems.join(" | ")));
    line(text, format_args!("|---|{}", "---:|".repeat(systems.len())));
    for load in unique(results.iter().map(|outcome| outcome.load)) {
        let of_load = |system: &str| {
            results.iter().find(|outcome| outcome.load == load && outcome.system == system)
        };
        let first = results.iter().find(|outcome| outcome.load == load);
        for part in first.map_or(0..0, |outcome| parts(outcome)) {
            let cell = |system: &&str| match of_load(system) {
                Some(outcome) => Count(outcome.rate(part).median).to_string(),
                None => "–".to_owned(),
            };
            let cells: Vec<_> = systems.iter().map(cell).collect();
            line(text, format_args!("| {} | {} |", title(&load, part), cells.join(" | ")));
        }
    }
}

fn details(text: &mut String, results: &[&Outcome]) {
    text.push_str("\n<details><summary>Spread, processor time, latency</summary>\n\n");
    text.push_str(
        "| load | system | per second | quartiles | CPU per call | p50 | p99 | p99.9 |\n",
    );
    text.push_str("|---|---|---:|---|---:|---:|---:|---:|\n");
    let time =
        |nanos: Option<f64>| nanos.map_or_else(|| "–".to_owned(), |n| Nanos(n as u64).to_string());
    for outcome in results {
        for part in parts(outcome) {
            let rate = outcome.rate(part);
            let latency = |of| time(outcome.latency(part, of));
            line(
                text,
                format_args!(
                    "| {} | {} | {} | {} to {} | {} | {} | {} | {} |",
                    title(&outcome.load, part),
                    outcome.system,
                    Count(rate.median),
                    Count(rate.low),
                    Count(rate.high),
                    time(outcome.cpu_per_call()),
                    latency(|l| l.p50),
                    latency(|l| l.p99),
                    latency(|l| l.p999),
                ),
            );
        }
    }
    text.push_str("\n</details>\n");
}

fn idle(text: &mut String, report: &Report) {
    let Some(most) = report.idle.first().and_then(|idle| idle.steps.last()) else { return };
    line(
        text,
        format_args!(
            "\n## Idle connections\n\nMemory of one, and wake-ups per second of {}.\n",
            most.connections
        ),
    );
    text.push_str("| system | client | server | client wakes up | server wakes up |\n");
    text.push_str("|---|---:|---:|---:|---:|\n");
    for idle in &report.idle {
        let kib = |side| {
            let bytes = idle.bytes_per_connection(side);
            bytes.map_or_else(|| "–".to_owned(), |bytes| format!("{:.1} KiB", bytes / 1024.0))
        };
        line(
            text,
            format_args!(
                "| {} {} | {} | {} | {:.1} | {:.1} |",
                idle.system,
                idle.transport,
                kib(|step| &step.client),
                kib(|step| &step.server),
                idle.client_wakeups_per_second,
                idle.server_wakeups_per_second,
            ),
        );
    }
}

fn counts(text: &mut String, report: &Report) {
    if report.counts.is_empty() {
        return;
    }
    text.push_str("\n## Counted for each call or message\n\nOne core; client and server.\n\n");
    text.push_str("| load | system | system calls | allocations |\n|---|---|---:|---:|\n");
    let both = |sides: PerSide| format!("{:.2} + {:.2}", sides.client, sides.server);
    for count in &report.counts {
        let allocations = count.allocations.map_or_else(|| "–".to_owned(), both);
        line(
            text,
            format_args!(
                "| {} | {} {} | {} | {allocations} |",
                count.load,
                count.system,
                count.transport,
                both(count.system_calls),
            ),
        );
    }
}

fn failures(text: &mut String, report: &Report) {
    if report.failures.is_empty() {
        return;
    }
    text.push_str("\n## What failed\n\n");
    for failure in &report.failures {
        let setting = failure.setting.title();
        line(
            text,
            format_args!(
                "- {setting}, {}, {} {}: {}",
                failure.load, failure.system, failure.transport, failure.error
            ),
        );
    }
}

/// The first of those that are equal, in their order.
fn unique<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for one in all {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}

fn upper(setting: Setting) -> String {
    let title = setting.title();
    title[..1].to_uppercase() + &title[1..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::report::testing::{outcome, report};

    #[test]
    fn loads_are_rows_and_systems_are_columns() {
        let one = Setting::OneCore;
        let page = page(&report(vec![
            outcome(one, "unary-64B-x1", "bowline", &[1000, 2000, 3000]),
            outcome(one, "unary-64B-x1", "raw-tokio", &[1500, 1500, 1500]),
            outcome(one, "unary-64B-x1-yield", "bowline", &[50, 50, 50]),
        ]));
        for line in [
            "- machine: abacus, 2 cores, none",
            "## One core, unix: calls or messages per second",
            "| load | bowline | raw-tokio |",
            "| unary 64 B, 1 in flight | 2.00 k | 1.50 k |",
            "| unary 64 B, 1 in flight, handler yields | 50.0 | – |",
            "| unary 64 B, 1 in flight | bowline | 2.00 k | 1.50 k to 2.50 k | 500 µs | 500 µs | 500 µs | 500 µs |",
            "| one core: unary-64B-x1 | bowline, calls per second ÷ raw-tokio | ≥ 1.15 | 1.33 | reached |",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\nis not in\n{page}");
        }
    }
}
