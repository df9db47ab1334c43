//! Messages as users see them: encoded, decoded, and the only one of a call that gives one.

use bowline_protocol::Metadata;
use bytes::Bytes;
use prost::Message;

use crate::Status;
use crate::request::Response;

/// A message as the protocol carries it.
pub(crate) fn encode(message: &impl Message) -> Bytes {
    Bytes::from(message.encode_to_vec())
}

/// The only message of a request; none is the empty one.
// [ERR-002]
pub(crate) fn decode_request<Q: Message + Default>(payload: Option<Bytes>) -> Result<Q, Status> {
    Q::decode(payload.unwrap_or_default())
        .map_err(|error| Status::invalid_argument(format!("the request does not decode: {error}")))
}

/// A message of a stream that the caller, or else the responder, receives.
// [ERR-002]
pub(crate) fn decode_next<T: Message + Default>(payload: Bytes, caller: bool) -> Result<T, Status> {
    T::decode(payload).map_err(|error| {
        let text = format!("a message does not decode: {error}");
        if caller { Status::internal(text) } else { Status::invalid_argument(text) }
    })
}

/// The answer to a call that gives one message, as it comes.
#[derive(Debug)]
pub(crate) struct Single {
    message: Option<(Bytes, Metadata)>,
}

impl Single {
    /// Nothing has come yet.
    pub(crate) const fn new() -> Self {
        Self { message: None }
    }

    /// Takes a message, and the initial metadata that came before it.
    ///
    /// # Errors
    /// It is not the first; the call is to be given up.
    pub(crate) fn take(&mut self, payload: Bytes, head: Metadata) -> Result<(), Status> {
        if self.message.is_some() {
            let text = "the server sent more than one message for a call that gives one";
            return Err(Status::internal(text));
        }
        self.message = Some((payload, head));
        Ok(())
    }

    /// The call has ended, so.
    pub(crate) fn conclude<R: Message + Default>(
        &mut self,
        status: Status,
    ) -> Result<Response<R>, Status> {
        if !status.is_ok() {
            return Err(status);
        }
        let Some((payload, head)) = self.message.take() else {
            return Err(Status::internal("the server ended the call well, but sent no message"));
        };
        let message = R::decode(payload)
            .map_err(|error| Status::internal(format!("the reply does not decode: {error}")))?;
        Ok(Response::from_parts(message, head, status.metadata().clone()))
    }
}
