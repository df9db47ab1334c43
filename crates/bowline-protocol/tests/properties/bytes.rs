//! Whatever bytes come, a connection neither panics nor grows, and it speaks once about its end.

use std::time::{Duration, Instant};

use bowline_protocol::{
    CallId, Config, Connection, ConnectionError, Event, FLAG_END, FLAG_MORE, FrameHeader,
    FrameType, HEADER_LEN, Limits, Open, Outbound, PREFACE, Recv, Side, Status, wire,
};
use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use crate::runner::check;
use crate::wire::{Reader, control, frame, hello, request};

/// How far the handshake is when the arbitrary bytes come.
#[derive(Debug, Clone, Copy)]
enum Stage {
    First,
    Preface,
    Hello,
    Calls,
}

/// A connection and all that it says.
struct Rig {
    core: Connection,
    out: Outbound,
    said: Vec<u8>,
    input: BytesMut,
    events: usize,
    closed: bool,
    fed: usize,
    now: Instant,
    calls: Vec<CallId>,
}

impl Rig {
    fn new(side: Side, stage: Stage) -> Self {
        let now = Instant::now();
        let mut config = Config::new(side);
        config.limits = Limits { calls_max: 64, output_max: 4_096, ..Limits::accepting() };
        let mut rig = Self {
            core: Connection::new(config, now).unwrap(),
            out: Outbound::new(),
            said: Vec::new(),
            input: BytesMut::new(),
            events: 0,
            closed: false,
            fed: 0,
            now,
            calls: Vec::new(),
        };
        if !matches!(stage, Stage::First) {
            rig.feed(&PREFACE);
        }
        if matches!(stage, Stage::Hello | Stage::Calls) {
            rig.feed(&control(FrameType::Hello, 0, &hello()));
        }
        if matches!(stage, Stage::Calls) {
            rig.open_calls(if side == Side::Connecting { 2 } else { 1 });
        }
        rig
    }

    /// Calls both ways, some of them in the middle of a message, some ended.
    fn open_calls(&mut self, first: u64) {
        for call in [first, first + 2, first + 4] {
            self.feed(&request(call));
            self.feed(&frame(FrameType::Data, 0, call, b"a message"));
        }
        let begun = [&90_000_u64.to_le_bytes()[..], b"and so on"].concat();
        self.feed(&frame(FrameType::Data, FLAG_MORE, first, &begun));
        self.core.call(self.calls[2]).unwrap().end(Status::ok());
        for _ in 0..3 {
            let call = self.core.open(Open::new("a.B/C"), self.now).unwrap();
            self.core.call(call).unwrap().send(Bytes::from_static(b"x"), false).unwrap();
            self.calls.push(call);
        }
        self.look();
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.fed += bytes.len();
        self.input.extend_from_slice(bytes);
        loop {
            let before = self.input.len();
            self.core.handle_input(&mut self.input, self.now);
            self.core.assert_invariants();
            self.look();
            if self.input.is_empty() || self.input.len() == before {
                break;
            }
        }
        // What is not taken is the beginning of one frame.
        let limits = self.core.limits();
        let most = limits.frame_max.max(limits.metadata_max) as usize + HEADER_LEN;
        assert!(self.input.len() < most, "{} bytes are not taken", self.input.len());
    }

    /// The driver's and the application's part of a turn.
    fn look(&mut self) {
        while let Some(event) = self.core.poll_event() {
            assert!(!self.closed, "{event:?} after Closed");
            self.events += 1;
            match event {
                Event::Request(request) => self.calls.push(request.call),
                Event::Closed(_) => self.closed = true,
                _ => {}
            }
        }
        for call in self.calls.clone() {
            if let Some(mut view) = self.core.call(call) {
                while let Recv::Message(message) = view.recv() {
                    assert!(message.payload.len() as u64 <= self.core.limits().message_max);
                    view = self.core.call(call).unwrap();
                }
            }
        }
        self.core.settle();
        self.core.assert_invariants();
        self.transmit();
    }

