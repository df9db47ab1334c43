//! The main exchanges as they are on the wire: as snapshots, and as the examples of
//! docs/protocol.md.

use std::time::Duration;

use bytes::Bytes;

use super::pair::{Pair, hex};
use super::raw::{Raw, cut, data, split_preface};
use crate::tests::page::PAGE;
use crate::wire::{self, Code};
use crate::{CallId, Config, Event, HEADER_LEN, Metadata, Open, PREFACE, Recv, Side, Status};

const METHOD: &str = "pkg.Greeter/Hello";

/// Opens a call and lets its REQUEST arrive.
fn opened(pair: &mut Pair, open: Open) -> CallId {
    let call = pair.open(open);
    pair.carry();
    while pair.server.poll_event().is_some() {}
    call
}

fn handshake() -> Pair {
    let mut pair = Pair::new(Config::new(Side::Connecting), Config::new(Side::Accepting));
    pair.carry();
    pair
}

fn unary() -> Pair {
    let mut pair = Pair::established();
    let call = pair.open(Open::new(METHOD));
    pair.send(Side::Connecting, call, "\n\u{3}Ada", true);
    pair.carry();
    pair.send(Side::Accepting, call, "\n\u{9}Hello Ada", true);
    pair.carry();
    pair
}

/// The second call of a method gives its number alone.
fn unary_by_number() -> Pair {
    let mut pair = unary();
    pair.forget();
    let mut metadata = Metadata::new();
    metadata.insert("request-id", "7").unwrap();
    metadata.insert_bin("trace-bin", vec![0, 255]).unwrap();
    let deadline = Some(pair.now + Duration::from_millis(250));
    let open = Open::new(METHOD).with_deadline(deadline).with_metadata(metadata);
    let call = pair.open(open);
    pair.send(Side::Connecting, call, "\n\u{3}Bob", true);
    pair.carry();
    pair.send(Side::Accepting, call, "\n\u{9}Hello Bob", true);
    pair.carry();
    pair
}

fn server_stream() -> Pair {
    let mut pair = Pair::established();
    let call = opened(&mut pair, Open::new("pkg.Clock/Ticks"));
    pair.client.call(call).unwrap().finish();
    pair.server.call(call).unwrap().respond(Metadata::new()).unwrap();
    pair.send(Side::Accepting, call, "tick", false);
    pair.carry();
    pair.send(Side::Accepting, call, vec![b't'; 100_000], false);
    pair.carry();
    while let Recv::Message(_) = pair.recv(Side::Connecting, call) {}
    pair.carry();
    pair.send(Side::Accepting, call, "tock", false);
    pair.carry();
    pair.server.call(call).unwrap().end(Status::ok().with_metadata({
        let mut metadata = Metadata::new();
        metadata.insert("ticks", "3").unwrap();
        metadata
    }));
    pair.carry();
    pair
}

/// A message that is larger than the window: it starts, and the rest is granted in one sum.
fn large_message() -> Pair {
    let mut pair = Pair::established();
    let call = opened(&mut pair, Open::new("pkg.Store/Put"));
    pair.send(Side::Connecting, call, vec![b'p'; 300_000], true);
    pair.carry();
    assert_eq!(pair.recv(Side::Accepting, call), Recv::Pending);
    pair.carry();
    assert!(matches!(pair.recv(Side::Accepting, call), Recv::Message(_)));
    pair.send(Side::Accepting, call, "", true);
    pair.carry();
    pair
}

fn client_stream() -> Pair {
    let mut pair = Pair::established();
    let call = opened(&mut pair, Open::new("pkg.Sum/Add"));
    for number in ["1", "2"] {
        pair.send(Side::Connecting, call, number, false);
        pair.carry();
    }
    pair.client.call(call).unwrap().finish();
    pair.carry();
    pair.send(Side::Accepting, call, "3", true);
    pair.carry();
    pair
}

fn cancel() -> Pair {
    let mut pair = Pair::established();
    let call = opened(&mut pair, Open::new(METHOD));
    pair.client.call(call).unwrap().cancel();
    pair.carry();
    pair.server.call(call).unwrap().end(Status::ok());
    pair.carry();
    pair
}

