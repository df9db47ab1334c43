//! Frames: the header of 16 bytes, its types and flags, and the checks that need nothing but it.

use crate::Side;
use crate::error::PeerMisbehaved;

/// Length of a frame's header in bytes.
pub const HEADER_LEN: usize = 16;

/// Ids, lengths and sums of credit stay below this, so that languages with only floating point can
/// hold them.
pub const NUMBER_END: u64 = 1 << 53;

/// Most descriptors that a message can carry.
pub const DESCRIPTORS_MAX: u8 = 16;

/// The types of version 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum FrameType {
    /// What the sender accepts; the first frame of each side.
    Hello = 0x01,
    /// A sign of life, or the answer to one.
    Ping = 0x02,
    /// No more calls towards the sender.
    GoAway = 0x03,
    /// Opens a call.
    Request = 0x10,
    /// The call is accepted; initial metadata.
    Response = 0x11,
    /// A message, or a piece of one.
    Data = 0x12,
    /// No more messages from the caller.
    Finish = 0x13,
    /// The end of a call.
    Status = 0x14,
    /// The caller gives the call up.
    Cancel = 0x15,
    /// More bytes may be sent.
    Credit = 0x16,
}

impl FrameType {
    /// All types, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Hello,
        Self::Ping,
        Self::GoAway,
        Self::Request,
        Self::Response,
        Self::Data,
        Self::Finish,
        Self::Status,
        Self::Cancel,
        Self::Credit,
    ];

    /// The type with this number, if version 1 has it.
    #[must_use]
    pub const fn from_wire(number: u8) -> Option<Self> {
        Some(match number {
            0x01 => Self::Hello,
            0x02 => Self::Ping,
            0x03 => Self::GoAway,
            0x10 => Self::Request,
            0x11 => Self::Response,
            0x12 => Self::Data,
            0x13 => Self::Finish,
            0x14 => Self::Status,
            0x15 => Self::Cancel,
            0x16 => Self::Credit,
            _ => return None,
        })
    }

    /// The name that the specification uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hello => "HELLO",
            Self::Ping => "PING",
            Self::GoAway => "GOAWAY",
            Self::Request => "REQUEST",
            Self::Response => "RESPONSE",
            Self::Data => "DATA",
            Self::Finish => "FINISH",
            Self::Status => "STATUS",
            Self::Cancel => "CANCEL",
            Self::Credit => "CREDIT",
        }
    }

    /// The critical flags that frames of this type may have.
    const fn flags(self) -> u8 {
        match self {
            Self::Ping => FLAG_ACK,
            Self::Data => FLAG_MORE | FLAG_END,
            _ => 0,
        }
    }

    /// Frames of this type concern the connection, not a call.
    const fn is_connection_wide(self) -> bool {
        matches!(self, Self::Hello | Self::Ping | Self::GoAway)
    }
}

/// On PING: this is an answer.
pub const FLAG_ACK: u8 = 0x01;
/// On DATA: the message goes on in the call's next DATA.
pub const FLAG_MORE: u8 = 0x01;
/// On DATA: the sender's last message on the call.
pub const FLAG_END: u8 = 0x02;
/// Flags from here on can be ignored by who does not know them.
const FLAGS_CRITICAL: u8 = 0x0f;
/// Types from here on can be ignored by who does not know them.
const TYPES_IGNORABLE: u8 = 0x80;

/// A frame's header, as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FrameHeader {
    /// Length of the body in bytes.
    pub length: u32,
    /// Number of the type; see [`FrameType`].
    pub kind: u8,
    /// Flags; what they mean depends on the type.
    pub flags: u8,
    /// How many descriptors the frame takes.
    pub fds: u8,
    /// Of no meaning.
    // [FRM-004]
    pub reserved: u8,
    /// Id of the call, or 0.
    pub call: u64,
}

impl FrameHeader {
    /// The header of a frame without flags and descriptors.
    #[must_use]
    pub const fn new(kind: FrameType, length: u32, call: u64) -> Self {
        Self { length, kind: kind as u8, flags: 0, fds: 0, reserved: 0, call }
    }