    fn transmit(&mut self) {
        loop {
            self.core.poll_transmit(&mut self.out, self.now);
            self.core.assert_invariants();
            let most = self.core.limits().output_max + 64 * 1024 + 1_024;
            assert!(self.out.len() <= most);
            if self.out.is_empty() {
                return;
            }
            let mut slices = [std::io::IoSlice::new(&[]); 8];
            let filled = self.out.slices(&mut slices);
            let n = slices[..filled].iter().map(|slice| slice.len()).sum();
            slices[..filled].iter().for_each(|slice| self.said.extend_from_slice(slice));
            self.out.advance(n);
        }
    }

    /// GOAWAYs with a code that it has sent, each with whether something follows.
    fn last_words(&self) -> Vec<(u32, bool)> {
        let mut reader = Reader::default();
        let frames = reader.feed(&self.said);
        let partial = self.said.len() >= PREFACE.len() && !reader.is_between_frames();
        assert!(!partial, "output ends inside a frame");
        let count = frames.len();
        let is_goaway = |h: &FrameHeader| h.kind == FrameType::GoAway as u8;
        let numbered = frames.into_iter().enumerate().filter(|(_, (h, _))| is_goaway(h));
        numbered
            .map(|(at, (_, body))| (wire::GoAway::decode(&body[..]).unwrap().code, at + 1 < count))
            .filter(|(code, _)| *code != 0)
            .collect()
    }

    /// Everything that must hold after any input.
    fn check(mut self) {
        // A few events for each frame, and frames have at least a header.
        let most = 64 + 8 * (self.fed / HEADER_LEN + self.calls.len());
        assert!(self.events <= most, "{} events of {} bytes", self.events, self.fed);
        // Answers, credit, and what the application sent.
        let most = 4_096 + 4 * self.fed + 256 * self.calls.len();
        assert!(self.said.len() <= most, "{} bytes said of {}", self.said.len(), self.fed);
        let words = self.last_words();
        match self.core.error() {
            Some(ConnectionError::PeerMisbehaved(error)) => {
                assert_eq!(words, [(error.code() as u32, false)], "{error}");
            }
            _ => assert_eq!(words, [], "{:?}", self.core.error()),
        }
        if self.core.error().is_some() {
            self.stays_dead();
        }
        self.core.handle_eof(self.now);
        self.look();
        assert!(self.closed && self.core.is_closed());
        self.stays_dead();
        // The handlers end; then nothing is left.
        for call in self.calls.clone() {
            if let Some(mut view) = self.core.call(call) {
                view.end(Status::ok());
            }
        }
        self.look();
        assert_eq!((self.core.responding(), self.core.slots_used()), (0, 0));
        assert_eq!(self.core.buffered(), 0);
    }

    fn stays_dead(&mut self) {
        let (said, events, error) = (self.said.len(), self.events, self.core.error().cloned());
        let rest = [
            &PREFACE[..],
            &control(FrameType::Hello, 0, &hello()),
            &request(1 << 40),
            &request((1 << 40) + 1),
            &frame(FrameType::Ping, 0, 0, &[7; 8]),
        ];
        self.feed(&rest.concat());
        assert_eq!((self.said.len(), self.events), (said, events), "it is dead");
        assert_eq!(self.core.error(), error.as_ref(), "it is dead");
        assert!(self.core.open(Open::new("a.B/C"), self.now).is_err());
        self.core.handle_timeout(self.now + Duration::from_secs(1));
        self.look();
        assert!(self.core.is_closed());
    }
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Connecting), Just(Side::Accepting)]
}

fn stage() -> impl Strategy<Value = Stage> {
    let stages = [Stage::First, Stage::Preface, Stage::Hello, Stage::Calls];
    prop_oneof![1 => 0_usize..4, 3 => Just(3)].prop_map(move |at| stages[at])
}

