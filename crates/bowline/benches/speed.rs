//! Times of calls from end to end, for people: `cargo bench -p bowline --bench speed`.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use workload::{Carrier, OPERATIONS, Pair};

mod workload;

fn calls(criterion: &mut Criterion) {
    for (name, carrier) in [("memory", Carrier::Memory), ("unix", Carrier::Unix)] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(OPERATIONS as u64));
        let small = Bytes::from(vec![7; 64]);
        let pair = Pair::warm(carrier, &small);
        group.bench_function("unary 64 B", |b| b.iter(|| workload::unary(&pair, &small)));
        group.bench_function("unary 64 B at once", |bencher| {
            bencher.iter(|| workload::unary_at_once(&pair, &small));
        });
        let message = Bytes::from(vec![7; 1024]);
        group.bench_function("stream 1 KiB", |b| b.iter(|| workload::stream(&pair, &message)));
    }
}

criterion_group!(driver, calls);
criterion_main!(driver);
