//! A call at runtime: waiting for its messages, sending, and giving it up when it is dropped.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};

use bowline_protocol::{CallId, Metadata, Recv, SendError, Status};
use bytes::Bytes;

use super::{Entry, Payload, Shared, State};
use crate::messages::Single;
use crate::request::Response;

/// What messages that are taken ahead may cost together, in bytes of credit.
const AHEAD_MAX: u64 = 8 * 1024;

/// What a call has brought.
#[derive(Debug)]
pub(crate) enum Received {
    Message(Bytes),
    /// The caller sends no more messages.
    Finished,
    /// The call has ended.
    Ended(Status),
}

/// One end of a call. A caller's, dropped before the call has ended, cancels it.
#[derive(Debug)]
pub(crate) struct CallHandle {
    shared: Arc<Shared>,
    id: CallId,
    caller: bool,
    /// The call has ended, and nothing is to be said about it any more.
    over: AtomicBool,
}

impl CallHandle {
    /// The end of the side that opened the call.
    pub(super) const fn caller(shared: Arc<Shared>, id: CallId) -> Self {
        Self { shared, id, caller: true, over: AtomicBool::new(false) }
    }

    /// The end of the side that answers.
    pub(super) const fn responder(shared: Arc<Shared>, id: CallId) -> Self {
        Self { shared, id, caller: false, over: AtomicBool::new(false) }
    }

    /// A message as it is sent.
    pub(crate) fn payload<'a, M: prost::Message>(&self, message: &'a M) -> Payload<'a, M> {
        self.shared.payload(message)
    }

    pub(crate) const fn is_caller(&self) -> bool {
        self.caller
    }

    /// Waits for what the call brings next. If that is a message, short ones behind it are put into
    /// `ahead`, so that each need not take the connection's lock.
    pub(crate) fn poll_recv(
        &self,
        ahead: &mut VecDeque<Bytes>,
        cx: &Context<'_>,
    ) -> Poll<Received> {
        // Not dropped under the lock: with a waker may go a task that owns another call.
        let replaced;
        let mut state = self.shared.lock();
        let Some(mut call) = state.core.call(self.id) else {
            let status = Status::cancelled("the call has ended");
            return Poll::Ready(Received::Ended(status));
        };
        let result = match call.recv() {
            Recv::Message(message) => {
                call.recv_ahead(AHEAD_MAX, |message| ahead.push_back(message.payload));
                replaced = None;
                Poll::Ready(Received::Message(message.payload))
            }
            Recv::Finished => return Poll::Ready(Received::Finished),
            Recv::Ended(status) => {
                let mut entry = None;
                if self.caller {
                    self.over.store(true, Ordering::Relaxed);
                    entry = state.entries.remove(self.id);
                }
                drop(state);
                wake(entry);
                return Poll::Ready(Received::Ended(status));
            }
            _ => {
                replaced = state.wait(self.id, cx);
                Poll::Pending
            }
        };
        let driver = state.take_driver_if_owed();
        drop(state);
        drop(replaced);
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }

    /// For a caller: waits until a call that gives one message has ended, and gives the outcome.
    pub(crate) fn poll_reply<R: prost::Message + Default>(
        &self,
        single: &mut Single,
        cx: &Context<'_>,
    ) -> Poll<Result<Response<R>, Status>> {
        match ready!(self.poll_end(single, cx)) {
            Ok(status) => Poll::Ready(single.conclude(status)),
            Err(status) => {
                self.cancel();
                Poll::Ready(Err(status))
            }
        }
    }

    /// Waits until the call has ended, and takes its only message on the way. An error if there is a
    /// second one; then the call is to be given up.
    fn poll_end(&self, single: &mut Single, cx: &Context<'_>) -> Poll<Result<Status, Status>> {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let Some(mut call) = state.core.call(self.id) else {
            return Poll::Ready(Ok(Status::cancelled("the call has ended")));
        };
        loop {
            match call.recv() {
                Recv::Message(message) => {
                    let head = call.head().unwrap_or_default();
                    single.take(message.payload, head)?;
                }
                Recv::Ended(status) => {
                    self.over.store(true, Ordering::Relaxed);
                    let entry = state.entries.remove(self.id);
                    drop(guard);
                    wake(entry);
                    return Poll::Ready(Ok(status));
                }
                _ => break,
            }
        }
        let replaced = state.wait(self.id, cx);
        let driver = state.take_driver_if_owed();
        drop(guard);
        drop(replaced);
        if let Some(driver) = driver {
            driver.wake();
        }
        Poll::Pending
    }

    /// For a caller: waits for the initial metadata.
    pub(crate) fn poll_head(&self, cx: &Context<'_>) -> Poll<Metadata> {
        let mut state = self.shared.lock();
        let Some(mut call) = state.core.call(self.id) else {
            return Poll::Ready(Metadata::new());
        };
        match call.head() {
            Some(head) => Poll::Ready(head),
            None => {
                let replaced = state.wait(self.id, cx);
                drop(state);
                drop(replaced);
                Poll::Pending
            }
        }
    }

    pub(crate) fn stop_waiting(&self) {
        let mut state = self.shared.lock();
        if let Some(mut call) = state.core.call(self.id) {
            call.stop_waiting();
        }
        let waker = state.entries.get_mut(self.id).and_then(|entry| entry.recv.take());
        // The next large message may have got its turn, and is owed credit.
        let driver = state.take_driver_if_owed();
        drop(state);
        // Not under the lock: with a waker may go a task that owns this very call.
        drop(waker);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Hands a message over, or waits until there is room for it; then the payload stays.
    pub(crate) fn poll_send<M: prost::Message>(
        &self,
        payload: &mut Payload<'_, M>,
        cx: &Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        let mut replaced = None;
        let result = self.shared.with_deferred(|state| match state.send(self.id, payload, false) {
            Err(SendError::Full) => {
                let entry = state.entries.get_or_default(self.id);
                replaced = entry.send.replace(cx.waker().clone());
                Poll::Pending
            }
            result => Poll::Ready(result),
        });
        drop(replaced);
        result
    }

    /// For a responder: sends a message that is not the last, without waiting for room.
    pub(crate) fn send(&self, message: &impl prost::Message) -> Result<(), SendError> {
        let mut payload = self.payload(message);
        self.shared.with(|state| state.send(self.id, &mut payload, false))
    }

    /// For a responder: sends the last message, with END, which ends the handler well.
    pub(crate) fn send_last(&self, message: &impl prost::Message) -> Result<(), SendError> {
        let mut payload = self.payload(message);
        let entry = self.shared.with(|state| {
            let sent = state.send(self.id, &mut payload, true);
            sent.map(|()| {
                self.over.store(true, Ordering::Relaxed);
                state.entries.remove(self.id)
            })
        })?;
        wake(entry);
        Ok(())
    }

    /// For a responder: sends the initial metadata.
    pub(crate) fn respond(&self, metadata: Metadata) -> Result<(), SendError> {
        self.shared.with(|state| match state.core.call(self.id) {
            Some(mut call) => call.respond(metadata),
            None => Err(SendError::Closed),
        })
    }

    /// For a responder: keeps metadata for the end.
    pub(crate) fn set_trailers(&self, trailers: Metadata) {
        let mut state = self.shared.lock();
        // A sender may outlive the handler: then nobody would ever take them.
        if !self.over.load(Ordering::Relaxed) {
            state.entries.get_or_default(self.id).trailers = trailers;
        }
    }

    pub(crate) fn take_trailers(&self) -> Metadata {
        let mut state = self.shared.lock();
        state
            .entries
            .get_mut(self.id)
            .map(|entry| std::mem::take(&mut entry.trailers))
            .unwrap_or_default()
    }

    /// For a caller: no more messages come.
    pub(crate) fn finish(&self) {
        self.shared.with(|state| {
            if let Some(mut call) = state.core.call(self.id) {
                call.finish();
            }
        });
    }

    /// For a responder: the handler has ended, so.
    pub(crate) fn end(&self, status: Status) {
        if self.over.swap(true, Ordering::Relaxed) {
            return;
        }
        let entry = self.shared.with(|state| {
            if let Some(mut call) = state.core.call(self.id) {
                call.end(status);
            }
            state.entries.remove(self.id)
        });
        wake(entry);
    }

    /// For a responder: the handler is gone, however that came about: its promise that every call ends.
    fn end_unfinished(&self) {
        if self.over.load(Ordering::Relaxed) {
            return;
        }
        self.end(if std::thread::panicking() {
            Status::internal("the handler panicked")
        } else {
            Status::cancelled("the handler was dropped before it had ended")
        });
    }

    /// For a caller: gives the call up because it sends no more; who waits for the end is told so,
    /// unless the call has ended already.
    pub(crate) fn abandon(&self) {
        self.shared.with(|state| {
            if let Some(mut call) = state.core.call(self.id) {
                call.abandon("the sender was dropped before it had finished");
            }
        });
    }

    /// For a caller: gives the call up.
    pub(crate) fn cancel(&self) {
        if self.over.swap(true, Ordering::Relaxed) {
            return;
        }
        let entry = self.shared.with(|state| {
            if let Some(call) = state.core.call(self.id) {
                call.cancel();
            }
            state.entries.remove(self.id)
        });
        wake(entry);
    }
}

