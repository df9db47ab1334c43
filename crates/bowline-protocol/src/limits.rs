//! Limits: what this side accepts and holds, and what the peer has said that it accepts.

use std::time::Duration;

use crate::Side;
use crate::error::{LimitError, PeerMisbehaved};
use crate::frame::NUMBER_END;
use crate::wire;

/// Least and initial value of `calls_max` towards the accepting side.
pub const CALLS_LEAST: u32 = 64;
/// Least and initial value of `window`, in bytes.
pub const WINDOW_LEAST: u64 = 64 * 1024;
/// Least and initial value of `frame_max`, in bytes.
pub const FRAME_LEAST: u32 = 16 * 1024;
/// Least and initial value of `metadata_max`, in bytes.
pub const METADATA_LEAST: u32 = 16 * 1024;
/// Least value of `message_max`, in bytes.
pub const MESSAGE_LEAST: u64 = 64 * 1024;
/// Longest name of a method, in bytes.
pub const METHOD_NAME_MAX: usize = 1024;
/// Highest number that a method can be bound to.
pub const METHOD_NUMBER_MAX: u16 = 1023;
/// How long input is discarded before a connection closes after an error or the end of writing.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What one side of a connection accepts from its peer, and what it holds itself. Every queue and
/// every wait of a [`Connection`](crate::Connection) is bounded by one of these.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Calls that the peer may have open at once. At least 64 on an accepting side; a connecting
    /// side takes no calls at all unless this is raised from 0.
    pub calls_max: u32,
    /// Credit in bytes with which each call starts. At least 65,536. A sender that fills its socket
    /// (208 KiB on Linux) before it lacks credit does not wait for CREDIT.
    pub window: u64,
    /// Credit in bytes that is granted beyond what the rules ask for, when any is granted: so a
    /// fast stream needs one CREDIT for each `window_ahead` bytes, not one for each message.
    pub window_ahead: u64,
    /// Longest body of a DATA frame in bytes. At least 16,384.
    pub frame_max: u32,
    /// Longest body of any other frame in bytes. At least 16,384.
    pub metadata_max: u32,
    /// Longest message in bytes. At least 65,536.
    pub message_max: u64,
    /// Bytes beyond `window` that all messages in progress on the connection may need together;
    /// large messages wait for their turn beyond it. At least `message_max`.
    pub large_max: u64,
    /// Bytes of output not yet written to the socket, beyond which no frame is added. Exceeded by
    /// one frame at the most.
    pub output_max: usize,
    /// Bytes of messages of one call that wait to be sent, beyond which no further one is taken.
    pub send_queue_max: u64,
    /// Calls of this side that wait for a slot, beyond which no further one is opened.
    pub waiting_max: usize,
    /// From connect to the peer's HELLO. As of all timeouts here, `Duration::MAX` is none.
    pub handshake_timeout: Duration,
    /// From the first byte of a frame to its last.
    pub frame_timeout: Duration,
    /// Output that moves no byte for so long ends the connection.
    pub stall_timeout: Duration,
    /// Send a PING when nothing was read for so long, and give up when nothing was for twice as
    /// long. `None`: never, as the death of a local peer shows.
    pub keepalive: Option<Duration>,
}

impl Limits {
    /// The defaults of a side that takes calls, for an accepting side.
    #[must_use]
    pub const fn accepting() -> Self {
        Self {
            calls_max: 1024,
            window: 256 * 1024,
            window_ahead: 128 * 1024,
            frame_max: 128 * 1024,
            metadata_max: METADATA_LEAST,
            message_max: 4 * 1024 * 1024,
            large_max: 16 * 1024 * 1024,
            output_max: 256 * 1024,
            send_queue_max: 256 * 1024,
            waiting_max: 65_536,
            handshake_timeout: Duration::from_secs(10),
            frame_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(30),
            keepalive: None,
        }
    }

