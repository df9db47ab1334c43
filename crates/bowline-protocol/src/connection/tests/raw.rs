//! Frames as a raw peer writes them, right or wrong, and as a test reads them.

use std::fmt::Write as _;

use prost::Message;

use crate::frame::{FLAG_ACK, FLAG_END, FLAG_MORE, FrameHeader, FrameType, HEADER_LEN};
use crate::wire::{self, Code};
use crate::{CallId, ErrorCode, PREFACE};

/// The method that raw peers call when it does not matter.
pub(super) const METHOD: &str = "test.Echo/Say";

pub(super) const fn id(call: u64) -> CallId {
    CallId(call)
}

/// A frame to be fed to a connection.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Raw {
    pub(super) header: FrameHeader,
    pub(super) body: Vec<u8>,
}

pub(super) fn frame(kind: FrameType, call: u64, body: impl Into<Vec<u8>>) -> Raw {
    Raw { header: FrameHeader::new(kind, 0, call), body: body.into() }.sized()
}

fn message(kind: FrameType, call: u64, body: &impl Message) -> Raw {
    frame(kind, call, body.encode_to_vec())
}

/// The least HELLO that either side can send, with calls allowed both ways.
pub(super) fn hello() -> Raw {
    let hello = wire::Hello {
        calls_max: 64,
        window: 65_536,
        frame_max: 16_384,
        metadata_max: 16_384,
        message_max: 65_536,
        ..wire::Hello::default()
    };
    message(FrameType::Hello, 0, &hello)
}

pub(super) fn ping(bytes: u64) -> Raw {
    frame(FrameType::Ping, 0, bytes.to_le_bytes())
}

pub(super) fn pong(bytes: u64) -> Raw {
    ping(bytes).flags(FLAG_ACK)
}

pub(super) fn goaway(last: u64, code: ErrorCode) -> Raw {
    let body = wire::GoAway { last, code: code as u32, text: String::new() };
    message(FrameType::GoAway, 0, &body)
}

pub(super) fn request(call: u64) -> Raw {
    let body = wire::Request { method: METHOD.to_owned(), ..wire::Request::default() };
    message(FrameType::Request, call, &body)
}

pub(super) fn response(call: u64) -> Raw {
    message(FrameType::Response, call, &wire::Response::default())
}

pub(super) fn data(call: u64, body: impl AsRef<[u8]>) -> Raw {
    frame(FrameType::Data, call, body.as_ref())
}

/// The first piece of a cut message that announces this length.
pub(super) fn cut(call: u64, length: u64, piece: impl AsRef<[u8]>) -> Raw {
    let body = [&length.to_le_bytes()[..], piece.as_ref()].concat();
    frame(FrameType::Data, call, body).more()
}

pub(super) fn finish(call: u64) -> Raw {
    frame(FrameType::Finish, call, [])
}

pub(super) fn cancel(call: u64) -> Raw {
    frame(FrameType::Cancel, call, [])
}

pub(super) fn credit(call: u64, bytes: u64) -> Raw {
    message(FrameType::Credit, call, &wire::Credit { bytes })
}

pub(super) fn status(call: u64, code: Code, text: &str) -> Raw {
    let body = wire::Status { code: code as u32, message: text.into(), ..wire::Status::default() };
    message(FrameType::Status, call, &body)
}

/// A frame of an unknown type that can be ignored.
pub(super) fn grease(length: usize) -> Raw {
    frame(FrameType::Data, 0, vec![0xee; length]).kind(0xa5)
}

impl Raw {
    fn sized(mut self) -> Self {
        self.header.length = u32::try_from(self.body.len()).unwrap();
        self
    }

    /// Changes the protobuf body.
    pub(super) fn with<M: Message + Default>(mut self, change: impl FnOnce(&mut M)) -> Self {
        let mut body = M::decode(&self.body[..]).unwrap();
        change(&mut body);
        self.body = body.encode_to_vec();
        self.sized()
    }

    pub(super) fn method(self, name: &str) -> Self {
        self.with(|request: &mut wire::Request| request.method = name.to_owned())
    }

    pub(super) fn number(self, number: u32) -> Self {
        self.with(|request: &mut wire::Request| request.method_number = number)
    }

    pub(super) fn deadline_us(self, left: u64) -> Self {
        self.with(|request: &mut wire::Request| request.deadline_us = Some(left))
    }

    /// Adds an entry of metadata to a REQUEST, RESPONSE or STATUS.
    pub(super) fn entry(self, key: &str, value: impl Into<Vec<u8>>) -> Self {
        let entry = wire::MetadataEntry { key: key.to_owned(), value: value.into().into() };
        match FrameType::from_wire(self.header.kind) {
            Some(FrameType::Request) => self.with(|m: &mut wire::Request| m.metadata.push(entry)),
            Some(FrameType::Response) => self.with(|m: &mut wire::Response| m.metadata.push(entry)),
            _ => self.with(|m: &mut wire::Status| m.metadata.push(entry)),
        }
    }

    pub(super) fn more(self) -> Self {
        self.flags(FLAG_MORE)
    }

    pub(super) fn end(self) -> Self {
        self.flags(FLAG_END)
    }

    pub(super) fn flags(mut self, flags: u8) -> Self {
        self.header.flags |= flags;
        self
    }

