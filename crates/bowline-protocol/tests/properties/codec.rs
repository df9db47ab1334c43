//! What is encoded decodes to the same, and what is said fits the peer's limits.

use std::time::Instant;

use bowline_protocol::{
    CallId, Code, Config, Connection, Event, FrameHeader, FrameType, HEADER_LEN, IncomingCall,
    KEY_MAX, Limits, Metadata, MetadataError, Open, OpenError, Origin, Outbound, Recv, Side,
    Status, wire,
};
use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use crate::runner::check;
use crate::wire::Reader;

#[test] // [FRM-001]
fn headers() {
    let case = any::<[u8; HEADER_LEN]>();
    check("codec::headers", case, |bytes| {
        let header = FrameHeader::decode(bytes);
        assert_eq!(header.encode(), *bytes);
        let (more, end) = (header.flags & 1 != 0, header.flags & 2 != 0);
        assert_eq!((header.more(), header.end()), (more, end));
        let known = FrameType::from_wire(header.kind);
        assert!(known.is_none_or(|kind| kind as u8 == header.kind));
    });
}

fn entries() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let key = prop_oneof![
        8 => "[0-9a-z_.-]{1,12}(-bin)?",
        1 => "[0-9a-z]{255,257}",
        1 => ".{0,4}",
    ];
    let value = prop_oneof![6 => vec(0x20_u8..0x7f, 0..30), 1 => vec(any::<u8>(), 0..40), 1 => (any::<u8>(), 0_usize..4_000).prop_map(|(byte, len)| vec![byte; len])];
    vec((key, value), 0..16)
}

fn is_key(key: &str) -> bool {
    (1..=KEY_MAX).contains(&key.len())
        && key.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase() || b"_-.".contains(&b))
}

/// The entries that may be in metadata, put there one by one.
// [MET-001] [MET-002]
fn metadata(entries: &[(String, Vec<u8>)]) -> Metadata {
    let mut metadata = Metadata::new();
    for (key, value) in entries {
        let before = metadata.clone();
        let binary = key.ends_with("-bin");
        let text = value.iter().all(|b| matches!(b, 0x20..=0x7e));
        let result = match std::str::from_utf8(value) {
            Ok(value) if !binary => metadata.insert(key, value),
            _ => metadata.insert_bin(key, value.clone()),
        };
        let legal = is_key(key) && (binary || text);
        assert_eq!(result.is_ok(), legal, "{key:?}: {value:?}");
        if legal {
            assert_eq!(metadata.iter().last(), Some((key.as_str(), &value[..])));
            assert_eq!(metadata.size(), before.size() + 32 + (key.len() + value.len()) as u64);
        } else {
            assert_eq!(metadata, before);
        }
    }
    metadata
}

/// Two connections that carry whatever there is at once.
struct Pair {
    cores: [Connection; 2],
    readers: [Reader; 2],
    frames: Vec<(FrameHeader, Vec<u8>)>,
    now: Instant,
}

impl Pair {
    fn new(metadata_max: u32) -> Self {
        let now = Instant::now();
        let cores = [Side::Connecting, Side::Accepting].map(|side| {
            let mut config = Config::new(side);
            config.limits = Limits { metadata_max, ..config.limits };
            Connection::new(config, now).unwrap()
        });
        let mut pair = Self { cores, readers: Default::default(), frames: Vec::new(), now };
        for s in [0, 1, 0] {
            pair.carry(s);
        }
        for core in &mut pair.cores {
            assert_eq!(core.poll_event(), Some(Event::Hello));
        }
        pair
    }

    fn carry(&mut self, s: usize) {
        let (mut out, mut input) = (Outbound::new(), BytesMut::new());
        self.cores[s].poll_transmit(&mut out, self.now);
        let mut slices = [std::io::IoSlice::new(&[]); 8];
        let filled = out.slices(&mut slices);
        slices[..filled].iter().for_each(|slice| input.extend_from_slice(slice));
        self.frames.extend(self.readers[s].feed(&input));
        while !input.is_empty() {
            self.cores[1 - s].handle_input(&mut input, self.now);
            // The preface of a connecting side is answered first.
            let mut answer = Outbound::new();
            if !input.is_empty() {
                self.cores[1 - s].poll_transmit(&mut answer, self.now);
                let mut slices = [std::io::IoSlice::new(&[]); 8];
                let filled = answer.slices(&mut slices);
                let mut back = BytesMut::new();
                slices[..filled].iter().for_each(|slice| back.extend_from_slice(slice));
                self.frames.extend(self.readers[1 - s].feed(&back));
                self.cores[s].handle_input(&mut back, self.now);
            }
        }
        assert_eq!(self.cores[1 - s].error(), None);
    }

