//! What is seen of a running engine from outside: counters that shards publish now and then, and a mailbox per shard.

use std::sync::atomic::{AtomicU64, AtomicU8, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::exhibits::Exhibit;
use crate::operation::ErrorClass;
use crate::shard::thinning::Part;
use crate::tally::TallyRow;

/// Counters of one shard, kept by the shard and published as a whole. All but the gauges only grow.
#[derive(Clone, Copy, Debug)]
pub struct Counters {
    /// Values by [`Counter`].
    pub values: [u64; Counter::COUNT],
    /// Operations by [`ErrorClass::slot`].
    pub errors: [u64; ErrorClass::COUNT],
}

/// Names of the values in [`Counters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// Arrivals that came due, without the withheld ones.
    Offered,
    /// Arrivals that came due while throttled, and were left out for it.
    Withheld,
    /// Operations that were started.
    Started,
    /// Operations that ended with an outcome, drops excluded.
    Completed,
    /// Of these: took effect.
    Ok,
    /// Of these: did not.
    Fail,
    /// Of these: nobody knows.
    Unknown,
    /// Started later than `late_ms` after they were due.
    Late,
    /// Never sent.
    Dropped,
    /// Gauge: started and not over.
    InFlight,
    /// The integral of `InFlight` over time, nanoseconds.
    InFlightNs,
    /// Gauge: due and not started.
    Backlog,
    /// Gauge: open connections.
    Connections,
    /// Gauge: connections that were begun and do not stand yet, TLS and all.
    Connecting,
    /// Connections that were begun and never stood, whatever the reason; not those that we stopped.
    ConnectFailed,
    /// Connections that stood, TLS and all.
    Opened,
    /// Of these: resumed an earlier TLS session.
    Resumed,
    /// Connections that failed because no local port was left: the generator's limit.
    PortsExhausted,
    /// Connections that failed because no descriptor was left: the generator's limit.
    DescriptorsExhausted,
    /// Bytes handed to the kernel.
    BytesSent,
    /// Bytes taken from the kernel.
    BytesReceived,
    /// Processor time of the shard's thread, nanoseconds.
    CpuNs,
    /// Operation records thrown away because nobody fetched them.
    RecordsLost,
    /// Gauge: first ephemeral index that is still free.
    EphemeralNext,
    /// Versions given out.
    VersionsUsed,
    /// Gauge: 1 when no arrival will come any more.
    Draining,
}

impl Counter {
    /// How many there are.
    pub const COUNT: usize = Self::Draining as usize + 1;
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            values: [0; Counter::COUNT],
            errors: [0; ErrorClass::COUNT],
        }
    }
}

impl Counters {
    /// One more.
    #[inline]
    pub fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    /// So many more.
    #[inline]
    pub fn add(&mut self, counter: Counter, amount: u64) {
        self.values[counter as usize] += amount;
    }

    /// Sets a gauge.
    pub fn set(&mut self, counter: Counter, value: u64) {
        self.values[counter as usize] = value;
    }

    /// Reads one.
    pub fn get(&self, counter: Counter) -> u64 {
        self.values[counter as usize]
    }

    /// Adds those of another shard; `EphemeralNext` is the larger one.
    pub fn merge(&mut self, other: &Self) {
        let ephemeral = self
            .get(Counter::EphemeralNext)
            .max(other.get(Counter::EphemeralNext));
        for (sum, value) in self.values.iter_mut().zip(other.values) {
            *sum += value;
        }
        for (sum, value) in self.errors.iter_mut().zip(other.errors) {
            *sum += value;
        }
        self.set(Counter::EphemeralNext, ephemeral);
    }
}

/// The published copy of a shard's counters. Single values are exact; two of them may be from different moments.
#[derive(Debug)]
pub struct Published {
    values: [AtomicU64; Counter::COUNT],
    errors: [AtomicU64; ErrorClass::COUNT],
}

impl Default for Published {
    fn default() -> Self {
        Self {
            values: [const { AtomicU64::new(0) }; Counter::COUNT],
            errors: [const { AtomicU64::new(0) }; ErrorClass::COUNT],
        }
    }
}

