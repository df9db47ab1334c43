//! Two real connections, the pipes between them, and applications that do as they are told. After
//! every step everything that must always hold is checked.

mod finale;

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bowline_protocol::{
    CallId, Code, Config, Connection, ConnectionError, ErrorCode, Event, FrameType, HEADER_LEN,
    Metadata, Open, OpenError, Outbound, Recv, SendError, Side, Status, StopReason, TimedOut,
    WINDOW_LEAST,
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::encoding::{DecodeContext, WireType};
use prost::{DecodeError, Message};

use crate::model::{CallerEnd, Handler, Model};
use crate::op::{Op, Setting, Size};
use crate::wire::{Wire, index};

const METHODS: [&str; 4] = ["a.B/C", "a.B/D", "long.package.name.Service/Method", "x"];
/// The longest frame of a message: a piece, its announced length, its header.
const FRAME_MOST: usize = 64 * 1024 + 512 + 8 + HEADER_LEN;
pub(crate) const SIDES: [Side; 2] = [Side::Connecting, Side::Accepting];

/// Bytes of which messages are made, so that no two are alike.
static NOISE: LazyLock<Bytes> = LazyLock::new(|| {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..64 * 1024).flat_map(next).collect::<Vec<u8>>().into()
});

/// A message that is its own encoding.
#[derive(Debug, Default)]
struct Raw(Bytes);

impl Message for Raw {
    fn encode_raw(&self, out: &mut impl BufMut) {
        out.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        _: u32,
        _: WireType,
        _: &mut impl Buf,
        _: DecodeContext,
    ) -> Result<(), DecodeError> {
        unreachable!("it is only sent")
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// An application's view of one call.
#[derive(Debug, Clone, Copy, Default)]
struct Handle {
    waiting: bool,
    blocked: bool,
    /// The responder was told that the caller has finished.
    finished: bool,
    /// This side has said that it sends no more.
    closed: bool,
}

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) core: Connection,
    pub(crate) out: Outbound,
    /// Written to and not yet read from, by the other side.
    pipe: BytesMut,
    /// Nothing follows what the pipe holds.
    ended: bool,
    /// What was read and not taken.
    input: BytesMut,
    frozen: bool,
    eof_read: bool,
    closed: Option<Option<ConnectionError>>,
    goaway: Option<u64>,
    /// Bytes that have moved into the output, all told.
    moved: u64,
    pings: (u64, u64),
    calls: BTreeMap<CallId, Handle>,
}

#[derive(Debug)]
pub(crate) struct Sut {
    pub(crate) now: Instant,
    pub(crate) peers: [Peer; 2],
    pub(crate) model: Model,
    pub(crate) wire: Wire,
    setting: Setting,
    sent: usize,
    drained: [bool; 2],
    pub(crate) covered: BTreeMap<&'static str, u64>,
}

impl Sut {
    pub(crate) fn new(setting: Setting) -> Self {
        let configs = SIDES.map(|side| {
            let mut config = Config::new(side);
            config.limits = setting.limits(side);
            config
        });
        Self::with(setting, configs)
    }

    pub(crate) fn with(setting: Setting, configs: [Config; 2]) -> Self {
        let start = Instant::now();
        let wire = Wire::new([&configs[0].limits, &configs[1].limits]);
        let mut model = Model::default();
        model.world.no_calls = [0, 1].map(|i| configs[i].limits.calls_max == 0);
        let peers = configs.map(|config| Peer {
            core: Connection::new(config, start).expect("the limits are in range"),
            out: Outbound::new(),
            pipe: BytesMut::new(),
            ended: false,
            input: BytesMut::new(),
            frozen: false,
            eof_read: false,
            closed: None,
            goaway: None,
            moved: 0,
            pings: (0, 0),
            calls: BTreeMap::new(),
        });
        let mut sut = Self {
            now: start,
            peers,
            model,
            wire,
            setting,
            sent: 0,
            drained: [false; 2],
            covered: BTreeMap::new(),
        };
        if setting.established {
            sut.flow_all();
        }
        sut
    }

