//! Plays one case against a peer, and says what came of it.

use std::time::Duration;

use bowline::transport::Socket;
use bowline_protocol::{FLAG_END, FLAG_MORE, FrameType, PREFACE, Side};
use bytes::{Bytes, BytesMut};
use serde::Serialize;

use crate::case::Case;
use crate::client::Driven;
use crate::frames::{self, Frame};
use crate::link::{Input, Link};
use crate::notation::{Names, NotationError, words};
use crate::observer::{CallEvent, Observer};
use crate::script::Step;
use crate::trace::{Direction, Trace};

mod expect;

/// What came of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub enum Verdict {
    /// The peer did what it must.
    Pass,
    /// It did not do what it should, but may.
    PassNonstrict,
    /// It has said that it does not have what the case is about.
    Unsupported,
    /// It did something else.
    Fail,
    /// It ended the connection, but did not say why, or not as it must.
    UncleanClose,
    /// It did nothing.
    Hang,
}

impl Verdict {
    /// The name that reports use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::PassNonstrict => "PASS-NONSTRICT",
            Self::Unsupported => "UNSUPPORTED",
            Self::Fail => "FAIL",
            Self::UncleanClose => "UNCLEAN-CLOSE",
            Self::Hang => "HANG",
        }
    }

    /// Nothing is wrong with the peer.
    #[must_use]
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Pass | Self::PassNonstrict | Self::Unsupported)
    }
}

/// Why a case was not passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
}

type Result<T> = std::result::Result<T, Failure>;

fn fail<T>(reason: impl Into<String>) -> Result<T> {
    Err(Failure { verdict: Verdict::Fail, reason: reason.into() })
}

impl From<NotationError> for Failure {
    fn from(error: NotationError) -> Self {
        Self { verdict: Verdict::Fail, reason: format!("the case is wrong: {error}") }
    }
}

/// One connection on which a script is played.
#[derive(Debug)]
pub(crate) struct Player {
    link: Link,
    seen: Observer,
    names: Names,
    pings: u64,
    /// The peer has ended its writing.
    ended: bool,
    /// The kit has.
    shut: bool,
    /// The client under test, if it is one.
    driven: Option<Driven>,
    patience: Duration,
}

impl Player {
    /// Plays with a server at the other end of the socket, or else with a client that is driven.
    pub(crate) fn new(
        socket: Box<dyn Socket>,
        slice: usize,
        patience: Duration,
        driven: Option<Driven>,
    ) -> Self {
        let side = if driven.is_some() { Side::Accepting } else { Side::Connecting };
        Self {
            link: Link::new(socket, slice, patience),
            seen: Observer::new(side),
            names: Names::default(),
            pings: 0,
            ended: false,
            shut: false,
            driven,
            patience,
        }
    }

    /// Plays a case from the handshake to the end of the connection.
    pub(crate) async fn play(&mut self, case: &Case) -> Result<()> {
        if !case.raw {
            self.handshake(&case.hello).await?;
        }
        for line in case.lines() {
            self.line(line).await.map_err(|failure| Failure {
                reason: format!("at `{line}`: {}", failure.reason),
                ..failure
            })?;
        }
        self.close().await
    }

    /// Plays these lines on a connection that goes on afterwards.
    pub(crate) async fn lines(&mut self, lines: &[&str]) -> Result<()> {
        for line in lines {
            self.line(line).await?;
        }
        Ok(())
    }

    pub(crate) fn into_trace(self) -> Trace {
        self.link.trace
    }

    pub(crate) async fn handshake(&mut self, hello: &str) -> Result<()> {
        let line = format!("HELLO {hello}");
        let hello = Frame::parse(&words(&line), &self.names)?;
        let mut bytes = BytesMut::from(&PREFACE[..]);
        hello.write_to(&mut bytes);
        self.link.trace.bytes(Direction::Out, "preface", &PREFACE);
        self.link.trace.frame(Direction::Out, &hello);
        if self.driven.is_some() {
            self.preface(PREFACE[7]).await?;
            self.hello().await?;
        }
        self.seen.sent(&hello);
        self.link.send(&bytes).await;
        if self.driven.is_none() {
            self.preface(PREFACE[7]).await?;
            self.hello().await?;
        }
        Ok(())
    }