/// Frames that are nearly right, and often right.
fn likely_frame() -> impl Strategy<Value = Vec<u8>> {
    let kinds = prop_oneof![
        8 => (0..FrameType::ALL.len()).prop_map(|at| FrameType::ALL[at] as u8),
        4 => Just(FrameType::Data as u8),
        1 => any::<u8>(),
    ];
    let flags =
        prop_oneof![6 => Just(0), 2 => Just(FLAG_MORE), 2 => Just(FLAG_END), 1 => any::<u8>()];
    let call = prop_oneof![8 => 0_u64..12, 1 => any::<u64>()];
    let body = (0_u8..8, vec(any::<u8>(), 0..40), any::<u32>());
    let length = prop_oneof![12 => Just(None), 1 => any::<u32>().prop_map(Some)];
    let odd = prop_oneof![12 => Just(0_u8), 1 => any::<u8>()];
    (kinds, flags, call, body, length, odd).prop_map(|(kind, flags, call, body, length, odd)| {
        let (form, bytes, number) = body;
        let body = match form {
            0 => bytes,
            1 => Vec::new(),
            2 => u64::from(number % 64 + 1).to_le_bytes().into_iter().chain(bytes).collect(),
            _ => likely_body(kind, number, bytes),
        };
        let header = FrameHeader {
            length: length.unwrap_or_else(|| u32::try_from(body.len()).unwrap()),
            kind,
            flags,
            fds: if odd > 240 { 1 } else { 0 },
            reserved: odd,
            call: if (1..=3).contains(&kind) && form > 0 { 0 } else { call },
        };
        [&header.encode()[..], &body].concat()
    })
}

fn likely_body(kind: u8, number: u32, bytes: Vec<u8>) -> Vec<u8> {
    let metadata = match number % 5 {
        0 => vec![wire::MetadataEntry { key: "a-bin".into(), value: bytes.clone().into() }],
        1 => vec![wire::MetadataEntry { key: "key".into(), value: bytes.clone().into() }],
        _ => Vec::new(),
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match FrameType::from_wire(kind) {
        Some(FrameType::Hello) => hello().encode_to_vec(),
        Some(FrameType::Ping) => vec![number as u8; 8],
        Some(FrameType::GoAway) => {
            let last = [0, 2, 3, 5, (1 << 53) - 1, 1 << 53][number as usize % 6];
            wire::GoAway { last, code: number / 6 % 4 / 3 * (number % 30), text }.encode_to_vec()
        }
        Some(FrameType::Request) => wire::Request {
            method: if number.is_multiple_of(3) { String::new() } else { text },
            method_number: number / 8 % 4,
            deadline_us: number.is_multiple_of(7).then_some(u64::from(number % 2) * 1_000),
            metadata,
        }
        .encode_to_vec(),
        Some(FrameType::Response) => wire::Response { metadata }.encode_to_vec(),
        Some(FrameType::Status) => {
            wire::Status { code: number % 20, message: text, metadata, ..Default::default() }
                .encode_to_vec()
        }
        Some(FrameType::Credit) => {
            let bytes = [0, 1, 65_536, (1 << 53) - 1][number as usize % 4];
            wire::Credit { bytes }.encode_to_vec()
        }
        Some(FrameType::Finish | FrameType::Cancel) => Vec::new(),
        _ => bytes,
    }
}

#[test] // [ERR-001] [CLS-004] [PRE-004] [PRE-005]
fn arbitrary_bytes() {
    let case = (side(), stage(), vec(vec(any::<u8>(), 0..80), 1..4));
    check("bytes::arbitrary_bytes", case, |(side, stage, chunks)| {
        let mut rig = Rig::new(*side, *stage);
        chunks.iter().for_each(|chunk| rig.feed(chunk));
        rig.check();
    });
}

#[test] // [ERR-001] [GOA-004] [CLS-004]
fn likely_frames() {
    let case = (side(), stage(), vec(likely_frame(), 1..20));
    check("bytes::likely_frames", case, |(side, stage, frames)| {
        let mut rig = Rig::new(*side, *stage);
        frames.iter().for_each(|frame| rig.feed(frame));
        rig.check();
    });
}

/// What is done to a stream of bytes that was right.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Flip { at: u16, with: u8 },
    Remove { at: u16, bytes: u8 },
    Repeat { at: u16, bytes: u8 },
    Insert { at: u16, byte: u8 },
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (any::<u16>(), any::<u8>()).prop_map(|(at, with)| Damage::Flip { at, with }),
        1 => (any::<u16>(), any::<u8>()).prop_map(|(at, bytes)| Damage::Remove { at, bytes }),
        1 => (any::<u16>(), any::<u8>()).prop_map(|(at, bytes)| Damage::Repeat { at, bytes }),
        1 => (any::<u16>(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert { at, byte }),
    ]
}

