//! Hard ceilings of one shard. Pure: time is passed in. Rates delay; totals end the run.

use crate::clock::NS_PER_S;
use crate::plan::Limits;

/// A rate ceiling may be used this far ahead, so that a loop that wakes up a little late keeps its rate.
const BURST_S: f64 = 0.01;

/// Which total was used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// `limits.requests`.
    Requests,
    /// `limits.bytes`.
    Bytes,
}

impl Total {
    /// As it stands in `stop_reason`.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Requests => "limit:requests",
            Self::Bytes => "limit:bytes",
        }
    }
}

/// May an operation start?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, and it is charged.
    Go,
    /// Not before this time.
    Wait {
        /// Nanoseconds on the caller's clock.
        until_ns: u64,
    },
    /// Never again.
    Exhausted(Total),
}

/// A bucket that refills evenly. Taking may leave a debt, which delays the next taker: so the rate holds on average
/// whatever the size of a single step.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// At the full rate.
    full_per_ns: f64,
    per_ns: f64,
    burst: f64,
    level: f64,
    filled_ns: u64,
}

impl Bucket {
    fn new(per_s: f64, burst_min: f64, now_ns: u64) -> Self {
        let burst = (per_s * BURST_S).max(burst_min);
        Self {
            full_per_ns: per_s / NS_PER_S as f64,
            per_ns: per_s / NS_PER_S as f64,
            burst,
            level: burst,
            filled_ns: now_ns,
        }
    }

    fn refill(&mut self, now_ns: u64) {
        let passed = now_ns.saturating_sub(self.filled_ns);
        self.level = (self.level + passed as f64 * self.per_ns).min(self.burst);
        self.filled_ns = self.filled_ns.max(now_ns);
    }

    /// None: there is some; otherwise when there will be.
    fn wait_ns(&self, floor: f64) -> Option<u64> {
        if self.level >= floor {
            return None;
        }
        Some(self.filled_ns + ((floor - self.level) / self.per_ns).min(1e18) as u64 + 1)
    }
}

/// What one shard may still do.
#[derive(Clone, Debug)]
pub struct Budget {
    rate: Bucket,
    bytes_rate: Bucket,
    requests_left: u64,
    bytes_left: u64,
}

/// The part of an even split that shard `shard` of `shards` gets.
pub fn part(total: u64, shard: u64, shards: u64) -> u64 {
    total / shards + u64::from(shard < total % shards)
}

impl Budget {
    /// The budget of one shard.
    pub fn new(limits: &Limits, shard: u64, shards: u64, now_ns: u64) -> Self {
        let fraction = 1.0 / shards as f64;
        Self {
            rate: Bucket::new(limits.rate_per_s * fraction, 1.0, now_ns),
            bytes_rate: Bucket::new(limits.bytes_per_s * fraction, 1.0, now_ns),
            requests_left: part(limits.requests, shard, shards),
            bytes_left: part(limits.bytes, shard, shards),
        }
    }

    /// From now on only that part of the rates is allowed; 0 is no rate at all.
    pub fn scale(&mut self, part: f64, now_ns: u64) {
        for bucket in [&mut self.rate, &mut self.bytes_rate] {
            bucket.refill(now_ns);
            bucket.per_ns = bucket.full_per_ns * part;
        }
    }

    /// Asks to start an operation of so many requests that sends so many body bytes.
    pub fn admit(&mut self, now_ns: u64, requests: u64, bytes: u64) -> Verdict {
        if requests > self.requests_left {
            return Verdict::Exhausted(Total::Requests);
        }
        if bytes > self.bytes_left || self.bytes_left == 0 {
            return Verdict::Exhausted(Total::Bytes);
        }
        self.rate.refill(now_ns);
        self.bytes_rate.refill(now_ns);
        // One whole request must be there; of bytes, it is enough to be out of debt.
        let waits = [self.rate.wait_ns(1.0), self.bytes_rate.wait_ns(0.0)];
        if let Some(until_ns) = waits.into_iter().flatten().max() {
            return Verdict::Wait { until_ns };
        }
        self.rate.level -= requests as f64;
        self.requests_left -= requests;
        self.spend_bytes(bytes);
        Verdict::Go
    }

    /// Charges a further request of an operation that started already; false when none is left.
    pub fn spend_request(&mut self) -> bool {
        if self.requests_left == 0 {
            return false;
        }
        self.rate.level -= 1.0;
        self.requests_left -= 1;
        true
    }

