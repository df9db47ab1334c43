//! `cargo xtask tidy`: rules of the house that neither rustc nor clippy knows. Requirement ids are
//! the business of `cargo xtask spec`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;

use anyhow::Result;
use cargo_metadata::Metadata;

use crate::project;
use crate::rust_source::Source;

mod dependencies;
mod licences;
mod proto_hash;
mod runtime_free;
mod size;
mod snapshots;
mod source;
mod text;

/// Check the rules of the house: dependencies, licences, sizes, unsafe, text, snapshots.
///
/// Every problem says where it is and what to do. `--fix` rewrites the two records that follow from
/// the code: xtask/ratchet.txt (downwards only) and the hash of proto/bowline/v1 in docs/protocol.md.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Bring xtask/ratchet.txt and the hash in docs/protocol.md up to date
    #[arg(long)]
    fix: bool,
}

type Check = fn(&Workspace, &mut Report) -> Result<()>;

const CHECKS: &[Check] = &[
    dependencies::check,
    runtime_free::check,
    licences::check,
    text::check,
    source::check,
    size::check,
    proto_hash::check,
    snapshots::check,
];

/// What the checks look at, read once.
struct Workspace {
    root: PathBuf,
    metadata: Metadata,
    /// Every text file of the project.
    texts: BTreeMap<String, String>,
    /// Shipped Rust, parsed, without what is generated.
    sources: BTreeMap<String, Source>,
    fix: bool,
}

/// What the checks have to say.
#[derive(Debug, Default)]
struct Report {
    problems: Vec<String>,
    fixed: Vec<String>,
}

impl Report {
    fn problem(&mut self, place: impl Display, what: impl Display) {
        self.problems.push(format!("{place}: {what}"));
    }
}

/// Whether all is tidy.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let mut report = Report::default();
    let workspace = load(args.fix, &mut report)?;
    for check in CHECKS {
        check(&workspace, &mut report)?;
    }
    for fixed in &report.fixed {
        println!("fixed {fixed}");
    }
    for problem in &report.problems {
        eprintln!("{problem}");
    }
    println!("tidy: {} files, problems: {}", workspace.texts.len(), report.problems.len());
    Ok(report.problems.is_empty())
}

fn load(fix: bool, report: &mut Report) -> Result<Workspace> {
    let root = project::root()?;
    let metadata = project::metadata(&root)?;
    let mut texts = BTreeMap::new();
    let mut sources = BTreeMap::new();
    for path in project::files(&root)? {
        let Some(text) = project::text(&root, &path)? else { continue };
        if project::is_shipped(&path) && !project::is_generated(&text) {
            match Source::parse(&text) {
                Ok(source) => drop(sources.insert(path.clone(), source)),
                Err(error) => report.problem(&path, format!("is not valid Rust, {error}")),
            }
        }
        texts.insert(path, text);
    }
    Ok(Workspace { root, metadata, texts, sources, fix })
}
