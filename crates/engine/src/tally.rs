//! Per-second latency histograms of one shard.
//!
//! A row is kept for each (second of the due time, operation, outcome) that comes up. Rows move out
//! to be encoded elsewhere and come back to be used again, so that counting allocates nothing once
//! the pool is large enough.

use crate::hist::{self, VALUE_MAX_NS};
use crate::operation::{ErrorClass, Op, OperationRecord, Outcome};
use std::collections::VecDeque;

/// What was timed; the names are those of Python's `LatencyKind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Due to end: what a customer feels.
    Latency,
    /// Send to end: what the target took.
    Service,
    /// Send to first byte of the answer.
    FirstByte,
    /// Due to send: how late the generator was, or how long it had to queue.
    Lag,
    /// Due to noticed: how late the generator was, whatever the target did.
    Schedule,
    /// Begin of a new connection to TCP connected.
    Connect,
    /// TCP connected to TLS agreed.
    Tls,
    /// Connection ready to last byte of the request handed over.
    Send,
    /// Last byte of the request to first byte of the answer.
    Wait,
    /// First byte of the answer to the end.
    Body,
}

impl Kind {
    /// In the order of their places in a row.
    pub const ALL: [Kind; 10] = [
        Kind::Latency,
        Kind::Service,
        Kind::FirstByte,
        Kind::Lag,
        Kind::Schedule,
        Kind::Connect,
        Kind::Tls,
        Kind::Send,
        Kind::Wait,
        Kind::Body,
    ];

    /// The name in Python: `latency`, `service`, `first_byte` …
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Latency => "latency",
            Kind::Service => "service",
            Kind::FirstByte => "first_byte",
            Kind::Lag => "lag",
            Kind::Schedule => "schedule",
            Kind::Connect => "connect",
            Kind::Tls => "tls",
            Kind::Send => "send",
            Kind::Wait => "wait",
            Kind::Body => "body",
        }
    }
}

/// One histogram, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedHistogram {
    /// What was timed.
    pub kind: Kind,
    /// Values in it.
    pub count: u64,
    /// HdrHistogram V2.
    pub hdr: Vec<u8>,
}

/// Everything counted for one (second of the due time, operation, outcome).
#[derive(Clone, Debug)]
pub struct TallyRow {
    /// Unix second of the due time.
    pub second: u64,
    /// What was asked.
    pub op: Op,
    /// Whether it took effect.
    pub outcome: Outcome,
    /// Operations.
    pub count: u64,
    /// Body bytes.
    pub bytes: u64,
    /// Operations by [`ErrorClass::slot`].
    pub errors: [u64; ErrorClass::COUNT],
    /// By the places of [`Kind::ALL`].
    histograms: [hdrhistogram::Histogram<u32>; Kind::ALL.len()],
}

impl TallyRow {
    fn new() -> Self {
        // grows to the largest value that comes; a row that comes back from encoding keeps its size
        let histogram = || {
            let mut histogram =
                hdrhistogram::Histogram::new(hist::DIGITS).expect("three digits are allowed");
            histogram.auto(true);
            histogram
        };
        Self {
            second: 0,
            op: Op::Put,
            outcome: Outcome::Ok,
            count: 0,
            bytes: 0,
            errors: [0; ErrorClass::COUNT],
            histograms: std::array::from_fn(|_| histogram()),
        }
    }

    fn restart(&mut self, second: u64, op: Op, outcome: Outcome) {
        (self.second, self.op, self.outcome, self.count, self.bytes) = (second, op, outcome, 0, 0);
        self.errors = [0; ErrorClass::COUNT];
        for histogram in &mut self.histograms {
            if !histogram.is_empty() {
                histogram.reset();
            }
        }
    }

