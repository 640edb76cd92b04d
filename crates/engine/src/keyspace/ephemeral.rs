//! The ephemeral keys of one shard: created, acknowledged (or not), read, deleted; in bounded memory.

use super::ranked::Ranked;
use crate::operation::{Key, Region, INDEX_END};
use crate::plan::Lane;

/// Keys between the oldest that is alive or in flight and the newest. Each takes two bits and the count of its
/// readers: 2.3 MiB for each shard.
const WINDOW: u64 = 1 << 20;

/// One bit for each key of the window.
#[derive(Clone, Debug)]
struct Bits(Box<[u64]>);

impl Bits {
    fn has(&self, place: u64) -> bool {
        self.0[(place / 64) as usize] >> (place % 64) & 1 == 1
    }

    fn set(&mut self, place: u64, on: bool) {
        let bit = 1 << (place % 64);
        let word = &mut self.0[(place / 64) as usize];
        *word = if on { *word | bit } else { *word & !bit };
    }
}

/// The ephemeral keys of one shard. Counts 0, 1, 2… stand for the keys `start + lane + lanes * (shard + shards * count)`:
/// engines in different lanes never make the same key, however many shards each of them has.
///
/// PUTs are acknowledged in any order; a key may be read or deleted only when its own PUT was. Keys
/// whose PUT failed, or may have failed, are never handed out: the clean-up finds them by their
/// range. A key that is being read is not deleted, and one whose delete began is not read: else the
/// two would race, and the reader would ask for what its own side deleted.
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
    window: u64,
    in_flight: Bits,
    alive: Ranked,
    /// Reads under way, of each key of the window.
    readers: Box<[u16]>,
}

impl Ephemeral {
    /// For shard `shard` of `shards` of the engine in this lane.
    #[must_use]
    pub fn new(start: u64, lane: Lane, shard: u64, shards: u64) -> Self {
        Self::with_window(start, lane, shard, shards, WINDOW)
    }

    /// `window`: a power of two, at least 64.
    fn with_window(start: u64, lane: Lane, shard: u64, shards: u64, window: u64) -> Self {
        let lanes = lane.count.max(1);
        Self {
            first: start
                .saturating_add(lane.index)
                .saturating_add(shard.saturating_mul(lanes)),
            step: shards.max(1).saturating_mul(lanes),
            next: 0,
            tail: 0,
            oldest: 0,
            window,
            in_flight: Bits(vec![0; (window / 64) as usize].into_boxed_slice()),
            alive: Ranked::new(window),
            readers: vec![0; window as usize].into_boxed_slice(),
        }
    }

    /// A new key to PUT. None when the window is full (a million keys alive or in flight): then
    /// write a base key instead.
    pub fn create(&mut self) -> Option<Key> {
        let index = self.next_index();
        if self.next - self.tail >= self.window || index >= INDEX_END {
            return None;
        }
        self.in_flight.set(self.place(self.next), true);
        self.next += 1;
        Some(Key::new(Region::Ephemeral, index))
    }

    /// Makes room in a full window by forgetting its oldest key, which then is neither read nor
    /// deleted by the load any more. Does nothing while there is room, or while that key is in use.
    pub fn make_room(&mut self) {
        let place = self.place(self.tail);
        let full = self.next - self.tail >= self.window;
        if full && self.alive.has(place) && self.readers[place as usize] == 0 {
            self.alive.set(place, false);
            self.advance_tail();
        }
    }

    /// The PUT of a key is over. `alive`: it was acknowledged; otherwise the load never reads or
    /// deletes it. Keys that are not in flight here are ignored.
    pub fn created(&mut self, key: Key, alive: bool) {
        let in_flight = |count: &u64| self.in_flight.has(self.place(*count));
        let Some(count) = self.count(key).filter(in_flight) else {
            return;
        };
        self.in_flight.set(self.place(count), false);
        if alive {
            self.alive.set(self.place(count), true);
            self.oldest = self.oldest.min(count);
        }
        self.advance_tail();
    }

