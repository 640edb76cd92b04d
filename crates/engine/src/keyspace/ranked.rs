//! A ring of bits that knows the place of its k-th set bit.
//!
//! A Fenwick tree (P. Fenwick, "A new data structure for cumulative frequency tables", Software: Practice and
//! Experience 24(3), 1994) over the words' counts answers in as many steps as its size has binary digits. All memory
//! is taken at the start.

/// Set bits, and how many of them lie before any place.
#[derive(Clone, Debug)]
pub struct Ranked {
    words: Box<[u64]>,
    /// Entry i (from 1) counts the bits of the words (i - lowest bit of i) to i - 1.
    tree: Box<[u32]>,
    count: u64,
}

impl Ranked {
    /// `bits` places, all clear: a power of two, at least 64.
    pub fn new(bits: u64) -> Self {
        let words = (bits.next_power_of_two() / 64).max(1) as usize;
        Self {
            words: vec![0; words].into_boxed_slice(),
            tree: vec![0; words + 1].into_boxed_slice(),
            count: 0,
        }
    }

    /// How many are set.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Word number `word`: its lowest bit is place `64 * word`.
    pub fn word(&self, word: usize) -> u64 {
        self.words[word]
    }

    pub fn has(&self, place: u64) -> bool {
        self.words[(place / 64) as usize] >> (place % 64) & 1 == 1
    }

    pub fn set(&mut self, place: u64, on: bool) {
        if self.has(place) == on {
            return;
        }
        self.words[(place / 64) as usize] ^= 1 << (place % 64);
        self.count = if on { self.count + 1 } else { self.count - 1 };
        let mut entry = (place / 64) as usize + 1;
        while entry < self.tree.len() {
            let sum = &mut self.tree[entry];
            *sum = if on { *sum + 1 } else { *sum - 1 };
            entry += entry & entry.wrapping_neg();
        }
    }

    /// How many are set before a place.
    pub fn rank(&self, place: u64) -> u64 {
        let below = self.words[(place / 64) as usize] & ((1 << (place % 64)) - 1);
        let mut sum = u64::from(below.count_ones());
        let mut entry = (place / 64) as usize;
        while entry > 0 {
            sum += u64::from(self.tree[entry]);
            entry &= entry - 1;
        }
        sum
    }

    /// The place of set bit number `nth`, counted from 0; None when there are not so many.
    pub fn select(&self, nth: u64) -> Option<u64> {
        if nth >= self.count {
            return None;
        }
        let (mut word, mut left) = (0, nth);
        let mut step = self.words.len();
        while step > 0 {
            let beyond = word + step;
            if beyond < self.tree.len() && u64::from(self.tree[beyond]) <= left {
                left -= u64::from(self.tree[beyond]);
                word = beyond;
            }
            step /= 2;
        }
        let mut bits = *self.words.get(word)?;
        for _ in 0..left {
            bits &= bits - 1;
        }
        Some(word as u64 * 64 + u64::from(bits.trailing_zeros()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn agrees_with_a_set(places in prop::collection::vec(0u64..512, 0..600), ask in 0u64..512) {
            let (mut bits, mut set) = (Ranked::new(512), BTreeSet::new());
            for place in places {
                let on = set.insert(place) || !set.remove(&place);
                bits.set(place, on);
                bits.set(place, on);
            }
            prop_assert_eq!(bits.count(), set.len() as u64);
            prop_assert_eq!(bits.has(ask), set.contains(&ask));
            prop_assert_eq!(bits.rank(ask), set.range(..ask).count() as u64);
            prop_assert_eq!(bits.select(ask), set.iter().nth(ask as usize).copied());
        }
    }
}
