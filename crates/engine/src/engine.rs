//! The engine: one plan, carried out once by its shards, steered and read from outside.

mod process;
mod snapshot;

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::clock::{Clock, NS_PER_MS, NS_PER_S};
use crate::exhibits::Exhibit;
use crate::operation::ErrorClass;
use crate::plan::{ArrivalSpec, Plan};
use crate::shard::thinning::Part;
use crate::shard::{Beginning, Seat, Shard};
use crate::status::{lock, Counter, Counters, Order, Shared};
use crate::wire::Target;

use process::{raise_descriptors, settle};
pub use snapshot::{Latency, Phase, Status};

/// Between `start` and the first arrival: the threads need a moment to be there.
const LEAD_NS: u64 = 2 * NS_PER_MS;
/// A start further ahead is a mistake of some clock.
const AHEAD_NS_MAX: u64 = 3600 * NS_PER_S;
/// Descriptors that are left to the rest of the process.
const DESCRIPTORS_SPARE: u64 = 256;
/// How often `join` looks.
const JOIN_STEP: Duration = Duration::from_millis(5);

/// The engine refuses to do that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The plan cannot be carried out; one line for each problem.
    #[error("{0}")]
    Plan(String),
    /// Not in this state.
    #[error("{0}")]
    State(String),
}

#[derive(Debug)]
struct Threads {
    handles: Vec<JoinHandle<()>>,
    started: bool,
}

/// One plan and the shards that carry it out.
#[derive(Debug)]
pub struct Engine {
    plan: Arc<Plan>,
    targets: Arc<[Target]>,
    shared: Arc<Shared>,
    clock: Clock,
    shards: u64,
    start_ns: AtomicU64,
    /// The start, or later when it lay in the past.
    from_ns: AtomicU64,
    end_ns: Arc<AtomicU64>,
    threads: Mutex<Threads>,
    examples: Mutex<Vec<(ErrorClass, String)>>,
}

impl Engine {
    /// Reads a plan, resolves its endpoints and reads their certificates. Sends nothing.
    ///
    /// # Errors
    /// [`EngineError::Plan`] with every problem that was found.
    pub fn new(plan_json: &str) -> Result<Self, EngineError> {
        Self::with_trace(plan_json, None)
    }

    /// The same with the packed rows of a [`crate::trace::Trace`], for arrivals that follow one.
    ///
    /// # Errors
    /// [`EngineError::Plan`] with every problem that was found.
    pub fn with_trace(plan_json: &str, trace: Option<&[u8]>) -> Result<Self, EngineError> {
        let plan = Plan::parse_with_trace(plan_json, trace)
            .map_err(|error| EngineError::Plan(error.to_string()))?;
        let (targets, problems): (Vec<_>, Vec<_>) = plan
            .endpoints
            .iter()
            .map(|endpoint| Target::of(endpoint, &plan.s3))
            .partition(Result::is_ok);
        if !problems.is_empty() {
            let lines: Vec<String> = problems.into_iter().filter_map(Result::err).collect();
            return Err(EngineError::Plan(lines.join("\n")));
        }
        let targets: Arc<[Target]> = targets.into_iter().filter_map(Result::ok).collect();
        let stays_here = |target: &Target| target.addresses.iter().all(|at| at.ip().is_loopback());
        if plan.lease_ms.is_none() && !targets.iter().all(stays_here) {
            return Err(EngineError::Plan(
                "$.lease_ms: is null, but not every endpoint is on the loopback interface; give 1 to 5000".into(),
            ));
        }
        // A shard without a connection of its own, or without work of its own, would only lose its part.
        let shards = [
            plan.limits.connections,
            plan.limits.in_flight,
            concurrency(&plan),
        ]
        .into_iter()
        .fold(u64::from(plan.shards), u64::min)
        .max(1);
        Ok(Self {
            plan: Arc::new(plan),
            targets,
            shared: Arc::new(Shared::new(shards as usize)),
            clock: Clock::anchored(),
            shards,
            start_ns: AtomicU64::new(0),
            from_ns: AtomicU64::new(0),
            end_ns: Arc::new(AtomicU64::new(0)),
            threads: Mutex::new(Threads {
                handles: Vec::new(),
                started: false,
            }),
            examples: Mutex::default(),
        })
    }

