//! Descriptors, as far as a core sees them: as counts that go with bytes.

use super::raw::{cut, data, finish, grease, hello, id, ping, request, status};
use super::rig::Rig;
use crate::wire::{self, Code, Feature};
use crate::{CallId, Config, ErrorCode, Event, PeerMisbehaved, Recv, SendError, Side, Status};

const FEATURE: u32 = Feature::Descriptors as u32;

fn offering(side: Side) -> Rig {
    let mut config = Config::new(side);
    config.features_offered = FEATURE;
    config.limits.message_max = 65_536;
    let hello = hello().with(|hello: &mut wire::Hello| hello.features_offered = FEATURE);
    Rig::established(config, &hello)
}

/// An accepting side with call 1 open, to which so many descriptors have come.
fn taken(descriptors: u64) -> Rig {
    let mut rig = offering(Side::Accepting);
    rig.taken(1);
    rig.core.handle_descriptors(descriptors);
    rig
}

fn descriptors(rig: &mut Rig, call: CallId) -> std::ops::Range<u64> {
    match rig.recv(call) {
        Recv::Message(message) => message.descriptors,
        other => panic!("{other:?}"),
    }
}

#[test] // [DSC-001]
fn without_the_feature_there_are_none() {
    let frames = [request(1).fds(1), data(1, "x").fds(1), ping(1).fds(255), grease(3).fds(1)];
    for frame in frames {
        let mut rig = Rig::accepting();
        rig.core.handle_descriptors(1);
        let fds = frame.header.fds;
        let error = rig.expect_breach([frame], ErrorCode::Descriptors, "DSC-001");
        assert_eq!(error, PeerMisbehaved::DescriptorsNotNegotiated { fds });
    }
    let mut rig = Rig::accepting();
    rig.taken(1);
    let refused = rig.call(id(1)).send_with_descriptors("x".into(), 1, false);
    assert!(matches!(refused, Err(SendError::Descriptors { count: 1, .. })), "{refused:?}");
}

#[test] // [DSC-002]
fn only_the_first_frame_of_a_message_has_any() {
    for frame in [request(3).fds(1), finish(1).fds(1), ping(1).fds(1), data(1, "x").fds(17)] {
        let mut rig = taken(frame.header.fds.into());
        let error = rig.expect_breach([frame], ErrorCode::Descriptors, "DSC-002");
        assert!(matches!(error, PeerMisbehaved::DescriptorsMisplaced { .. }), "{error}");
    }
    for second in [data(1, "b").more(), data(1, "bcd")] {
        let mut rig = taken(2);
        let frames = [cut(1, 4, "a").fds(1), second.fds(1)];
        rig.expect_breach(frames, ErrorCode::Descriptors, "DSC-002");
    }
    let mut rig = taken(19);
    rig.feed([data(1, "x").fds(16), cut(1, 2, "y").fds(3), data(1, "z")]);
    assert_eq!(descriptors(&mut rig, id(1)), 0..16);
    assert_eq!(descriptors(&mut rig, id(1)), 16..19);
    let mut rig = taken(0);
    let refused = rig.call(id(1)).send_with_descriptors("x".into(), 17, false);
    assert!(matches!(refused, Err(SendError::Descriptors { count: 17, .. })), "{refused:?}");
}

#[test] // [CRD-001]
fn each_descriptor_costs_1024() {
    let mut config = Config::new(Side::Accepting);
    config.features_offered = FEATURE;
    config.limits.window = 65_536;
    let hello = hello().with(|hello: &mut wire::Hello| hello.features_offered = FEATURE);
    for (length, fits) in [(65_520 - 2_048, true), (65_521 - 2_048, false)] {
        for cut_it in [false, true] {
            let mut rig = Rig::established(config.clone(), &hello);
            rig.taken(1);
            rig.core.handle_descriptors(2);
            let frame = match cut_it {
                true => cut(1, 1 << 20, vec![0; length]).fds(2),
                false => data(1, vec![0; length]).fds(2),
            };
            rig.feed([frame]);
            assert_eq!(rig.core.error().is_none(), fits, "{length}");
        }
    }
    // What was taken comes back, descriptors included, and a sender counts the same.
    let mut rig = taken(16);
    rig.feed([data(1, vec![0; 65_536 - 16]).fds(16)]);
    descriptors(&mut rig, id(1));
    rig.recv(id(1));
    assert_eq!(rig.sent(), [format!("CREDIT 1 {}", 65_536 + 16 * 1_024 + 131_072)]);
    rig.call(id(1)).send_with_descriptors(vec![0; 65_520 - 2_048].into(), 2, false).unwrap();
    assert_eq!(rig.sent().len(), 4);
    rig.send(id(1), b"", false);
    assert_eq!(rig.sent(), [""; 0], "no credit is left");
}

