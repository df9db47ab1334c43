//! `cargo xtask ci`: all that must hold before a change goes in, step by step.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{bench, codegen, process, project, spec, test, tidy};

/// Run everything that must hold: format, lints, docs, tests, generated code, rules, builds.
///
/// Stops at the first step that fails, unless told to go on.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run the other steps after one has failed
    #[arg(long)]
    keep_going: bool,
    /// Leave out the tests, where `cargo xtask test` runs on its own
    #[arg(long)]
    skip_tests: bool,
}

/// Gives whether all is well; an error counts as not well, too.
type Step = fn(&Path) -> Result<bool>;

const TESTS: &str = "tests";

const STEPS: &[(&str, Step)] = &[
    ("format", format),
    ("clippy", clippy),
    ("docs", docs),
    (TESTS, |_| test::run(&test::Args::default())),
    ("generated code", |_| codegen::run(&codegen::Args { check: true })),
    ("tidy", |_| tidy::run(&tidy::Args::default())),
    ("requirements", |_| spec::run(&spec::Args { check_only: true })),
    ("features of bowline", features),
    ("core on wasm32", wasm),
    ("instruction counts", bench::check_in_ci),
];

const WASM: &str = "wasm32-unknown-unknown";

/// Whether all steps that ran are well.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let root = project::root()?;
    let mut failed = Vec::new();
    let start = Instant::now();
    for (name, step) in STEPS.iter().filter(|(name, _)| !(args.skip_tests && *name == TESTS)) {
        println!("\n=== {name} ===");
        let start = Instant::now();
        let good = step(&root).unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            false
        });
        let word = if good { "ok" } else { "FAILED" };
        println!("=== {name}: {word} in {} ===", seconds(start.elapsed()));
        if !good {
            failed.push(*name);
            if !args.keep_going {
                break;
            }
        }
    }
    let time = seconds(start.elapsed());
    if failed.is_empty() {
        println!("\nci: all steps ok in {time}");
    } else {
        println!("\nci: failed in {time}: {}", failed.join(", "));
    }
    Ok(failed.is_empty())
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// Shows the command, then runs it.
fn step(command: &mut Command) -> Result<()> {
    eprintln!("$ {}", process::display(command));
    process::run(command)
}

fn format(root: &Path) -> Result<bool> {
    step(&mut process::cargo(root, ["fmt", "--all", "--check"]))?;
    if let Some(manifest) = project::consumer(root) {
        step(&mut process::cargo(root, ["fmt", "--check", "--manifest-path", manifest]))?;
    }
    Ok(true)
}

fn clippy(root: &Path) -> Result<bool> {
    let args = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    step(&mut process::cargo(root, args))?;
    Ok(true)
}

/// The `bowline` command is documented apart, as its page would be that of the library; before the
/// others, so that the library's is the one that stays.
fn docs(root: &Path) -> Result<bool> {
    let runs: [&[&str]; 3] = [
        &["-p", "bowline-cli"],
        &["-p", "bowline-protocol", "--document-private-items"],
        &["--workspace", "--exclude", "bowline-cli", "--all-features"],
    ];
    for run in runs {
        let mut doc = process::cargo(root, ["doc", "--no-deps"]);
        step(doc.args(run).env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    Ok(true)
}

/// Each feature alone, none, the default ones, all. Clippy instead of plain `check`, as it can turn
/// warnings into errors without building every dependency anew.
fn features(root: &Path) -> Result<bool> {
    let metadata = project::metadata(root)?;
    let package = metadata.packages.iter().find(|package| package.name.as_str() == "bowline");
    let package = package.context("no package `bowline` in the workspace")?;
    for set in feature_sets(package.features.keys().map(String::as_str)) {
        let mut clippy = process::cargo(root, ["clippy", "-p", "bowline"]);
        step(clippy.args(set).args(["--", "-D", "warnings"]))?;
    }
    Ok(true)
}

fn feature_sets<'a>(features: impl Iterator<Item = &'a str>) -> Vec<Vec<&'a str>> {
    let mut sets = vec![vec!["--no-default-features"], vec![], vec!["--all-features"]];
    let single: BTreeSet<&str> = features.filter(|name| *name != "default").collect();
    sets.extend(single.into_iter().map(|name| vec!["--no-default-features", "--features", name]));
    sets
}

/// The core has no clock, no sockets and no threads of its own: it builds where there are none.
fn wasm(root: &Path) -> Result<bool> {
    let mut libraries =
        process::command(root, "rustc", ["--print", "target-libdir", "--target", WASM]);
    let libraries = process::read(&mut libraries)?;
    if !Path::new(libraries.trim()).is_dir() {
        step(&mut process::command(root, "rustup", ["target", "add", WASM]))?;
    }
    step(&mut process::cargo(root, ["build", "--target", WASM, "-p", "bowline-protocol"]))?;
    Ok(true)
}

#[cfg(test)]
mod tests;