impl Published {
    /// By the shard.
    pub fn store(&self, counters: &Counters) {
        for (place, value) in self.values.iter().zip(counters.values) {
            place.store(value, Relaxed);
        }
        for (place, value) in self.errors.iter().zip(counters.errors) {
            place.store(value, Relaxed);
        }
    }

    /// By anybody.
    pub fn load(&self) -> Counters {
        let mut counters = Counters::default();
        for (value, place) in counters.values.iter_mut().zip(&self.values) {
            *value = place.load(Relaxed);
        }
        for (value, place) in counters.errors.iter_mut().zip(&self.errors) {
            *value = place.load(Relaxed);
        }
        counters
    }
}

/// What a shard hands over a few times per second.
#[derive(Debug, Default)]
pub struct Mailbox {
    /// Packed operation records.
    pub records: Vec<u8>,
    /// Counted operations.
    pub rows: Vec<Box<TallyRow>>,
    /// Rows that were read, for the shard to use again.
    pub used_rows: Vec<Box<TallyRow>>,
    /// Operations worth showing.
    pub exhibits: Vec<Exhibit>,
    /// One example for each error class that came up.
    pub examples: Vec<(ErrorClass, String)>,
}

/// How far an engine is told to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Order {
    /// Go on.
    Run = 0,
    /// Start nothing more; finish what is under way.
    Stop = 1,
    /// Close everything now.
    Abort = 2,
}

/// Shared by the shards and the outside. Shards read three atomics per turn of their loops and take no lock per request.
#[derive(Debug, Default)]
pub struct Shared {
    order: AtomicU8,
    reason: Mutex<String>,
    lease_until_ns: AtomicU64,
    /// The part that is sent, as [`Part::bits`].
    part: AtomicU64,
    /// When the last shard was there.
    ready_ns: AtomicU64,
    /// One per shard.
    pub published: Vec<Published>,
    /// One per shard.
    pub mailboxes: Vec<Mutex<Mailbox>>,
}

/// A lock that a panicked shard left behind still guards whole values: they are only ever swapped.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// For so many shards.
    pub fn new(shards: usize) -> Self {
        Self {
            lease_until_ns: AtomicU64::new(u64::MAX),
            part: AtomicU64::new(Part::WHOLE.bits()),
            published: (0..shards).map(|_| Published::default()).collect(),
            mailboxes: (0..shards).map(|_| Mutex::default()).collect(),
            ..Self::default()
        }
    }

    /// The present order.
    pub fn order(&self) -> Order {
        match self.order.load(Relaxed) {
            0 => Order::Run,
            1 => Order::Stop,
            _ => Order::Abort,
        }
    }

    /// Orders at least this much; the first reason stays.
    pub fn command(&self, order: Order, reason: &str) {
        let mut kept = lock(&self.reason);
        if kept.is_empty() {
            kept.push_str(reason);
        }
        self.order.fetch_max(order as u8, Relaxed);
    }

    /// Why it stopped; empty while nothing stopped it.
    pub fn reason(&self) -> String {
        lock(&self.reason).clone()
    }

    /// When the lease ends, Unix nanoseconds.
    pub fn lease_until_ns(&self) -> u64 {
        self.lease_until_ns.load(Relaxed)
    }

    /// Sets the end of the lease.
    pub fn lease(&self, until_ns: u64) {
        self.lease_until_ns.store(until_ns, Relaxed);
    }

    /// Puts the end of the lease off; never brings it forward.
    pub fn extend_lease(&self, until_ns: u64) {
        self.lease_until_ns.fetch_max(until_ns, Relaxed);
    }

    /// The part of the arrivals that is to be sent.
    pub fn part(&self) -> Part {
        Part::from_bits(self.part.load(Relaxed))
    }

    /// Sends that part only, from now on.
    pub fn throttle(&self, part: Part) {
        self.part.store(part.bits(), Relaxed);
    }

    /// A shard is there.
    pub fn ready(&self, now_ns: u64) {
        self.ready_ns.fetch_max(now_ns, Relaxed);
    }

    /// When the last shard was there, Unix nanoseconds.
    pub fn ready_ns(&self) -> u64 {
        self.ready_ns.load(Relaxed)
    }
}
