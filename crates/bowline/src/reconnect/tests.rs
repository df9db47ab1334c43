//! Tests of the pauses between attempts.

use std::time::Duration;

use super::Reconnect;

#[test]
fn pauses_grow_to_the_longest() {
    let policy = Reconnect { jitter: 0.0, factor: 2.0, ..Reconnect::default() };
    let pauses: Vec<u128> = (0..10).map(|n| policy.pause(n, 0.5).as_millis()).collect();
    assert_eq!(pauses, [0, 20, 40, 80, 160, 320, 640, 1280, 2000, 2000]);
    assert_eq!(policy.pause(u32::MAX, 0.5), policy.max);
}

#[test]
fn pauses_are_varied_in_both_directions() {
    let policy = Reconnect::default();
    let middle = policy.pause(3, 0.5);
    assert_eq!(policy.pause(3, 0.0), middle.mul_f64(0.8));
    assert_eq!(policy.pause(3, 1.0), middle.mul_f64(1.2));
}

#[test]
fn senseless_options_are_harmless() {
    let policy = Reconnect { factor: -3.0, jitter: 7.0, ..Reconnect::default() };
    assert!(policy.pause(9, 0.0) <= Duration::from_millis(40));
    let policy = Reconnect { factor: f64::NAN, max: Duration::MAX, ..Reconnect::default() };
    let _ = policy.pause(9, 1.0);
}
