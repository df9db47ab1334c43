//! `cargo xtask spec`: every requirement of docs/protocol.md with the code that implements it and
//! the tests that fail when it is broken.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context, Result};

use crate::{project, rust_source};
use page::Page;
use tags::{Kind, Tag};

mod page;
mod tags;

const PAGE: &str = "docs/protocol.md";

/// List the requirements of docs/protocol.md with the code and the tests that name them.
///
/// The page defines an id by `**[ABC-012]**` at the start of a bullet or paragraph. Code names it
/// in a comment, `// [ABC-012]`, on or above the line that implements it; a test in a comment on or
/// above its attribute, `#[test] // [ABC-012]`. Every id must be defined once, implemented and
/// tested, unless its clause says `*(not applicable: reason)*`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print only what is wrong and the count
    #[arg(long)]
    pub(crate) check_only: bool,
}

/// Where each id is named.
type Places = BTreeMap<String, Vec<String>>;

/// Everything that names an id outside the page.
#[derive(Debug, Default)]
struct Named {
    code: Places,
    tests: Places,
    /// In documentation: it must exist, but implements nothing.
    mentions: Places,
    problems: Vec<String>,
}

/// Whether every requirement is defined once, implemented and tested.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let root = project::root()?;
    let text = project::text(&root, PAGE)
        .with_context(|| format!("the requirements are read from {PAGE}: write it first"))?;
    let page = Page::parse(&text.with_context(|| format!("{PAGE} is not UTF-8"))?);
    let named = scan(&root)?;
    if !args.check_only {
        list(&page, &named)?;
    }
    let problems = problems(&page, &named);
    for problem in &problems {
        eprintln!("{problem}");
    }
    let (implemented, tested) = (count(&page, &named.code), count(&page, &named.tests));
    let total = page.clauses.len();
    let count = format!("{total} requirements, {implemented} implemented, {tested} tested");
    writeln!(io::stdout(), "{count}").context("cannot print the count")?;
    Ok(problems.is_empty())
}

fn scan(root: &Path) -> Result<Named> {
    let mut named = Named::default();
    for path in project::files(root)? {
        let is_test = project::is_test(&path);
        let is_code = path.starts_with("crates/") && project::is_shipped(&path);
        // This program's own tests are about made-up requirements.
        if !(is_test || is_code) || path.starts_with("xtask/") {
            continue;
        }
        let Some(text) = project::text(root, &path)? else { continue };
        if tags::ids(&text).is_empty() {
            continue;
        }
        let source = rust_source::Source::parse(&text).with_context(|| path.clone())?;
        named.add(&path, tags::scan(&text, |line| is_test || source.is_test_line(line)));
    }
    Ok(named)
}

impl Named {
    fn add(&mut self, path: &str, tags: Vec<Tag>) {
        for Tag { id, line, kind } in tags {
            let place = format!("{path}:{line}");
            let places = match kind {
                Kind::Code => &mut self.code,
                Kind::Test => &mut self.tests,
                Kind::Mention => &mut self.mentions,
                Kind::Astray => {
                    self.problems.push(format!(
                        "{place}: [{id}] stands at no test: write `#[test] // [{id}]`, or move it \
                         above the attribute"
                    ));
                    continue;
                }
            };
            places.entry(id).or_default().push(place);
        }
    }
}

fn problems(page: &Page, named: &Named) -> Vec<String> {
    let mut problems = named.problems.clone();
    problems.extend(page.problems.iter().map(|problem| format!("{PAGE}:{problem}")));
    let defined: BTreeSet<&String> = page.clauses.iter().map(|clause| &clause.id).collect();
    for (id, places) in named.code.iter().chain(&named.tests).chain(&named.mentions) {
        if !defined.contains(id) {
            for place in places {
                problems.push(format!("{place}: [{id}] is not defined in {PAGE}"));
            }
        }
    }
    for clause in page.clauses.iter().filter(|clause| !clause.not_applicable) {
        let place = format!("{PAGE}:{}: [{}]", clause.line, clause.id);
        let hint = match named.mentions.get(&clause.id) {
            Some(places) => format!(" (in documentation only: {})", places.join(", ")),
            None => String::new(),
        };
        match (named.code.contains_key(&clause.id), named.tests.contains_key(&clause.id)) {
            (true, true) => {}
            (true, false) => problems.push(format!("{place} is named by no test")),
            (false, true) => problems.push(format!("{place} is named by no code{hint}")),
            (false, false) => problems.push(format!("{place} is named by no code, no test{hint}")),
        }
    }
    problems
}

/// Written in one go: whoever pipes it into `head` gets an error, not a panic.
fn list(page: &Page, named: &Named) -> Result<()> {
    let mut text = String::new();
    for clause in &page.clauses {
        let places = |places: &Places| match places.get(&clause.id) {
            Some(places) => places.join(", "),
            None if clause.not_applicable => "not applicable".to_owned(),
            None => "none".to_owned(),
        };
        let (code, tests) = (places(&named.code), places(&named.tests));
        let summary = clause.summary();
        let _ = writeln!(text, "{}  {summary}\n    code   {code}\n    tests  {tests}", clause.id);
    }
    writeln!(io::stdout(), "{text}").context("cannot print the list")
}

fn count(page: &Page, places: &Places) -> usize {
    page.clauses.iter().filter(|clause| places.contains_key(&clause.id)).count()
}

#[cfg(test)]
mod tests;
