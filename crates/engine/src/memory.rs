//! What a shard lately learnt of its keys, in fixed memory: which version was acknowledged, under which `ETag` and version
//! id. Conditional and versioned operations are made of it, and reads that see the past are found by it.
//!
//! A shard sees its own writes only: what other shards, engines and tenants write to the same keys it never hears of.
//! So it accuses only where its own knowledge is enough, and forgets rather than grows. Whoever folds the whole record
//! afterwards (`maul.verify`) sees all writes, and judges what this cannot.

use crate::operation::Key;
use crate::rng;
use crate::text::{ETag, VersionId};

/// Keys that are remembered.
const CAPACITY: usize = 4096;
/// Places that one key may take.
const WAYS: usize = 4;
const SETS: usize = CAPACITY / WAYS;
/// Keys of which one is picked.
const RECENT: usize = 512;
/// Looks for one that fits so often.
const LOOKS: u64 = 8;
/// Writes of unknown outcome that are remembered.
const DOUBTS: usize = 1024;

/// What names one version of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its version in its blocks.
    pub version: u64,
    /// Its `ETag`; empty when the server gave none.
    pub etag: ETag,
    /// Its version id; empty when the server gave none.
    pub version_id: VersionId,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    /// When it was last made use of; 0: vacant.
    used: u64,
    known: Known,
    /// When `known` was learnt, Unix nanoseconds.
    learnt_ns: u64,
    /// The newest acknowledged version that was begun while no other write of the key was under way here.
    floor: u64,
    /// Which setting of the tags was acknowledged; 0: none since the object was last written.
    tags: u64,
    /// Writes of it under way.
    writers: u32,
    /// Writes of it begun.
    begins: u32,
    /// Some write ended with unknown outcome, and may take effect at any time.
    uncertain: bool,
}

impl Known {
    /// Nothing.
    pub const NONE: Self = Self {
        version: 0,
        etag: ETag::EMPTY,
        version_id: VersionId::EMPTY,
    };
}

impl Entry {
    const VACANT: Self = Self {
        key: Key(0),
        used: 0,
        known: Known::NONE,
        learnt_ns: 0,
        floor: 0,
        tags: 0,
        writers: 0,
        begins: 0,
        uncertain: false,
    };
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// An object; acknowledged.
    Object(Known),
    /// This setting of the tags; acknowledged.
    Tags(u64),
    /// It did not take effect.
    Nothing,
    /// Nobody knows.
    Perhaps,
}

/// How a write began, and has to be ended again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Begun {
    /// The memory counts it among the writes under way.
    counted: bool,
    /// No other write of the key was under way.
    alone: bool,
    /// How many had begun with it.
    begins: u32,
}

impl Begun {
    /// No write at all.
    pub const NOT: Self = Self {
        counted: false,
        alone: false,
        begins: 0,
    };
}

/// The memory of one shard for the keys of one kind.
#[derive(Debug)]
pub struct Memory {
    entries: Box<[Entry]>,
    turn: u64,
    /// Of which something was learnt lately.
    recent: Recent<RECENT>,
    /// Whose tags were set lately.
    tagged: Recent<RECENT>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            entries: vec![Entry::VACANT; CAPACITY].into_boxed_slice(),
            turn: 0,
            recent: Recent::default(),
            tagged: Recent::default(),
        }
    }
}

impl Memory {
    fn set(&mut self, key: Key) -> &mut [Entry] {
        let set = rng::below(rng::mix64(key.0), SETS as u64) as usize;
        &mut self.entries[set * WAYS..(set + 1) * WAYS]
    }

    fn find(&mut self, key: Key) -> Option<&mut Entry> {
        self.set(key)
            .iter_mut()
            .find(|entry| entry.used > 0 && entry.key == key)
    }