    fn record(&mut self, operation: &OperationRecord, noticed_ns: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(operation.bytes);
        self.errors[operation.error_class.slot()] += 1;
        // Of several exchanges these moments are those of the first: between them lies no part of a service time.
        let single = |moment_ns| {
            if operation.exchanges <= 1 {
                moment_ns
            } else {
                0
            }
        };
        let ready_ns = operation
            .start_ns
            .max(operation.connected_ns)
            .max(operation.secured_ns);
        let spans = [
            (operation.due_ns, operation.end_ns),
            (operation.start_ns, operation.end_ns),
            (operation.start_ns, operation.first_byte_ns),
            (operation.due_ns, operation.start_ns),
            (operation.due_ns, noticed_ns),
            (operation.start_ns, operation.connected_ns),
            (operation.connected_ns, operation.secured_ns),
            (ready_ns, single(operation.sent_ns)),
            (single(operation.sent_ns), operation.first_byte_ns),
            (single(operation.first_byte_ns), operation.end_ns),
        ];
        for (histogram, (from, to)) in self.histograms.iter_mut().zip(spans) {
            if from != 0 && to != 0 {
                // clocks only go forward here; should one not, the span is zero, not a wrap to
                // centuries. An error would mean that memory for an hour's slots cannot be
                // addressed.
                let recorded = histogram.record(to.saturating_sub(from).min(VALUE_MAX_NS));
                debug_assert!(recorded.is_ok());
            }
        }
    }

    /// Its histograms that are not empty, encoded.
    #[must_use]
    pub fn to_v2(&self) -> Vec<EncodedHistogram> {
        let kinds = Kind::ALL.into_iter().zip(&self.histograms);
        kinds
            .filter(|(_, histogram)| !histogram.is_empty())
            .map(|(kind, histogram)| EncodedHistogram {
                kind,
                count: histogram.len(),
                hdr: hist::encode_v2(histogram),
            })
            .collect()
    }
}

/// The rows of one second.
#[derive(Debug)]
struct Second {
    second: u64,
    rows: [Option<Box<TallyRow>>; Op::COUNT * Outcome::COUNT],
}

/// Rows kept for reuse; beyond this they are freed (a second has at most 108).
const POOL_ROWS_MAX: usize = 256;

/// Counts operations; allocation-free once its pool has grown to what is needed.
#[derive(Debug, Default)]
pub struct Tally {
    /// Seconds with counts, oldest first.
    seconds: VecDeque<Second>,
    #[allow(clippy::vec_box)] // rows move in and out
    pool: Vec<Box<TallyRow>>,
}

impl Tally {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts an operation under the second of its due time; `noticed_ns` is when the shard took it up.
    pub fn record(&mut self, operation: &OperationRecord, noticed_ns: u64) {
        let second = operation.due_ns / 1_000_000_000;
        let place = self.place(second);
        let slot = operation.op as usize * Outcome::COUNT + operation.outcome as usize;
        let row = self.seconds[place].rows[slot].get_or_insert_with(|| {
            let mut row = self.pool.pop().unwrap_or_else(|| Box::new(TallyRow::new()));
            row.restart(second, operation.op, operation.outcome);
            row
        });
        row.record(operation, noticed_ns);
    }

    /// Where the second is, after making a place for it. Nearly always the last or the one before.
    fn place(&mut self, second: u64) -> usize {
        let after = self
            .seconds
            .iter()
            .rposition(|kept| kept.second <= second)
            .map_or(0, |place| place + 1);
        if after > 0 && self.seconds[after - 1].second == second {
            return after - 1;
        }
        self.seconds.insert(
            after,
            Second {
                second,
                rows: std::array::from_fn(|_| None),
            },
        );
        after
    }

    /// Moves all rows out. Send them where encoding may take its time, and give them back
    /// afterwards.
    #[allow(clippy::vec_box)] // a row is a kilobyte, and it moves through channels
    pub fn drain(&mut self) -> Vec<Box<TallyRow>> {
        self.drain_before(u64::MAX)
    }

