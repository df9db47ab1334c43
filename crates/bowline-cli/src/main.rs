//! The `bowline` command: a demo server to try things with, a look at a server, a comparison of the
//! transports, and the conformance kit.
//!
//! This crate only reads arguments and writes text; what is behind the commands stands in `bowline`,
//! `bowline-bench` and `bowline-conformance`. As a program would do what `bowline ping` does:
//!
//! ```no_run
//! # async fn ping() -> Result<(), Box<dyn std::error::Error>> {
//! let channel = bowline::Channel::connect("unix:///tmp/echo.sock").await?;
//! println!("{:?}: {:?}", channel.ready().await?, channel.ping().await?);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod adapter;
mod arguments;
mod commands;
mod failure;
mod json_file;
mod limits;
mod logging;
mod output;
mod signals;
mod units;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logging::init(arguments.verbose);
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Serve(args) => on_runtime(commands::serve::run(args)),
        Command::Ping(args) => on_runtime(commands::ping::run(args)),
        Command::Echo(args) => on_runtime(commands::echo::run(args)),
        Command::Compare(args) => on_runtime(commands::compare::run(args)),
        Command::Conformance(args) => on_runtime(commands::conformance::run(args)),
        Command::Adapter => on_runtime(commands::conformance::adapter()),
        Command::Completions(args) => commands::completions::run(args),
    }
}

fn on_runtime(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::operation(format!("cannot start the runtime: {error}")))?;
    let result = runtime.block_on(command);
    // Whatever still waits for a name server or a disk must not hold up the end.
    runtime.shutdown_background();
    result
}
