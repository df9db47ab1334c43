//! The messages of one direction of a call as they leave: waiting for credit, cut into pieces, and
//! what ends them.

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;

use super::incoming::PREFIX_LEN;
use super::queue::Queue;
use crate::credit::{SendCredit, message_cost};
use crate::frame::{FLAG_END, FLAG_MORE, FrameHeader, FrameType};
use crate::limits::PeerLimits;
use crate::metadata::Metadata;
use crate::outbound::Outbound;
use crate::status::Status;

/// Longest piece of a message that goes into the output at once, so that others get their turn. A
/// message of 64 KiB with a small envelope still goes in one.
const PIECE_MAX: usize = 64 * 1024 + 512;

/// Bytes of memory that short messages of a stream share while they wait.
const ROOM: usize = 4 * 1024;

/// A message that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Waiting {
    payload: Bytes,
    descriptors: u8,
    /// The sender's last one.
    end: bool,
}

/// What follows the last message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Tail {
    /// More may come.
    Open,
    /// A message with END is in the queue, or has left.
    End,
    /// FINISH is owed.
    Finish,
    /// STATUS is owed.
    Status(Status),
    /// FINISH or STATUS has left.
    Sent,
}

#[derive(Debug, Clone)]
#[cfg_attr(feature = "hash", derive(PartialEq, Eq, Hash))]
pub(crate) struct Outgoing {
    queue: Queue<Waiting>,
    /// Cost of all that waits and has not been charged.
    queued: u64,
    /// Bytes of the first message that have left; it has been begun if not 0.
    cut: usize,
    pub(crate) credit: SendCredit,
    /// RESPONSE is owed, with this.
    pub(crate) head: Option<Metadata>,
    pub(crate) tail: Tail,
    /// The application was refused a message, and wants to know when less than this waits.
    pub(crate) wants: Option<u64>,
    /// Stands in the queue of calls that have something to send.
    pub(crate) ready: bool,
    /// Room for the next messages of a stream that waits: they share its memory.
    room: Option<BytesMut>,
}

/// What a call would send next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// A whole message, or what opens or ends a direction.
    Short,
    /// The first piece of a message.
    Begins,
    /// A further piece of it.
    GoesOn,
}

/// What sending one frame of a call has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// A frame with these flags.
    Data { flags: u8 },
    /// There is nothing, or no credit for it.
    Nothing,
}

impl Outgoing {
    pub(crate) const fn new(window: u64) -> Self {
        Self {
            queue: Queue::new(),
            queued: 0,
            cut: 0,
            credit: SendCredit::new(window),
            head: None,
            tail: Tail::Open,
            wants: None,
            ready: false,
            room: None,
        }
    }

    /// Whether one more message is taken: always one, and more up to the limit.
    pub(crate) fn has_room(&self, limit: u64) -> bool {
        self.queue.is_empty() || self.queued < limit
    }

    pub(crate) fn push(&mut self, payload: Bytes, descriptors: u8, end: bool) {
        self.queued += message_cost(payload.len() as u64, descriptors);
        self.queue.push_back(Waiting { payload, descriptors, end });
        if end {
            self.tail = Tail::End;
        }
    }

    /// A message as it is to wait. One after the other is sent, so what they share is not held for
    /// long by one of them.
    pub(crate) fn encode(&mut self, message: &impl Message, length: usize) -> Bytes {
        if self.queue.is_empty() {
            return message.encode_to_vec().into();
        }
        // Taken while the application's code runs, which may panic.
        let mut bytes = self.room.take().unwrap_or_default();
        if bytes.capacity() < length {
            bytes.reserve(length.max(ROOM));
        }
        message.encode_raw(&mut bytes);
        self.room = Some(bytes.split_off(bytes.len()));
        bytes.freeze()
    }

    /// Says that no more messages come. The last one that has not left tells it; where there is none,
    /// `otherwise` does.
    pub(crate) fn finish(&mut self, otherwise: Tail) {
        self.tail = match self.queue.back_mut() {
            Some(last) => {
                last.end = true;
                Tail::End
            }
            None => otherwise,
        };
    }

    /// Drops all messages that have not left.
    pub(crate) fn drop_messages(&mut self) {
        self.queue.truncate(0);
        self.queued = 0;
        self.cut = 0;
    }

    /// Drops all messages that have not begun to leave. One that has may hold a large grant of its
    /// receiver's, which others wait for.
    // [CAN-002]
    pub(crate) fn drop_unbegun(&mut self) {
        let begun = usize::from(self.cut > 0);
        self.queue.truncate(begun);
        self.queued = self.queue.front().map_or(0, |first| (first.payload.len() - self.cut) as u64);
    }

