//! A peer that sends and reads bytes as it is told, and keeps to no rule.

use std::future::poll_fn;
use std::io::{self, IoSlice};

use bowline_protocol::wire;
use bowline_protocol::{
    FLAG_ACK, FLAG_END, FrameHeader, FrameType, HEADER_LEN, Limits, PREFACE, Side,
};
use bowline_transport::Socket;
use bytes::{Buf, Bytes, BytesMut};
use prost::Message;

/// Path of the unary method of the test service.
pub const UNARY: &str = "test.v1.Test/Unary";
/// Path of its server-streaming method.
pub const DOWNLOAD: &str = "test.v1.Test/Download";
/// Path of its client-streaming method.
pub const UPLOAD: &str = "test.v1.Test/Upload";
/// Path of its method of two streams.
pub const CHAT: &str = "test.v1.Test/Chat";

/// A frame that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its header.
    pub header: FrameHeader,
    /// Its body.
    pub body: Bytes,
}

impl Frame {
    /// Its type.
    ///
    /// # Panics
    /// Nobody sends types that this version does not know.
    #[must_use]
    pub fn kind(&self) -> FrameType {
        FrameType::from_wire(self.header.kind).expect("a known type")
    }

    /// The message that its body is.
    ///
    /// # Panics
    /// It is not one.
    #[must_use]
    pub fn decode<M: Message + Default>(&self) -> M {
        M::decode(&self.body[..]).expect("the body decodes")
    }
}

/// The bytes of a frame.
#[must_use]
pub fn frame(kind: FrameType, flags: u8, call: u64, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a frame is below 4 GiB");
    let header = FrameHeader::new(kind, length, call).with_flags(flags);
    [&header.encode()[..], body].concat()
}

/// The bytes of a frame whose body is a message.
#[must_use]
pub fn message(kind: FrameType, call: u64, body: &impl Message) -> Vec<u8> {
    frame(kind, 0, call, &body.encode_to_vec())
}

/// REQUEST of a method, without deadline and metadata.
#[must_use]
pub fn request(call: u64, method: &str) -> Vec<u8> {
    let body = wire::Request { method: method.to_owned(), ..wire::Request::default() };
    message(FrameType::Request, call, &body)
}

/// DATA with these flags.
#[must_use]
pub fn data(call: u64, flags: u8, body: &[u8]) -> Vec<u8> {
    frame(FrameType::Data, flags, call, body)
}

/// REQUEST and the only message.
#[must_use]
pub fn unary(call: u64, method: &str, body: &impl Message) -> Vec<u8> {
    [request(call, method), data(call, FLAG_END, &body.encode_to_vec())].concat()
}

/// CANCEL.
#[must_use]
pub fn cancel(call: u64) -> Vec<u8> {
    message(FrameType::Cancel, call, &wire::Cancel {})
}

/// CREDIT.
#[must_use]
pub fn credit(call: u64, bytes: u64) -> Vec<u8> {
    message(FrameType::Credit, call, &wire::Credit { bytes })
}

/// PING with this number.
#[must_use]
pub fn ping(number: u64) -> Vec<u8> {
    frame(FrameType::Ping, 0, 0, &number.to_le_bytes())
}

/// GOAWAY.
#[must_use]
pub fn goaway(last: u64, code: u32) -> Vec<u8> {
    message(FrameType::GoAway, 0, &wire::GoAway { last, code, text: String::new() })
}

/// What a side with the default limits says.
#[must_use]
pub fn hello(side: Side) -> wire::Hello {
    let limits = match side {
        Side::Accepting => Limits::accepting(),
        Side::Connecting => Limits::connecting(),
    };
    wire::Hello {
        calls_max: limits.calls_max,
        window: limits.window,
        frame_max: limits.frame_max,
        metadata_max: limits.metadata_max,
        message_max: limits.message_max,
        ..wire::Hello::default()
    }
}

/// Preface and HELLO.
#[must_use]
pub fn opening(hello: &wire::Hello) -> Vec<u8> {
    [&PREFACE[..], &message(FrameType::Hello, 0, hello)].concat()
}

/// One end of a connection, byte by byte.
#[derive(Debug)]
pub struct Raw {
    socket: Box<dyn Socket>,
    input: BytesMut,
}

impl Raw {
    pub(crate) fn new(socket: Box<dyn Socket>) -> Self {
        Self { socket, input: BytesMut::new() }
    }

    /// Sends these bytes, and waits until the socket has taken them.
    ///
    /// # Panics
    /// The socket takes no more.
    pub async fn send(&self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.expect("the peer reads");
    }

    /// Sends these bytes, and waits until the socket has taken them.
    ///
    /// # Errors
    /// The socket takes no more.
    pub async fn try_send(&self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let mut rest = bytes.as_ref();
        while !rest.is_empty() {
            let sent = poll_fn(|cx| self.socket.poll_send(cx, &[IoSlice::new(rest)], &[])).await?;
            rest = &rest[sent..];
        }
        Ok(())
    }

    /// Sends as many of these bytes as the socket takes at once.
    #[must_use]
    pub fn send_now(&self, bytes: &[u8]) -> usize {
        self.socket.try_send(&[IoSlice::new(bytes)], &[]).unwrap_or(0)
    }

    /// Reads what is there, at most so many bytes, without waiting; returns how many are read and
    /// wait to be looked at.
    pub fn read_now(&mut self, most: usize) -> usize {
        let mut part = BytesMut::with_capacity(most);
        if self.socket.try_recv(&mut part, &mut Vec::new()).is_ok() {
            self.input.extend_from_slice(&part);
        }
        self.input.len()
    }

