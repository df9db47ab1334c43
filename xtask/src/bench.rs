//! `cargo xtask bench`: how fast it is, beside raw sockets and other systems; and whether the hot
//! paths still take the instructions that they took.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{process, project};

mod instructions;
mod record;

/// Measure calls beside raw sockets and other RPC systems, or check instruction counts.
///
/// Without `--check` and `--bless` this runs `bowline-bench run`, built for speed, and prints a
/// table. What stands after `--` is passed on to it: `cargo xtask bench -- --help` lists the options.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Few loads, few rounds: for a look
    #[arg(long)]
    quick: bool,
    /// Compare with other RPC systems, too; installs what is needed to build them
    #[arg(long)]
    peers: bool,
    /// Write all results to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Count the instructions of the hot paths and compare them with xtask/instructions.json
    #[arg(long, conflicts_with_all = ["quick", "peers", "json", "rest"])]
    check: bool,
    /// Count the instructions of the hot paths and write them to xtask/instructions.json
    #[arg(long, conflicts_with_all = ["check", "quick", "peers", "json", "rest"])]
    bless: bool,
    /// Further options of `bowline-bench run`
    #[arg(last = true, value_name = "OPTION")]
    rest: Vec<String>,
}

/// A package of its own: the other systems are no dependencies of this project.
const PEERS: &str = "crates/bowline-bench/peers";

/// Whether everything that was asked for worked, or is as recorded.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let root = project::root()?;
    if args.check {
        return instructions::check(&root);
    }
    if args.bless {
        return instructions::bless(&root);
    }
    compare(&root, args)
}

/// Whether the hot paths take the instructions of the record, as a step of `cargo xtask ci`. A
/// machine without valgrind skips it, unless nothing may be skipped.
pub(crate) fn check_in_ci(root: &Path) -> Result<bool> {
    if !project::is_ci() && !instructions::has_valgrind(root) {
        println!("SKIPPED instruction counts: valgrind is not installed");
        return Ok(true);
    }
    instructions::check(root)
}

fn compare(root: &Path, args: &Args) -> Result<bool> {
    let peers = if args.peers { Some(build_peers(root)?) } else { None };
    // The program that counts allocations, too.
    let mut build = process::cargo(root, ["build", "--profile", "measured", "-p", "bowline-bench"]);
    step(build.args(["--features", "counting", "--bins"]))?;
    let program = project::metadata(root)?.target_directory.join("measured/bowline-bench");
    let mut run = process::command(root, program, ["run"]);
    if args.quick {
        run.arg("--quick");
    }
    if let Some(program) = peers {
        run.arg("--peers").arg(program);
    }
    if let Some(file) = &args.json {
        // Relative to where the user is; the command runs in the root.
        let file = std::path::absolute(file).context("there is no current directory")?;
        run.arg("--json").arg(file);
    }
    run.args(&args.rest);
    step(&mut run)?;
    Ok(true)
}

/// Gives the path of the program with the other systems.
fn build_peers(root: &Path) -> Result<PathBuf> {
    let manifest = format!("{PEERS}/Cargo.toml");
    let install = root.join(PEERS).join("install");
    step(&mut process::command(root, install, []))?;
    let target = project::metadata(root)?.target_directory.join("peers");
    let mut build = process::cargo(
        root,
        ["build", "--locked", "--profile", "measured", "--manifest-path", &manifest],
    );
    step(build.arg("--target-dir").arg(&target))?;
    Ok(target.join("measured/bowline-bench-peers").into())
}

/// Shows the command, then runs it.
fn step(command: &mut std::process::Command) -> Result<()> {
    eprintln!("$ {}", process::display(command));
    process::run(command)
}