    /// The entry of a key, in place of the one that was longest of no use; None when all of its places are held by
    /// writes under way.
    fn enter(&mut self, key: Key) -> Option<&mut Entry> {
        self.turn += 1;
        let turn = self.turn;
        let set = self.set(key);
        let place = match set
            .iter()
            .position(|entry| entry.used > 0 && entry.key == key)
        {
            Some(place) => place,
            None => {
                let free = set
                    .iter()
                    .enumerate()
                    .filter(|(_, entry)| entry.writers == 0);
                let (place, _) = free.min_by_key(|(_, entry)| entry.used)?;
                set[place] = Entry {
                    key,
                    ..Entry::VACANT
                };
                place
            }
        };
        set[place].used = turn;
        Some(&mut set[place])
    }

    /// A write of a key begins.
    pub fn begin_write(&mut self, key: Key) -> Begun {
        let Some(entry) = self.enter(key) else {
            return Begun::default();
        };
        entry.writers += 1;
        entry.begins = entry.begins.wrapping_add(1);
        // an object that is written anew has no tags, and tags that are set anew are others
        entry.tags = 0;
        Begun {
            counted: true,
            alone: entry.writers == 1,
            begins: entry.begins,
        }
    }

    /// A write is over.
    pub fn end_write(&mut self, key: Key, begun: Begun, wrote: Wrote, now_ns: u64) {
        let Some(entry) = self.find(key).filter(|_| begun.counted) else {
            return;
        };
        entry.writers = entry.writers.saturating_sub(1);
        match wrote {
            Wrote::Object(known) => {
                if begun.alone {
                    entry.floor = entry.floor.max(known.version);
                }
                entry.known = known;
                entry.learnt_ns = now_ns;
                self.recent.add(key);
            }
            Wrote::Tags(version) => {
                // nothing else was written between its beginning and its end
                let undisturbed = begun.alone && begun.begins == entry.begins;
                if undisturbed && !entry.uncertain {
                    entry.tags = version;
                    self.tagged.add(key);
                }
            }
            Wrote::Nothing => {}
            Wrote::Perhaps => {
                entry.known = Known::default();
                entry.uncertain = true;
            }
        }
    }

    /// The newest version that a read of the key, beginning now, must not fall behind; 0: none.
    pub fn floor(&mut self, key: Key) -> u64 {
        self.find(key).map_or(0, |entry| entry.floor)
    }

    /// A read that began at `start_ns` saw this version.
    pub fn seen(&mut self, key: Key, known: Known, start_ns: u64) {
        if let Some(entry) = self.enter(key) {
            // what is written meanwhile is known better by the write
            if entry.writers == 0 && start_ns > entry.learnt_ns && entry.known != known {
                entry.known = known;
                entry.learnt_ns = start_ns;
                entry.tags = 0;
                self.recent.add(key);
            }
        }
    }

    /// What is known of a key.
    pub fn known(&mut self, key: Key) -> Option<Known> {
        self.find(key)
            .filter(|entry| entry.writers == 0 && entry.known.version != 0)
            .map(|entry| entry.known)
    }

    /// Some key of which enough is known.
    pub fn pick(&mut self, random: u64, enough: impl Fn(&Known) -> bool) -> Option<(Key, Known)> {
        (0..LOOKS).find_map(|look| {
            let key = self.recent.pick(rng::mix64(random.wrapping_add(look)))?;
            let known = self.known(key).filter(&enough)?;
            Some((key, known))
        })
    }

    /// Some key whose tags were set.
    pub fn pick_tagged(&mut self, random: u64) -> Option<Key> {
        (0..LOOKS).find_map(|look| {
            let key = self.tagged.pick(rng::mix64(random.wrapping_add(look)))?;
            (self.tags(key) != 0).then_some(key)
        })
    }

    /// Which tags of a key must come back now; 0: that cannot be said.
    pub fn tags(&mut self, key: Key) -> u64 {
        self.find(key)
            .filter(|entry| entry.writers == 0)
            .map_or(0, |entry| entry.tags)
    }

    /// The object of a key is going to be deleted.
    pub fn forget(&mut self, key: Key) -> Option<Known> {
        let entry = self.find(key).filter(|entry| entry.writers == 0)?;
        let known = entry.known;
        *entry = Entry::VACANT;
        Some(known)
    }
}

