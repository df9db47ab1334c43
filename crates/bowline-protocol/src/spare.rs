//! Memory of large messages, kept for the next ones: to get it from the system and to fill it for
//! the first time costs more than to copy the message.

use bytes::{Bytes, BytesMut};

/// So many are kept.
const KEPT_MAX: usize = 2;
/// Larger ones are not kept.
const KEPT_TO: usize = 2 * 1024 * 1024;

/// Buffers whose messages may still be in use. One that is in use no more is used again.
#[derive(Debug, Clone, Default)]
pub struct SpareBuffers {
    /// Empty handles on the buffers.
    handles: Vec<BytesMut>,
}

impl SpareBuffers {
    /// Smaller buffers are cheap, and not kept.
    pub const LEAST: usize = 128 * 1024;

    /// No buffers.
    #[must_use]
    pub const fn new() -> Self {
        Self { handles: Vec::new() }
    }

    /// An empty buffer with room for so many bytes that is in use no more, if there is one.
    #[must_use]
    pub fn take(&mut self, room: usize) -> Option<BytesMut> {
        let place = self.handles.iter_mut().position(|handle| handle.try_reclaim(room))?;
        Some(self.handles.swap_remove(place))
    }

    /// What a buffer holds; its memory is kept for later, once that is in use no more.
    pub fn freeze(&mut self, mut buffer: BytesMut) -> Bytes {
        if !(Self::LEAST..=KEPT_TO).contains(&buffer.len()) {
            return buffer.freeze();
        }
        let message = buffer.split().freeze();
        if self.handles.len() >= KEPT_MAX {
            self.handles.remove(0);
        }
        self.handles.push(buffer);
        message
    }

    /// Gives all memory back.
    pub fn clear(&mut self) {
        self.handles = Vec::new();
    }
}

/// What is spare makes no difference to anybody.
impl PartialEq for SpareBuffers {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for SpareBuffers {}

#[cfg(feature = "hash")]
impl std::hash::Hash for SpareBuffers {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

#[cfg(test)]
mod tests;