    fn request(&mut self) -> IncomingCall {
        match self.cores[1].poll_event() {
            Some(Event::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn call(&mut self) -> CallId {
        let call = self.cores[0].open(Open::new("a.B/C"), self.now).unwrap();
        self.carry(0);
        assert_eq!(self.request().call, call);
        call
    }
}

#[test] // [MET-001] [MET-002] [MET-003]
fn metadata_of_requests_and_responses() {
    check("codec::metadata_of_requests_and_responses", entries(), |entries| {
        let sent = metadata(entries);
        let mut pair = Pair::new(16_384);
        let open = Open::new("a.B/C").with_metadata(sent.clone());
        let call = match pair.cores[0].open(open, pair.now) {
            Ok(call) => call,
            Err(OpenError::Metadata(MetadataError::TooLarge { .. })) => {
                assert!(sent.size() + 32 + 5 > 16_384, "{} bytes", sent.size());
                return;
            }
            Err(error) => panic!("{error}"),
        };
        pair.carry(0);
        assert_eq!(pair.request().metadata, sent);
        pair.cores[1].call(call).unwrap().respond(sent.clone()).unwrap();
        pair.carry(1);
        assert_eq!(pair.cores[0].call(call).unwrap().head(), Some(sent));
    });
}

fn status() -> impl Strategy<Value = (u8, String, Vec<(String, Vec<u8>)>, bool)> {
    let text = prop_oneof![4 => ".{0,40}", 1 => ("[a-zß€😀]{3}", 0_usize..9_000).prop_map(|(text, times)| text.repeat(times))];
    (1_u8..17, text, entries(), any::<bool>())
}

#[test] // [STA-001] [STA-002]
fn statuses() {
    check(
        "codec::statuses",
        (
            status(),
            vec((any::<u8>(), 0_usize..3_000).prop_map(|(byte, len)| vec![byte; len]), 0..9),
        ),
        |(status, details)| {
            let (code, text, entries, not_started) = status;
            let code = Code::from_wire((*code).into());
            let metadata = metadata(entries);
            let mut sent = Status::new(code, text.clone())
                .with_metadata(metadata)
                .with_not_started(*not_started);
            for value in details {
                let type_url = "type.googleapis.com/a.B".to_owned();
                sent = sent.with_detail(prost_types::Any { type_url, value: value.clone() });
            }
            let mut pair = Pair::new(16_384);
            let call = pair.call();
            pair.cores[1].call(call).unwrap().end(sent.clone());
            pair.carry(1);
            let (header, _) = pair.frames.last().expect("STATUS");
            assert_eq!(header.kind, FrameType::Status as u8);
            assert!(header.length <= 16_384, "{} bytes", header.length);
            let Recv::Ended(got) = pair.cores[0].call(call).unwrap().recv() else { panic!() };
            assert_eq!(got.origin(), Origin::Remote);
            assert_eq!((got.code(), got.not_started()), (code, *not_started));
            // What was cut was cut from the end, and in the order of the rule.
            assert!(text.starts_with(got.message()));
            assert!(sent.details().starts_with(got.details()));
            let kept = sent.metadata().iter().take(got.metadata().len());
            assert!(got.metadata().iter().eq(kept), "metadata is cut from its end");
            if got.message() != text {
                assert!(got.metadata().is_empty() && got.details().is_empty());
                assert!(header.length > 16_384 - 8, "{} bytes are enough", header.length);
            }
            let whole = got.message() == text
                && got.metadata() == sent.metadata()
                && got.details() == sent.details();
            let size = text.len() + details.iter().map(|d| d.len() + 40).sum::<usize>();
            let small = size as u64 + sent.metadata().size() + 64 < 16_384;
            assert!(whole || !small, "it would have fitted");
        },
    );
}

fn round_trip<M: Message + Default + PartialEq + std::fmt::Debug>(message: &M) {
    let bytes = message.encode_to_vec();
    assert_eq!(bytes.len(), message.encoded_len());
    assert_eq!(M::decode(&bytes[..]).unwrap(), *message);
}

#[test] // [FRM-007]
fn control_messages() {
    let numbers = any::<[u32; 5]>();
    let case = (numbers, any::<[u64; 3]>(), ".{0,20}", entries(), any::<Option<u64>>());
    check("codec::control_messages", case, |(small, large, text, entries, deadline_us)| {
        let metadata: Vec<_> = entries
            .iter()
            .map(|(key, value)| wire::MetadataEntry {
                key: key.clone(),
                value: value.clone().into(),
            })
            .collect();
        round_trip(&wire::Hello {
            calls_max: small[0],
            window: large[0],
            frame_max: small[1],
            metadata_max: small[2],
            message_max: large[1],
            features_offered: small[3],
            features_required: small[4],
            token: Bytes::copy_from_slice(text.as_bytes()),
        });
        round_trip(&wire::GoAway { last: large[0], code: small[0], text: text.clone() });
        round_trip(&wire::Request {
            method: text.clone(),
            method_number: small[0],
            deadline_us: *deadline_us,
            metadata: metadata.clone(),
        });
        round_trip(&wire::Response { metadata: metadata.clone() });
        round_trip(&wire::Status {
            code: small[0],
            message: text.clone(),
            details: vec![prost_types::Any { type_url: text.clone(), value: vec![1, 2] }],
            metadata,
            not_started: small[1] % 2 == 0,
        });
        round_trip(&wire::Credit { bytes: large[2] });
        round_trip(&wire::Finish {});
        round_trip(&wire::Cancel {});
    });
}
