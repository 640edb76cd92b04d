//! One shard: one thread, one poll loop, its own connections, choices and counters. Nothing is shared on the way of a
//! request; a few times per second the shard publishes its counters and swaps its mailbox.

mod account;
mod decide;
mod feed;
mod operate;
mod recall;
mod request;
mod slots;
mod slow;
pub(crate) mod thinning;
mod upload;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::calendar::Calendar;
use crate::clock::{Clock, NS_PER_MS, NS_PER_S};
use crate::exhibits::Exhibits;
use crate::flight::upload::Uploads;
use crate::flight::{Flight, Waiting};
use crate::keyspace::{Ephemeral, KeyChooser};
use crate::limits::{part, Budget, Verdict};
use crate::memory::{Deleted, Doubts, Memory, Recent};
use crate::mix::Mix;
use crate::operation::{ErrorClass, Op};
use crate::plan::{ArrivalSpec, Plan};
use crate::sizes::Sizes;
use crate::slow::SlowClients;
use crate::status::{Counter, Counters, Order, Shared};
use crate::tally::Tally;
use crate::wire::request::Encoder;
use crate::wire::{Chance, Target, Wire};
use feed::Feed;
use slots::{Slots, State};
use thinning::Thinning;

/// The loop turns at least this often: orders and the lease are obeyed within it.
const TURN_NS_MAX: u64 = 20 * NS_PER_MS;
/// Counters are published this often.
const PUBLISH_NS: u64 = 20 * NS_PER_MS;
/// The mailbox is filled this often.
const POST_NS: u64 = 250 * NS_PER_MS;

/// Its place among the shards of an engine.
#[derive(Clone, Copy, Debug)]
pub struct Seat {
    /// Which.
    pub index: u64,
    /// Of how many.
    pub count: u64,
}

/// When a run begins.
#[derive(Clone, Copy, Debug)]
pub struct Beginning {
    /// The schedule's zero, Unix nanoseconds.
    pub zero_ns: u64,
    /// The zero, or later: what was due before is left out, and not counted.
    pub from_ns: u64,
}

/// One shard.
pub struct Shard {
    seat: Seat,
    plan: Arc<Plan>,
    shared: Arc<Shared>,
    clock: Clock,
    wire: Wire,
    slots: Slots,
    feed: Feed,
    backlog: VecDeque<Waiting>,
    /// What the front of the backlog is going to do, once that was decided.
    decided: Option<Flight>,
    /// The budget allows nothing before this time.
    hold_until_ns: u64,
    budget: Budget,
    thinning: Thinning,
    encoder: Encoder,
    mix: Mix,
    keys: KeyChooser,
    /// The smallest object that a trace puts; no bound without one.
    traced_min: u64,
    /// Behind the last ephemeral key of a trace; 0 without one.
    traced_end: u64,
    ephemeral: Ephemeral,
    sizes: Sizes,
    slow: SlowClients,
    uploads: Uploads,
    uploads_begun: u64,
    remembers: decide::Remembers,
    /// Of the plan's keys.
    memory: Memory,
    /// Of ephemeral keys.
    young: Memory,
    doubts: Doubts,
    deleted: Deleted,
    /// Keys of multipart objects.
    uploaded: Recent<1024>,
    /// Size of the fixed key's object, once an answer told it.
    fixed_size: u64,
    connecting: Calendar,
    requesting: Calendar,
    /// Connections whose last answer is whole; the server closes them first.
    leaving: Calendar,
    /// Operations of slow clients, that move their next bytes then.
    slow_steps: Calendar,
    connect_ns: u64,
    request_ns: u64,
    late_ns: u64,
    start_ns: u64,
    end_ns: u64,
    /// When the end of arrivals was noticed.
    draining_ns: Option<u64>,
    /// Told to abort: connections are reset, and nothing more is said on them.
    resets: bool,
    tally: Tally,
    records: Vec<u8>,
    counters: Counters,
    examples: Vec<(ErrorClass, String)>,
    exhibits: Exhibits,
    example_seen: [bool; ErrorClass::COUNT],
    scratch: request::Scratch,
}

