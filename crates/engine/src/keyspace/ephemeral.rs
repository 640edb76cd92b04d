//! The ephemeral keys of one shard: created, acknowledged (or not), deleted; oldest first, in
//! bounded memory.

use crate::operation::{Key, Region, INDEX_END};

/// Keys between the oldest that is alive or in flight and the newest; two bits each.
const WINDOW: u64 = 1 << 20;

/// One bit for each key of the window.
#[derive(Clone, Debug)]
struct Bits(Box<[u64]>);

impl Bits {
    fn new() -> Self {
        Self(vec![0; (WINDOW / 64) as usize].into_boxed_slice())
    }

    fn word(count: u64) -> usize {
        (count % WINDOW / 64) as usize
    }

    fn has(&self, count: u64) -> bool {
        self.0[Self::word(count)] >> (count % 64) & 1 == 1
    }

    fn set(&mut self, count: u64, on: bool) {
        let bit = 1 << (count % 64);
        let word = &mut self.0[Self::word(count)];
        *word = if on { *word | bit } else { *word & !bit };
    }
}

/// The ephemeral keys of one shard. Counts 0, 1, 2… stand for the keys `start + shard + shards *
/// count`.
///
/// PUTs are acknowledged in any order; a key may be deleted only when its own PUT was. Keys whose
/// PUT failed, or may have failed, are never handed out: the clean-up finds them by their range.
#[derive(Clone, Debug)]
pub struct Ephemeral {
    first: u64,
    step: u64,
    /// The count that is created next.
    next: u64,
    /// Nothing before this is alive or in flight.
    tail: u64,
    /// Nothing before this is alive.
    oldest: u64,
    in_flight: Bits,
    alive: Bits,
    alive_count: u64,
}

impl Ephemeral {
    /// For the keys `start + shard`, `start + shard + shards` and so on.
    #[must_use]
    pub fn new(start: u64, shard: u64, shards: u64) -> Self {
        Self {
            first: start.saturating_add(shard),
            step: shards.max(1),
            next: 0,
            tail: 0,
            oldest: 0,
            in_flight: Bits::new(),
            alive: Bits::new(),
            alive_count: 0,
        }
    }

    /// A new key to PUT. None when the window is full (a million keys alive or in flight): then
    /// write a base key instead.
    pub fn create(&mut self) -> Option<Key> {
        let index = self.next_index();
        if self.next - self.tail >= WINDOW || index >= INDEX_END {
            return None;
        }
        self.in_flight.set(self.next, true);
        self.next += 1;
        Some(Key::new(Region::Ephemeral, index))
    }

    /// The PUT of a key is over. `alive`: it was acknowledged; otherwise the load never deletes it.
    /// Keys that are not in flight here are ignored.
    pub fn created(&mut self, key: Key, alive: bool) {
        let Some(count) = self.count(key).filter(|count| self.in_flight.has(*count)) else {
            return;
        };
        self.in_flight.set(count, false);
        if alive {
            self.alive.set(count, true);
            self.alive_count += 1;
            self.oldest = self.oldest.min(count);
        }
        self.advance_tail();
    }

    /// Takes the oldest acknowledged key for a DELETE; it is never handed out again.
    pub fn take_oldest(&mut self) -> Option<Key> {
        if self.alive_count == 0 {
            return None;
        }
        let mut count = self.oldest.max(self.tail);
        while count < self.next {
            let from_here = self.alive.0[Bits::word(count)] >> (count % 64);
            if from_here == 0 {
                count = (count / 64 + 1) * 64;
                continue;
            }
            count += u64::from(from_here.trailing_zeros());
            self.alive.set(count, false);
            self.alive_count -= 1;
            self.oldest = count + 1;
            self.advance_tail();
            return Some(Key::new(Region::Ephemeral, self.first + self.step * count));
        }
        None
    }

    /// Index of the key that would be created next; where a later engine may start.
    #[must_use]
    pub fn next_index(&self) -> u64 {
        self.first
            .saturating_add(self.step.saturating_mul(self.next))
    }

    /// Acknowledged keys that were not taken yet.
    #[must_use]
    pub fn alive(&self) -> u64 {
        self.alive_count
    }

    /// The count of a key, if it lies in the window.
    fn count(&self, key: Key) -> Option<u64> {
        let distance = key.index().checked_sub(self.first)?;
        let count = distance / self.step;
        let ours = key.region() == Some(Region::Ephemeral) && distance % self.step == 0;
        (ours && (self.tail..self.next).contains(&count)).then_some(count)
    }

