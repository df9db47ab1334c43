//! The peer's calls: which handler answers each, when it starts, and running it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bowline_protocol::{CallId, CallMap, IncomingCall, Recv};
use bytes::Bytes;

use super::{CallHandle, Shared, State};
use crate::Status;
use crate::channel::Channel;
use crate::service::{Handler, MethodKind, Route, Router, ServerCall};

/// What a connection knows of its handlers.
pub(crate) struct Handlers {
    router: Arc<Router>,
    /// Routes of the methods that the peer has numbered.
    numbered: Vec<Option<Route>>,
    /// Calls that wait for their only message.
    starting: CallMap<Starting>,
    /// The way back to the caller.
    caller: Channel,
}

struct Starting {
    route: Route,
    call: IncomingCall,
    message: Option<Bytes>,
}

/// A handler that is to be started.
pub(crate) struct Start {
    starting: Starting,
    caller: Channel,
}

impl Handlers {
    pub(crate) fn new(router: Arc<Router>, caller: Channel) -> Self {
        Self { router, numbered: Vec::new(), starting: CallMap::new(), caller }
    }

    /// A call has arrived; it starts at once unless its method takes one message, which is not
    /// there yet.
    pub(super) fn on_request(&mut self, state: &mut State, call: IncomingCall) -> Option<Start> {
        let Some(route) = self.route(&call) else {
            let text = format!("there is no method {}", call.method);
            let status = Status::unimplemented(text).with_not_started(true);
            end(state, call.call, status);
            return None;
        };
        let single = matches!(route.kind, MethodKind::Unary | MethodKind::ServerStreaming);
        let starting = Starting { route, call, message: None };
        if single {
            self.try_start(state, starting)
        } else {
            Some(Start { starting, caller: self.caller.clone() })
        }
    }

    pub(super) fn on_readable(&mut self, state: &mut State, id: CallId) -> Option<Start> {
        let starting = self.starting.remove(id)?;
        self.try_start(state, starting)
    }

    pub(super) fn on_stopped(&mut self, state: &mut State, id: CallId) {
        if self.starting.remove(id).is_some() {
            // The handler has not started and never will: the core's own status goes out.
            end(state, id, Status::cancelled("the call was stopped before it started"));
        }
    }

    fn route(&mut self, call: &IncomingCall) -> Option<Route> {
        let number = usize::from(call.method_number);
        if number > 0
            && let Some(Some(route)) = self.numbered.get(number)
        {
            return Some(route.clone());
        }
        let route = self.router.route(&call.method)?;
        if number > 0 {
            if self.numbered.len() <= number {
                self.numbered.resize(number + 1, None);
            }
            self.numbered[number] = Some(route.clone());
        }
        Some(route)
    }

    /// Starts a call whose method takes exactly one message, once that is there and the last.
    // [CAL-004]
    fn try_start(&mut self, state: &mut State, mut starting: Starting) -> Option<Start> {
        let id = starting.call.call;
        loop {
            let mut call = state.core.call(id)?;
            let (got, wrong) = match call.recv() {
                Recv::Message(message) if starting.message.is_none() => {
                    starting.message = Some(message.payload);
                    continue;
                }
                Recv::Message(_) => ("more", true),
                Recv::Finished => ("none", starting.message.is_none()),
                Recv::Ended(status) => {
                    call.end(status);
                    return None;
                }
                _ => {
                    self.starting.insert(id, starting);
                    return None;
                }
            };
            if wrong {
                let method = &starting.call.method;
                let text = format!("{method} takes exactly one message, the caller sent {got}");
                end(state, id, Status::invalid_argument(text).with_not_started(true));
                return None;
            }
            return Some(Start { starting, caller: self.caller.clone() });
        }
    }
}

fn end(state: &mut State, id: CallId, status: Status) {
    if let Some(mut call) = state.core.call(id) {
        call.end(status);
    }
}

impl Start {
    /// Makes the handler, unless its call was stopped meanwhile.
    pub(super) fn handler(self, shared: &Arc<Shared>) -> Option<Started> {
        let Starting { route, call, message } = self.starting;
        let id = call.call;
        {
            let mut state = shared.lock();
            let mut view = state.core.call(id)?;
            if view.stopped().is_some() {
                view.end(Status::cancelled("the call was stopped before it started"));
                return None;
            }
        }
        let handle = Arc::new(CallHandle::responder(Arc::clone(shared), id));
        let ending = Arc::clone(&handle);
        let call = ServerCall::new(handle, message, call.metadata, call.deadline, self.caller);
        let made = catch_unwind(AssertUnwindSafe(|| route.service.call(route.index, call)));
        let Ok(handler) = made else {
            // A service that panics before there is a handler fails its call alone, too.
            ending.end(Status::internal("the handler panicked"));
            return None;
        };
        Some(Started { id, handler: Guarded(handler) })
    }
}

/// A handler that has been made.
pub(super) struct Started {
    id: CallId,
    handler: Guarded,
}

impl Started {
    /// Runs the handler: once in place, where the caller says so, as most local handlers answer at
    /// once; and in a task of its own if it has to wait.
    pub(super) fn run(mut self, shared: &Arc<Shared>, in_place: bool) {
        if in_place {
            let mut cx = Context::from_waker(Waker::noop());
            if Pin::new(&mut self.handler).poll(&mut cx).is_ready() {
                return;
            }
        }
        shared.lock().entries.get_or_default(self.id);
        let task = tokio::spawn(self.handler);
        // Gone if the handler has ended meanwhile.
        if let Some(entry) = shared.lock().entries.get_mut(self.id) {
            entry.handler = Some(task.abort_handle());
        }
    }
}

/// A handler whose panic ends its call and nothing else.
struct Guarded(Handler);

impl Future for Guarded {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let handler = &mut self.0;
        match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(_) => {
                tracing::error!("a handler panicked; its call has ended with INTERNAL");
                Poll::Ready(())
            }
        }
    }
}
