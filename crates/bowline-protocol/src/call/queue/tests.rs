//! A queue against a model.

use std::collections::VecDeque;

use super::Queue;

#[test]
fn is_a_queue() {
    let mut queue = Queue::new();
    let mut model = VecDeque::new();
    let mut seed = 3_u64;
    for step in 0..5_000_u32 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        match seed >> 61 {
            0..4 => {
                queue.push_back(step);
                model.push_back(step);
            }
            4..7 => assert_eq!(queue.pop_front(), model.pop_front()),
            _ => {
                let len = model.len() / 2;
                queue.truncate(len);
                model.truncate(len);
            }
        }
        assert!(queue.iter().eq(&model));
        assert!(queue.iter_mut().rev().eq(model.iter_mut().rev()));
        assert_eq!(queue.is_empty(), model.is_empty());
        assert_eq!(queue.front(), model.front());
        assert_eq!(queue.back(), model.back());
        assert_eq!(queue.back_mut(), model.back_mut());
    }
}