impl Shard {
    /// A shard that is about to begin its run.
    ///
    /// # Errors
    /// When the kernel gives no poller.
    pub fn new(
        plan: Arc<Plan>,
        targets: Arc<[Target]>,
        shared: Arc<Shared>,
        clock: Clock,
        seat: Seat,
        beginning: Beginning,
    ) -> std::io::Result<Self> {
        let start_ns = beginning.zero_ns;
        let limits = &plan.limits;
        let own = |total: u64| part(total, seat.index, seat.count);
        let connections = own(limits.connections);
        let in_flight = own(limits.in_flight).min(connections);
        let trace = match &plan.arrivals {
            ArrivalSpec::Trace { trace, .. } => Some(trace),
            _ => None,
        };
        let limit_ns = (limits.seconds * NS_PER_S as f64) as u64;
        let resumption = plan.connections.resumption;
        let chance = Chance::new(plan.seed, resumption, seat.index, seat.count);
        Ok(Self {
            seat,
            wire: Wire::new(targets, chance, clock, plan.timeouts)?,
            slots: Slots::new(
                plan.endpoints.len(),
                usize::try_from(connections).unwrap_or(usize::MAX),
                usize::try_from(in_flight).unwrap_or(usize::MAX),
                seat.index as usize,
            ),
            feed: Feed::new(&plan, seat, in_flight, beginning),
            backlog: VecDeque::new(),
            decided: None,
            hold_until_ns: 0,
            budget: Budget::new(limits, seat.index, seat.count, start_ns),
            thinning: Thinning::OFF,
            encoder: Encoder::new(&plan),
            mix: Mix::new(&plan),
            keys: KeyChooser::new(&plan.keyspace, plan.seed),
            traced_min: trace.map_or(u64::MAX, |trace| trace.written_min()),
            traced_end: trace.map_or(0, |trace| trace.ephemeral_end()),
            ephemeral: Ephemeral::new(
                plan.keyspace.ephemeral_start,
                plan.keyspace.ephemeral_lane,
                seat.index,
                seat.count,
            ),
            sizes: Sizes::new(&plan.sizes, plan.seed),
            slow: SlowClients::new(&plan),
            uploads: Uploads::default(),
            uploads_begun: 0,
            remembers: decide::Remembers::of(&plan),
            memory: Memory::default(),
            young: Memory::default(),
            doubts: Doubts::default(),
            deleted: Deleted::default(),
            uploaded: Recent::default(),
            fixed_size: 0,
            connecting: Calendar::default(),
            requesting: Calendar::default(),
            leaving: Calendar::default(),
            slow_steps: Calendar::default(),
            connect_ns: plan.timeouts.connect_ms * NS_PER_MS,
            request_ns: plan.timeouts.request_ms * NS_PER_MS,
            late_ns: (plan.late_ms * NS_PER_MS as f64) as u64,
            start_ns,
            end_ns: start_ns.saturating_add(limit_ns),
            draining_ns: None,
            resets: false,
            tally: Tally::new(),
            records: Vec::new(),
            counters: Counters::default(),
            examples: Vec::new(),
            exhibits: Exhibits::new(plan.slowest as usize),
            example_seen: [false; ErrorClass::COUNT],
            scratch: request::Scratch::default(),
            plan,
            shared,
            clock,
        })
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// When the poller fails, which is a bug or the end of the machine.
    pub fn run(mut self) -> std::io::Result<()> {
        let (mut publish_ns, mut post_ns) = (0, 0);
        let (mut woke_ns, mut held) = (self.clock.now_ns(), 0);
        self.shared.ready(woke_ns);
        let ended = loop {
            let now_ns = self.clock.now_ns();
            // while the events of a turn were worked off, on average half of those that ended had ended
            self.occupy((held + self.in_flight()) as f64 / 2.0, now_ns - woke_ns);
            self.obey(now_ns);
            self.expire(now_ns);
            self.admit(now_ns);
            if now_ns >= publish_ns {
                self.publish();
                publish_ns = now_ns + PUBLISH_NS;
                if now_ns >= post_ns {
                    self.post();
                    post_ns = now_ns + POST_NS;
                }
            }
            if self.is_done() {
                break Ok(());
            }
            let (next_ns, exact) = self.next_ns(now_ns);
            held = self.in_flight();
            let waited = self.wire.poller.wait(next_ns.saturating_sub(now_ns), exact);
            woke_ns = self.clock.now_ns();
            self.occupy(held as f64, woke_ns - now_ns);
            match waited {
                Ok(count) => (0..count).for_each(|index| self.ready(self.wire.poller.ready(index))),
                Err(error) => break Err(error),
            }
        };
        self.abort(self.clock.now_ns());
        self.publish();
        self.post();
        self.show_slowest();
        self.wire.fall_silent(self.seat.count);
        ended
    }

    /// Reads the orders from outside and watches the bounds of the run.
    fn obey(&mut self, now_ns: u64) {
        if now_ns >= self.shared.lease_until_ns() {
            self.shared.command(Order::Stop, "lease");
        }
        if now_ns >= self.end_ns
            && self.draining_ns.is_none()
            && self.feed.goes_beyond(self.end_ns, now_ns)
        {
            self.shared.command(Order::Stop, "limit:seconds");
        }
        let part = self.shared.part();
        if part != self.thinning.part() {
            self.thinning.set(part);
            self.budget.scale(part.ratio(), now_ns);
            self.feed.throttle(part, now_ns);
            self.hold_until_ns = 0;
        }
        match self.shared.order() {
            Order::Run => {}
            Order::Stop => self.drop_backlog(now_ns),
            Order::Abort => {
                self.resets = true;
                self.abort(now_ns);
            }
        }
        let over = self.shared.order() != Order::Run || self.feed.is_over(now_ns);
        if over && self.draining_ns.is_none() {
            self.draining_ns = Some(now_ns);
        }
        // Every operation has its own deadline; this bounds those of many exchanges as well.
        let patience_ns = 2 * self.request_ns + self.connect_ns;
        if self
            .draining_ns
            .is_some_and(|since| now_ns > since + patience_ns)
        {
            self.abort(now_ns);
        }
    }

    fn is_done(&self) -> bool {
        self.draining_ns.is_some() && self.backlog.is_empty() && self.slots.is_quiet()
    }

    /// When the loop must turn next, and whether the moment counts: an arrival comes due, or a ceiling lets go.
    fn next_ns(&mut self, now_ns: u64) -> (u64, bool) {
        let mut pace_ns = u64::MAX;
        if self.draining_ns.is_none() {
            pace_ns = self.feed.next_ns();
        }
        if !self.backlog.is_empty() && self.hold_until_ns > now_ns {
            pace_ns = pace_ns.min(self.hold_until_ns);
        }
        let drop_ns = self
            .backlog
            .front()
            .map_or(u64::MAX, |waiting| waiting.due_ns + self.request_ns + 1);
        let connect_ns = self.connecting.next_ns().unwrap_or(u64::MAX);
        let request_ns = self.requesting.next_ns().unwrap_or(u64::MAX);
        let leave_ns = self.leaving.next_ns().unwrap_or(u64::MAX);
        let slow_ns = self.slow_steps.next_ns().unwrap_or(u64::MAX);
        let other_ns = drop_ns
            .min(slow_ns)
            .min(connect_ns)
            .min(leave_ns)
            .min(request_ns)
            .min(now_ns + TURN_NS_MAX);
        (pace_ns.min(other_ns), pace_ns <= other_ns)
    }

    /// Takes the arrivals that are due and starts what can be started.
    fn admit(&mut self, now_ns: u64) {
        if self.shared.order() == Order::Run {
            let by_clock = self.feed.is_open();
            while let Some((number, due_ns)) = self.feed.due(now_ns.min(self.end_ns - 1)) {
                if by_clock && !self.thinning.passes() {
                    self.counters.count(Counter::Withheld);
                    continue;
                }
                self.counters.count(Counter::Offered);
                self.backlog.push_back(Waiting {
                    number,
                    due_ns,
                    noticed_ns: now_ns,
                    op: match self.feed.row(number) {
                        Some(row) => row.op,
                        None => self.mix.op(number),
                    },
                });
            }
        }
        while self
            .backlog
            .front()
            .is_some_and(|waiting| now_ns > waiting.due_ns + self.request_ns)
        {
            self.drop_front(ErrorClass::Backlog, now_ns);
        }
        // throttled to nothing, what is due waits, too
        while self.hold_until_ns <= now_ns && !self.thinning.part().is_none() {
            let Some(&waiting) = self.backlog.front() else {
                break;
            };
            let Some(place) = self.slots.find() else {
                break;
            };
            let flight = match self.decided {
                Some(flight) => flight,
                None => {
                    let flight = self.decide(waiting);
                    let slow = self.slow.of(flight.op, waiting.number);
                    Flight { slow, ..flight }
                }
            };
            self.decided = Some(flight);
            let (requests, bytes) = self.cost(&flight);
            match self.budget.admit(now_ns, requests, bytes) {
                Verdict::Go => {
                    self.backlog.pop_front();
                    self.decided = None;
                    self.start(place, flight);
                }
                Verdict::Wait { until_ns } => self.hold_until_ns = until_ns,
                Verdict::Exhausted(total) => {
                    self.shared.command(Order::Stop, total.reason());
                    self.drop_backlog(now_ns);
                }
            }
        }
    }

    fn cost(&self, flight: &Flight) -> (u64, u64) {
        match (flight.op, &self.plan.multipart) {
            (Op::Multipart, Some(multipart)) => (u64::from(multipart.parts) + 2, flight.size),
            (Op::MultipartAbort, _) => (4, flight.size),
            (Op::MultipartCopy, _) => (3, 0),
            (Op::AbortedPut, _) => (1, flight.size / 2),
            (op, _) if op.is_put() => (1, flight.size),
            // the further pages of a listing are charged when they come
            _ => (1, 0),
        }
    }

    /// Ends what has taken too long.
    fn expire(&mut self, now_ns: u64) {
        while let Some(number) = self.connecting.expired(now_ns) {
            self.time_out(number, now_ns);
        }
        while let Some(number) = self.requesting.expired(now_ns) {
            self.time_out(number, now_ns);
        }
        while let Some(number) = self.leaving.expired(now_ns) {
            self.close(number);
        }
        while let Some(number) = self.slow_steps.expired(now_ns) {
            self.step_slowly(number, now_ns);
        }
    }

    fn time_out(&mut self, number: u32, now_ns: u64) {
        let slot = self.slots.get(number);
        if let Some(connection) = &slot.connection {
            connection.hurry();
        }
        let (class, text) = match slot.state {
            State::Connecting => {
                self.counters.count(Counter::ConnectFailed);
                (
                    ErrorClass::ConnectTimeout,
                    "no connection within the time allowed",
                )
            }
            _ => (
                ErrorClass::Timeout,
                "no whole answer within the time allowed",
            ),
        };
        self.end_broken(number, class, now_ns, &text);
    }

    /// Closes every connection and ends everything now; first those that have something to say, which the kernel would
    /// go on saying.
    fn abort(&mut self, now_ns: u64) {
        self.drop_backlog(now_ns);
        for number in 0..self.slots.len() {
            let state = self.slots.get(number).state;
            if matches!(state, State::Connecting | State::Busy) {
                self.end_broken(
                    number,
                    ErrorClass::Stopped,
                    now_ns,
                    &"stopped while it was in flight",
                );
            }
        }
        for number in 0..self.slots.len() {
            self.close(number);
        }
    }
}
