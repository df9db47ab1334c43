//! Counts instructions with callgrind, through the benches called `instructions`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::Metadata;
use serde_json::Value;

use super::record::{Counts, Record, TOLERANCE};
use super::step;
use crate::{process, project};

const FILE: &str = "xtask/instructions.json";
const BLESS: &str = "cargo xtask bench --bless";

/// A driver reads the clock, so that what it does depends a little on what else the machine does.
/// So the median of so many counts is recorded, and a check that fails counts again.
const RUNS: usize = 3;
/// How often a check counts before it believes that something has changed.
const TRIES: usize = 5;

/// Packages with a bench called `instructions`.
const PACKAGES: &[&str] = &["bowline-protocol", "bowline"];

/// Callgrind counts `rep movsb`, with which glibc copies, as an instruction for each byte: that
/// would hide all else. So let it copy otherwise.
const ARGS: &[&str] = &[
    "--output-format=json",
    "--nosummary=true",
    "--callgrind-args=--cache-sim=no",
    "--envs=GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=0x40000000",
];

/// Whether the counts are as recorded; with another toolchain than the record's they are only shown.
pub(super) fn check(root: &Path) -> Result<bool> {
    let recorded = project::text(root, FILE)?.with_context(|| format!("{FILE} is not text"))?;
    let recorded: Record = serde_json::from_str(&recorded)
        .with_context(|| format!("{FILE} cannot be read: `{BLESS}` writes it anew"))?;
    let counter = Counter::new(root)?;
    let mut now = Record { toolchain: toolchain(root)?, instructions: counter.count()? };
    let other = recorded.other_toolchain(&now);
    for _ in 1..TRIES {
        if !other.is_empty() || recorded.agrees(&now) {
            break;
        }
        eprintln!("counting again: not all is within {TOLERANCE} %");
        now.take_nearer(&recorded, &counter.count()?);
    }
    let problems = show(&recorded, &now);
    if !other.is_empty() {
        println!("\nAnother toolchain than that of the record, so this is for information only:");
        other.iter().for_each(|difference| println!("  {difference}"));
        return Ok(true);
    }
    if problems > 0 {
        println!(
            "\n{problems} not within {TOLERANCE} % of {FILE}. If that is as it should be, \
             `{BLESS}` records the new counts; keep what became less, too."
        );
    }
    Ok(problems == 0)
}

/// Writes the record anew.
pub(super) fn bless(root: &Path) -> Result<bool> {
    let counter = Counter::new(root)?;
    let runs = (0..RUNS).map(|_| counter.count()).collect::<Result<Vec<_>>>()?;
    let now = Record { toolchain: toolchain(root)?, instructions: medians(&runs) };
    let recorded = project::text(root, FILE).ok().flatten();
    if let Some(recorded) = recorded.and_then(|text| serde_json::from_str(&text).ok()) {
        show(&recorded, &now);
    }
    project::write(root, FILE, &(serde_json::to_string_pretty(&now)? + "\n"))?;
    println!("\nwrote {FILE}");
    Ok(true)
}

/// Prints each count, and returns how many are not as recorded.
fn show(recorded: &Record, now: &Record) -> usize {
    let number = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |n| n.to_string());
    println!("{:32} {:>12} {:>12} {:>9}", "instructions", "recorded", "now", "change");
    let rows = recorded.compare(now);
    for row in &rows {
        let change = row.change().map_or_else(String::new, |change| format!("{change:+.2} %"));
        let (then, now) = (number(row.recorded), number(row.now));
        let problem = row.problem().unwrap_or_default();
        println!("{:32} {then:>12} {now:>12} {change:>9}  {problem}", row.path);
    }
    rows.iter().filter(|row| row.problem().is_some()).count()
}

/// Whether there is a valgrind to count with.
pub(super) fn has_valgrind(root: &Path) -> bool {
    process::read(&mut process::command(root, "valgrind", ["--version"])).is_ok()
}

/// Benches that are built.
struct Counter<'a> {
    root: &'a Path,
    runner: PathBuf,
}

