//! Methods by name and number, and metadata.

use super::raw::{hello, id, request, response, status};
use super::rig::Rig;
use crate::wire::{self, Code};
use crate::{
    Config, ErrorCode, Event, IncomingCall, Metadata, MetadataError, Open, PeerMisbehaved,
    SendError, Side, Status,
};

fn incoming(rig: &mut Rig) -> Vec<IncomingCall> {
    let requests = rig.events().into_iter().map(|event| match event {
        Event::Request(request) => request,
        other => panic!("{other:?}"),
    });
    requests.collect()
}

#[test] // [MTH-001]
fn a_name_has_1_to_1024_bytes() {
    for name in ["x", "no slash at all", "\0", &"é".repeat(512)] {
        let mut rig = Rig::accepting();
        rig.feed([request(1).method(name)]);
        assert_eq!(&*incoming(&mut rig)[0].method, name);
    }
    let none = request(1).method("");
    let error = Rig::accepting().expect_breach([none], ErrorCode::Method, "MTH-001");
    assert_eq!(error, PeerMisbehaved::MethodMissing);
    for number in [0, 1] {
        let long = request(1).method(&"x".repeat(1025)).number(number);
        let error = Rig::accepting().expect_breach([long], ErrorCode::Method, "MTH-001");
        assert_eq!(error, PeerMisbehaved::MethodNameTooLong { length: 1025 });
    }
}

#[test] // [MTH-002]
fn a_number_is_bound_once_and_stands_for_its_name() {
    let mut rig = Rig::accepting();
    rig.feed([
        request(1).method("a/B").number(1),
        request(3).method("a/C").number(1023),
        request(5).method("").number(1),
        request(7).method("").number(1023),
        // The same name may have two numbers, and none.
        request(9).method("a/B").number(7),
        request(11).method("a/B"),
    ]);
    let calls = incoming(&mut rig);
    let seen: Vec<(&str, u16)> = calls.iter().map(|c| (&*c.method, c.method_number)).collect();
    let expected = [("a/B", 1), ("a/C", 1023), ("a/B", 1), ("a/C", 1023), ("a/B", 7), ("a/B", 0)];
    assert_eq!(seen, expected);
    rig.expect_breach([request(13).method("a/B").number(1)], ErrorCode::Method, "MTH-002");
}

#[test] // [MTH-002]
fn numbers_out_of_range_taken_or_unknown_are_refused() {
    for (frame, why) in [
        (request(1).number(1024), "above 1,023"),
        (request(1).number(u32::MAX), "above 1,023"),
        (request(1).method("").number(1024), "above 1,023"),
        (request(1).method("").number(2), "not bound"),
    ] {
        let error = Rig::accepting().expect_breach([frame], ErrorCode::Method, "MTH-002");
        assert!(
            matches!(error, PeerMisbehaved::MethodNumber { why: w, .. } if w == why),
            "{error}"
        );
    }
    let twice = [request(1).number(1), request(3).method("other").number(1)];
    let error = Rig::accepting().expect_breach(twice, ErrorCode::Method, "MTH-002");
    assert_eq!(error, PeerMisbehaved::MethodNumber { number: 1, why: "bound already" });
}

#[test] // [MTH-002]
fn a_binding_outlives_its_call_and_holds_for_one_direction() {
    let mut rig = Rig::accepting();
    // The call that binds expires before its handler can start.
    rig.feed([request(1).method("a/B").number(1).deadline_us(0)]);
    rig.feed([request(3).method("").number(1)]);
    assert_eq!(&*incoming(&mut rig)[0].method, "a/B");
    rig.sent();
    // Our own numbers are others.
    rig.open_with(Open::new("x/Y"));
    assert_eq!(rig.sent(), ["REQUEST 2 x/Y number=1"]);
}

#[test] // [MTH-002]
fn a_caller_names_each_method_once() {
    let unlimited = hello().with(|hello: &mut wire::Hello| hello.calls_max = 10_000);
    let mut rig = Rig::established(Config::new(Side::Connecting), &unlimited);
    for method in 1..=1_025_u32 {
        rig.open_with(Open::new(format!("s/{method}")));
    }
    let sent = rig.sent();
    assert_eq!(sent[0], "REQUEST 1 s/1 number=1");
    assert_eq!(sent[1_022], "REQUEST 2045 s/1023 number=1023");
    assert_eq!(sent[1_023], "REQUEST 2047 s/1024", "the numbers are used up");
    for (method, line) in [("s/7", "number=7"), ("s/1023", "number=1023"), ("s/1024", "s/1024")] {
        rig.open_with(Open::new(method));
        let sent = rig.sent();
        assert!(sent[0].ends_with(line), "{sent:?}");
    }
}

