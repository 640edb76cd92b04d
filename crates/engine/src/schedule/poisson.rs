//! Arrivals as many independent clients make them: a Poisson process whose rate follows the profile.
//!
//! By the time change theorem (Çinlar, "Introduction to Stochastic Processes", 1975, section 4.7), the points
//! N⁻¹(S₁), N⁻¹(S₂), … are such a process when S are the sums of exponential gaps of mean 1 and N is the integral of
//! the rate. By the superposition theorem, independent processes of rates p₁λ(t), p₂λ(t), … whose parts p add up to 1
//! are together one of rate λ(t). So every stripe makes its own, with gaps of mean 1/p, and no two stripes need to
//! talk, whatever their number. How many arrivals come is random: the integral of the profile on average, give or take
//! its square root.

use super::{Arrival, Numbers, Position, Walk};
use crate::plan::Share;
use crate::rng::{self, Purpose};

/// One stripe's arrivals, in the order of their due times; pure in the seed and the stripe.
#[derive(Clone, Debug)]
pub struct Poisson {
    seed: u64,
    walk: Walk,
    /// Of its arrivals; each stripe has numbers of its own.
    numbers: Numbers,
    /// The mean gap between two of its arrivals, on the axis of all arrivals.
    gap: f64,
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
        let numbers = Numbers::new(share, shard, shards);
        Self {
            seed,
            walk,
            gap: numbers.spacing(),
            numbers,
            reached: Position::default(),
            end,
        }
    }

    /// Begins as if it had come to this time, nanoseconds after the start. What follows is as random as what would have
    /// come: the process has no memory.
    pub fn skip_before(&mut self, due_ns: u64) {
        let pieces = &self.walk.pieces;
        let after = pieces.partition_point(|piece| piece.start_ns <= due_ns);
        if let Some(piece) = after.checked_sub(1).and_then(|place| pieces.get(place)) {
            self.reached = piece.place_at(due_ns);
            let passed = self.reached.since(Position::default()) / self.gap;
            self.numbers.pass(passed as u64);
        }
    }
}

impl Iterator for Poisson {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let number = self.numbers.peek()?;
        let gap = rng::exponential(rng::hash(self.seed, Purpose::Gap, number));
        let reached = self.reached.after(gap * self.gap);
        if reached >= self.end {
            return None;
        }
        self.reached = reached;
        self.numbers.pass(1);
        Some(Arrival {
            number,
            due_ns: self.walk.due_ns(reached)?,
        })
    }
}
