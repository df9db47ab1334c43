//! Services: what generated code implements and calls. Users implement the generated traits.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bowline_protocol::Metadata;
use bytes::Bytes;
use prost::Message;

use crate::channel::Channel;
use crate::connection::{CallHandle, HandlerGuard};
use crate::method::Method;
use crate::request::{Caller, Request, Response};
use crate::status::send_status;
use crate::streaming::{Sender, Streaming};
use crate::{Status, messages, router};

/// A service: its methods, and what answers them. Generated code implements it.
pub trait Service: Send + Sync + 'static {
    /// All methods.
    fn methods(&self) -> &'static [Method];

    /// Starts the handler of the method at this index of [`methods`](Self::methods).
    fn call(&self, index: usize, call: ServerCall) -> Handler;
}

/// A running handler.
pub type Handler = Pin<Box<dyn Future<Output = ()> + Send>>;

/// All methods of a server.
pub(crate) type Router = router::Router<dyn Service>;

/// A call that has arrived at a server. Generated code turns it into a handler.
#[derive(Debug)]
pub struct ServerCall {
    handle: CallHandle,
    message: Option<Bytes>,
    metadata: Metadata,
    deadline: Option<Instant>,
    caller: Channel,
}

impl ServerCall {
    pub(crate) const fn new(
        handle: CallHandle,
        message: Option<Bytes>,
        metadata: Metadata,
        deadline: Option<Instant>,
        caller: Channel,
    ) -> Self {
        Self { handle, message, metadata, deadline, caller }
    }

    /// A handler that takes one message and gives one.
    pub fn unary<Q, R, F, Fut>(self, handler: F) -> Handler
    where
        Q: Message + Default + 'static,
        R: Message + 'static,
        F: FnOnce(Request<Q>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Response<R>, Status>> + Send,
    {
        // The handle is taken in, so that the call ends even if the handler is dropped before it
        // began.
        Box::pin(async move {
            let (handle, request) = self.into_single();
            let result = match request {
                Ok(request) => handler(request).await,
                Err(status) => Err(status),
            };
            reply(&handle, result);
        })
    }

    /// A handler that takes one message and gives any number.
    pub fn server_streaming<Q, R, F, Fut>(self, handler: F) -> Handler
    where
        Q: Message + Default + 'static,
        R: Message + 'static,
        F: FnOnce(Request<Q>, Sender<R>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), Status>> + Send,
    {
        Box::pin(async move {
            let (handle, request) = self.into_single();
            let handle = Arc::new(handle);
            let guard = HandlerGuard(Arc::clone(&handle));
            let result = match request {
                Ok(request) => handler(request, Sender::new(handle)).await,
                Err(status) => Err(status),
            };
            end(&guard.0, result);
        })
    }

    /// A handler that takes any number of messages and gives one.
    pub fn client_streaming<Q, R, F, Fut>(self, handler: F) -> Handler
    where
        Q: Message + Default + 'static,
        R: Message + 'static,
        F: FnOnce(Request<Streaming<Q>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Response<R>, Status>> + Send,
    {
        Box::pin(async move {
            let (guard, request) = self.into_stream();
            let result = handler(request).await;
            reply(&guard.0, result);
        })
    }

    /// A handler that takes and gives any number of messages.
    pub fn bidi_streaming<Q, R, F, Fut>(self, handler: F) -> Handler
    where
        Q: Message + Default + 'static,
        R: Message + 'static,
        F: FnOnce(Request<Streaming<Q>>, Sender<R>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), Status>> + Send,
    {
        Box::pin(async move {
            let (guard, request) = self.into_stream();
            let sender = Sender::new(Arc::clone(&guard.0));
            let result = handler(request, sender).await;
            end(&guard.0, result);
        })
    }

    /// A handler for a method that is not there.
    #[must_use]
    pub fn unimplemented(self) -> Handler {
        Box::pin(async move {
            let status = Status::unimplemented("the service does not have this method");
            self.handle.end(status.with_not_started(true));
        })
    }

    fn into_single<Q: Message + Default>(self) -> (CallHandle, Result<Request<Q>, Status>) {
        let Self { handle, message, metadata, deadline, caller } = self;
        let request = messages::decode_request(message)
            .map(|message| Request::received(message, metadata, deadline, Caller::Async(caller)));
        (handle, request)
    }

    fn into_stream<Q: Message + Default>(self) -> (HandlerGuard, Request<Streaming<Q>>) {
        let Self { handle, metadata, deadline, caller, .. } = self;
        let handle = Arc::new(handle);
        let guard = HandlerGuard(Arc::clone(&handle));
        let stream = Streaming::new(handle);
        (guard, Request::received(stream, metadata, deadline, Caller::Async(caller)))
    }
}

/// Sends the outcome of a handler that gives one message.
// [ERR-002]
fn reply<R: Message>(handle: &CallHandle, result: Result<Response<R>, Status>) {
    let sent = result.and_then(|response| {
        let (message, metadata, trailers) = response.into_parts();
        if !metadata.is_empty() {
            handle.respond(metadata).map_err(send_status)?;
        }
        if trailers.is_empty() {
            return handle.send_last(&message).map_err(send_status);
        }
        handle.send(&message).map_err(send_status)?;
        handle.end(Status::ok().with_metadata(trailers));
        Ok(())
    });
    if let Err(status) = sent {
        handle.end(status);
    }
}

/// Sends the outcome of a handler that gives any number of messages.
fn end(handle: &CallHandle, result: Result<(), Status>) {
    handle.end(match result {
        Ok(()) => Status::ok().with_metadata(handle.take_trailers()),
        Err(status) => status,
    });
}
