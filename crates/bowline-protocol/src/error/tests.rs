//! Every error: its text, and for breaches the code and the rule.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{
    ConnectionError, ErrorCode, LimitError, MetadataError, OpenError, PeerIncompatible,
    PeerMisbehaved, SendError, TimedOut,
};
use crate::frame::FrameType;
use crate::tests::page::{PAGE, number, table_after};

/// One value of each variant. The match makes a new variant an error here.
fn breaches() -> Vec<PeerMisbehaved> {
    use PeerMisbehaved as P;
    let kind = FrameType::Data;
    let reason = "failed to decode Protobuf message: buffer underflow".to_owned();
    let state = |what, state| P::CallState { call: 7, what, state };
    let all = vec![
        P::FrameTooLong { kind: 0x12, length: 200_000, limit: 131_072 },
        P::UnknownType { kind: 0x44 },
        P::IllegalFlags { kind, flags: 0x03 },
        P::CallIdMisplaced { kind: FrameType::Ping, call: 7 },
        P::RequestParity { call: 8 },
        P::WrongRole { kind: FrameType::Status, call: 7 },
        P::Undecodable { kind: FrameType::Credit, reason },
        P::PingLength { length: 7 },
        P::HelloMissing { kind: 0x10 },
        P::HelloMissing { kind: 0x99 },
        P::HelloRepeated,
        P::HelloLimit { name: "window", value: 7, least: 65_536 },
        P::FeatureMissing { required: 3, offered: 1 },
        P::TokenRejected,
        P::CallIdNotRising { call: 5, highest: 7 },
        P::CallNeverOpened { kind, call: 9 },
        P::CallsExceeded { call: 9, limit: 64 },
        state("DATA", "Done"),
        state("RESPONSE", "Open"),
        state("STATUS OK", "Message"),
        P::CreditExceeded { call: 7, excess: 1 },
        P::CreditZero { call: 7 },
        P::CreditOverflow { call: 7 },
        P::EmptyPiece { call: 7 },
        P::CutLength { call: 7, length: 0 },
        P::MessageOverrun { call: 7, length: 9 },
        P::MessageUnderrun { call: 7, missing: 1 },
        P::MoreOnLast { call: 7 },
        P::MethodMissing,
        P::MethodNameTooLong { length: 1_025 },
        P::MethodNumber { number: 1, why: "bound already" },
        P::MetadataKey { kind: FrameType::Request, key: "A\u{7}".into() },
        P::MetadataValue { kind: FrameType::Status, key: "k".into() },
        P::MetadataTooLarge { kind: FrameType::Response, size: 20_000, limit: 16_384 },
        P::DescriptorsNotNegotiated { fds: 1 },
        P::DescriptorsMisplaced { fds: 17 },
        P::DescriptorsMismatch { announced: 2, received: 1 },
        P::GoAwayRaised { last: 7, earlier: 5 },
    ];
    let kinds: BTreeSet<String> = all
        .iter()
        .map(|error| format!("{error:?}").split([' ', '{']).next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(kinds.len(), 35, "one of each variant");
    all
}

#[test] // [ERR-001]
fn every_breach_has_its_code_and_its_rule() {
    let table = table_after("## Errors and closing");
    let mut seen = BTreeSet::new();
    for error in breaches() {
        let (code, rule) = (error.code(), error.requirement());
        let row = table.iter().find(|row| row[1] == code.name()).expect("the page has the code");
        assert_eq!(number(&row[0]), Some(code as u64), "{error}");
        assert!(row[2].contains(rule), "{error}: {rule} is not among {}", row[2]);
        assert!(PAGE.contains(&format!("**[{rule}]**")), "{rule}");
        seen.insert(code as u32);
    }
    let breaches = 1..=ErrorCode::Goaway as u32;
    let with_token = breaches.chain([ErrorCode::Token as u32]);
    assert_eq!(seen, with_token.collect(), "every code of a breach is used");
}

#[test] // [ERR-001]
fn the_table_of_codes_is_that_of_the_proto() {
    let table = table_after("## Errors and closing");
    let page: Vec<(i32, &str)> =
        table[1..].iter().map(|row| (row[0].parse().unwrap(), &*row[1])).collect();
    let proto: Vec<(i32, &str)> = (1..100)
        .map_while(|number| ErrorCode::try_from(number).ok())
        .map(|code| (code as i32, code.name()))
        .collect();
    assert_eq!(page, proto);
    assert!(proto.len() == 21);
}

fn texts<T: std::fmt::Display>(errors: &[T]) -> String {
    errors.iter().fold(String::new(), |mut text, error| {
        let _ = writeln!(text, "{error}");
        text
    })
}

#[test]
fn texts_of_breaches() {
    let lines = breaches().into_iter().fold(String::new(), |mut text, error| {
        let _ = writeln!(text, "{} {}: {error}", error.code().name(), error.requirement());
        text
    });
    insta::assert_snapshot!("texts_of_breaches", lines);
}

#[test]
fn texts_of_connection_errors() {
    let letters = |text: &[u8]| {
        let mut first = [0; 8];
        first[..text.len()].copy_from_slice(text);
        PeerIncompatible::Letters { first, len: text.len() as u8 }
    };
    let closed = |code, text: &str| ConnectionError::PeerClosed { code, text: text.into() };
    let all = texts(&[
        ConnectionError::PeerMisbehaved(PeerMisbehaved::HelloRepeated),
        letters(b"GET / HT").into(),
        letters(b"\x16\x03\x01\x02\x00\x01\x00\x01").into(),
        letters(b"\0\0\x12\x04\0\0\0\0").into(),
        letters(b"SSH-2.0-").into(),
        letters(b"\"\xff").into(),
        PeerIncompatible::Version { theirs: 2, ours: 1 }.into(),
        closed(ErrorCode::Busy, ""),
        closed(ErrorCode::Internal, "out of luck"),
        ConnectionError::Draining,
        ConnectionError::LocallyClosed,
        ConnectionError::TimedOut(TimedOut::Handshake),
        ConnectionError::TimedOut(TimedOut::Frame),
        ConnectionError::TimedOut(TimedOut::Keepalive),
        ConnectionError::TimedOut(TimedOut::Stall),
        ConnectionError::Eof,
    ]);
    insta::assert_snapshot!("texts_of_connection_errors", all);
}

#[test]
fn texts_of_local_errors() {
    let limits = [
        LimitError::TooSmall { name: "window", value: 7, least: 65_536 },
        LimitError::TooLarge { name: "window", value: u64::MAX },
    ];
    let metadata = [
        MetadataError::Key { key: "Bad Key".into() },
        MetadataError::Value { key: "k".into() },
        MetadataError::TooLarge { size: 20_000, limit: 16_384 },
    ];
    let open = [
        OpenError::Connection(ConnectionError::Draining),
        OpenError::NoCalls,
        OpenError::TooManyWaiting { waiting: 65_536 },
        OpenError::MethodName { length: 0 },
        OpenError::Metadata(metadata[0].clone()),
        OpenError::IdsExhausted,
    ];
    let send = [
        SendError::Full,
        SendError::TooLong { length: 70_000, limit: 65_536 },
        SendError::Closed,
        SendError::Metadata(metadata[2].clone()),
        SendError::Descriptors { count: 17, why: "a message has 16 at most" },
    ];
    let all = [texts(&limits), texts(&metadata), texts(&open), texts(&send)].concat();
    insta::assert_snapshot!("texts_of_local_errors", all);
}
