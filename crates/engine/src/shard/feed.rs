//! Where arrivals come from: a profile that follows the clock (open loop), or operations that end (closed loop). Pure.

use std::collections::VecDeque;
use std::iter::Peekable;

use crate::clock::{NS_PER_MS, NS_PER_S};
use crate::limits::part;
use crate::plan::{ArrivalSpec, Share};
use crate::schedule::{Arrivals, Stripe};

/// Longest pause after connections that failed, closed loop only.
const PAUSE_NS_MAX: u64 = NS_PER_S;

/// The arrivals of one shard.
#[derive(Debug)]
pub enum Feed {
    /// By the clock.
    Open(Open),
    /// One for each that ends.
    Closed(Closed),
}

/// Follows the profile, whatever the target does.
#[derive(Debug)]
pub struct Open {
    stripe: Peekable<Stripe>,
    start_ns: u64,
    end_ns: u64,
}

/// Keeps a number of operations in flight.
#[derive(Debug)]
pub struct Closed {
    /// When places became free.
    free_ns: VecDeque<u64>,
    number: u64,
    stride: u64,
    left: u64,
    end_ns: u64,
    pause_until_ns: u64,
    pauses: u32,
}

impl Feed {
    /// For shard `shard` of `shards`; the run begins at `start_ns`. At most `in_flight` operations run at once here.
    pub fn new(spec: &ArrivalSpec, shard: u64, shards: u64, in_flight: u64, start_ns: u64) -> Self {
        match spec {
            ArrivalSpec::Open { profile, share, .. } => {
                let arrivals = Arrivals::new(profile);
                let end_ns = start_ns.saturating_add(arrivals.duration_ns());
                let stripe = arrivals.stripe(*share, shard, shards).peekable();
                Self::Open(Open {
                    stripe,
                    start_ns,
                    end_ns,
                })
            }
            ArrivalSpec::Closed {
                concurrency,
                seconds,
                requests,
                ..
            } => {
                let places = part(*concurrency, shard, shards).min(in_flight);
                Self::Closed(Closed {
                    free_ns: (0..places).map(|_| start_ns).collect(),
                    number: shard,
                    stride: shards,
                    left: requests.map_or(u64::MAX, |requests| part(requests, shard, shards)),
                    end_ns: start_ns.saturating_add((seconds * NS_PER_S as f64) as u64),
                    pause_until_ns: 0,
                    pauses: 0,
                })
            }
            // refused when the plan is read
            ArrivalSpec::Trace { .. } => Self::Open(Open {
                stripe: Arrivals::new(&[])
                    .stripe(Share { index: 0, count: 1 }, shard, shards)
                    .peekable(),
                start_ns,
                end_ns: start_ns,
            }),
        }
    }

    /// The next arrival that is due by now: (number, due time).
    pub fn due(&mut self, now_ns: u64) -> Option<(u64, u64)> {
        match self {
            Self::Open(open) => {
                let start_ns = open.start_ns;
                let arrival = open
                    .stripe
                    .next_if(|arrival| start_ns + arrival.due_ns <= now_ns)?;
                Some((arrival.number, start_ns + arrival.due_ns))
            }
            Self::Closed(closed) => {
                if closed.left == 0 || now_ns >= closed.end_ns || now_ns < closed.pause_until_ns {
                    return None;
                }
                let freed_ns = closed
                    .free_ns
                    .front()
                    .copied()
                    .filter(|freed_ns| *freed_ns <= now_ns)?;
                closed.free_ns.pop_front();
                closed.left -= 1;
                let number = closed.number;
                closed.number += closed.stride;
                Some((number, freed_ns.max(closed.pause_until_ns)))
            }
        }
    }

    /// When to ask again.
    pub fn next_ns(&mut self) -> u64 {
        match self {
            Self::Open(open) => open
                .stripe
                .peek()
                .map_or(open.end_ns, |arrival| open.start_ns + arrival.due_ns),
            Self::Closed(closed) => closed.free_ns.front().map_or(closed.end_ns, |freed_ns| {
                closed.pause_until_ns.max(*freed_ns)
            }),
        }
    }

    /// No arrival will come any more.
    pub fn is_over(&mut self, now_ns: u64) -> bool {
        match self {
            Self::Open(open) => now_ns >= open.end_ns && open.stripe.peek().is_none(),
            Self::Closed(closed) => now_ns >= closed.end_ns || closed.left == 0,
        }
    }

    /// More would come at or after `end_ns`, which is past.
    pub fn goes_beyond(&mut self, end_ns: u64, now_ns: u64) -> bool {
        let cut = match self {
            Self::Open(_) => self.next_ns() >= end_ns,
            Self::Closed(_) => true,
        };
        cut && !self.is_over(now_ns)
    }

    /// An operation ended: its place is free. `unreachable`: there was no answer at all.
    pub fn freed(&mut self, at_ns: u64, unreachable: bool) {
        let Self::Closed(closed) = self else {
            return;
        };
        closed.free_ns.push_back(at_ns);
        // An open loop keeps its rate; a closed loop would spin on a dead target.
        if !unreachable {
            closed.pauses = 0;
        } else if at_ns >= closed.pause_until_ns {
            closed.pause_until_ns = at_ns + (NS_PER_MS << closed.pauses.min(10)).min(PAUSE_NS_MAX);
            closed.pauses += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(concurrency: u64, requests: Option<u64>, shard: u64, shards: u64) -> Feed {
        let spec = ArrivalSpec::Closed {
            concurrency,
            seconds: 10.0,
            requests,
            think: None,
        };
        Feed::new(&spec, shard, shards, 1000, 100)
    }

    #[test]
    fn a_closed_loop_refills_what_ended_and_counts_its_requests() {
        let mut feed = closed(2, Some(7), 1, 2);
        assert_eq!(feed.due(99), None, "the run has not begun");
        assert_eq!(feed.due(100), Some((1, 100)));
        assert_eq!(feed.due(100), None);
        feed.freed(500, false);
        assert_eq!(feed.due(600), Some((3, 500)));
        feed.freed(700, false);
        assert!(!feed.is_over(700));
        assert_eq!(feed.due(700), Some((5, 700)));
        feed.freed(800, false);
        assert_eq!(feed.due(800), None);
        assert!(feed.is_over(800));
    }

    #[test]
    fn a_closed_loop_pauses_longer_and_longer_on_a_dead_target() {
        let mut feed = closed(1, None, 0, 1);
        let (mut now, mut attempts) = (100, 0);
        while now < 5 * NS_PER_S {
            if feed.due(now).is_some() {
                attempts += 1;
                feed.freed(now, true);
            }
            now = feed.next_ns().max(now + 1);
        }
        assert!((10..20).contains(&attempts), "{attempts}");
        feed.freed(now, false);
        feed.freed(now, true);
        assert_eq!(feed.next_ns(), now + NS_PER_MS);
    }

    #[test]
    fn a_closed_loop_ends_in_time() {
        let mut feed = closed(1, None, 0, 1);
        assert!(feed.is_over(100 + 10 * NS_PER_S));
        assert_eq!(feed.due(100 + 10 * NS_PER_S), None);
    }
}
