//! The rows of a trace: operations that an earlier run carried out, to be asked for again.
//!
//! A trace is handed over beside the plan, packed: 32 bytes for each row, little-endian, in the order of its times.
//!
//! | bytes | what |
//! |---|---|
//! | 0 to 7 | when it is due, nanoseconds after the start; whoever packs it divides by the speed |
//! | 8 to 15 | key number, as in records |
//! | 16 to 23 | bytes of the object that a PUT writes |
//! | 24 | number of the operation |
//! | 25 to 31 | zero |
//!
//! A trace says which operation, on which key, how large; all else is the plan's. The rows are striped like other
//! arrivals, so operations on one key may go to several shards, and are only as far apart as their times say.

use crate::operation::{Key, Op, Region, INDEX_END};
use crate::plan::{Plan, Problem, Share, PUT_BYTES_MAX};
use crate::schedule::{Arrival, Numbers};
use std::fmt;
use std::sync::Arc;

/// Bytes of a row.
pub const ROW_BYTES: usize = 32;
/// A trace with more problems than that shows the first ones.
const PROBLEMS_MAX: usize = 8;

/// What one arrival asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// When it is due, nanoseconds after the start.
    pub due_ns: u64,
    /// On which key.
    pub key: Key,
    /// Bytes that a PUT writes.
    pub size: u64,
    /// What it does.
    pub op: Op,
}

impl Row {
    /// Reads a packed row; None when the operation has no such number, or what should be zero is not.
    fn unpack(bytes: &[u8]) -> Option<Self> {
        let word = |place: usize| {
            let word = bytes.get(place..place + 8)?.try_into().ok()?;
            Some(u64::from_le_bytes(word))
        };
        let row = Self {
            due_ns: word(0)?,
            key: Key(word(8)?),
            size: word(16)?,
            op: Op::from_number(*bytes.get(24)?)?,
        };
        bytes
            .get(25..)?
            .iter()
            .all(|byte| *byte == 0)
            .then_some(row)
    }

    /// It writes one body, whose size is the row's.
    #[must_use]
    pub fn puts(&self) -> bool {
        matches!(
            self.op,
            Op::Put | Op::PresignedPut | Op::PutIfNoneMatch | Op::PutIfMatch | Op::AbortedPut
        )
    }
}

/// Rows that were checked.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Trace {
    rows: Box<[u8]>,
    written_min: u64,
    ephemeral_end: u64,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({} rows)", self.len())
    }
}

impl Trace {
    /// Checks packed rows against the plan that goes with them, which must last for `seconds`.
    ///
    /// # Errors
    /// The first few problems that were found.
    pub fn new(bytes: &[u8], plan: &Plan, seconds: f64) -> Result<Self, Vec<Problem>> {
        let problem = |path: String, what: String, remedy: &str| Problem {
            path,
            what,
            remedy: remedy.to_owned(),
        };
        if bytes.is_empty() || bytes.len() % ROW_BYTES != 0 {
            let what = format!(
                "has {} bytes, not one or more rows of {ROW_BYTES}",
                bytes.len()
            );
            return Err(vec![problem("trace".into(), what, "pack it anew")]);
        }
        let (mut problems, mut before_ns) = (Vec::new(), 0);
        let (mut written_min, mut ephemeral_end) = (u64::MAX, 0);
        for (number, bytes) in bytes.chunks_exact(ROW_BYTES).enumerate() {
            let row = Row::unpack(bytes);
            let found = match row {
                Some(row) => wrong(&row, before_ns, plan, seconds),
                None => Some(("is no row of an operation".into(), "pack it anew")),
            };
            if let Some((what, remedy)) = found {
                problems.push(problem(format!("trace row {number}"), what, remedy));
                if problems.len() == PROBLEMS_MAX {
                    break;
                }
            }
            let Some(row) = row else { continue };
            before_ns = before_ns.max(row.due_ns);
            if row.puts() {
                written_min = written_min.min(row.size);
            }
            if row.key.region() == Some(Region::Ephemeral) {
                ephemeral_end = ephemeral_end.max(row.key.index() + 1);
            }
        }
        if problems.is_empty() {
            Ok(Self {
                rows: bytes.into(),
                written_min,
                ephemeral_end,
            })
        } else {
            Err(problems)
        }
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        (self.rows.len() / ROW_BYTES) as u64
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Row `number`, from 0.
    #[must_use]
    pub fn row(&self, number: u64) -> Option<Row> {
        let start = usize::try_from(number).ok()?.checked_mul(ROW_BYTES)?;
        Row::unpack(self.rows.get(start..start + ROW_BYTES)?)
    }

    /// The smallest object that a PUT of it writes, bytes; `u64::MAX` when it has none.
    #[must_use]
    pub fn written_min(&self) -> u64 {
        self.written_min
    }

    /// The first index of the ephemeral region behind all keys of the trace.
    #[must_use]
    pub fn ephemeral_end(&self) -> u64 {
        self.ephemeral_end
    }
}

/// What is wrong with a row, and what to do.
fn wrong(row: &Row, before_ns: u64, plan: &Plan, seconds: f64) -> Option<(String, &'static str)> {
    let op = row.op.name();
    if row.due_ns < before_ns {
        let what = format!(
            "is due at {} ns, before the row in front ({before_ns} ns)",
            row.due_ns
        );
        Some((what, "sort the rows by their due time"))
    } else if row.due_ns as f64 > seconds * 1e9 {
        let what = format!("is due at {} ns, after the end of the arrivals", row.due_ns);
        Some((
            what,
            "set arrivals.seconds to the time of the last row or more",
        ))
    } else if row.key.region().is_none() || row.key.index() >= INDEX_END {
        Some((
            format!("has the key {:#x}, which no region has", row.key.0),
            "pack it anew",
        ))
    } else if row.puts() && row.size > PUT_BYTES_MAX {
        let what = format!("puts {} bytes, more than one PUT may carry", row.size);
        Some((what, "leave it out"))
    } else if plan.weight(row.op) == 0.0 {
        let what = format!("asks for {op}, which the mix does not have");
        Some((
            what,
            "name every operation of the trace in the mix, with a weight above 0",
        ))
    } else {
        None
    }
}

/// The rows that one shard takes, in their order.
#[derive(Clone, Debug)]
pub struct Traced {
    trace: Arc<Trace>,
    numbers: Numbers,
}

impl Traced {
    /// Of shard `shard` of `shards` in part `share` of the run.
    #[must_use]
    pub fn new(trace: Arc<Trace>, share: Share, shard: u64, shards: u64) -> Self {
        let numbers = Numbers::new(share, shard, shards);
        Self { trace, numbers }
    }

    /// Leaves out what is due before this time, nanoseconds after the start.
    pub fn skip_before(&mut self, due_ns: u64) {
        let due = |number| self.trace.row(number).map(|row| row.due_ns);
        let early = |number| due(number).is_some_and(|due| due < due_ns);
        self.numbers.pass_while(self.trace.len(), early);
    }
}

impl Iterator for Traced {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let number = self.numbers.peek()?;
        let due_ns = self.trace.row(number)?.due_ns;
        self.numbers.pass(1);
        Some(Arrival { number, due_ns })
    }
}

#[cfg(test)]
mod tests;
