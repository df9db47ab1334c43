//! The messages of one direction of a call as they arrive: pieces put together, whole messages
//! waiting for the application, and the credit that goes with them.

use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};

use super::queue::Queue;
use crate::credit::{DESCRIPTOR_COST, MESSAGE_COST, RecvCredit, message_cost};
use crate::error::PeerMisbehaved;
use crate::frame::{FrameHeader, NUMBER_END};
use crate::spare::SpareBuffers;

/// Length of the announced length before the first piece of a cut message.
pub(crate) const PREFIX_LEN: usize = 8;

/// A message that arrived whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Message {
    /// Its bytes.
    pub payload: Bytes,
    /// Which of the connection's descriptors, counted from its first, belong to it.
    pub descriptors: Range<u64>,
}

impl Message {
    fn cost(&self) -> u64 {
        let descriptors = self.descriptors.end - self.descriptors.start;
        MESSAGE_COST + self.payload.len() as u64 + DESCRIPTOR_COST * descriptors
    }
}

/// A cut message of which pieces are missing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Partial {
    length: u64,
    received: u64,
    cost: u64,
    descriptors: Range<u64>,
    bytes: BytesMut,
}

/// What a DATA frame has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// A piece of a message, or one that is discarded.
    Nothing,
    /// A whole message waits for the application.
    Message,
    /// A message longer than the limit: the call must end. If it came whole, it was dropped, and
    /// with it these descriptors.
    TooLong { length: u64, dropped: Range<u64> },
}

#[derive(Debug, Clone)]
#[cfg_attr(feature = "hash", derive(PartialEq, Eq, Hash))]
pub(crate) struct Incoming {
    queue: Queue<Message>,
    /// Boxed, as few calls have one and all have the room for it.
    partial: Option<Box<Partial>>,
    pub(crate) credit: RecvCredit,
    /// The application waits, and the queue is empty.
    pub(crate) waiting: bool,
    /// Nobody will take any more: all that arrives is dropped and its credit returned.
    discarding: bool,
    /// END, FINISH or the terminal frame has been read.
    pub(crate) ended: bool,
    /// The message in progress waits for room in the large budget.
    pub(crate) asking: bool,
    /// What the message in progress has of the large budget.
    pub(crate) large: u64,
    /// Messages that have arrived since the read buffer was last given back.
    fresh: usize,
}

impl Incoming {
    pub(crate) const fn new(window: u64, ahead: u64) -> Self {
        Self {
            queue: Queue::new(),
            partial: None,
            credit: RecvCredit::new(window, ahead),
            waiting: false,
            discarding: false,
            ended: false,
            asking: false,
            large: 0,
            fresh: 0,
        }
    }

    /// The body of this DATA frame can be stored as it comes: a further piece of a message in
    /// progress, with which nothing is wrong.
    pub(crate) fn is_storable(&self, header: &FrameHeader, message_max: u64) -> bool {
        let Some(partial) = &self.partial else { return false };
        let length = u64::from(header.length);
        let left = partial.length - partial.received;
        let fits = if header.more() { length < left } else { length == left };
        fits && length > 0
            && header.fds == 0
            && partial.length <= message_max
            && self.credit.covers(length)
    }

    /// Stores the next bytes of a piece whose frame is not complete;
    /// [`accept`](Self::accept) counts them.
    pub(crate) fn store(&mut self, bytes: &[u8], spares: &mut SpareBuffers) {
        if let Some(partial) = self.partial.as_mut().filter(|_| !self.discarding) {
            partial.store(bytes, spares);
        }
    }

    /// Takes the body of a DATA frame whose place in the call's state has been checked; none if it
    /// was stored as it came.
    pub(crate) fn accept(
        &mut self,
        header: &FrameHeader,
        body: Option<Bytes>,
        descriptors: Range<u64>,
        message_max: u64,
        spares: &mut SpareBuffers,
    ) -> Result<Arrived, PeerMisbehaved> {
        let Some(body) = body else {
            let length = u64::from(header.length);
            self.receive(header, length)?;
            return self.add_piece(header, length, &[], message_max, spares);
        };
        if self.partial.is_none() && !header.more() {
            return self.accept_whole(header, body, descriptors, message_max);
        }
        let body = if self.partial.is_none() {
            self.begin(header, body, descriptors)?
        } else {
            // [DSC-002]
            if header.fds > 0 {
                return Err(PeerMisbehaved::DescriptorsMisplaced { fds: header.fds });
            }
            self.receive(header, body.len() as u64)?;
            body
        };
        self.add_piece(header, body.len() as u64, &body, message_max, spares)
    }

