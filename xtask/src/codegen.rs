//! `cargo xtask codegen`: Rust for this repository's own .proto files, checked in so that its crates
//! build without generating anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{process, project};

/// Generate the checked-in Rust from the .proto files.
///
/// The output goes through rustfmt, so that `cargo fmt --check` agrees with it. Files that are no
/// longer generated are deleted.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail and list the files that are not up to date
    #[arg(long)]
    pub(crate) check: bool,
}

/// Where all imports start.
const INCLUDE: &str = "proto";

/// Files that are generated together, into one directory.
struct Job {
    /// Files, or directories of files.
    protos: &'static [&'static str],
    out: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// Messages as prost makes them, for a crate below `bowline`. `bytes` are `Bytes`, which share
    /// the memory of the input.
    Messages,
    /// Messages and services, as `bowline-build` makes them for users.
    Services,
    /// Services for `async` code and for threads.
    BothServices,
    /// The same, with `bytes` as `Bytes`.
    BothServicesOfBytes,
    /// Services for threads alone.
    BlockingServices,
}

const JOBS: &[Job] = &[
    Job {
        protos: &["proto/bowline/v1/wire.proto"],
        out: "crates/bowline-protocol/src/generated",
        kind: Kind::Messages,
    },
    Job {
        protos: &["proto/bowline/conformance/v1/adapter.proto", "proto/bowline/demo/v1/echo.proto"],
        out: "crates/bowline-conformance/src/generated",
        kind: Kind::Messages,
    },
    Job {
        protos: &["proto/bowline/demo/v1/echo.proto"],
        out: "crates/bowline-bench/src/generated",
        kind: Kind::Services,
    },
    Job {
        protos: &["proto/bowline/bench/v1/bench.proto"],
        out: "crates/bowline-bench/src/generated",
        kind: Kind::BothServicesOfBytes,
    },
    Job {
        protos: &["proto/example/v1/greeter.proto"],
        out: "crates/bowline/examples/generated",
        kind: Kind::Services,
    },
    Job {
        protos: &["proto/example/v1/greeter.proto"],
        out: "crates/bowline/examples/generated/blocking",
        kind: Kind::BlockingServices,
    },
    Job { protos: &["proto/test/v1"], out: "tests/src/generated", kind: Kind::BothServices },
];

/// Texts by path, relative to the root.
type Files = BTreeMap<String, String>;

/// Whether all generated files are up to date, afterwards. A job that fails keeps its files and does
/// not keep the others from theirs.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let root = project::root()?;
    let mut good = true;
    let mut fresh = Files::new();
    let mut outs = BTreeSet::new();
    for job in JOBS {
        match generate(&root, job) {
            Ok(files) => {
                fresh.extend(files);
                outs.insert(job.out);
            }
            Err(error) => {
                eprintln!("{}: {error:#}", job.out);
                good = false;
            }
        }
    }
    let present = present(&root, &outs)?;
    for path in stale(&fresh, &present) {
        if args.check {
            eprintln!("{path} is not up to date: run `cargo xtask codegen`");
            good = false;
            continue;
        }
        match fresh.get(path) {
            Some(text) => write(&root, path, text)?,
            None => fs::remove_file(root.join(path)).with_context(|| path.to_owned())?,
        }
        println!("{path}");
    }
    Ok(good)
}

fn generate(root: &Path, job: &Job) -> Result<Files> {
    let protos = protos(root, job)?;
    let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
    compile(root, job.kind, &protos, directory.path())?;
    let mut files = Files::new();
    for entry in fs::read_dir(directory.path())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = fs::read_to_string(entry.path()).with_context(|| name.clone())?;
        fs::write(entry.path(), format!("{}\n{text}", project::GENERATED))?;
        let mut rustfmt = process::command(root, "rustfmt", ["--config-path"]);
        process::run(rustfmt.arg(root).arg(entry.path()))?;
        let text = fs::read_to_string(entry.path())?;
        files.insert(format!("{}/{name}", job.out), text);
    }
    Ok(files)
}

fn compile(root: &Path, kind: Kind, protos: &[String], out: &Path) -> Result<()> {
    let protos: Vec<_> = protos.iter().map(|path| root.join(path)).collect();
    let includes = [root.join(INCLUDE)];
    match kind {
        Kind::Messages => {
            let descriptors = protox::compile(&protos, includes)?;
            prost_build::Config::new().out_dir(out).bytes(["."]).compile_fds(descriptors)?;
        }
        Kind::Services => {
            bowline_build::Config::new().out_dir(out).compile(&protos, &includes)?;
        }
        Kind::BothServices => {
            let config = bowline_build::Config::new().blocking(true);
            config.out_dir(out).compile(&protos, &includes)?;
        }
        Kind::BothServicesOfBytes => {
            let config = bowline_build::Config::new().blocking(true);
            let config = config.prost(|prost| prost.bytes(["."]));
            config.out_dir(out).compile(&protos, &includes)?;
        }
        Kind::BlockingServices => {
            let config = bowline_build::Config::new().blocking(true).asynchronous(false);
            config.out_dir(out).compile(&protos, &includes)?;
        }
    }
    Ok(())
}

/// The job's files, relative to the root and in a fixed order.
fn protos(root: &Path, job: &Job) -> Result<Vec<String>> {
    let mut protos = Vec::new();
    for path in job.protos {
        if !root.join(path).is_dir() {
            protos.push((*path).to_owned());
            continue;
        }
        for entry in fs::read_dir(root.join(path))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".proto") {
                protos.push(format!("{path}/{name}"));
            }
        }
    }
    protos.sort();
    for path in &protos {
        if !root.join(path).is_file() {
            bail!("{path} is missing: write it, or drop its job in xtask/src/codegen.rs");
        }
    }
    if protos.is_empty() {
        bail!("no .proto files in {}", job.protos.join(", "));
    }
    Ok(protos)
}

/// What stands in the output directories.
fn present(root: &Path, outs: &BTreeSet<&str>) -> Result<Files> {
    let mut present = Files::new();
    for path in project::files(root)? {
        let in_out = path.rsplit_once('/').is_some_and(|(directory, _)| outs.contains(directory));
        if in_out && let Some(text) = project::text(root, &path)? {
            present.insert(path, text);
        }
    }
    Ok(present)
}

/// The paths whose text is not what it should be, or that should not be there. What stands in an
/// output directory without the header was written by hand, and is nobody's business here.
fn stale<'a>(fresh: &'a Files, present: &'a Files) -> Vec<&'a str> {
    let wrong = fresh.iter().filter(|(path, text)| present.get(*path) != Some(text));
    let left_over = present
        .iter()
        .filter(|(path, text)| !fresh.contains_key(*path) && project::is_generated(text));
    wrong.chain(left_over).map(|(path, _)| path.as_str()).collect()
}

fn write(root: &Path, path: &str, text: &str) -> Result<()> {
    if let Some(directory) = root.join(path).parent() {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    project::write(root, path, text)
}

#[cfg(test)]
mod tests;
