//! The worker program of the other systems: `bowline-bench run --peers` starts it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    bowline_bench::worker::main(&bowline_bench_peers::SYSTEMS, None)
}