    // [MSG-001]
    fn accept_whole(
        &mut self,
        header: &FrameHeader,
        payload: Bytes,
        descriptors: Range<u64>,
        message_max: u64,
    ) -> Result<Arrived, PeerMisbehaved> {
        let length = payload.len() as u64;
        let cost = message_cost(length, header.fds);
        self.receive(header, cost)?;
        if self.discarding {
            self.credit.take(cost);
            return Ok(Arrived::Nothing);
        }
        // [MSG-007]
        if length > message_max {
            self.credit.take(cost);
            return Ok(Arrived::TooLong { length, dropped: descriptors });
        }
        self.push(Message { payload, descriptors });
        Ok(Arrived::Message)
    }

    /// Reads the announced length of a cut message and returns the rest of its first piece.
    // [MSG-002]
    fn begin(
        &mut self,
        header: &FrameHeader,
        mut body: Bytes,
        descriptors: Range<u64>,
    ) -> Result<Bytes, PeerMisbehaved> {
        let call = header.call;
        if body.len() <= PREFIX_LEN {
            return Err(PeerMisbehaved::EmptyPiece { call });
        }
        let length = body.get_u64_le();
        if length == 0 || length >= NUMBER_END {
            return Err(PeerMisbehaved::CutLength { call, length });
        }
        self.receive(header, message_cost(body.len() as u64, header.fds))?;
        let cost = message_cost(length, header.fds);
        let bytes = BytesMut::new();
        let partial = Partial { length, received: 0, cost, descriptors, bytes };
        self.partial = Some(Box::new(partial));
        Ok(body)
    }

    fn receive(&mut self, header: &FrameHeader, cost: u64) -> Result<(), PeerMisbehaved> {
        let call = header.call;
        self.credit.receive(cost).map_err(|excess| PeerMisbehaved::CreditExceeded { call, excess })
    }

    /// Counts a piece; `rest` is what of it is still to be stored.
    // [MSG-003]
    fn add_piece(
        &mut self,
        header: &FrameHeader,
        piece: u64,
        rest: &[u8],
        message_max: u64,
        spares: &mut SpareBuffers,
    ) -> Result<Arrived, PeerMisbehaved> {
        let call = header.call;
        let partial = self.partial.as_mut().expect("the caller has begun a message");
        let length = partial.length;
        if self.discarding {
            let first_cost = if partial.received == 0 { partial.cost - length } else { 0 };
            self.credit.take(first_cost + piece);
        }
        if piece == 0 {
            return Err(PeerMisbehaved::EmptyPiece { call });
        }
        partial.received += piece;
        if partial.received > length {
            return Err(PeerMisbehaved::MessageOverrun { call, length });
        }
        let complete = partial.received == length;
        if complete && header.more() {
            return Err(PeerMisbehaved::MoreOnLast { call });
        }
        if !complete && !header.more() {
            let missing = length - partial.received;
            return Err(PeerMisbehaved::MessageUnderrun { call, missing });
        }
        if self.discarding {
            if complete {
                self.partial = None;
            }
            return Ok(Arrived::Nothing);
        }
        if length > message_max {
            return Ok(Arrived::TooLong { length, dropped: 0..0 });
        }
        partial.store(rest, spares);
        if complete && let Some(partial) = self.partial.take() {
            let Partial { bytes, descriptors, .. } = *partial;
            self.push(Message { payload: spares.freeze(bytes), descriptors });
            return Ok(Arrived::Message);
        }
        Ok(Arrived::Nothing)
    }

    fn push(&mut self, message: Message) {
        self.queue.push_back(message);
        self.fresh += 1;
    }

    /// The message that has just arrived is the first since [`compact`](Self::compact).
    pub(crate) const fn is_first_fresh(&self) -> bool {
        self.fresh == 1
    }

