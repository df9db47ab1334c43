//! The output of a connection: frames that are not yet written to the socket.
//!
//! Small frames are copied one behind the other; large payloads are kept as they are and take part
//! in a vectored write. Knows nothing of calls.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use crate::frame::{FrameHeader, HEADER_LEN};

/// Payloads from here on are referenced, shorter ones are copied: measured, a copy of a few KiB is
/// cheaper than one more slice in the write.
pub(crate) const REFERENCE_MIN: usize = 4 * 1024;
/// Memory that is kept whenever the output has become empty.
const RETAIN_MAX: usize = 64 * 1024;
/// Memory that is kept for a while, as memory that comes and goes costs more than the bytes in it.
const RETAIN_BUSY: usize = 512 * 1024;
/// How often in a row the output must do with the lesser before it gives back the rest.
const QUIET_DRAINS: u8 = 32;

/// Frames on their way to the socket, owned by the caller of the core.
///
/// [`Connection::poll_transmit`](crate::Connection::poll_transmit) appends whole frames;
/// the driver writes [`slices`](Self::slices) and says with [`advance`](Self::advance) how far it
/// came.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "hash", derive(PartialEq, Eq, Hash))]
pub struct Outbound {
    /// Headers and small payloads, in order; the first `start` bytes are written.
    small: Vec<u8>,
    start: usize,
    /// Large payloads, each with the place in `small` before which it goes.
    large: VecDeque<(usize, Bytes)>,
    /// Bytes that are not written.
    len: usize,
    /// Bytes written since the beginning.
    written: u64,
    /// Where frames with descriptors start, counted from the beginning, and how many each has.
    descriptors: VecDeque<(u64, u8)>,
    /// How often in a row little memory was enough.
    quiet_drains: u8,
}

impl Outbound {
    /// An empty output.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            small: Vec::new(),
            start: 0,
            large: VecDeque::new(),
            len: 0,
            written: 0,
            descriptors: VecDeque::new(),
            quiet_drains: 0,
        }
    }

    /// Bytes that are not written yet.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// All is written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that have been written since the beginning.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Memory in bytes that it holds.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.small.capacity() + self.large.iter().map(|(_, payload)| payload.len()).sum::<usize>()
    }

    /// Fills `slices` with what is to be written next and returns how many it filled.
    ///
    /// A frame with descriptors begins a write of its own ([DSC-003]): the slices end before it.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut room = self.bytes_to_boundary();
        let mut filled = 0;
        let mut from = self.start;
        let mut push = |bytes: &'a [u8], room: &mut usize| {
            let bytes = &bytes[..bytes.len().min(*room)];
            if !bytes.is_empty() && filled < slices.len() {
                slices[filled] = IoSlice::new(bytes);
                filled += 1;
                *room -= bytes.len();
            }
        };
        for (place, payload) in &self.large {
            push(&self.small[from..*place], &mut room);
            push(payload, &mut room);
            from = *place;
        }
        push(&self.small[from..], &mut room);
        filled
    }

    /// How many descriptors go with the next write.
    #[must_use]
    pub fn descriptors(&self) -> u8 {
        match self.descriptors.front() {
            Some((place, count)) if *place == self.written => *count,
            _ => 0,
        }
    }

    // [DSC-003]
    fn bytes_to_boundary(&self) -> usize {
        self.descriptors
            .iter()
            .find(|(place, _)| *place > self.written)
            .and_then(|(place, _)| usize::try_from(place - self.written).ok())
            .unwrap_or(self.len)
    }

    /// Says that the next `count` bytes have been written.
    ///
    /// # Panics
    /// `count` is more than [`len`](Self::len).
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.len, "advanced by {count} of {} bytes", self.len);
        if count > 0 && self.descriptors() > 0 {
            self.descriptors.pop_front();
        }
        self.len -= count;
        self.written += count as u64;
        let mut rest = count;
        while rest > 0 {
            match self.large.front_mut() {
                Some((place, payload)) if *place == self.start => {
                    let n = rest.min(payload.len());
                    if n == payload.len() {
                        self.large.pop_front();
                    } else {
                        let _ = payload.split_to(n);
                    }
                    rest -= n;
                }
                front => {
                    let end = front.map_or(self.small.len(), |(place, _)| *place);
                    let n = rest.min(end - self.start);
                    self.start += n;
                    rest -= n;
                }
            }
        }
        self.give_back();
    }

    /// Drops all that is not written: the socket takes no more.
    pub fn clear(&mut self) {
        self.descriptors.clear();
        self.start = 0;
        self.len = 0;
        self.shrink();
    }

    /// Gives memory back that an idle connection does not need.
    pub fn shrink(&mut self) {
        if self.len == 0 {
            self.small = Vec::new();
            self.large = VecDeque::new();
            self.quiet_drains = 0;
        }
    }

    fn give_back(&mut self) {
        if self.len == 0 {
            let quiet = self.small.len() <= RETAIN_MAX;
            self.quiet_drains = if quiet { self.quiet_drains.saturating_add(1) } else { 0 };
            self.start = 0;
            self.small.clear();
            let busy = self.quiet_drains < QUIET_DRAINS;
            self.small.shrink_to(if busy { RETAIN_BUSY } else { RETAIN_MAX });
        } else if self.start > RETAIN_MAX {
            self.small.drain(..self.start);
            for (place, _) in &mut self.large {
                *place -= self.start;
            }
            self.start = 0;
        }
    }

    /// Appends bytes that are no frame: the preface.
    pub(crate) fn push_raw(&mut self, bytes: &[u8]) {
        self.small.extend_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Appends a frame whose body is the prefix, if any, and the payload.
    pub(crate) fn push_frame(&mut self, header: &FrameHeader, prefix: &[u8], payload: Bytes) {
        if header.fds > 0 {
            self.descriptors.push_back((self.written + self.len as u64, header.fds));
        }
        self.push_raw(&header.encode());
        self.push_raw(prefix);
        if payload.len() >= REFERENCE_MIN {
            self.len += payload.len();
            self.large.push_back((self.small.len(), payload));
        } else {
            self.push_raw(&payload);
        }
    }

    /// Appends a frame whose body is a message of the application's, which `write` appends; false if
    /// that is not of this length.
    pub(crate) fn push_payload(
        &mut self,
        mut header: FrameHeader,
        length: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        header.length = u32::try_from(length).expect("a frame is far below 4 GiB");
        // This runs the application's code: what it panics amid must not be sent.
        let frame = Unfinished { begin: self.small.len(), bytes: &mut self.small };
        frame.bytes.extend_from_slice(&header.encode());
        write(frame.bytes);
        let whole = HEADER_LEN + length;
        if frame.bytes.len() - frame.begin != whole {
            return false;
        }
        std::mem::forget(frame);
        self.len += whole;
        true
    }

    /// Appends a frame whose body is a protobuf message.
    pub(crate) fn push_message(&mut self, mut header: FrameHeader, body: &impl prost::Message) {
        let length = body.encoded_len();
        header.length = u32::try_from(length).expect("control messages are far below 4 GiB");
        self.push_raw(&header.encode());
        let before = self.small.len();
        body.encode(&mut self.small).expect("a vector has room for any message");
        debug_assert_eq!(self.small.len() - before, length);
        self.len += length;
    }
}

/// A frame that is taken back unless it is forgotten.
struct Unfinished<'a> {
    bytes: &'a mut Vec<u8>,
    begin: usize,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.bytes.truncate(self.begin);
    }
}

#[cfg(test)]
mod tests;