/// Versions of this shard whose writes ended with unknown outcome: they may take effect at any later time, so that
/// seeing them proves nothing.
#[derive(Debug, Default)]
pub struct Doubts {
    ring: Vec<u64>,
    next: usize,
    /// The greatest version that had to be forgotten.
    forgotten: u64,
}

impl Doubts {
    /// A write ended, and nobody knows whether it took effect.
    pub fn add(&mut self, version: u64) {
        if self.ring.len() < DOUBTS {
            self.ring.push(version);
        } else {
            self.forgotten = self.forgotten.max(self.ring[self.next]);
            self.ring[self.next] = version;
            self.next = (self.next + 1) % DOUBTS;
        }
    }

    /// Whether a version may have taken effect late.
    pub fn has(&self, version: u64) -> bool {
        version <= self.forgotten || self.ring.contains(&version)
    }
}

/// Whether a read that had to see `floor` and saw `version` saw the past: both are versions of the same shard of the
/// same engine, which numbers its writes in the order in which they begin, and `floor` began when no other write of the
/// key was under way.
pub fn is_stale(version: u64, floor: u64, doubts: &Doubts) -> bool {
    const COUNTER_BITS: u32 = 40;
    version != 0
        && version < floor
        && version >> COUNTER_BITS == floor >> COUNTER_BITS
        && !doubts.has(version)
}

/// The last `N` keys of some kind.
#[derive(Debug, Default)]
pub struct Recent<const N: usize> {
    ring: Vec<Key>,
    next: usize,
}

/// Keys that were deleted, and acknowledged as such; none of them is ever written again.
pub type Deleted = Recent<1024>;

impl<const N: usize> Recent<N> {
    /// One more.
    pub fn add(&mut self, key: Key) {
        if self.ring.len() < N {
            self.ring.push(key);
        } else {
            self.ring[self.next] = key;
            self.next = (self.next + 1) % N;
        }
    }