#[test] // [MET-001]
fn keys_repeat_keep_their_order_and_have_few_characters() {
    let mut rig = Rig::accepting();
    let longest = "0123456789abcdefghijklmnopqrstuvwxyz_-.".repeat(7)[..256].to_owned();
    let entries = [("b", "1"), ("a", "2"), ("b", "3"), (&longest, ""), (".", " ~")];
    let frame = entries.iter().fold(request(1), |frame, (key, value)| frame.entry(key, *value));
    rig.feed([frame]);
    let calls = incoming(&mut rig);
    let seen: Vec<_> =
        calls[0].metadata.iter().map(|(k, v)| (k, str::from_utf8(v).unwrap())).collect();
    assert_eq!(seen, entries);
    for key in ["", "A", "a b", "ä", "a\0", "a:", &"k".repeat(257)] {
        let frame = request(1).entry(key, "v");
        let error = Rig::accepting().expect_breach([frame], ErrorCode::Metadata, "MET-001");
        assert!(matches!(error, PeerMisbehaved::MetadataKey { .. }), "{error}");
    }
    for frame in [response(1).entry("K", ""), status(1, Code::Ok, "").entry("K", "")] {
        let mut rig = Rig::connecting();
        rig.opened();
        rig.expect_breach([frame], ErrorCode::Metadata, "MET-001");
    }
}

#[test] // [MET-002]
fn values_are_text_unless_the_key_says_otherwise() {
    let mut rig = Rig::accepting();
    let all: Vec<u8> = (0..=255).collect();
    rig.feed([request(1).entry("k-bin", all.clone()).entry("-bin", "").entry("k", " ~")]);
    let calls = incoming(&mut rig);
    assert_eq!(calls[0].metadata.bytes("k-bin"), Some(&all[..]));
    for value in [&b"\x1f"[..], b"\x7f", b"\n", b"\xc3\xa4", b"\0"] {
        for key in ["k", "k-bin2", "bin"] {
            let frame = request(1).entry(key, value);
            Rig::accepting().expect_breach([frame], ErrorCode::Metadata, "MET-002");
        }
    }
}

#[test] // [MET-003]
fn metadata_counts_32_for_each_entry_beside_its_bytes() {
    // 16,384 = 481 × 34 + 30: entries of one byte each for key and value.
    let many = |count: usize| {
        (0..count).fold(Vec::new(), |mut entries, _| {
            entries.push(wire::MetadataEntry { key: "k".into(), value: "v".into() });
            entries
        })
    };
    let with =
        |count| request(1).with(|request: &mut wire::Request| request.metadata = many(count));
    let mut rig = Rig::accepting();
    rig.feed([with(481)]);
    assert_eq!(incoming(&mut rig)[0].metadata.size(), 481 * 34);
    let error = Rig::accepting().expect_breach([with(482)], ErrorCode::Metadata, "MET-003");
    let (kind, size) = (crate::FrameType::Request, 482 * 34);
    assert_eq!(error, PeerMisbehaved::MetadataTooLarge { kind, size, limit: 16_384 });
    let frame =
        status(1, Code::Ok, "").with(|status: &mut wire::Status| status.metadata = many(482));
    let mut rig = Rig::connecting();
    rig.opened();
    rig.expect_breach([frame], ErrorCode::Metadata, "MET-003");
}

#[test] // [MET-003]
fn a_sender_keeps_to_the_peers_limit() {
    let metadata = |bytes: usize| {
        let mut metadata = Metadata::new();
        metadata.insert_bin("k-bin", vec![0; bytes]).unwrap();
        metadata
    };
    let longest = "m".repeat(1024);
    let fits = 16_384 - 32 - 32 - 5 - 1024;
    let mut rig = Rig::connecting();
    let open = |bytes| Open::new(longest.clone()).with_metadata(metadata(bytes));
    let refused = rig.core.open(open(fits + 1), rig.now);
    assert!(
        matches!(refused, Err(crate::OpenError::Metadata(MetadataError::TooLarge { .. }))),
        "{refused:?}"
    );
    let far = rig.now + std::time::Duration::from_secs(1 << 31);
    rig.open_with(open(fits).with_deadline(Some(far)));
    assert!(rig.frames()[0].body.len() <= 16_384, "so the whole frame fits, too");
    let mut rig = Rig::accepting();
    rig.taken(1);
    let refused = rig.call(id(1)).respond(metadata(16_384));
    assert!(matches!(refused, Err(SendError::Metadata(_))), "{refused:?}");
    rig.call(id(1)).respond(metadata(16_000)).unwrap();
    rig.end(id(1), Status::ok());
    assert!(rig.frames()[0].body.len() <= 16_384);
}
