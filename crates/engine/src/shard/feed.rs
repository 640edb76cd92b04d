//! Where arrivals come from: a profile or a trace that follows the clock (open loop), or operations that end (closed
//! loop). Pure.

mod closed;

use std::iter::Peekable;
use std::sync::Arc;

use crate::clock::NS_PER_S;
use crate::plan::{ArrivalSpec, Plan, Process};
use crate::schedule::{Arrival, Arrivals, Poisson, Stripe};
use crate::shard::thinning::Part;
use crate::shard::{Beginning, Seat};
use crate::trace::{Row, Trace, Traced};
use closed::Closed;

/// The arrivals of one shard.
#[derive(Debug)]
pub enum Feed {
    /// By the clock.
    Open(Box<Open>),
    /// One for each that ends.
    Closed(Closed),
}

/// Follows the profile, whatever the target does.
#[derive(Debug)]
pub struct Open {
    source: Peekable<Source>,
    start_ns: u64,
    end_ns: u64,
    /// What the arrivals ask for, if it was not for the mix to say.
    trace: Option<Arc<Trace>>,
}

#[derive(Debug)]
enum Source {
    Even(Stripe),
    Poisson(Poisson),
    Trace(Traced),
}

impl Source {
    /// Leaves out what is due before this time, nanoseconds after the start.
    fn skip_before(&mut self, due_ns: u64) {
        match self {
            Self::Even(stripe) => stripe.skip_before(due_ns),
            Self::Poisson(poisson) => poisson.skip_before(due_ns),
            Self::Trace(traced) => traced.skip_before(due_ns),
        }
    }
}

impl Iterator for Source {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        match self {
            Self::Even(stripe) => stripe.next(),
            Self::Poisson(poisson) => poisson.next(),
            Self::Trace(traced) => traced.next(),
        }
    }
}

impl Feed {
    /// For the shard of this seat. At most `in_flight` operations run at once here.
    pub fn new(plan: &Plan, seat: Seat, in_flight: u64, beginning: Beginning) -> Self {
        let (shard, shards, start_ns) = (seat.index, seat.count, beginning.zero_ns);
        let open = |mut source: Source, length_ns, trace| {
            if beginning.from_ns > start_ns {
                source.skip_before(beginning.from_ns - start_ns);
            }
            Self::Open(Box::new(Open {
                source: source.peekable(),
                start_ns,
                end_ns: start_ns.saturating_add(length_ns),
                trace,
            }))
        };
        match &plan.arrivals {
            ArrivalSpec::Open {
                profile,
                process,
                share,
            } => {
                let arrivals = Arrivals::new(profile);
                let source = match process {
                    Process::Even => Source::Even(arrivals.stripe(*share, shard, shards)),
                    Process::Poisson => {
                        Source::Poisson(arrivals.poisson(plan.seed, *share, shard, shards))
                    }
                };
                open(source, arrivals.duration_ns(), None)
            }
            ArrivalSpec::Trace {
                seconds,
                share,
                trace,
            } => {
                let source = Source::Trace(Traced::new(trace.clone(), *share, shard, shards));
                open(
                    source,
                    (seconds * NS_PER_S as f64) as u64,
                    Some(trace.clone()),
                )
            }
            ArrivalSpec::Closed { .. } => Self::Closed(Closed::new(
                plan,
                seat,
                in_flight,
                start_ns,
                beginning.from_ns,
            )),
        }
    }

    /// The next arrival that is due by now: (number, due time).
    pub fn due(&mut self, now_ns: u64) -> Option<(u64, u64)> {
        match self {
            Self::Open(open) => {
                let start_ns = open.start_ns;
                let arrival = open
                    .source
                    .next_if(|arrival| start_ns + arrival.due_ns <= now_ns)?;
                Some((arrival.number, start_ns + arrival.due_ns))
            }
            Self::Closed(closed) => closed.due(now_ns),
        }
    }

    /// Only that part of it is to be sent from now on. Of arrivals by the clock, the caller leaves out the others.
    pub fn throttle(&mut self, part: Part, now_ns: u64) {
        if let Self::Closed(closed) = self {
            closed.throttle(part, now_ns);
        }
    }

    /// Its arrivals come whatever becomes of those before.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// What an arrival asks for, when a trace says it.
    pub fn row(&self, number: u64) -> Option<Row> {
        match self {
            Self::Open(open) => open.trace.as_ref()?.row(number),
            Self::Closed(_) => None,
        }
    }

    /// When to ask again.
    pub fn next_ns(&mut self) -> u64 {
        match self {
            Self::Open(open) => open
                .source
                .peek()
                .map_or(open.end_ns, |arrival| open.start_ns + arrival.due_ns),
            Self::Closed(closed) => closed.next_ns(),
        }
    }

    /// No arrival will come any more.
    pub fn is_over(&mut self, now_ns: u64) -> bool {
        match self {
            Self::Open(open) => now_ns >= open.end_ns && open.source.peek().is_none(),
            Self::Closed(closed) => closed.is_over(now_ns),
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
        if let Self::Closed(closed) = self {
            closed.freed(at_ns, unreachable);
        }
    }
}
