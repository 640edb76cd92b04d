//! Randomness that is a pure function of what it is for: no state is kept between operations.
//!
//! Every choice hashes (seed, what for, counter), so any shard, machine or replay comes to the same
//! result without talk. The stream generator is wyrand (Wang Yi, public domain,
//! <https://github.com/wangyi-fudan/wyhash>); the hash is the finalizer of SplitMix64 (Steele, Lea,
//! Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014). Neither is fit for
//! secrets.

/// What a random number is for: streams of different purposes are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Which operation.
    Mix = 1,
    /// Whether a PUT makes a new ephemeral key.
    NewKey = 2,
    /// Which key.
    Key = 3,
    /// How large.
    Size = 4,
    /// Bytes of bodies.
    Body = 5,
    /// Bytes of bodies that are too small for a header.
    TinyBody = 6,
    /// Which endpoint.
    Endpoint = 7,
    /// Gaps between the arrivals of a Poisson process.
    Gap = 8,
    /// How long a client thinks.
    Think = 9,
    /// Whatever an operation has to choose besides its key: a range, a part, a condition.
    Choice = 10,
    /// Whether a TLS connection may resume a session.
    Resumption = 20,
    /// Whether a read is slow on purpose.
    SlowReader = 21,
    /// Whether a write is slow on purpose.
    SlowWriter = 22,
}

/// The finalizer of SplitMix64: a bijection on 64 bits in which every input bit sways every output
/// bit.
#[must_use]
pub const fn mix64(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// One random number for (seed, purpose, counter): number `counter` of the SplitMix64 stream that
/// belongs to the other two.
#[must_use]
pub const fn hash(seed: u64, purpose: Purpose, counter: u64) -> u64 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let stream = mix64(mix64(seed).wrapping_add((purpose as u64).wrapping_mul(GOLDEN)));
    mix64(stream.wrapping_add(counter.wrapping_mul(GOLDEN)))
}

/// A random number as a fraction in [0, 1), 53 bits.
#[must_use]
pub fn unit(random: u64) -> f64 {
    (random >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// A random number as an index in [0, n) (Lemire's multiply-shift; the bias is below n / 2^64); 0
/// when n is 0.
#[must_use]
pub const fn below(random: u64, n: u64) -> u64 {
    ((random as u128 * n as u128) >> 64) as u64
}

/// A random number as an exponentially distributed one of mean 1, from 0 to 36.7.
#[must_use]
pub fn exponential(random: u64) -> f64 {
    -(-unit(random)).ln_1p()
}

/// A stream of random numbers (wyrand). Number j depends on the seed and on j alone.
#[derive(Clone, Debug)]
pub struct Stream(u64);

impl Stream {
    /// The stream of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    #[inline(always)]
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0xa076_1d64_78bd_642f);
        let wide = u128::from(self.0).wrapping_mul(u128::from(self.0 ^ 0xe703_7ed1_a0b4_28db));
        (wide >> 64) as u64 ^ wide as u64
    }

    /// The next number as a fraction in [0, 1).
    pub fn next_unit(&mut self) -> f64 {
        unit(self.next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mix64_is_splitmix64() {
        // the first two numbers of SplitMix64 from seed 0, as in its reference code
        assert_eq!(mix64(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix64(0x3c6e_f372_fe94_f82a), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn purposes_seeds_and_counters_are_apart() {
        let mut seen = std::collections::HashSet::new();
        for seed in 0..20 {
            for purpose in [Purpose::Mix, Purpose::NewKey, Purpose::Key, Purpose::Size] {
                seen.extend((0..100).map(|counter| hash(seed, purpose, counter)));
            }
        }
        assert_eq!(seen.len(), 20 * 4 * 100);
    }

    #[test]
    fn fractions_and_indexes_stay_below_their_ends() {
        assert_eq!((unit(0), below(0, 10)), (0.0, 0));
        assert!(unit(u64::MAX) < 1.0);
        assert_eq!(
            (below(u64::MAX, 10), below(u64::MAX, 1), below(u64::MAX, 0)),
            (9, 0, 0)
        );
    }

    #[test]
    fn streams_have_even_bits() {
        let mut stream = Stream::new(1);
        let mut counts = [0u32; 64];
        for _ in 0..10_000 {
            let number = stream.next_u64();
            for (bit, count) in counts.iter_mut().enumerate() {
                *count += (number >> bit & 1) as u32;
            }
        }
        // five standard deviations of a fair coin
        assert!(
            counts.iter().all(|count| count.abs_diff(5_000) < 250),
            "{counts:?}"
        );
    }
}
