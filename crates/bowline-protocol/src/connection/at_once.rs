//! Sending at once: what nothing stands before goes straight into the output, without a copy of its
//! own and without waiting for its turn.

use std::time::Instant;

use bytes::Bytes;
use prost::Message;

use super::{CallMut, Connection};
use crate::error::SendError;
use crate::frame::{FLAG_END, FrameHeader, FrameType};
use crate::outbound::{Outbound, REFERENCE_MIN};

/// Bytes that wait on a call beyond which no message that could be sent at once joins them: with its
/// sender it costs nothing, and it goes without a place in the queue when there is credit.
const SHORT_QUEUE_MAX: u64 = 16 * 1024;

impl Connection {
    /// Moves the REQUESTs of calls that wait into the output, as far as it and the peer have room
    /// for them. [`poll_transmit`](Self::poll_transmit) does this, too, among all that is owed; a
    /// driver calls this before it sends the message of a new call at once.
    pub fn transmit_requests(&mut self, out: &mut Outbound, now: Instant) {
        while self.may_send_at_once(out)
            && self.may_request()
            && let Some(id) = self.transmit.waiting.pop_front()
        {
            self.send_request(id, out, now);
        }
    }

    /// No frame is before one that would be sent now.
    // [OUT-003]
    fn may_send_at_once(&self, out: &Outbound) -> bool {
        !self.transmit.opening_owed
            && !self.transmit.ended
            && self.transmit.turns.is_empty()
            && !self.transmit.is_control_owed()
            && self.may_send(out)
    }
}

impl CallMut<'_> {
    /// Longest message in bytes that can be sent at once.
    pub const AT_ONCE_MAX: usize = REFERENCE_MIN - 1;

    /// Sends a message as [`send`](Self::send) does, but encodes it where it goes: into `out`, which
    /// must be what [`poll_transmit`](Connection::poll_transmit) is given. Where that is not possible
    /// it waits as others do: it is too long for one frame or a copy, has no credit, or others are
    /// before it. Short ones wait with the application once
    /// 16 KiB do here: then it fails as full.
    ///
    /// # Errors
    /// As `send`.
    pub fn send_message(
        &mut self,
        message: &impl Message,
        last: bool,
        out: &mut Outbound,
    ) -> Result<(), SendError> {
        let length = message.encoded_len();
        if self.send_at_once(length, last, out, |frame| message.encode_raw(frame)) {
            return Ok(());
        }
        let limit = self.connection.config.limits.send_queue_max;
        let short = length <= Self::AT_ONCE_MAX;
        self.check_room(length, if short { limit.min(SHORT_QUEUE_MAX) } else { limit })?;
        let payload = self.inner().outgoing.encode(message, length);
        self.send(payload, last)
    }

    /// Sends a message as [`send`](Self::send) does, but copies it where it goes, if it is short:
    /// see [`send_message`](Self::send_message).
    ///
    /// # Errors
    /// As `send`.
    pub fn send_into(
        &mut self,
        payload: Bytes,
        last: bool,
        out: &mut Outbound,
    ) -> Result<(), SendError> {
        let copied =
            self.send_at_once(payload.len(), last, out, |frame| frame.extend_from_slice(&payload));
        if copied { Ok(()) } else { self.send(payload, last) }
    }

    /// False if the message cannot be sent at once, or `write` has not written as much as it is long.
    fn send_at_once(
        &mut self,
        length: usize,
        last: bool,
        out: &mut Outbound,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        let id = self.id();
        let connection = &mut *self.connection;
        let requests = !connection.transmit.waiting.is_empty() && connection.may_request();
        if length > Self::AT_ONCE_MAX || requests || !connection.may_send_at_once(out) {
            return false;
        }
        let Some(call) = connection.calls.get_mut(id) else { return false };
        let sendable = super::calls::can_send(call) && call.is_live();
        let Some(cost) =
            sendable.then(|| call.outgoing.cost_at_once(length, &connection.peer)).flatten()
        else {
            return false;
        };
        let flags = if last { FLAG_END } else { 0 };
        let header = FrameHeader::new(FrameType::Data, 0, id.0).with_flags(flags);
        if !out.push_payload(header, length, write) {
            return false;
        }
        call.outgoing.sent_at_once(cost, last);
        if call.sent_data(flags) {
            self.handler_ended();
            self.connection.terminal_moved(id);
        }
        true
    }
}
