//! Writing to stdout: whole lines at once, and a reader that has gone is no reason to panic.

use std::fmt::Display;
use std::io::{self, Write as _};

use crate::failure::Failure;

/// Writes a line to stdout, at once.
pub(crate) fn line(text: impl Display) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::operation(format_args!("cannot write to stdout: {error}")))
}

/// Writes a line to stderr, for the person who watches.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