    pub(crate) fn run(setting: Setting, ops: &[Op]) -> Self {
        let mut sut = Self::new(setting);
        for op in ops {
            sut.apply(*op);
        }
        sut.finale();
        sut
    }

    pub(crate) fn cover(&mut self, what: &'static str) {
        *self.covered.entry(what).or_default() += 1;
    }

    pub(crate) fn apply(&mut self, op: Op) {
        match op {
            Op::Open { side, method, deadline_ms } => {
                self.open(index(side), usize::from(method), deadline_ms);
            }
            Op::OpenMany { side, count } => {
                for _ in 0..count {
                    self.open(index(side), 0, None);
                }
            }
            Op::Send { side, call, size, last, at_once } => {
                self.pick(side, call, |sut, s, id| sut.send(s, id, size, last, at_once));
            }
            Op::Recv { side, call } => self.pick(side, call, |sut, s, id| {
                sut.recv(s, id);
            }),
            Op::StopWaiting { side, call } => self.pick(side, call, Self::stop_waiting),
            Op::Finish { side, call } => self.pick(side, call, Self::finish),
            Op::Respond { side, call } => self.pick(side, call, Self::respond),
            Op::End { side, call, code } => {
                let code = [Code::Ok, Code::Ok, Code::Aborted, Code::Unknown][usize::from(code)];
                self.pick(side, call, |sut, s, id| sut.end(s, id, code));
            }
            Op::Cancel { side, call } => self.pick(side, call, Self::cancel),
            Op::Ping { side } => {
                let peer = &mut self.peers[index(side)];
                peer.pings.0 = peer.core.ping();
            }
            Op::Drain { side } => self.drain(index(side)),
            Op::Abort { side } => {
                self.model.world.broken = true;
                self.peers[index(side)].core.abort(ErrorCode::Internal, "abort", self.now);
            }
            Op::Advance { ms } => self.advance(Duration::from_millis(ms.into())),
            Op::Poll { side } => self.poll(index(side)),
            Op::Write { side, bytes } => {
                self.write(index(side), bytes as usize);
            }
            Op::Read { side, bytes } => {
                if !self.peers[index(side)].frozen {
                    self.read(index(side), bytes as usize);
                }
            }
            Op::Flow { side } => {
                let s = index(side);
                self.poll(s);
                self.write(s, usize::MAX);
                if !self.peers[1 - s].frozen {
                    self.read(1 - s, usize::MAX);
                }
            }
            Op::Settle { side } => self.peers[index(side)].core.settle(),
            Op::Freeze { side, on } => self.peers[index(side)].frozen = on,
            Op::Cut { side, keep } => self.cut(index(side), keep as usize),
            Op::WriteFailed { side } => {
                let s = index(side);
                self.model.world.broken = true;
                self.peers[s].ended = true;
                self.peers[s].core.handle_write_failed(self.now);
            }
        }
        self.after_step();
        (0..2).for_each(|s| self.cover_large(s));
    }

    fn pick(&mut self, side: Side, call: u8, act: impl FnOnce(&mut Self, usize, CallId)) {
        let calls = &self.peers[index(side)].calls;
        if calls.is_empty() {
            return;
        }
        let nth = usize::from(call) % calls.len();
        let id = *calls.keys().rev().nth(nth).expect("there are more");
        act(self, index(side), id);
    }

    pub(crate) fn open(
        &mut self,
        s: usize,
        method: usize,
        deadline: Option<u16>,
    ) -> Option<CallId> {
        let method = METHODS[method];
        let deadline = deadline.map(|ms| self.now + Duration::from_millis(ms.into()));
        let open = Open::new(method).with_deadline(deadline);
        let peer = &mut self.peers[s];
        match peer.core.open(open, self.now) {
            Ok(id) => {
                assert!(peer.closed.is_none() && peer.goaway.is_none(), "opened {id} too late");
                self.model.opened(id.number(), s, method, deadline);
                self.peers[s].calls.insert(id, Handle::default());
                return Some(id);
            }
            Err(OpenError::Connection(ConnectionError::Draining)) => {
                assert!(peer.goaway.is_some());
            }
            Err(OpenError::Connection(_)) => {
                assert!(self.model.world.broken || self.model.world.draining);
            }
            Err(OpenError::NoCalls) => assert!(self.model.world.no_calls[1 - s]),
            Err(OpenError::TooManyWaiting { .. }) => self.cover("too many calls wait"),
            Err(error) => panic!("{error}"),
        }
        None
    }