    /// No message waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// What could be sent now.
    pub(crate) fn next(&self, peer: &PeerLimits) -> Option<Next> {
        if self.head.is_some() {
            return Some(Next::Short);
        }
        let Some(first) = self.queue.front() else {
            return matches!(self.tail, Tail::Finish | Tail::Status(_)).then_some(Next::Short);
        };
        let piece = self.next_piece(first, peer)?;
        Some(match self.cut {
            0 if piece == first.payload.len() => Next::Short,
            0 => Next::Begins,
            _ => Next::GoesOn,
        })
    }

    pub(crate) fn assert_invariants(&self, place: std::fmt::Arguments<'_>) {
        self.credit.assert_invariants(place);
        let cost =
            |waiting: &Waiting| message_cost(waiting.payload.len() as u64, waiting.descriptors);
        let first = self.queue.front().filter(|_| self.cut > 0);
        let charged = first.map_or(0, |first| message_cost(self.cut as u64, first.descriptors));
        let queued = self.queue.iter().map(cost).sum::<u64>() - charged;
        assert_eq!(self.queued, queued, "{place}: cost of what waits");
        let ends = self.queue.iter().filter(|waiting| waiting.end).count();
        let last_ends = self.queue.back().is_some_and(|waiting| waiting.end);
        assert_eq!(ends, usize::from(last_ends), "{place}: END inside the queue");
    }

    /// What a message of this length costs, if it can be sent now, whole, and before any other.
    pub(crate) fn cost_at_once(&self, length: usize, peer: &PeerLimits) -> Option<u64> {
        let free = self.queue.is_empty() && self.head.is_none() && self.tail == Tail::Open;
        let cost = message_cost(length as u64, 0);
        let fits = length <= (peer.frame_max as usize).min(PIECE_MAX)
            && peer.message_max.is_none_or(|limit| length as u64 <= limit)
            && cost <= self.credit.available();
        (free && fits).then_some(cost)
    }

    /// A message of this cost was sent at once.
    pub(crate) fn sent_at_once(&mut self, cost: u64, last: bool) {
        self.credit.consume(cost);
        if last {
            self.tail = Tail::End;
        }
    }

    /// Length of the next piece of this message: the whole of it where it is allowed; `None` while
    /// it waits for credit.
    // [CRD-006]
    fn next_piece(&self, first: &Waiting, peer: &PeerLimits) -> Option<usize> {
        let frame_max = (peer.frame_max as usize).min(PIECE_MAX);
        let length = first.payload.len();
        let available = self.credit.available();
        if self.cut > 0 {
            let piece = (length - self.cut).min(frame_max).min(to_usize(available));
            return (piece > 0).then_some(piece);
        }
        let cost = message_cost(length as u64, first.descriptors);
        if cost <= available {
            return Some(if length <= frame_max { length } else { frame_max - PREFIX_LEN });
        }
        if cost <= peer.window {
            return None;
        }
        let fixed = message_cost(0, first.descriptors);
        let piece = to_usize(available.saturating_sub(fixed)).min(frame_max - PREFIX_LEN);
        (piece > 0).then_some(piece)
    }

    /// Puts the next DATA frame into the output: always of the first message that waits.
    // [MSG-004]
    pub(crate) fn send_data(&mut self, call: u64, peer: &PeerLimits, out: &mut Outbound) -> Sent {
        let Some(first) = self.queue.front() else { return Sent::Nothing };
        let Some(piece) = self.next_piece(first, peer) else { return Sent::Nothing };
        let length = first.payload.len();
        let begins = self.cut == 0;
        let complete = self.cut + piece == length;
        let mut flags = 0;
        if !complete {
            flags |= FLAG_MORE;
        } else if first.end {
            flags |= FLAG_END;
        }
        // [MSG-002]
        let announced = (length as u64).to_le_bytes();
        let prefix: &[u8] = if begins && !complete { &announced } else { &[] };
        let body = u32::try_from(prefix.len() + piece).expect("a piece is at most PIECE_MAX");
        let mut header = FrameHeader::new(FrameType::Data, body, call).with_flags(flags);
        let mut cost = piece as u64;
        if begins {
            header.fds = first.descriptors;
            cost = message_cost(piece as u64, first.descriptors);
        }
        let from = self.cut;
        self.cut = if complete { 0 } else { from + piece };
        if complete && let Some(Waiting { mut payload, .. }) = self.queue.pop_front() {
            payload.advance(from);
            out.push_frame(&header, prefix, payload);
        } else if let Some(first) = self.queue.front() {
            out.push_frame(&header, prefix, first.payload.slice(from..from + piece));
        }
        self.credit.consume(cost);
        self.queued -= cost;
        Sent::Data { flags }
    }
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
