//! Worker processes: one serves, another one makes calls, and both do what they are told.
//!
//! A program with systems of its own has this as its main function; the harness starts it as
//! `PROGRAM serve …` and `PROGRAM load …`, speaks [`control`](self) lines of JSON with it over stdin
//! and stdout, and ends it by closing its stdin.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! # use bowline_bench::{floor::RawTokio as Tonic, floor::RawBlocking as Ttrpc};
//! use bowline_bench::worker::{self, Entry};
//!
//! fn main() -> ExitCode {
//!     worker::main(&[Entry::of::<Tonic>(), Entry::of::<Ttrpc>()], None)
//! }
//! ```

mod arguments;
mod clients;
pub(crate) mod control;
mod job;
mod pacer;
mod run;
pub(crate) mod sample;
mod serve;

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::process::ExitCode;

use clap::Parser as _;

pub(crate) use self::arguments::{Command, Runtime};
pub use self::job::Job;
pub(crate) use self::run::{Described, execute};
use crate::compare::Transport;
use crate::load::{Handler, Load};
use crate::system::{BoxError, Endpoint, Ready, System};

type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// Counts the allocations of this process since it began.
pub type CountAllocations = fn() -> u64;

/// A system that a worker program has.
#[derive(Clone, Copy)]
pub struct Entry {
    name: &'static str,
    serve: fn(Endpoint, Handler, Ready) -> LocalFuture<Result<Infallible, BoxError>>,
    load: fn(clients::Orders) -> LocalFuture<()>,
    unsupported: fn(&Load, Transport) -> Option<&'static str>,
}

impl Entry {
    /// This system.
    #[must_use]
    pub const fn of<S: System>() -> Self {
        Self {
            name: S::NAME,
            serve: |endpoint, handler, ready| Box::pin(S::serve(endpoint, handler, ready)),
            load: |orders| Box::pin(clients::obey::<S>(orders)),
            unsupported: S::unsupported,
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The main function of a worker program.
#[must_use]
pub fn main(systems: &[Entry], allocations: Option<CountAllocations>) -> ExitCode {
    let arguments = arguments::Arguments::parse();
    match execute(arguments.command, systems, allocations) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
