//! The closed loop: a number of places, each with one operation after the other, and a pause for thought between them.
//! While it is throttled, fewer of the places are open; who is ready meanwhile is not kept waiting on the books: an
//! operation is due when its place is ready and open.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::clock::{NS_PER_MS, NS_PER_S};
use crate::limits::part;
use crate::plan::{ArrivalSpec, Plan, Think};
use crate::rng::{self, Purpose};
use crate::shard::thinning::Part;
use crate::shard::Seat;

/// Longest pause after connections that failed.
const PAUSE_NS_MAX: u64 = NS_PER_S;

/// Keeps a number of operations in flight.
#[derive(Debug)]
pub struct Closed {
    /// The operations that free places begin next, the earliest first: when, and its number.
    ready: BinaryHeap<Reverse<(u64, u64)>>,
    /// The number of the next operation that a place gets.
    number: u64,
    stride: u64,
    places: u64,
    /// How many operations may be under way at once.
    open: u64,
    under_way: u64,
    /// Since when fewer are under way than may be.
    open_since_ns: u64,
    /// How many more get a place.
    left: u64,
    end_ns: u64,
    pause_until_ns: u64,
    pauses: u32,
    seed: u64,
    think: Option<Think>,
}

impl Closed {
    /// `from_ns`: the first operations begin then; not before `start_ns`, from where the end is reckoned.
    pub fn new(plan: &Plan, seat: Seat, in_flight: u64, start_ns: u64, from_ns: u64) -> Self {
        let (shard, shards) = (seat.index, seat.count);
        let ArrivalSpec::Closed {
            concurrency,
            seconds,
            requests,
            think,
        } = plan.arrivals
        else {
            unreachable!("the feed asks for what the plan has")
        };
        let lane = plan.keyspace.ephemeral_lane;
        let places = part(concurrency, shard, shards).min(in_flight);
        let mut closed = Self {
            ready: BinaryHeap::with_capacity(places as usize),
            // engines side by side do not all ask for the same
            number: lane.index + lane.count * shard,
            stride: lane.count * shards,
            places,
            open: places,
            under_way: 0,
            open_since_ns: 0,
            left: requests.map_or(u64::MAX, |requests| part(requests, shard, shards)),
            end_ns: start_ns.saturating_add((seconds * NS_PER_S as f64) as u64),
            pause_until_ns: 0,
            pauses: 0,
            seed: plan.seed,
            think,
        };
        (0..places).for_each(|_| closed.give_next(from_ns));
        closed
    }

    /// Opens that part of the places, at least one unless it is none of them.
    pub fn throttle(&mut self, part: Part, now_ns: u64) {
        let was_full = self.under_way >= self.open;
        self.open = part.of(self.places).max(u64::from(!part.is_none()));
        if was_full && self.under_way < self.open {
            self.open_since_ns = now_ns;
        }
    }

    pub fn due(&mut self, now_ns: u64) -> Option<(u64, u64)> {
        if now_ns >= self.end_ns || now_ns < self.pause_until_ns || self.under_way >= self.open {
            return None;
        }
        let Reverse((ready_ns, number)) = *self.ready.peek()?;
        if ready_ns > now_ns {
            return None;
        }
        self.ready.pop();
        self.under_way += 1;
        Some((
            number,
            ready_ns.max(self.pause_until_ns).max(self.open_since_ns),
        ))
    }

    pub fn next_ns(&self) -> u64 {
        if self.under_way >= self.open {
            return self.end_ns;
        }
        let ready_ns = self.ready.peek().map(|Reverse((ready_ns, _))| *ready_ns);
        ready_ns.map_or(self.end_ns, |ready_ns| {
            self.pause_until_ns.max(ready_ns).min(self.end_ns)
        })
    }

    pub fn is_over(&self, now_ns: u64) -> bool {
        now_ns >= self.end_ns || self.left == 0 && self.ready.is_empty()
    }

    pub fn freed(&mut self, at_ns: u64, unreachable: bool) {
        if self.under_way == self.open {
            self.open_since_ns = at_ns;
        }
        self.under_way = self.under_way.saturating_sub(1);
        let thought_ns = self.thinking_ns(self.number);
        self.give_next(at_ns.saturating_add(thought_ns));
        // An open loop keeps its rate; a closed loop would spin on a dead target.
        if !unreachable {
            self.pauses = 0;
        } else if at_ns >= self.pause_until_ns {
            self.pause_until_ns = at_ns + (NS_PER_MS << self.pauses.min(10)).min(PAUSE_NS_MAX);
            self.pauses += 1;
        }
    }

    /// A place gets the next operation, to begin at this time.
    fn give_next(&mut self, ready_ns: u64) {
        if self.left > 0 {
            self.left -= 1;
            self.ready.push(Reverse((ready_ns, self.number)));
            self.number += self.stride;
        }
    }

