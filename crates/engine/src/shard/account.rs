//! The books of a shard: every arrival ends here exactly once, and is handed over a few times per second.

use std::fmt::Display;

use super::slots::Slot;
use super::Shard;
use crate::body::Evidence;
use crate::clock::{thread_cpu_ns, NS_PER_S};
use crate::operation::{
    ErrorClass, Op, OperationRecord, Outcome, FLAG_SAME_REQUEST, OPERATION_RECORD_BYTES,
};
use crate::outcome::outcome_of;
use crate::status::{lock, Counter};

/// Longest example text of an error, bytes.
const EXAMPLE_BYTES_MAX: usize = 300;
/// Histograms that nobody fetched stay with the shard when this many rows wait, and go on counting there.
const ROWS_WAITING_MAX: usize = 1024;
/// Bytes of operation records that may wait to be fetched, over all shards.
const RECORDS_WAITING_BYTES_MAX: usize = 256 << 20;

/// How an operation ended, before it is written down.
pub(super) struct Ending {
    pub class: ErrorClass,
    pub seen_version: u64,
    pub says: String,
    pub evidence: Option<Evidence>,
}

impl Ending {
    pub fn of(class: ErrorClass, says: String) -> Self {
        Self {
            class,
            seen_version: 0,
            says,
            evidence: None,
        }
    }
}

impl Shard {
    /// Ends an operation whose connection is of no use any more.
    pub(super) fn conclude_broken(
        &mut self,
        number: u32,
        class: ErrorClass,
        now_ns: u64,
        why: &dyn Display,
    ) {
        self.example(class, why);
        let says = if self.exhibits.wants(class) {
            why.to_string()
        } else {
            String::new()
        };
        self.conclude(number, Ending::of(class, says), now_ns);
    }

    /// Ends an operation by its whole answer; a good body must also be the right one.
    pub(super) fn conclude_answered(&mut self, number: u32, class: ErrorClass, at_ns: u64) {
        let answer = &mut self.slots.get(number).exchange.answer;
        let mut ending = Ending::of(class, String::new());
        if let Some(verdict) = answer.verdict() {
            ending.seen_version = verdict.version;
            if class == ErrorClass::None {
                ending.class = verdict.class;
            }
            ending.evidence = verdict.evidence;
            if let Some(evidence) = &ending.evidence {
                ending.says = evidence.to_string();
            }
        }
        if ending.class == ErrorClass::None {
            ending = self.compare_with_memory(number, ending.seen_version);
        }
        if ending.says.is_empty() && self.exhibits.wants(ending.class) {
            let answer = &self.slots.get(number).exchange.answer;
            let text = &answer.text[..answer.text.len().min(EXAMPLE_BYTES_MAX)];
            let text = String::from_utf8_lossy(text);
            ending.says = format!("status {} {text}", answer.status);
        }
        if ending.class != ErrorClass::None {
            self.example(ending.class, &ending.says);
        }
        self.conclude(number, ending, at_ns);
    }