impl<'a> Counter<'a> {
    fn new(root: &'a Path) -> Result<Self> {
        // Asked for first: it is missing most often, and the rest takes minutes.
        toolchain(root)?;
        let runner = runner(root, &project::metadata(root)?)?;
        let counter = Self { root, runner };
        step(counter.bench().arg("--no-run"))?;
        Ok(counter)
    }

    /// Runs all benches once.
    fn count(&self) -> Result<Counts> {
        eprintln!("counting instructions");
        let output = process::read(self.bench().arg("--quiet").arg("--").args(ARGS))?;
        let counts: Counts = output
            .lines()
            .map(|line| parse(line).with_context(|| format!("gungraun says: {line}")))
            .collect::<Result<_>>()?;
        if counts.is_empty() {
            bail!("the benches counted nothing");
        }
        Ok(counts)
    }

    fn bench(&self) -> Command {
        let mut bench = process::cargo(self.root, ["bench", "--bench", "instructions"]);
        for package in PACKAGES {
            bench.args(["-p", package]);
        }
        bench.env("GUNGRAUN_RUNNER", &self.runner);
        bench
    }
}

/// Of each path the count in the middle; of an even number of runs, the higher one of the two.
fn medians(runs: &[Counts]) -> Counts {
    let median = |path: &String| {
        let mut counts: Vec<u64> = runs.iter().filter_map(|run| run.get(path).copied()).collect();
        counts.sort_unstable();
        Some((path.clone(), *counts.get(counts.len() / 2)?))
    };
    runs.iter().flat_map(Counts::keys).filter_map(median).collect()
}

/// One line of gungraun's report: the path, as `group/function/case`, and its count.
fn parse(line: &str) -> Result<(String, u64)> {
    let report: Value = serde_json::from_str(line)?;
    let words = ["/group", "/function_name", "/id"].map(|name| report.pointer(name));
    let path = words.into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join("/");
    let count = report.pointer("/profiles/0/data/total/metrics/Ir/values/new");
    let count = count.and_then(Value::as_u64).context("no number of instructions")?;
    Ok((path, count))
}

/// The program that runs the benches, of the version of the library; installed where it is missing.
fn runner(root: &Path, metadata: &Metadata) -> Result<PathBuf> {
    const NAME: &str = "gungraun-runner";
    let package = metadata.packages.iter().find(|package| package.name.as_str() == NAME);
    let version = &package.context("the library gungraun is no dependency")?.version;
    let place = metadata.target_directory.join(format!("{NAME}-{version}"));
    let program = place.join("bin").join(NAME);
    if !program.exists() {
        // Built for debugging, as that is quicker and it hardly works itself.
        let mut install = process::cargo(root, ["install", NAME, "--locked", "--debug"]);
        install.args(["--version", &format!("={version}")]).arg("--root").arg(place);
        step(install.env("CARGO_PROFILE_DEV_DEBUG", "0"))?;
    }
    Ok(program.into())
}

/// All that decides over the counts besides this repository.
fn toolchain(root: &Path) -> Result<BTreeMap<String, String>> {
    let say = |program: &str, args: &[&str]| {
        process::read(&mut process::command(root, program, args.iter().copied()))
    };
    let valgrind = say("valgrind", &["--version"]).context(
        "instructions are counted by valgrind: install it, by `apt-get install valgrind`",
    )?;
    let rustc = say("rustc", &["-vV"])?;
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    let entries = [
        ("rustc", rustc.lines().next().unwrap_or_default()),
        ("target", host.unwrap_or_default()),
        ("valgrind", valgrind.trim()),
        ("libc", &say("getconf", &["GNU_LIBC_VERSION"]).unwrap_or_default()),
        ("processor", processor()),
    ];
    Ok(entries.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).into())
}

/// What valgrind pretends to be follows from what the real processor has, and decides how the C
/// library copies.
fn processor() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx2") {
            return "avx2";
        }
        if std::arch::is_x86_feature_detected!("avx") {
            return "avx";
        }
    }
    "plain"
}

#[cfg(test)]
mod tests;
