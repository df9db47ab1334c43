//! The steps of a script.

use bowline_protocol::ErrorCode;
use bowline_protocol::wire::Code;
use bytes::Bytes;

use crate::frames::{self, Frame};
use crate::messages::adapter as commands;
use crate::notation::{Names, NotationError, Result, words};

/// One line of a script.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// `> REQUEST 1 Unary`: sends a frame, whatever is wrong with it.
    Send(Frame),
    /// `> raw 0x00 "text"`: sends bytes.
    SendRaw(Bytes),
    /// `send 1 END echo(100_000)`: sends a message as a peer should, in pieces and by credit.
    SendMessage { call: u64, end: bool, body: Bytes },
    /// `repeat 64 > CREDIT 1 5`: a line many times, `i` being the round, from 0.
    Repeat { times: u64, line: String },
    /// `call Unary echo(5)`: has the peer's client make a call.
    Call(commands::Call),
    /// `skim c1`: whatever has come for the call is of no interest.
    Skim { call: u64 },
    /// `close`: has it close the connection.
    Close,
    /// `deaf`, `hear`: whether the kit reads while it writes.
    Deaf(bool),
    /// `shut`: ends the kit's writing.
    Shut,
    /// `barrier`: a PING, and its answer.
    Barrier,
    /// What the peer must do next.
    Expect(Expect),
}

/// `< …`: what must come from the peer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expect {
    /// What a call must bring next.
    Call(u64, OfCall),
    /// `< credit 1 100`: CREDIT that adds up to so much, at least.
    Credit { call: u64, bytes: u64 },
    /// `quiet 1`: the call has brought nothing more.
    Quiet { call: u64 },
    /// `< request Unary`: the peer opens a call, of this method if its name is given.
    Request { method: Option<String> },
    /// `result 1 OK reply(5)`: what the application of the first `call` is told; `result-of` leaves the
    /// messages open.
    Result { call: usize, code: Option<Code>, not_started: bool, messages: Option<Vec<Bytes>> },
    /// `< pong 5`
    Pong(u64),
    /// `< goaway last=5`: GOAWAY with code 0.
    Goaway { last: Option<u64> },
    /// `< error CREDIT or CALL_ID`: GOAWAY with one of these codes and then the end of the stream.
    Error(Vec<ErrorCode>),
    /// `< preface 1`: the preface with this version.
    Preface(u8),
    /// `< hello`: HELLO, whose limits scripts can name from here on.
    Hello,
    /// `< end-of-stream`: between two frames, and no frame before it.
    EndOfStream,
    /// `< gone`: the end of the stream, whatever comes before it.
    Gone,
    /// `< nothing`: the end of the stream without a byte.
    Nothing,
}

/// What a call must bring next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OfCall {
    /// `< response 1`
    Response,
    /// `< message 1 reply(5)`: a whole message, however cut, and with these bytes if given.
    Message(Option<Bytes>),
    /// `< end 1 OK`: the terminal frame; `*` is any code. `< drained 1 *`: behind any messages.
    End { code: Option<Code>, not_started: bool, drained: bool },
    /// `< finished c1`: the caller's END or FINISH.
    Finished,
    /// `< cancelled c1`: CANCEL, behind any messages.
    Cancelled,
}

impl Step {
    pub(crate) fn parse(line: &str, names: &Names) -> Result<Self> {
        let words = words(line);
        let [first, rest @ ..] = &words[..] else {
            return Err(NotationError::new("an empty line", line));
        };
        let step = match *first {
            ">" if rest.first() == Some(&"raw") => Self::SendRaw(all_bytes(&rest[1..], names)?),
            ">" => Self::Send(Frame::parse(rest, names)?),
            "<" => Self::Expect(Expect::parse(rest, names)?),
            "send" => Self::send(rest, names)?,
            "repeat" => {
                let [times, ..] = rest else {
                    return Err(NotationError::new("`repeat` of nothing", line));
                };
                let (_, line) = line.split_once(times).unwrap_or_default();
                Self::parse(line.trim(), names)?;
                Self::Repeat { times: names.number(times)?, line: line.trim().to_owned() }
            }
            "call" => Self::call(rest, names)?,
            "close" => Self::Close,
            "result" | "result-of" => {
                Self::Expect(Expect::result(rest, names, *first == "result")?)
            }
            "skim" => {
                let [call] = rest else { return Err(NotationError::new("which call?", line)) };
                Self::Skim { call: names.number(call)? }
            }
            "deaf" => Self::Deaf(true),
            "hear" => Self::Deaf(false),
            "shut" => Self::Shut,
            "barrier" => Self::Barrier,
            "quiet" => {
                let [call] = rest else { return Err(NotationError::new("which call?", line)) };
                Self::Expect(Expect::Quiet { call: names.number(call)? })
            }
            other => return Err(NotationError::new("no such step", other)),
        };
        Ok(step)
    }