    /// Counts and records the end of an operation.
    fn conclude(&mut self, number: u32, ending: Ending, end_ns: u64) {
        let class = ending.class;
        let Slot {
            flight,
            exchange,
            endpoint,
            connection,
            ..
        } = self.slots.get(number);
        if let Some(upload) = self.uploads.get(flight.upload) {
            flight.exchanges = upload.exchanges;
        }
        let sent = connection
            .as_ref()
            .map_or(0, |connection| connection.bytes_sent);
        let exposed = sent > flight.sent_before && flight.may_take_effect();
        let outcome = outcome_of(flight.op, class, exposed);
        let answer = &exchange.answer;
        let declined = class == ErrorClass::None && answer.status >= 300;
        let (version, bytes) = match outcome {
            _ if declined => (0, 0),
            Outcome::Ok if flight.op.makes_version() => (flight.version, flight.size),
            _ if flight.op.makes_version() => (flight.version, 0),
            _ if flight.version != 0 => (flight.version, flight.received + answer.bytes),
            _ => (ending.seen_version, flight.received + answer.bytes),
        };
        let record = OperationRecord {
            due_ns: flight.due_ns,
            start_ns: flight.start_ns,
            connected_ns: flight.connected_ns,
            secured_ns: flight.secured_ns,
            sent_ns: flight.sent_ns,
            first_byte_ns: flight.first_byte_ns,
            end_ns,
            key: flight.key.0,
            version,
            bytes,
            status: answer.status,
            op: flight.op,
            outcome,
            error_class: class,
            endpoint: *endpoint as u8,
            shard: self.seat.index as u8,
            flags: flight.flags(),
            tenant: self.plan.tenant,
            exchanges: flight.exchanges,
            item: 0,
            nth_on_connection: flight.nth_on_connection,
        };
        let flight = *flight;
        let answered = answer.status != 0 || class == ErrorClass::GivenUp;
        if record.outcome != Outcome::Dropped && class != ErrorClass::Stopped {
            self.exhibits.look(&record, &exchange.answer.request_id);
        }
        if self.exhibits.wants(class) {
            let id = &exchange.answer.request_id;
            let Ending { says, evidence, .. } = ending;
            self.exhibits.keep_error(&record, id, says, evidence);
        }
        if flight.reads_living {
            self.ephemeral.end_read(flight.key);
        }
        if flight.op == Op::MultiDelete {
            self.keep_each(number, &record, exposed);
        } else {
            self.remember(number, &record);
            self.count(&record, flight.noticed_ns);
        }
        self.feed
            .freed(end_ns, !answered && class != ErrorClass::Timeout);
    }

    /// Counts and records a MULTI_DELETE: one operation, but a row for each key. The key that fared worst comes first and
    /// stands for the operation.
    fn keep_each(&mut self, number: u32, whole: &OperationRecord, exposed: bool) {
        let deletions = &self.slots.get(number).exchange.answer.deletions;
        let (keys, worst) = (deletions.keys().len(), deletions.worst());
        let noticed_ns = self.slots.get(number).flight.noticed_ns;
        for item in std::iter::once(worst).chain((0..keys).filter(|item| *item != worst)) {
            let deletions = &self.slots.get(number).exchange.answer.deletions;
            let class = deletions.fate(item, whole.error_class);
            let first = item == worst;
            let row = OperationRecord {
                key: deletions.keys()[item].0,
                outcome: outcome_of(whole.op, class, exposed),
                error_class: class,
                item: item as u16,
                flags: whole.flags | if first { 0 } else { FLAG_SAME_REQUEST },
                bytes: if first { whole.bytes } else { 0 },
                ..*whole
            };
            self.remember(number, &row);
            if first {
                if class != ErrorClass::None && whole.error_class == ErrorClass::None {
                    self.example(class, &"of a key of a MULTI_DELETE, by the answer");
                }
                self.count(&row, noticed_ns);
            } else if self.plan.record_operations {
                row.write_to(&mut self.records);
            }
        }
    }

    /// Counts and records one operation that was sent.
    fn count(&mut self, record: &OperationRecord, noticed_ns: u64) {
        self.counters.count(Counter::Completed);
        self.counters.count(match record.outcome {
            Outcome::Ok => Counter::Ok,
            Outcome::Fail => Counter::Fail,
            Outcome::Unknown | Outcome::Dropped => Counter::Unknown,
        });
        self.keep(record, noticed_ns);
    }

    /// Keeps one text for each class.
    pub(super) fn example(&mut self, class: ErrorClass, why: &dyn Display) {
        if !std::mem::replace(&mut self.example_seen[class.slot()], true) {
            self.examples.push((class, why.to_string()));
        }
    }

