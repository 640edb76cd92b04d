//! The pacer: when is the i-th arrival due? Pure; there is no clock inside.
//!
//! The profile's rate integrated over time is the number of arrivals so far, N(t). Arrival i (from
//! 0) is due at the t where N(t) = i. Within a segment the rate is linear, so N is a parabola, and
//! t has a closed form; with a sine wave on top it is found numerically. Machines take the arrivals of their shares,
//! and shards every n-th of those ([`Numbers`]), so they share the work without a word. A [`Poisson`] process scatters
//! the arrivals around the same N.

mod curve;
mod numbers;
mod poisson;

use crate::plan::{Segment, Share};
use curve::Curve;
pub use numbers::{stride, Numbers};
pub use poisson::Poisson;

/// A fraction of an arrival below this is rounding, not load.
const ROUNDING: f64 = 1e-6;

/// One arrival of a stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its number in the whole run, over all shares and shards.
    pub number: u64,
    /// When it is due, nanoseconds after the start of the phase.
    pub due_ns: u64,
}

/// A place on the axis of arrivals: N = whole + part. Kept apart, so that long runs stay exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
struct Position {
    whole: u64,
    /// In [0, 1).
    part: f64,
}

impl Position {
    fn at(number: u64) -> Self {
        Self {
            whole: number,
            part: 0.0,
        }
    }

    fn after(self, arrivals: f64) -> Self {
        let sum = self.part + arrivals;
        Self {
            whole: self.whole.saturating_add(sum as u64),
            part: sum.fract(),
        }
    }

    /// After a whole segment, whose area may have a rounding error.
    fn after_segment(self, area: f64) -> Self {
        let mut end = self.after(area);
        if end.part < ROUNDING {
            end.part = 0.0;
        }
        end
    }

    /// Arrivals since an earlier place.
    fn since(self, earlier: Self) -> f64 {
        self.whole.saturating_sub(earlier.whole) as f64 + self.part - earlier.part
    }
}

/// A segment and where it begins, in time and in arrivals.
#[derive(Clone, Copy, Debug)]
struct Piece {
    curve: Curve,
    start_ns: u64,
    length_ns: u64,
    start: Position,
}

impl Piece {
    /// When the arrival at this place, which lies in this piece, is due.
    fn due_ns(&self, position: Position) -> u64 {
        let within = self.curve.seconds_until(position.since(self.start));
        self.start_ns + ((within * 1e9).round() as u64).min(self.length_ns)
    }

    /// The place that is due at a time, which lies in this piece or behind it.
    fn place_at(&self, at_ns: u64) -> Position {
        let within_ns = at_ns.saturating_sub(self.start_ns).min(self.length_ns);
        self.start
            .after(self.curve.arrivals_in(within_ns as f64 / 1e9))
    }
}

/// The arrivals of a load profile.
#[derive(Clone, Debug)]
pub struct Arrivals {
    pieces: Vec<Piece>,
    end: Position,
    duration_ns: u64,
}

impl Arrivals {
    /// The arrivals of a profile (segments one after the other).
    ///
    /// ```
    /// use maul_engine::{plan::Segment, schedule::Arrivals};
    /// let arrivals = Arrivals::new(&[Segment { from: 100.0, to: 100.0, seconds: 2.0, wave: None }]);
    /// assert_eq!(arrivals.total(), 200);
    /// assert_eq!(arrivals.due_ns(1), Some(10_000_000));
    /// ```
    #[must_use]
    pub fn new(profile: &[Segment]) -> Self {
        let mut pieces = Vec::with_capacity(profile.len());
        let (mut start_ns, mut start) = (0u64, Position::default());
        for segment in profile.iter().filter(|segment| segment.seconds > 0.0) {
            let curve = Curve::new(*segment);
            let length_ns = (segment.seconds * 1e9).round() as u64;
            pieces.push(Piece {
                curve,
                start_ns,
                length_ns,
                start,
            });
            start_ns = start_ns.saturating_add(length_ns);
            start = start.after_segment(curve.area());
        }
        Self {
            pieces,
            end: start,
            duration_ns: start_ns,
        }
    }

    /// How many there are in all: the integral of the profile, rounded up. (Of a [`Poisson`]
    /// process: as many on average.)
    #[must_use]
    pub fn total(&self) -> u64 {
        self.end.whole + u64::from(self.end.part > 0.0)
    }

    /// Length of the profile, nanoseconds.
    #[must_use]
    pub fn duration_ns(&self) -> u64 {
        self.duration_ns
    }

    /// When arrival `number` is due, nanoseconds after the start; None when there is no such
    /// arrival.
    #[must_use]
    pub fn due_ns(&self, number: u64) -> Option<u64> {
        if number >= self.total() {
            return None;
        }
        due_ns_in(&self.pieces, Position::at(number))
    }

    /// The arrivals of shard `shard` of `shards` in part `share` of the run, evenly.
    ///
    /// The arrivals of a share are spread evenly over those of the run, so every machine sends evenly.
    #[must_use]
    pub fn stripe(&self, share: Share, shard: u64, shards: u64) -> Stripe {
        Stripe {
            walk: self.walk(),
            total: self.total(),
            numbers: Numbers::new(share, shard, shards),
        }
    }

    /// The same as a Poisson process.
    #[must_use]
    pub fn poisson(&self, seed: u64, share: Share, shard: u64, shards: u64) -> Poisson {
        Poisson::new(seed, self.walk(), self.end, share, shard, shards)
    }

    fn walk(&self) -> Walk {
        Walk {
            pieces: self.pieces.clone(),
            place: 0,
        }
    }
}

/// When the arrival at any place is due.
fn due_ns_in(pieces: &[Piece], position: Position) -> Option<u64> {
    let after = pieces.partition_point(|piece| piece.start <= position);
    Some(pieces.get(after.checked_sub(1)?)?.due_ns(position))
}

/// Goes over the pieces forwards.
#[derive(Clone, Debug)]
struct Walk {
    pieces: Vec<Piece>,
    /// The piece of the last arrival.
    place: usize,
}

impl Walk {
    /// When the arrival at this place is due; places come in order.
    fn due_ns(&mut self, position: Position) -> Option<u64> {
        while self
            .pieces
            .get(self.place + 1)
            .is_some_and(|piece| piece.start <= position)
        {
            self.place += 1;
        }
        Some(self.pieces.get(self.place)?.due_ns(position))
    }
}

/// The arrivals that one shard takes, in the order of their due times.
#[derive(Clone, Debug)]
pub struct Stripe {
    walk: Walk,
    total: u64,
    numbers: Numbers,
}

impl Stripe {
    /// How many are still to come.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.numbers.below(self.total)
    }

    /// Leaves out what is due before this time, nanoseconds after the start.
    pub fn skip_before(&mut self, due_ns: u64) {
        let pieces = &self.walk.pieces;
        let early =
            |number| due_ns_in(pieces, Position::at(number)).is_some_and(|due| due < due_ns);
        self.numbers.pass_while(self.total, early);
    }
}

impl Iterator for Stripe {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let number = self.numbers.peek().filter(|number| *number < self.total)?;
        self.numbers.pass(1);
        Some(Arrival {
            number,
            due_ns: self.walk.due_ns(Position::at(number))?,
        })
    }
}

#[cfg(test)]
mod tests;
