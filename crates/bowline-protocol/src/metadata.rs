//! Metadata: a list of keys and values beside the messages of a call, with gRPC's rules.

use bytes::Bytes;

use crate::error::{MetadataError, PeerMisbehaved};
use crate::frame::FrameType;
use crate::wire::MetadataEntry;

/// Longest key in bytes.
pub const KEY_MAX: usize = 256;
/// What an entry counts beside the bytes of its key and value.
const ENTRY_OVERHEAD: u64 = 32;

/// Keys and values beside the messages of a call. Keys may repeat; order is kept.
///
/// A key is 1 to 256 of the characters `0-9 a-z _ - .`. The value of a key that ends in `-bin` is
/// any bytes; any other is printable ASCII.
///
/// ```
/// use bowline_protocol::Metadata;
///
/// let mut metadata = Metadata::new();
/// metadata.insert("request-id", "7")?;
/// metadata.insert_bin("trace-bin", vec![1, 2, 3])?;
/// assert_eq!(metadata.text("request-id"), Some("7"));
/// assert!(metadata.insert("Request-Id", "7").is_err());
/// # Ok::<(), bowline_protocol::MetadataError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Metadata {
    entries: Vec<MetadataEntry>,
}

impl Metadata {
    /// No metadata.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Adds a text value.
    ///
    /// # Errors
    /// The key or the value is not valid, or the key ends in `-bin`.
    // [MET-001] [MET-002]
    pub fn insert(&mut self, key: &str, value: &str) -> Result<(), MetadataError> {
        if !is_key(key) || is_binary(key) {
            return Err(MetadataError::Key { key: key.to_owned() });
        }
        if !is_text(value.as_bytes()) {
            return Err(MetadataError::Value { key: key.to_owned() });
        }
        let value = Bytes::copy_from_slice(value.as_bytes());
        self.entries.push(MetadataEntry { key: key.to_owned(), value });
        Ok(())
    }

    /// Adds a value of any bytes; the key must end in `-bin`.
    ///
    /// # Errors
    /// The key is not valid, or does not end in `-bin`.
    pub fn insert_bin(&mut self, key: &str, value: impl Into<Bytes>) -> Result<(), MetadataError> {
        if !is_key(key) || !is_binary(key) {
            return Err(MetadataError::Key { key: key.to_owned() });
        }
        self.entries.push(MetadataEntry { key: key.to_owned(), value: value.into() });
        Ok(())
    }

    /// The first value of this key, if it is text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        if is_binary(key) {
            return None;
        }
        self.bytes(key).and_then(|value| str::from_utf8(value).ok())
    }

    /// The bytes of the first value of this key.
    #[must_use]
    pub fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.iter().find_map(|(k, value)| (k == key).then_some(value))
    }

    /// All entries in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.entries.iter().map(|entry| (entry.key.as_str(), &entry.value[..]))
    }

    /// Has no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// What the metadata counts towards `metadata_max`: 32 plus key and value for each entry.
    // [MET-003]
    #[must_use]
    pub fn size(&self) -> u64 {
        let bytes = |entry: &MetadataEntry| (entry.key.len() + entry.value.len()) as u64;
        self.entries.iter().map(|entry| ENTRY_OVERHEAD + bytes(entry)).sum()
    }

    /// Whether it fits, together with `beside` bytes of the frame's other fields. As an entry
    /// counts more than its encoding takes, a frame that passes fits in its length limit, too.
    pub(crate) fn check_size(&self, limit: u32, beside: usize) -> Result<(), MetadataError> {
        let size = self.size() + if self.is_empty() { 0 } else { ENTRY_OVERHEAD + beside as u64 };
        if size > limit.into() { Err(MetadataError::TooLarge { size, limit }) } else { Ok(()) }
    }

    pub(crate) fn pop(&mut self) -> bool {
        self.entries.pop().is_some()
    }

    pub(crate) fn into_wire(self) -> Vec<MetadataEntry> {
        self.entries
    }

    pub(crate) fn from_wire(
        entries: Vec<MetadataEntry>,
        kind: FrameType,
        limit: u32,
    ) -> Result<Self, PeerMisbehaved> {
        for entry in &entries {
            if !is_key(&entry.key) {
                let key = entry.key.chars().take(64).collect();
                return Err(PeerMisbehaved::MetadataKey { kind, key });
            }
            if !is_binary(&entry.key) && !is_text(&entry.value) {
                return Err(PeerMisbehaved::MetadataValue { kind, key: entry.key.clone() });
            }
        }
        let metadata = Self { entries };
        let size = metadata.size();
        if size > limit.into() {
            return Err(PeerMisbehaved::MetadataTooLarge { kind, size, limit });
        }
        Ok(metadata)
    }
}

fn is_key(key: &str) -> bool {
    (1..=KEY_MAX).contains(&key.len())
        && key.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'z' | b'_' | b'-' | b'.'))
}

fn is_binary(key: &str) -> bool {
    key.ends_with("-bin")
}

fn is_text(value: &[u8]) -> bool {
    value.iter().all(|b| matches!(b, 0x20..=0x7e))
}

#[cfg(test)]
mod tests;
