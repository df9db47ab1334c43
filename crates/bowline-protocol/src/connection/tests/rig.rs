//! One connection before a scripted raw peer, on a virtual clock.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::raw::{Raw, data, hello, id, request, split_preface};
use crate::{
    CallId, CallMut, Config, Connection, ConnectionError, ErrorCode, Event, Open, Outbound,
    PREFACE, PeerMisbehaved, Recv, Side, Status, wire,
};

/// A connection, its output and the time.
pub(super) struct Rig {
    pub(super) core: Connection,
    pub(super) out: Outbound,
    pub(super) now: Instant,
    input: BytesMut,
}

impl Rig {
    /// Before the first byte.
    pub(super) fn new(config: Config) -> Self {
        let now = crate::tests::start();
        let core = Connection::new(config, now).unwrap();
        Self { core, out: Outbound::new(), now, input: BytesMut::new() }
    }

    /// After the handshake with a peer that sent this HELLO.
    pub(super) fn established(config: Config, hello: &Raw) -> Self {
        let mut rig = Self::new(config);
        rig.feed_bytes(&PREFACE);
        rig.feed([hello.clone()]);
        assert_eq!(rig.events(), [Event::Hello]);
        let sent = rig.sent();
        assert!(sent.len() == 2 && sent[0] == "preface", "{sent:?}");
        rig
    }

    /// An accepting side after the handshake with a peer of the least limits.
    pub(super) fn accepting() -> Self {
        Self::established(Config::new(Side::Accepting), &hello())
    }

    /// A connecting side that takes calls, too, after the handshake.
    pub(super) fn connecting() -> Self {
        let mut config = Config::new(Side::Connecting);
        config.limits.calls_max = 64;
        Self::established(config, &hello())
    }

    /// Either side after the handshake.
    pub(super) fn of(side: Side) -> Self {
        match side {
            Side::Accepting => Self::accepting(),
            Side::Connecting => Self::connecting(),
        }
    }

    pub(super) fn feed(&mut self, frames: impl IntoIterator<Item = Raw>) {
        let bytes: Vec<u8> = frames.into_iter().flat_map(|frame| frame.encode()).collect();
        self.feed_bytes(&bytes);
    }

    /// Feeds bytes as a driver does: until nothing more is taken, then the turn ends.
    pub(super) fn feed_bytes(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        loop {
            let before = self.input.len();
            self.core.handle_input(&mut self.input, self.now);
            self.core.assert_invariants();
            if self.input.is_empty() || self.input.len() == before {
                break;
            }
        }
        self.core.settle();
        self.core.assert_invariants();
    }

    /// Bytes that were fed and not taken.
    pub(super) fn left(&self) -> usize {
        self.input.len()
    }

    /// Moves frames into the output, without writing any.
    pub(super) fn poll(&mut self) {
        self.core.poll_transmit(&mut self.out, self.now);
        self.core.assert_invariants();
    }

