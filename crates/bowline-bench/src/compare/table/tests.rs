//! The table, as it looks.

use super::super::plan::Kind;
use super::*;

fn result(transport: Transport, load: Load, calls_per_second: f64, p50_ns: u64) -> LoadResult {
    LoadResult {
        transport,
        kind: load.kind,
        payload_bytes: load.payload_bytes,
        concurrency: load.concurrency,
        connections: load.connections,
        processes: if transport == Transport::Memory { 1 } else { 2 },
        calls: 1000,
        errors: 0,
        calls_per_second,
        mib_per_second: calls_per_second * f64::from(load.payload_bytes) / f64::from(1 << 20),
        p50_ns,
        p99_ns: p50_ns * 3,
        p999_ns: p50_ns * 40,
        cpu_ns_per_call: p50_ns as f64 / 2.0,
        first_error: None,
    }
}

fn results() -> Vec<LoadResult> {
    let small = Load::new(Kind::Unary, 64, 1);
    let stream = Load::new(Kind::ServerStream, 64 << 10, 1);
    vec![
        result(Transport::Unix, small, 54_321.0, 18_200),
        result(Transport::Tcp, small, 36_214.0, 27_300),
        result(Transport::Memory, small, 412_000.0, 2_100),
        result(Transport::Unix, stream, 43_600.0, 22_900),
        result(Transport::Tcp, stream, 21_800.0, 45_800),
        result(Transport::Memory, stream, 60_000.0, 999),
    ]
}

#[test]
fn unix_and_tcp_stand_side_by_side() {
    let text = table(&results());
    assert_eq!(format!("\n{text}"), EXPECTED);
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
}

const EXPECTED: &str = "
                          calls/s            MiB/s            p50              p99             p99.9          CPU/call
load                  unix   tcp ratio   unix   tcp     unix     tcp     unix     tcp     unix     tcp     unix     tcp
unary 64 B ×1        54.3k 36.2k 1.50×    3.3   2.2   18.2µs  27.3µs   54.6µs  81.9µs    728µs  1.09ms   9.10µs  13.7µs
server stream 64 KiB 43.6k 21.8k 2.00×   2725  1362   22.9µs  45.8µs   68.7µs   137µs    916µs  1.83ms   11.4µs  22.9µs

memory, in 1 process  calls/s    MiB/s       p50       p99     p99.9  CPU/call
unary 64 B ×1            412k     25.1    2.10µs    6.30µs    84.0µs    1.05µs
server stream 64 KiB    60.0k     3750     999ns    3.00µs    40.0µs     499ns
";

#[test]
fn one_transport_has_a_table_of_its_own() {
    let only_tcp: Vec<_> =
        results().into_iter().filter(|result| result.transport == Transport::Tcp).collect();
    let text = table(&only_tcp);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("tcp ") && lines[1].starts_with("unary 64 B ×1 "), "{text}");
    assert_eq!(table(&[]), "");
}
