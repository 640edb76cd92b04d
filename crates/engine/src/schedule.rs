//! The pacer: when is the i-th arrival due? Pure; there is no clock inside.
//!
//! The profile's rate integrated over time is the number of arrivals so far, N(t). Arrival i (from
//! 0) is due at the t where N(t) = i. Within a segment the rate is linear, so N is a parabola, and
//! t has a closed form. Shards and machines take every n-th arrival each, so they share the work
//! without a word.

use crate::plan::{Segment, Share};

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

/// A segment and where it begins, in time and in arrivals.
#[derive(Clone, Copy, Debug)]
struct Piece {
    segment: Segment,
    start_ns: u64,
    length_ns: u64,
    /// Whole arrivals before it. Kept apart from the fraction, so that long runs stay exact.
    before: u64,
    /// The begun arrival at its start, in [0, 1).
    begun: f64,
}

impl Piece {
    /// Number of its first arrival (of a later piece's, when it has none).
    fn first(&self) -> u64 {
        self.before + u64::from(self.begun > 0.0)
    }

    /// Arrivals in it, with fraction.
    fn area(&self) -> f64 {
        (self.segment.from + self.segment.to) / 2.0 * self.segment.seconds
    }

    /// When arrival `number`, which lies in this piece, is due.
    fn due_ns(&self, number: u64) -> u64 {
        let local = number.saturating_sub(self.before) as f64 - self.begun;
        let within = seconds_until(&self.segment, local.clamp(0.0, self.area()), self.area());
        self.start_ns + ((within * 1e9).round() as u64).min(self.length_ns)
    }
}

/// The time t at which the integral of the rate reaches `arrivals`, in [0, seconds].
///
/// With rate(t) = a + k t the integral is a t + k t²/2, and t = 2 n / (a + √(a² + 2 k n)), a form
/// that is stable for k = 0 too. It loses digits where the root gets small, at the end of a falling
/// ramp; that is counted from the end.
fn seconds_until(segment: &Segment, arrivals: f64, area: f64) -> f64 {
    let slope = (segment.to - segment.from) / segment.seconds;
    let from_low_end = |low_rate: f64, count: f64| {
        let root = (low_rate * low_rate + 2.0 * slope.abs() * count).sqrt();
        // both are 0 only at the very end of a ramp that begins or ends with 0
        if count > 0.0 {
            2.0 * count / (low_rate + root)
        } else {
            0.0
        }
    };
    if slope >= 0.0 {
        from_low_end(segment.from, arrivals)
    } else {
        segment.seconds - from_low_end(segment.to, area - arrivals)
    }
}

/// The arrivals of a load profile.
#[derive(Clone, Debug)]
pub struct Arrivals {
    pieces: Vec<Piece>,
    total: u64,
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
        let (mut start_ns, mut before, mut begun) = (0u64, 0u64, 0.0);
        for segment in profile.iter().filter(|segment| segment.seconds > 0.0) {
            let length_ns = (segment.seconds * 1e9).round() as u64;
            let piece = Piece {
                segment: *segment,
                start_ns,
                length_ns,
                before,
                begun,
            };
            pieces.push(piece);
            start_ns = start_ns.saturating_add(length_ns);
            let reached = begun + piece.area();
            let whole = reached.floor();
            before = before.saturating_add(whole as u64);
            begun = if reached - whole < ROUNDING {
                0.0
            } else {
                reached - whole
            };
        }
        Self {
            pieces,
            total: before + u64::from(begun > 0.0),
            duration_ns: start_ns,
        }
    }

    /// How many there are in all: the integral of the profile, rounded up.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
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
        if number >= self.total {
            return None;
        }
        let after = self.pieces.partition_point(|piece| piece.first() <= number);
        Some(self.pieces.get(after.checked_sub(1)?)?.due_ns(number))
    }

    /// The arrivals of shard `shard` of `shards` in part `share` of the run.
    ///
    /// Neighbouring arrivals go to different shares, so every machine sends evenly.
    #[must_use]
    pub fn stripe(&self, share: Share, shard: u64, shards: u64) -> Stripe {
        let step = share.count.saturating_mul(shards).max(1);
        let next = shard
            .saturating_mul(share.count)
            .saturating_add(share.index);
        Stripe {
            pieces: self.pieces.clone(),
            total: self.total,
            next,
            step,
            place: 0,
        }
    }
}

