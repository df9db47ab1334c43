//! What a peer has sent, call by call, and whether it was allowed to: a peer under test is held to
//! the rules in every case, whatever the case is about.

use std::collections::{BTreeMap, VecDeque};

use bowline_protocol::wire::{self, Code};
use bowline_protocol::{
    ErrorCode, FLAG_ACK, FLAG_END, FLAG_MORE, FrameType, MESSAGE_COST, NUMBER_END, Side,
};
use bytes::{Buf, Bytes, BytesMut};

use crate::frames::Frame;

/// A rule that the peer has broken: its requirement, and what it did.
pub(crate) type Breach = (&'static str, String);

/// What a call has brought from the peer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CallEvent {
    Response(wire::Response),
    Message(Bytes),
    /// The caller has sent its last message, or FINISH.
    Finished,
    Cancelled,
    /// The terminal frame.
    End(wire::Status),
}

/// One call, as far as the peer's frames have shown it.
#[derive(Debug)]
struct Call {
    /// Not yet looked at by the script.
    events: VecDeque<CallEvent>,
    /// What the peer has granted beyond its window.
    granted: u64,
    /// What the kit has sent of its own credit, and whether it is inside a message.
    used: u64,
    cutting: bool,
    /// What the peer may still send.
    credit: u64,
    /// Announced length and bytes of a message that came in pieces.
    partial: Option<(u64, BytesMut)>,
    answered: bool,
    finished: bool,
    ended: bool,
    /// The kit has ended it: what the peer still sends crosses that.
    over: bool,
}

/// What the peer has said on the connection.
#[derive(Debug)]
pub(crate) struct Observer {
    /// The kit's side.
    side: Side,
    pub(crate) ours: wire::Hello,
    pub(crate) theirs: Option<wire::Hello>,
    calls: BTreeMap<u64, Call>,
    /// Names of the methods that the peer has numbered.
    methods: BTreeMap<u32, String>,
    /// Calls that the peer has opened and the script has not looked at.
    arrivals: VecDeque<(u64, wire::Request)>,
    /// Highest id that each side has used.
    opened: u64,
    accepted: u64,
    /// Answers to PINGs of the kit's that the script has not looked at.
    pub(crate) pongs: VecDeque<u64>,
    /// PINGs that are to be answered.
    pub(crate) pings: VecDeque<[u8; 8]>,
    pub(crate) goaways: VecDeque<wire::GoAway>,
    pub(crate) breach: Option<Breach>,
}

impl Observer {
    pub(crate) fn new(side: Side) -> Self {
        Self {
            side,
            ours: match side {
                Side::Connecting => crate::frames::hello(),
                // [HEL-003]
                Side::Accepting => least(),
            },
            theirs: None,
            calls: BTreeMap::new(),
            methods: BTreeMap::new(),
            arrivals: VecDeque::new(),
            opened: 0,
            accepted: 0,
            pongs: VecDeque::new(),
            pings: VecDeque::new(),
            goaways: VecDeque::new(),
            breach: None,
        }
    }

    /// The kit has sent this frame.
    pub(crate) fn sent(&mut self, frame: &Frame) {
        let id = frame.header.call;
        match frame.kind() {
            Some(FrameType::Hello) => {
                if let Some(hello) = frame.decode::<wire::Hello>() {
                    // [HEL-004]
                    let gained = hello.window.saturating_sub(self.ours.window);
                    self.calls.values_mut().for_each(|call| call.credit += gained);
                    self.ours = hello;
                }
            }
            Some(FrameType::Request) => {
                self.opened = self.opened.max(id);
                let window = self.ours.window;
                self.calls.entry(id).or_insert_with(|| Call::new(window));
            }
            Some(FrameType::Credit) => {
                if let (Some(call), Some(credit)) =
                    (self.calls.get_mut(&id), frame.decode::<wire::Credit>())
                {
                    call.credit = call.credit.saturating_add(credit.bytes);
                }
            }
            Some(FrameType::Data) => {
                let ends = frame.header.end() && !self.is_ours(id);
                if let Some(call) = self.calls.get_mut(&id) {
                    call.used += call.cost_of(frame);
                    call.cutting = frame.header.more();
                    call.over |= ends;
                }
            }
            Some(FrameType::Status) => {
                if let Some(call) = self.calls.get_mut(&id) {
                    call.over = true;
                }
            }
            _ => {}
        }
    }