fn deadline() -> Pair {
    let mut pair = Pair::established();
    let deadline = Some(pair.now + Duration::from_millis(250));
    let call = opened(&mut pair, Open::new(METHOD).with_deadline(deadline));
    pair.now += Duration::from_millis(250);
    let now = pair.now;
    pair.server.handle_timeout(now);
    pair.client.handle_timeout(now);
    pair.server.call(call).unwrap().end(Status::ok());
    pair.carry();
    pair
}

fn error_status() -> Pair {
    let mut pair = Pair::established();
    let call = opened(&mut pair, Open::new(METHOD));
    pair.send(Side::Connecting, call, "?", true);
    pair.carry();
    let mut metadata = Metadata::new();
    metadata.insert("retry-after", "5").unwrap();
    let detail = prost_types::Any { type_url: "type/pkg.Why".into(), value: vec![8, 1] };
    let status = Status::not_found("no such name").with_metadata(metadata).with_detail(detail);
    pair.server.call(call).unwrap().end(status);
    pair.carry();
    pair
}

fn drain() -> Pair {
    let mut pair = Pair::established();
    let call = opened(&mut pair, Open::new(METHOD));
    pair.server.drain();
    pair.carry();
    pair.send(Side::Accepting, call, "last", true);
    pair.carry();
    pair
}

fn breach() -> Pair {
    let mut pair = Pair::established();
    pair.forge(Side::Connecting, &data(7, "x").encode());
    pair.carry();
    pair
}

fn version_mismatch() -> Pair {
    let mut pair = Pair::new(Config::new(Side::Connecting), Config::new(Side::Accepting));
    pair.forge(Side::Connecting, b"BOWLINE\x02");
    pair.carry_from(Side::Accepting);
    pair
}

fn ping() -> Pair {
    let mut pair = Pair::established();
    pair.client.ping();
    pair.carry();
    pair
}

#[test]
fn transcripts() {
    insta::assert_snapshot!("handshake", handshake().transcript());
    insta::assert_snapshot!("unary", unary().transcript());
    insta::assert_snapshot!("unary_by_number", unary_by_number().transcript());
    insta::assert_snapshot!("server_stream", server_stream().transcript());
    insta::assert_snapshot!("large_message", large_message().transcript());
    insta::assert_snapshot!("client_stream", client_stream().transcript());
    insta::assert_snapshot!("cancel", cancel().transcript());
    insta::assert_snapshot!("deadline", deadline().transcript());
    insta::assert_snapshot!("error_status", error_status().transcript());
    insta::assert_snapshot!("drain", drain().transcript());
    insta::assert_snapshot!("breach", breach().transcript());
    insta::assert_snapshot!("version_mismatch", version_mismatch().transcript());
    insta::assert_snapshot!("ping", ping().transcript());
}

/// A cut message small enough for a page. No core cuts it, as it fits a frame.
fn small_cut_message() -> Vec<u8> {
    [cut(1, 10, "0123456"), data(1, "789").end()].iter().flat_map(Raw::encode).collect()
}

/// Each example of the page with the bytes that it must have.
fn examples() -> Vec<(&'static str, Vec<u8>)> {
    let (connecting, accepting) = (Side::Connecting, Side::Accepting);
    vec![
        ("connecting-side-opens", handshake().sent_by(connecting)),
        ("accepting-side-answers", handshake().sent_by(accepting)),
        ("unary-request", unary().sent_by(connecting)),
        ("unary-reply", unary().sent_by(accepting)),
        ("request-by-number", unary_by_number().sent_by(connecting)),
        ("cut-message", small_cut_message()),
        ("client-stream", client_stream().sent_by(connecting)),
        ("cancel", cancel().sent_by(connecting)),
        ("error-status", error_status().sent_by(accepting)),
        ("drain", drain().sent_by(accepting)),
        ("breach", breach().sent_by(accepting)),
    ]
}

/// A block of the page as it should be.
fn block(bytes: &[u8]) -> String {
    let (preface, rest) = split_preface(bytes);
    let mut lines = Vec::new();
    let mut add = |bytes: &[u8], note: &str| {
        let line = format!("{:<47}  {}{note}", hex(bytes), if note.is_empty() { "" } else { "# " });
        lines.push(line.trim_end().to_owned());
    };
    if preface {
        add(&PREFACE, "preface");
    }
    for frame in Raw::decode_all(rest) {
        add(&frame.header.encode(), &frame.describe());
        for (i, chunk) in frame.body.chunks(HEADER_LEN).enumerate() {
            let note = match i {
                0 => "body".to_owned(),
                _ => String::new(),
            };
            add(chunk, &note);
        }
    }
    lines.join("\n")
}

