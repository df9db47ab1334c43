//! How a command fails: one paragraph on stderr, and an exit code that scripts can rely on.

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use bowline::transport::{Fault, TransportError};
use bowline::{Code, Error, Origin, Status};

/// Why a command failed, and with which exit code. Most wrong usage is reported by clap.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    text: String,
}

/// What was tried did not succeed.
const OPERATION: u8 = 1;
/// As clap's.
const USAGE: u8 = 2;
/// An address cannot be listened at, or nobody can be reached there.
const ADDRESS: u8 = 3;
/// To which a shell adds the number of the signal that ended a program.
const SIGNAL: u8 = 128;

impl Failure {
    pub(crate) fn operation(text: impl Display) -> Self {
        Self { code: OPERATION, text: text.to_string() }
    }

    pub(crate) fn usage(text: impl Display) -> Self {
        Self { code: USAGE, text: text.to_string() }
    }

    pub(crate) fn interrupted(signal: u8) -> Self {
        Self { code: SIGNAL + signal, text: "interrupted".to_owned() }
    }

    /// A call or a connection that ended with this status.
    pub(crate) fn status(what: impl Display, status: &Status) -> Self {
        let (code, message) = (status.code(), status.message());
        let by = match status.origin() {
            Origin::Remote => "the server answered ",
            _ => "",
        };
        let hint = match (code, status.origin()) {
            (Code::FailedPrecondition, Origin::Local) if message.contains("speak Bowline") => {
                "; check that the address is that of a Bowline server"
            }
            (Code::ResourceExhausted, Origin::Local) if message.contains("message_max") => {
                "; send less, or raise the server's limit (`bowline serve --max-message`)"
            }
            (Code::Unimplemented, Origin::Remote) => {
                "; this command needs a server with the Echo service, such as `bowline serve`"
            }
            _ => "",
        };
        Self::operation(format_args!("{what}: {by}{code}: {message}{hint}"))
    }

    /// Says it on stderr.
    pub(crate) fn report(&self) -> ExitCode {
        // If stderr is gone, the exit code still says it.
        let _ = writeln!(std::io::stderr(), "error: {}", self.text);
        ExitCode::from(self.code)
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        let hint = match error.fault() {
            Fault::NotLoopback { .. } => " (--allow-non-loopback)",
            _ => "",
        };
        Self { code: ADDRESS, text: format!("{error}{hint}") }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Transport(error) => error.into(),
            // Only what was said on the command line can be wrong here.
            error => Self::usage(error),
        }
    }
}
