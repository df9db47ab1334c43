//! Instructions of a call from end to end; `cargo xtask bench --check` compares them with the
//! record.
#![expect(missing_docs, unused_qualifications, reason = "what the macros make")]

use std::hint::black_box;

use bytes::Bytes;
use gungraun::prelude::*;

use workload::{Carrier, Pair};

mod workload;

fn pair(carrier: Carrier, size: usize) -> (Pair, Bytes) {
    let payload = Bytes::from(vec![7; size]);
    (Pair::warm(carrier, &payload), payload)
}

#[library_benchmark(setup = pair)]
#[bench::memory(Carrier::Memory, 64)]
#[bench::unix(Carrier::Unix, 64)]
fn unary((pair, payload): (Pair, Bytes)) -> (Pair, Bytes) {
    workload::unary(&pair, black_box(&payload));
    (pair, payload)
}

#[library_benchmark(setup = pair)]
#[bench::memory(Carrier::Memory, 64)]
#[bench::unix(Carrier::Unix, 64)]
fn unary_at_once((pair, payload): (Pair, Bytes)) -> (Pair, Bytes) {
    workload::unary_at_once(&pair, black_box(&payload));
    (pair, payload)
}

#[library_benchmark(setup = pair)]
#[bench::memory(Carrier::Memory, 1024)]
#[bench::unix(Carrier::Unix, 1024)]
fn stream((pair, payload): (Pair, Bytes)) -> (Pair, Bytes) {
    workload::stream(&pair, black_box(&payload));
    (pair, payload)
}

library_benchmark_group!(name = driver, benchmarks = [unary, unary_at_once, stream]);

main!(library_benchmark_groups = driver);
