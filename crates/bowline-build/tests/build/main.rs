//! What comes out for a set of `.proto` files: code, errors, and what a build script prints.

mod build_script;
mod errors;
mod generated;

use std::fs;
use std::path::{Path, PathBuf};

use bowline_build::{Config, Error};
use tempfile::TempDir;

/// A directory of this crate, or of the project, by its path from this crate.
fn directory(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Generates from files in a directory.
fn generate(config: Config, include: &str, protos: &[&str]) -> Result<TempDir, Error> {
    let out = tempfile::tempdir().expect("a temporary directory");
    config.out_dir(out.path()).compile(protos, &[directory(include)])?;
    Ok(out)
}

/// A file that was generated.
fn file(out: &TempDir, name: &str) -> String {
    fs::read_to_string(out.path().join(name)).expect("a generated file")
}

/// The names of what was generated.
fn names(out: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(out.path()).expect("the output").map(|e| e.expect("an entry"));
    let mut names: Vec<_> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
