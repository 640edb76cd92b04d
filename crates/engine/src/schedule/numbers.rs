//! Which of a run's arrivals are whose. They are numbered from 0 and stand at the places of a wheel; a share is an
//! interval of places. Whoever knows his own interval knows his arrivals, without a word to anybody.

use std::sync::Arc;

use crate::plan::Share;

/// Candidates for a stride lie at most so far from the golden section of the wheel.
const STRIDE_REACH: u64 = 64;

/// How many places of a wheel lie between an arrival and the next one, counted forwards; coprime to the wheel.
///
/// Arrival k stands at place (k · stride) mod wheel. So that any interval of places is visited evenly in time, its
/// ratio to the wheel has to be far from all simple fractions, as the golden section is (the three-distance theorem;
/// Knuth, "The Art of Computer Programming", volume 3, section 6.4). On a whole wheel the nearest coprime number may
/// yet be a bad one (619/1000: its continued fraction has a term 13), so of those at most 64 from the golden section
/// it is the one whose continued fraction has the smallest greatest term, and of these the nearest.
///
/// ```
/// use maul_engine::schedule::stride;
/// assert_eq!((stride(1), stride(2), stride(3), stride(10), stride(1000)), (1, 1, 2, 7, 633));
/// ```
#[must_use]
pub fn stride(wheel: u64) -> u64 {
    if wheel <= 2 {
        return 1;
    }
    let golden = wheel as f64 * ((5f64.sqrt() - 1.0) / 2.0);
    let from = (golden as u64).saturating_sub(STRIDE_REACH).max(1);
    let to = (golden as u64 + 1 + STRIDE_REACH).min(wheel - 1);
    let mut best = (u64::MAX, f64::INFINITY, 1);
    for candidate in from..=to {
        let Some(term) = greatest_term(candidate, wheel) else {
            continue;
        };
        let distance = (candidate as f64 - golden).abs();
        if (term, distance) < (best.0, best.1) {
            best = (term, distance, candidate);
        }
    }
    best.2
}

/// The greatest term of the continued fraction of `part / whole`; None when they have a common divisor.
fn greatest_term(part: u64, whole: u64) -> Option<u64> {
    let (mut whole, mut part, mut greatest) = (whole, part, 0);
    while part > 0 {
        greatest = greatest.max(whole / part);
        (whole, part) = (part, whole % part);
    }
    (whole == 1).then_some(greatest)
}

/// The x with `number · x ≡ 1` modulo `wheel`, for coprime numbers.
fn inverse(number: u64, wheel: u64) -> u64 {
    // Euclid's algorithm, extended by what the remainders are multiples of; a wheel is far from the range of i64
    let (mut before, mut now) = ((wheel as i64, 0i64), (number as i64, 1i64));
    while now.0 > 0 {
        let times = before.0 / now.0;
        (before, now) = (now, (before.0 - times * now.0, before.1 - times * now.1));
    }
    before.1.rem_euclid(wheel as i64) as u64
}

/// The numbers of the arrivals that one shard of one share takes, rising: every n-th of the share's, of n shards.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// Those of the share in one turn of the wheel, rising.
    in_turn: Arc<[u16]>,
    wheel: u64,
    /// Which of the share's comes next.
    next: u64,
    step: u64,
}

impl Numbers {
    /// Of shard `shard` of `shards`.
    #[must_use]
    pub fn new(share: Share, shard: u64, shards: u64) -> Self {
        let wheel = share.wheel.max(1);
        let back = inverse(stride(wheel), wheel);
        let places = share.first..share.first.saturating_add(share.width).min(wheel);
        let mut in_turn: Vec<u16> = places.map(|place| (place * back % wheel) as u16).collect();
        in_turn.sort_unstable();
        Self {
            in_turn: in_turn.into(),
            wheel,
            next: shard,
            step: shards.max(1),
        }
    }

    /// Arrivals of the whole run for each one of this shard, on average.
    #[must_use]
    pub fn spacing(&self) -> f64 {
        self.wheel as f64 / self.in_turn.len() as f64 * self.step as f64
    }

    /// The number that comes `ahead` after the next one; None when there is none that fits.
    fn ahead(&self, ahead: u64) -> Option<u64> {
        let place = self.next.checked_add(ahead.checked_mul(self.step)?)?;
        let width = self.in_turn.len() as u64;
        let within = *self.in_turn.get((place % width.max(1)) as usize)?;
        (place / width)
            .checked_mul(self.wheel)?
            .checked_add(u64::from(within))
    }

    /// The next number, without taking it.
    #[must_use]
    pub fn peek(&self) -> Option<u64> {
        self.ahead(0)
    }

    /// How many are still to come below `total`.
    #[must_use]
    pub fn below(&self, total: u64) -> u64 {
        let in_last = self
            .in_turn
            .partition_point(|number| u64::from(*number) < total % self.wheel);
        let of_share = total / self.wheel * self.in_turn.len() as u64 + in_last as u64;
        of_share.saturating_sub(self.next).div_ceil(self.step)
    }

    /// Leaves out the next `count`.
    pub fn pass(&mut self, count: u64) {
        self.next = self.next.saturating_add(count.saturating_mul(self.step));
    }

    /// Leaves out those below `total` that are `early`; whoever is early must have only early ones before him.
    pub fn pass_while(&mut self, total: u64, early: impl Fn(u64) -> bool) {
        let (mut low, mut high) = (0, self.below(total));
        while low < high {
            let middle = low + (high - low) / 2;
            match self.ahead(middle) {
                Some(number) if early(number) => low = middle + 1,
                _ => high = middle,
            }
        }
        self.pass(low);
    }
}
