//! The worker program with an allocator that counts, for `bowline-bench run --count`: it finds this
//! beside the other one.
#![forbid(unsafe_code)]

use std::alloc::System;
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    let allocations = || {
        let stats = ALLOCATOR.stats();
        (stats.allocations + stats.reallocations) as u64
    };
    bowline_bench::worker::main(&bowline_bench_peers::SYSTEMS, Some(allocations))
}
