//! The systems that there are: those of this program, and those of other worker programs.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::SuiteError;
use crate::compare::Transport;
use crate::load::Load;
use crate::worker::Described;

/// What builds the program of the peers.
const PEERS_HINT: &str = "; build it with `cargo build --release --manifest-path \
                          crates/bowline-bench/peers/Cargo.toml`";

/// A system, and the program that has it.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) program: PathBuf,
    pub(crate) system: Described,
}

impl Listed {
    /// Why it cannot run a load; `None` if it can.
    pub(crate) fn unsupported(&self, load: &Load, transport: Transport) -> Option<&str> {
        let name = load.name();
        let mut found = self.system.unsupported.iter();
        found.find(|not| not.load == name && not.transport == transport).map(|not| not.why.as_str())
    }
}

/// The systems of these programs.
pub(crate) fn list(programs: &[PathBuf]) -> Result<Vec<Listed>, SuiteError> {
    let mut all = Vec::new();
    for program in programs {
        let systems = ask(program)?;
        all.extend(systems.into_iter().map(|system| Listed { program: program.clone(), system }));
    }
    Ok(all)
}

fn ask(program: &Path) -> Result<Vec<Described>, SuiteError> {
    let failed = |error: String, hint| SuiteError::Program { program: program.into(), error, hint };
    let output = Command::new(program).arg("systems").output().map_err(|error| {
        let hint = if error.kind() == io::ErrorKind::NotFound { PEERS_HINT } else { "" };
        failed(error.to_string(), hint)
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}: {}", output.status, said.trim()), ""));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string(), ""))
}

/// Those of these names, in this order; all, if none is named.
pub(crate) fn select(all: Vec<Listed>, names: &[String]) -> Result<Vec<Listed>, SuiteError> {
    if names.is_empty() {
        return Ok(all);
    }
    let find = |name: &String| {
        all.iter().find(|listed| listed.system.name == *name).cloned().ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|listed| listed.system.name.as_str()).collect();
            SuiteError::Unknown { what: format!("the system {name:?}"), names: names.join(", ") }
        })
    };
    names.iter().map(find).collect()
}
