//! What shipped Rust must not hold: `unsafe` outside the one crate that is for it, and macros that
//! only belong to code in the making.

use anyhow::Result;

use super::{Report, Workspace};
use crate::rust_source::Source;

/// The crate that talks to the kernel.
const UNSAFE_LIVES_IN: &str = "crates/bowline-unix/";

const UNFINISHED: &[&str] = &["dbg", "todo", "unimplemented"];

pub(super) fn check(workspace: &Workspace, report: &mut Report) -> Result<()> {
    for (path, source) in &workspace.sources {
        check_file(path, source, report);
    }
    Ok(())
}

fn check_file(path: &str, source: &Source, report: &mut Report) {
    let may_be_unsafe = path.starts_with(UNSAFE_LIVES_IN);
    if is_crate_root(path) && !may_be_unsafe && !source.forbids("unsafe_code") {
        report.problem(path, "a crate opens with `#![forbid(unsafe_code)]`, after its `//!`");
    }
    for word in source.words() {
        let place = format!("{path}:{}", word.line);
        if word.text == "unsafe" && !may_be_unsafe {
            report.problem(place, format!("`unsafe` lives in {UNSAFE_LIVES_IN} alone"));
        } else if word.bang && UNFINISHED.contains(&word.text.as_str()) {
            report.problem(place, format!("`{}!` in shipped code", word.text));
        }
    }
}

fn is_crate_root(path: &str) -> bool {
    let Some((_, inside)) = path.split_once("/src/") else { return false };
    inside == "lib.rs" || inside == "main.rs" || inside.starts_with("bin/")
}

#[cfg(test)]
mod tests;
