//! The `bowline` command as its users meet it: started as a program, judged by what it prints, by
//! its exit code and by what it leaves behind.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod compare;
mod conformance;
mod errors;
mod serve;
mod support;
mod usage;
