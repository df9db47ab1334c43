//! Errors, grouped by who is at fault.

use thiserror::Error;

use crate::frame::FrameType;
pub use crate::wire::ErrorCode;

/// Why a connection ended, or can no longer be used.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer broke a rule of the protocol; this side ended the connection.
    #[error("the peer broke the protocol: {0}")]
    PeerMisbehaved(#[from] PeerMisbehaved),
    /// The peer does not speak this protocol, or not this version of it.
    #[error(transparent)]
    PeerIncompatible(#[from] PeerIncompatible),
    /// The peer ended the connection with an error code.
    #[error("the peer ended the connection: {}{}", .code.name(), text_suffix(.text))]
    PeerClosed {
        /// The code of its GOAWAY.
        code: ErrorCode,
        /// The text of its GOAWAY.
        text: String,
    },
    /// The peer drains: it takes no more calls, but those that are open go on.
    #[error("the peer is shutting down and takes no more calls")]
    Draining,
    /// This side ended the connection.
    #[error("this side closed the connection")]
    LocallyClosed,
    /// The peer did not do in time what it had to.
    #[error("{0}")]
    TimedOut(TimedOut),
    /// The stream ended although it should not have.
    #[error("the connection was lost: the peer closed it or died")]
    Eof,
}

fn text_suffix(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

impl ErrorCode {
    /// The name that the specification uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.as_str_name().trim_start_matches("ERROR_CODE_")
    }
}

/// What did not come in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum TimedOut {
    /// The peer's preface and HELLO.
    #[error("the peer did not complete the handshake in time (handshake_timeout)")]
    Handshake,
    /// The rest of a frame.
    #[error("the peer began a frame and did not complete it in time (frame_timeout)")]
    Frame,
    /// Any sign of life.
    #[error("nothing was read from the peer for twice the keepalive interval")]
    Keepalive,
    /// The peer's reading.
    #[error("the peer did not read: output moved no byte in time (stall_timeout)")]
    Stall,
}

/// The peer speaks something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum PeerIncompatible {
    /// What it sent is not the preface of any version.
    #[error(
        "the peer does not speak Bowline: it sent {} where the preface should be{}",
        printable(.first, *.len), protocol_hint(.first)
    )]
    Letters {
        /// The first bytes that it sent.
        first: [u8; 8],
        /// How many of them it sent.
        len: u8,
    },
    /// It speaks another major version.
    #[error(
        "the peer speaks major version {theirs} of the protocol, this side {ours}: update the older one"
    )]
    Version {
        /// The peer's version.
        theirs: u8,
        /// This side's version.
        ours: u8,
    },
}

fn printable(first: &[u8; 8], len: u8) -> String {
    format!("\"{}\"", first[..usize::from(len.min(8))].escape_ascii())
}

fn protocol_hint(first: &[u8; 8]) -> &'static str {
    match first {
        [b'G' | b'P' | b'H' | b'O' | b'D', b'A'..=b'Z', b'A'..=b'Z', ..] => {
            " (this looks like HTTP)"
        }
        [0x16, 0x03, ..] | [0x15, 0x03, ..] => " (this looks like TLS)",
        [0, 0, _, 4, ..] => " (this looks like HTTP/2)",
        _ => "",
    }
}

