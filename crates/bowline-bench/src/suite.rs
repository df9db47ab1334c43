//! The comparison: workers of every system, the rounds in which they take turns, and what is
//! reported of them.

pub(crate) mod catalogue;
mod counts;
pub(crate) mod goals;
mod idle;
pub(crate) mod markdown;
pub(crate) mod plan;
mod pool;
mod process;
pub(crate) mod report;
pub(crate) mod rounds;
pub(crate) mod terminal;

use std::path::PathBuf;
use std::time::Duration;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SuiteError {
    #[error("cannot run {}: {error}{hint}", program.display())]
    Program { program: PathBuf, error: String, hint: &'static str },
    #[error("{what} is none of {names}")]
    Unknown { what: String, names: String },
    #[error("{worker} ended: {status}")]
    Died { worker: String, status: String },
    #[error("{worker} said nothing for {} s", timeout.as_secs())]
    Silent { worker: String, timeout: Duration },
    #[error("{worker}: {error}")]
    Failed { worker: String, error: String },
    #[error("{what}: {error}")]
    Io { what: &'static str, error: std::io::Error },
}

impl SuiteError {
    pub(crate) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Io { what, error }
    }
}