    async fn hello(&mut self) -> Result<()> {
        while self.seen.theirs.is_none() {
            self.pump().await?;
        }
        if let Some(hello) = &self.seen.theirs {
            self.names = Names {
                calls_max: u64::from(hello.calls_max),
                window: hello.window,
                frame_max: u64::from(hello.frame_max),
                metadata_max: u64::from(hello.metadata_max),
                message_max: hello.message_max,
                round: 0,
                calls: std::mem::take(&mut self.names.calls),
            };
        }
        Ok(())
    }

    async fn preface(&mut self, version: u8) -> Result<()> {
        match self.link.preface().await {
            Some(bytes) if bytes[..7] == PREFACE[..7] && bytes[7] == version => Ok(()),
            Some(bytes) => fail(format!("the peer's preface is {bytes:02x?}")),
            None => Err(self.missing("its preface")),
        }
    }

    /// The peer has said nothing, or has ended, when there should have been something.
    fn missing(&self, what: &str) -> Failure {
        if self.link.is_ended() {
            let reason = format!("the peer ended the connection before {what}");
            return Failure { verdict: Verdict::UncleanClose, reason };
        }
        Failure { verdict: Verdict::Hang, reason: format!("the peer is silent before {what}") }
    }

    async fn line(&mut self, line: &str) -> Result<()> {
        match Step::parse(line, &self.names)? {
            Step::Repeat { times, line } => self.repeat(times, &line).await,
            step => self.step(step).await,
        }
    }

    async fn repeat(&mut self, times: u64, line: &str) -> Result<()> {
        let mut bytes = BytesMut::new();
        for round in 0..times {
            self.names.round = round;
            let step = Step::parse(line, &self.names)?;
            let Step::Send(frame) = step else {
                self.step(step).await?;
                continue;
            };
            // Frames of the same kind go together, and the trace shows the first.
            if round == 0 {
                self.link.trace.frame(Direction::Out, &frame);
                self.link.trace.note(format!("and so on, {times} in all"));
            }
            self.seen.sent(&frame);
            frame.write_to(&mut bytes);
            if bytes.len() >= 256 * 1024 {
                self.link.send(&bytes.split()).await;
            }
        }
        self.names.round = 0;
        self.link.send(&bytes).await;
        Ok(())
    }

