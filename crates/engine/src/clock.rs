//! Unix time carried forward by the monotonic clock: a step of the wall clock cannot bend a run.

use rustix::time::{clock_gettime, ClockId};

/// Nanoseconds in a second.
pub const NS_PER_S: u64 = 1_000_000_000;
/// Nanoseconds in a millisecond.
pub const NS_PER_MS: u64 = 1_000_000;

fn read_ns(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    // Neither clock is ever negative on a running machine.
    (time.tv_sec as u64)
        .wrapping_mul(NS_PER_S)
        .wrapping_add(time.tv_nsec as u64)
}

/// A clock anchored once; all shards of an engine carry the same copy.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    offset_ns: u64,
}

impl Clock {
    /// Anchors the monotonic clock to the wall clock of this moment.
    pub fn anchored() -> Self {
        let monotonic = read_ns(ClockId::Monotonic);
        Self {
            offset_ns: read_ns(ClockId::Realtime).wrapping_sub(monotonic),
        }
    }

    /// Unix time in nanoseconds.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        read_ns(ClockId::Monotonic).wrapping_add(self.offset_ns)
    }
}

/// Processor time that the calling thread has used so far, in nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    read_ns(ClockId::ThreadCPUTime)
}