    /// How long is thought before operation `number`; pure in the seed and the number.
    fn thinking_ns(&self, number: u64) -> u64 {
        let Some(think) = self.think else { return 0 };
        let times = if think.exponential {
            rng::exponential(rng::hash(self.seed, Purpose::Think, number))
        } else {
            1.0
        };
        (think.mean_ms * NS_PER_MS as f64 * times) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(concurrency: u64, requests: Option<u64>, think: Option<Think>) -> Closed {
        of_shard(concurrency, requests, think, 0, 1)
    }

    fn of_shard(
        concurrency: u64,
        requests: Option<u64>,
        think: Option<Think>,
        shard: u64,
        shards: u64,
    ) -> Closed {
        let mut plan = Plan::example();
        plan.arrivals = ArrivalSpec::Closed {
            concurrency,
            seconds: 10.0,
            requests,
            think,
        };
        let seat = Seat {
            index: shard,
            count: shards,
        };
        Closed::new(&plan, seat, 1000, 100, 100)
    }

    #[test]
    fn a_throttled_loop_has_fewer_places_and_blames_nobody_for_it() {
        let mut feed = closed(4, None, None);
        (0..4).for_each(|_| assert!(feed.due(100).is_some()));
        feed.throttle(Part::new(0.5), 150);
        feed.freed(200, false);
        feed.freed(210, false);
        assert_eq!(feed.due(300), None, "two are under way, and two may be");
        feed.freed(220, false);
        assert_eq!(feed.due(300), Some((4, 220)), "due when a place was free");
        assert_eq!((feed.due(300), feed.next_ns()), (None, feed.end_ns));
        feed.throttle(Part::new(0.1), 400);
        feed.freed(500, false);
        assert_eq!(feed.due(500), None);
        feed.freed(600, false);
        assert_eq!(feed.due(700), Some((5, 600)), "one place is left");
        feed.throttle(Part::new(0.0), 800);
        feed.freed(900, false);
        assert_eq!(feed.due(2000), None);
        feed.throttle(Part::WHOLE, 5000);
        let due: Vec<_> = (0..5).map(|_| feed.due(5000)).collect();
        let expected = [6, 7, 8, 9].map(|number| Some((number, 5000)));
        assert_eq!(due[..4], expected);
        assert_eq!(due[4], None);
    }

    #[test]
    fn lanes_number_their_operations_apart_and_late_ones_begin_late() {
        let mut plan = Plan::example();
        plan.arrivals = ArrivalSpec::Closed {
            concurrency: 1,
            seconds: 10.0,
            requests: None,
            think: None,
        };
        plan.keyspace.ephemeral_lane = crate::plan::Lane { index: 2, count: 3 };
        let seat = Seat { index: 1, count: 2 };
        let mut feed = Closed::new(&plan, seat, 10, 100, 100);
        assert_eq!(feed.due(100), None, "the other shard has the only place");
        plan.arrivals = ArrivalSpec::Closed {
            concurrency: 2,
            seconds: 10.0,
            requests: None,
            think: None,
        };
        let mut feed = Closed::new(&plan, seat, 10, 100, 5000);
        assert_eq!(feed.due(4999), None);
        assert_eq!(feed.due(6000), Some((5, 5000)));
        feed.freed(7000, false);
        assert_eq!(feed.due(7000), Some((11, 7000)));
        assert_eq!(feed.end_ns, 100 + 10 * NS_PER_S);
    }

    #[test]
    fn refills_what_ended_and_counts_its_requests() {
        let mut feed = of_shard(2, Some(7), None, 1, 2);
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
    fn pauses_longer_and_longer_on_a_dead_target() {
        let mut feed = closed(1, None, None);
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
    fn ends_in_time() {
        let mut feed = closed(1, None, None);
        let end_ns = 100 + 10 * NS_PER_S;
        assert!(feed.is_over(end_ns));
        assert_eq!(feed.due(end_ns), None);
        let thought = Think {
            mean_ms: 3e6,
            exponential: false,
        };
        let mut feed = closed(1, None, Some(thought));
        assert_eq!(
            feed.due(100),
            Some((0, 100)),
            "nothing to think about at first"
        );
        feed.freed(200, false);
        assert_eq!(
            feed.next_ns(),
            end_ns,
            "who thinks beyond the end is not waited for"
        );
    }

    #[test]
    fn thinks_before_every_operation_but_the_first() {
        let think = Think {
            mean_ms: 3.0,
            exponential: false,
        };
        let mut feed = closed(2, Some(4), Some(think));
        assert_eq!(
            (feed.due(100), feed.due(100)),
            (Some((0, 100)), Some((1, 100)))
        );
        feed.freed(1000, false);
        feed.freed(500, false);
        assert_eq!(feed.due(3 * NS_PER_MS), None);
        assert_eq!(feed.next_ns(), 3 * NS_PER_MS + 500);
        // whoever is ready first begins first
        assert_eq!(feed.due(4 * NS_PER_MS), Some((3, 3 * NS_PER_MS + 500)));
        assert_eq!(feed.due(4 * NS_PER_MS), Some((2, 3 * NS_PER_MS + 1000)));
        assert!(feed.is_over(4 * NS_PER_MS), "all four were given out");
    }

    #[test]
    fn thoughts_are_exponential_and_pure() {
        let think = Think {
            mean_ms: 8.0,
            exponential: true,
        };
        let feed = closed(1, None, Some(think));
        let draws = 20_000u64;
        let times: Vec<f64> = (0..draws)
            .map(|n| feed.thinking_ns(n) as f64 / 8e6)
            .collect();
        let mean = times.iter().sum::<f64>() / draws as f64;
        assert!((mean - 1.0).abs() < 5.0 / (draws as f64).sqrt(), "{mean}");
        for (beyond, expected) in [(0.1, 0.904_837), (1.0, 0.367_879), (3.0, 0.049_787)] {
            let part = times.iter().filter(|time| **time > beyond).count() as f64 / draws as f64;
            assert!((part - expected).abs() < 0.02, "{beyond}: {part}");
        }
        assert_eq!(
            feed.thinking_ns(7),
            closed(5, None, Some(think)).thinking_ns(7)
        );
    }
}
