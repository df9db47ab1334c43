//! Schedules that have found a bug.

use bowline_protocol::Side;

use crate::op::{Op, Setting};
use crate::sut::Sut;

const ACCEPTING: Side = Side::Accepting;

/// `wants_transmit` was true for a PING that an accepting side may not send before the peer's
/// HELLO, and the driver asked again for ever.
#[test] // [HEL-005]
fn a_ping_before_the_handshake_makes_no_driver_spin() {
    let setting = Setting { limits: 0, pipe: 1 << 20, one_at_a_time: false, established: false };
    Sut::run(setting, &[Op::Ping { side: ACCEPTING }, Op::Poll { side: ACCEPTING }]);
}

/// The end of the stream before a preface was taken for a port probe, and calls that the accepting
/// side had opened already never ended.
#[test] // [CLS-003]
fn a_probe_ends_the_calls_that_were_opened_early() {
    let setting = Setting { limits: 0x4, pipe: 1 << 20, one_at_a_time: false, established: false };
    let ops = [
        Op::Open { side: ACCEPTING, method: 1, deadline_ms: None },
        Op::Cut { side: ACCEPTING, keep: 0 },
        Op::Read { side: ACCEPTING, bytes: 1 },
    ];
    Sut::run(setting, &ops);
}
