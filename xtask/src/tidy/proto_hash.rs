//! Ties the protocol's message definitions to the page that explains them: whoever changes one has
//! to look at the other.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{Report, Workspace};
use crate::fnv::Fnv;
use crate::project;

const PROTOS: &str = "proto/bowline/v1/";
const PAGE: &str = "docs/protocol.md";
const OPEN: &str = "<!-- proto-hash: ";
const CLOSE: &str = " -->";

pub(super) fn check(workspace: &Workspace, report: &mut Report) -> Result<()> {
    let hash = hash(&workspace.texts);
    let Some(page) = workspace.texts.get(PAGE) else {
        report.problem(PAGE, format!("missing: it explains what {PROTOS} defines"));
        return Ok(());
    };
    let recorded = recorded(page);
    if recorded == Some(&hash) {
        return Ok(());
    }
    match recorded {
        None => report.problem(PAGE, format!("has no line `{OPEN}{hash}{CLOSE}`: add it")),
        Some(old) if workspace.fix => {
            let (old, new) = (format!("{OPEN}{old}{CLOSE}"), format!("{OPEN}{hash}{CLOSE}"));
            project::write(&workspace.root, PAGE, &page.replacen(&old, &new, 1))?;
            report.fixed.push(format!("{PAGE}: re-read the page against the change in {PROTOS}"));
        }
        Some(_) => report.problem(
            PAGE,
            format!(
                "{PROTOS} has changed: re-read the page against the change, then run `cargo xtask \
                 tidy --fix` to record the new hash"
            ),
        ),
    }
    Ok(())
}

/// The hash over names and contents. Comments count, as they are part of the definition; blank
/// lines and what editors do to the ends of lines do not.
fn hash(texts: &BTreeMap<String, String>) -> String {
    let mut fnv = Fnv::new();
    for (path, text) in texts.iter().filter(|(path, _)| path.starts_with(PROTOS)) {
        fnv.add(path.as_bytes());
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            fnv.add(b"\n");
            fnv.add(line.as_bytes());
        }
        fnv.add(b"\0");
    }
    fnv.hex()
}

fn recorded(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once(OPEN)?;
    Some(rest.split_once(CLOSE)?.0)
}

#[cfg(test)]
mod tests;
