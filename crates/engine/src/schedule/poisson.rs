//! Arrivals as many independent clients make them: a Poisson process whose rate follows the profile.
//!
//! By the time change theorem (Çinlar, "Introduction to Stochastic Processes", 1975, section 4.7), the points
//! N⁻¹(S₁), N⁻¹(S₂), … are such a process when S are the sums of exponential gaps of mean 1 and N is the integral of
//! the rate. By the superposition theorem, n independent processes of rate λ(t)/n are together one of rate λ(t). So
//! every stripe makes its own, with gaps of mean n, and no two stripes need to talk, whatever their number. How many
//! arrivals come is random: the integral of the profile on average, give or take its square root.

use super::{Arrival, Position, Walk};
use crate::plan::Share;
use crate::rng::{self, Purpose};

/// One stripe's arrivals, in the order of their due times; pure in the seed and the stripe.
#[derive(Clone, Debug)]
pub struct Poisson {
    seed: u64,
    walk: Walk,
    /// The number of its next arrival; each stripe has numbers of its own.
    next: u64,
    step: u64,
    reached: Position,
    end: Position,
}

impl Poisson {
    pub(super) fn new(
        seed: u64,
        walk: Walk,
        end: Position,
        share: Share,
        shard: u64,
        shards: u64,
    ) -> Self {
        let (next, step) = super::stripe_of(share, shard, shards);
        Self {
            seed,
            walk,
            next,
            step,
            reached: Position::default(),
            end,
        }
    }
}

impl Iterator for Poisson {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let number = self.next;
        let gap = rng::exponential(rng::hash(self.seed, Purpose::Gap, number));
        let reached = self.reached.after(gap * self.step as f64);
        if reached >= self.end {
            return None;
        }
        self.reached = reached;
        self.next = number.saturating_add(self.step);
        Some(Arrival {
            number,
            due_ns: self.walk.due_ns(reached)?,
        })
    }
}