    /// One of them.
    pub fn pick(&self, random: u64) -> Option<Key> {
        let place = rng::below(random, self.ring.len() as u64) as usize;
        self.ring.get(place).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Region;
    use std::collections::HashSet;

    fn key(index: u64) -> Key {
        Key::new(Region::Base, index)
    }

    fn known(version: u64) -> Known {
        Known {
            version,
            etag: ETag::of(b"\"e\""),
            version_id: VersionId::EMPTY,
        }
    }

    #[test]
    fn a_write_raises_the_floor_only_when_it_began_alone() {
        let mut memory = Memory::default();
        let one = memory.begin_write(key(1));
        let two = memory.begin_write(key(1));
        memory.end_write(key(1), two, Wrote::Object(known(2)), 10);
        assert_eq!(memory.floor(key(1)), 0, "the first may come after it");
        assert_eq!(memory.known(key(1)), None, "one is still under way");
        memory.end_write(key(1), one, Wrote::Object(known(1)), 11);
        assert_eq!(memory.floor(key(1)), 1);
        let three = memory.begin_write(key(1));
        memory.end_write(key(1), three, Wrote::Object(known(3)), 12);
        assert_eq!(
            (memory.floor(key(1)), memory.known(key(1))),
            (3, Some(known(3)))
        );
        let four = memory.begin_write(key(1));
        memory.end_write(key(1), four, Wrote::Perhaps, 13);
        assert_eq!((memory.floor(key(1)), memory.known(key(1))), (3, None));
    }

    #[test]
    fn only_what_this_shard_knows_to_be_old_is_stale() {
        let of = |shard: u64, counter: u64| 1 << 48 | shard << 40 | counter;
        let mut doubts = Doubts::default();
        assert!(is_stale(of(0, 4), of(0, 5), &doubts));
        for version in [0, of(0, 5), of(0, 6), of(1, 4), 2 << 48 | 4] {
            assert!(!is_stale(version, of(0, 5), &doubts), "{version:x}");
        }
        doubts.add(of(0, 4));
        assert!(!is_stale(of(0, 4), of(0, 5), &doubts));
        (0..2000).for_each(|counter| doubts.add(of(0, 10 + counter)));
        assert!(
            !is_stale(of(0, 4), of(0, 5000), &doubts),
            "forgotten is not forgiven"
        );
        assert!(is_stale(of(0, 4000), of(0, 5000), &doubts));
    }

    #[test]
    fn memory_is_fixed_and_never_loses_a_write_under_way() {
        let mut memory = Memory::default();
        let held: Vec<_> = (0..100_000)
            .map(|index| (key(index), memory.begin_write(key(index))))
            .collect();
        let counted = held.iter().filter(|(_, begun)| begun.counted).count();
        assert_eq!(counted, CAPACITY);
        for (key, begun) in held {
            memory.end_write(key, begun, Wrote::Object(known(7)), 1);
        }
        for index in 200_000..300_000 {
            memory.seen(key(index), known(9), 5);
        }
        assert!(
            (0..100_000).all(|index| memory.floor(key(index)) == 0),
            "all replaced"
        );
        let picked: HashSet<Key> = (0..1000)
            .filter_map(|random| memory.pick(random, |_| true))
            .map(|(key, _)| key)
            .collect();
        assert!(picked.len() > 400, "{}", picked.len());
        assert_eq!(memory.pick(1, |known| !known.version_id.is_empty()), None);
    }

    #[test]
    fn reads_teach_what_writes_do_not_know_better() {
        let mut memory = Memory::default();
        memory.seen(key(1), known(5), 100);
        assert_eq!(memory.known(key(1)), Some(known(5)));
        memory.seen(key(1), known(4), 50);
        assert_eq!(memory.known(key(1)), Some(known(5)), "an older read");
        let begun = memory.begin_write(key(1));
        memory.end_write(key(1), begun, Wrote::Tags(8), 150);
        assert_eq!(
            (memory.tags(key(1)), memory.pick_tagged(3)),
            (8, Some(key(1)))
        );
        memory.seen(key(1), known(6), 200);
        assert_eq!(
            memory.tags(key(1)),
            0,
            "written by somebody else, and the tags with it"
        );
        let begun = memory.begin_write(key(1));
        memory.seen(key(1), known(7), 300);
        memory.end_write(key(1), begun, Wrote::Perhaps, 400);
        assert_eq!((memory.known(key(1)), memory.forget(key(2))), (None, None));
        assert_eq!(memory.forget(key(1)).map(|known| known.version), Some(0));
    }

    #[test]
    fn tags_are_sure_only_when_nothing_came_between() {
        let mut memory = Memory::default();
        memory.seen(key(1), known(5), 1);
        let tags = memory.begin_write(key(1));
        let other = memory.begin_write(key(1));
        memory.end_write(key(1), other, Wrote::Tags(9), 2);
        memory.end_write(key(1), tags, Wrote::Tags(8), 3);
        assert_eq!(memory.tags(key(1)), 0);
        let tags = memory.begin_write(key(1));
        memory.end_write(key(1), tags, Wrote::Tags(10), 4);
        assert_eq!(memory.tags(key(1)), 10);
        let put = memory.begin_write(key(1));
        memory.end_write(key(1), put, Wrote::Nothing, 5);
        assert_eq!(
            memory.tags(key(1)),
            0,
            "even a refused write may have been one"
        );
        let put = memory.begin_write(key(1));
        memory.end_write(key(1), put, Wrote::Perhaps, 6);
        let tags = memory.begin_write(key(1));
        memory.end_write(key(1), tags, Wrote::Tags(11), 7);
        assert_eq!(
            memory.tags(key(1)),
            0,
            "the unknown write may come any time"
        );
    }

    #[test]
    fn deleted_keys_are_a_bounded_ring() {
        let mut deleted = Deleted::default();
        assert_eq!(deleted.pick(u64::MAX), None);
        (0..3000).for_each(|index| deleted.add(key(index)));
        let lowest = (0..5000)
            .filter_map(|random| deleted.pick(rng::mix64(random)))
            .map(Key::index)
            .min();
        assert_eq!((lowest, deleted.ring.len()), (Some(3000 - 1024), 1024));
    }
}
