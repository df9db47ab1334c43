//! Frames as a script writes them, right or wrong, and as a trace shows them.

use std::fmt::Write as _;

use bowline_protocol::wire::{self, Code};
use bowline_protocol::{
    ErrorCode, FLAG_ACK, FLAG_END, FLAG_MORE, FrameHeader, FrameType, HEADER_LEN,
};
use bytes::{Bytes, BytesMut};
use prost::Message;

use crate::messages::echo;
use crate::notation::{Names, NotationError, Result};

/// A frame, whatever is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) header: FrameHeader,
    pub(crate) body: Bytes,
}

impl Frame {
    pub(crate) fn new(kind: FrameType, call: u64, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        Self { header: FrameHeader::new(kind, length, call), body }
    }

    pub(crate) fn ping(number: u64) -> Self {
        Self::new(FrameType::Ping, 0, number.to_le_bytes().to_vec())
    }

    pub(crate) fn kind(&self) -> Option<FrameType> {
        FrameType::from_wire(self.header.kind)
    }

    pub(crate) fn decode<M: Message + Default>(&self) -> Option<M> {
        M::decode(self.body.clone()).ok()
    }

    pub(crate) fn write_to(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.header.encode());
        out.extend_from_slice(&self.body);
    }

    /// The frame that these words describe: its name, then what it has.
    pub(crate) fn parse(words: &[&str], names: &Names) -> Result<Self> {
        let [name, words @ ..] = words else {
            return Err(NotationError::new("a frame is missing", ""));
        };
        let kind = FrameType::ALL.into_iter().find(|kind| kind.name() == *name);
        let kind = kind.ok_or_else(|| NotationError::new("no such frame", *name))?;
        Writer::new(kind, names).write(words)
    }
}

/// Puts a frame together from its words.
struct Writer<'a> {
    names: &'a Names,
    kind: FrameType,
    header: FrameHeader,
    /// Words of the form `name=value` that belong to the protobuf body.
    fields: Vec<(&'a str, &'a str)>,
    /// Other words that say something about the body.
    bare: Vec<&'a str>,
    body: BytesMut,
    announce: Option<u64>,
    /// Bytes behind the protobuf body.
    tail: Bytes,
    /// What the header says instead of the truth.
    length: Option<u32>,
    type_byte: Option<u8>,
}

impl<'a> Writer<'a> {
    fn new(kind: FrameType, names: &'a Names) -> Self {
        Self {
            names,
            kind,
            header: FrameHeader::new(kind, 0, 0),
            fields: Vec::new(),
            bare: Vec::new(),
            body: BytesMut::new(),
            announce: None,
            tail: Bytes::new(),
            length: None,
            type_byte: None,
        }
    }