    /// Starts the shards; the profile begins at `at_ns` (Unix nanoseconds), or now.
    ///
    /// While that lies ahead, nothing is sent, and the lease has to be renewed all the same. If it lies in the past,
    /// what was due before now is left out and not counted.
    ///
    /// # Errors
    /// When it was started before, the start lies more than an hour ahead, or a thread or poller could not be made.
    pub fn start(&self, at_ns: Option<u64>) -> Result<(), EngineError> {
        let mut threads = lock(&self.threads);
        if threads.started {
            return Err(EngineError::State(
                "the engine was started before; make a new one for every run".into(),
            ));
        }
        let soon_ns = self.clock.now_ns() + LEAD_NS;
        let zero_ns = at_ns.unwrap_or(soon_ns);
        if zero_ns > soon_ns + AHEAD_NS_MAX {
            return Err(EngineError::State(format!(
                "a start {} s from now is too far ahead; at most an hour is; compare the clocks",
                (zero_ns - soon_ns) / NS_PER_S
            )));
        }
        threads.started = true;
        raise_descriptors(self.plan.limits.connections + DESCRIPTORS_SPARE);
        let beginning = Beginning {
            zero_ns,
            from_ns: zero_ns.max(soon_ns - LEAD_NS),
        };
        self.start_ns.store(zero_ns, Relaxed);
        self.from_ns.store(beginning.from_ns, Relaxed);
        if let Some(lease_ms) = self.plan.lease_ms {
            self.shared
                .lease(self.clock.now_ns() + lease_ms * NS_PER_MS);
        }
        for index in 0..self.shards {
            match self.launch(
                Seat {
                    index,
                    count: self.shards,
                },
                beginning,
            ) {
                Ok(handle) => threads.handles.push(handle),
                Err(error) => {
                    self.shared
                        .command(Order::Abort, "internal: a shard could not be started");
                    return Err(EngineError::State(format!(
                        "shard {index} could not be started: {error}"
                    )));
                }
            }
        }
        Ok(())
    }

    fn launch(&self, seat: Seat, beginning: Beginning) -> std::io::Result<JoinHandle<()>> {
        let (plan, targets, shared) =
            (self.plan.clone(), self.targets.clone(), self.shared.clone());
        let (clock, end_ns) = (self.clock, self.end_ns.clone());
        std::thread::Builder::new()
            .name(format!("maul-shard-{}", seat.index))
            .spawn(move || {
                settle(&plan, seat.index);
                let run =
                    || Shard::new(plan, targets, shared.clone(), clock, seat, beginning)?.run();
                let ended = std::panic::catch_unwind(AssertUnwindSafe(run));
                let trouble = match ended {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(format!(
                        "internal: the poll loop of shard {} failed: {error}",
                        seat.index
                    )),
                    Err(_) => Some(format!("internal: shard {} panicked", seat.index)),
                };
                if let Some(trouble) = trouble {
                    shared.command(Order::Abort, &trouble);
                }
                end_ns.fetch_max(clock.now_ns(), Relaxed);
            })
    }

    /// A snapshot of the counters, at most a few hundredths of a second old.
    pub fn status(&self) -> Status {
        // Asked first: the counters of an engine that is done are final.
        let done = self.is_done();
        let mut counters = Counters::default();
        for published in &self.shared.published {
            counters.merge(&published.load());
        }
        let phase = self.phase(done, &counters);
        let start_ns = self.start_ns.load(Relaxed);
        let until_ns = if phase == Phase::Done {
            self.end_ns.load(Relaxed)
        } else {
            self.clock.now_ns()
        };
        let elapsed_ns = if start_ns == 0 {
            0
        } else {
            until_ns.saturating_sub(start_ns)
        };
        let mut stop_reason = self.shared.reason();
        if phase == Phase::Done && stop_reason.is_empty() {
            stop_reason.push_str("completed");
        }
        Status {
            phase,
            stop_reason,
            elapsed_s: elapsed_ns as f64 / NS_PER_S as f64,
            began_ns: self.began_ns(until_ns),
            counters,
            examples: self.examples(),
        }
    }

    fn phase(&self, done: bool, counters: &Counters) -> Phase {
        let waits = || {
            let early = self.clock.now_ns() < self.from_ns.load(Relaxed);
            self.shared.order() == Order::Run && early
        };
        if done {
            Phase::Done
        } else if !lock(&self.threads).started || waits() {
            Phase::Ready
        } else if self.shared.order() != Order::Run
            || counters.get(Counter::Draining) == self.shards
        {
            Phase::Draining
        } else {
            Phase::Running
        }
    }

    fn began_ns(&self, until_ns: u64) -> u64 {
        let (from_ns, ready_ns) = (self.from_ns.load(Relaxed), self.shared.ready_ns());
        let began_ns = from_ns.max(ready_ns);
        if ready_ns == 0 || began_ns > until_ns {
            return 0;
        }
        began_ns
    }

    fn examples(&self) -> Vec<(ErrorClass, String)> {
        let mut kept = lock(&self.examples);
        for mailbox in &self.shared.mailboxes {
            for (class, text) in lock(mailbox).examples.drain(..) {
                if !kept.iter().any(|(other, _)| *other == class) {
                    kept.push((class, text));
                }
            }
        }
        kept.clone()
    }

