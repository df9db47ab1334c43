//! Snapshots that no test looks at any more, and ones that nobody has decided on. This reads file
//! names and sources, so a snapshot's name must stand in its test: as the test's own name or as a
//! string. (Names made at run time belong into insta's `snapshot_suffix`.)

use std::collections::BTreeMap;

use anyhow::Result;

use super::{Report, Workspace};

const PENDING: &[&str] = &[".snap.new", ".pending-snap"];

pub(super) fn check(workspace: &Workspace, report: &mut Report) -> Result<()> {
    for (path, text) in &workspace.texts {
        if PENDING.iter().any(|end| path.ends_with(end)) {
            report.problem(path, "pending: accept it (`cargo insta review`) or delete it");
        } else if path.ends_with(".snap")
            && let Some(what) = verdict(path, text, &workspace.texts)
        {
            report.problem(path, format!("{what}: delete it, or run the tests to write it anew"));
        }
    }
    Ok(())
}

/// Why a snapshot is a leftover, if it is one.
fn verdict(path: &str, text: &str, texts: &BTreeMap<String, String>) -> Option<String> {
    let Some(source) = text.lines().find_map(|line| line.strip_prefix("source: ")) else {
        return Some("has no `source:` line".to_owned());
    };
    let source = source.trim_matches('"');
    let Some(code) = texts.get(source) else {
        return Some(format!("its source {source} is gone"));
    };
    let directory = |path: &str| path.rsplit_once('/').map_or("", |(dir, _)| dir).to_owned();
    if directory(path) != format!("{}/snapshots", directory(source)) {
        return Some(format!("does not stand in the folder `snapshots` beside {source}"));
    }
    let stem = path.rsplit('/').next()?.strip_suffix(".snap")?;
    let stem = stem.split('@').next()?;
    let mut rest = stem;
    while let Some((module, name)) = rest.split_once("__") {
        let module = module.trim_start_matches('_');
        if belongs(source, code, stem, module) && names(code, name) {
            return None;
        }
        rest = name;
    }
    if names(code, stem) {
        return None;
    }
    Some(format!("no test in {source} has this name"))
}

/// Whether `module` may be the last module in the prefix: the source file's own, or one inside it.
fn belongs(source: &str, code: &str, stem: &str, module: &str) -> bool {
    let file = source.rsplit('/').next().unwrap_or(source).trim_end_matches(".rs");
    let of_directory = ["mod", "lib", "main"].contains(&file);
    let crate_root = stem.starts_with(module);
    module == file || of_directory || crate_root || code.contains(&format!("mod {module}"))
}

/// Whether a test makes a snapshot of this name: by its own name, to which insta adds `-2` and so
/// on and from which it takes `test_`, or by a string.
fn names(code: &str, name: &str) -> bool {
    let plain = match name.rsplit_once('-') {
        Some((plain, number)) if number.parse::<u32>().is_ok() => plain,
        _ => name,
    };
    [name, plain].iter().any(|name| {
        code.contains(&format!("fn {name}("))
            || code.contains(&format!("fn test_{name}("))
            || code.contains(&format!("\"{name}\""))
    })
}

#[cfg(test)]
mod tests;