    fn call(rest: &[&str], names: &Names) -> Result<Self> {
        let [method, rest @ ..] = rest else {
            return Err(NotationError::new("`call` of which method?", ""));
        };
        let kind = match *method {
            "Download" => commands::Kind::ServerStreaming,
            "Upload" => commands::Kind::ClientStreaming,
            "Chat" => commands::Kind::BidiStreaming,
            _ => commands::Kind::Unary,
        };
        let mut call = commands::Call { method: frames::method_name(method), ..Default::default() };
        call.set_kind(kind);
        for word in rest {
            match word.split_once('=') {
                Some(("timeout_us", value)) => call.timeout_us = names.number(value)?,
                Some(("cancel_after", value)) => {
                    let after = u32::try_from(names.number(value)?);
                    call.cancel_after = after.map_err(|_| NotationError::new("too many", value))?;
                }
                _ if *word == "open" => call.open = true,
                _ if *word == "cancel" => call.cancel = true,
                _ => call.messages.push(all_bytes(&[word], names)?),
            }
        }
        Ok(Self::Call(call))
    }

    fn send(rest: &[&str], names: &Names) -> Result<Self> {
        let [call, rest @ ..] = rest else {
            return Err(NotationError::new("`send` on which call?", ""));
        };
        let end = rest.first() == Some(&"END");
        let body = all_bytes(&rest[usize::from(end)..], names)?;
        Ok(Self::SendMessage { call: names.number(call)?, end, body })
    }
}

impl Expect {
    fn result(words: &[&str], names: &Names, exact: bool) -> Result<Self> {
        let [call, _, rest @ ..] = words else {
            return Err(NotationError::new("`result` of which call, and with which code?", ""));
        };
        let call = names.length(call)?;
        let not_started = rest.first() == Some(&"not_started");
        let messages = &rest[usize::from(not_started)..];
        let messages = messages.iter().map(|word| all_bytes(&[word], names));
        let messages = messages.collect::<Result<_>>()?;
        let messages = Some(messages).filter(|_| exact);
        Ok(Self::Result { call, code: code(words)?, not_started, messages })
    }

    fn parse(words: &[&str], names: &Names) -> Result<Self> {
        let [first, rest @ ..] = words else {
            return Err(NotationError::new("nothing is expected", ""));
        };
        let number = |at: usize| match rest.get(at) {
            Some(word) => names.number(word),
            None => Err(NotationError::new("a number is missing after", *first)),
        };
        Ok(match *first {
            "response" => Self::Call(number(0)?, OfCall::Response),
            "message" => {
                let body = rest.get(1).map(|_| all_bytes(&rest[1..], names)).transpose()?;
                Self::Call(number(0)?, OfCall::Message(body))
            }
            "request" => {
                Self::Request { method: rest.first().map(|name| frames::method_name(name)) }
            }
            "finished" => Self::Call(number(0)?, OfCall::Finished),
            "cancelled" => Self::Call(number(0)?, OfCall::Cancelled),
            "end" | "drained" => {
                let drained = *first == "drained";
                let not_started = rest.get(2) == Some(&"not_started");
                Self::Call(number(0)?, OfCall::End { code: code(rest)?, not_started, drained })
            }
            "credit" => Self::Credit { call: number(0)?, bytes: number(1)? },
            "pong" => Self::Pong(number(0)?),
            "goaway" => {
                let last = rest.first().and_then(|word| word.strip_prefix("last="));
                Self::Goaway { last: last.map(|last| names.number(last)).transpose()? }
            }
            "error" => {
                let codes = rest.iter().filter(|word| **word != "or");
                Self::Error(codes.map(|name| frames::error_code(name)).collect::<Result<_>>()?)
            }
            "preface" => {
                let version = u8::try_from(number(0)?);
                Self::Preface(version.map_err(|_| NotationError::new("not a version", *first))?)
            }
            "hello" => Self::Hello,
            "end-of-stream" => Self::EndOfStream,
            "gone" => Self::Gone,
            "nothing" => Self::Nothing,
            other => return Err(NotationError::new("nothing that can be expected", other)),
        })
    }
}

/// The status code behind a call's id; none if any is good.
fn code(words: &[&str]) -> Result<Option<Code>> {
    match words.get(1) {
        Some(&"*") | None => Ok(None),
        Some(name) => frames::status_code(name).map(Some),
    }
}

fn all_bytes(words: &[&str], names: &Names) -> Result<Bytes> {
    let mut all = Vec::new();
    for word in words {
        let bytes = names.bytes(word)?;
        all.extend_from_slice(&bytes.ok_or_else(|| NotationError::new("not bytes", *word))?);
    }
    Ok(all.into())
}

#[cfg(test)]
mod tests;