    /// Takes the histograms counted so far. Several of one key are parts of one distribution.
    pub fn take_latency(&self) -> Vec<Latency> {
        let mut taken = Vec::new();
        for mailbox in &self.shared.mailboxes {
            let rows = std::mem::take(&mut lock(mailbox).rows);
            for row in &rows {
                taken.extend(row.to_v2().into_iter().map(|histogram| Latency {
                    second: row.second,
                    op: row.op.number(),
                    outcome: row.outcome.number(),
                    kind: histogram.kind.name(),
                    count: histogram.count,
                    hdr: histogram.hdr,
                }));
            }
            lock(mailbox).used_rows.extend(rows);
        }
        taken
    }

    /// Takes the operation records kept so far, packed as `OPERATION_DTYPE` lays them out; one batch per shard.
    pub fn take_operations(&self) -> Vec<Vec<u8>> {
        self.shared
            .mailboxes
            .iter()
            .map(|mailbox| std::mem::take(&mut lock(mailbox).records))
            .collect()
    }

    /// Takes the operations worth showing: errors as they come, the slowest ones when the engine is done.
    pub fn take_exhibits(&self) -> Vec<Exhibit> {
        let mailboxes = self.shared.mailboxes.iter();
        mailboxes
            .flat_map(|mailbox| std::mem::take(&mut lock(mailbox).exhibits))
            .collect()
    }

    /// Extends the lease to so long from now, at most to the plan's own length; never shortens it.
    ///
    /// # Errors
    /// When that is no time.
    pub fn renew(&self, for_s: Option<f64>) -> Result<(), EngineError> {
        let Some(lease_ms) = self.plan.lease_ms else {
            return Ok(());
        };
        let longest_ns = lease_ms * NS_PER_MS;
        let for_ns = match for_s {
            None => longest_ns,
            Some(seconds) if seconds >= 0.0 => ((seconds * NS_PER_S as f64) as u64).min(longest_ns),
            Some(seconds) => {
                return Err(EngineError::State(format!(
                    "a lease lasts 0 s or longer, not {seconds}"
                )))
            }
        };
        let now_ns = self.clock.now_ns();
        // a lease that is over stays over, also where nobody looked yet
        if now_ns < self.shared.lease_until_ns() {
            self.shared.extend_lease(now_ns + for_ns);
        }
        Ok(())
    }

    /// Sends only that part (0 to 1) of the arrivals from now on, evenly chosen; of a closed loop, keeps that part of
    /// its places busy. Its ceilings of rate and bandwidth shrink with it.
    ///
    /// # Errors
    /// When that is no part.
    pub fn throttle(&self, part: f64) -> Result<(), EngineError> {
        if !(0.0..=1.0).contains(&part) {
            return Err(EngineError::State(format!(
                "a part lies between 0 and 1, not at {part}"
            )));
        }
        self.shared.throttle(Part::new(part));
        Ok(())
    }

    /// No new arrivals; what is under way may end.
    pub fn stop(&self, reason: &str) {
        self.shared.command(
            Order::Stop,
            if reason.is_empty() { "stopped" } else { reason },
        );
    }

    /// Ends everything now; what is under way is recorded as stopped. Connections are reset, and nothing that waited on
    /// them is sent any more: into a black hole it would go out again and again. The resets are paced, see
    /// `wire/farewell.rs`, so the engine is done within a second.
    pub fn abort(&self) {
        self.shared.command(Order::Abort, "aborted");
    }

    /// Waits for the end; true when it came in time.
    pub fn join(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        loop {
            if self.is_done() {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            std::thread::sleep(left.min(JOIN_STEP));
        }
    }

    fn is_done(&self) -> bool {
        let mut threads = lock(&self.threads);
        let done = threads.started && threads.handles.iter().all(JoinHandle::is_finished);
        if done {
            // Joining makes everything that the shards wrote visible here.
            for handle in threads.handles.drain(..) {
                let _ = handle.join();
            }
        }
        done
    }
}

impl Drop for Engine {
    /// No traffic outlives its engine.
    fn drop(&mut self) {
        self.shared.command(Order::Abort, "the engine was dropped");
        for handle in lock(&self.threads).handles.drain(..) {
            // A shard that panicked has said so.
            let _ = handle.join();
        }
    }
}

fn concurrency(plan: &Plan) -> u64 {
    match plan.arrivals {
        ArrivalSpec::Closed { concurrency, .. } => concurrency,
        ArrivalSpec::Open { .. } | ArrivalSpec::Trace { .. } => u64::MAX,
    }
}