    /// Takes the next whole message.
    pub(crate) fn pop(&mut self) -> Option<Message> {
        let message = self.queue.pop_front()?;
        self.credit.take(message.cost());
        Some(message)
    }

    /// What the next whole message costs.
    pub(crate) fn first_cost(&self) -> Option<u64> {
        self.queue.front().map(Message::cost)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The cost of the message in progress, if it needs more credit than has been granted and
    /// nothing stands before it.
    pub(crate) fn lacking(&self) -> Option<u64> {
        let partial = self.partial.as_ref()?;
        (self.queue.is_empty() && self.credit.lacks(partial.cost)).then_some(partial.cost)
    }

    /// Nobody takes any more: drops what is there and all that comes. Returns the descriptors of
    /// what was dropped.
    // [CAL-008]
    pub(crate) fn discard(&mut self) -> Vec<Range<u64>> {
        if self.discarding {
            return Vec::new();
        }
        self.discarding = true;
        self.waiting = false;
        let mut dropped = Vec::new();
        while let Some(message) = self.pop() {
            dropped.push(message.descriptors);
        }
        if let Some(partial) = &mut self.partial {
            self.credit.take(partial.cost - partial.length + partial.received);
            partial.bytes = BytesMut::new();
            dropped.push(partial.descriptors.clone());
        }
        dropped.retain(|range| !range.is_empty());
        dropped
    }

    /// No more pieces come: drops the message in progress, and returns its descriptors.
    pub(crate) fn abandon_partial(&mut self) -> Option<Range<u64>> {
        let partial = self.partial.take()?;
        if self.discarding {
            return None;
        }
        self.credit.take(partial.cost - partial.length + partial.received);
        Some(partial.descriptors).filter(|descriptors| !descriptors.is_empty())
    }

    pub(crate) const fn is_discarding(&self) -> bool {
        self.discarding
    }

    /// Copies messages out of the read buffer that they would keep alive; each is looked at once.
    pub(crate) fn compact(&mut self, retain_min: usize) {
        let fresh = std::mem::take(&mut self.fresh);
        for message in self.queue.iter_mut().rev().take(fresh) {
            if !message.payload.is_empty() && message.payload.len() < retain_min {
                message.payload = Bytes::copy_from_slice(&message.payload);
            }
        }
    }

    /// Memory of the message in progress.
    #[cfg(test)]
    pub(crate) fn reassembly_capacity(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.bytes.capacity())
    }

    pub(crate) fn assert_invariants(&self, place: std::fmt::Arguments<'_>) {
        self.credit.assert_invariants(place);
        let whole: u64 = self.queue.iter().map(Message::cost).sum();
        let partial = self.partial.as_ref().filter(|_| !self.discarding);
        let pieces = partial.map_or(0, |p| p.cost - p.length + p.received);
        assert_eq!(self.buffered(), whole + pieces, "{place}: what waits for the application");
        assert!(!self.waiting || self.queue.is_empty(), "{place}: waits beside a message");
        assert!(!self.asking || self.waiting && self.large == 0, "{place}: asks in vain");
        let hungry = self.waiting && !self.ended;
        assert!(!hungry || self.credit.is_generous(), "{place}: waits without credit");
        let stuck = hungry && !self.asking && self.large == 0 && self.lacking().is_some();
        assert!(!stuck, "{place}: a large message is stuck");
    }

    /// Bytes that wait for the application, whole or in pieces.
    pub(crate) fn buffered(&self) -> u64 {
        self.credit.buffered()
    }
}

impl Partial {
    /// Memory grows with what arrives: at most to twice of it, never beyond the message.
    // [MSG-008]
    fn store(&mut self, piece: &[u8], spares: &mut SpareBuffers) {
        if self.bytes.capacity() == 0
            && let Some(spare) = spares.take(piece.len())
        {
            self.bytes = spare;
        }
        let needed = self.bytes.len() + piece.len();
        if self.bytes.capacity() < needed {
            let length = usize::try_from(self.length).unwrap_or(usize::MAX);
            let target = (2 * needed).min(length);
            self.bytes.reserve(target - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
    }
}