/// A breach of the protocol by the peer: one variant for each rule, with its wire code
/// ([`code`](Self::code)) and its requirement ([`requirement`](Self::requirement)).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the texts say it, and the fields are what they name")]
pub enum PeerMisbehaved {
    #[error("frame of type {kind:#04x} with a body of {length} bytes, over the limit of {limit}")]
    FrameTooLong { kind: u8, length: u32, limit: u32 },
    #[error("frame of unknown type {kind:#04x}")]
    UnknownType { kind: u8 },
    #[error("{} with flags {flags:#04x}", .kind.name())]
    IllegalFlags { kind: FrameType, flags: u8 },
    #[error("{} with call id {call}", .kind.name())]
    CallIdMisplaced { kind: FrameType, call: u64 },
    #[error("REQUEST with id {call}, which belongs to the other side")]
    RequestParity { call: u64 },
    #[error("{} for call {call} from the side that may not send it", .kind.name())]
    WrongRole { kind: FrameType, call: u64 },
    #[error("the body of {} does not decode: {reason}", .kind.name())]
    Undecodable { kind: FrameType, reason: String },
    #[error("PING with a body of {length} bytes instead of 8")]
    PingLength { length: u32 },
    #[error("{} before HELLO", frame_name(*.kind))]
    HelloMissing { kind: u8 },
    #[error("a second HELLO")]
    HelloRepeated,
    #[error("HELLO states {name} = {value}; it must be {least} at least, and below 2^53")]
    HelloLimit { name: &'static str, value: u64, least: u64 },
    #[error("features {required:#x} are required, {offered:#x} are offered")]
    FeatureMissing { required: u32, offered: u32 },
    #[error("the token is missing or wrong")]
    TokenRejected,
    #[error("REQUEST with id {call} after {highest}")]
    CallIdNotRising { call: u64, highest: u64 },
    #[error("{} for call {call}, which was never opened", .kind.name())]
    CallNeverOpened { kind: FrameType, call: u64 },
    #[error("call {call} is one more than calls_max = {limit}")]
    CallsExceeded { call: u64, limit: u32 },
    #[error("{what} for call {call}, which its state ({state}) does not allow")]
    CallState { call: u64, what: &'static str, state: &'static str },
    #[error("DATA for call {call} goes {excess} bytes beyond the credit")]
    CreditExceeded { call: u64, excess: u64 },
    #[error("CREDIT of 0 for call {call}")]
    CreditZero { call: u64 },
    #[error("the credit of call {call} adds up to 2^53 or more")]
    CreditOverflow { call: u64 },
    #[error("piece of a message of call {call} without a byte of it")]
    EmptyPiece { call: u64 },
    #[error("cut message of call {call} with an announced length of {length}")]
    CutLength { call: u64, length: u64 },
    #[error("the pieces of a message of call {call} are longer than the announced {length} bytes")]
    MessageOverrun { call: u64, length: u64 },
    #[error("the last piece of a message of call {call} leaves {missing} bytes missing")]
    MessageUnderrun { call: u64, missing: u64 },
    #[error("the piece that completes a message of call {call} has MORE")]
    MoreOnLast { call: u64 },
    #[error("REQUEST with neither a name nor a number for its method")]
    MethodMissing,
    #[error("REQUEST with a method's name of {length} bytes; the most is 1,024")]
    MethodNameTooLong { length: usize },
    #[error("REQUEST with method number {number}, which is {why}")]
    MethodNumber { number: u32, why: &'static str },
    #[error("metadata of {} with the key \"{}\", which is not valid", .kind.name(), .key.escape_default())]
    MetadataKey { kind: FrameType, key: String },
    #[error("metadata of {} whose value for \"{}\" is not printable ASCII", .kind.name(), .key)]
    MetadataValue { kind: FrameType, key: String },
    #[error("metadata of {} counts {size} bytes, over the limit of {limit}", .kind.name())]
    MetadataTooLarge { kind: FrameType, size: u64, limit: u32 },
    #[error("frame with {fds} descriptors; passing them was not agreed")]
    DescriptorsNotNegotiated { fds: u8 },
    #[error("frame with {fds} descriptors, which it may not have")]
    DescriptorsMisplaced { fds: u8 },
    #[error("{announced} descriptors were announced, {received} received")]
    DescriptorsMismatch { announced: u64, received: u64 },
    #[error("GOAWAY with last = {last}, above the highest that it may state, {earlier}")]
    GoAwayRaised { last: u64, earlier: u64 },
}

fn frame_name(kind: u8) -> String {
    FrameType::from_wire(kind)
        .map_or_else(|| format!("frame of type {kind:#04x}"), |kind| kind.name().to_owned())
}

impl PeerMisbehaved {
    /// The code that this side's GOAWAY carries.
    // [ERR-001]
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::FrameTooLong { .. } | Self::PingLength { .. } => ErrorCode::FrameSize,
            Self::UnknownType { .. } => ErrorCode::FrameType,
            Self::IllegalFlags { .. } => ErrorCode::FrameFlags,
            Self::CallIdMisplaced { .. }
            | Self::RequestParity { .. }
            | Self::CallIdNotRising { .. }
            | Self::CallNeverOpened { .. } => ErrorCode::CallId,
            Self::Undecodable { .. } => ErrorCode::Decode,
            Self::HelloMissing { .. } | Self::HelloRepeated | Self::HelloLimit { .. } => {
                ErrorCode::Hello
            }
            Self::FeatureMissing { .. } => ErrorCode::Feature,
            Self::TokenRejected => ErrorCode::Token,
            Self::CallsExceeded { .. } => ErrorCode::CallsExceeded,
            Self::CreditExceeded { .. } | Self::CreditZero { .. } | Self::CreditOverflow { .. } => {
                ErrorCode::Credit
            }
            Self::EmptyPiece { .. }
            | Self::CutLength { .. }
            | Self::MessageOverrun { .. }
            | Self::MessageUnderrun { .. }
            | Self::MoreOnLast { .. } => ErrorCode::Message,
            Self::WrongRole { .. } | Self::CallState { .. } => ErrorCode::CallState,
            Self::MethodMissing | Self::MethodNameTooLong { .. } | Self::MethodNumber { .. } => {
                ErrorCode::Method
            }
            Self::MetadataKey { .. }
            | Self::MetadataValue { .. }
            | Self::MetadataTooLarge { .. } => ErrorCode::Metadata,
            Self::DescriptorsNotNegotiated { .. }
            | Self::DescriptorsMisplaced { .. }
            | Self::DescriptorsMismatch { .. } => ErrorCode::Descriptors,
            Self::GoAwayRaised { .. } => ErrorCode::Goaway,
        }
    }

