//! Services: what generated code implements and calls. Users implement the generated traits.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bowline_protocol::Metadata;
use bytes::Bytes;
use prost::Message;

use crate::channel::Channel;
use crate::connection::{CallHandle, HandlerGuard};
use crate::request::{Request, Response};
use crate::streaming::{Sender, Streaming};
use crate::{Status, send_status};

/// How many messages a method takes and gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MethodKind {
    /// One message each way.
    Unary,
    /// One message to the server, any number back.
    ServerStreaming,
    /// Any number of messages to the server, one back.
    ClientStreaming,
    /// Any number of messages each way.
    BidiStreaming,
}

/// A method of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Method {
    path: &'static str,
    kind: MethodKind,
}

impl Method {
    /// The method with this full name, `package.Service/Method`.
    #[must_use]
    pub const fn new(path: &'static str, kind: MethodKind) -> Self {
        Self { path, kind }
    }

    /// The full name, `package.Service/Method`.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// How many messages it takes and gives.
    #[must_use]
    pub const fn kind(&self) -> MethodKind {
        self.kind
    }
}

/// A service: its methods, and what answers them. Generated code implements it.
pub trait Service: Send + Sync + 'static {
    /// All methods.
    fn methods(&self) -> &'static [Method];

    /// Starts the handler of the method at this index of [`methods`](Self::methods).
    fn call(&self, index: usize, call: ServerCall) -> Handler;
}

/// A running handler.
pub type Handler = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Which handler answers a method.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) index: usize,
    pub(crate) kind: MethodKind,
}

/// All methods of a server.
#[derive(Default, Clone)]
pub(crate) struct Router {
    routes: HashMap<&'static str, Route>,
}

impl Router {
    pub(crate) fn add(&mut self, service: Arc<dyn Service>) {
        for (index, method) in service.methods().iter().enumerate() {
            let route = Route { service: Arc::clone(&service), index, kind: method.kind };
            if self.routes.insert(method.path, route).is_some() {
                tracing::warn!(method = method.path, "a later service replaces the earlier one");
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    pub(crate) fn route(&self, method: &str) -> Option<Route> {
        self.routes.get(method).cloned()
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.routes.keys()).finish()
    }
}

/// A call that has arrived at a server. Generated code turns it into a handler.
#[derive(Debug)]
pub struct ServerCall {
    handle: Arc<CallHandle>,
    message: Option<Bytes>,
    metadata: Metadata,
    deadline: Option<Instant>,
    caller: Channel,
}

impl ServerCall {
    pub(crate) const fn new(
        handle: Arc<CallHandle>,
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
        let guard = HandlerGuard(Arc::clone(&self.handle));
        Box::pin(async move {
            // Taken in, so that the call ends even if the handler is dropped before it began.
            let guard = guard;
            let result = match self.into_single() {
                Ok(request) => handler(request).await,
                Err(status) => Err(status),
            };
            reply(&guard.0, result);
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
        let guard = HandlerGuard(Arc::clone(&self.handle));
        Box::pin(async move {
            // Taken in, so that the call ends even if the handler is dropped before it began.
            let guard = guard;
            let sender = Sender::new(Arc::clone(&self.handle));
            let result = match self.into_single() {
                Ok(request) => handler(request, sender).await,
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
        let guard = HandlerGuard(Arc::clone(&self.handle));
        Box::pin(async move {
            // Taken in, so that the call ends even if the handler is dropped before it began.
            let guard = guard;
            let result = handler(self.into_stream()).await;
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
        let guard = HandlerGuard(Arc::clone(&self.handle));
        Box::pin(async move {
            // Taken in, so that the call ends even if the handler is dropped before it began.
            let guard = guard;
            let sender = Sender::new(Arc::clone(&self.handle));
            let result = handler(self.into_stream(), sender).await;
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

    fn into_single<Q: Message + Default>(self) -> Result<Request<Q>, Status> {
        let message = Q::decode(self.message.unwrap_or_default()).map_err(|error| {
            Status::invalid_argument(format!("the request does not decode: {error}"))
        })?;
        Ok(Request::received(message, self.metadata, self.deadline, self.caller))
    }

    fn into_stream<Q: Message + Default>(self) -> Request<Streaming<Q>> {
        let stream = Streaming::new(self.handle);
        Request::received(stream, self.metadata, self.deadline, self.caller)
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
        let message = Bytes::from(message.encode_to_vec());
        if trailers.is_empty() {
            return handle.send_last(message).map_err(send_status);
        }
        handle.send(message).map_err(send_status)?;
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