/// The arrivals that one shard takes, in the order of their due times.
#[derive(Clone, Debug)]
pub struct Stripe {
    pieces: Vec<Piece>,
    total: u64,
    next: u64,
    step: u64,
    /// The piece of the last arrival.
    place: usize,
}

impl Stripe {
    /// How many are still to come.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.total.saturating_sub(self.next).div_ceil(self.step)
    }
}

impl Iterator for Stripe {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let number = self.next;
        if number >= self.total {
            return None;
        }
        while self
            .pieces
            .get(self.place + 1)
            .is_some_and(|piece| piece.first() <= number)
        {
            self.place += 1;
        }
        self.next = number.saturating_add(self.step);
        Some(Arrival {
            number,
            due_ns: self.pieces.get(self.place)?.due_ns(number),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALONE: Share = Share { index: 0, count: 1 };

    fn constant(rate: f64, seconds: f64) -> Segment {
        Segment {
            from: rate,
            to: rate,
            seconds,
            wave: None,
        }
    }

    fn all(profile: &[Segment]) -> Vec<u64> {
        Arrivals::new(profile)
            .stripe(ALONE, 0, 1)
            .map(|arrival| arrival.due_ns)
            .collect()
    }

    #[test]
    fn constant_rate_is_even() {
        assert_eq!(
            all(&[constant(4.0, 1.0)]),
            [0, 250_000_000, 500_000_000, 750_000_000]
        );
        assert_eq!(all(&[constant(0.5, 3.0)]), [0, 2_000_000_000]);
        assert!(all(&[]).is_empty());
    }

    #[test]
    fn a_fraction_of_an_arrival_carries_over() {
        // half an arrival is begun after the first second, so the next is due half a second later
        assert_eq!(
            all(&[constant(1.5, 1.0), constant(1.0, 2.0)]),
            [0, 666_666_667, 1_500_000_000, 2_500_000_000]
        );
        // and rounding is no fraction: 0.07 * 100 is a little more than 7 in floats, and 4.35 * 100
        // a little less than 435
        assert_eq!(all(&[constant(0.07, 100.0)]).len(), 7);
        assert_eq!(all(&[constant(4.35, 100.0)]).len(), 435);
        assert_eq!(all(&[constant(0.1, 10.0); 30]).len(), 30);
    }

    #[test]
    fn ramps_match_the_closed_form() {
        // from 0 to 10 in 2 s: N(t) = 2.5 t², so arrival i is due at √(i / 2.5)
        let up = all(&[Segment {
            from: 0.0,
            to: 10.0,
            seconds: 2.0,
            wave: None,
        }]);
        assert_eq!(up.len(), 10);
        for (i, due_ns) in up.iter().enumerate() {
            assert_eq!(*due_ns, ((i as f64 / 2.5).sqrt() * 1e9).round() as u64);
        }
        // downwards it is the mirror image, counted from the end
        let down = all(&[Segment {
            from: 10.0,
            to: 0.0,
            seconds: 2.0,
            wave: None,
        }]);
        for (i, due_ns) in down.iter().enumerate() {
            let expected = 2.0 - ((10 - i) as f64 / 2.5).sqrt();
            assert!((*due_ns as f64 - expected * 1e9).abs() <= 1.0, "{i}");
        }
    }

    #[test]
    fn stays_exact_for_weeks() {
        let arrivals = Arrivals::new(&[constant(1e6, 1e6), constant(1.0, 10.0)]);
        assert_eq!(arrivals.total(), 1_000_000_000_010);
        for number in [1, 999_999_999_999, 123_456_789_012] {
            assert_eq!(arrivals.due_ns(number), Some(number * 1000));
        }
        assert_eq!(
            arrivals.due_ns(1_000_000_000_003),
            Some(1_000_003_000_000_000)
        );
        assert_eq!(arrivals.due_ns(1_000_000_000_010), None);
        // the last arrivals of a long ramp down to nothing: the k-th from the end is due √(2 k T /
        // a) before it
        let ramp = Arrivals::new(&[Segment {
            from: 1e6,
            to: 0.0,
            seconds: 3600.0,
            wave: None,
        }]);
        let due_s = ramp.due_ns(ramp.total() - 1).unwrap() as f64 / 1e9;
        assert!((3600.0 - due_s - (2.0 * 3600.0 / 1e6f64).sqrt()).abs() < 1e-7);
    }

    #[test]
    fn shares_are_interleaved() {
        let arrivals = Arrivals::new(&[constant(12.0, 1.0)]);
        let numbers = |index, shard| -> Vec<u64> {
            arrivals
                .stripe(Share { index, count: 3 }, shard, 2)
                .map(|arrival| arrival.number)
                .collect()
        };
        assert_eq!((numbers(0, 0), numbers(0, 1)), (vec![0, 6], vec![3, 9]));
        assert_eq!((numbers(2, 0), numbers(2, 1)), (vec![2, 8], vec![5, 11]));
    }

    fn profiles() -> impl Strategy<Value = Vec<Segment>> {
        let rate = prop_oneof![Just(0.0), 0.01..2000.0f64];
        let segment = (rate.clone(), rate, 0.001..3.0f64);
        prop::collection::vec(segment, 1..6).prop_map(|segments| {
            segments
                .into_iter()
                .map(|(from, to, seconds)| Segment {
                    from,
                    to,
                    seconds,
                    wave: None,
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn total_is_the_integral_and_dues_are_ordered(profile in profiles()) {
            let arrivals = Arrivals::new(&profile);
            let integral: f64 = profile.iter().map(|s| (s.from + s.to) / 2.0 * s.seconds).sum();
            prop_assert!((arrivals.total() as f64 - integral).abs() <= 1.0);
            let dues = all(&profile);
            prop_assert_eq!(dues.len() as u64, arrivals.total());
            prop_assert!(dues.windows(2).all(|pair| pair[0] <= pair[1]));
            prop_assert!(dues.last().is_none_or(|last| *last <= arrivals.duration_ns()));
            for (number, due_ns) in dues.iter().enumerate() {
                prop_assert_eq!(arrivals.due_ns(number as u64), Some(*due_ns));
            }
        }

        /// The integral of the rate up to the due time of arrival i is i, added up here step by
        /// step.
        #[test]
        fn the_integral_up_to_a_due_time_is_the_number(profile in profiles(), at in 0.0..1.0f64) {
            let arrivals = Arrivals::new(&profile);
            prop_assume!(arrivals.total() > 0);
            let number = (at * arrivals.total() as f64) as u64;
            let mut left = arrivals.due_ns(number).unwrap() as f64 / 1e9;
            let mut integral = 0.0;
            for segment in &profile {
                let t = left.clamp(0.0, segment.seconds);
                integral += segment.from * t + (segment.to - segment.from) / segment.seconds * t * t / 2.0;
                left -= segment.seconds;
            }
            // a nanosecond at 2000 per second, and rounding
            prop_assert!((integral - number as f64).abs() < 1e-4, "{} {}", integral, number);
        }

        #[test]
        fn stripes_partition_the_arrivals(profile in profiles(), count in 1u64..5, shards in 1u64..5) {
            let arrivals = Arrivals::new(&profile);
            let mut seen = Vec::new();
            for index in 0..count {
                for shard in 0..shards {
                    let stripe = arrivals.stripe(Share { index, count }, shard, shards);
                    let expected = stripe.remaining();
                    let before = seen.len();
                    seen.extend(stripe.map(|arrival| (arrival.number, arrival.due_ns)));
                    prop_assert_eq!((seen.len() - before) as u64, expected);
                }
            }
            seen.sort_unstable();
            let whole: Vec<_> = all(&profile).into_iter().enumerate().map(|(i, due)| (i as u64, due)).collect();
            prop_assert_eq!(seen, whole);
        }
    }
}
