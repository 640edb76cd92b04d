//! Engine plans for tests, and runs whose account is checked.

use std::time::Duration;

use maul_engine::engine::{Engine, Latency, Phase, Status};
use maul_engine::hist::Histogram;
use maul_engine::operation::{ErrorClass, Op, Outcome, FLAG_SAME_REQUEST, OPERATION_RECORD_BYTES};
use maul_engine::status::Counter;
use serde_json::{json, Value};

/// No run of a test lasts longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// One operation at a time, `requests` of them, over one region of ten objects of 4096 bytes.
pub fn plan(url: &str, op: &str, requests: u64) -> Value {
    json!({
        "version": 3, "run": 77, "seed": 5, "epoch": 1, "shards": 1, "pin": null,
        "endpoints": [{"name": "one", "url": url, "ca_pem": null, "server_name": null, "address": null}],
        "s3": {"bucket": "bucket", "prefix": "maul/run/", "region": "us-east-1",
               "access_key": "AKID", "secret_key": "secret", "session_token": null, "payload": "unsigned", "addressing": "path", "checksum": null, "encryption": null},
        "keyspace": {"objects": 10, "choice": {"kind": "sequential"}, "region": "base", "start": 0,
                     "ephemeral_start": 0, "ephemeral_lane": {"index": 0, "count": 1}, "delete_from": if op == "delete" { "base" } else { "ephemeral" }, "fixed_key": null},
        "sizes": {"kind": "fixed", "bytes": 4096},
        "mix": [{"op": op, "weight": 1.0}],
        "multipart": if op.contains("multipart") || op == "get_part" { json!({"parts": 3, "part_bytes": 8192, "objects": 4, "parallel": 1}) } else { Value::Null },
        "list": {"max_keys": 100, "delimiter": null, "pages": 1},
        "arrivals": {"mode": "closed", "concurrency": 1, "seconds": 10.0, "requests": requests, "think": null},
        "tenant": 0, "range_bytes": 1000, "multi_delete_keys": 10, "retention_s": 60, "slowest": 0,
        "connections": {"requests_each": null, "resumption": 1.0}, "slow": null,
        "timeouts": {"connect_ms": 500, "request_ms": 1000},
        "limits": {"rate_per_s": 1e6, "bytes_per_s": 1e12, "in_flight": 64, "requests": 1_000_000,
                   "bytes": 1_000_000_000_000u64, "seconds": 15.0, "connections": 64},
        "lease_ms": null, "verify": true, "record_operations": true, "late_ms": 5.0
    })
}

/// Arrivals at a constant rate instead.
pub fn open_loop(rate: f64, seconds: f64) -> Value {
    json!({"mode": "open", "process": "even", "profile": [{"kind": "constant", "rate": rate, "seconds": seconds}],
           "share": {"first": 0, "width": 1, "wheel": 1}})
}

/// Changes values by JSON pointer.
pub trait With {
    fn with(self, pointer: &str, value: Value) -> Self;
}

impl With for Value {
    fn with(mut self, pointer: &str, value: Value) -> Self {
        *self.pointer_mut(pointer).expect("the plan has that place") = value;
        self
    }
}

/// A record, read back from its packed form.
#[derive(Clone, Debug)]
#[allow(dead_code)] // the whole record, though not every field has a reader yet
pub struct Record {
    pub due_ns: u64,
    pub start_ns: u64,
    pub connected_ns: u64,
    pub secured_ns: u64,
    pub sent_ns: u64,
    pub first_byte_ns: u64,
    pub end_ns: u64,
    pub key: u64,
    pub version: u64,
    pub bytes: u64,
    pub status: u16,
    pub op: Op,
    pub outcome: Outcome,
    pub class: ErrorClass,
    pub endpoint: u8,
    pub shard: u8,
    pub flags: u8,
    pub tenant: u8,
    pub exchanges: u8,
    pub item: u16,
    pub nth_on_connection: u32,
}

impl Record {
    fn read(bytes: &[u8]) -> Self {
        let word =
            |place: usize| u64::from_le_bytes(bytes[place * 8..place * 8 + 8].try_into().unwrap());
        Self {
            due_ns: word(0),
            start_ns: word(1),
            connected_ns: word(2),
            secured_ns: word(3),
            sent_ns: word(4),
            first_byte_ns: word(5),
            end_ns: word(6),
            key: word(7),
            version: word(8),
            bytes: word(9),
            status: u16::from_le_bytes([bytes[80], bytes[81]]),
            op: Op::from_number(bytes[82]).unwrap(),
            outcome: Outcome::from_number(bytes[83]).unwrap(),
            class: ErrorClass::from_number(bytes[84]).unwrap(),
            endpoint: bytes[85],
            shard: bytes[86],
            flags: bytes[87],
            tenant: bytes[88],
            exchanges: bytes[89],
            item: u16::from_le_bytes([bytes[90], bytes[91]]),
            nth_on_connection: u32::from_le_bytes(bytes[92..96].try_into().unwrap()),
        }
    }

