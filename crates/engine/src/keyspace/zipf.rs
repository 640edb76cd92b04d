//! Zipf's law over up to 10^12 ranks, in constant memory.
//!
//! Rejection-inversion: W. Hörmann, G. Derflinger, "Rejection-inversion to generate variates from
//! monotone discrete distributions", ACM TOMACS 6(3), 1996. Draws from the integral of x^-exponent
//! around the ranks, and rejects the little that the integral has too much.

use crate::rng::Stream;

/// Most draws are accepted at once; so many rejections in a row never happen, but a loop has an
/// end.
const DRAWS_MAX: u32 = 200;

/// Rank k of [1, n] with probability proportional to k^-exponent.
#[derive(Clone, Copy, Debug)]
pub struct Zipf {
    ranks: f64,
    exponent: f64,
    /// The integral at 1.5, less the whole of rank 1.
    integral_low: f64,
    /// The integral at n + 0.5.
    integral_high: f64,
    /// Within this distance below a rank everything is accepted without looking closer.
    accepted_below: f64,
}

impl Zipf {
    /// For `ranks` (at least 1, at most 2^53) and an exponent above 0.
    #[must_use]
    pub fn new(ranks: u64, exponent: f64) -> Self {
        let ranks = ranks.max(1) as f64;
        let accepted_below =
            2.0 - integral_inverse(integral(2.5, exponent) - density(2.0, exponent), exponent);
        Self {
            ranks,
            exponent,
            integral_low: integral(1.5, exponent) - 1.0,
            integral_high: integral(ranks + 0.5, exponent),
            accepted_below,
        }
    }

    /// The same law over another number of ranks.
    #[must_use]
    pub fn with_ranks(&self, ranks: u64) -> Self {
        let ranks = ranks.max(1) as f64;
        Self {
            ranks,
            integral_high: integral(ranks + 0.5, self.exponent),
            ..*self
        }
    }

    /// A rank, 1 to n.
    #[must_use]
    pub fn rank(&self, stream: &mut Stream) -> u64 {
        for _ in 0..DRAWS_MAX {
            let drawn =
                self.integral_high + stream.next_unit() * (self.integral_low - self.integral_high);
            let x = integral_inverse(drawn, self.exponent);
            let rank = x.round().clamp(1.0, self.ranks);
            let accepted = rank - x <= self.accepted_below
                || drawn >= integral(rank + 0.5, self.exponent) - density(rank, self.exponent);
            if accepted {
                return rank as u64;
            }
        }
        1
    }
}

/// x^-exponent.
fn density(x: f64, exponent: f64) -> f64 {
    (-exponent * x.ln()).exp()
}

/// The integral of the density: (x^(1-exponent) - 1) / (1 - exponent), and ln x where the exponent
/// is 1.
fn integral(x: f64, exponent: f64) -> f64 {
    let log = x.ln();
    let t = (1.0 - exponent) * log;
    // (e^t - 1) / t, by its series where t is too small to divide by
    let factor = if t.abs() > 1e-8 {
        t.exp_m1() / t
    } else {
        1.0 + t / 2.0
    };
    log * factor
}

/// The x at which the integral has this value.
fn integral_inverse(value: f64, exponent: f64) -> f64 {
    // rounding must not take the logarithm below its domain
    let t = (value * (1.0 - exponent)).max(-1.0);
    let factor = if t.abs() > 1e-8 {
        t.ln_1p() / t
    } else {
        1.0 - t / 2.0
    };
    (value * factor).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{hash, Purpose};

    /// Counts of ranks 1 to 100 over `draws`, and the rest in place 0.
    fn counts(zipf: &Zipf, draws: u64) -> [f64; 101] {
        let mut counts = [0.0; 101];
        for draw in 0..draws {
            let rank = zipf.rank(&mut Stream::new(hash(3, Purpose::Key, draw)));
            counts[if rank <= 100 { rank as usize } else { 0 }] += 1.0;
        }
        counts
    }

    #[test]
    fn follows_the_law() {
        for (ranks, exponent) in [
            (100u64, 0.5),
            (100, 0.99),
            (100, 1.0),
            (50, 1.2),
            (1000, 2.0),
            (3, 4.0),
        ] {
            let weight = |rank: u64| (rank as f64).powf(-exponent);
            let total: f64 = (1..=ranks).map(weight).sum();
            let draws = 200_000;
            let counts = counts(&Zipf::new(ranks, exponent), draws);
            for rank in 1..=ranks.min(100) {
                let expected = weight(rank) / total * draws as f64;
                let off = (counts[rank as usize] - expected).abs();
                // five standard deviations
                assert!(
                    off < 5.0 * expected.sqrt() + 1.0,
                    "{ranks} {exponent} {rank}: {off} of {expected}"
                );
            }
        }
    }

    #[test]
    fn holds_over_a_trillion_ranks() {
        // exponent 1: the harmonic number of 10^12 is ln(10^12) + 0.5772 = 28.208
        let counts = counts(&Zipf::new(1_000_000_000_000, 1.0), 200_000);
        let expected = 200_000.0 / 28.208;
        assert!(
            (counts[1] - expected).abs() < 5.0 * expected.sqrt(),
            "{}",
            counts[1]
        );
        assert!(
            (counts[2] - expected / 2.0).abs() < 5.0 * (expected / 2.0).sqrt(),
            "{}",
            counts[2]
        );
    }

    #[test]
    fn the_integral_has_no_jump_where_its_formula_changes() {
        for exponent in [1.0, 1.0 - 1e-10, 1.0 + 1e-10, 1.0 - 1e-7, 1.0 + 1e-7] {
            for x in [1.5f64, 100.5, 1e6] {
                let value = integral(x, exponent);
                assert!((value - x.ln()).abs() < 1e-4, "{x} {exponent}: {value}");
                let back = integral_inverse(value, exponent);
                assert!((back / x - 1.0).abs() < 1e-8, "{x} {exponent}: {back}");
            }
        }
    }

    #[test]
    fn another_number_of_ranks_is_another_law_of_the_same_exponent() {
        let (grown, made) = (Zipf::new(1, 0.8).with_ranks(1000), Zipf::new(1000, 0.8));
        for seed in 0..1000 {
            let rank = |zipf: &Zipf| zipf.rank(&mut Stream::new(seed));
            assert_eq!(rank(&grown), rank(&made));
        }
    }

    #[test]
    fn extremes_stay_in_range() {
        for exponent in [1e-9, 0.999_999_999, 1.000_000_001, 10.0] {
            for ranks in [1, 2, 1 << 48] {
                let zipf = Zipf::new(ranks, exponent);
                for seed in 0..1000 {
                    let rank = zipf.rank(&mut Stream::new(seed));
                    assert!((1..=ranks).contains(&rank), "{ranks} {exponent}: {rank}");
                }
            }
        }
    }
}