    /// Credit that the kit has on a call.
    pub(crate) fn credit(&self, id: u64) -> u64 {
        let window = self.theirs.as_ref().map_or(65_536, |hello| hello.window);
        self.calls.get(&id).map_or(0, |call| (window + call.granted).saturating_sub(call.used))
    }

    /// The next thing that a call has brought.
    pub(crate) fn next(&mut self, id: u64) -> Option<CallEvent> {
        self.calls.get_mut(&id)?.events.pop_front()
    }

    pub(crate) fn first(&self, id: u64) -> Option<&CallEvent> {
        self.calls.get(&id)?.events.front()
    }

    pub(crate) fn granted(&self, id: u64) -> u64 {
        self.calls.get(&id).map_or(0, |call| call.granted)
    }

    /// The next call that the peer has opened.
    pub(crate) fn next_call(&mut self) -> Option<(u64, wire::Request)> {
        self.arrivals.pop_front()
    }

    /// Calls with something that the script has not looked at.
    pub(crate) fn unexpected(&self) -> Option<(u64, &CallEvent)> {
        self.calls.iter().find_map(|(id, call)| Some((*id, call.events.front()?)))
    }

    /// The kit's side has opened this call.
    const fn is_ours(&self, id: u64) -> bool {
        (id % 2 == 1) == matches!(self.side, Side::Connecting)
    }

    /// A frame has arrived.
    pub(crate) fn arrived(&mut self, frame: &Frame) {
        if let Err(breach) = self.take(frame) {
            self.breach.get_or_insert(breach);
        }
    }

    fn take(&mut self, frame: &Frame) -> Result<(), Breach> {
        let Some(kind) = self.check_header(frame)? else { return Ok(()) };
        match kind {
            FrameType::Hello => self.on_hello(frame),
            FrameType::Ping => self.on_ping(frame),
            FrameType::GoAway => self.on_goaway(frame),
            _ => self.on_call(kind, frame),
        }
    }

    /// The type of the frame; none if it is one that is to be ignored.
    fn check_header(&self, frame: &Frame) -> Result<Option<FrameType>, Breach> {
        let header = &frame.header;
        let Some(kind) = frame.kind() else {
            if header.kind < 0x80 {
                return Err(("FRM-002", format!("sent a frame of type {:#04x}", header.kind)));
            }
            return Ok(None);
        };
        let limit = match kind {
            FrameType::Data => self.ours.frame_max,
            _ => self.ours.metadata_max,
        };
        if header.length > limit {
            return Err(("FRM-001", format!("sent {} bytes, over {limit}", header.length)));
        }
        let allowed = match kind {
            FrameType::Ping => FLAG_ACK,
            FrameType::Data => FLAG_MORE | FLAG_END,
            _ => 0,
        };
        let flags = header.flags & 0x0f;
        if flags & !allowed != 0 || kind == FrameType::Data && flags == FLAG_MORE | FLAG_END {
            return Err(("FRM-003", format!("sent {} with flags {flags:#04x}", kind.name())));
        }
        let connection = matches!(kind, FrameType::Hello | FrameType::Ping | FrameType::GoAway);
        if connection != (header.call == 0) || header.call >= NUMBER_END {
            return Err(("FRM-005", format!("sent {} for call {}", kind.name(), header.call)));
        }
        if header.fds != 0 {
            return Err(("DSC-001", format!("sent {} with descriptors", kind.name())));
        }
        if self.theirs.is_none() && kind != FrameType::Hello && kind != FrameType::GoAway {
            return Err(("HEL-001", format!("sent {} before HELLO", kind.name())));
        }
        Ok(Some(kind))
    }

    fn on_hello(&mut self, frame: &Frame) -> Result<(), Breach> {
        let hello: wire::Hello = decoded(frame)?;
        if self.theirs.is_some() {
            return Err(("HEL-001", "sent a second HELLO".into()));
        }
        let least = [
            ("window", hello.window, 65_536),
            ("frame_max", u64::from(hello.frame_max), 16_384),
            ("metadata_max", u64::from(hello.metadata_max), 16_384),
            ("message_max", hello.message_max, 65_536),
            (
                "calls_max",
                u64::from(hello.calls_max),
                if self.side == Side::Connecting { 64 } else { 0 },
            ),
        ];
        for (name, value, least) in least {
            if value < least || value >= NUMBER_END {
                return Err(("HEL-002", format!("HELLO says {name} = {value}")));
            }
        }
        self.theirs = Some(hello);
        Ok(())
    }

