//! What a call map keeps, and that its past does not show.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{CallMap, RETAIN_MAX};
use crate::call::CallId;

fn hash(map: &CallMap<u32>) -> u64 {
    let mut hasher = DefaultHasher::new();
    map.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn keeps_what_a_sorted_map_keeps() {
    let mut map = CallMap::new();
    let mut sorted = BTreeMap::new();
    let mut seed = 7_u64;
    for step in 0..20_000_u32 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let id = CallId(seed >> 33 & 0xff);
        if seed >> 60 < 9 {
            assert_eq!(map.insert(id, step), sorted.insert(id, step));
        } else {
            assert_eq!(map.remove(id), sorted.remove(&id));
        }
        assert_eq!(map.len(), sorted.len());
        assert_eq!(map.get(id), sorted.get(&id));
    }
    assert!(map.iter().eq(sorted.iter().map(|(id, step)| (*id, step))));
    assert!(map.values.len() <= 256, "places are used again");
}

#[test]
fn what_came_before_does_not_show() {
    let mut first: CallMap<u32> = (1..100).map(|id| (CallId(id), 0)).collect_map();
    (2..100).for_each(|id| assert_eq!(first.remove(CallId(id)), Some(0)));
    let second = [(CallId(1), 0)].into_iter().collect_map();
    assert_eq!(first, second);
    assert_eq!(hash(&first), hash(&second));
    let other = [(CallId(3), 0)].into_iter().collect_map();
    assert_ne!(first, other);
}

#[test]
fn gives_memory_back_when_it_becomes_empty() {
    let calls = 1..=4 * RETAIN_MAX as u64;
    let mut map: CallMap<u32> = calls.clone().map(|id| (CallId(id), 0)).collect_map();
    calls.for_each(|id| assert_eq!(map.remove(CallId(id)), Some(0)));
    assert_eq!(map.values.capacity(), 0);
    assert!(map.is_empty());
}

trait CollectMap {
    fn collect_map(self) -> CallMap<u32>;
}

impl<I: Iterator<Item = (CallId, u32)>> CollectMap for I {
    fn collect_map(self) -> CallMap<u32> {
        let mut map = CallMap::new();
        self.for_each(|(id, value)| assert_eq!(map.insert(id, value), None));
        map
    }
}

#[test]
fn the_latest_call_is_that_with_the_highest_id() {
    let mut map = CallMap::new();
    assert_eq!(map.latest(), None);
    for id in [3, 9, 5] {
        map.insert(CallId(id), ());
    }
    assert_eq!(map.latest(), Some(CallId(9)));
    map.remove(CallId(9));
    assert_eq!(map.latest(), Some(CallId(5)));
}
