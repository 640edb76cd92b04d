//! Which operations have a slow client; pure in (seed, arrival number).

use crate::operation::Op;
use crate::plan::{Plan, Slow};
use crate::rng::{self, Purpose};
use crate::wire::Pace;

/// The slow clients of a plan.
#[derive(Clone, Copy, Debug)]
pub struct SlowClients {
    seed: u64,
    slow: Option<Slow>,
}

impl SlowClients {
    /// Those of a plan.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            seed: plan.seed,
            slow: plan.slow,
        }
    }

    /// How slow the client of arrival `number` is, when it does `op`; None: as fast as it can.
    #[must_use]
    pub fn of(&self, op: Op, number: u64) -> Option<Pace> {
        let slow = self.slow?;
        let (purpose, ratio, pace) = match direction(op) {
            Some(Direction::Reads) => (
                Purpose::SlowReader,
                slow.readers,
                Pace::Reads(slow.read_bytes_per_s),
            ),
            Some(Direction::Writes) => (
                Purpose::SlowWriter,
                slow.writers,
                Pace::Writes(slow.write_bytes_per_s),
            ),
            None => return None,
        };
        (rng::unit(rng::hash(self.seed, purpose, number)) < ratio).then_some(pace)
    }
}

enum Direction {
    Reads,
    Writes,
}

/// Where the bytes of an operation go, when it has any to speak of.
fn direction(op: Op) -> Option<Direction> {
    match op {
        // the right answer is a 404
        Op::GetDeleted => None,
        Op::Multipart | Op::MultipartAbort => Some(Direction::Writes),
        op if op.is_get() || op.is_list() => Some(Direction::Reads),
        op if op.is_put() => Some(Direction::Writes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(readers: f64, writers: f64) -> SlowClients {
        let mut plan = Plan::example();
        plan.slow = Some(Slow {
            readers,
            read_bytes_per_s: 1000,
            writers,
            write_bytes_per_s: 2000,
        });
        SlowClients::new(&plan)
    }

    #[test]
    fn readers_and_writers_keep_their_ratios_and_their_paces() {
        let clients = clients(0.1, 0.4);
        for (op, pace, ratio) in [
            (Op::Get, Pace::Reads(1000), 0.1),
            (Op::Put, Pace::Writes(2000), 0.4),
        ] {
            let slow = (0..20_000).filter_map(|number| clients.of(op, number));
            let slow: Vec<Pace> = slow.collect();
            assert!(slow.iter().all(|other| *other == pace));
            // five standard deviations of a binomial are below 350
            assert!(slow.len().abs_diff((ratio * 20_000.0) as usize) < 350);
        }
        assert!((0..1000).all(|number| clients.of(Op::Head, number).is_none()));
    }

    #[test]
    fn none_and_all() {
        let none = clients(0.0, 0.0);
        let all = clients(1.0, 1.0);
        for number in 0..1000 {
            assert_eq!(none.of(Op::Get, number), None);
            assert!(all.of(Op::Get, number).is_some() && all.of(Op::Put, number).is_some());
        }
        let mut plan = Plan::example();
        plan.slow = None;
        assert_eq!(SlowClients::new(&plan).of(Op::Get, 1), None);
    }
}
