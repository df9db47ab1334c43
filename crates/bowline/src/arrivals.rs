//! The peer's calls from their arrival until their handlers start: which service answers each, and
//! whether the only message of a method that takes one is there.

use std::sync::Arc;

use bowline_protocol::{CallId, CallMap, Connection, IncomingCall, Recv};
use bytes::Bytes;

use crate::Status;
use crate::method::MethodKind;
use crate::router::{RouteId, Router};

/// What a connection knows of calls that are about to start.
pub(crate) struct Arrivals<S: ?Sized> {
    pub(crate) router: Arc<Router<S>>,
    /// Routes of the methods that the peer has numbered.
    numbered: Vec<Option<RouteId>>,
    /// Calls that wait for their only message.
    incomplete: CallMap<Arrival>,
}

/// A call whose handler can start.
pub(crate) struct Arrival {
    pub(crate) route: RouteId,
    pub(crate) call: IncomingCall,
    /// The only message, for methods that take one.
    pub(crate) message: Option<Bytes>,
}

impl<S: ?Sized> Arrivals<S> {
    pub(crate) fn new(router: Arc<Router<S>>) -> Self {
        Self { router, numbered: Vec::new(), incomplete: CallMap::new() }
    }

    /// A call has arrived; it can start at once unless its method takes one message, which is not
    /// there yet.
    pub(crate) fn on_request(
        &mut self,
        core: &mut Connection,
        call: IncomingCall,
    ) -> Option<Arrival> {
        let Some(route) = self.find(&call) else {
            let text = format!("there is no method {}", call.method);
            end(core, call.call, Status::unimplemented(text).with_not_started(true));
            return None;
        };
        let kind = self.router.route(route).kind;
        let arrival = Arrival { route, call, message: None };
        match kind {
            MethodKind::Unary | MethodKind::ServerStreaming => self.try_start(core, arrival),
            MethodKind::ClientStreaming | MethodKind::BidiStreaming => {
                Some(arrival).filter(|arrival| !end_if_stopped(core, arrival.call.call))
            }
        }
    }

    /// A call has something to read.
    pub(crate) fn on_readable(&mut self, core: &mut Connection, id: CallId) -> Option<Arrival> {
        let arrival = self.incomplete.remove(id)?;
        self.try_start(core, arrival)
    }

    /// A call must end.
    pub(crate) fn on_stopped(&mut self, core: &mut Connection, id: CallId) {
        if self.incomplete.remove(id).is_some() {
            // The handler has not started and never will: the core's own status goes out.
            end(core, id, Status::cancelled("the call was stopped before it started"));
        }
    }

    fn find(&mut self, call: &IncomingCall) -> Option<RouteId> {
        let number = usize::from(call.method_number);
        if number > 0
            && let Some(Some(route)) = self.numbered.get(number)
        {
            return Some(*route);
        }
        let route = self.router.find(&call.method)?;
        if number > 0 {
            if self.numbered.is_empty() {
                // Many connections never name more than one method.
                self.numbered.reserve_exact(number + 1);
            }
            if self.numbered.len() <= number {
                self.numbered.resize(number + 1, None);
            }
            self.numbered[number] = Some(route);
        }
        Some(route)
    }

    /// Starts a call whose method takes exactly one message, once that is there and the last.
    // [CAL-004]
    fn try_start(&mut self, core: &mut Connection, mut arrival: Arrival) -> Option<Arrival> {
        let id = arrival.call.call;
        loop {
            let mut call = core.call(id)?;
            let got = match call.recv() {
                Recv::Message(message) if arrival.message.is_none() => {
                    arrival.message = Some(message.payload);
                    continue;
                }
                Recv::Message(_) => "more",
                Recv::Finished if arrival.message.is_none() => "none",
                Recv::Finished => return Some(arrival),
                Recv::Ended(status) => {
                    call.end(status);
                    return None;
                }
                _ => {
                    self.incomplete.insert(id, arrival);
                    return None;
                }
            };
            let method = &arrival.call.method;
            let text = format!("{method} takes exactly one message, the caller sent {got}");
            call.end(Status::invalid_argument(text).with_not_started(true));
            return None;
        }
    }
}

/// Ends a call that was stopped before it started; true if it was.
fn end_if_stopped(core: &mut Connection, id: CallId) -> bool {
    let Some(mut call) = core.call(id) else { return true };
    let stopped = call.stopped().is_some();
    if stopped {
        call.end(Status::cancelled("the call was stopped before it started"));
    }
    stopped
}

fn end(core: &mut Connection, id: CallId, status: Status) {
    if let Some(mut call) = core.call(id) {
        call.end(status);
    }
}
