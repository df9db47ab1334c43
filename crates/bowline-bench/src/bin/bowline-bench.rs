//! The load generator: compares Bowline with raw sockets, and with whatever other worker programs
//! bring.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    bowline_bench::command::main(None)
}
