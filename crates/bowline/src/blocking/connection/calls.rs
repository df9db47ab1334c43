//! What a thread does with a call while it holds the lock.

use std::time::Instant;

use bowline_protocol::{CallId, Open, Recv, SendError};
use bytes::Bytes;

use super::State;
use crate::Status;
use crate::messages::Single;
use crate::status::open_status;

/// What a call has brought.
#[derive(Debug)]
pub(crate) enum Received {
    Message(Bytes),
    /// The caller sends no more messages.
    Finished,
    /// The call has ended.
    Ended(Status),
}

impl State {
    pub(super) fn open_with(
        &mut self,
        open: Open,
        message: Bytes,
        now: Instant,
    ) -> Result<CallId, Status> {
        let id = self.core.open(open, now).map_err(open_status)?;
        // A call that takes no message has ended already, and tells so itself: it was too late.
        self.core.transmit_requests(&mut self.out, now);
        if let Some(mut call) = self.core.call(id)
            && let Err(error) = call.send_into(message, true, &mut self.out)
            && error != SendError::Closed
        {
            call.cancel();
            return Err(Status::resource_exhausted(error.to_string()).with_not_started(true));
        }
        Ok(id)
    }

    pub(super) fn recv(&mut self, id: CallId) -> Option<Received> {
        let Some(mut call) = self.core.call(id) else {
            return Some(Received::Ended(Status::cancelled("the call has ended")));
        };
        match call.recv() {
            Recv::Message(message) => Some(Received::Message(message.payload)),
            Recv::Finished => Some(Received::Finished),
            Recv::Ended(status) => Some(Received::Ended(status)),
            _ => None,
        }
    }

    /// Takes what a call that gives one message has brought; its end, once that is there.
    pub(super) fn reply(
        &mut self,
        id: CallId,
        single: &mut Single,
    ) -> Option<Result<Status, Status>> {
        loop {
            match self.recv(id)? {
                Received::Message(payload) => {
                    let Some(mut call) = self.core.call(id) else { continue };
                    let head = call.head().unwrap_or_default();
                    if let Err(status) = single.take(payload, head) {
                        call.cancel();
                        return Some(Err(status));
                    }
                }
                Received::Finished => unreachable!("a caller is told the end of the call"),
                Received::Ended(status) => return Some(Ok(status)),
            }
        }
    }

    pub(super) fn send(&mut self, id: CallId, message: &Bytes) -> Result<(), SendError> {
        match self.core.call(id) {
            Some(mut call) => call.send_into(message.clone(), false, &mut self.out),
            None => Err(SendError::Closed),
        }
    }

    /// The call goes on, and takes messages from this side now or later.
    pub(super) fn may_send(&mut self, id: CallId) -> bool {
        // Where there is no room, either there will be, or never again.
        self.core
            .call(id)
            .is_some_and(|mut call| matches!(call.check_send(0), Ok(()) | Err(SendError::Full)))
    }
}