    /// The arrival in front is never sent.
    pub(super) fn drop_front(&mut self, class: ErrorClass, now_ns: u64) {
        let Some(waiting) = self.backlog.pop_front() else {
            return;
        };
        let flight = self.decided.take();
        match flight {
            Some(flight) if flight.creates => self.ephemeral.created(flight.key, false),
            Some(flight) if flight.reads_living => self.ephemeral.end_read(flight.key),
            _ => {}
        }
        self.counters.count(Counter::Dropped);
        let record = OperationRecord {
            due_ns: waiting.due_ns,
            start_ns: 0,
            connected_ns: 0,
            secured_ns: 0,
            sent_ns: 0,
            first_byte_ns: 0,
            end_ns: now_ns,
            key: flight.map_or(0, |flight| flight.key.0),
            version: 0,
            bytes: 0,
            status: 0,
            op: flight.map_or(waiting.op, |flight| flight.op),
            outcome: Outcome::Dropped,
            error_class: class,
            endpoint: 0,
            shard: self.seat.index as u8,
            flags: 0,
            tenant: self.plan.tenant,
            exchanges: 0,
            item: 0,
            nth_on_connection: 0,
        };
        self.keep(&record, waiting.noticed_ns);
        self.feed.freed(now_ns, false);
    }

    pub(super) fn drop_backlog(&mut self, now_ns: u64) {
        while !self.backlog.is_empty() {
            self.drop_front(ErrorClass::Stopped, now_ns);
        }
    }

    /// Counts and records an operation that is over.
    fn keep(&mut self, record: &OperationRecord, noticed_ns: u64) {
        self.counters.errors[record.error_class.slot()] +=
            u64::from(record.error_class != ErrorClass::None);
        self.tally.record(record, noticed_ns);
        if self.plan.record_operations {
            record.write_to(&mut self.records);
        }
    }

    /// Started and not over.
    pub(super) fn in_flight(&self) -> u64 {
        self.counters.get(Counter::Started) - self.counters.get(Counter::Completed)
    }

    /// So many were in flight for so long. Counted by the turns of the loop, apart from the times of single operations:
    /// Little's law holds one against the other.
    pub(super) fn occupy(&mut self, in_flight: f64, lasted_ns: u64) {
        self.counters
            .add(Counter::InFlightNs, (in_flight * lasted_ns as f64) as u64);
    }

    /// Publishes the counters.
    pub(super) fn publish(&mut self) {
        let in_flight = self.in_flight();
        let counters = &mut self.counters;
        counters.set(Counter::InFlight, in_flight);
        counters.set(Counter::Backlog, self.backlog.len() as u64);
        counters.set(Counter::Connections, self.slots.connections() as u64);
        counters.set(Counter::Connecting, self.connecting.listed());
        counters.set(Counter::CpuNs, thread_cpu_ns());
        let next_index = self.ephemeral.next_index().max(self.traced_end);
        counters.set(Counter::EphemeralNext, next_index);
        counters.set(Counter::Draining, u64::from(self.draining_ns.is_some()));
        self.shared.published[self.seat.index as usize].store(counters);
    }

    /// Hands histograms, records and examples over.
    pub(super) fn post(&mut self) {
        let mut mailbox = lock(&self.shared.mailboxes[self.seat.index as usize]);
        let used = std::mem::take(&mut mailbox.used_rows);
        self.tally.give_back(used);
        if mailbox.rows.len() < ROWS_WAITING_MAX || self.draining_ns.is_some() {
            // The present second goes on; late answers to earlier ones come as further parts.
            let second = if self.draining_ns.is_some() {
                u64::MAX
            } else {
                self.clock.now_ns() / NS_PER_S
            };
            mailbox.rows.append(&mut self.tally.drain_before(second));
        }
        mailbox.examples.append(&mut self.examples);
        mailbox.exhibits.append(&mut self.exhibits.take_errors());
        let room = RECORDS_WAITING_BYTES_MAX / self.seat.count as usize;
        if mailbox.records.is_empty() {
            std::mem::swap(&mut mailbox.records, &mut self.records);
        } else if mailbox.records.len() + self.records.len() <= room {
            mailbox.records.extend_from_slice(&self.records);
        } else {
            self.counters.add(
                Counter::RecordsLost,
                (self.records.len() / OPERATION_RECORD_BYTES) as u64,
            );
        }
        self.records.clear();
    }

    /// Hands the slowest operations over, at the end.
    pub(super) fn show_slowest(&mut self) {
        let slowest = self.exhibits.take_slowest();
        lock(&self.shared.mailboxes[self.seat.index as usize])
            .exhibits
            .extend(slowest);
    }
}
