//! An observer of both directions: it reads every frame when it moves into an output and again when
//! it reaches the other side, and keeps its own books of credit and of what may still be sent.

use std::collections::BTreeMap;

use bowline_protocol::{
    FrameHeader, FrameType, HEADER_LEN, Limits, PREFACE, Side, WINDOW_LEAST, message_cost, wire,
};
use prost::Message as _;

/// Cuts a stream of bytes into frames.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
    preface: bool,
}

impl Reader {
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<(FrameHeader, Vec<u8>)> {
        self.buffer.extend_from_slice(bytes);
        let mut frames = Vec::new();
        let mut rest = &self.buffer[..];
        if !self.preface && rest.len() >= PREFACE.len() {
            assert_eq!(rest[..PREFACE.len()], PREFACE);
            self.preface = true;
            rest = &rest[PREFACE.len()..];
        }
        while self.preface
            && let Some((header, body)) = rest.split_first_chunk::<HEADER_LEN>()
        {
            let header = FrameHeader::decode(header);
            let Some((body, left)) = body.split_at_checked(header.length as usize) else { break };
            frames.push((header, body.to_vec()));
            rest = left;
        }
        let left = rest.len();
        self.buffer.drain(..self.buffer.len() - left);
        frames
    }

    pub(crate) const fn is_between_frames(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// One direction of one call, named by its sender.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flow {
    /// What the sender's DATA has cost, when it moved into the output and when it arrived.
    pub(crate) spent: u64,
    pub(crate) received: u64,
    /// CREDIT of the receiver, when it moved into the output and when it arrived.
    pub(crate) granted: u64,
    pub(crate) credited: u64,
    inside: [bool; 2],
    ended: [bool; 2],
}

#[derive(Debug, Clone, Default)]
pub(crate) struct WireCall {
    /// By the side that sends.
    pub(crate) flows: [Flow; 2],
    cancelled: bool,
    terminal: bool,
}

/// What one side states in its HELLO and keeps to.
#[derive(Debug, Clone, Copy)]
struct Stated {
    window: u64,
    ahead: u64,
    message_max: u64,
}

#[derive(Debug)]
pub(crate) struct Wire {
    sent: [Reader; 2],
    arrived: [Reader; 2],
    stated: [Stated; 2],
    /// This side's HELLO has moved, has arrived.
    hello: [[bool; 2]; 2],
    highest: [u64; 2],
    goaway: [Option<u64>; 2],
    /// GOAWAY with a code has moved.
    over: [bool; 2],
    pub(crate) calls: BTreeMap<u64, WireCall>,
    /// Frames that moved into an output, by type.
    pub(crate) seen: Vec<(usize, FrameHeader)>,
}

pub(crate) const fn index(side: Side) -> usize {
    match side {
        Side::Connecting => 0,
        Side::Accepting => 1,
    }
}

const fn opener(call: u64) -> usize {
    if call % 2 == 1 { 0 } else { 1 }
}

impl Wire {
    pub(crate) fn new(limits: [&Limits; 2]) -> Self {
        let stated = limits.map(|limits| Stated {
            window: limits.window,
            ahead: limits.window_ahead,
            message_max: limits.message_max,
        });
        Self {
            sent: Default::default(),
            arrived: Default::default(),
            stated,
            hello: [[false; 2]; 2],
            highest: [0; 2],
            goaway: [None; 2],
            over: [false; 2],
            calls: BTreeMap::new(),
            seen: Vec::new(),
        }
    }

    /// The window that the receiver of what `side` sends gives to each call, as `side` knows it.
    fn window(&self, side: usize) -> u64 {
        let known = self.hello[1 - side][1];
        if known { self.stated[1 - side].window } else { WINDOW_LEAST }
    }

    /// One direction of a call, once its REQUEST has moved.
    pub(crate) fn flow(&self, call: u64, sender: usize) -> Option<&Flow> {
        Some(&self.calls.get(&call)?.flows[sender])
    }

    /// Has this side's output been cut inside a frame?
    pub(crate) const fn is_cut(&self, side: usize) -> bool {
        !self.arrived[side].is_between_frames()
    }

    /// Bytes have moved into the output of `side`.
    pub(crate) fn moved(&mut self, side: usize, bytes: &[u8]) {
        for (header, body) in self.sent[side].feed(bytes) {
            self.frame_moved(side, &header, &body);
        }
        assert!(self.sent[side].is_between_frames(), "half a frame moved into the output");
    }

    fn frame_moved(&mut self, side: usize, header: &FrameHeader, body: &[u8]) {
        let kind = FrameType::from_wire(header.kind).expect("no side sends what it does not know");
        let id = header.call;
        assert!(!self.over[side], "{kind:?} after the last GOAWAY");
        assert_eq!(kind != FrameType::Hello, self.hello[side][0], "{kind:?} and HELLO");
        self.seen.push((side, *header));
        match kind {
            FrameType::Hello => self.hello[side][0] = true,
            FrameType::Ping => {}
            FrameType::GoAway => {
                let goaway = wire::GoAway::decode(body).unwrap();
                assert!(self.goaway[side].is_none_or(|last| goaway.last <= last), "GOAWAY rises");
                self.goaway[side] = Some(goaway.last);
                self.over[side] = goaway.code != 0;
            }
            FrameType::Request => {
                assert!(opener(id) == side && id > self.highest[side], "REQUEST {id}");
                self.highest[side] = id;
                self.calls.insert(id, WireCall::default());
            }
            _ => self.call_frame_moved(side, kind, header, body),
        }
    }