    pub(super) fn kind(mut self, kind: u8) -> Self {
        self.header.kind = kind;
        self
    }

    pub(super) fn fds(mut self, fds: u8) -> Self {
        self.header.fds = fds;
        self
    }

    pub(super) fn reserved(mut self, reserved: u8) -> Self {
        self.header.reserved = reserved;
        self
    }

    pub(super) fn call(mut self, call: u64) -> Self {
        self.header.call = call;
        self
    }

    /// Replaces the body.
    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.sized()
    }

    /// Says another length than the body has.
    pub(super) fn length(mut self, length: u32) -> Self {
        self.header.length = length;
        self
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        [&self.header.encode()[..], &self.body].concat()
    }

    /// Reads all frames of these bytes; nothing may be left over.
    pub(super) fn decode_all(mut bytes: &[u8]) -> Vec<Self> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let (header, rest) = bytes.split_first_chunk::<HEADER_LEN>().expect("a whole header");
            let header = FrameHeader::decode(header);
            let (body, rest) = rest.split_at(header.length as usize);
            frames.push(Self { header, body: body.to_vec() });
            bytes = rest;
        }
        frames
    }

    fn parse<M: Message + Default>(&self) -> M {
        M::decode(&self.body[..]).unwrap()
    }

    /// The frame in one line, with what is not at its default.
    pub(super) fn describe(&self) -> String {
        let Some(kind) = FrameType::from_wire(self.header.kind) else {
            return format!("type {:#04x}, {} bytes", self.header.kind, self.body.len());
        };
        let mut line = kind.name().to_owned();
        if self.header.call != 0 {
            let _ = write!(line, " {}", self.header.call);
        }
        let mut add = |text: &str| {
            line.push(' ');
            line.push_str(text);
        };
        match kind {
            FrameType::Hello => self.describe_hello(&mut add),
            FrameType::Ping => {
                if self.header.flags & FLAG_ACK != 0 {
                    add("ACK");
                }
                add(&format!("{}", u64::from_le_bytes(self.body[..].try_into().unwrap())));
            }
            FrameType::GoAway => {
                let wire::GoAway { last, code, text } = self.parse();
                let code = ErrorCode::try_from(i32::try_from(code).unwrap()).unwrap();
                add(&format!("last={last} {}", code.name()));
                if !text.is_empty() {
                    add(&format!("{text:?}"));
                }
            }
            FrameType::Request => self.describe_request(&mut add),
            FrameType::Response => {
                describe_metadata(&self.parse::<wire::Response>().metadata, &mut add)
            }
            FrameType::Data => self.describe_data(&mut add),
            FrameType::Status => self.describe_status(&mut add),
            FrameType::Credit => add(&self.parse::<wire::Credit>().bytes.to_string()),
            FrameType::Finish | FrameType::Cancel => assert!(self.body.is_empty()),
        }
        line
    }

    fn describe_hello(&self, add: &mut impl FnMut(&str)) {
        let hello: wire::Hello = self.parse();
        add(&format!(
            "calls_max={} window={} frame_max={} metadata_max={} message_max={}",
            hello.calls_max, hello.window, hello.frame_max, hello.metadata_max, hello.message_max
        ));
        if hello.features_offered | hello.features_required != 0 {
            add(&format!("features={:#x}/{:#x}", hello.features_offered, hello.features_required));
        }
        if !hello.token.is_empty() {
            add(&format!("token={:?}", hello.token));
        }
    }

    fn describe_request(&self, add: &mut impl FnMut(&str)) {
        let request: wire::Request = self.parse();
        if !request.method.is_empty() {
            add(&request.method);
        }
        if request.method_number != 0 {
            add(&format!("number={}", request.method_number));
        }
        if let Some(left) = request.deadline_us {
            add(&format!("deadline_us={left}"));
        }
        describe_metadata(&request.metadata, add);
    }

    fn describe_data(&self, add: &mut impl FnMut(&str)) {
        if self.header.more() {
            add("MORE");
        }
        if self.header.end() {
            add("END");
        }
        if self.header.fds > 0 {
            add(&format!("fds={}", self.header.fds));
        }
        match str::from_utf8(&self.body) {
            Ok(text) if text.len() < 32 && !text.contains(char::is_control) => {
                add(&format!("{text:?}"));
            }
            _ => add(&format!("{} bytes", self.body.len())),
        }
    }

    fn describe_status(&self, add: &mut impl FnMut(&str)) {
        let status: wire::Status = self.parse();
        add(Code::from_wire(status.code).name());
        if !status.message.is_empty() {
            add(&format!("{:?}", status.message));
        }
        for detail in &status.details {
            add(&format!("detail={} ({} bytes)", detail.type_url, detail.value.len()));
        }
        describe_metadata(&status.metadata, add);
        if status.not_started {
            add("not_started");
        }
    }
}

fn describe_metadata(metadata: &[wire::MetadataEntry], add: &mut impl FnMut(&str)) {
    for entry in metadata {
        add(&format!("{}={:?}", entry.key, entry.value));
    }
}

/// Takes the preface off what a side has sent, if it is there.
pub(super) fn split_preface(bytes: &[u8]) -> (bool, &[u8]) {
    bytes.strip_prefix(&PREFACE).map_or((false, bytes), |rest| (true, rest))
}