    fn payload(&mut self, bytes: usize) -> Bytes {
        self.sent += 1;
        let at = self.sent * 7_919 % (NOISE.len() - bytes);
        NOISE.slice(at..at + bytes)
    }

    pub(crate) fn send(&mut self, s: usize, id: CallId, size: Size, last: bool, at_once: bool) {
        let message_max = self.peers[1 - s].core.limits().message_max;
        let payload = self.payload(size.bytes(message_max));
        let length = payload.len() as u64;
        if at_once {
            let peer = &mut self.peers[s];
            peer.core.transmit_requests(&mut peer.out, self.now);
            self.moved(s);
        }
        let peer = &mut self.peers[s];
        let knows = peer.core.peer_limits().message_max.is_some();
        let mut call = peer.core.call(id).expect("a call that the application holds");
        let had_room = call.has_room();
        let result = if at_once {
            call.send_message(&Raw(payload.clone()), last, &mut peer.out)
        } else {
            call.send(payload.clone(), last)
        };
        if self.moved(s) > 0 {
            self.cover("message sent at once");
        }
        let handle = self.peers[s].calls.get_mut(&id).expect("held");
        match result {
            Ok(()) => {
                assert!(had_room && !handle.closed, "call {id}");
                handle.closed |= last;
                let pair = self.model.pair(id.number());
                pair.oversize[s] |= length > message_max;
                let is_caller = pair.opener == s;
                pair.streams[s].queue.push_back(payload);
                pair.streams[s].closed |= last;
                if length + 16 > WINDOW_LEAST {
                    self.cover("message larger than the window");
                }
                if last && !is_caller {
                    self.handler_done(s, id, Code::Ok);
                }
            }
            Err(SendError::Full) => {
                assert!(!had_room || at_once && length < 4_096, "call {id}");
                handle.blocked = true;
                self.cover("queue of a call full");
            }
            Err(SendError::TooLong { .. }) => assert!(knows && length > message_max),
            Err(SendError::Closed) => {
                let pair = self.model.pair(id.number());
                let live = if pair.opener == s {
                    pair.caller == CallerEnd::Open
                } else {
                    pair.handler == Handler::Running
                };
                // A caller whose call has ended may not have been told.
                let over = pair.opener == s && pair.handler != Handler::Running;
                let ended = over || pair.deadline.is_some() || self.model.world.broken;
                let too_long = self.model.pair(id.number()).oversize[1 - s];
                let handle = self.peers[s].calls[&id];
                assert!(handle.closed || !live || ended || too_long, "call {id} takes no message");
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Takes what the call has; true if it was something.
    pub(crate) fn recv(&mut self, s: usize, id: CallId) -> bool {
        let peer = &mut self.peers[s];
        let mut call = peer.core.call(id).expect("a call that the application holds");
        let got = call.recv();
        let handle = peer.calls.get_mut(&id).expect("held");
        handle.waiting = got == Recv::Pending;
        match got {
            Recv::Message(message) => {
                self.model.delivered(id.number(), s, &message.payload);
                return true;
            }
            Recv::Pending => {}
            Recv::Finished => {
                self.model.finished(id.number());
                handle.finished = true;
            }
            Recv::Ended(status) => {
                if self.model.pair(id.number()).opener == s {
                    self.model.caller_ended(id.number(), &status, self.now);
                    assert!(peer.core.call(id).is_none(), "call {id} has ended and was told so");
                    peer.calls.remove(&id);
                    self.assert_not_refused(s, id, &status);
                    self.cover_end(id, &status);
                    return true;
                }
                let handler = self.model.pair(id.number()).handler;
                assert!(matches!(handler, Handler::Stopped(_)), "call {id}: {handler:?}, {status}");
            }
            other => panic!("{other:?}"),
        }
        false
    }

    /// A drain refuses no call whose REQUEST has left before its caller heard of it, unless the
    /// caller drains, too.
    // [GOA-003]
    fn assert_not_refused(&self, s: usize, id: CallId, status: &Status) {
        let refused = status.code() == Code::Unavailable && status.not_started();
        if refused && self.wire.calls.contains_key(&id.number()) && !self.model.world.broken {
            assert!(self.drained[s], "call {id} was refused");
        }
    }

    fn cover_end(&mut self, id: CallId, status: &Status) {
        let handler = self.model.pair(id.number()).handler;
        let done = matches!(handler, Handler::Done { .. });
        match (status.code(), status.not_started()) {
            (Code::DeadlineExceeded, true) => self.cover("deadline before the start"),
            (Code::DeadlineExceeded, false) => self.cover("deadline at the caller"),
            (Code::Unavailable, true) => self.cover("call refused"),
            (Code::Unavailable, false) => self.cover("call lost"),
            (Code::ResourceExhausted, _) => self.cover("message too long"),
            (Code::Unimplemented, _) => self.cover("peer takes no calls"),
            (Code::Ok, _) => self.cover("call succeeded"),
            _ if done => self.cover("handler failed"),
            _ => panic!("call {id}: {status}"),
        }
    }

    fn stop_waiting(&mut self, s: usize, id: CallId) {
        let peer = &mut self.peers[s];
        peer.core.call(id).expect("held").stop_waiting();
        peer.calls.get_mut(&id).expect("held").waiting = false;
    }

    fn finish(&mut self, s: usize, id: CallId) {
        self.peers[s].core.call(id).expect("held").finish();
        let pair = self.model.pair(id.number());
        if pair.opener == s {
            pair.streams[s].closed = true;
            self.peers[s].calls.get_mut(&id).expect("held").closed = true;
        }
    }

    fn respond(&mut self, s: usize, id: CallId) {
        let responded = self.peers[s].core.call(id).expect("held").respond(Metadata::new()).is_ok();
        if responded {
            assert_ne!(self.model.pair(id.number()).opener, s);
            self.cover("RESPONSE");
        }
    }

    pub(crate) fn end(&mut self, s: usize, id: CallId, code: Code) {
        if self.model.pair(id.number()).opener == s {
            return;
        }
        self.peers[s].core.call(id).expect("held").end(Status::new(code, ""));
        self.handler_done(s, id, code);
    }

    fn handler_done(&mut self, s: usize, id: CallId, code: Code) {
        self.model.handler_ended(id.number(), code);
        self.peers[s].calls.remove(&id);
    }

    fn cancel(&mut self, s: usize, id: CallId) {
        if self.model.pair(id.number()).opener != s {
            return;
        }
        self.peers[s].core.call(id).expect("held").cancel();
        let pair = self.model.pair(id.number());
        pair.caller = CallerEnd::GaveUp;
        if matches!(pair.handler, Handler::Done { .. }) {
            self.cover("CANCEL crosses the terminal frame");
        }
        self.peers[s].calls.remove(&id);
        assert!(self.peers[s].core.call(id).is_none());
    }

    pub(crate) fn drain(&mut self, s: usize) {
        self.model.world.draining = true;
        self.drained[s] = true;
        self.peers[s].core.drain();
    }

    fn advance(&mut self, by: Duration) {
        self.now += by;
        for s in 0..2 {
            let core = &mut self.peers[s].core;
            if core.poll_timeout().is_some_and(|due| due <= self.now) {
                core.handle_timeout(self.now);
                self.model.world.broken |= core.error().is_some();
            }
        }
    }

    /// Frames move into the output, which must stay bounded.
    // [OUT-002]
    pub(crate) fn poll(&mut self, s: usize) {
        let peer = &mut self.peers[s];
        let wanted = peer.core.wants_transmit();
        peer.core.poll_transmit(&mut peer.out, self.now);
        let full = peer.out.len() >= peer.core.limits().output_max;
        assert!(full || !peer.core.wants_transmit(), "a driver would spin");
        assert!(self.moved(s) == 0 || wanted, "a driver would not have asked");
        let peer = &self.peers[s];
        let most = peer.core.limits().output_max + FRAME_MOST;
        assert!(peer.out.len() <= most, "{} bytes of output", peer.out.len());
    }

    /// Looks at what has moved into the output; returns how many bytes.
    fn moved(&mut self, s: usize) -> usize {
        let peer = &mut self.peers[s];
        let moved = peer.out.written() + peer.out.len() as u64;
        let new = moved.saturating_sub(peer.moved) as usize;
        peer.moved = moved;
        if new > 0 {
            let mut slices = [IoSlice::new(&[]); 256];
            let filled = peer.out.slices(&mut slices);
            let mut skip = peer.out.len() - new;
            let mut bytes = Vec::with_capacity(new);
            for slice in &slices[..filled] {
                bytes.extend_from_slice(&slice[skip.min(slice.len())..]);
                skip -= skip.min(slice.len());
            }
            assert_eq!(bytes.len(), new, "more than 256 slices");
            self.wire.moved(s, &bytes);
        }
        new
    }

    fn write(&mut self, s: usize, most: usize) -> usize {
        let peer = &mut self.peers[s];
        let room = self.setting.pipe.saturating_sub(peer.pipe.len());
        let mut left = most.min(room).min(peer.out.len());
        let total = left;
        while left > 0 {
            let mut slices = [IoSlice::new(&[]); 16];
            let filled = peer.out.slices(&mut slices);
            let mut n = 0;
            for slice in &slices[..filled] {
                let part = slice.len().min(left - n);
                if !peer.ended {
                    peer.pipe.extend_from_slice(&slice[..part]);
                }
                n += part;
            }
            peer.out.advance(n);
            left -= n;
        }
        // What a driver does when all is written.
        if peer.core.is_closed() || peer.core.is_write_ended() && peer.out.is_empty() {
            peer.ended = true;
        }
        total
    }

    /// The side reads from the pipe of the other one.
    fn read(&mut self, s: usize, most: usize) -> usize {
        let [a, b] = &mut self.peers;
        let (peer, other) = if s == 0 { (a, b) } else { (b, a) };
        let bytes = other.pipe.split_to(most.min(other.pipe.len()));
        if !bytes.is_empty() {
            self.wire.reached(1 - s, &bytes);
            peer.input.extend_from_slice(&bytes);
        }
        let mut n = bytes.len();
        // An accepting side answers the preface before it takes more.
        loop {
            let before = peer.input.len();
            if before > 0 {
                peer.core.handle_input(&mut peer.input, self.now);
            }
            if peer.input.is_empty() || peer.input.len() == before {
                break;
            }
        }
        // OUT-001
        let waits = peer.input.is_empty() || peer.core.input_hint() > 0;
        assert!(waits || peer.input.len() < 8, "{} bytes are not read", peer.input.len());
        if other.ended && other.pipe.is_empty() && !peer.eof_read {
            peer.eof_read = true;
            peer.core.handle_eof(self.now);
            n += 1;
        }
        n
    }

    /// The peer of `s` dies: so much more of what it sent arrives.
    fn cut(&mut self, s: usize, keep: usize) {
        self.model.world.broken = true;
        let other = &mut self.peers[1 - s];
        other.pipe.truncate(keep);
        other.ended = true;
    }

    pub(crate) fn after_step(&mut self) {
        for s in 0..2 {
            self.peers[s].core.assert_invariants();
            while let Some(event) = self.peers[s].core.poll_event() {
                self.event(s, event);
            }
            if self.peers[s].core.is_closed() {
                // The driver closes the socket.
                self.peers[s].ended = true;
            }
            let limit = self.peers[s].core.limits().calls_max as usize;
            assert!(self.model.running(s) <= limit, "more handlers than calls_max");
        }
    }

    /// Large messages that were granted, as the wire shows it, and those that were not.
    fn cover_large(&mut self, s: usize) {
        let stated = self.peers[s].core.limits();
        let large = stated.window + stated.window_ahead;
        let mut granted = 0;
        let mut starved = 0;
        for (id, handle) in &self.peers[s].calls {
            let Some(flow) = self.wire.flow(id.number(), 1 - s) else { continue };
            let taken = self.model.calls[&id.number()].streams[1 - s].taken;
            let open = stated.window + flow.granted - taken.min(flow.received);
            granted +=
                usize::from(open > large + 1 && flow.received < stated.window + flow.granted);
            let first = self.model.calls[&id.number()].streams[1 - s].queue.front();
            let needs = first.is_some_and(|first| first.len() as u64 + 16 > open);
            starved += usize::from(handle.waiting && needs && flow.received > taken);
        }
        if granted > 0 {
            self.cover("large message granted");
        }
        if granted > 0 && starved > 0 {
            self.cover("large messages wait their turn");
        }
    }

    fn event(&mut self, s: usize, event: Event) {
        let peer = &mut self.peers[s];
        assert!(peer.closed.is_none(), "{event:?} after Closed");
        match event {
            Event::Hello | Event::CloseDescriptors(_) => {}
            Event::Request(request) => {
                peer.calls.insert(request.call, Handle::default());
                assert_eq!(request.call.opener(), SIDES[1 - s]);
                self.model.request(request.call.number(), &request.method);
            }
            Event::Readable(id) => {
                if let Some(handle) = peer.calls.get_mut(&id) {
                    assert!(handle.waiting, "call {id} is readable and nobody waits");
                    handle.waiting = false;
                }
            }
            Event::Writable(id) => {
                if let Some(handle) = peer.calls.get_mut(&id) {
                    assert!(handle.blocked, "call {id} is writable and nobody waits");
                    handle.blocked = false;
                }
            }
            Event::Stopped(id, reason) => {
                self.model.stopped(id.number(), reason, self.now);
                match reason {
                    StopReason::Deadline => self.cover("deadline at the responder"),
                    StopReason::Cancelled => self.cover("CANCEL stops a handler"),
                    StopReason::Lost => self.cover("loss stops a handler"),
                    _ => self.cover("a limit stops a handler"),
                }
            }
            Event::Pong(number) => {
                assert!(number > peer.pings.1);
                peer.pings.1 = number;
            }
            Event::GoAway { last } => {
                assert!(peer.goaway.is_none_or(|earlier| last < earlier), "GOAWAY repeated");
                assert!(self.model.world.draining);
                peer.goaway = Some(last);
            }
            Event::Closed(error) => {
                self.closed(s, error.as_ref());
                self.peers[s].closed = Some(error);
            }
            other => panic!("{other:?}"),
        }
    }

    fn closed(&mut self, s: usize, error: Option<&ConnectionError>) {
        let broken = self.model.world.broken;
        match error {
            None => {
                let clean = self.model.world.draining || broken;
                assert!(clean, "side {s} closed cleanly and nobody asked");
                self.cover("closed cleanly");
            }
            Some(ConnectionError::TimedOut(TimedOut::Stall)) => self.cover("stalled"),
            Some(ConnectionError::PeerMisbehaved(error)) => panic!("side {s}: {error}"),
            Some(_) if broken => {}
            Some(ConnectionError::PeerClosed { code: ErrorCode::Stalled, .. }) => {}
            Some(error) => panic!("side {s}: {error}"),
        }
        if error.is_some() && self.wire.is_cut(1 - s) {
            self.cover("cut inside a frame");
        }
    }

    /// What was seen on the wire that only a few schedules bring about.
    pub(crate) fn cover_wire(&mut self) {
        let mut inside = std::collections::BTreeSet::new();
        for (side, header) in std::mem::take(&mut self.wire.seen) {
            if header.kind == FrameType::Data as u8 {
                if header.more() {
                    inside.insert((side, header.call));
                } else {
                    inside.remove(&(side, header.call));
                }
            }
            if header.kind == FrameType::Status as u8 && inside.contains(&(side, header.call)) {
                self.cover("STATUS inside a message");
            }
            let kind = FrameType::from_wire(header.kind);
            let what = match kind {
                Some(FrameType::Credit) => "CREDIT",
                Some(FrameType::Cancel) => "CANCEL",
                Some(FrameType::GoAway) => "GOAWAY",
                Some(FrameType::Finish) => "FINISH",
                Some(FrameType::Data) if header.more() => "cut message",
                Some(FrameType::Request) if side == 1 => "callback",
                _ => continue,
            };
            self.cover(what);
        }
    }
}