    /// The defaults of a side that takes no calls, for a connecting side.
    #[must_use]
    pub const fn connecting() -> Self {
        Self { calls_max: 0, ..Self::accepting() }
    }

    /// Whether a connection of this side can have these limits.
    ///
    /// # Errors
    /// Names the first limit that is out of its range.
    pub fn validate(&self, side: Side) -> Result<(), LimitError> {
        let calls_least = if side == Side::Accepting { CALLS_LEAST } else { 0 };
        let least: [(&'static str, u64, u64); 6] = [
            ("calls_max", self.calls_max.into(), calls_least.into()),
            ("window", self.window, WINDOW_LEAST),
            ("frame_max", self.frame_max.into(), FRAME_LEAST.into()),
            ("metadata_max", self.metadata_max.into(), METADATA_LEAST.into()),
            ("message_max", self.message_max, MESSAGE_LEAST),
            ("large_max", self.large_max, self.message_max),
        ];
        for (name, value, least) in least {
            if value < least {
                return Err(LimitError::TooSmall { name, value, least });
            }
            // The sum of window, window_ahead and a message must stay a number, too.
            if value >= NUMBER_END / 8 {
                return Err(LimitError::TooLarge { name, value });
            }
        }
        for (name, value) in [("output_max", self.output_max), ("waiting_max", self.waiting_max)] {
            if value == 0 {
                return Err(LimitError::TooSmall { name, value: 0, least: 1 });
            }
        }
        if self.window_ahead >= NUMBER_END / 8 {
            return Err(LimitError::TooLarge { name: "window_ahead", value: self.window_ahead });
        }
        Ok(())
    }
}

/// What the peer accepts: the initial limits, or those of its HELLO.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PeerLimits {
    /// Calls that this side may have open at once.
    pub calls_max: u32,
    /// Credit in bytes with which each call starts.
    pub window: u64,
    /// Longest body of a DATA frame in bytes.
    pub frame_max: u32,
    /// Longest body of any other frame in bytes.
    pub metadata_max: u32,
    /// Longest message in bytes; unknown until HELLO has been read.
    pub message_max: Option<u64>,
    /// Feature bits that the peer offers.
    pub features_offered: u32,
    /// Feature bits that the peer requires.
    pub features_required: u32,
}

impl PeerLimits {
    /// What holds towards `peer` until its HELLO has been read.
    // [HEL-003]
    pub(crate) const fn initial(peer: Side) -> Self {
        Self {
            calls_max: if matches!(peer, Side::Accepting) { CALLS_LEAST } else { 0 },
            window: WINDOW_LEAST,
            frame_max: FRAME_LEAST,
            metadata_max: METADATA_LEAST,
            message_max: None,
            features_offered: 0,
            features_required: 0,
        }
    }

    /// What the HELLO of `peer` says.
    // [HEL-002]
    pub(crate) fn from_hello(hello: &wire::Hello, peer: Side) -> Result<Self, PeerMisbehaved> {
        let initial = Self::initial(peer);
        let stated: [(&'static str, u64, u64); 5] = [
            ("calls_max", hello.calls_max.into(), initial.calls_max.into()),
            ("window", hello.window, WINDOW_LEAST),
            ("frame_max", hello.frame_max.into(), FRAME_LEAST.into()),
            ("metadata_max", hello.metadata_max.into(), METADATA_LEAST.into()),
            ("message_max", hello.message_max, MESSAGE_LEAST),
        ];
        for (name, value, least) in stated {
            if value < least || value >= NUMBER_END {
                return Err(PeerMisbehaved::HelloLimit { name, value, least });
            }
        }
        Ok(Self {
            calls_max: hello.calls_max,
            window: hello.window,
            frame_max: hello.frame_max,
            metadata_max: hello.metadata_max,
            message_max: Some(hello.message_max),
            features_offered: hello.features_offered,
            features_required: hello.features_required,
        })
    }
}

#[cfg(test)]
mod tests;
