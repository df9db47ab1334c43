//! An application's view of one call.

use bytes::Bytes;

use super::Connection;
use crate::call::state::{CallerState, HandlerEvent, HandlerState, RequestState};
use crate::call::{Call, CallId, Message, Role, Tail};
use crate::error::SendError;
use crate::event::{Event, Recv};
use crate::frame::DESCRIPTORS_MAX;
use crate::metadata::Metadata;
use crate::status::Status;
use crate::wire::Feature;

/// One call of a [`Connection`], for as long as it is looked at.
#[derive(Debug)]
pub struct CallMut<'a> {
    pub(super) connection: &'a mut Connection,
    id: CallId,
}

impl<'a> CallMut<'a> {
    pub(super) const fn new(connection: &'a mut Connection, id: CallId) -> Self {
        Self { connection, id }
    }

    pub(super) fn inner(&mut self) -> &mut Call {
        self.connection.calls.get_mut(self.id).expect("a view is made of a call that is there")
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> CallId {
        self.id
    }

    /// Takes a message for sending. With `last` it is this side's last one; from a responder that
    /// says that the handler has ended well.
    ///
    /// # Errors
    /// Nothing was taken; see [`SendError`]. [`SendError::Full`] is followed by
    /// [`Event::Writable`].
    pub fn send(&mut self, payload: Bytes, last: bool) -> Result<(), SendError> {
        self.send_with_descriptors(payload, 0, last)
    }

    /// As [`send`](Self::send), for a message with so many descriptors, which the driver holds.
    ///
    /// # Errors
    /// As `send`; and [`SendError::Descriptors`] where they cannot be sent.
    pub fn send_with_descriptors(
        &mut self,
        payload: Bytes,
        descriptors: u8,
        last: bool,
    ) -> Result<(), SendError> {
        self.check_descriptors(descriptors)?;
        self.check_send(payload.len())?;
        let call = self.inner();
        call.outgoing.push(payload, descriptors, last);
        if last && matches!(call.role, Role::Responder(_)) {
            self.handler_ended();
        }
        self.connection.make_ready(self.id);
        Ok(())
    }

    /// What [`send`](Self::send) of a message of so many bytes would fail with.
    ///
    /// # Errors
    /// As `send`.
    pub fn check_send(&mut self, length: usize) -> Result<(), SendError> {
        self.check_room(length, self.connection.config.limits.send_queue_max)
    }

    /// As [`check_send`](Self::check_send), where no more than `limit` may wait.
    pub(super) fn check_room(&mut self, length: usize, limit: u64) -> Result<(), SendError> {
        let length = length as u64;
        // [MSG-007]
        if let Some(limit) = self.connection.peer.message_max.filter(|limit| length > *limit) {
            return Err(SendError::TooLong { length, limit });
        }
        let call = self.inner();
        if !can_send(call) {
            return Err(SendError::Closed);
        }
        if !call.outgoing.has_room(limit) {
            call.outgoing.wants = Some(limit / 2);
            return Err(SendError::Full);
        }
        Ok(())
    }

    // [DSC-002] [HEL-006]
    fn check_descriptors(&self, count: u8) -> Result<(), SendError> {
        let agreed = self.connection.features() & Feature::Descriptors as u32 != 0;
        let why = match count {
            0 => return Ok(()),
            _ if !agreed => "passing them was not agreed",
            _ if count > DESCRIPTORS_MAX => "a message has 16 at most",
            _ => return Ok(()),
        };
        Err(SendError::Descriptors { count, why })
    }

    /// Whether [`send`](Self::send) would take a message now.
    #[must_use]
    pub fn has_room(&mut self) -> bool {
        let limit = self.connection.config.limits.send_queue_max;
        let call = self.inner();
        can_send(call) && call.outgoing.has_room(limit)
    }

    /// For a caller: no more messages come.
    // [MSG-005]
    pub fn finish(&mut self) {
        let call = self.inner();
        if matches!(call.role, Role::Caller(_)) && can_send(call) {
            call.outgoing.finish(Tail::Finish);
            self.connection.make_ready(self.id);
        }
    }

    /// For a responder: sends the initial metadata, and with it the news that the call is accepted.
    ///
    /// # Errors
    /// The metadata is too large, or a message or RESPONSE was sent already.
    // [CAL-006]
    pub fn respond(&mut self, metadata: Metadata) -> Result<(), SendError> {
        metadata.check_size(self.connection.peer.metadata_max, 0)?;
        let call = self.inner();
        if !call.can_respond() {
            return Err(SendError::Closed);
        }
        call.outgoing.head = Some(metadata);
        self.connection.make_ready(self.id);
        Ok(())
    }

    /// For a responder: the handler has ended, so. Where this side had to end the call itself
    /// ([`Event::Stopped`]), its own status goes out instead.
    // [CAL-005] [CAL-007] [CAN-002]
    pub fn end(&mut self, status: Status) {
        let call = self.inner();
        let Some(responder) = call.responder_mut() else { return };
        match responder.life {
            HandlerState::Running => {
                let plain = status.is_ok()
                    && status.message().is_empty()
                    && status.metadata().is_empty()
                    && status.details().is_empty();
                let tail = Tail::Status(status);
                if plain { call.outgoing.finish(tail) } else { call.outgoing.tail = tail }
            }
            HandlerState::Stopping => {}
            HandlerState::Ending | HandlerState::Ended => return,
        }
        self.handler_ended();
        self.connection.make_ready(self.id);
    }

    pub(super) fn handler_ended(&mut self) {
        let id = self.id;
        let call = self.inner();
        let Some(responder) = call.responder_mut() else { return };
        let Some(next) = responder.life.on(HandlerEvent::HandlerEnds) else { return };
        responder.life = next;
        if let Some(cause) = responder.cause.clone() {
            call.outgoing.drop_messages();
            call.outgoing.tail = Tail::Status(cause);
        }
        self.connection.discard_incoming(id);
        self.connection.drop_if_lost(id);
    }

    /// The next thing that the call has for the application.
    pub fn recv(&mut self) -> Recv {
        let id = self.id;
        let call = self.inner();
        if let Some(message) = call.incoming.pop() {
            call.incoming.waiting = false;
            self.connection.review_credit(id);
            return Recv::Message(message);
        }
        match &mut call.role {
            Role::Caller(caller) => {
                if let Some(status) = caller.outcome.take() {
                    caller.released = true;
                    self.connection.forget_if_over(id);
                    return Recv::Ended(status);
                }
            }
            Role::Responder(responder) => {
                if let Some(cause) = &responder.cause {
                    return Recv::Ended(Status::clone(cause));
                }
                if call.incoming.ended || responder.life != HandlerState::Running {
                    return Recv::Finished;
                }
            }
        }
        self.wait();
        Recv::Pending
    }

    /// Hands over further messages that are there, as long as together they cost no more than this
    /// many bytes. It neither waits nor says that there are no more: [`recv`](Self::recv) does.
    pub fn recv_ahead(&mut self, mut bytes: u64, mut take: impl FnMut(Message)) {
        let call = self.inner();
        while let Some(cost) = call.incoming.first_cost().filter(|cost| *cost <= bytes)
            && let Some(message) = call.incoming.pop()
        {
            bytes -= cost;
            take(message);
        }
        self.connection.review_credit(self.id);
    }

    /// Waits as after [`Recv::Pending`], if there is nothing yet; else [`recv`](Self::recv) has it.
    /// True if the application waits.
    pub fn wait_if_empty(&mut self) -> bool {
        let call = self.inner();
        let ended = match &call.role {
            Role::Caller(caller) => caller.outcome.is_some(),
            Role::Responder(responder) => {
                responder.life != HandlerState::Running || call.incoming.ended
            }
        };
        let empty = !ended && call.incoming.is_empty();
        if empty {
            self.wait();
        }
        empty
    }

    fn wait(&mut self) {
        self.inner().incoming.waiting = true;
        self.connection.review_credit(self.id);
    }

    /// For a caller: the initial metadata, once the responder has accepted the call or ended it;
    /// until then the application waits, as with [`recv`](Self::recv).
    pub fn head(&mut self) -> Option<Metadata> {
        let caller = self.inner().caller_mut()?;
        caller.head_waiting = caller.head.is_none();
        caller.head.clone()
    }

    /// The application no longer waits on the call.
    // [CRD-004]
    pub fn stop_waiting(&mut self) {
        let id = self.id;
        let call = self.inner();
        call.incoming.waiting = false;
        if let Some(caller) = call.caller_mut() {
            caller.head_waiting = false;
        }
        if call.incoming.asking {
            call.incoming.asking = false;
            self.connection.receive.large.withdraw(id);
            self.connection.admit_large();
        }
    }

    /// For a caller: gives the call up, and tells the application so as CANCELLED, unless the call has
    /// ended already.
    // [CAN-001]
    pub fn abandon(&mut self, text: &str) {
        let waiting = match &self.inner().role {
            Role::Caller(caller) if caller.outcome.is_none() => caller.life == CallerState::Waiting,
            Role::Caller(_) | Role::Responder(_) => return,
        };
        let status = Status::cancelled(text).with_not_started(waiting);
        self.connection.conclude(self.id, status);
    }

    /// For a caller: gives the call up. It says nothing more to the application.
    // [CAN-001]
    pub fn cancel(mut self) {
        let id = self.id;
        let call = self.inner();
        let Role::Caller(caller) = &mut call.role else { return };
        caller.released = true;
        caller.outcome = None;
        caller.head_waiting = false;
        call.outgoing.wants = None;
        self.connection.give_up(id);
        self.connection.forget_if_over(id);
    }

    /// For a responder: why this side ends the call, where it does.
    #[must_use]
    pub fn stopped(&mut self) -> Option<&Status> {
        match &self.inner().role {
            Role::Responder(responder) => responder.cause.as_ref(),
            Role::Caller(_) => None,
        }
    }
}

impl Call {
    /// RESPONSE can still be sent: neither it nor a message has been.
    fn can_respond(&self) -> bool {
        let running = match &self.role {
            Role::Responder(responder) => responder.life == HandlerState::Running,
            Role::Caller(_) => false,
        };
        running
            && self.response == crate::call::state::ResponseState::Silent
            && self.outgoing.head.is_none()
            && self.outgoing.has_room(1)
    }
}

/// Messages of this side are still taken.
pub(super) fn can_send(call: &Call) -> bool {
    let alive = match &call.role {
        Role::Caller(caller) => {
            caller.outcome.is_none()
                && matches!(caller.life, CallerState::Waiting | CallerState::Live)
        }
        Role::Responder(responder) => responder.life == HandlerState::Running,
    };
    alive && call.outgoing.tail == Tail::Open && call.request != RequestState::Cancelled
}

impl Connection {
    /// Puts a call into the queue of those that have something to send.
    pub(super) fn make_ready(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(id) else { return };
        if call.outgoing.ready || !call.is_live() {
            return;
        }
        let Some(next) = call.outgoing.next(&self.peer) else { return };
        call.outgoing.ready = true;
        self.transmit.turns.push(id, next);
    }

    /// Tells an application that waits on a call that there is something.
    pub(super) fn wake(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let head_waiting = match &mut call.role {
            Role::Caller(caller) => std::mem::take(&mut caller.head_waiting),
            Role::Responder(_) => false,
        };
        if std::mem::take(&mut call.incoming.waiting) || head_waiting {
            self.events.push_back(Event::Readable(id));
        }
    }
}
