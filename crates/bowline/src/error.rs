//! What can go wrong before there is a call: a bad address, a socket that cannot be made, a limit
//! out of its range.

use std::{fmt, io};

use bowline_protocol::LimitError;
use bowline_transport::{AddressError, TransportError};

/// Why a server or a channel could not be made. Its text says what to do about it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The text is not an address.
    Address(AddressError),
    /// The transport could not listen or connect.
    Transport(TransportError),
    /// A limit is out of its range.
    Limits(LimitError),
    /// The system is short of threads or descriptors.
    Resources(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::Transport(error) => error.fmt(f),
            Self::Limits(error) => error.fmt(f),
            Self::Resources(error) => {
                write!(f, "the system is short of threads or descriptors: {error}")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address(error) => error.source(),
            Self::Transport(error) => error.source(),
            Self::Limits(error) => error.source(),
            // Its text is part of this one.
            Self::Resources(error) => error.source(),
        }
    }
}

impl From<AddressError> for Error {
    fn from(error: AddressError) -> Self {
        Self::Address(error)
    }
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

impl From<LimitError> for Error {
    fn from(error: LimitError) -> Self {
        Self::Limits(error)
    }
}
