//! What can happen to two connections: their applications' wishes, time, and what the sockets
//! between them do.

use std::time::Duration;

use bowline_protocol::{Limits, Side};
use proptest::collection::vec;
use proptest::prelude::*;

/// How long a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// So many bytes.
    Bytes(u32),
    /// So many more than fit into the initial window with the message's fixed cost.
    Window(i32),
    /// So many more than fit into the least frame.
    Frame(i32),
    /// So many more than the receiver's `message_max`.
    Most(i32),
}

/// One step. `call` counts among the calls that the side knows, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Open {
        side: Side,
        method: u8,
        deadline_ms: Option<u16>,
    },
    OpenMany {
        side: Side,
        count: u8,
    },
    Send {
        side: Side,
        call: u8,
        size: Size,
        last: bool,
        /// Straight into the output, if that is possible.
        at_once: bool,
    },
    Recv {
        side: Side,
        call: u8,
    },
    StopWaiting {
        side: Side,
        call: u8,
    },
    Finish {
        side: Side,
        call: u8,
    },
    Respond {
        side: Side,
        call: u8,
    },
    End {
        side: Side,
        call: u8,
        code: u8,
    },
    Cancel {
        side: Side,
        call: u8,
    },
    Ping {
        side: Side,
    },
    Drain {
        side: Side,
    },
    Abort {
        side: Side,
    },
    Advance {
        ms: u32,
    },
    /// Frames move into the output.
    Poll {
        side: Side,
    },
    /// So many bytes go from the side's output into the pipe.
    Write {
        side: Side,
        bytes: u32,
    },
    /// So many bytes go from the pipe to the side.
    Read {
        side: Side,
        bytes: u32,
    },
    /// All that can goes from this side to the other.
    Flow {
        side: Side,
    },
    Settle {
        side: Side,
    },
    /// The side reads nothing for a while.
    Freeze {
        side: Side,
        on: bool,
    },
    /// What the pipe to this side holds ends after so many bytes, and nothing follows.
    Cut {
        side: Side,
        keep: u32,
    },
    WriteFailed {
        side: Side,
    },
}

const fn side(bit: u32) -> Side {
    if bit & 1 == 0 { Side::Connecting } else { Side::Accepting }
}

impl Op {
    /// Any number is a step; those of low bits are the most usual and the simplest.
    pub(crate) fn decode(n: u32) -> Self {
        let (kind, arg) = (n & 63, n >> 11);
        let side = side(n >> 6);
        // Mostly one of the newest calls.
        let call = [0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 7, 9, 0, 1, 0, 2][(n >> 7 & 15) as usize];
        match kind {
            0..7 => {
                let deadline_ms = (arg & 7 == 0).then_some([0, 1, 5, 20][(arg >> 3 & 3) as usize]);
                Self::Open { side, method: (arg >> 5 & 3) as u8, deadline_ms }
            }
            7..17 => {
                let (last, at_once) = (arg >> 14 & 7 == 0, arg >> 17 & 1 == 0);
                Self::Send { side, call, size: Size::decode(arg), last, at_once }
            }
            17..28 => Self::Recv { side, call },
            28..30 => Self::StopWaiting { side, call },
            30 => Self::Finish { side, call },
            31 => Self::Respond { side, call },
            32..35 => Self::End { side, call, code: (arg & 3) as u8 },
            35..37 => Self::Cancel { side, call },
            37 if arg & 3 == 0 => Self::Ping { side },
            37 => Self::Advance { ms: 1 << (arg >> 2 & 3) },
            38 => Self::decode_rare(side, arg),
            39..45 => Self::Poll { side },
            45..50 => Self::Write { side, bytes: bytes(arg) },
            50..55 => Self::Read { side, bytes: bytes(arg) },
            55..63 => Self::Flow { side },
            _ => Self::Settle { side },
        }
    }

    const fn decode_rare(side: Side, arg: u32) -> Self {
        match arg & 15 {
            0..6 => Self::Drain { side },
            6..10 => Self::Freeze { side, on: arg >> 4 & 1 == 0 },
            10 => Self::OpenMany { side, count: 70 },
            11 | 12 => Self::Cut { side, keep: bytes(arg >> 4) },
            13 => Self::Abort { side },
            14 => Self::WriteFailed { side },
            _ => Self::Advance { ms: if arg >> 4 & 1 == 0 { 1_000 } else { 40_000 } },
        }
    }
}

/// Few bytes or many.
const fn bytes(arg: u32) -> u32 {
    match arg & 3 {
        0 => arg >> 2 & 31,
        1 => arg >> 2 & 1023,
        2 => arg >> 2 & 0x7fff,
        _ => u32::MAX,
    }
}