/// The examples of the page: name and text of the block.
fn page_examples() -> Vec<(&'static str, &'static str)> {
    let pieces = PAGE.split("<!-- example: ").skip(1);
    let parse = |piece: &'static str| {
        let (name, rest) = piece.split_once(" -->").expect("the comment ends");
        let (_, rest) = rest.split_once("```hex\n").expect("a block follows");
        (name, rest.split_once("\n```").expect("the block ends").0)
    };
    pieces.map(parse).collect()
}

fn parse_hex(block: &str) -> Vec<u8> {
    let lines = block.lines().map(|line| line.split('#').next().unwrap_or_default());
    let bytes = lines.flat_map(str::split_whitespace);
    bytes.map(|byte| u8::from_str_radix(byte, 16).expect("two hexadecimal digits")).collect()
}

#[test] // [FRM-007] [PRE-001] [MSG-002]
fn the_examples_of_the_page_are_what_is_sent() {
    let page = page_examples();
    let expected = examples();
    let names = |list: Vec<&'static str>| list.join(" ");
    assert_eq!(
        names(page.iter().map(|(name, _)| *name).collect()),
        names(expected.iter().map(|(name, _)| *name).collect())
    );
    for ((name, text), (_, bytes)) in page.iter().zip(&expected) {
        assert_eq!(parse_hex(text), *bytes, "{name} should be:\n{}", block(bytes));
        assert_eq!(*text, block(bytes), "the notes of {name}");
    }
}

#[test] // [FRM-007]
fn the_examples_decode_and_encode_again() {
    for (name, text) in page_examples() {
        let bytes = parse_hex(text);
        let (preface, rest) = split_preface(&bytes);
        let frames = Raw::decode_all(rest);
        let mut again = if preface { PREFACE.to_vec() } else { Vec::new() };
        for frame in &frames {
            again.extend(frame.reencode().encode());
        }
        assert_eq!(again, bytes, "{name}");
    }
}

#[test] // [MSG-002] [MSG-003]
fn the_cut_example_is_one_message() {
    let mut pair = Pair::established();
    let call = opened(&mut pair, Open::new(METHOD));
    pair.deliver(Side::Accepting, &small_cut_message());
    let Recv::Message(message) = pair.recv(Side::Accepting, call) else { panic!("no message") };
    assert_eq!(message.payload, Bytes::from_static(b"0123456789"));
    assert_eq!(pair.recv(Side::Accepting, call), Recv::Finished);
}

#[test] // [CLS-001] [CLS-002] [GOA-003]
fn a_drain_ends_both_sides_cleanly() {
    let mut pair = drain();
    assert!(pair.client.is_write_ended() && pair.server.is_write_ended());
    let now = pair.now;
    pair.client.handle_eof(now);
    pair.server.handle_eof(now);
    for side in [Side::Connecting, Side::Accepting] {
        let events: Vec<Event> = std::iter::from_fn(|| pair.side(side).poll_event()).collect();
        assert_eq!(events.last(), Some(&Event::Closed(None)));
    }
    let status = match pair.recv(Side::Connecting, CallId(1)) {
        Recv::Message(_) => pair.recv(Side::Connecting, CallId(1)),
        other => panic!("{other:?}"),
    };
    assert!(matches!(status, Recv::Ended(status) if status.code() == Code::Ok));
}

impl Raw {
    /// The frame with its protobuf body decoded and encoded again.
    fn reencode(&self) -> Self {
        match self.header.kind {
            0x01 => self.clone().with(|_: &mut wire::Hello| ()),
            0x03 => self.clone().with(|_: &mut wire::GoAway| ()),
            0x10 => self.clone().with(|_: &mut wire::Request| ()),
            0x11 => self.clone().with(|_: &mut wire::Response| ()),
            0x14 => self.clone().with(|_: &mut wire::Status| ()),
            0x16 => self.clone().with(|_: &mut wire::Credit| ()),
            _ => self.clone(),
        }
    }
}

#[test]
#[ignore = "prints the blocks for the page"]
fn print_examples() {
    for (name, bytes) in examples() {
        println!("<!-- example: {name} -->\n```hex\n{}\n```\n", block(&bytes));
    }
}
