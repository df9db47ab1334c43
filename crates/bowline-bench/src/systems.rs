//! The systems of this crate: Bowline, and the raw sockets of [`floor`](crate::floor).

mod bowline;
mod bowline_blocking;

use std::time::Duration;

use ::bowline::BusyPoll;

pub use self::bowline::{Bowline, BowlineClient, BowlineNoPoll};
pub use self::bowline_blocking::{BowlineBlocking, BowlineBlockingClient};
use crate::floor::{RawBlocking, RawTokio};
use crate::system::{Address, BoxError, Endpoint};
use crate::worker::Entry;

/// All of them.
pub(crate) const SYSTEMS: [Entry; 5] = [
    Entry::of::<Bowline>(),
    Entry::of::<BowlineNoPoll>(),
    Entry::of::<BowlineBlocking>(),
    Entry::of::<RawBlocking>(),
    Entry::of::<RawTokio>(),
];

pub(crate) mod v1 {
    //! What is generated from `proto/bowline/bench/v1/bench.proto`.

    include!("generated/bowline.bench.v1.rs");
}

/// Connections that a server takes: more than any load has; the default is 4,096.
const CONNECTIONS_MAX: usize = 20_000;

/// What `--busy-poll` says: `off`, `adaptive`, or so many microseconds, as `50us`.
pub(crate) fn parse_busy_poll(text: &str) -> Result<BusyPoll, String> {
    match (text, text.strip_suffix("us").and_then(|number| number.parse().ok())) {
        ("off", _) => Ok(BusyPoll::Off),
        ("adaptive", _) => Ok(BusyPoll::Adaptive),
        (_, Some(micros)) => Ok(BusyPoll::For(Duration::from_micros(micros))),
        _ => Err("expected off, adaptive or microseconds, as 50us".to_owned()),
    }
}

/// As the endpoint says, or as it is when nothing is said.
fn busy_poll(endpoint: &Endpoint) -> Result<BusyPoll, BoxError> {
    let said = endpoint.busy_poll.as_deref().map(parse_busy_poll);
    Ok(said.transpose()?.unwrap_or_default())
}

/// Where a server listens that was asked to: over TCP the system has chosen a port.
fn listening<'a>(
    mut addresses: impl Iterator<Item = &'a ::bowline::Address>,
    asked: Address,
) -> Result<Address, BoxError> {
    match (asked, addresses.next()) {
        (Address::Tcp(_), Some(address)) => {
            let address = address.to_string();
            Ok(Address::Tcp(address.strip_prefix("tcp:").unwrap_or(&address).parse()?))
        }
        (asked, _) => Ok(asked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_polling_has_three_forms() {
        assert_eq!(parse_busy_poll("off"), Ok(BusyPoll::Off));
        assert_eq!(parse_busy_poll("adaptive"), Ok(BusyPoll::Adaptive));
        assert_eq!(parse_busy_poll("50us"), Ok(BusyPoll::For(Duration::from_micros(50))));
        for wrong in ["", "on", "50", "us", "-1us", "50ms"] {
            assert!(parse_busy_poll(wrong).is_err(), "{wrong}");
        }
    }
}
