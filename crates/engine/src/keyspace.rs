//! Which key an operation acts upon: choices that are pure in (seed, arrival number), in memory
//! that does not grow with the number of keys.

use crate::operation::{Key, Region};
use crate::plan::{KeyChoice, Keyspace};
use crate::rng::{self, Purpose, Stream};

mod ephemeral;
mod zipf;

pub use ephemeral::Ephemeral;
pub use zipf::Zipf;

/// Chooses keys of the range `[start, start + objects)`; pure in (seed, arrival number).
#[derive(Clone, Debug)]
pub struct KeyChooser {
    seed: u64,
    region: Region,
    start: u64,
    objects: u64,
    /// None: see `sequential`.
    zipf: Option<Zipf>,
    sequential: bool,
}

impl KeyChooser {
    /// The chooser of a plan.
    #[must_use]
    pub fn new(keyspace: &Keyspace, seed: u64) -> Self {
        let zipf = match keyspace.choice {
            KeyChoice::Zipf { exponent } => Some(Zipf::new(keyspace.objects, exponent)),
            _ => None,
        };
        Self {
            seed,
            region: keyspace.region,
            start: keyspace.start,
            objects: keyspace.objects.max(1),
            zipf,
            sequential: keyspace.choice == KeyChoice::Sequential,
        }
    }

    /// The key for arrival `number`.
    #[must_use]
    pub fn key(&self, number: u64) -> Key {
        if self.sequential {
            return self.key_in_turn(number);
        }
        let random = rng::hash(self.seed, Purpose::Key, number);
        let place = match &self.zipf {
            Some(zipf) => scatter(zipf.rank(&mut Stream::new(random)) - 1, self.objects),
            None => rng::below(random, self.objects),
        };
        Key::new(self.region, self.start + place)
    }

    /// Whatever the plan's choice: index `start + number % objects`. A closed loop in which shard s
    /// of S gives its i-th operation the number `s + S * i` passes over the range exactly once in
    /// `objects` operations.
    #[must_use]
    pub fn key_in_turn(&self, number: u64) -> Key {
        Key::new(self.region, self.start + number % self.objects)
    }
}

/// The key of multipart upload `number`: the region's keys in turn.
#[must_use]
pub const fn multipart_key(number: u64, objects: u64) -> Key {
    Key::new(
        Region::Multipart,
        if objects == 0 { 0 } else { number % objects },
    )
}

/// A fixed bijection on [0, n) that spreads neighbours, so that hot ranks do not lie side by side.
/// It does not depend on the seed: the same keys are hot in every phase.
///
/// Additions, odd multiplications and xor-shifts are bijections on the next power of two; what
/// lands outside goes round again (cycle walking: Black and Rogaway, "Ciphers with arbitrary finite
/// domains", 2002), less than twice on average.
#[must_use]
fn scatter(place: u64, n: u64) -> u64 {
    if n < 2 {
        return 0;
    }
    let bits = 64 - (n - 1).leading_zeros();
    let mask = u64::MAX >> (64 - bits);
    let shift = bits.div_ceil(2);
    let mut x = place;
    loop {
        x = x.wrapping_add(0x2545_f491_4f6c_dd1d);
        for odd in [
            0xbf58_476d_1ce4_e5b9,
            0x94d0_49bb_1331_11eb,
            0x9e37_79b9_7f4a_7c15,
        ] {
            x = x.wrapping_mul(odd) & mask;
            x ^= x >> shift;
        }
        if x < n {
            return x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn chooser(choice: KeyChoice, objects: u64) -> KeyChooser {
        let keyspace = Keyspace {
            choice,
            objects,
            start: 100,
            region: Region::Base,
            ..Plan::example().keyspace
        };
        KeyChooser::new(&keyspace, 42)
    }

    #[test]
    fn sequential_passes_once_over_the_range() {
        let chooser = chooser(KeyChoice::Sequential, 10);
        let shards = 3;
        let mut seen: Vec<u64> = (0..shards)
            .flat_map(|shard| {
                (0..)
                    .map(move |i| shard + shards * i)
                    .take_while(|number| *number < 10)
            })
            .map(|number| chooser.key(number).index())
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, (100..110).collect::<Vec<_>>());
        assert_eq!(chooser.key(10), chooser.key(0));
    }

    #[test]
    fn uniform_is_even() {
        let chooser = chooser(KeyChoice::Uniform, 20);
        let mut counts = [0u32; 20];
        for number in 0..100_000 {
            counts[(chooser.key(number).index() - 100) as usize] += 1;
        }
        // chi-square with 19 degrees of freedom: above 43.8 once in a thousand seeds
        let chi: f64 = counts
            .iter()
            .map(|count| (f64::from(*count) - 5000.0).powi(2) / 5000.0)
            .sum();
        assert!(chi < 43.8, "{chi}");
    }

    #[test]
    fn hot_keys_are_hot_and_apart() {
        let chooser = chooser(KeyChoice::Zipf { exponent: 0.99 }, 1_000_000);
        let mut counts = std::collections::HashMap::new();
        for number in 0..200_000 {
            *counts.entry(chooser.key(number).index()).or_insert(0u32) += 1;
        }
        let mut hot: Vec<_> = counts
            .into_iter()
            .map(|(index, count)| (count, index))
            .collect();
        hot.sort_unstable_by(|left, right| right.cmp(left));
        // the harmonic number of a million with exponent 0.99 is 15.39 (integral form), so rank 1
        // gets 6.5 %
        assert!((12_400..13_600).contains(&hot[0].0), "{:?}", hot[0]);
        let mut places: Vec<_> = hot[..16].iter().map(|(_, index)| index - 100).collect();
        places.sort_unstable();
        assert!(
            places.windows(2).all(|pair| pair[1] - pair[0] > 100),
            "{places:?}"
        );
        assert!(places[0] < 250_000 && places[15] > 750_000, "{places:?}");
    }

    #[test]
    fn a_trillion_keys_take_no_memory() {
        let chooser = chooser(KeyChoice::Zipf { exponent: 1.0 }, 1_000_000_000_000);
        let seen: HashSet<_> = (0..1000).map(|number| chooser.key(number)).collect();
        assert!(seen.len() > 800, "{}", seen.len());
        assert!(seen
            .iter()
            .all(|key| (100..1_000_000_000_100).contains(&key.index())));
    }

    #[test]
    fn one_key_is_enough() {
        for choice in [
            KeyChoice::Uniform,
            KeyChoice::Zipf { exponent: 2.0 },
            KeyChoice::Sequential,
        ] {
            assert!((0..100).all(|number| chooser(choice, 1).key(number).index() == 100));
        }
        assert_eq!(multipart_key(17, 16), Key::new(Region::Multipart, 1));
    }

    proptest! {
        #[test]
        fn scatter_is_a_bijection(n in 1u64..5000) {
            let seen: HashSet<u64> = (0..n).map(|place| scatter(place, n)).collect();
            prop_assert_eq!(seen.len() as u64, n);
            prop_assert!(seen.iter().all(|place| *place < n));
        }

        #[test]
        fn every_choice_stays_in_range(objects in 1u64..=1 << 48, number in any::<u64>(), exponent in 0.01..10.0f64) {
            for choice in [KeyChoice::Uniform, KeyChoice::Zipf { exponent }, KeyChoice::Sequential] {
                let index = chooser(choice, objects).key(number).index();
                prop_assert!((100..100 + objects).contains(&index), "{:?} {}", choice, index);
            }
        }
    }
}