    /// The same with these flags.
    #[must_use]
    pub const fn with_flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    /// The bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4..8].copy_from_slice(&[self.kind, self.flags, self.fds, self.reserved]);
        bytes[8..].copy_from_slice(&self.call.to_le_bytes());
        bytes
    }

    /// The header that these bytes are; any bytes are one.
    #[must_use]
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Self {
        let [l0, l1, l2, l3, kind, flags, fds, reserved, c0, c1, c2, c3, c4, c5, c6, c7] = *bytes;
        Self {
            length: u32::from_le_bytes([l0, l1, l2, l3]),
            kind,
            flags,
            fds,
            reserved,
            call: u64::from_le_bytes([c0, c1, c2, c3, c4, c5, c6, c7]),
        }
    }

    /// Has the flag MORE.
    #[must_use]
    pub const fn more(&self) -> bool {
        self.flags & FLAG_MORE != 0
    }

    /// Has the flag END.
    #[must_use]
    pub const fn end(&self) -> bool {
        self.flags & FLAG_END != 0
    }
}

/// What the checks of a header have to know of its receiver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeaderLimits {
    pub(crate) frame_max: u32,
    pub(crate) metadata_max: u32,
    pub(crate) descriptors: bool,
    /// The side that sent the frame.
    pub(crate) sender: Side,
}

/// What is known of a frame once its header has been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    /// A frame of this type.
    Known(FrameType),
    /// A frame of an unknown type that can be ignored.
    Ignorable,
}

impl FrameHeader {
    /// Makes the checks that need no state, in the order of the specification.
    pub(crate) fn check(&self, limits: &HeaderLimits) -> Result<Checked, PeerMisbehaved> {
        let known = FrameType::from_wire(self.kind);
        // [FRM-001]
        let limit = match known {
            Some(FrameType::Data) | None => limits.frame_max,
            Some(_) => limits.metadata_max,
        };
        if self.length > limit {
            return Err(PeerMisbehaved::FrameTooLong {
                kind: self.kind,
                length: self.length,
                limit,
            });
        }
        // [FRM-002]
        let Some(kind) = known else {
            if self.kind < TYPES_IGNORABLE {
                return Err(PeerMisbehaved::UnknownType { kind: self.kind });
            }
            self.check_descriptors(None, limits)?;
            return Ok(Checked::Ignorable);
        };
        // [FRM-003]
        let critical = self.flags & FLAGS_CRITICAL;
        if critical & !kind.flags() != 0
            || kind == FrameType::Data && critical == FLAG_MORE | FLAG_END
        {
            return Err(PeerMisbehaved::IllegalFlags { kind, flags: self.flags });
        }
        // [FRM-005]
        let legal = if kind.is_connection_wide() {
            self.call == 0
        } else {
            self.call != 0 && self.call < NUMBER_END
        };
        if !legal {
            return Err(PeerMisbehaved::CallIdMisplaced { kind, call: self.call });
        }
        self.check_role(kind, limits.sender)?;
        self.check_descriptors(Some(kind), limits)?;
        Ok(Checked::Known(kind))
    }

    // [FRM-006]
    fn check_role(&self, kind: FrameType, sender: Side) -> Result<(), PeerMisbehaved> {
        let from_caller = Side::of_call(self.call) == sender;
        match kind {
            FrameType::Request if !from_caller => {
                Err(PeerMisbehaved::RequestParity { call: self.call })
            }
            FrameType::Finish | FrameType::Cancel if !from_caller => {
                Err(PeerMisbehaved::WrongRole { kind, call: self.call })
            }
            FrameType::Response | FrameType::Status if from_caller => {
                Err(PeerMisbehaved::WrongRole { kind, call: self.call })
            }
            _ => Ok(()),
        }
    }

    fn check_descriptors(
        &self,
        kind: Option<FrameType>,
        limits: &HeaderLimits,
    ) -> Result<(), PeerMisbehaved> {
        if self.fds == 0 {
            return Ok(());
        }
        // [DSC-001]
        if !limits.descriptors {
            return Err(PeerMisbehaved::DescriptorsNotNegotiated { fds: self.fds });
        }
        // [DSC-002]
        if self.fds > DESCRIPTORS_MAX || kind.is_some_and(|kind| kind != FrameType::Data) {
            return Err(PeerMisbehaved::DescriptorsMisplaced { fds: self.fds });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
