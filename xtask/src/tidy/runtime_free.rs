//! Builds that must stay without an async runtime: a blocking user must not compile tokio.

use anyhow::Result;

use super::{Report, Workspace};
use crate::process;

/// A package and the features that it is built with, the default ones off.
const BUILDS: &[(&str, &str)] =
    &[("bowline-unix", ""), ("bowline-tcp", ""), ("bowline", "blocking,unix,tcp")];

pub(super) fn check(workspace: &Workspace, report: &mut Report) -> Result<()> {
    for (package, features) in BUILDS {
        let mut tree = process::cargo(&workspace.root, ["tree", "-p", package, "-e", "normal"]);
        tree.args(["--no-default-features", "--features", features, "--prefix", "none"]);
        if process::read(&mut tree)?.lines().any(|line| line.split(' ').next() == Some("tokio")) {
            let how = process::display(&tree);
            report.problem(package, format!("has tokio in its tree: make it optional ({how})"));
        }
    }
    Ok(())
}