impl State {
    /// Waits for what a new call brings, unless something is there already; true if it waits.
    pub(super) fn wait_if_empty(&mut self, id: CallId, cx: &Context<'_>) -> bool {
        let waits = self.core.call(id).is_some_and(|mut call| call.wait_if_empty());
        if waits {
            self.entries.get_or_default(id).recv = Some(cx.waker().clone());
        }
        waits
    }

    /// Waits for what a call brings; the waker that this replaces must not be dropped under the lock.
    fn wait(&mut self, id: CallId, cx: &Context<'_>) -> Option<Waker> {
        let waker = &mut self.entries.get_or_default(id).recv;
        match waker {
            Some(waker) if waker.will_wake(cx.waker()) => None,
            _ => waker.replace(cx.waker().clone()),
        }
    }

    /// The driver, if it is to run: taking a message, or waiting for one, may owe the peer credit.
    fn take_driver_if_owed(&mut self) -> Option<Waker> {
        if !self.deferred && self.core.wants_transmit() { self.driver.take() } else { None }
    }
}

impl Drop for CallHandle {
    fn drop(&mut self) {
        if self.caller {
            self.cancel();
        } else {
            self.end_unfinished();
        }
    }
}

/// Ends a call when its handler does, whoever else holds the handle.
#[derive(Debug)]
pub(crate) struct HandlerGuard(pub(crate) Arc<CallHandle>);

impl Drop for HandlerGuard {
    fn drop(&mut self) {
        self.0.end_unfinished();
    }
}

/// Tells who still waits on a call, in its other half or another task, that it is over. Never under
/// the lock: with a waker may go a task that owns this very call.
fn wake(entry: Option<Entry>) {
    if let Some(Entry { recv, send, .. }) = entry {
        recv.into_iter().chain(send).for_each(Waker::wake);
    }
}
