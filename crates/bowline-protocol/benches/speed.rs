//! Times of the hot paths of the core, for people: `cargo bench -p bowline-protocol --bench speed`.

use bowline_protocol::{FrameHeader, FrameType};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use workload::codec::{self, Round};
use workload::pair::{self, Pair};
use workload::{BATCH, OPERATIONS};

mod workload;

/// How large the messages of calls are.
const UNARY: [(&str, usize); 3] = [("64 B", 64), ("64 KiB", 64 * 1024), ("1 MiB", 1024 * 1024)];

fn messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(OPERATIONS as u64));
    group.bench_function("encode frames", |bencher| bencher.iter(codec::encode_frames));
    let header = FrameHeader::new(FrameType::Data, 64, 1).encode();
    group.bench_function("decode frames", |b| b.iter(|| codec::decode_frames(&header)));
    let (round, mut to) = (Round::typical(), Vec::with_capacity(1024));
    group.bench_function("encode control messages", |bencher| {
        bencher.iter(|| codec::encode_messages(&round, &mut to));
    });
    let encoded = round.encoded();
    group.bench_function("decode control messages", |bencher| {
        bencher.iter(|| codec::decode_messages(&encoded));
    });
}

fn unary(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("unary");
    for (name, size) in UNARY {
        let payload = Bytes::from(vec![7; size]);
        let mut pair = Pair::warm(&payload);
        group.throughput(throughput(OPERATIONS, size));
        group.bench_function(name, |b| b.iter(|| pair::unary(&mut pair, &payload)));
    }
    let payload = Bytes::from(vec![7; 64]);
    let mut pair = Pair::warm(&payload);
    group.throughput(throughput(OPERATIONS, 64));
    group.bench_function("64 B at once", |bencher| {
        bencher.iter(|| pair::unary_at_once(&mut pair, &payload));
    });
}

fn stream(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stream");
    let message = Bytes::from(vec![7; 1024]);
    let mut pair = Pair::warm(&message);
    group.throughput(throughput(OPERATIONS * BATCH, message.len()));
    group.bench_function("1 KiB", |b| b.iter(|| pair::stream(&mut pair, &message)));
}

fn throughput(count: usize, size: usize) -> Throughput {
    Throughput::ElementsAndBytes { elements: count as u64, bytes: (count * size) as u64 }
}

criterion_group!(core, messages, unary, stream);
criterion_main!(core);