    /// Each key is passed once, so this costs one step for each key in the long run.
    fn advance_tail(&mut self) {
        while self.tail < self.next && !self.in_flight.has(self.tail) && !self.alive.has(self.tail)
        {
            self.tail += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn indexes(keys: impl IntoIterator<Item = Option<Key>>) -> Vec<Option<u64>> {
        keys.into_iter().map(|key| key.map(Key::index)).collect()
    }

    #[test]
    fn creates_its_stripe() {
        let mut keys = Ephemeral::new(1000, 1, 3);
        assert_eq!(
            indexes([keys.create(), keys.create()]),
            [Some(1001), Some(1004)]
        );
        assert_eq!(keys.next_index(), 1007);
    }

    #[test]
    fn only_acknowledged_keys_are_deleted_oldest_first() {
        let mut keys = Ephemeral::new(0, 0, 1);
        let created: Vec<_> = (0..4).map(|_| keys.create().unwrap()).collect();
        assert_eq!(keys.take_oldest(), None);
        keys.created(created[2], true);
        keys.created(created[1], true);
        keys.created(created[3], false);
        assert_eq!(
            indexes([keys.take_oldest(), keys.take_oldest(), keys.take_oldest()]),
            [Some(1), Some(2), None]
        );
        // the first was in flight all the time, and comes when its turn comes
        keys.created(created[0], true);
        keys.created(created[0], true);
        assert_eq!(keys.alive(), 1);
        assert_eq!(
            indexes([keys.take_oldest(), keys.take_oldest()]),
            [Some(0), None]
        );
    }

    #[test]
    fn strange_keys_are_ignored() {
        let mut keys = Ephemeral::new(10, 0, 2);
        let key = keys.create().unwrap();
        for strange in [
            Key(0),
            Key::new(Region::Base, 10),
            Key::new(Region::Ephemeral, 11),
            Key(u64::MAX),
        ] {
            keys.created(strange, true);
        }
        keys.created(Key::new(Region::Ephemeral, 12), true);
        assert_eq!((keys.alive(), keys.take_oldest()), (0, None));
        keys.created(key, true);
        assert_eq!(keys.take_oldest(), Some(key));
    }

    #[test]
    fn memory_is_bounded_and_a_full_window_frees_itself() {
        let mut keys = Ephemeral::new(0, 0, 1);
        let stuck = keys.create().unwrap();
        let mut last = stuck;
        while let Some(key) = keys.create() {
            keys.created(key, true);
            last = key;
        }
        assert_eq!(last.index(), WINDOW - 1);
        assert_eq!(keys.alive(), WINDOW - 1);
        // one deleted at the far side of the stuck one makes no room, the stuck one does
        assert_eq!(keys.take_oldest().map(Key::index), Some(1));
        assert_eq!(keys.create(), None);
        keys.created(stuck, false);
        assert_eq!(keys.create().map(Key::index), Some(WINDOW));
        assert_eq!(keys.take_oldest().map(Key::index), Some(2));
        // and now taking alone makes room
        assert_eq!(keys.create().map(Key::index), Some(WINDOW + 1));
        assert_eq!(keys.create().map(Key::index), Some(WINDOW + 2));
        assert_eq!(keys.create(), None);
    }

    #[test]
    fn ends_with_the_key_space() {
        let mut keys = Ephemeral::new(INDEX_END - 1, 0, 1);
        assert!(keys.create().is_some());
        assert!(keys.create().is_none());
        assert!(Ephemeral::new(u64::MAX, 1, u64::MAX).create().is_none());
    }

    #[test]
    fn goes_round_the_window_many_times() {
        let mut keys = Ephemeral::new(0, 0, 1);
        let mut expected = 0;
        for round in 0..3 * WINDOW {
            let key = keys.create().unwrap();
            keys.created(key, true);
            if round % 2 == 0 || round > 100 {
                assert_eq!(keys.take_oldest().map(Key::index), Some(expected));
                expected += 1;
            }
        }
    }

    proptest! {
        /// Against a model: a set of keys in flight and a set of keys alive.
        #[test]
        fn agrees_with_two_sets(steps in prop::collection::vec((0u8..4, any::<prop::sample::Index>()), 0..400)) {
            let mut keys = Ephemeral::new(5, 1, 2);
            let (mut in_flight, mut alive) = (BTreeSet::new(), BTreeSet::new());
            for (what, which) in steps {
                match what {
                    0 => { in_flight.insert(keys.create().unwrap()); }
                    1 | 2 if !in_flight.is_empty() => {
                        let key = *in_flight.iter().nth(which.index(in_flight.len())).unwrap();
                        in_flight.remove(&key);
                        keys.created(key, what == 1);
                        if what == 1 { alive.insert(key); }
                    }
                    _ => prop_assert_eq!(keys.take_oldest(), alive.pop_first()),
                }
                prop_assert_eq!(keys.alive(), alive.len() as u64);
            }
        }
    }
}