fn damaged(mut bytes: Vec<u8>, damage: &[Damage]) -> Vec<u8> {
    for damage in damage {
        let place = |at: u16, len: usize| usize::from(at) * len / 65_536;
        let len = bytes.len();
        match *damage {
            Damage::Flip { at, with } => bytes[place(at, len)] ^= with,
            Damage::Remove { at, bytes: n } => {
                let from = place(at, len);
                bytes.drain(from..(from + usize::from(n)).min(len - 1));
            }
            Damage::Repeat { at, bytes: n } => {
                let from = place(at, len);
                let again = bytes[from..(from + usize::from(n)).min(len)].to_vec();
                bytes.splice(from..from, again);
            }
            Damage::Insert { at, byte } => bytes.insert(place(at, len), byte),
        }
    }
    bytes
}

/// What a peer says that opens calls, sends messages whole and cut, answers, and drains.
fn transcript(side: Side) -> Vec<u8> {
    let (theirs, ours) = if side == Side::Connecting { (2, 1) } else { (1, 2) };
    let cut = [&20_u64.to_le_bytes()[..], b"0123456789"].concat();
    let status = wire::Status { code: 5, message: "no".into(), ..Default::default() };
    let goaway = wire::GoAway { last: (1 << 53) - 1, ..Default::default() };
    [
        control(FrameType::Hello, 0, &hello()),
        request(theirs),
        frame(FrameType::Data, 0, theirs, b"whole"),
        frame(FrameType::Data, FLAG_MORE, theirs, &cut),
        frame(FrameType::Ping, 0, 0, &[1; 8]),
        request(theirs + 2),
        frame(FrameType::Data, FLAG_END, theirs, b"0123456789"),
        frame(FrameType::Finish, 0, theirs + 2, b""),
        control(FrameType::Response, ours, &wire::Response::default()),
        frame(FrameType::Data, 0, ours, b"reply"),
        frame(FrameType::Data, FLAG_END, ours, b"the last"),
        control(FrameType::Credit, ours + 2, &wire::Credit { bytes: 70_000 }),
        control(FrameType::Status, ours + 2, &status),
        frame(FrameType::Cancel, 0, theirs + 2, b""),
        control(FrameType::GoAway, 0, &goaway),
    ]
    .concat()
}

#[test] // [ERR-001] [FRM-007] [MSG-003]
fn damaged_transcripts() {
    let case = (side(), vec(damage(), 1..4), 1_usize..200);
    check("bytes::damaged_transcripts", case, |(side, damage, chunk)| {
        let mut rig = Rig::new(*side, Stage::Preface);
        if *side == Side::Connecting {
            for _ in 0..2 {
                rig.calls.push(rig.core.open(Open::new("a.B/C"), rig.now).unwrap());
            }
            rig.look();
        }
        for chunk in damaged(transcript(*side), damage).chunks(*chunk) {
            rig.feed(chunk);
        }
        rig.check();
    });
}

/// What came with a breach was counted as received and not as discarded: a dead connection went on
/// saying that it holds bytes.
#[test] // [ERR-001] [CAL-008]
fn a_breach_in_what_is_discarded_leaves_nothing_behind() {
    let mut rig = Rig::new(Side::Accepting, Stage::Calls);
    // Too long, so the handler is stopped, but it goes on for a while.
    let begun = [&(1_u64 << 30).to_le_bytes()[..], b"0123456789"].concat();
    rig.feed(&frame(FrameType::Data, FLAG_MORE, rig.calls[1].number(), &begun));
    rig.feed(&frame(FrameType::Data, 0, rig.calls[1].number(), b"and not all of it"));
    assert!(rig.core.error().is_some());
    rig.check();
}
