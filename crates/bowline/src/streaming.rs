//! Streams of messages: [`Streaming`] to receive, [`Sender`] to send, [`Reply`] for a single answer.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bowline_protocol::Metadata;
use bytes::Bytes;
use futures_core::Stream;
use prost::Message;

use crate::connection::{CallHandle, Received};
use crate::messages::Single;
use crate::request::Response;
use crate::status::send_status;
use crate::{Status, messages};

/// Messages that arrive on a call, in their order.
///
/// At a client, dropping it before the end cancels the call. Flow control follows what is taken, a
/// few KiB ahead: a stream that nobody reads holds up its own call and no other.
pub struct Streaming<T> {
    call: Arc<CallHandle>,
    /// Messages that have been taken from the connection already.
    ahead: VecDeque<Bytes>,
    /// How the call ended, once it has.
    end: Option<Result<Metadata, Status>>,
    message: PhantomData<fn() -> T>,
}

impl<T: Message + Default> Streaming<T> {
    pub(crate) const fn new(call: Arc<CallHandle>) -> Self {
        Self { call, ahead: VecDeque::new(), end: None, message: PhantomData }
    }

    /// The next message; `None` once there are no more.
    ///
    /// Cancellation-safe: no message is lost when the future is dropped.
    ///
    /// # Errors
    /// How the call ended, if not well; the same again on every further call. INTERNAL at a client
    /// and INVALID_ARGUMENT at a server if a message does not decode.
    pub async fn message(&mut self) -> Result<Option<T>, Status> {
        Next { stream: self, waiting: false }.await
    }

    /// The initial metadata: waits until the server has accepted the call or ended it.
    ///
    /// Cancellation-safe.
    pub async fn metadata(&mut self) -> Metadata {
        poll_fn(|cx| self.call.poll_head(cx)).await
    }

    /// The trailing metadata, once the call has ended well.
    #[must_use]
    pub const fn trailers(&self) -> Option<&Metadata> {
        match &self.end {
            Some(Ok(trailers)) => Some(trailers),
            _ => None,
        }
    }

    fn poll_message(&mut self, cx: &Context<'_>) -> Poll<Result<Option<T>, Status>> {
        match &self.end {
            Some(Ok(_)) => return Poll::Ready(Ok(None)),
            Some(Err(status)) => return Poll::Ready(Err(status.clone())),
            None => {}
        }
        let next = match self.ahead.pop_front() {
            Some(payload) => Received::Message(payload),
            None => ready!(self.call.poll_recv(&mut self.ahead, cx)),
        };
        let end = match next {
            Received::Message(payload) => {
                match messages::decode_next(payload, self.call.is_caller()) {
                    Ok(message) => return Poll::Ready(Ok(Some(message))),
                    Err(status) => {
                        if self.call.is_caller() {
                            self.call.cancel();
                        }
                        Err(status)
                    }
                }
            }
            Received::Finished => Ok(Metadata::new()),
            Received::Ended(status) if status.is_ok() => Ok(status.metadata().clone()),
            Received::Ended(status) => Err(status),
        };
        let result = end.as_ref().map(|_| None).map_err(Status::clone);
        self.end = Some(end);
        Poll::Ready(result)
    }
}

/// Waits for the next message, and gives the wait up when it is dropped before it has come.
struct Next<'a, T> {
    stream: &'a mut Streaming<T>,
    waiting: bool,
}

impl<T: Message + Default> Future for Next<'_, T> {
    type Output = Result<Option<T>, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = self.stream.poll_message(cx);
        self.waiting = result.is_pending();
        result
    }
}

impl<T> Drop for Next<'_, T> {
    // [CRD-004]
    fn drop(&mut self) {
        if self.waiting {
            self.stream.call.stop_waiting();
        }
    }
}

impl<T: Message + Default> Stream for Streaming<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let ended_badly = matches!(self.end, Some(Err(_)));
        if ended_badly {
            return Poll::Ready(None);
        }
        self.poll_message(cx).map(Result::transpose)
    }
}

impl<T> Drop for Streaming<T> {
    fn drop(&mut self) {
        if self.call.is_caller() {
            self.call.cancel();
        }
    }
}

impl<T> fmt::Debug for Streaming<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").field("call", &self.call).finish_non_exhaustive()
    }
}

/// Sends messages on a call.
///
/// At a client, [`finish`](Self::finish) says that no more come; dropping it without cancels the
/// call, so that a stream that was cut short never looks complete. At a server the handler's return
/// ends the call, and dropping the sender means nothing.
pub struct Sender<T> {
    call: Arc<CallHandle>,
    finished: bool,
    message: PhantomData<fn(T)>,
}

impl<T: Message> Sender<T> {
    pub(crate) const fn new(call: Arc<CallHandle>) -> Self {
        Self { call, finished: false, message: PhantomData }
    }

    /// Sends a message; waits while as many as may wait already do (`send_queue_max`, or 16 KiB for a
    /// message below 4 KiB), that is while
    /// the peer does not take them.
    ///
    /// Cancellation-safe: the message was sent if, and only if, the future has completed.
    ///
    /// # Errors
    /// The call has ended (how, the receiving half tells), or the message is over the peer's
    /// `message_max`; then nothing was sent and the call goes on.
    pub async fn send(&mut self, message: T) -> Result<(), Status> {
        let mut payload = self.call.payload(&message);
        poll_fn(|cx| self.call.poll_send(&mut payload, cx)).await.map_err(send_status)
    }

    /// At a server: accepts the call with this initial metadata, before any message.
    ///
    /// # Errors
    /// A message was sent already, the call has ended, or the metadata is over the peer's limit.
    pub fn accept(&mut self, metadata: Metadata) -> Result<(), Status> {
        self.call.respond(metadata).map_err(send_status)
    }

    /// At a server: sets the trailing metadata that goes out when the handler ends well.
    pub fn set_trailers(&mut self, trailers: Metadata) {
        self.call.set_trailers(trailers);
    }

    /// At a client: no more messages come.
    pub fn finish(mut self) {
        self.finished = true;
        self.call.finish();
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.call.is_caller() && !self.finished {
            self.call.abandon();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("call", &self.call).finish_non_exhaustive()
    }
}

/// The answer to a call that gives one message. Dropping it before it has come cancels the call.
#[must_use = "a call whose reply is dropped is cancelled"]
pub struct Reply<T> {
    call: Arc<CallHandle>,
    single: Single,
    kind: PhantomData<fn() -> T>,
}

impl<T: Message + Default> Reply<T> {
    pub(crate) const fn new(call: Arc<CallHandle>) -> Self {
        Self { call, single: Single::new(), kind: PhantomData }
    }
}

impl<T: Message + Default> Future for Reply<T> {
    type Output = Result<Response<T>, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.call.poll_reply(&mut this.single, cx)
    }
}

impl<T> Unpin for Reply<T> {}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        self.call.cancel();
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("call", &self.call).finish_non_exhaustive()
    }
}
