//! Logs: to stderr, so that stdout holds what scripts read.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

/// Shows warnings, and more with each `-v`; `RUST_LOG` says it in detail.
pub(crate) fn init(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}