    /// Writes all that is there to be written, and returns it.
    pub(super) fn sent_bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            self.poll();
            if self.out.is_empty() {
                return bytes;
            }
            bytes.extend(self.write(usize::MAX));
        }
    }

    /// Writes so many bytes of the output.
    pub(super) fn write(&mut self, most: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < most && !self.out.is_empty() {
            let mut slices = [std::io::IoSlice::new(&[]); 3];
            let filled = self.out.slices(&mut slices);
            let chunk: Vec<u8> = slices[..filled].iter().flat_map(|s| s.iter().copied()).collect();
            let n = chunk.len().min(most - bytes.len());
            self.out.advance(n);
            bytes.extend_from_slice(&chunk[..n]);
        }
        bytes
    }

    /// As [`sent_bytes`](Self::sent_bytes), as frames.
    pub(super) fn frames(&mut self) -> Vec<Raw> {
        Raw::decode_all(&self.sent_bytes())
    }

    /// As [`sent_bytes`](Self::sent_bytes), one line for each frame.
    pub(super) fn sent(&mut self) -> Vec<String> {
        let bytes = self.sent_bytes();
        let (preface, rest) = split_preface(&bytes);
        let lines = Raw::decode_all(rest).into_iter().map(|frame| frame.describe());
        preface.then(|| "preface".to_owned()).into_iter().chain(lines).collect()
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.core.poll_event()).collect()
    }

    pub(super) fn advance(&mut self, time: Duration) {
        self.now += time;
    }

    /// Goes to the next timer and lets it fire.
    pub(super) fn fire(&mut self) -> Duration {
        let at = self.core.poll_timeout().expect("a timer runs");
        let waited = at.saturating_duration_since(self.now);
        self.now += waited;
        self.core.handle_timeout(self.now);
        self.core.assert_invariants();
        waited
    }

    pub(super) fn eof(&mut self) {
        self.core.handle_eof(self.now);
        self.core.assert_invariants();
    }

    /// Opens a call of this side's.
    pub(super) fn open(&mut self) -> CallId {
        self.open_with(Open::new(super::raw::METHOD))
    }

    pub(super) fn open_with(&mut self, open: Open) -> CallId {
        let call = self.core.open(open, self.now).unwrap();
        self.core.assert_invariants();
        call
    }

    /// Opens a call of this side's and sends its REQUEST.
    pub(super) fn opened(&mut self) -> CallId {
        let call = self.open();
        let sent = self.sent();
        assert!(sent[0].starts_with("REQUEST"), "{sent:?}");
        call
    }

    /// Lets the peer open a call, and forgets the event.
    pub(super) fn taken(&mut self, call: u64) -> CallId {
        self.feed([request(call)]);
        let events = self.events();
        assert!(matches!(events[..], [Event::Request(_)]), "{events:?}");
        id(call)
    }

    pub(super) fn call(&mut self, call: CallId) -> CallMut<'_> {
        self.core.call(call).expect("the call is there")
    }

    pub(super) fn send(&mut self, call: CallId, payload: &[u8], last: bool) {
        self.call(call).send(Bytes::copy_from_slice(payload), last).unwrap();
        self.core.assert_invariants();
    }

    pub(super) fn end(&mut self, call: CallId, status: Status) {
        self.call(call).end(status);
        self.core.assert_invariants();
    }

    pub(super) fn recv(&mut self, call: CallId) -> Recv {
        let got = self.call(call).recv();
        self.core.assert_invariants();
        got
    }

    /// The next message of the call.
    pub(super) fn message(&mut self, call: CallId) -> Bytes {
        match self.recv(call) {
            Recv::Message(message) => message.payload,
            other => panic!("{other:?} instead of a message"),
        }
    }

    /// How the call ended.
    pub(super) fn outcome(&mut self, call: CallId) -> Status {
        match self.recv(call) {
            Recv::Ended(status) => status,
            other => panic!("{other:?} instead of the end"),
        }
    }

    /// Feeds frames of which the last breaks a rule, and checks all that has to follow.
    pub(super) fn breach(&mut self, frames: impl IntoIterator<Item = Raw>) -> PeerMisbehaved {
        self.feed(frames);
        self.misbehaved()
    }

    /// What this side does when the peer has broken a rule.
    pub(super) fn misbehaved(&mut self) -> PeerMisbehaved {
        let Some(ConnectionError::PeerMisbehaved(error)) = self.core.error().cloned() else {
            panic!("no breach was seen: {:?}", self.core.error());
        };
        assert_eq!(self.left(), 0, "input is discarded");
        let bytes = self.sent_bytes();
        let last = Raw::decode_all(split_preface(&bytes).1).pop().expect("a GOAWAY");
        let mut body = None;
        last.with(|goaway: &mut wire::GoAway| body = Some(goaway.clone()));
        let body = body.unwrap();
        assert_eq!(body.code, error.code() as u32);
        assert_eq!(body.text, error.to_string());
        assert!(self.core.is_write_ended(), "writing ends");
        assert!(!self.core.is_closed(), "input is still discarded");
        // Nothing that comes later has an effect.
        self.events();
        self.feed([hello(), request(1 << 40), data(1, "x"), super::raw::ping(1)]);
        assert_eq!(self.events(), []);
        assert_eq!(self.sent(), [""; 0]);
        assert_eq!(self.fire(), Duration::from_secs(1), "for a second");
        assert!(self.core.is_closed());
        let closed = Event::Closed(Some(ConnectionError::PeerMisbehaved(error.clone())));
        assert_eq!(self.events().last(), Some(&closed));
        error
    }

    /// Checks a breach against the code and the rule that it must be.
    #[track_caller]
    pub(super) fn expect_breach(
        &mut self,
        frames: impl IntoIterator<Item = Raw>,
        code: ErrorCode,
        requirement: &str,
    ) -> PeerMisbehaved {
        let error = self.breach(frames);
        assert_eq!((error.code(), error.requirement()), (code, requirement), "{error}");
        error
    }
}
