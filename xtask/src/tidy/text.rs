//! What holds for text of any kind: clean lines, modules that open with `//!`, and nothing that is
//! only true on one machine. Patterns are written in two pieces so that this file does not match.

use anyhow::Result;

use super::{Report, Workspace};
use crate::project;

/// Extensions whose lines must be clean. Snapshots are not here: they hold what a program printed.
const CLEAN: &[&str] = &["md", "proto", "py", "rs", "sh", "toml", "txt", "yml"];

/// Extensions that also have no tabs.
const WITHOUT_TABS: &[&str] = &["md", "proto", "rs"];

const MACHINE_PATHS: &[&str] =
    &[concat!("/wor", "k/"), concat!("/roo", "t/"), concat!("/hom", "e/")];

/// Hosts of package registries: naming one ties the project to it, and only Cargo.lock has to.
const REGISTRIES: &[&str] = &[
    concat!("crates", ".io"),
    concat!("npmjs", ".org"),
    concat!("proxy.golang", ".org"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
];

const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

pub(super) fn check(workspace: &Workspace, report: &mut Report) -> Result<()> {
    for (path, text) in &workspace.texts {
        check_file(path, text, report);
    }
    Ok(())
}

fn check_file(path: &str, text: &str, report: &mut Report) {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    let generated = project::is_generated(text);
    let opens_with_docs = text.lines().find(|line| !line.is_empty()).is_none_or(is_module_doc);
    if extension == "rs" && !generated && !opens_with_docs {
        report.problem(path, "a module opens with `//!`: say what it owns");
    }
    if CLEAN.contains(&extension) && !text.is_empty() && !text.ends_with('\n') {
        report.problem(path, "the last line has no newline");
    }
    for (line, number) in text.split('\n').zip(1..) {
        let place = format!("{path}:{number}");
        if CLEAN.contains(&extension) && line.ends_with([' ', '\t', '\r']) {
            report.problem(&place, "white space at the end of the line");
        }
        if WITHOUT_TABS.contains(&extension) && line.contains('\t') {
            report.problem(&place, "a tab: use spaces, or `\\t` in a string");
        }
        if project::is_shipped(path) && !generated {
            for word in UNFINISHED.iter().filter(|word| has_word(line, word)) {
                report.problem(&place, format!("`{word}` in shipped code: do it, or drop it"));
            }
        }
        for found in MACHINE_PATHS.iter().filter(|start| has_path(line, start)) {
            report.problem(&place, format!("a path of one machine (`{found}`): make it relative"));
        }
        if !path.ends_with("Cargo.lock") {
            for host in REGISTRIES.iter().filter(|host| has_host(line, host)) {
                report.problem(&place, format!("names the registry host `{host}`: leave it out"));
            }
        }
    }
}

fn is_module_doc(line: &str) -> bool {
    line.starts_with("//!")
}

/// Whether `line` has `word` with no word character on either side.
fn has_word(line: &str, word: &str) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        !line[..start].ends_with(in_word) && !line[start + word.len()..].starts_with(in_word)
    })
}

/// Whether an absolute path begins here, not the middle of a relative one.
fn has_path(line: &str, start: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || "._-~}*)>".contains(c);
    line.match_indices(start).any(|(at, _)| !line[..at].ends_with(goes_on))
}

/// Whether the host itself or one below it stands here.
fn has_host(line: &str, host: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    line.match_indices(host).any(|(start, _)| {
        !line[..start].ends_with(goes_on) && !line[start + host.len()..].starts_with(goes_on)
    })
}

#[cfg(test)]
mod tests;