    fn on_ping(&mut self, frame: &Frame) -> Result<(), Breach> {
        let bytes: [u8; 8] = frame.body[..]
            .try_into()
            .map_err(|_| ("PNG-001", format!("sent a PING of {} bytes", frame.body.len())))?;
        if frame.header.flags & FLAG_ACK != 0 {
            self.pongs.push_back(u64::from_le_bytes(bytes));
        } else {
            self.pings.push_back(bytes);
        }
        Ok(())
    }

    fn on_goaway(&mut self, frame: &Frame) -> Result<(), Breach> {
        let goaway: wire::GoAway = decoded(frame)?;
        if goaway.last >= NUMBER_END {
            return Err(("GOA-003", format!("GOAWAY says last = {}", goaway.last)));
        }
        if let Some(before) = self.goaways.back().filter(|before| before.last < goaway.last) {
            let text = format!("GOAWAY says last = {} after {}", goaway.last, before.last);
            return Err(("GOA-003", text));
        }
        let known = i32::try_from(goaway.code).is_ok_and(|code| ErrorCode::try_from(code).is_ok());
        if !known {
            return Err(("ERR-001", format!("GOAWAY has the unknown code {}", goaway.code)));
        }
        self.goaways.push_back(goaway);
        Ok(())
    }

    fn on_call(&mut self, kind: FrameType, frame: &Frame) -> Result<(), Breach> {
        let id = frame.header.call;
        let theirs = !self.is_ours(id);
        if kind == FrameType::Request {
            return self.on_request(id, theirs, decoded(frame)?);
        }
        let highest = if theirs { self.accepted } else { self.opened };
        if id > highest {
            return Err(("CAL-002", format!("sent {} for call {id}, never opened", kind.name())));
        }
        let Some(call) = self.calls.get_mut(&id) else { return Ok(()) };
        call.take(kind, theirs, frame)
    }

    fn on_request(&mut self, id: u64, theirs: bool, mut body: wire::Request) -> Result<(), Breach> {
        if !theirs || id <= self.accepted {
            return Err(("CAL-001", format!("sent REQUEST {id} after {}", self.accepted)));
        }
        check_metadata(&body.metadata, self.ours.metadata_max)?;
        let open = self.calls.iter().filter(|(id, call)| !self.is_ours(**id) && !call.over);
        if open.count() >= self.ours.calls_max as usize {
            return Err(("SLT-002", format!("sent REQUEST {id} without a free slot")));
        }
        self.resolve(&mut body)?;
        self.accepted = id;
        self.calls.insert(id, Call::new(self.ours.window));
        self.arrivals.push_back((id, body));
        Ok(())
    }
}

impl Observer {
    /// Puts in the name that a number stands for.
    // [MTH-001] [MTH-002]
    fn resolve(&mut self, request: &mut wire::Request) -> Result<(), Breach> {
        let (name, number) = (&request.method, request.method_number);
        if number > 1023 || number == 0 && name.is_empty() || name.len() > 1024 {
            return Err(("MTH-001", format!("sent REQUEST {name:?} with number {number}")));
        }
        if number == 0 {
            return Ok(());
        }
        let bound = self.methods.get(&number);
        match (bound, name.is_empty()) {
            (Some(bound), true) => request.method.clone_from(bound),
            (None, false) => {
                self.methods.insert(number, name.clone());
            }
            (Some(_), false) => return Err(("MTH-002", format!("bound number {number} twice"))),
            (None, true) => return Err(("MTH-002", format!("sent the unbound number {number}"))),
        }
        Ok(())
    }
}

impl Call {
    fn new(credit: u64) -> Self {
        Self {
            events: VecDeque::new(),
            granted: 0,
            used: 0,
            cutting: false,
            credit,
            partial: None,
            answered: false,
            finished: false,
            ended: false,
            over: false,
        }
    }

    /// What a DATA frame of the kit's costs.
    fn cost_of(&self, frame: &Frame) -> u64 {
        let length = frame.body.len() as u64;
        match (self.cutting, frame.header.more()) {
            (true, _) => length,
            (false, true) => MESSAGE_COST + length.saturating_sub(8),
            (false, false) => MESSAGE_COST + length,
        }
    }