    /// Waits until so many bytes are read and wait to be looked at, and reads no more than that;
    /// false if the stream ends before.
    pub async fn wait_for(&mut self, length: usize) -> bool {
        while self.input.len() < length {
            let mut part = BytesMut::with_capacity(length - self.input.len());
            let socket = &self.socket;
            let read = poll_fn(|cx| socket.poll_recv(cx, &mut part, &mut Vec::new())).await;
            if read.is_ok_and(|read| read == 0) {
                return false;
            }
            self.input.extend_from_slice(&part);
        }
        true
    }

    /// Ends writing.
    pub fn end_writing(&self) {
        self.socket.shutdown().expect("the socket is open");
    }

    /// Reads more; false at the end of the stream. A reset counts as an end.
    pub async fn fill(&mut self) -> bool {
        self.input.reserve(64 * 1024);
        let Self { socket, input } = self;
        let read = poll_fn(|cx| socket.poll_recv(cx, input, &mut Vec::new())).await;
        read.is_ok_and(|read| read > 0)
    }

    /// Reads exactly so many bytes; `None` if the stream ends before.
    pub async fn read(&mut self, length: usize) -> Option<Bytes> {
        while self.input.len() < length {
            if !self.fill().await {
                return None;
            }
        }
        Some(self.input.split_to(length).freeze())
    }

    /// Reads everything up to the end of the stream.
    pub async fn read_all(&mut self) -> Bytes {
        while self.fill().await {}
        self.input.split().freeze()
    }

    /// The next frame; `None` at the end of the stream.
    ///
    /// # Panics
    /// The stream ends inside a frame.
    pub async fn next(&mut self) -> Option<Frame> {
        let Some(header) = self.read(HEADER_LEN).await else {
            assert!(self.input.is_empty(), "the stream ends inside a header");
            return None;
        };
        let header = FrameHeader::decode(header[..].try_into().expect("16 bytes"));
        let body = self.read(header.length as usize).await.expect("the body is there");
        Some(Frame { header, body })
    }

    /// The next frame, which must be of this type.
    ///
    /// # Panics
    /// There is none, or another.
    pub async fn expect(&mut self, kind: FrameType) -> Frame {
        let frame = self.next().await;
        let frame = frame.unwrap_or_else(|| panic!("the stream ended instead of {}", kind.name()));
        assert_eq!(frame.kind(), kind, "{:?}", frame.body);
        frame
    }

    /// The type of the next frame, whichever it is.
    ///
    /// # Panics
    /// There is none.
    pub async fn expect_any(&mut self) -> FrameType {
        self.next().await.expect("a frame").kind()
    }

    /// All frames up to the end of the stream.
    pub async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }

    /// Reads to the end of the stream, where the peer must have said why it ends it.
    ///
    /// # Panics
    /// The last frame is not a GOAWAY.
    pub async fn last_goaway(&mut self) -> wire::GoAway {
        let frames = self.rest().await;
        let last = frames.last().expect("the peer says why it ends the connection");
        assert_eq!(last.kind(), FrameType::GoAway, "of {} frames", frames.len());
        last.decode()
    }

    /// Reads preface and HELLO.
    ///
    /// # Panics
    /// The peer sends something else.
    pub async fn read_opening(&mut self) -> wire::Hello {
        let preface = self.read(PREFACE.len()).await.expect("a preface");
        assert_eq!(preface[..], PREFACE);
        self.expect(FrameType::Hello).await.decode()
    }

    /// Completes the handshake as the connecting side, with the default limits.
    pub async fn greet(&mut self) -> wire::Hello {
        self.send(opening(&hello(Side::Connecting))).await;
        self.read_opening().await
    }

    /// Completes the handshake as the accepting side, with the default limits.
    pub async fn welcome(&mut self) -> wire::Hello {
        self.welcome_with(&hello(Side::Accepting)).await
    }

    /// Completes the handshake as the accepting side.
    pub async fn welcome_with(&mut self, ours: &wire::Hello) -> wire::Hello {
        let theirs = self.read_opening().await;
        self.send(opening(ours)).await;
        theirs
    }

    /// Sends a PING and reads until its answer: all that was sent before it has been processed.
    /// Returns what came before the answer.
    ///
    /// # Panics
    /// The stream ends first.
    pub async fn barrier(&mut self, number: u64) -> Vec<Frame> {
        self.send(ping(number)).await;
        let mut frames = Vec::new();
        loop {
            let frame = self.next().await.expect("an answer to the PING");
            if frame.kind() == FrameType::Ping && frame.header.flags & FLAG_ACK != 0 {
                assert_eq!(frame.body[..], number.to_le_bytes());
                return frames;
            }
            frames.push(frame);
        }
    }

    /// Reads until the terminal frame of this call, and returns the status of the call and its
    /// messages. Frames of others are passed over.
    ///
    /// # Panics
    /// The stream ends first.
    pub async fn outcome(&mut self, call: u64) -> (wire::Status, Vec<Bytes>) {
        let (mut messages, mut cut) = (Vec::new(), BytesMut::new());
        loop {
            let frame = self.next().await.expect("the call ends");
            if frame.header.call != call {
                continue;
            }
            match frame.kind() {
                FrameType::Status => return (frame.decode(), messages),
                FrameType::Data => {
                    let mut body = frame.body.clone();
                    if frame.header.more() && cut.is_empty() {
                        body.advance(8);
                    }
                    cut.extend_from_slice(&body);
                    if !frame.header.more() {
                        messages.push(cut.split().freeze());
                    }
                    if frame.header.end() {
                        return (wire::Status::default(), messages);
                    }
                }
                _ => {}
            }
        }
    }
}
