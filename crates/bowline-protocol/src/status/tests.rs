//! Statuses, and how they are cut.

use prost::Message as _;
use prost_types::Any;

use super::{Code, Origin, Status};
use crate::Metadata;

fn full() -> Status {
    let mut metadata = Metadata::new();
    for i in 0..100 {
        metadata.insert(&format!("key-{i}"), &"v".repeat(50)).unwrap();
    }
    let detail = Any { type_url: "type/x".into(), value: vec![7; 300] };
    let status = Status::aborted("é".repeat(10_000)).with_metadata(metadata).with_not_started(true);
    (0..20).fold(status, |status, _| status.with_detail(detail.clone()))
}

#[test] // [STA-002] [MET-003]
fn details_go_first_then_metadata_then_the_messages_end() {
    let whole = full().into_wire(u32::MAX);
    let all = u32::try_from(whole.encoded_len()).unwrap();
    let mut seen = [false; 4];
    for limit in (0..=all).step_by(97).chain([all]) {
        let cut = full().into_wire(limit);
        assert!(cut.encoded_len() <= (limit as usize).max(4), "{limit}");
        assert_eq!((cut.code, cut.not_started), (Code::Aborted as u32, true), "never cut");
        assert!(whole.message.starts_with(&cut.message));
        assert!(whole.metadata.starts_with(&cut.metadata));
        assert!(whole.details.starts_with(&cut.details));
        let metadata_cut = cut.metadata.len() < whole.metadata.len();
        let message_cut = cut.message.len() < whole.message.len();
        assert!(!message_cut || cut.metadata.is_empty() && cut.details.is_empty(), "{limit}");
        assert!(!metadata_cut || cut.details.is_empty(), "{limit}");
        seen[usize::from(message_cut) + usize::from(metadata_cut)] = true;
        seen[3] |= cut.details.len() < whole.details.len();
    }
    assert_eq!(seen, [true; 4]);
}

#[test] // [STA-002]
fn metadata_is_cut_to_what_it_may_count_even_where_the_frame_would_fit() {
    // Empty values under short keys: they count 33 each and take 5 bytes.
    let mut metadata = Metadata::new();
    (0..600).for_each(|_| metadata.insert("k", "").unwrap());
    let body = Status::aborted("why").with_metadata(metadata).into_wire(16_384);
    assert_eq!((body.metadata.len(), &*body.message), (16_384 / 33, "why"));
}

#[test] // [STA-001]
fn codes_are_those_of_grpc() {
    let names: Vec<&str> = (0..=16).map(|number| Code::from_wire(number).name()).collect();
    assert_eq!((names[0], names[5], names[16]), ("OK", "NOT_FOUND", "UNAUTHENTICATED"));
    for unknown in [17, 99, u32::MAX, i32::MAX as u32 + 1] {
        assert_eq!(Code::from_wire(unknown), Code::Unknown);
    }
}

#[test] // [STA-003]
fn it_says_where_it_came_from_and_whether_the_handler_ran() {
    let status = Status::unavailable("gone");
    assert!(!status.not_started());
    assert_eq!(status.origin(), Origin::Local);
    assert_eq!(status.to_string(), "UNAVAILABLE: gone (local)");
    let status = status.with_not_started(true).received();
    assert_eq!(status.to_string(), "UNAVAILABLE: gone (not started)");
    assert_eq!(Status::ok().to_string(), "OK");
}
