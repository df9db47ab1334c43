//! Every system of this crate has the methods that it says it has.

use bowline_bench::check;
use bowline_bench::compare::Transport;
use bowline_bench::floor::{RawBlocking, RawTokio};
use bowline_bench::systems::{Bowline, BowlineBlocking, BowlineNoPoll};

#[test]
fn bowline() {
    check::methods::<Bowline>(Transport::Unix).unwrap();
    check::methods::<Bowline>(Transport::Tcp).unwrap();
}

#[test]
fn bowline_that_never_polls() {
    check::methods::<BowlineNoPoll>(Transport::Unix).unwrap();
    check::methods::<BowlineNoPoll>(Transport::Tcp).unwrap();
}

#[test]
fn bowline_blocking() {
    check::methods::<BowlineBlocking>(Transport::Unix).unwrap();
    check::methods::<BowlineBlocking>(Transport::Tcp).unwrap();
}

#[test]
fn raw_tokio() {
    check::methods::<RawTokio>(Transport::Unix).unwrap();
    check::methods::<RawTokio>(Transport::Tcp).unwrap();
}

#[test]
fn raw_blocking() {
    check::methods::<RawBlocking>(Transport::Unix).unwrap();
    check::methods::<RawBlocking>(Transport::Tcp).unwrap();
}
