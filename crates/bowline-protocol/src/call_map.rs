//! What is kept for each call of a connection, found by its id.
#![expect(clippy::disallowed_types, reason = "its order never shows: what goes over it sorts")]

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::call::CallId;

/// Places that are kept when the map has become empty.
const RETAIN_MAX: usize = 64;

/// Values by call. Finding one costs a few nanoseconds, however many there are; a value stays where
/// it is until it is removed.
///
/// Two maps with the same calls and values are equal, whatever came before.
#[derive(Debug, Clone)]
pub struct CallMap<T> {
    places: HashMap<CallId, u32, BuildHasherDefault<IdHasher>>,
    values: Vec<Option<T>>,
    free: Vec<u32>,
    /// The call looked for last, and its place: mostly it is the one looked for next.
    last: (CallId, u32),
}

/// No call has this id.
const NO_CALL: (CallId, u32) = (CallId(u64::MAX), 0);

impl<T> CallMap<T> {
    /// Nothing for any call.
    #[must_use]
    pub fn new() -> Self {
        Self { places: HashMap::default(), values: Vec::new(), free: Vec::new(), last: NO_CALL }
    }

    /// What is kept for this call.
    #[inline]
    #[must_use]
    pub fn get(&self, call: CallId) -> Option<&T> {
        let place = self.place(call)?;
        self.values[place as usize].as_ref()
    }

    #[inline]
    fn place(&self, call: CallId) -> Option<u32> {
        if self.last.0 == call { Some(self.last.1) } else { self.places.get(&call).copied() }
    }

    /// What is kept for this call, to be changed.
    #[inline]
    pub fn get_mut(&mut self, call: CallId) -> Option<&mut T> {
        let place = self.place(call)?;
        self.last = (call, place);
        self.values[place as usize].as_mut()
    }

    /// Keeps this for a call, and returns what was kept before.
    pub fn insert(&mut self, call: CallId, value: T) -> Option<T> {
        if let Some(place) = self.place(call) {
            return self.values[place as usize].replace(value);
        }
        let place = self.free.pop().unwrap_or_else(|| {
            if self.values.is_empty() {
                // Many connections never have more than one call at a time.
                self.values.reserve_exact(1);
            }
            self.values.push(None);
            u32::try_from(self.values.len() - 1).expect("far fewer than 2^32 calls are open")
        });
        self.values[place as usize] = Some(value);
        self.places.insert(call, place);
        self.last = (call, place);
        None
    }

    /// What is kept for this call; the default from now on, if nothing was.
    #[inline]
    pub fn get_or_default(&mut self, call: CallId) -> &mut T
    where
        T: Default,
    {
        if self.get(call).is_none() {
            self.insert(call, T::default());
        }
        self.get_mut(call).expect("it is there or was just put there")
    }

    /// Keeps nothing for a call any more, and returns what was kept.
    pub fn remove(&mut self, call: CallId) -> Option<T> {
        let place = self.places.remove(&call)?;
        let value = self.values[place as usize].take();
        self.free_place(place);
        value
    }

    fn free_place(&mut self, place: u32) {
        self.last = NO_CALL;
        self.free.push(place);
        if self.values.len() > RETAIN_MAX {
            self.shrink();
        }
    }

    /// Keeps nothing for a call any more, and drops what was kept where it is.
    pub(crate) fn discard(&mut self, call: CallId) {
        let Some(place) = self.places.remove(&call) else { return };
        self.values[place as usize] = None;
        self.free_place(place);
    }

    /// Gives back the memory of a map that is empty.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            *self = Self::new();
        }
    }

    /// All calls, in the order of their ids.
    #[must_use]
    pub fn ids(&self) -> Vec<CallId> {
        let mut ids: Vec<CallId> = self.places.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// The call with the highest id.
    #[must_use]
    pub fn latest(&self) -> Option<CallId> {
        self.places.keys().copied().max()
    }

    /// All that is kept, in the order of the calls' ids.
    pub fn iter(&self) -> impl Iterator<Item = (CallId, &T)> {
        self.ids().into_iter().filter_map(|id| Some((id, self.get(id)?)))
    }

    /// How many calls something is kept for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

impl<T> Default for CallMap<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: PartialEq> PartialEq for CallMap<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.places.keys().all(|id| self.get(*id) == other.get(*id))
    }
}

impl<T: Eq> Eq for CallMap<T> {}

impl<T: Hash> Hash for CallMap<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.len());
        self.iter().for_each(|entry| entry.hash(state));
    }
}

/// Spreads call ids. A peer that chose its ids so that they meet in one place could make finding a
/// call as slow as looking at all that it may have open, which is not slow.
#[derive(Debug, Clone, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    #[inline]
    fn write_u64(&mut self, id: u64) {
        // The multiplier is 2^64 divided by the golden ratio; the product's high bits are the best.
        self.0 = id.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests;
