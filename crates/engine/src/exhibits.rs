//! Exhibits: single operations that are kept with their request ids, so that whoever runs the target can look them up:
//! the slowest ones, and the first ones of each way to go wrong.

use crate::body::Evidence;
use crate::operation::{ErrorClass, Op, OperationRecord};

/// Longest request id that is kept, bytes; those of AWS have 16, those of Ceph about 50.
pub const REQUEST_ID_BYTES_MAX: usize = 64;
/// How many operations of one error class a shard keeps.
pub const ERRORS_MAX: u8 = 20;

/// Why it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// One of the slowest of its kind, counted from its due time.
    Slowest,
    /// One of the first that went wrong in this way.
    Error,
}

impl Reason {
    /// The name in Python.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slowest => "slowest",
            Self::Error => "error",
        }
    }
}

/// One operation worth showing.
#[derive(Clone, Debug, PartialEq)]
pub struct Exhibit {
    /// Why it was kept.
    pub reason: Reason,
    /// All numbers about it.
    pub record: OperationRecord,
    /// The `x-amz-request-id` of its last answer; empty where none came.
    pub request_id: String,
    /// What the target or the network said; empty where nothing was wrong.
    pub says: String,
    /// What is wrong with the body, where that was checked.
    pub evidence: Option<Evidence>,
}

/// A request id without a heap.
#[derive(Clone, Copy, Debug)]
struct RequestId {
    length: u8,
    bytes: [u8; REQUEST_ID_BYTES_MAX],
}

impl RequestId {
    fn new(id: &[u8]) -> Self {
        let mut bytes = [0; REQUEST_ID_BYTES_MAX];
        let length = id.len().min(REQUEST_ID_BYTES_MAX);
        bytes[..length].copy_from_slice(&id[..length]);
        Self {
            length: length as u8,
            bytes,
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes[..usize::from(self.length)]).into_owned()
    }
}

/// The slowest operations of one kind: a heap would order them all, here only the fastest of them must be known.
#[derive(Debug, Default)]
struct Slowest {
    kept: Vec<(u64, OperationRecord, RequestId)>,
    /// Once there are as many as wanted: what must be exceeded, and who would go.
    floor: Option<(u64, usize)>,
}

impl Slowest {
    fn offer(&mut self, most: usize, latency_ns: u64, record: &OperationRecord, id: &[u8]) {
        match self.floor {
            Some((least, _)) if latency_ns <= least => return,
            Some((_, place)) => self.kept[place] = (latency_ns, *record, RequestId::new(id)),
            None => self.kept.push((latency_ns, *record, RequestId::new(id))),
        }
        if self.kept.len() >= most {
            let latencies = self.kept.iter().map(|(latency_ns, ..)| *latency_ns);
            self.floor = latencies
                .enumerate()
                .map(|(place, latency_ns)| (latency_ns, place))
                .min();
        }
    }
}

/// What one shard keeps; allocates nothing for an operation that is not worth keeping.
#[derive(Debug)]
pub struct Exhibits {
    slowest_max: usize,
    slowest: [Slowest; Op::COUNT],
    errors_seen: [u8; ErrorClass::COUNT],
    errors: Vec<Exhibit>,
}

impl Exhibits {
    /// Keeps so many of the slowest operations of each kind.
    #[must_use]
    pub fn new(slowest_max: usize) -> Self {
        Self {
            slowest_max,
            slowest: std::array::from_fn(|_| Slowest::default()),
            errors_seen: [0; ErrorClass::COUNT],
            errors: Vec::new(),
        }
    }

    /// Whether an error of this class would still be kept; whoever makes its texts asks first.
    #[must_use]
    pub fn wants(&self, class: ErrorClass) -> bool {
        class != ErrorClass::None && self.errors_seen[class.slot()] < ERRORS_MAX
    }

    /// Keeps an operation that went wrong.
    pub fn keep_error(
        &mut self,
        record: &OperationRecord,
        request_id: &[u8],
        says: String,
        evidence: Option<Evidence>,
    ) {
        if !self.wants(record.error_class) {
            return;
        }
        self.errors_seen[record.error_class.slot()] += 1;
        self.errors.push(Exhibit {
            reason: Reason::Error,
            record: *record,
            request_id: RequestId::new(request_id).text(),
            says,
            evidence,
        });
    }

