//! Two connections under random schedules: safety at every step, and at the end nothing is stuck.

use std::collections::BTreeMap;

use proptest::strategy::ValueTree as _;

use crate::op::{large_messages, schedule};
use crate::runner::{check, generate};
use crate::sut::Sut;

/// What must come about in random schedules, so that it is known to be tried.
const STATES: [&str; 30] = [
    "CANCEL crosses the terminal frame",
    "CANCEL stops a handler",
    "CANCEL",
    "CREDIT",
    "FINISH",
    "GOAWAY",
    "RESPONSE",
    "STATUS inside a message",
    "a limit stops a handler",
    "call lost",
    "call refused",
    "call succeeded",
    "callback",
    "closed cleanly",
    "cut inside a frame",
    "cut message",
    "deadline at the caller",
    "deadline at the responder",
    "deadline before the start",
    "handler failed",
    "large message granted",
    "large messages wait their turn",
    "loss stops a handler",
    "message larger than the window",
    "message sent at once",
    "message too long",
    "queue of a call full",
    "stalled",
    "waits on one call alone",
    "whole window given back",
];

#[test] // [CRD-003] [OUT-002] [CAL-005]
fn quick() {
    check("random::quick", schedule(60), |(setting, ops)| {
        Sut::run(*setting, ops);
    });
}

#[test] // [CRD-004] [SLT-001] [STA-003]
fn long() {
    check("random::long", schedule(400), |(setting, ops)| {
        Sut::run(*setting, ops);
    });
}

#[test] // [CRD-003] [CRD-004] [CRD-005] [CRD-006]
fn large() {
    check("random::large", large_messages(150), |(setting, ops)| {
        Sut::run(*setting, ops);
    });
}

#[test]
fn interesting_states_are_reached() {
    let mut cases: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..2_000 {
        let (setting, ops) = match seed % 8 {
            0 => generate(seed, &large_messages(80)).1.current(),
            _ => generate(seed, &schedule(60)).1.current(),
        };
        for what in Sut::run(setting, &ops).covered.into_keys() {
            *cases.entry(what).or_default() += 1;
        }
    }
    println!("{cases:#?}");
    let missing: Vec<&str> = STATES.into_iter().filter(|what| !cases.contains_key(what)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}");
}