    /// Charges body bytes that were received, or found out about later.
    pub fn spend_bytes(&mut self, bytes: u64) {
        self.bytes_rate.level -= bytes as f64;
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn limits() -> Limits {
        Limits {
            rate_per_s: 100.0,
            bytes_per_s: 1e12,
            in_flight: 10,
            requests: 1000,
            bytes: 1_000_000,
            seconds: 60.0,
            connections: 10,
        }
    }

    /// How many one-request operations pass in `seconds` when somebody asks all the time.
    fn passed(budget: &mut Budget, seconds: u64, bytes: u64) -> u64 {
        let (mut now, mut count) = (0, 0);
        while now < seconds * NS_PER_S {
            match budget.admit(now, 1, bytes) {
                Verdict::Go => count += 1,
                Verdict::Wait { until_ns } => {
                    assert!(until_ns > now);
                    now = until_ns;
                }
                Verdict::Exhausted(_) => break,
            }
        }
        count
    }

    #[test]
    fn the_rate_holds_and_is_used() {
        let count = passed(&mut Budget::new(&limits(), 0, 1, 0), 5, 0);
        assert!((499..=501).contains(&count), "{count}");
    }

    #[test]
    fn a_part_of_the_rate_holds_as_well() {
        let mut budget = Budget::new(&limits(), 0, 1, 0);
        budget.scale(0.25, 0);
        let count = passed(&mut budget, 4, 0);
        assert!((99..=101).contains(&count), "{count}");
        budget.scale(0.0, 4 * NS_PER_S);
        let waits = |verdict| matches!(verdict, Verdict::Wait { until_ns } if until_ns > NS_PER_S * 1_000_000);
        assert!(waits(budget.admit(4 * NS_PER_S, 1, 0)));
        budget.scale(1.0, 4 * NS_PER_S);
        assert_eq!(budget.admit(5 * NS_PER_S, 1, 0), Verdict::Go);
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let mut budget = Budget::new(&limits(), 0, 1, 0);
        let later = 100 * NS_PER_S;
        let at_once = (0..50)
            .filter(|_| budget.admit(later, 1, 0) == Verdict::Go)
            .count();
        assert_eq!(at_once, 1);
        assert_eq!(budget.admit(later + 10 * MS, 1, 0), Verdict::Go);
    }

    #[test]
    fn large_steps_run_into_debt_and_are_paid_off() {
        let mut budget = Budget::new(
            &Limits {
                bytes_per_s: 1000.0,
                ..limits()
            },
            0,
            1,
            0,
        );
        let count = passed(&mut budget, 10, 5000);
        assert!((2..=3).contains(&count), "{count}");
    }

    #[test]
    fn received_bytes_count_too() {
        let mut budget = Budget::new(
            &Limits {
                bytes_per_s: 1000.0,
                ..limits()
            },
            0,
            1,
            0,
        );
        assert_eq!(budget.admit(0, 1, 0), Verdict::Go);
        budget.spend_bytes(10_010);
        match budget.admit(20 * MS, 1, 0) {
            Verdict::Wait { until_ns } => {
                assert!(until_ns.abs_diff(10 * NS_PER_S) < 20 * MS, "{until_ns}")
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn totals_are_never_exceeded() {
        let mut budget = Budget::new(
            &Limits {
                requests: 7,
                rate_per_s: 1e9,
                ..limits()
            },
            0,
            1,
            0,
        );
        assert_eq!(passed(&mut budget, 1, 0), 7);
        assert_eq!(
            budget.admit(NS_PER_S, 1, 0),
            Verdict::Exhausted(Total::Requests)
        );
        let mut budget = Budget::new(
            &Limits {
                bytes: 10,
                rate_per_s: 1e9,
                ..limits()
            },
            0,
            1,
            0,
        );
        assert_eq!(budget.admit(0, 1, 11), Verdict::Exhausted(Total::Bytes));
        assert_eq!(budget.admit(0, 1, 0), Verdict::Go);
        budget.spend_bytes(100);
        assert_eq!(budget.admit(MS, 1, 0), Verdict::Exhausted(Total::Bytes));
        let mut budget = Budget::new(
            &Limits {
                requests: 3,
                ..limits()
            },
            0,
            1,
            0,
        );
        assert_eq!(budget.admit(0, 4, 0), Verdict::Exhausted(Total::Requests));
    }

    #[test]
    fn parts_add_up() {
        for (total, shards) in [(10, 3), (2, 4), (0, 2), (7, 7)] {
            assert_eq!(
                (0..shards)
                    .map(|shard| part(total, shard, shards))
                    .sum::<u64>(),
                total
            );
        }
    }
}
