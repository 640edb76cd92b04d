//! Tests of the ephemeral keys.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn indexes(keys: impl IntoIterator<Item = Option<Key>>) -> Vec<Option<u64>> {
    keys.into_iter().map(|key| key.map(Key::index)).collect()
}

#[test]
fn creates_its_stripe() {
    let mut keys = Ephemeral::new(1000, Lane::ALONE, 1, 3);
    assert_eq!(
        indexes([keys.create(), keys.create()]),
        [Some(1001), Some(1004)]
    );
    assert_eq!(keys.next_index(), 1007);
}

#[test]
fn lanes_never_make_the_same_key_however_many_shards_they_have() {
    let mut made = BTreeSet::new();
    for (index, shards) in [(0, 1), (1, 3), (2, 2)] {
        let lane = Lane { index, count: 3 };
        for shard in 0..shards {
            let mut keys = Ephemeral::new(10, lane, shard, shards);
            for _ in 0..50 {
                let index = keys.create().unwrap().index();
                assert!((10..keys.next_index()).contains(&index));
                assert!(made.insert(index), "{index}");
            }
        }
    }
}

#[test]
fn only_acknowledged_keys_are_deleted_oldest_first() {
    let mut keys = Ephemeral::new(0, Lane::ALONE, 0, 1);
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
    let mut keys = Ephemeral::new(10, Lane::ALONE, 0, 2);
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
    let mut keys = Ephemeral::new(0, Lane::ALONE, 0, 1);
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
    let mut keys = Ephemeral::new(INDEX_END - 1, Lane::ALONE, 0, 1);
    assert!(keys.create().is_some());
    assert!(keys.create().is_none());
    assert!(Ephemeral::new(u64::MAX, Lane::ALONE, 1, u64::MAX)
        .create()
        .is_none());
}

#[test]
fn goes_round_the_window_many_times() {
    let mut keys = Ephemeral::new(0, Lane::ALONE, 0, 1);
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

#[test]
fn a_key_that_is_read_is_not_deleted_and_one_that_is_deleted_is_not_read() {
    let mut keys = Ephemeral::new(0, Lane::ALONE, 0, 1);
    let made: Vec<_> = (0..3).map(|_| keys.create().unwrap()).collect();
    assert!(!keys.begin_read(made[0]), "not acknowledged yet");
    made.iter().for_each(|key| keys.created(*key, true));
    assert!(keys.begin_read(made[0]) && keys.begin_read(made[0]) && keys.begin_read(made[1]));
    assert_eq!(keys.take_oldest(), Some(made[2]));
    assert!(!keys.begin_read(made[2]));
    assert_eq!(keys.take_oldest(), None, "both are read");
    keys.end_read(made[0]);
    assert_eq!(keys.take_oldest(), None, "by two");
    keys.end_read(made[0]);
    assert_eq!(keys.take_oldest(), Some(made[0]));
    keys.end_read(made[1]);
    assert_eq!(
        indexes([keys.take_oldest(), keys.take_oldest()]),
        [Some(1), None]
    );
}

#[test]
fn makes_room_only_when_full_and_never_under_a_reader() {
    let mut keys = Ephemeral::with_window(0, Lane::ALONE, 0, 1, 64);
    for _ in 0..64 {
        keys.make_room();
        let key = keys.create().unwrap();
        keys.created(key, true);
    }
    let (oldest, second) = (keys.newest(63).unwrap(), keys.newest(62).unwrap());
    assert_eq!((oldest.index(), keys.create()), (0, None));
    assert!(keys.begin_read(oldest));
    keys.make_room();
    assert_eq!(keys.create(), None, "the oldest is read");
    keys.end_read(oldest);
    keys.make_room();
    assert_eq!(
        (keys.alive(), keys.create().map(Key::index)),
        (63, Some(64))
    );
    assert_eq!(keys.take_oldest(), Some(second));
}

#[test]
fn any_living_key_is_as_likely_as_another() {
    let mut keys = Ephemeral::with_window(0, Lane::ALONE, 0, 1, 64);
    for number in 0..100 {
        let key = keys.create().unwrap();
        keys.created(key, number % 2 == 0);
        if number < 80 {
            let _ = keys.take_oldest();
        }
    }
    let mut counts = std::collections::BTreeMap::new();
    for draw in 0..10_000 {
        let random = crate::rng::hash(1, crate::rng::Purpose::Key, draw);
        *counts
            .entry(keys.any(random).unwrap().index())
            .or_insert(0u32) += 1;
    }
    assert_eq!(
        counts.keys().copied().collect::<Vec<_>>(),
        (80..100).step_by(2).collect::<Vec<u64>>()
    );
    assert!(
        counts.values().all(|count| count.abs_diff(1000) < 150),
        "{counts:?}"
    );
}

/// What the keys should be, told in sets.
#[derive(Default)]
struct Model {
    in_flight: BTreeSet<Key>,
    alive: BTreeSet<Key>,
    read: Vec<Key>,
}

impl Model {
    fn take_oldest(&mut self) -> Option<Key> {
        let free = |key: &&Key| !self.read.contains(key);
        let key = *self.alive.iter().find(free)?;
        self.alive.remove(&key);
        Some(key)
    }

    fn agrees(&self, keys: &Ephemeral, which: usize) -> Result<(), TestCaseError> {
        prop_assert_eq!(keys.alive(), self.alive.len() as u64);
        let newest = self.alive.iter().rev().nth(which).copied();
        prop_assert_eq!(keys.newest(which as u64), newest);
        let random = crate::rng::mix64(which as u64);
        prop_assert_eq!(keys.any(random).is_some(), !self.alive.is_empty());
        prop_assert!(keys.any(random).is_none_or(|key| self.alive.contains(&key)));
        Ok(())
    }
}

proptest! {
    /// Against sets of keys in flight, alive and read; in a small ring, so that it goes round.
    #[test]
    fn agrees_with_sets(window in prop::sample::select(vec![64u64, 128]),
                        steps in prop::collection::vec((0u8..9, any::<prop::sample::Index>()), 0..600)) {
        let mut keys = Ephemeral::with_window(5, Lane::ALONE, 1, 2, window);
        let mut model = Model::default();
        for (what, which) in steps {
            match what {
                0..=2 => match keys.create() {
                    Some(key) => { model.in_flight.insert(key); }
                    None => {
                        let first = model.in_flight.iter().chain(&model.alive).min().unwrap().index();
                        prop_assert!((keys.next_index() - first) / 2 >= window, "there was room");
                    }
                },
                3 | 4 if !model.in_flight.is_empty() => {
                    let key = *model.in_flight.iter().nth(which.index(model.in_flight.len())).unwrap();
                    model.in_flight.remove(&key);
                    keys.created(key, what == 3);
                    if what == 3 { model.alive.insert(key); }
                }
                5 if !model.alive.is_empty() => {
                    let key = keys.newest(which.index(model.alive.len()) as u64).unwrap();
                    prop_assert!(keys.begin_read(key));
                    model.read.push(key);
                }
                6 if !model.read.is_empty() => {
                    let key = model.read.swap_remove(which.index(model.read.len()));
                    keys.end_read(key);
                }
                _ => prop_assert_eq!(keys.take_oldest(), model.take_oldest()),
            }
            model.agrees(&keys, which.index(80))?;
        }
    }
}
