//! Names of loads.

use std::collections::HashSet;

use super::*;

#[test]
fn every_load_has_a_name_of_its_own() {
    let loads = Load::all();
    let names: HashSet<_> = loads.iter().map(Load::name).collect();
    assert_eq!(names.len(), loads.len());
    let titles: HashSet<_> = loads.iter().map(ToString::to_string).collect();
    assert_eq!(titles.len(), loads.len());
}

#[test]
fn names_say_what_they_are() {
    let with = |work| Load::new(work);
    let texts = [
        Load::unary(64, 1),
        Load { handler: Handler::Timer, ..Load::unary(1 << 20, 8) },
        with(Work::Unary { size: 64, in_flight: 16, connections: 16 }),
        with(Work::Stream { direction: Direction::Upload, size: 1024 }),
        with(Work::Idle { connections: 10_000 }),
    ]
    .map(|load| load.name());
    let expected =
        ["unary-64B-x1", "unary-1MiB-x8-timer", "unary-64B-16x16", "upload-1KiB", "idle-10000"];
    assert_eq!(texts, expected);
}

#[test]
fn streams_are_long_but_end() {
    assert_eq!(stream_messages(64), 16_384);
    assert_eq!(stream_messages(64 << 10), 512);
    assert_eq!(stream_messages(1 << 20), 256);
}
