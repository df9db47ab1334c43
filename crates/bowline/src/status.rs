//! What users are told of calls and connections that went wrong.

use bowline_protocol::SendError;
#[cfg(feature = "blocking")]
use bowline_protocol::{ConnectionError, MetadataError, OpenError};

use crate::Status;

/// What the sender of a message is told when it was not taken.
pub(crate) fn send_status(error: SendError) -> Status {
    let text = error.to_string();
    match error {
        SendError::TooLong { .. } => Status::resource_exhausted(text),
        SendError::Metadata(_) => Status::invalid_argument(text),
        SendError::Closed => Status::cancelled(text),
        _ => Status::internal(text),
    }
}

/// What the caller is told of a call that could not be opened.
#[cfg(feature = "blocking")]
pub(crate) fn open_status(error: OpenError) -> Status {
    let status = match &error {
        OpenError::Connection(connection) => connection_status(connection),
        OpenError::NoCalls => Status::unimplemented(error.to_string()),
        OpenError::MethodName { .. } => Status::invalid_argument(error.to_string()),
        OpenError::Metadata(MetadataError::TooLarge { .. }) => {
            Status::resource_exhausted(error.to_string())
        }
        OpenError::Metadata(_) => Status::invalid_argument(error.to_string()),
        OpenError::IdsExhausted => Status::unavailable(error.to_string()),
        _ => Status::resource_exhausted(error.to_string()),
    };
    status.with_not_started(true)
}

/// What a user of the connection is told of its end.
#[cfg(feature = "blocking")]
pub(crate) fn connection_status(error: &ConnectionError) -> Status {
    match error {
        ConnectionError::PeerIncompatible(_) => Status::failed_precondition(error.to_string()),
        _ => Status::unavailable(error.to_string()),
    }
}
