//! Streams of messages: [`Streaming`] to receive, [`Sender`] to send, [`Reply`] for a single answer.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bowline_protocol::{CallId, Metadata, SendError};
use prost::Message;

use super::connection::{Received, Shared};
use crate::request::Response;
use crate::status::send_status;
use crate::{Status, messages};

/// One end of a call. A caller's, dropped before the call has ended, cancels it.
pub(super) struct Call {
    shared: Arc<Shared>,
    id: CallId,
    caller: bool,
    /// It has no other half.
    only: bool,
    /// For a caller: the call has ended, and nothing is to be said about it any more.
    over: AtomicBool,
    /// For a responder: metadata for the end.
    trailers: Mutex<Metadata>,
}

impl Call {
    fn new(shared: Arc<Shared>, id: CallId, caller: bool, only: bool) -> Self {
        let (over, trailers) = (AtomicBool::new(false), Mutex::default());
        Self { shared, id, caller, only, over, trailers }
    }

    /// The end of the side that opened the call, and sends no more.
    pub(super) fn reading(shared: Arc<Shared>, id: CallId) -> Self {
        Self::new(shared, id, true, true)
    }

    /// The end of the side that opened the call, of which there are two halves.
    pub(super) fn caller(shared: Arc<Shared>, id: CallId) -> Self {
        Self::new(shared, id, true, false)
    }

    /// The end of the side that answers.
    pub(super) fn responder(shared: Arc<Shared>, id: CallId) -> Self {
        Self::new(shared, id, false, false)
    }

    pub(super) fn take_trailers(&self) -> Metadata {
        std::mem::take(&mut self.trailers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_trailers(&self, trailers: Metadata) {
        *self.trailers.lock().unwrap_or_else(PoisonError::into_inner) = trailers;
    }

    fn recv(&self) -> Received {
        let received = self.shared.recv(self.id, self.only);
        if matches!(received, Received::Ended(_)) {
            self.over.store(true, Ordering::Relaxed);
        }
        received
    }

    /// For a caller: gives the call up.
    fn cancel(&self) {
        if self.caller && !self.over.swap(true, Ordering::Relaxed) {
            self.shared.with_call(self.id, |call| call.cancel());
        }
    }

    /// For a caller: gives the call up because it sends no more; who waits for the end is told so,
    /// unless the call has ended already.
    fn abandon(&self) {
        self.shared.with_call(self.id, |mut call| {
            call.abandon("the sender was dropped before it had finished");
        });
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("connection", &self.shared).field("id", &self.id).finish()
    }
}

/// Messages that arrive on a call, in their order: an iterator of them.
///
/// At a client, dropping it before the end cancels the call. Flow control follows what is taken: a
/// stream that nobody reads holds up its own call and no other.
pub struct Streaming<T> {
    call: Arc<Call>,
    /// How the call ended, once it has.
    end: Option<Result<Metadata, Status>>,
    message: PhantomData<fn() -> T>,
}

impl<T: Message + Default> Streaming<T> {
    pub(super) const fn new(call: Arc<Call>) -> Self {
        Self { call, end: None, message: PhantomData }
    }

    /// Waits for the next message; `None` once there are no more.
    ///
    /// # Errors
    /// How the call ended, if not well; the same again on every further call. INTERNAL at a client
    /// and INVALID_ARGUMENT at a server if a message does not decode.
    pub fn message(&mut self) -> Result<Option<T>, Status> {
        match &self.end {
            Some(Ok(_)) => return Ok(None),
            Some(Err(status)) => return Err(status.clone()),
            None => {}
        }
        let end = match self.call.recv() {
            Received::Message(payload) => match messages::decode_next(payload, self.call.caller) {
                Ok(message) => return Ok(Some(message)),
                Err(status) => {
                    self.call.cancel();
                    Err(status)
                }
            },
            Received::Finished => Ok(Metadata::new()),
            Received::Ended(status) if status.is_ok() => Ok(status.metadata().clone()),
            Received::Ended(status) => Err(status),
        };
        let result = end.as_ref().map(|_| None).map_err(Status::clone);
        self.end = Some(end);
        result
    }

    /// The initial metadata: waits until the server has accepted the call or ended it.
    pub fn metadata(&mut self) -> Metadata {
        self.call.shared.head(self.call.id)
    }

    /// The trailing metadata, once the call has ended well.
    #[must_use]
    pub const fn trailers(&self) -> Option<&Metadata> {
        match &self.end {
            Some(Ok(trailers)) => Some(trailers),
            _ => None,
        }
    }
}

/// Ends behind the last message, or behind the error with which the call ended.
impl<T: Message + Default> Iterator for Streaming<T> {
    type Item = Result<T, Status>;

    fn next(&mut self) -> Option<Self::Item> {
        if matches!(self.end, Some(Err(_))) {
            return None;
        }
        self.message().transpose()
    }
}

impl<T> Drop for Streaming<T> {
    fn drop(&mut self) {
        self.call.cancel();
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
    call: Arc<Call>,
    finished: bool,
    message: PhantomData<fn(T)>,
}

impl<T: Message> Sender<T> {
    pub(super) const fn new(call: Arc<Call>) -> Self {
        Self { call, finished: false, message: PhantomData }
    }

    /// Sends a message, at once; waits while as many as may wait already do (`send_queue_max`), that is
    /// while the peer does not take them.
    ///
    /// # Errors
    /// The call has ended (how, the receiving half tells), or the message is over the peer's
    /// `message_max`; then nothing was sent and the call goes on.
    pub fn send(&mut self, message: T) -> Result<(), Status> {
        let message = messages::encode(&message);
        self.call.shared.send(self.call.id, &message).map_err(send_status)
    }

    /// As [`send`](Self::send), but leaves the message to be sent together with the next ones, which
    /// is much faster for many small ones. It goes out with the next message that is sent, with
    /// [`flush`](Self::flush), when the stream ends or its receiving half waits, and when so much has
    /// come together that none has room.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn feed(&mut self, message: T) -> Result<(), Status> {
        let message = messages::encode(&message);
        match self.call.shared.feed(self.call.id, &message) {
            Err(SendError::Full) => self.call.shared.send(self.call.id, &message),
            result => result,
        }
        .map_err(send_status)
    }

    /// Sends what [`feed`](Self::feed) has left.
    pub fn flush(&mut self) {
        self.call.shared.flush(self.call.id);
    }

    /// At a server: accepts the call with this initial metadata, before any message.
    ///
    /// # Errors
    /// A message was sent already, the call has ended, or the metadata is over the peer's limit.
    pub fn accept(&mut self, metadata: Metadata) -> Result<(), Status> {
        self.call.shared.respond(self.call.id, metadata).map_err(send_status)
    }

    /// At a server: sets the trailing metadata that goes out when the handler ends well.
    pub fn set_trailers(&mut self, trailers: Metadata) {
        self.call.set_trailers(trailers);
    }

    /// At a client: no more messages come.
    pub fn finish(mut self) {
        self.finished = true;
        self.call.shared.with_call(self.call.id, |mut call| call.finish());
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.call.caller && !self.finished {
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
    call: Arc<Call>,
    kind: PhantomData<fn() -> T>,
}

impl<T: Message + Default> Reply<T> {
    pub(super) const fn new(call: Arc<Call>) -> Self {
        Self { call, kind: PhantomData }
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// How the call ended, if not well.
    pub fn wait(self) -> Result<Response<T>, Status> {
        let ended = self.call.shared.reply(self.call.id);
        self.call.over.store(true, Ordering::Relaxed);
        let (mut single, status) = ended?;
        single.conclude(status)
    }
}

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