    pub fn result(&self) -> (Outcome, ErrorClass) {
        (self.outcome, self.class)
    }
}

/// A run that is over.
pub struct Ended {
    pub status: Status,
    pub records: Vec<Record>,
    pub latency: Vec<Latency>,
}

impl Ended {
    pub fn get(&self, counter: Counter) -> u64 {
        self.status.counters.get(counter)
    }

    /// The only result there is.
    pub fn only(&self) -> (Outcome, ErrorClass) {
        let first = self.records.first().expect("an operation").result();
        for record in &self.records {
            assert_eq!(record.result(), first, "{:?}", self.status.examples);
        }
        first
    }

    pub fn count(&self, outcome: Outcome, class: ErrorClass) -> usize {
        self.records
            .iter()
            .filter(|record| record.result() == (outcome, class))
            .count()
    }

    pub fn get_class(&self, class: ErrorClass) -> usize {
        self.records
            .iter()
            .filter(|record| record.class == class)
            .count()
    }

    pub fn example(&self, class: ErrorClass) -> &str {
        self.status
            .examples
            .iter()
            .find(|(other, _)| *other == class)
            .map_or("", |(_, text)| text)
    }

    pub fn histogram(&self, kind: &str) -> Histogram {
        let mut merged = Histogram::new();
        for row in self.latency.iter().filter(|row| row.kind == kind) {
            merged.merge(&Histogram::from_v2(&row.hdr).unwrap());
        }
        merged
    }
}

/// Runs a plan to its end and checks its account.
pub fn run(plan: &Value) -> Ended {
    let engine = Engine::new(&plan.to_string()).unwrap();
    engine.start(None).unwrap();
    finish(&engine)
}

/// Waits for the end of a run and checks its account.
pub fn finish(engine: &Engine) -> Ended {
    assert!(
        engine.join(PATIENCE),
        "the run never ended: {:?}",
        engine.status()
    );
    let status = engine.status();
    assert_eq!(status.phase, Phase::Done);
    assert!(
        !status.stop_reason.starts_with("internal"),
        "{}",
        status.stop_reason
    );
    let batches = engine.take_operations();
    let records: Vec<Record> = batches
        .iter()
        .flat_map(|batch| batch.chunks_exact(OPERATION_RECORD_BYTES))
        .map(Record::read)
        .collect();
    let ended = Ended {
        status,
        records,
        latency: engine.take_latency(),
    };
    check_account(&ended);
    ended
}

fn check_account(ended: &Ended) {
    // of a request with several keys, the first row stands for the operation
    let rows: Vec<&Record> = ended
        .records
        .iter()
        .filter(|record| record.flags & FLAG_SAME_REQUEST == 0)
        .collect();
    let outcome = |outcome| {
        rows.iter()
            .filter(|record| record.outcome == outcome)
            .count() as u64
    };
    assert_eq!(
        ended.get(Counter::Offered),
        rows.len() as u64,
        "every arrival is recorded once"
    );
    assert_eq!(ended.get(Counter::Ok), outcome(Outcome::Ok));
    assert_eq!(ended.get(Counter::Fail), outcome(Outcome::Fail));
    assert_eq!(ended.get(Counter::Unknown), outcome(Outcome::Unknown));
    assert_eq!(ended.get(Counter::Dropped), outcome(Outcome::Dropped));
    assert_eq!(ended.get(Counter::Started), ended.get(Counter::Completed));
    assert_eq!(
        (ended.get(Counter::InFlight), ended.get(Counter::Backlog)),
        (0, 0)
    );
    assert_eq!(
        ended.get(Counter::Connections),
        0,
        "all connections are closed at the end"
    );
    let counted: u64 = ended
        .latency
        .iter()
        .filter(|row| row.kind == "latency")
        .map(|row| row.count)
        .sum();
    assert_eq!(counted, rows.len() as u64, "every record is in a histogram");
    for record in &ended.records {
        assert!(
            record.due_ns > 0 && record.end_ns >= record.due_ns,
            "{record:?}"
        );
        if record.outcome == Outcome::Dropped {
            assert_eq!(
                (record.start_ns, record.status),
                (0, 0),
                "never sent: {record:?}"
            );
        } else {
            assert!(
                record.due_ns <= record.start_ns && record.start_ns <= record.end_ns,
                "{record:?}"
            );
        }
        if record.first_byte_ns > 0 {
            assert!(
                record.start_ns <= record.first_byte_ns && record.first_byte_ns <= record.end_ns,
                "{record:?}"
            );
        }
        assert_eq!(
            record.outcome == Outcome::Ok,
            record.class == ErrorClass::None,
            "{record:?}"
        );
    }
}
