//! Whose turn it is.

use super::LargeBudget;
use crate::call::CallId;

#[test] // [CRD-004] [CRD-005]
fn first_come_first_served() {
    let mut budget = LargeBudget::new(100);
    let [a, b, c] = [1, 3, 5].map(CallId);
    budget.ask(a, 60);
    budget.ask(b, 50);
    budget.ask(c, 10);
    assert_eq!(budget.admit(), Some((a, 60)));
    assert_eq!(budget.admit(), None, "the third would fit, but the second is before it");
    budget.withdraw(b);
    assert_eq!(budget.admit(), Some((c, 10)));
    budget.ask(b, 31);
    assert_eq!(budget.admit(), None);
    budget.give_back(60);
    assert_eq!((budget.admit(), budget.admit()), (Some((b, 31)), None));
    assert_eq!((budget.used(), budget.waiting().count()), (41, 0));
}