    /// The rule of docs/protocol.md that was broken.
    #[must_use]
    pub fn requirement(&self) -> &'static str {
        match self {
            Self::FrameTooLong { .. } => "FRM-001",
            Self::UnknownType { .. } => "FRM-002",
            Self::IllegalFlags { .. } => "FRM-003",
            Self::CallIdMisplaced { .. } => "FRM-005",
            Self::RequestParity { .. } | Self::WrongRole { .. } => "FRM-006",
            Self::Undecodable { .. } => "FRM-007",
            Self::PingLength { .. } => "PNG-001",
            Self::HelloMissing { .. } | Self::HelloRepeated => "HEL-001",
            Self::HelloLimit { .. } => "HEL-002",
            Self::FeatureMissing { .. } => "HEL-006",
            Self::TokenRejected => "HEL-007",
            Self::CallIdNotRising { .. } => "CAL-001",
            Self::CallNeverOpened { .. } => "CAL-002",
            Self::CallsExceeded { .. } => "SLT-002",
            Self::CallState { what: "RESPONSE", .. } => "CAL-006",
            Self::CallState { what: "STATUS OK", .. } => "STA-001",
            Self::CallState { .. } => "MSG-006",
            Self::CreditExceeded { .. } | Self::CreditZero { .. } | Self::CreditOverflow { .. } => {
                "CRD-002"
            }
            Self::EmptyPiece { .. } => "MSG-002",
            Self::CutLength { .. }
            | Self::MessageOverrun { .. }
            | Self::MessageUnderrun { .. }
            | Self::MoreOnLast { .. } => "MSG-003",
            Self::MethodMissing | Self::MethodNameTooLong { .. } => "MTH-001",
            Self::MethodNumber { .. } => "MTH-002",
            Self::MetadataKey { .. } => "MET-001",
            Self::MetadataValue { .. } => "MET-002",
            Self::MetadataTooLarge { .. } => "MET-003",
            Self::DescriptorsNotNegotiated { .. } => "DSC-001",
            Self::DescriptorsMisplaced { .. } => "DSC-002",
            Self::DescriptorsMismatch { .. } => "DSC-004",
            Self::GoAwayRaised { .. } => "GOA-003",
        }
    }
}

/// A limit that is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum LimitError {
    /// Below the least value that the protocol allows.
    #[error("{name} = {value} is below the least value, {least}")]
    TooSmall {
        /// Name of the limit.
        name: &'static str,
        /// What was asked for.
        value: u64,
        /// The least value.
        least: u64,
    },
    /// Too large to compute with.
    #[error("{name} = {value} is too large; it must stay below 2^50")]
    TooLarge {
        /// Name of the limit.
        name: &'static str,
        /// What was asked for.
        value: u64,
    },
}

/// Why a call could not be opened. It has not started.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The connection takes no more calls.
    #[error("no call can be opened: {0}")]
    Connection(ConnectionError),
    /// The peer takes no calls at all: it announced `calls_max` = 0.
    #[error("the peer takes no calls (it announced calls_max = 0)")]
    NoCalls,
    /// Too many calls wait for a slot already.
    #[error("{waiting} calls wait for a slot already (waiting_max)")]
    TooManyWaiting {
        /// How many wait.
        waiting: usize,
    },
    /// The method's name is empty or longer than 1,024 bytes.
    #[error("a method's name has 1 to 1,024 bytes, this one {length}")]
    MethodName {
        /// Its length in bytes.
        length: usize,
    },
    /// The metadata is not valid, or the peer does not take so much.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// All ids have been used.
    #[error("the connection has no call ids left; make a new one")]
    IdsExhausted,
}

/// Why metadata cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// Not a key.
    #[error("the metadata key {key:?} is not valid: 1 to 256 of the characters 0-9 a-z _ - .")]
    Key {
        /// The key.
        key: String,
    },
    /// Not a text value.
    #[error(
        "the value of the metadata key {key:?} is not printable ASCII; use a key that ends in -bin for bytes"
    )]
    Value {
        /// The key.
        key: String,
    },
    /// More than the peer takes.
    #[error("the metadata counts {size} bytes, the peer takes {limit} (metadata_max)")]
    TooLarge {
        /// 32 plus the bytes of key and value for each entry.
        size: u64,
        /// The peer's `metadata_max`.
        limit: u32,
    },
}

/// Why a message was not taken for sending.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum SendError {
    /// Enough of the call's messages wait already; an event tells when there is room.
    #[error("the messages of this call that wait to be sent have reached send_queue_max")]
    Full,
    /// The peer does not take messages of this length.
    #[error("a message of {length} bytes is over the peer's limit of {limit} bytes (message_max)")]
    TooLong {
        /// Its length in bytes.
        length: u64,
        /// The peer's `message_max`.
        limit: u64,
    },
    /// The call has ended, or this side has said that it sends no more.
    #[error("the call takes no more messages from this side")]
    Closed,
    /// Metadata that cannot be sent.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// Descriptors that cannot be sent.
    #[error("{count} descriptors cannot be sent on this connection: {why}")]
    Descriptors {
        /// How many.
        count: u8,
        /// Why not.
        why: &'static str,
    },
}

#[cfg(test)]
mod tests;