    fn write(mut self, words: &[&'a str]) -> Result<Frame> {
        let connection =
            matches!(self.kind, FrameType::Hello | FrameType::Ping | FrameType::GoAway);
        let mut words = words.iter().copied();
        if !connection {
            let id =
                words.next().ok_or_else(|| NotationError::new("a call's id is missing", ""))?;
            self.header.call = self.names.number(id)?;
        }
        for word in words {
            self.word(word)?;
        }
        let body = if self.kind == FrameType::Data { self.data() } else { self.message()? };
        let mut header = self.header;
        header.length = match self.length {
            Some(length) => length,
            None => u32::try_from(body.len())
                .map_err(|_| NotationError::new("a body of 4 GiB and more", self.kind.name()))?,
        };
        header.kind = self.type_byte.unwrap_or(header.kind);
        Ok(Frame { header, body })
    }

    fn word(&mut self, word: &'a str) -> Result<()> {
        if !word.starts_with('"')
            && let Some((name, value)) = word.split_once('=')
        {
            return self.field(name, value);
        }
        match word {
            "ACK" => self.header.flags |= FLAG_ACK,
            "MORE" => self.header.flags |= FLAG_MORE,
            "END" => self.header.flags |= FLAG_END,
            _ => match self.names.bytes(word)? {
                Some(bytes) if self.kind == FrameType::Data => self.body.extend_from_slice(&bytes),
                _ => self.bare.push(word),
            },
        }
        Ok(())
    }

    fn field(&mut self, name: &'a str, value: &'a str) -> Result<()> {
        let names = self.names;
        let byte = |value| {
            let number = names.number(value)?;
            u8::try_from(number).map_err(|_| NotationError::new("not a byte", value))
        };
        match name {
            "type" => self.type_byte = Some(byte(value)?),
            "flags" => self.header.flags |= byte(value)?,
            "fds" => self.header.fds = byte(value)?,
            "reserved" => self.header.reserved = byte(value)?,
            "call" => self.header.call = names.number(value)?,
            "length" => {
                let length = u32::try_from(names.number(value)?);
                self.length = Some(length.map_err(|_| NotationError::new("not a u32", value))?);
            }
            "announce" => self.announce = Some(names.number(value)?),
            "tail" => {
                let bytes = names.bytes(value)?;
                self.tail = bytes.ok_or_else(|| NotationError::new("not bytes", value))?;
            }
            _ => self.fields.push((name, value)),
        }
        Ok(())
    }

    fn data(&mut self) -> Bytes {
        let mut body = BytesMut::new();
        if let Some(length) = self.announce {
            body.extend_from_slice(&length.to_le_bytes());
        }
        body.extend_from_slice(&self.body);
        body.extend_from_slice(&self.tail);
        body.freeze()
    }

    fn message(&mut self) -> Result<Bytes> {
        let mut body = match self.kind {
            FrameType::Hello => self.hello()?.encode_to_vec(),
            FrameType::Ping => self.number()?.to_le_bytes().to_vec(),
            FrameType::GoAway => self.goaway()?.encode_to_vec(),
            FrameType::Request => self.request()?.encode_to_vec(),
            FrameType::Response => wire::Response { metadata: self.metadata()? }.encode_to_vec(),
            FrameType::Status => self.status()?.encode_to_vec(),
            FrameType::Credit => wire::Credit { bytes: self.number()? }.encode_to_vec(),
            _ => Vec::new(),
        };
        body.extend_from_slice(&self.tail);
        Ok(body.into())
    }

    /// The only number of a frame; 0 if there is none.
    fn number(&self) -> Result<u64> {
        self.bare.first().map_or(Ok(0), |word| self.names.number(word))
    }

    fn hello(&self) -> Result<wire::Hello> {
        let mut hello = hello();
        for (name, value) in &self.fields {
            let number = || self.names.number(value);
            let small =
                || u32::try_from(number()?).map_err(|_| NotationError::new("not a u32", *value));
            match *name {
                "calls_max" => hello.calls_max = small()?,
                "window" => hello.window = number()?,
                "frame_max" => hello.frame_max = small()?,
                "metadata_max" => hello.metadata_max = small()?,
                "message_max" => hello.message_max = number()?,
                "offered" => hello.features_offered = small()?,
                "required" => hello.features_required = small()?,
                "token" => hello.token = self.names.bytes(value)?.unwrap_or_default(),
                _ => return Err(NotationError::new("no such field of HELLO", *name)),
            }
        }
        Ok(hello)
    }

    fn goaway(&self) -> Result<wire::GoAway> {
        let mut goaway = wire::GoAway::default();
        for (name, value) in &self.fields {
            match *name {
                "last" => goaway.last = self.names.number(value)?,
                "code" => goaway.code = self.names.number(value)? as u32,
                _ => return Err(NotationError::new("no such field of GOAWAY", *name)),
            }
        }
        for word in &self.bare {
            goaway.code = error_code(word)? as u32;
        }
        Ok(goaway)
    }

    fn request(&self) -> Result<wire::Request> {
        let mut request = wire::Request { metadata: self.metadata()?, ..wire::Request::default() };
        for (name, value) in &self.fields {
            match *name {
                "number" => request.method_number = self.names.number(value)? as u32,
                "deadline_us" => request.deadline_us = Some(self.names.number(value)?),
                "method" => {
                    let bytes = self.names.bytes(value)?.unwrap_or_default();
                    request.method = String::from_utf8_lossy(&bytes).into_owned();
                }
                _ => {}
            }
        }
        if let Some(method) = self.bare.first() {
            request.method = method_name(method);
        }
        Ok(request)
    }

    fn status(&self) -> Result<wire::Status> {
        let mut status = wire::Status { metadata: self.metadata()?, ..wire::Status::default() };
        for (name, value) in &self.fields {
            if *name == "code" {
                status.code = self.names.number(value)? as u32;
            }
        }
        for word in &self.bare {
            match self.names.bytes(word)? {
                Some(text) => status.message = String::from_utf8_lossy(&text).into_owned(),
                None if *word == "not_started" => status.not_started = true,
                None => status.code = status_code(word)? as u32,
            }
        }
        Ok(status)
    }

    /// Fields of the form `:key=value`.
    fn metadata(&self) -> Result<Vec<wire::MetadataEntry>> {
        let entries = self.fields.iter().filter_map(|(name, value)| {
            let key = name.strip_prefix(':')?;
            Some((key, *value))
        });
        let mut metadata = Vec::new();
        for (key, value) in entries {
            let key = match self.names.bytes(key)? {
                Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                None => key.to_owned(),
            };
            let value = self.names.bytes(value)?.unwrap_or_default();
            metadata.push(wire::MetadataEntry { key, value });
        }
        Ok(metadata)
    }
}

/// What the kit says in its HELLO unless a script says otherwise: room for all that a peer sends.
pub(crate) fn hello() -> wire::Hello {
    wire::Hello {
        calls_max: 64,
        window: 1 << 20,
        frame_max: 1 << 20,
        metadata_max: 65_536,
        message_max: 1 << 24,
        ..wire::Hello::default()
    }
}

/// `Unary` stands for the method of the service that peers under test serve.
pub(crate) fn method_name(word: &str) -> String {
    if word.contains(['/', '.']) { word.to_owned() } else { format!("{}{word}", echo::SERVICE) }
}

pub(crate) fn error_code(name: &str) -> Result<ErrorCode> {
    (0..=21)
        .filter_map(|code| ErrorCode::try_from(code).ok())
        .find(|code| code.name() == name)
        .ok_or_else(|| NotationError::new("no such error", name))
}

pub(crate) fn status_code(name: &str) -> Result<Code> {
    (0..=16)
        .filter_map(|code| Code::try_from(code).ok())
        .find(|code| code_name(*code) == name)
        .ok_or_else(|| NotationError::new("no such status code", name))
}

pub(crate) fn code_name(code: Code) -> &'static str {
    code.as_str_name().trim_start_matches("CODE_")
}

