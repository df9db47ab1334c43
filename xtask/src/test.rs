//! `cargo xtask test`: everything that plain `cargo test` can run, counted in one last line.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::{process, project};
use tally::{Skipped, Tally};

mod tally;

/// Run all tests: the workspace, its doc tests, and the consumer package.
///
/// Needs nothing but the toolchain. Suites that need another program print `SKIPPED name: reason`
/// without it; these lines are repeated at the end, and with CI=true they are failures. The last
/// line is `N passed, N failed`.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Cases per property test [default: PROPTEST_CASES, else 256, with CI=true 2000]
    #[arg(long, value_name = "N")]
    cases: Option<u32>,
    /// Run only the tests whose names contain one of these
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
}

/// A suite inside the ordinary tests that needs more than the toolchain. Without its program it
/// must say so by writing `SKIPPED name: reason` on a line of its own, straight to
/// `std::io::stdout()`: what `println!` writes in a test that passes is never shown.
struct External {
    name: &'static str,
    needs: &'static str,
    alone: &'static str,
}

const EXTERNAL: &[External] = &[External {
    name: "python_peer",
    needs: "python3",
    alone: "cargo test -p bowline-cli python_peer",
}];

/// Whether all that ran passed and nothing was skipped that must not be.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let root = project::root()?;
    let mut tally = Tally::default();
    let mut failures = Vec::new();
    for mut command in commands(&root, args)? {
        eprintln!("\n$ {}", process::display(&command));
        let failed_before = tally.failed;
        let status = process::tee(&mut command, |line| tally.read(line))?;
        if !status.success() {
            failures.push(process::display(&command));
            // A build that breaks or a process that aborts prints no result line of its own.
            if tally.failed == failed_before {
                tally.failed += 1;
            }
        }
    }
    let skipped = tally.skipped();
    report(&tally, &skipped, &failures);
    let must_not_skip = if project::is_ci() { skipped.len() as u64 } else { 0 };
    let failed = tally.failed + must_not_skip;
    println!("{} passed, {failed} failed", tally.passed);
    Ok(failures.is_empty() && failed == 0)
}

/// The benches are left out: they are built by clippy and run by `cargo bench`.
fn commands(root: &Path, args: &Args) -> Result<Vec<Command>> {
    let mut commands = vec![
        process::cargo(
            root,
            ["test", "--workspace", "--all-features", "--lib", "--bins", "--tests", "--examples"],
        ),
        process::cargo(root, ["test", "--workspace", "--doc"]),
    ];
    if let Some(manifest) = project::consumer(root) {
        let mut consumer = process::cargo(root, ["test", "--manifest-path", manifest]);
        let target = project::metadata(root)?.target_directory.join("consumer");
        consumer.arg("--target-dir").arg(target);
        // A user's build must work without protoc, so make sure that nothing finds one.
        consumer.env("PROTOC", "/nonexistent");
        if project::is_ci() {
            consumer.arg("--locked");
        }
        commands.push(consumer);
    }
    for command in &mut commands {
        command.arg("--no-fail-fast");
        let colour = io::stdout().is_terminal().then_some("--color=always");
        if colour.is_some() || !args.filters.is_empty() {
            command.arg("--").args(colour).args(&args.filters);
        }
        environment(command, args);
    }
    Ok(commands)
}

fn environment(command: &mut Command, args: &Args) {
    command.env("RUST_BACKTRACE", "1");
    let default = if project::is_ci() { 2_000 } else { 256 };
    match args.cases {
        Some(cases) => command.env("PROPTEST_CASES", cases.to_string()),
        None if std::env::var_os("PROPTEST_CASES").is_some() => command,
        None => command.env("PROPTEST_CASES", default.to_string()),
    };
    if project::is_ci() {
        command.env("INSTA_UPDATE", "no");
    }
}

fn report(tally: &Tally, skipped: &[Skipped], failures: &[String]) {
    println!();
    for failure in failures {
        println!("FAILED {failure}");
    }
    for skip in skipped {
        let hint = match EXTERNAL.iter().find(|suite| suite.name == skip.name) {
            Some(suite) => format!("install {}, then `{}`", suite.needs, suite.alone),
            None => "not in the table EXTERNAL of xtask/src/test.rs: add it".to_owned(),
        };
        println!("SKIPPED {}: {} ({hint})", skip.name, skip.reason);
    }
    if project::is_ci() && !skipped.is_empty() {
        println!("With CI=true nothing may be skipped: each counts as failed.");
    }
    if tally.ignored > 0 {
        println!("{} ignored", tally.ignored);
    }
}
