//! A peer that speaks byte by byte and stops at a certain point of the protocol, to die there.

use std::future::poll_fn;
use std::io::IoSlice;

use bowline::codegen::prost::Message;
use bowline::transport::Socket;
use bowline_protocol::{
    ErrorCode, FLAG_END, FLAG_MORE, FrameHeader, FrameType, HEADER_LEN, Limits, PREFACE, wire,
};
use bytes::BytesMut;

use super::service::{ECHO, STREAM};

/// Where a peer dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    BeforeHello,
    /// Behind half of HELLO.
    InsideHello,
    /// Between REQUEST and DATA.
    BeforeData,
    /// Behind a piece of a message and half a header.
    InsideMessage,
    /// Between messages of a stream.
    InStream,
}

impl Point {
    pub(crate) const ALL: [Self; 5] = [
        Self::BeforeHello,
        Self::InsideHello,
        Self::BeforeData,
        Self::InsideMessage,
        Self::InStream,
    ];

    pub(crate) fn from_name(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|point| format!("{point:?}") == name);
        found.expect("a point")
    }
}

/// How many messages of a stream are sent before [`Point::InStream`].
pub(crate) const MESSAGES: usize = 3;

fn message(out: &mut Vec<u8>, kind: FrameType, call: u64, body: &impl Message) {
    let body = body.encode_to_vec();
    out.extend(FrameHeader::new(kind, body.len() as u32, call).encode());
    out.extend(body);
}

fn data(out: &mut Vec<u8>, call: u64, flags: u8, body: &[u8]) {
    let header = FrameHeader::new(FrameType::Data, body.len() as u32, call);
    out.extend(header.with_flags(flags).encode());
    out.extend(body);
}

fn hello(out: &mut Vec<u8>, calls_max: u32) {
    let limits = Limits::accepting();
    out.extend(PREFACE);
    let hello = wire::Hello {
        calls_max,
        window: limits.window,
        frame_max: limits.frame_max,
        metadata_max: limits.metadata_max,
        message_max: limits.message_max,
        ..wire::Hello::default()
    };
    message(out, FrameType::Hello, 0, &hello);
}

fn request(out: &mut Vec<u8>, call: u64, method: &str) {
    let request = wire::Request { method: method.to_owned(), ..wire::Request::default() };
    message(out, FrameType::Request, call, &request);
}

/// The first half of something.
fn half(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() / 2);
    bytes
}

/// A piece of a cut message, and half a header of the next.
fn cut_message(out: &mut Vec<u8>, call: u64) {
    data(out, call, FLAG_MORE, &[&1000_u64.to_le_bytes()[..], b"ten bytes."].concat());
    out.extend(half(FrameHeader::new(FrameType::Data, 10, call).encode().to_vec()));
}

/// All that a client sends before it dies: a unary call and a stream, as far as it gets.
pub(crate) fn of_client(point: Point) -> Vec<u8> {
    let mut out = Vec::new();
    if point == Point::BeforeHello {
        return out;
    }
    hello(&mut out, 0);
    if point == Point::InsideHello {
        return half(out);
    }
    request(&mut out, 1, ECHO.path());
    request(&mut out, 3, STREAM.path());
    if point == Point::InsideMessage {
        // Of the unary call's message a part, of the stream's, too.
        data(&mut out, 1, FLAG_MORE, &[&1000_u64.to_le_bytes()[..], b"ten bytes."].concat());
        cut_message(&mut out, 3);
    }
    if point == Point::InStream {
        for _ in 0..MESSAGES {
            data(&mut out, 3, 0, b"message");
        }
    }
    out
}

/// All that a server sends before it dies: parts of an answer to call 1, and a callback.
pub(crate) fn of_server(point: Point) -> Vec<u8> {
    let mut out = Vec::new();
    if point == Point::BeforeHello {
        return out;
    }
    hello(&mut out, 64);
    if point == Point::InsideHello {
        return half(out);
    }
    request(&mut out, 2, STREAM.path());
    if point == Point::InsideMessage {
        cut_message(&mut out, 1);
    }
    if point == Point::InStream {
        for _ in 0..MESSAGES {
            data(&mut out, 1, 0, b"message");
        }
        // Another call ends well before the death.
        data(&mut out, 3, FLAG_END, b"answer");
    }
    out
}

/// What a server sends first.
pub(crate) fn hello_of_server() -> Vec<u8> {
    let mut out = Vec::new();
    hello(&mut out, 64);
    out
}

/// What a client sends first.
pub(crate) fn hello_of_client() -> Vec<u8> {
    let mut out = Vec::new();
    hello(&mut out, 0);
    out
}

/// Messages on call 1, and a GOAWAY with this text that says that nothing behind it has started.
pub(crate) fn last_words(goaway: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..MESSAGES {
        data(&mut out, 1, 0, b"message");
    }
    if let Some(text) = goaway {
        let code = ErrorCode::Internal as u32;
        let goaway = wire::GoAway { last: 1, code, text: text.to_owned() };
        message(&mut out, FrameType::GoAway, 0, &goaway);
    }
    out
}

/// Sends all.
pub(crate) async fn send(socket: &dyn Socket, bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let sent = poll_fn(|cx| socket.poll_send(cx, &[IoSlice::new(rest)], &[])).await;
        rest = &rest[sent.expect("the peer reads")..];
    }
}

/// Opens a stream and sends the first piece of a message of this length.
pub(crate) fn begun_stream(call: u64, length: u64) -> Vec<u8> {
    let mut out = Vec::new();
    request(&mut out, call, STREAM.path());
    data(&mut out, call, FLAG_MORE, &[&length.to_le_bytes()[..], b"ten bytes."].concat());
    out
}

/// What is read from a peer, frame by frame.
pub(crate) struct Reader<'a> {
    socket: &'a dyn Socket,
    input: BytesMut,
    preface: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(socket: &'a dyn Socket) -> Self {
        Self { socket, input: BytesMut::new(), preface: false }
    }

    /// Reads until so many frames of this type have come, on this call or any.
    pub(crate) async fn frames(&mut self, count: usize, kind: FrameType, call: Option<u64>) {
        let mut seen = 0;
        loop {
            if !self.preface && self.input.len() >= PREFACE.len() {
                assert_eq!(self.input.split_to(PREFACE.len())[..], PREFACE);
                self.preface = true;
            }
            while seen < count
                && self.preface
                && let Some(header) = self.input.first_chunk().map(FrameHeader::decode)
                && self.input.len() >= HEADER_LEN + header.length as usize
            {
                let _frame = self.input.split_to(HEADER_LEN + header.length as usize);
                let wanted = header.kind == kind as u8;
                seen += usize::from(wanted && call.is_none_or(|call| header.call == call));
            }
            if seen >= count {
                return;
            }
            // A little at a time, so that something stays unread.
            self.input.reserve(256);
            let input = &mut self.input;
            let read = poll_fn(|cx| self.socket.poll_recv(cx, input, &mut Vec::new())).await;
            assert!(read.expect("the peer sends") > 0, "the peer ended before {count} {kind:?}");
        }
    }
}