    /// Moves the rows of seconds before `second` out, oldest first.
    #[allow(clippy::vec_box)]
    pub fn drain_before(&mut self, second: u64) -> Vec<Box<TallyRow>> {
        let done = self.seconds.partition_point(|kept| kept.second < second);
        self.seconds
            .drain(..done)
            .flat_map(|kept| kept.rows)
            .flatten()
            .collect()
    }

    /// Takes used rows back, to count in them again.
    #[allow(clippy::vec_box)]
    pub fn give_back(&mut self, rows: Vec<Box<TallyRow>>) {
        let room = POOL_ROWS_MAX.saturating_sub(self.pool.len());
        self.pool.extend(rows.into_iter().take(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hist::Histogram;

    const SECOND_NS: u64 = 1_000_000_000;

    fn operation(due_ns: u64, service_ns: u64) -> OperationRecord {
        OperationRecord {
            due_ns,
            start_ns: due_ns + 1_000,
            connected_ns: 0,
            secured_ns: 0,
            sent_ns: due_ns + 1_000 + service_ns / 4,
            first_byte_ns: due_ns + 1_000 + service_ns / 2,
            end_ns: due_ns + 1_000 + service_ns,
            key: 0,
            version: 0,
            bytes: 100,
            status: 200,
            op: Op::Get,
            outcome: Outcome::Ok,
            error_class: ErrorClass::None,
            endpoint: 0,
            shard: 0,
            flags: 0,
            tenant: 0,
            exchanges: 1,
            item: 0,
            nth_on_connection: 1,
        }
    }

    fn decoded(row: &TallyRow) -> Vec<(&'static str, u64, u64)> {
        row.to_v2()
            .iter()
            .map(|encoded| {
                let histogram = Histogram::from_v2(&encoded.hdr).unwrap();
                assert_eq!(histogram.count(), encoded.count);
                (encoded.kind.name(), histogram.count(), histogram.max())
            })
            .collect()
    }

    #[test]
    fn splits_by_second_operation_and_outcome() {
        let mut tally = Tally::new();
        tally.record(&operation(5 * SECOND_NS, 500), 0);
        tally.record(&operation(6 * SECOND_NS - 1, 500), 0);
        tally.record(&operation(3 * SECOND_NS, 500), 0);
        let failed = OperationRecord {
            outcome: Outcome::Fail,
            error_class: ErrorClass::SlowDown,
            ..operation(5 * SECOND_NS, 9)
        };
        tally.record(&failed, 0);
        let rows = tally.drain();
        let seen: Vec<_> = rows
            .iter()
            .map(|row| (row.second, row.outcome, row.count, row.bytes))
            .collect();
        assert_eq!(
            seen,
            [
                (3, Outcome::Ok, 1, 100),
                (5, Outcome::Ok, 2, 200),
                (5, Outcome::Fail, 1, 100)
            ]
        );
        assert_eq!(rows[2].errors[ErrorClass::SlowDown.slot()], 1);
        assert_eq!(rows[1].errors[ErrorClass::None.slot()], 2);
        assert!(tally.drain().is_empty());
    }

    #[test]
    fn no_two_kinds_of_operation_share_a_row() {
        let mut tally = Tally::new();
        for op in Op::ALL {
            for outcome in Outcome::ALL {
                tally.record(
                    &OperationRecord {
                        op: *op,
                        outcome: *outcome,
                        ..operation(SECOND_NS, 5)
                    },
                    0,
                );
            }
        }
        let rows = tally.drain();
        assert_eq!(rows.len(), Op::COUNT * Outcome::COUNT);
        assert!(rows.iter().all(|row| row.count == 1));
    }

    #[test]
    fn times_the_spans() {
        let mut tally = Tally::new();
        tally.record(&operation(SECOND_NS, 400), SECOND_NS + 600);
        let expected = [
            ("latency", 1, 1_400),
            ("service", 1, 400),
            ("first_byte", 1, 200),
            ("lag", 1, 1_000),
            ("schedule", 1, 600),
            ("send", 1, 100),
            ("wait", 1, 100),
            ("body", 1, 200),
        ];
        assert_eq!(decoded(&tally.drain()[0]), expected);
        tally.record(
            &OperationRecord {
                connected_ns: SECOND_NS + 1_020,
                secured_ns: SECOND_NS + 1_050,
                ..operation(SECOND_NS, 400)
            },
            0,
        );
        let parts = &decoded(&tally.drain()[0])[4..];
        assert_eq!(
            parts[..3],
            [("connect", 1, 20), ("tls", 1, 30), ("send", 1, 50)]
        );
    }

    #[test]
    fn of_several_exchanges_no_parts_are_timed() {
        let mut tally = Tally::new();
        let upload = OperationRecord {
            exchanges: 4,
            ..operation(SECOND_NS, 400)
        };
        tally.record(&upload, SECOND_NS);
        let kinds: Vec<_> = decoded(&tally.drain()[0]).iter().map(|row| row.0).collect();
        assert!(kinds.contains(&"service") && kinds.contains(&"first_byte"));
        for part in ["send", "wait", "body"] {
            assert!(!kinds.contains(&part), "{kinds:?}");
        }
    }

    #[test]
    fn moments_that_never_came_are_not_timed() {
        let mut tally = Tally::new();
        let dropped = OperationRecord {
            start_ns: 0,
            sent_ns: 0,
            first_byte_ns: 0,
            outcome: Outcome::Dropped,
            error_class: ErrorClass::Backlog,
            ..operation(SECOND_NS, 1_000)
        };
        tally.record(&dropped, 0);
        let unanswered = OperationRecord {
            first_byte_ns: 0,
            outcome: Outcome::Unknown,
            ..operation(SECOND_NS, 1_000)
        };
        tally.record(&unanswered, 0);
        let rows = tally.drain();
        let kinds = |row: &TallyRow| {
            row.to_v2()
                .iter()
                .map(|encoded| encoded.kind.name())
                .collect::<Vec<_>>()
        };
        assert_eq!(kinds(&rows[0]), ["latency", "service", "lag", "send"]);
        assert_eq!(kinds(&rows[1]), ["latency"]);
    }

    #[test]
    fn a_clock_that_went_back_counts_as_zero_and_hours_as_an_hour() {
        let mut tally = Tally::new();
        tally.record(
            &OperationRecord {
                end_ns: SECOND_NS - 5,
                ..operation(SECOND_NS, 0)
            },
            0,
        );
        assert_eq!(decoded(&tally.drain()[0])[0], ("latency", 1, 0));
        tally.record(
            &OperationRecord {
                end_ns: u64::MAX,
                ..operation(SECOND_NS, 0)
            },
            0,
        );
        let (_, _, max) = decoded(&tally.drain()[0])[0];
        assert!(max.abs_diff(VALUE_MAX_NS) <= VALUE_MAX_NS / 1000);
    }

    #[test]
    fn rows_come_back_empty() {
        let mut tally = Tally::new();
        tally.record(&operation(SECOND_NS, 77), 0);
        let rows = tally.drain();
        tally.give_back(rows);
        tally.record(&operation(2 * SECOND_NS, 400), 0);
        assert!(tally.pool.is_empty());
        let rows = tally.drain();
        assert_eq!(
            (rows[0].second, rows[0].count, rows[0].errors[0]),
            (2, 1, 1)
        );
        assert_eq!(decoded(&rows[0])[1], ("service", 1, 400));
    }

    #[test]
    fn drains_only_what_is_past() {
        let mut tally = Tally::new();
        for second in [9, 7, 8] {
            tally.record(&operation(second * SECOND_NS, 10), 0);
        }
        let seconds =
            |rows: Vec<Box<TallyRow>>| rows.iter().map(|row| row.second).collect::<Vec<_>>();
        assert_eq!(seconds(tally.drain_before(9)), [7, 8]);
        assert_eq!(seconds(tally.drain_before(9)), [0; 0]);
        assert_eq!(seconds(tally.drain()), [9]);
    }
}
