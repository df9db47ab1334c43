//! Instructions of the hot paths of the core; `cargo xtask bench --check` compares them with the
//! record.
#![expect(missing_docs, unused_qualifications, reason = "what the macros make")]

use std::hint::black_box;

use bowline_protocol::{FrameHeader, FrameType, HEADER_LEN};
use bytes::Bytes;
use gungraun::prelude::*;

use workload::codec::{self, Encoded, Round};
use workload::pair::{self, Pair};

mod workload;

fn payload(size: usize) -> Bytes {
    Bytes::from(vec![7; size])
}

fn warm(size: usize) -> (Pair, Bytes) {
    let payload = payload(size);
    (Pair::warm(&payload), payload)
}

fn header() -> [u8; HEADER_LEN] {
    FrameHeader::new(FrameType::Data, 64, 1).encode()
}

fn round() -> (Round, Vec<u8>) {
    (Round::typical(), Vec::with_capacity(1024))
}

fn encoded() -> Encoded {
    Round::typical().encoded()
}

#[library_benchmark]
fn encode_frames() {
    codec::encode_frames();
}

#[library_benchmark(setup = header)]
fn decode_frames(bytes: [u8; HEADER_LEN]) {
    codec::decode_frames(&bytes);
}

#[library_benchmark(setup = round)]
fn encode_messages((round, mut to): (Round, Vec<u8>)) -> (Round, Vec<u8>) {
    codec::encode_messages(&round, &mut to);
    (round, to)
}

#[library_benchmark(setup = encoded)]
fn decode_messages(encoded: Encoded) -> Encoded {
    codec::decode_messages(&encoded);
    encoded
}

#[library_benchmark(setup = warm)]
#[bench::bytes_64(64)]
#[bench::kib_64(64 * 1024)]
#[bench::mib_1(1024 * 1024)]
fn unary((mut pair, payload): (Pair, Bytes)) -> (Pair, Bytes) {
    pair::unary(&mut pair, black_box(&payload));
    (pair, payload)
}

#[library_benchmark(setup = warm)]
#[bench::bytes_64(64)]
fn unary_at_once((mut pair, payload): (Pair, Bytes)) -> (Pair, Bytes) {
    pair::unary_at_once(&mut pair, black_box(&payload));
    (pair, payload)
}

#[library_benchmark(setup = warm)]
#[bench::kib_1(1024)]
fn stream((mut pair, payload): (Pair, Bytes)) -> (Pair, Bytes) {
    pair::stream(&mut pair, black_box(&payload));
    (pair, payload)
}

library_benchmark_group!(
    name = core,
    benchmarks = [
        encode_frames,
        decode_frames,
        encode_messages,
        decode_messages,
        unary,
        unary_at_once,
        stream,
    ]
);

main!(library_benchmark_groups = core);