    /// Looks at an operation that is over.
    #[inline]
    pub fn look(&mut self, record: &OperationRecord, request_id: &[u8]) {
        if self.slowest_max > 0 {
            let latency_ns = record.end_ns.saturating_sub(record.due_ns);
            self.slowest[record.op as usize].offer(
                self.slowest_max,
                latency_ns,
                record,
                request_id,
            );
        }
    }

    /// Hands the errors over that were kept since the last time.
    pub fn take_errors(&mut self) -> Vec<Exhibit> {
        std::mem::take(&mut self.errors)
    }

    /// Hands the slowest over, slowest first within their kind, and begins anew.
    pub fn take_slowest(&mut self) -> Vec<Exhibit> {
        let mut taken = Vec::new();
        for slowest in &mut self.slowest {
            let mut kept = std::mem::take(slowest).kept;
            kept.sort_by_key(|(latency_ns, ..)| std::cmp::Reverse(*latency_ns));
            taken.extend(kept.into_iter().map(|(_, record, id)| Exhibit {
                reason: Reason::Slowest,
                record,
                request_id: id.text(),
                says: String::new(),
                evidence: None,
            }));
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Outcome;
    use proptest::prelude::*;

    fn record(op: Op, latency_ns: u64, class: ErrorClass) -> OperationRecord {
        OperationRecord {
            due_ns: 1_000,
            start_ns: 1_000,
            connected_ns: 0,
            secured_ns: 0,
            sent_ns: 0,
            first_byte_ns: 0,
            end_ns: 1_000 + latency_ns,
            key: 0,
            version: 0,
            bytes: 0,
            status: 200,
            op,
            outcome: Outcome::Ok,
            error_class: class,
            endpoint: 0,
            shard: 0,
            flags: 0,
            tenant: 0,
            exchanges: 1,
            item: 0,
            nth_on_connection: 1,
        }
    }

    fn latencies(exhibits: &[Exhibit]) -> Vec<u64> {
        let of = |exhibit: &Exhibit| exhibit.record.end_ns - exhibit.record.due_ns;
        exhibits.iter().map(of).collect()
    }

    proptest! {
        #[test]
        fn the_slowest_are_the_slowest(values in prop::collection::vec(0u64..1000, 0..200), most in 1usize..20) {
            let mut exhibits = Exhibits::new(most);
            for value in &values {
                exhibits.look(&record(Op::Get, *value, ErrorClass::None), format!("id{value}").as_bytes());
            }
            let taken = exhibits.take_slowest();
            let mut sorted = values;
            sorted.sort_by(|a, b| b.cmp(a));
            sorted.truncate(most);
            prop_assert_eq!(latencies(&taken), sorted);
            for exhibit in taken {
                let latency_ns = exhibit.record.end_ns - exhibit.record.due_ns;
                prop_assert_eq!(exhibit.request_id, format!("id{latency_ns}"));
            }
            prop_assert!(exhibits.take_slowest().is_empty());
        }
    }

    #[test]
    fn each_kind_has_its_own_slowest() {
        let mut exhibits = Exhibits::new(1);
        for (op, latency_ns) in [(Op::Get, 5), (Op::Put, 900), (Op::Get, 7), (Op::Put, 800)] {
            exhibits.look(&record(op, latency_ns, ErrorClass::None), b"");
        }
        assert_eq!(latencies(&exhibits.take_slowest()), [900, 7]);
        let mut none = Exhibits::new(0);
        none.look(&record(Op::Get, 5, ErrorClass::None), b"x");
        assert!(none.take_slowest().is_empty());
    }

    #[test]
    fn the_first_errors_of_each_class_are_kept_and_no_more() {
        let mut exhibits = Exhibits::new(0);
        for number in 0..50 {
            let torn = record(Op::Get, number, ErrorClass::Torn);
            exhibits.keep_error(&torn, &[b'x'; 100], format!("{number}"), None);
        }
        exhibits.keep_error(
            &record(Op::Get, 1, ErrorClass::None),
            b"",
            String::new(),
            None,
        );
        assert!(!exhibits.wants(ErrorClass::Torn) && exhibits.wants(ErrorClass::Stale));
        let taken = exhibits.take_errors();
        assert_eq!(taken.len(), usize::from(ERRORS_MAX));
        assert_eq!(
            (taken[19].says.as_str(), taken[19].request_id.len()),
            ("19", 64)
        );
        assert!(exhibits.take_errors().is_empty());
    }
}