    fn call_frame_moved(
        &mut self,
        side: usize,
        kind: FrameType,
        header: &FrameHeader,
        body: &[u8],
    ) {
        let id = header.call;
        let window = self.window(side);
        let stated = self.stated[side];
        let call = self.calls.get_mut(&id).expect("nothing goes out for a call before its REQUEST");
        let caller = opener(id) == side;
        // CAL-005 CAN-001
        let over = if caller { call.cancelled } else { call.terminal };
        assert!(!over, "{kind:?} for call {id} after this side's last frame");
        match kind {
            FrameType::Data => {
                let flow = &mut call.flows[side];
                assert!(!flow.ended[0], "DATA for call {id} after END or FINISH");
                flow.spent += cost(header, &mut flow.inside[0]);
                // CRD-002
                let credit = window + flow.credited;
                assert!(flow.spent <= credit, "call {id}: {} spent of {credit}", flow.spent);
                flow.ended[0] = header.end();
                call.terminal |= header.end() && !caller;
            }
            FrameType::Finish => {
                let flow = &mut call.flows[side];
                assert!(!flow.ended[0] && !flow.inside[0], "FINISH for call {id}");
                flow.ended[0] = true;
            }
            FrameType::Cancel => call.cancelled = true,
            FrameType::Status => call.terminal = true,
            FrameType::Response => {}
            FrameType::Credit => {
                let flow = &mut call.flows[1 - side];
                // CRD-007
                assert!(!flow.ended[1], "CREDIT for call {id} although its END has been read");
                flow.granted += wire::Credit::decode(body).unwrap().bytes;
                let most = (stated.window + stated.ahead).max(message_cost(stated.message_max, 16));
                let granted = stated.window + flow.granted;
                assert!(granted <= flow.received + most, "call {id}: {granted} granted, {flow:?}");
            }
            _ => unreachable!("{kind:?}"),
        }
    }

    /// Bytes of `side` have reached the other one.
    pub(crate) fn reached(&mut self, side: usize, bytes: &[u8]) {
        for (header, body) in self.arrived[side].feed(bytes) {
            match FrameType::from_wire(header.kind) {
                Some(FrameType::Hello) => self.hello[side][1] = true,
                Some(FrameType::Data) => {
                    let Some(call) = self.calls.get_mut(&header.call) else { continue };
                    let flow = &mut call.flows[side];
                    flow.received += cost(&header, &mut flow.inside[1]);
                    flow.ended[1] = header.end();
                    let granted = self.stated[1 - side].window + flow.granted;
                    assert!(flow.received <= granted, "call {}: {flow:?}", header.call);
                }
                Some(FrameType::Finish) => {
                    let Some(call) = self.calls.get_mut(&header.call) else { continue };
                    call.flows[side].ended[1] = true;
                }
                Some(FrameType::Credit) => {
                    let Some(call) = self.calls.get_mut(&header.call) else { continue };
                    call.flows[1 - side].credited += wire::Credit::decode(&body[..]).unwrap().bytes;
                }
                _ => {}
            }
        }
    }

    /// Credit is neither made nor lost on the way: once all has arrived, what was granted is what
    /// the sender has got, and what was spent is what was received.
    pub(crate) fn assert_settled(&self) {
        for (id, call) in &self.calls {
            for flow in &call.flows {
                assert_eq!(flow.granted, flow.credited, "call {id}: credit on the way");
                assert_eq!(flow.spent, flow.received, "call {id}: bytes on the way");
            }
        }
    }

    /// Credit in bytes that `sender` still has on this call, when all has arrived.
    pub(crate) fn credit_left(&self, call: u64, sender: usize) -> Option<u64> {
        let flow = self.flow(call, sender)?;
        Some(self.window(sender) + flow.credited - flow.spent)
    }
}

/// What a DATA frame costs, following which frame is a message's first.
// [CRD-001]
fn cost(header: &FrameHeader, inside: &mut bool) -> u64 {
    let first = !*inside;
    *inside = header.more();
    let body = u64::from(header.length);
    match (first, header.more()) {
        (true, true) => message_cost(body - 8, header.fds),
        (true, false) => message_cost(body, header.fds),
        (false, _) => body,
    }
}

/// A frame as a raw peer writes it.
pub(crate) fn frame(kind: FrameType, flags: u8, call: u64, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    let header = FrameHeader::new(kind, length, call).with_flags(flags);
    [&header.encode()[..], body].concat()
}

/// A control frame as a raw peer writes it.
pub(crate) fn control(kind: FrameType, call: u64, body: &impl prost::Message) -> Vec<u8> {
    frame(kind, 0, call, &body.encode_to_vec())
}

/// A HELLO of the least limits, with calls allowed both ways.
pub(crate) fn hello() -> wire::Hello {
    wire::Hello {
        calls_max: 64,
        window: WINDOW_LEAST,
        frame_max: 16_384,
        metadata_max: 16_384,
        message_max: 65_536,
        ..wire::Hello::default()
    }
}

pub(crate) fn request(call: u64) -> Vec<u8> {
    let body = wire::Request { method: "a.B/C".to_owned(), ..wire::Request::default() };
    control(FrameType::Request, call, &body)
}
