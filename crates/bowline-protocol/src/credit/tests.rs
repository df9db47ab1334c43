//! Credit at its edges.

use super::{DESCRIPTOR_COST, MESSAGE_COST, RecvCredit, SendCredit, message_cost};
use crate::frame::NUMBER_END;

#[test] // [CRD-001]
fn what_messages_cost() {
    assert_eq!((MESSAGE_COST, DESCRIPTOR_COST), (16, 1_024));
    assert_eq!(message_cost(0, 0), 16);
    assert_eq!(message_cost(100, 16), 16 + 100 + 16 * 1_024);
}

#[test] // [CRD-002]
fn grants_add_up_to_less_than_2_to_the_53() {
    let mut credit = SendCredit::new(10);
    assert!(!credit.grant(NUMBER_END - 10) && !credit.grant(u64::MAX));
    assert!(credit.grant(NUMBER_END - 11));
    assert_eq!(credit.available(), NUMBER_END - 1);
    credit.consume(NUMBER_END - 1);
    assert_eq!(credit.available(), 0);
    assert!(!credit.grant(1), "what was used counts");
}

#[test] // [CRD-002] [CRD-003]
fn only_credit_that_was_sent_can_be_used() {
    let mut credit = RecvCredit::new(100, 0);
    assert_eq!(credit.receive(101), Err(1));
    assert_eq!(credit.receive(100), Ok(()));
    credit.take(49);
    assert!(!credit.grant_lazily(), "less than half");
    credit.take(1);
    assert!(credit.grant_lazily() && !credit.grant_lazily());
    assert_eq!(credit.receive(1), Err(1));
    assert_eq!((credit.take_owed(), credit.take_owed()), (50, 0));
    assert_eq!(credit.receive(51), Err(1));
    assert_eq!(credit.receive(50), Ok(()));
    credit.take(3);
    assert!(credit.grant_waiting(), "all that is due, however little");
    assert_eq!(credit.take_owed(), 3);
}

#[test] // [CRD-002]
fn a_receiver_does_not_grant_more_than_a_number() {
    let mut credit = RecvCredit::new(NUMBER_END - 20, 1_000);
    credit.receive(100).unwrap();
    credit.take(100);
    assert!(credit.grant_waiting());
    assert_eq!(credit.take_owed(), 19);
    credit.assert_invariants(format_args!("at the end of the numbers"));
    assert!(credit.is_generous() && !credit.grant_waiting());
}

#[test] // [CRD-004]
fn a_large_grant_counts_towards_what_is_due() {
    let mut credit = RecvCredit::new(100, 0);
    assert!(credit.lacks(101) && !credit.lacks(100));
    assert!(credit.grant_message(1_000));
    assert_eq!(credit.take_owed(), 900);
    credit.receive(1_000).unwrap();
    credit.take(1_000);
    assert!(credit.grant_waiting());
    assert_eq!(credit.take_owed(), 100, "window and what was taken, in all");
}
