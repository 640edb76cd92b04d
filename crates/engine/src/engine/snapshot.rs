//! What an engine tells of itself.

use crate::operation::ErrorClass;
use crate::status::Counters;

/// Where an engine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not started, or waiting for its start.
    Ready,
    /// Arrivals come.
    Running,
    /// No more arrivals; the last operations end.
    Draining,
    /// Over.
    Done,
}

impl Phase {
    /// As it is shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Done => "done",
        }
    }
}

/// A snapshot.
#[derive(Clone, Debug)]
pub struct Status {
    /// Where it stands.
    pub phase: Phase,
    /// Why it stopped before its plan was done; `completed` when it was not; empty before the end.
    pub stop_reason: String,
    /// Since the schedule's zero.
    pub elapsed_s: f64,
    /// When arrivals really began: the schedule's zero, or later when it lay in the past or a thread was late, Unix
    /// nanoseconds; 0 before.
    pub began_ns: u64,
    /// Sums over the shards.
    pub counters: Counters,
    /// One example text for each error class that came up, the newest last.
    pub examples: Vec<(ErrorClass, String)>,
}

/// One histogram of [`Engine::take_latency`].
#[derive(Clone, Debug)]
pub struct Latency {
    /// Unix second of the due time.
    pub second: u64,
    /// Number of the operation.
    pub op: u8,
    /// Number of the outcome.
    pub outcome: u8,
    /// What was timed.
    pub kind: &'static str,
    /// Values.
    pub count: u64,
    /// HdrHistogram V2, see [`crate::hist::Histogram::from_v2`].
    pub hdr: Vec<u8>,
}
