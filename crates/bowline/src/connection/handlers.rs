//! The peer's calls: which handler answers each, when it starts, and running it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bowline_protocol::CallId;

use super::{CallHandle, Shared};
use crate::arrivals::{Arrival, Arrivals};
use crate::channel::Channel;
use crate::service::{Handler, Router, ServerCall, Service};

/// What a connection knows of its handlers.
pub(crate) struct Handlers {
    pub(super) arrivals: Arrivals<dyn Service>,
    /// The way back to the caller.
    caller: Channel,
}

impl Handlers {
    pub(crate) fn new(router: Arc<Router>, caller: Channel) -> Self {
        Self { arrivals: Arrivals::new(router), caller }
    }

    /// Starts the handler of a call; true if it got a task.
    pub(super) fn start(&self, shared: &Arc<Shared>, arrival: Arrival, in_place: bool) -> bool {
        let Arrival { route, call, message } = arrival;
        let route = self.arrivals.router.route(route);
        let id = call.call;
        let handle = CallHandle::responder(Arc::clone(shared), id);
        let caller = self.caller.clone();
        let call = ServerCall::new(handle, message, call.metadata, call.deadline, caller);
        // A service that panics before there is a handler drops the call, and so fails it alone.
        let made = catch_unwind(AssertUnwindSafe(|| route.service.call(route.index, call)));
        made.is_ok_and(|handler| run(shared, id, Guarded(handler), in_place))
    }
}

/// Runs a handler: once in place, where the driver says so, as most local handlers answer at once;
/// and in a task of its own if it has to wait. True if it got one.
fn run(shared: &Shared, id: CallId, mut handler: Guarded, in_place: bool) -> bool {
    if in_place {
        let mut cx = Context::from_waker(Waker::noop());
        if Pin::new(&mut handler).poll(&mut cx).is_ready() {
            return false;
        }
    }
    shared.lock().entries.get_or_default(id);
    let task = tokio::spawn(handler);
    // Gone if the handler has ended meanwhile.
    if let Some(entry) = shared.lock().entries.get_mut(id) {
        entry.handler = Some(task.abort_handle());
    }
    true
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