    /// Takes the oldest acknowledged key that nobody reads for a DELETE; it is never handed out
    /// again.
    pub fn take_oldest(&mut self) -> Option<Key> {
        let mut from = self.oldest.max(self.tail);
        let mut passed = false;
        while let Some(count) = self.alive_from(from) {
            if self.readers[self.place(count) as usize] > 0 {
                // Few are: no more than there are operations in flight.
                self.oldest = if passed { self.oldest } else { count };
                passed = true;
                from = count + 1;
                continue;
            }
            self.alive.set(self.place(count), false);
            self.oldest = if passed { self.oldest } else { count + 1 };
            self.advance_tail();
            return Some(self.key(count));
        }
        None
    }

    /// The acknowledged key of this rank, 0 for the newest; None when there are not so many. Say
    /// [`Self::begin_read`] before it is read.
    #[must_use]
    pub fn newest(&self, rank: u64) -> Option<Key> {
        let alive = self.alive.count();
        if rank >= alive {
            return None;
        }
        // Back from the newest: down to the ring's beginning, then on from its far end.
        let newer = self.alive.rank(self.place(self.next));
        let nth = if rank < newer {
            newer - 1 - rank
        } else {
            alive - 1 - (rank - newer)
        };
        let place = self.alive.select(nth)?;
        Some(self.key(self.count_at(place)))
    }

    /// One of the acknowledged keys, all alike; None when there is none. Say [`Self::begin_read`]
    /// before it is read.
    #[must_use]
    pub fn any(&self, random: u64) -> Option<Key> {
        let place = self
            .alive
            .select(crate::rng::below(random, self.alive.count()))?;
        Some(self.key(self.count_at(place)))
    }

    /// A read of a living key begins: until it ends, the key is not deleted. False when the key may
    /// not be read: it is not alive, or far too many read it.
    #[must_use]
    pub fn begin_read(&mut self, key: Key) -> bool {
        let alive = |count: &u64| self.alive.has(self.place(*count));
        let Some(count) = self.count(key).filter(alive) else {
            return false;
        };
        let place = self.place(count) as usize;
        let more = self.readers[place].checked_add(1);
        self.readers[place] = more.unwrap_or(u16::MAX);
        more.is_some()
    }

    /// A read that began is over.
    pub fn end_read(&mut self, key: Key) {
        if let Some(count) = self.count(key) {
            let place = self.place(count) as usize;
            self.readers[place] = self.readers[place].saturating_sub(1);
        }
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
        self.alive.count()
    }

    fn key(&self, count: u64) -> Key {
        Key::new(Region::Ephemeral, self.first + self.step * count)
    }

    /// The count of a key, if it lies in the window.
    fn count(&self, key: Key) -> Option<u64> {
        let distance = key.index().checked_sub(self.first)?;
        let count = distance / self.step;
        let ours = key.region() == Some(Region::Ephemeral) && distance % self.step == 0;
        (ours && (self.tail..self.next).contains(&count)).then_some(count)
    }

    /// The count in the window whose place in the ring this is.
    fn count_at(&self, place: u64) -> u64 {
        self.tail + self.place(place.wrapping_sub(self.tail))
    }

    /// The place in the ring of a count.
    fn place(&self, count: u64) -> u64 {
        count & (self.window - 1)
    }

    /// The first living key from a count on.
    fn alive_from(&self, mut count: u64) -> Option<u64> {
        while count < self.next {
            let word = (self.place(count) / 64) as usize;
            let from_here = self.alive.word(word) >> (count % 64);
            if from_here != 0 {
                let found = count + u64::from(from_here.trailing_zeros());
                // the last word of the ring may hold the window's other end
                return (found < self.next).then_some(found);
            }
            count = (count / 64 + 1) * 64;
        }
        None
    }

    /// Each key is passed once, so this costs one step for each key in the long run.
    fn advance_tail(&mut self) {
        while self.tail < self.next
            && !self.in_flight.has(self.place(self.tail))
            && !self.alive.has(self.place(self.tail))
        {
            self.tail += 1;
        }
    }
}

#[cfg(test)]
mod tests;