/// A frame in one line, as a trace shows it.
pub(crate) fn describe(frame: &Frame) -> String {
    let header = &frame.header;
    let Some(kind) = frame.kind() else {
        return format!("type {:#04x}, {} bytes", header.kind, frame.body.len());
    };
    let mut line = kind.name().to_owned();
    if header.call != 0 {
        let _ = write!(line, " {}", header.call);
    }
    let text = match kind {
        FrameType::Hello => frame.decode::<wire::Hello>().map(|hello| {
            format!(
                "calls_max={} window={} frame_max={} metadata_max={} message_max={}",
                hello.calls_max,
                hello.window,
                hello.frame_max,
                hello.metadata_max,
                hello.message_max
            )
        }),
        FrameType::Ping => {
            let ack = if header.flags & FLAG_ACK != 0 { "ACK " } else { "" };
            let number = frame.body[..].try_into().ok().map(u64::from_le_bytes);
            number.map(|number| format!("{ack}{number}"))
        }
        FrameType::GoAway => frame.decode::<wire::GoAway>().map(|goaway| {
            let code =
                i32::try_from(goaway.code).ok().and_then(|code| ErrorCode::try_from(code).ok());
            let code = code.map_or_else(|| goaway.code.to_string(), |code| code.name().to_owned());
            format!("last={} {code} {:?}", goaway.last, goaway.text)
        }),
        FrameType::Request => frame
            .decode::<wire::Request>()
            .map(|request| format!("{} number={}", request.method, request.method_number)),
        FrameType::Status => frame.decode::<wire::Status>().map(|status| {
            let started = if status.not_started { " not_started" } else { "" };
            format!("{} {:?}{started}", code_text(status.code), status.message)
        }),
        FrameType::Credit => frame.decode::<wire::Credit>().map(|credit| credit.bytes.to_string()),
        FrameType::Data => Some(describe_data(frame)),
        _ => Some(String::new()),
    };
    let text = text.unwrap_or_else(|| "(does not decode)".into());
    if !text.is_empty() {
        let _ = write!(line, " {text}");
    }
    line
}

pub(crate) fn code_text(code: u32) -> String {
    let known = i32::try_from(code).ok().and_then(|code| Code::try_from(code).ok());
    known.map_or_else(|| code.to_string(), |code| code_name(code).to_owned())
}

fn describe_data(frame: &Frame) -> String {
    let mut flags = String::new();
    for (flag, name) in [(FLAG_MORE, "MORE "), (FLAG_END, "END ")] {
        if frame.header.flags & flag != 0 {
            flags.push_str(name);
        }
    }
    format!("{flags}{} bytes", frame.body.len())
}

/// Takes a whole frame from the front of these bytes, if there is one.
pub(crate) fn take_frame(bytes: &mut BytesMut) -> Option<Frame> {
    let header = FrameHeader::decode(bytes.first_chunk::<HEADER_LEN>()?);
    let total = HEADER_LEN + header.length as usize;
    if bytes.len() < total {
        return None;
    }
    let body = bytes.split_to(total).freeze().slice(HEADER_LEN..);
    Some(Frame { header, body })
}

#[cfg(test)]
mod tests;
