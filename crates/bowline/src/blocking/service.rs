//! Services whose handlers block: what generated code implements and calls. Users implement the
//! generated traits.

use std::sync::Arc;
use std::time::Instant;

use bowline_protocol::{CallId, CallMut, IncomingCall, Metadata, Outbound, SendError};
use bowline_transport::PeerIdentity;
use bytes::Bytes;
use prost::Message;

use super::channel::Channel;
use super::connection::Shared;
use super::streaming::{Call, Sender, Streaming};
use crate::method::Method;
use crate::request::{Caller as RequestCaller, Request, Response};
use crate::status::send_status;
use crate::{Status, messages};

/// A service: its methods, and what answers them. Generated code implements it.
pub trait Service: Send + Sync + 'static {
    /// All methods.
    fn methods(&self) -> &'static [Method];

    /// Runs the handler of the method at this index of [`methods`](Self::methods).
    fn call(&self, index: usize, call: ServerCall) -> Answer;
}

/// What a handler has answered.
#[derive(Debug)]
#[must_use = "the service returns it"]
pub struct Answer(Result<Outcome, Status>);

#[derive(Debug)]
enum Outcome {
    /// Initial metadata, the only message, trailing metadata.
    Reply(Metadata, Bytes, Metadata),
    /// The messages are sent; trailing metadata.
    End(Metadata),
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        Self(Err(status))
    }
}

impl Answer {
    fn reply<R: Message>(result: Result<Response<R>, Status>) -> Self {
        Self(result.map(|response| {
            let (message, metadata, trailers) = response.into_parts();
            Outcome::Reply(metadata, messages::encode(&message), trailers)
        }))
    }

    fn end(result: Result<(), Status>, call: &Call) -> Self {
        Self(result.map(|()| Outcome::End(call.take_trailers())))
    }

    /// Ends the call with this answer.
    // [ERR-002]
    pub(super) fn give(self, call: &mut CallMut<'_>, out: &mut Outbound) {
        let given = self.0.and_then(|outcome| match outcome {
            Outcome::Reply(metadata, message, trailers) => {
                send_reply(call, metadata, message, trailers, out).map_err(send_status)
            }
            Outcome::End(trailers) => {
                call.end(Status::ok().with_metadata(trailers));
                Ok(())
            }
        });
        if let Err(status) = given {
            call.end(status);
        }
    }
}

fn send_reply(
    call: &mut CallMut<'_>,
    metadata: Metadata,
    message: Bytes,
    trailers: Metadata,
    out: &mut Outbound,
) -> Result<(), SendError> {
    if !metadata.is_empty() {
        call.respond(metadata)?;
    }
    if trailers.is_empty() {
        return call.send_into(message, true, out);
    }
    call.send(message, false)?;
    call.end(Status::ok().with_metadata(trailers));
    Ok(())
}

/// A call that has arrived at a server. Generated code hands it to its handler.
#[derive(Debug)]
pub struct ServerCall {
    caller: Caller,
    message: Option<Bytes>,
    metadata: Metadata,
    deadline: Option<Instant>,
}

impl ServerCall {
    pub(super) fn new(channel: Channel, call: IncomingCall, message: Option<Bytes>) -> Self {
        let IncomingCall { call, deadline, metadata, .. } = call;
        Self { caller: Caller { channel, call }, message, metadata, deadline }
    }

    /// Has a handler answer that takes one message and gives one.
    pub fn unary<Q, R>(
        self,
        handler: impl FnOnce(Request<Q>) -> Result<Response<R>, Status>,
    ) -> Answer
    where
        Q: Message + Default,
        R: Message,
    {
        Answer::reply(self.into_single().and_then(handler))
    }

    /// Has a handler answer that takes one message and gives any number.
    pub fn server_streaming<Q, R>(
        self,
        handler: impl FnOnce(Request<Q>, Sender<R>) -> Result<(), Status>,
    ) -> Answer
    where
        Q: Message + Default,
        R: Message,
    {
        let call = self.responder();
        let sender = Sender::new(Arc::clone(&call));
        let result = self.into_single().and_then(|request| handler(request, sender));
        Answer::end(result, &call)
    }

    /// Has a handler answer that takes any number of messages and gives one.
    pub fn client_streaming<Q, R>(
        self,
        handler: impl FnOnce(Request<Streaming<Q>>) -> Result<Response<R>, Status>,
    ) -> Answer
    where
        Q: Message + Default,
        R: Message,
    {
        let call = self.responder();
        Answer::reply(handler(self.into_stream(call)))
    }

    /// Has a handler answer that takes and gives any number of messages.
    pub fn bidi_streaming<Q, R>(
        self,
        handler: impl FnOnce(Request<Streaming<Q>>, Sender<R>) -> Result<(), Status>,
    ) -> Answer
    where
        Q: Message + Default,
        R: Message,
    {
        let call = self.responder();
        let sender = Sender::new(Arc::clone(&call));
        let result = handler(self.into_stream(Arc::clone(&call)), sender);
        Answer::end(result, &call)
    }

    /// The answer for a method that is not there.
    pub fn unimplemented(self) -> Answer {
        let status = Status::unimplemented("the service does not have this method");
        Answer::from(status.with_not_started(true))
    }

    fn responder(&self) -> Arc<Call> {
        Arc::new(Call::responder(Arc::clone(self.caller.shared()), self.caller.call))
    }

    fn into_single<Q: Message + Default>(self) -> Result<Request<Q>, Status> {
        let message = messages::decode_request(self.message)?;
        let caller = RequestCaller::Blocking(self.caller);
        Ok(Request::received(message, self.metadata, self.deadline, caller))
    }

    fn into_stream<Q: Message + Default>(self, call: Arc<Call>) -> Request<Streaming<Q>> {
        let caller = RequestCaller::Blocking(self.caller);
        Request::received(Streaming::new(call), self.metadata, self.deadline, caller)
    }
}

/// Who made a call, and whether it still waits.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    channel: Channel,
    call: CallId,
}

impl Caller {
    pub(crate) const fn channel(&self) -> &Channel {
        &self.channel
    }

    pub(crate) fn peer(&self) -> &PeerIdentity {
        self.shared().peer()
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.shared().is_stopped(self.call)
    }

    fn shared(&self) -> &Arc<Shared> {
        self.channel.fixed().expect("the way back is one connection")
    }
}
