//! Two connections that talk to each other, and what passes between them.

use std::fmt::Write as _;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::raw::Raw;
use crate::{CallId, Config, Connection, Event, HEADER_LEN, Open, Outbound, Recv, Side};

/// Bytes of a body that a transcript shows.
const SHOWN: usize = 24;

/// A connecting and an accepting side on one clock.
pub(super) struct Pair {
    pub(super) client: Connection,
    pub(super) server: Connection,
    pub(super) now: Instant,
    /// What has been sent, in order.
    log: Vec<(Side, Vec<u8>)>,
}

impl Pair {
    pub(super) fn new(client: Config, server: Config) -> Self {
        let now = crate::tests::start();
        let connect = |config| Connection::new(config, now).unwrap();
        Self { client: connect(client), server: connect(server), now, log: Vec::new() }
    }

    /// After the handshake, which is left out of the log.
    pub(super) fn established() -> Self {
        let mut pair = Self::new(Config::new(Side::Connecting), Config::new(Side::Accepting));
        pair.carry();
        assert_eq!(pair.client.poll_event(), Some(Event::Hello));
        assert_eq!(pair.server.poll_event(), Some(Event::Hello));
        pair.log.clear();
        pair
    }

    pub(super) fn side(&mut self, side: Side) -> &mut Connection {
        match side {
            Side::Connecting => &mut self.client,
            Side::Accepting => &mut self.server,
        }
    }

    /// Carries what one side has to send; false if there was nothing.
    pub(super) fn carry_from(&mut self, side: Side) -> bool {
        let now = self.now;
        let mut out = Outbound::new();
        self.side(side).poll_transmit(&mut out, now);
        let mut bytes = Vec::new();
        while !out.is_empty() {
            let mut slices = [std::io::IoSlice::new(&[]); 4];
            let filled = out.slices(&mut slices);
            bytes.extend(slices[..filled].iter().flat_map(|slice| slice.iter().copied()));
            let length = slices[..filled].iter().map(|slice| slice.len()).sum();
            out.advance(length);
        }
        if bytes.is_empty() {
            return false;
        }
        self.log.push((side, bytes.clone()));
        self.deliver(side.peer(), &bytes);
        true
    }

    /// Lets a side read these bytes, and log nothing.
    pub(super) fn deliver(&mut self, to: Side, bytes: &[u8]) {
        let now = self.now;
        let mut input = BytesMut::from(bytes);
        loop {
            let before = input.len();
            self.side(to).handle_input(&mut input, now);
            // An accepting side takes the preface alone at first.
            if input.len() == before || input.is_empty() {
                break;
            }
        }
        assert!(input.is_empty());
        self.side(to).settle();
        self.side(to).assert_invariants();
    }

    /// Says bytes that no core would, as if this side had sent them.
    pub(super) fn forge(&mut self, side: Side, bytes: &[u8]) {
        self.log.push((side, bytes.to_vec()));
        self.deliver(side.peer(), bytes);
    }

    /// Empties the log.
    pub(super) fn forget(&mut self) {
        self.log.clear();
    }

    /// Carries in both directions until nothing moves.
    pub(super) fn carry(&mut self) {
        while self.carry_from(Side::Connecting) | self.carry_from(Side::Accepting) {}
    }

    pub(super) fn open(&mut self, open: Open) -> CallId {
        let now = self.now;
        self.client.open(open, now).unwrap()
    }

    pub(super) fn send(&mut self, side: Side, call: CallId, payload: impl Into<Bytes>, last: bool) {
        self.side(side).call(call).unwrap().send(payload.into(), last).unwrap();
    }

    pub(super) fn recv(&mut self, side: Side, call: CallId) -> Recv {
        let got = self.side(side).call(call).unwrap().recv();
        self.side(side).assert_invariants();
        got
    }

    /// All that one side has sent.
    pub(super) fn sent_by(&self, side: Side) -> Vec<u8> {
        self.log.iter().filter(|(by, _)| *by == side).flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    /// One line for each frame: who, the header and the body in hexadecimal, what it says.
    pub(super) fn transcript(&self) -> String {
        let mut text = String::new();
        for (side, bytes) in &self.log {
            let arrow = if *side == Side::Connecting { "→" } else { "←" };
            let preface = bytes.starts_with(b"BOWLINE");
            let rest = if preface { &bytes[8..] } else { bytes };
            if preface {
                let _ = writeln!(text, "{arrow} {} | preface", hex(&bytes[..8]));
            }
            for frame in Raw::decode_all(rest) {
                let header = frame.header.encode();
                let (fixed, call) = header.split_at(HEADER_LEN / 2);
                let _ = write!(text, "{arrow} {} {}", hex(fixed), hex(call));
                if !frame.body.is_empty() {
                    let _ = write!(text, " : {}", hex(&frame.body[..frame.body.len().min(SHOWN)]));
                }
                if frame.body.len() > SHOWN {
                    let _ = write!(text, "… ({} bytes)", frame.body.len());
                }
                let _ = writeln!(text, " | {}", frame.describe());
            }
        }
        text
    }
}

/// Bytes in hexadecimal, with blanks between them.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