impl Size {
    const fn decode(arg: u32) -> Self {
        let near = (arg >> 4 & 3) as i32 - 2;
        match arg & 15 {
            0 => Self::Bytes(0),
            1 => Self::Bytes(1),
            2..7 => Self::Bytes(arg >> 4 & 127),
            7 => Self::Bytes(4_094 + (arg >> 4 & 3)),
            8..10 => Self::Bytes((arg >> 4 & 7) * 4_096),
            10 => Self::Frame(near),
            11..13 => Self::Window(near),
            13 => Self::Bytes(66_000 + (arg >> 4 & 63) * 512),
            14 => Self::Most(0),
            _ => Self::Most(near),
        }
    }

    pub(crate) fn bytes(self, message_max: u64) -> usize {
        let near = |to: usize, by: i32| to.saturating_add_signed(by as isize);
        match self {
            Self::Bytes(bytes) => bytes as usize,
            Self::Window(by) => near(65_536 - 16, by),
            Self::Frame(by) => near(16_384, by),
            Self::Most(by) => near(usize::try_from(message_max).unwrap(), by),
        }
    }
}

/// What the two connections are, and what lies between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) limits: u32,
    /// What the pipe of each direction holds.
    pub(crate) pipe: usize,
    /// At the end the applications first wait on one call at a time.
    pub(crate) one_at_a_time: bool,
    /// The handshake is done when the operations begin.
    pub(crate) established: bool,
}

impl Setting {
    fn decode(n: u32) -> Self {
        Self {
            limits: n >> 8,
            pipe: [1 << 20, 1 << 20, 4_096, 64][(n & 3) as usize],
            one_at_a_time: n >> 2 & 1 == 1,
            established: n >> 3 & 3 != 0,
        }
    }

    /// The limits of one side: the least, or a little more.
    pub(crate) fn limits(self, side: Side) -> Limits {
        let bits = self.limits >> if side == Side::Connecting { 0 } else { 12 };
        let pick = |shift: u32, of: [u64; 4]| of[(bits >> shift & 3) as usize];
        let hour = Duration::from_secs(3_600);
        let message_max = pick(0, [65_536, 100_000, 150_000, 200_000]);
        Limits {
            calls_max: match side {
                Side::Connecting => [0, 1, 2, 64][(bits >> 2 & 3) as usize],
                Side::Accepting => 64,
            },
            window: pick(4, [65_536, 65_536, 70_000, 131_072]),
            window_ahead: pick(4, [0, 131_072, 0, 0]),
            frame_max: pick(6, [16_384, 16_384, 20_000, 131_072]) as u32,
            message_max,
            large_max: message_max,
            output_max: [1, 256, 256, 65_536][(bits >> 8 & 3) as usize],
            send_queue_max: pick(10, [0, 65_536, 65_536, 1 << 20]),
            waiting_max: if bits >> 10 & 3 == 0 { 3 } else { 65_536 },
            handshake_timeout: hour,
            frame_timeout: hour,
            ..Limits::accepting()
        }
    }
}

/// As [`schedule`], with large messages on few calls, and nothing that ends them early.
pub(crate) fn large_messages(most: usize) -> impl Strategy<Value = (Setting, Vec<Op>)> {
    schedule(most).prop_map(|(mut setting, mut ops)| {
        // The middle of the least limits: no window ahead, which would make large grants rare.
        setting.limits &= !(0x30 | 0x30 << 12);
        let mut opened = 0;
        ops.retain_mut(|op| match op {
            Op::Open { deadline_ms, .. } => {
                *deadline_ms = None;
                opened += 1;
                opened <= 5
            }
            Op::Send { size: size @ Size::Bytes(..127), .. } => {
                *size = Size::Most(-1);
                true
            }
            Op::Recv { .. } | Op::StopWaiting { .. } | Op::Flow { .. } | Op::Send { .. } => true,
            Op::Poll { .. } | Op::Write { .. } | Op::Read { .. } | Op::Settle { .. } => true,
            Op::End { call, .. } | Op::Cancel { call, .. } => *call > 4,
            _ => false,
        });
        (setting, ops)
    })
}

/// A setting and what happens in it.
pub(crate) fn schedule(most: usize) -> impl Strategy<Value = (Setting, Vec<Op>)> {
    let ops = vec(any::<u32>(), 1..most);
    (any::<u32>(), ops).prop_map(|(setting, ops)| {
        (Setting::decode(setting), ops.into_iter().map(Op::decode).collect())
    })
}
