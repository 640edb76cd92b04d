//! Which key an operation acts upon: choices that are pure in (seed, arrival number), in memory
//! that does not grow with the number of keys.

use crate::operation::{Key, Region};
use crate::plan::{KeyChoice, Keyspace};
use crate::rng::{self, Purpose, Stream};

mod ephemeral;
mod hot_set;
mod ranked;
mod zipf;

pub use ephemeral::Ephemeral;
use hot_set::HotSet;
pub use zipf::Zipf;

/// How a place in [0, objects) is chosen.
#[derive(Clone, Copy, Debug)]
enum Popularity {
    Uniform,
    Sequential,
    Zipf(Zipf),
    HotSet(HotSet),
}

/// Which ephemeral keys are read.
#[derive(Clone, Copy, Debug)]
enum Living {
    Latest(Zipf),
    Any,
}

/// Chooses keys of the range `[start, start + objects)`; pure in (seed, arrival number, due time).
#[derive(Clone, Debug)]
pub struct KeyChooser {
    seed: u64,
    region: Region,
    start: u64,
    objects: u64,
    popularity: Popularity,
    living: Option<Living>,
}

impl KeyChooser {
    /// The chooser of a plan.
    #[must_use]
    pub fn new(keyspace: &Keyspace, seed: u64) -> Self {
        let objects = keyspace.objects.max(1);
        let popularity = match keyspace.choice {
            KeyChoice::Zipf { exponent } => Popularity::Zipf(Zipf::new(objects, exponent)),
            KeyChoice::Sequential => Popularity::Sequential,
            KeyChoice::HotSet {
                keys,
                traffic,
                moves_every_s,
            } => Popularity::HotSet(HotSet::new(objects, keys, traffic, moves_every_s)),
            KeyChoice::Uniform | KeyChoice::Latest { .. } | KeyChoice::Churn => Popularity::Uniform,
        };
        let living = match keyspace.choice {
            KeyChoice::Latest { exponent } => Some(Living::Latest(Zipf::new(1, exponent))),
            KeyChoice::Churn => Some(Living::Any),
            _ => None,
        };
        Self {
            seed,
            region: keyspace.region,
            start: keyspace.start,
            objects,
            popularity,
            living,
        }
    }

    /// The key of the range for arrival `number`, which is due so long after the start of its run.
    #[must_use]
    pub fn key(&self, number: u64, elapsed_ns: u64) -> Key {
        let random = rng::hash(self.seed, Purpose::Key, number);
        let spread = |place| scatter(place, self.objects);
        let place = match &self.popularity {
            Popularity::Sequential => return self.key_in_turn(number),
            Popularity::Uniform => rng::below(random, self.objects),
            Popularity::Zipf(zipf) => spread(zipf.rank(&mut Stream::new(random)) - 1),
            Popularity::HotSet(hot) => spread(hot.place(&mut Stream::new(random), elapsed_ns)),
        };
        Key::new(self.region, self.start + place)
    }

    /// The ephemeral key that arrival `number` reads, if the plan's choice is among those and there
    /// is one. Pure in (seed, arrival number, the keys alive). Say [`Ephemeral::begin_read`] before
    /// it is read.
    #[must_use]
    pub fn living(&self, number: u64, ephemeral: &Ephemeral) -> Option<Key> {
        let alive = ephemeral.alive();
        let living = self.living.as_ref().filter(|_| alive > 0)?;
        let random = rng::hash(self.seed, Purpose::Key, number);
        match living {
            Living::Any => ephemeral.any(random),
            Living::Latest(zipf) => {
                let rank = zipf.with_ranks(alive).rank(&mut Stream::new(random));
                ephemeral.newest(rank - 1)
            }
        }
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
mod tests;