    /// A frame of the peer's, which is the caller if the call is `theirs`.
    fn take(&mut self, kind: FrameType, theirs: bool, frame: &Frame) -> Result<(), Breach> {
        if self.over {
            return Ok(());
        }
        if self.ended && !theirs {
            return Err(("CAL-005", format!("sent {} after the terminal frame", kind.name())));
        }
        match (kind, theirs) {
            (FrameType::Data, _) => self.on_data(theirs, frame)?,
            (FrameType::Credit, _) => {
                let credit: wire::Credit = decoded(frame)?;
                if credit.bytes == 0 {
                    return Err(("CRD-002", "sent a CREDIT of 0".into()));
                }
                self.granted = self.granted.saturating_add(credit.bytes);
            }
            (FrameType::Response, false) => {
                let response: wire::Response = decoded(frame)?;
                if std::mem::replace(&mut self.answered, true) {
                    return Err(("CAL-006", "sent RESPONSE twice, or after DATA".into()));
                }
                self.events.push_back(CallEvent::Response(response));
            }
            (FrameType::Status, false) => {
                let status: wire::Status = decoded(frame)?;
                if self.partial.is_some() && status.code == Code::Ok as u32 {
                    return Err(("STA-001", "sent STATUS OK inside a message".into()));
                }
                self.ended = true;
                self.events.push_back(CallEvent::End(status));
            }
            (FrameType::Finish, true) => {
                if self.finished || self.partial.is_some() {
                    return Err(("MSG-006", "sent FINISH after END, or inside a message".into()));
                }
                self.finished = true;
                self.events.push_back(CallEvent::Finished);
            }
            (FrameType::Cancel, true) => {
                self.finished = true;
                self.events.push_back(CallEvent::Cancelled);
            }
            _ => return Err(("FRM-006", format!("sent {} in the wrong role", kind.name()))),
        }
        Ok(())
    }

    fn on_data(&mut self, theirs: bool, frame: &Frame) -> Result<(), Breach> {
        if self.finished {
            return Err(("MSG-006", "sent DATA after END, FINISH or CANCEL".into()));
        }
        let (more, end) = (frame.header.more(), frame.header.end());
        let mut body = frame.body.clone();
        self.answered = true;
        let mut cost = 0;
        let mut partial = match self.partial.take() {
            Some(partial) => Some(partial),
            None if more => {
                cost = MESSAGE_COST;
                if body.len() <= 8 {
                    return Err(("MSG-002", "sent a piece without a byte of the message".into()));
                }
                Some((body.get_u64_le(), BytesMut::new()))
            }
            None => {
                cost = MESSAGE_COST;
                None
            }
        };
        cost += body.len() as u64;
        self.credit = self
            .credit
            .checked_sub(cost)
            .ok_or_else(|| ("CRD-002", format!("sent {cost} with {} of credit", self.credit)))?;
        let message = match partial.as_mut() {
            None => body,
            Some((length, bytes)) => {
                bytes.extend_from_slice(&body);
                let (length, arrived) = (*length, bytes.len() as u64);
                if body.is_empty() || arrived > length || more == (arrived == length) {
                    let text = format!("sent {arrived} of {length} bytes, MORE = {more}");
                    return Err(("MSG-003", text));
                }
                if more {
                    self.partial = partial;
                    return Ok(());
                }
                bytes.split().freeze()
            }
        };
        self.events.push_back(CallEvent::Message(message));
        if end && theirs {
            self.finished = true;
            self.events.push_back(CallEvent::Finished);
        } else if end {
            self.ended = true;
            self.events.push_back(CallEvent::End(wire::Status::default()));
        }
        Ok(())
    }
}

/// The initial limits.
fn least() -> wire::Hello {
    wire::Hello {
        calls_max: 64,
        window: 65_536,
        frame_max: 16_384,
        metadata_max: 16_384,
        message_max: NUMBER_END - 1,
        ..wire::Hello::default()
    }
}

fn decoded<M: prost::Message + Default>(frame: &Frame) -> Result<M, Breach> {
    let name = frame.kind().map_or("a frame", FrameType::name);
    frame.decode().ok_or_else(|| ("FRM-007", format!("sent {name} that does not decode")))
}

fn check_metadata(entries: &[wire::MetadataEntry], limit: u32) -> Result<(), Breach> {
    let mut count = 0;
    for wire::MetadataEntry { key, value } in entries {
        count += 32 + key.len() + value.len();
        let good = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'_' | b'-' | b'.');
        if key.is_empty() || key.len() > 256 || !key.bytes().all(good) {
            return Err(("MET-001", format!("sent the metadata key {key:?}")));
        }
        let printable = value.iter().all(|byte| (0x20..=0x7e).contains(byte));
        if !key.ends_with("-bin") && !printable {
            return Err(("MET-002", format!("sent bytes in the metadata {key:?}")));
        }
    }
    if count > limit as usize {
        return Err(("MET-003", format!("sent metadata of {count}, over {limit}")));
    }
    Ok(())
}
