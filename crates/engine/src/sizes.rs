//! How large a written object is: a pure function of (seed, key, version).

use crate::operation::Key;
use crate::plan::SizeSpec;
use crate::rng::{self, Purpose, Stream};

/// A size distribution with its seed.
#[derive(Clone, Debug)]
pub struct Sizes {
    seed: u64,
    spec: SizeSpec,
    /// Of `Weighted`: the weights added up to each bucket.
    cumulative: Vec<f64>,
}

impl Sizes {
    /// The sizes of a plan.
    #[must_use]
    pub fn new(spec: &SizeSpec, seed: u64) -> Self {
        let mut cumulative = Vec::new();
        if let SizeSpec::Weighted { buckets } = spec {
            let mut sum = 0.0;
            cumulative.extend(buckets.iter().map(|(_, weight)| {
                sum += weight;
                sum
            }));
        }
        Self {
            seed,
            spec: spec.clone(),
            cumulative,
        }
    }

    /// Size of this version of this key, bytes.
    #[must_use]
    pub fn of(&self, key: Key, version: u64) -> u64 {
        let random = rng::hash(self.seed, Purpose::Size, key.0 ^ rng::mix64(version));
        match &self.spec {
            SizeSpec::Fixed { bytes } => *bytes,
            SizeSpec::Uniform { min, max } => {
                min + rng::below(random, max.saturating_sub(*min).saturating_add(1))
            }
            SizeSpec::Lognormal { median, sigma, max } => {
                let bytes = median * (sigma * normal(random)).exp();
                // a float beyond u64 becomes u64::MAX, so the clamp holds for all
                (bytes.round() as u64).clamp(1, (*max).max(1))
            }
            SizeSpec::Weighted { buckets } => {
                let total = self.cumulative.last().copied().unwrap_or(0.0);
                let drawn = rng::unit(random) * total;
                let place = self.cumulative.partition_point(|sum| *sum <= drawn);
                // rounding could draw the total itself: then it is the last bucket that has a
                // weight
                let place = place.min(self.cumulative.partition_point(|sum| *sum < total));
                buckets.get(place).map_or(0, |(bytes, _)| *bytes)
            }
        }
    }

    /// The smallest size that can come up, bytes.
    #[must_use]
    pub fn min(&self) -> u64 {
        match &self.spec {
            SizeSpec::Fixed { bytes } => *bytes,
            SizeSpec::Uniform { min, .. } => *min,
            SizeSpec::Lognormal { .. } => 1,
            SizeSpec::Weighted { buckets } => weighted(buckets).min().unwrap_or(0),
        }
    }

    /// The largest size that can come up, bytes.
    #[must_use]
    pub fn max(&self) -> u64 {
        match &self.spec {
            SizeSpec::Fixed { bytes } => *bytes,
            SizeSpec::Uniform { max, .. } | SizeSpec::Lognormal { max, .. } => *max,
            SizeSpec::Weighted { buckets } => weighted(buckets).max().unwrap_or(0),
        }
    }
}

/// The sizes that have a weight.
fn weighted(buckets: &[(u64, f64)]) -> impl Iterator<Item = u64> + '_ {
    buckets
        .iter()
        .filter(|(_, weight)| *weight > 0.0)
        .map(|(bytes, _)| *bytes)
}

/// A standard normal number (Box and Muller, 1958).
fn normal(seed: u64) -> f64 {
    let mut stream = Stream::new(seed);
    // 1 - [0, 1) is never 0, so the logarithm is finite
    let radius = (-2.0 * (1.0 - stream.next_unit()).ln()).sqrt();
    radius * (std::f64::consts::TAU * stream.next_unit()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Region;

    fn draw(spec: &SizeSpec, count: u64) -> Vec<u64> {
        let sizes = Sizes::new(spec, 7);
        let drawn: Vec<_> = (0..count)
            .map(|i| sizes.of(Key::new(Region::Base, i % 100), i / 100 + 1))
            .collect();
        assert!(drawn
            .iter()
            .all(|size| (sizes.min()..=sizes.max()).contains(size)));
        drawn
    }

    #[test]
    fn fixed_is_fixed() {
        assert!(draw(&SizeSpec::Fixed { bytes: 4096 }, 100)
            .iter()
            .all(|size| *size == 4096));
    }

    #[test]
    fn uniform_reaches_both_ends_evenly() {
        let mut drawn = draw(&SizeSpec::Uniform { min: 10, max: 19 }, 100_000);
        drawn.sort_unstable();
        for value in 10..=19 {
            let count = drawn.iter().filter(|size| **size == value).count();
            assert!((9_500..10_500).contains(&count), "{value}: {count}");
        }
        assert_eq!(draw(&SizeSpec::Uniform { min: 5, max: 5 }, 1), [5]);
    }

    #[test]
    fn lognormal_has_its_median_and_spread_and_is_cut_off() {
        let mut drawn = draw(
            &SizeSpec::Lognormal {
                median: 65_536.0,
                sigma: 1.0,
                max: 1 << 20,
            },
            100_000,
        );
        drawn.sort_unstable();
        let quantile = |q: f64| drawn[(q * 100_000.0) as usize] as f64;
        assert!((quantile(0.5) / 65_536.0 - 1.0).abs() < 0.03);
        // one standard deviation above the median is a factor of e
        assert!((quantile(0.8413) / quantile(0.5) / std::f64::consts::E - 1.0).abs() < 0.05);
        assert_eq!(drawn[99_999], 1 << 20);
        let wild = SizeSpec::Lognormal {
            median: 1e9,
            sigma: 10.0,
            max: u64::MAX,
        };
        assert!(draw(&wild, 10_000).iter().any(|size| *size > 1 << 50));
    }

    #[test]
    fn weighted_keeps_the_weights_and_skips_zero() {
        let buckets = vec![(7, 0.0), (1, 3.0), (2, 1.0), (1000, 0.0)];
        let drawn = draw(&SizeSpec::Weighted { buckets }, 100_000);
        let ones = drawn.iter().filter(|size| **size == 1).count();
        assert!((74_000..76_000).contains(&ones), "{ones}");
        assert!(drawn.iter().all(|size| [1, 2].contains(size)));
    }

    #[test]
    fn depends_on_key_and_version_and_seed() {
        let spec = SizeSpec::Uniform {
            min: 0,
            max: u64::MAX - 1,
        };
        let size = |seed, key, version| Sizes::new(&spec, seed).of(Key(key), version);
        let base = size(1, 1, 1);
        assert_eq!(base, size(1, 1, 1));
        assert!(base != size(2, 1, 1) && base != size(1, 2, 1) && base != size(1, 1, 2));
    }
}
