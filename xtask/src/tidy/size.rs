//! Functions and files stay short enough to be read. What was longer when it came stands in a
//! ratchet file, whose numbers may only fall.

use anyhow::{Context, Result};

use super::{Report, Workspace};
use crate::project;

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 800;
const RATCHET: &str = "xtask/ratchet.txt";

/// Stands where a function's name would, for a whole file.
const WHOLE_FILE: &str = "(file)";

const HEADER: &str = "\
# Functions over 70 lines and files over 800 lines (tests apart) that are allowed to be: path, name,
# lines. Do not add to it: split what is too long. `cargo xtask tidy --fix` lowers the numbers.
";

/// Something that is too long.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    path: String,
    name: String,
    lines: usize,
}

impl Entry {
    fn is_about(&self, other: &Self) -> bool {
        self.path == other.path && self.name == other.name
    }
}

pub(super) fn check(workspace: &Workspace, report: &mut Report) -> Result<()> {
    let listed = parse(workspace.texts.get(RATCHET).map_or("", String::as_str))?;
    let (lowered, mut problems) = compare(&listed, &measure(workspace), workspace.fix);
    report.problems.append(&mut problems);
    if workspace.fix && lowered != listed {
        project::write(&workspace.root, RATCHET, &format(&lowered))?;
        report.fixed.push(RATCHET.to_owned());
    }
    Ok(())
}

/// Everything over a limit. Functions of one name in one file count as their longest.
fn measure(workspace: &Workspace) -> Vec<Entry> {
    let mut long: Vec<Entry> = Vec::new();
    for (path, source) in &workspace.sources {
        let lines = source.shipped_lines();
        let file = Entry { path: path.clone(), name: WHOLE_FILE.to_owned(), lines };
        long.extend(Some(file).filter(|file| file.lines > FILE_LINES_MAX));
        for function in source.functions().iter().filter(|f| f.lines > FUNCTION_LINES_MAX) {
            let (name, lines) = (function.name.clone(), function.lines);
            let entry = Entry { path: path.clone(), name, lines };
            match long.iter_mut().find(|other| other.is_about(&entry)) {
                Some(same) => same.lines = same.lines.max(lines),
                None => long.push(entry),
            }
        }
    }
    long
}

/// Gives the list as it should be now, never with a larger number, and what is wrong. With `fix`
/// a number that can fall is no problem, as it will.
fn compare(listed: &[Entry], long: &[Entry], fix: bool) -> (Vec<Entry>, Vec<String>) {
    let mut problems = Vec::new();
    let mut lowered = Vec::new();
    let stale = |entry: &Entry, now: &str| {
        let Entry { path, name, lines } = entry;
        format!("{path}: {name} {now}, {RATCHET} says {lines}: run `cargo xtask tidy --fix`")
    };
    for entry in listed {
        match long.iter().find(|now| now.is_about(entry)) {
            None if !fix => problems.push(stale(entry, "is gone or short now")),
            None => {}
            Some(now) => {
                let lines = now.lines.min(entry.lines);
                if lines < entry.lines && !fix {
                    problems.push(stale(entry, &format!("is down to {lines} lines")));
                }
                lowered.push(Entry { lines, ..entry.clone() });
            }
        }
    }
    for now in long {
        let (max, noun) = match now.name.as_str() {
            WHOLE_FILE => (FILE_LINES_MAX, "the file"),
            name => (FUNCTION_LINES_MAX, name),
        };
        let allowed = listed.iter().find(|entry| entry.is_about(now)).map_or(max, |e| e.lines);
        if now.lines > allowed {
            let Entry { path, lines, .. } = now;
            problems
                .push(format!("{path}: {noun} has {lines} lines, allowed are {allowed}: split it"));
        }
    }
    (lowered, problems)
}

fn parse(text: &str) -> Result<Vec<Entry>> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| parse_line(line).with_context(|| format!("{RATCHET}: `{line}`"))).collect()
}

/// `path name lines`; only the name may have spaces.
fn parse_line(line: &str) -> Result<Entry> {
    let (path, rest) = line.split_once(' ').context("expected: path name lines")?;
    let (name, lines) = rest.rsplit_once(' ').context("expected: path name lines")?;
    let lines = lines.parse().context("the last word is not a number")?;
    Ok(Entry { path: path.to_owned(), name: name.to_owned(), lines })
}

fn format(entries: &[Entry]) -> String {
    let line = |entry: &Entry| format!("{} {} {}\n", entry.path, entry.name, entry.lines);
    HEADER.to_owned() + &entries.iter().map(line).collect::<String>()
}

#[cfg(test)]
mod tests;