    async fn step(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Send(frame) => self.send(&frame).await,
            Step::SendRaw(bytes) => {
                self.link.trace.bytes(Direction::Out, "raw bytes", &bytes);
                self.link.send(&bytes).await;
            }
            Step::SendMessage { call, end, body } => return self.message(call, end, body).await,
            Step::Call(call) => match &mut self.driven {
                Some(driven) => driven.call(call),
                None => return fail("the case is wrong: `call` is for clients"),
            },
            Step::Skim { call } => while self.seen.next(call).is_some() {},
            Step::Close => {
                if let Some(driven) = &self.driven {
                    driven.close();
                }
            }
            Step::Deaf(deaf) => self.link.deaf = deaf,
            Step::Shut => {
                self.shut = true;
                self.link.shut();
            }
            Step::Barrier => return self.barrier().await,
            Step::Expect(expect) => return self.expect(expect).await,
            Step::Repeat { .. } => return fail("the case is wrong: `repeat` inside `repeat`"),
        }
        Ok(())
    }

    async fn send(&mut self, frame: &Frame) {
        self.link.trace.frame(Direction::Out, frame);
        self.seen.sent(frame);
        let mut bytes = BytesMut::new();
        frame.write_to(&mut bytes);
        self.link.send(&bytes).await;
    }

    /// Sends a message as a peer should: in pieces, and only what there is credit for.
    async fn message(&mut self, call: u64, end: bool, body: Bytes) -> Result<()> {
        let cost = 16 + body.len() as u64;
        let fits = cost <= self.names.window;
        let piece_max = usize::try_from(self.names.frame_max.min(65_536)).unwrap_or(65_536);
        let mut at = 0;
        loop {
            let needed = if at > 0 {
                1
            } else if fits {
                cost
            } else {
                17
            };
            while self.seen.credit(call) < needed {
                self.pump().await?;
            }
            let fixed = if at == 0 { 16 } else { 0 };
            let credit = usize::try_from(self.seen.credit(call) - fixed).unwrap_or(usize::MAX);
            let left = body.len() - at;
            let whole = at == 0 && left <= piece_max && left <= credit;
            let most = if at == 0 && !whole { piece_max - 8 } else { piece_max };
            let piece = left.min(most).min(credit);
            let complete = at + piece == body.len();
            let mut bytes = BytesMut::new();
            if at == 0 && !complete {
                bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
            }
            bytes.extend_from_slice(&body[at..at + piece]);
            let flags = match (complete, end) {
                (false, _) => FLAG_MORE,
                (true, true) => FLAG_END,
                (true, false) => 0,
            };
            let mut frame = Frame::new(FrameType::Data, call, bytes);
            frame.header = frame.header.with_flags(flags);
            self.send(&frame).await;
            at += piece;
            if complete {
                return Ok(());
            }
        }
    }

    async fn barrier(&mut self) -> Result<()> {
        self.pings += 1;
        // Far from the numbers that scripts use.
        let number = 0xba44_1e40_0000_0000 + self.pings;
        self.send(&Frame::ping(number)).await;
        self.wait(|player| {
            let at = player.seen.pongs.iter().position(|pong| *pong == number)?;
            player.seen.pongs.remove(at)
        })
        .await?;
        Ok(())
    }

    /// Reads until there is what is looked for.
    async fn wait<T>(&mut self, mut look: impl FnMut(&mut Self) -> Option<T>) -> Result<T> {
        loop {
            if let Some(found) = look(self) {
                return Ok(found);
            }
            self.pump().await?;
        }
    }

    /// Takes the next frame of the peer, while there must be one.
    async fn pump(&mut self) -> Result<()> {
        if self.take().await? {
            return match self.seen.goaways.back() {
                Some(goaway) if goaway.code != 0 => {
                    let (code, text) = (goaway.code, &goaway.text);
                    fail(format!("the peer ended the connection with error {code}: {text:?}"))
                }
                _ => Ok(()),
            };
        }
        let reason = "the peer ended the connection".into();
        Err(Failure { verdict: Verdict::UncleanClose, reason })
    }

    /// Takes the next frame of the peer; false at the end of the stream.
    async fn take(&mut self) -> Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let input = self.link.next().await;
        self.took(input).await
    }

    async fn took(&mut self, input: Input) -> Result<bool> {
        match input {
            Input::Frame(frame) => self.seen.arrived(&frame),
            Input::End { rest: 0 } => self.ended = true,
            Input::End { rest } => {
                return fail(format!("the peer's stream ends {rest} bytes inside a frame"));
            }
            Input::Silence => {
                let reason = "the peer is silent".into();
                return Err(Failure { verdict: Verdict::Hang, reason });
            }
        }
        if let Some((requirement, what)) = self.seen.breach.take() {
            return fail(format!("the peer broke {requirement}: it {what}"));
        }
        while let Some(bytes) = self.seen.pings.pop_front() {
            let mut pong = Frame::ping(u64::from_le_bytes(bytes));
            pong.header.flags = bowline_protocol::FLAG_ACK;
            self.send(&pong).await;
        }
        Ok(!self.ended)
    }

    /// Nothing may have come that the script did not name; then both sides end.
    async fn close(&mut self) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        if self.seen.theirs.is_some() && !self.shut {
            self.barrier().await?;
        }
        if let Some((call, event)) = self.seen.unexpected() {
            return fail(format!("call {call} brought {} in the end", text(event)));
        }
        if let Some((call, request)) = self.seen.next_call() {
            return fail(format!("the peer opened call {call}, {}", request.method));
        }
        if let Some(goaway) = self.seen.goaways.front() {
            return fail(format!("GOAWAY came, last = {}", goaway.last));
        }
        if !self.shut {
            self.link.shut();
        }
        while self.take().await? {}
        Ok(())
    }
}

fn text(event: &CallEvent) -> String {
    match event {
        CallEvent::Response(_) => "RESPONSE".into(),
        CallEvent::Message(bytes) => format!("a message of {} bytes", bytes.len()),
        CallEvent::Finished => "the end of its messages".into(),
        CallEvent::Cancelled => "CANCEL".into(),
        CallEvent::End(status) if status.code == 0 => "the end of the call, OK".into(),
        CallEvent::End(status) => {
            format!("STATUS {} {:?}", frames::code_text(status.code), status.message)
        }
    }
}
