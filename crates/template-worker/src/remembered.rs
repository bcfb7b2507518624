//! A map that forgets: for entries under keys that strangers choose, each of which is worth nothing after a while.
//!
//! Owns when it is looked through. Each time that costs as much as there are entries, so it is done when there are twice as
//! many as were left the last time: an entry costs a few steps, however many there are. Which entries are worth nothing is
//! for whoever adds one to say.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Entries up to which nothing is forgotten.
const FEW: usize = 1024;

/// What is remembered under each key.
#[derive(Debug)]
pub(crate) struct Remembered<K, V> {
    entries: HashMap<K, V>,
    sweep_at: usize,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), sweep_at: FEW }
    }
}

impl<K: Eq + Hash, V> Remembered<K, V> {
    /// What is remembered under `key`. Whether it is still worth something is not looked at.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)
    }

    /// The same, to be changed.
    pub(crate) fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.entries.get_mut(key)
    }

    /// What is remembered under `key`, or `fresh` from now on. Where that is one more, others of which `is_over` holds may be
    /// forgotten.
    pub(crate) fn entry(
        &mut self,
        key: K,
        is_over: impl Fn(&V) -> bool,
        fresh: impl FnOnce() -> V,
    ) -> &mut V {
        if self.entries.len() >= self.sweep_at && !self.entries.contains_key(&key) {
            self.entries.retain(|_, value| !is_over(value));
            self.sweep_at = FEW.max(2 * self.entries.len());
            self.entries.shrink_to(self.sweep_at);
        }
        self.entries.entry(key).or_insert_with(fresh)
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_is_over_is_forgotten_and_what_is_not_stays() {
        let mut remembered = Remembered::default();
        for key in 0..10 * FEW {
            remembered.entry(key, |is_over| *is_over, || key >= 10);
        }
        assert!(remembered.len() <= FEW, "{}", remembered.len());
        assert!((0..10).all(|key| remembered.get(&key) == Some(&false)));
    }

    #[test]
    fn an_entry_that_is_there_is_neither_made_anew_nor_a_reason_to_forget() {
        let mut remembered = Remembered::default();
        for key in 0..FEW {
            remembered.entry(key, |_| false, || key);
        }
        *remembered.entry(7, |_| true, || 0) += 1;
        assert_eq!((remembered.len(), remembered.get(&7)), (FEW, Some(&8)));
        *remembered.get_mut(&7).unwrap() = 1;
        remembered.entry(FEW, |value| *value > 1, || FEW);
        // Those under 0, 1, 7 and the new one.
        assert_eq!(remembered.len(), 4);
    }

    #[test]
    fn looking_through_costs_a_few_steps_an_entry_even_where_nothing_is_over() {
        let (mut remembered, looked_at) = (Remembered::default(), Cell::new(0));
        let look = |_: &usize| {
            looked_at.set(looked_at.get() + 1);
            false
        };
        for key in 0..64 * FEW {
            remembered.entry(key, look, || key);
        }
        assert_eq!(remembered.len(), 64 * FEW);
        assert!(looked_at.get() <= 64 * FEW, "{}", looked_at.get());
        // After many are over, as few are enough as at first.
        remembered.entry(usize::MAX, |_| true, || 0);
        assert_eq!((remembered.len(), remembered.sweep_at), (1, FEW));
    }
}