#[test] // [DSC-003]
fn a_frame_with_descriptors_begins_a_write_of_its_own() {
    let mut rig = offering(Side::Accepting);
    rig.taken(1);
    rig.send(id(1), b"before", false);
    rig.call(id(1)).send_with_descriptors(vec![1; 6_000].into(), 3, false).unwrap();
    rig.send(id(1), b"after", false);
    rig.poll();
    let mut writes = Vec::new();
    while !rig.out.is_empty() {
        let mut slices = [std::io::IoSlice::new(&[]); 8];
        let filled = rig.out.slices(&mut slices);
        let length: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
        writes.push((rig.out.descriptors(), length));
        // A short write takes the descriptors along; the rest goes without them.
        rig.out.advance(length.min(100));
    }
    assert_eq!(writes[0], (0, 22), "what stands before it");
    assert_eq!(writes[1], (3, 16 + 6_000 + 21));
    assert!(writes[2..].iter().all(|(count, _)| *count == 0), "{writes:?}");
}

#[test] // [DSC-003]
fn the_header_says_how_many() {
    let mut rig = offering(Side::Accepting);
    rig.taken(1);
    rig.call(id(1)).send_with_descriptors(vec![1; 20_000].into(), 16, true).unwrap();
    let fds: Vec<u8> = rig.frames().iter().map(|frame| frame.header.fds).collect();
    assert_eq!(fds, [16, 0], "on the first frame");
}

#[test] // [DSC-004]
fn descriptors_that_do_not_match_are_refused() {
    // Fewer than announced.
    let error = taken(1).expect_breach([data(1, "x").fds(2)], ErrorCode::Descriptors, "DSC-004");
    assert_eq!(error, PeerMisbehaved::DescriptorsMismatch { announced: 2, received: 1 });
    // Left over when the input is used up; also before the handshake is done.
    taken(2).expect_breach([data(1, "x").fds(1)], ErrorCode::Descriptors, "DSC-004");
    let mut rig = Rig::new(Config::new(Side::Accepting));
    rig.core.handle_descriptors(1);
    rig.feed_bytes(&crate::PREFACE);
    rig.expect_breach([hello()], ErrorCode::Descriptors, "DSC-004");
    // Glued behind the bytes of earlier frames they are not left over: their frame has begun.
    let mut rig = taken(2);
    let bytes = [data(1, "before").encode(), data(1, "x").fds(2).encode()].concat();
    rig.feed_bytes(&bytes[..30]);
    rig.feed_bytes(&bytes[30..]);
    assert_eq!(descriptors(&mut rig, id(1)), 0..0);
    assert_eq!(descriptors(&mut rig, id(1)), 0..2);
}

fn closed(events: Vec<Event>) -> Vec<std::ops::Range<u64>> {
    let ranges = events.into_iter().filter_map(|event| match event {
        Event::CloseDescriptors(range) => Some(range),
        _ => None,
    });
    ranges.collect()
}

#[test] // [CAL-003] [DSC-005]
fn those_of_skipped_frames_are_closed() {
    let mut rig = taken(5);
    rig.end(id(1), Status::ok());
    rig.sent();
    rig.feed([data(1, "x").fds(2), grease(10).fds(3)]);
    assert_eq!(closed(rig.events()), [0..2, 2..5]);
}

#[test] // [DSC-005] [CAL-008]
fn those_that_nobody_takes_are_closed() {
    // In the queue and in a message in progress when the handler ends, and all that comes later.
    let mut rig = taken(3);
    rig.feed([data(1, "x").fds(1), cut(1, 9, "y").fds(2)]);
    rig.send(id(1), &[0; 65_520], false);
    rig.send(id(1), b"keeps the call", true);
    rig.sent();
    rig.core.handle_descriptors(3);
    rig.feed([data(1, "yyyyyyyy"), data(1, "z").fds(3)]);
    assert_eq!(closed(rig.events()), [0..1, 1..3, 3..6]);
    // Of a message that is too long, whole or cut.
    for frame in [data(1, vec![0; 65_537]).fds(2), cut(1, 65_537, "x").fds(2)] {
        let mut rig = taken(2);
        rig.feed([frame]);
        assert_eq!(closed(rig.events()), [std::ops::Range { start: 0, end: 2 }]);
    }
    // Of a message that its sender broke off, or its receiver gave up.
    let mut rig = offering(Side::Connecting);
    let (first, second) = (rig.opened(), rig.opened());
    rig.core.handle_descriptors(3);
    rig.feed([cut(1, 9, "x").fds(1), cut(3, 9, "x").fds(2), status(1, Code::Internal, "")]);
    assert_eq!(closed(rig.events()), [std::ops::Range { start: 0, end: 1 }]);
    rig.call(second).cancel();
    assert_eq!(closed(rig.events()), [std::ops::Range { start: 1, end: 3 }]);
    assert_eq!(rig.outcome(first).code(), Code::Internal);
    assert_eq!(closed(rig.events()), [] as [std::ops::Range<u64>; 0], "once");
}
