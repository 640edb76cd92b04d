//! Keys that come and go, against a store that remembers what was deleted.

use std::collections::{BTreeMap, HashSet};

use maul_engine::operation::{ErrorClass as C, Op, Outcome as O};
use serde_json::{json, Value};

use crate::mini_s3::MiniS3;
use crate::plans::{plan, run, Ended, With};
use crate::server::Server;

fn mixed(url: &str, choice: Value, deletes: f64, requests: u64) -> Value {
    let mix = json!([{"op": "get", "weight": 40.0}, {"op": "head", "weight": 20.0},
                     {"op": "put", "weight": 20.0}, {"op": "delete", "weight": deletes}]);
    plan(url, "put", requests)
        .with("/mix", mix)
        .with("/sizes/bytes", json!(200))
        .with("/epoch", json!(2))
        .with("/keyspace/choice", choice)
        .with("/arrivals/concurrency", json!(24))
        .with("/shards", json!(2))
}

/// Runs it over a filled base. The store answers 404 to whatever it does not have, so that one request for a key that
/// was deleted, or not yet written, would show.
fn run_over_base(choice: Value, deletes: f64, requests: u64) -> Ended {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    run(&plan(&server.url(), "put", 10).with("/sizes/bytes", json!(200)));
    let ended = run(&mixed(&server.url(), choice, deletes, requests));
    assert_eq!(
        ended.only(),
        (O::Ok, C::None),
        "{:?}",
        ended.status.examples
    );
    ended
}

fn reads(ended: &Ended) -> impl Iterator<Item = u64> + '_ {
    let read = |op| matches!(op, Op::Get | Op::Head);
    let records = ended.records.iter().filter(move |record| read(record.op));
    records.map(|record| record.key)
}

#[test]
fn churn_never_asks_for_a_key_that_it_deleted() {
    let ended = run_over_base(json!({"kind": "churn"}), 20.0, 6000);
    let ephemeral = reads(&ended).filter(|key| key >> 56 == 1).count();
    assert!(
        ephemeral > 1000,
        "most reads find a living key: {ephemeral}"
    );
    let deleted = ended
        .records
        .iter()
        .filter(|record| record.op == Op::Delete);
    let deleted: Vec<u64> = deleted.map(|record| record.key).collect();
    assert!(deleted.len() > 500, "{}", deleted.len());
    let once: HashSet<&u64> = deleted.iter().collect();
    assert_eq!(once.len(), deleted.len(), "none is deleted twice");
    // what was read and deleted was read before: no read is under way while its key goes
    let begin: BTreeMap<u64, u64> = ended
        .records
        .iter()
        .filter(|record| record.op == Op::Delete)
        .map(|record| (record.key, record.start_ns))
        .collect();
    for record in ended.records.iter().filter(|record| record.op == Op::Get) {
        let gone_ns = begin.get(&record.key).copied().unwrap_or(u64::MAX);
        assert!(record.end_ns <= gone_ns, "{record:?}");
    }
}

#[test]
fn latest_reads_what_was_just_written() {
    let ended = run_over_base(json!({"kind": "latest", "exponent": 1.2}), 0.0, 3000);
    let created: HashSet<u64> = ended
        .records
        .iter()
        .filter(|record| record.op == Op::Put)
        .map(|record| record.key)
        .collect();
    assert!(
        created.iter().all(|key| key >> 56 == 1),
        "every PUT is a new key"
    );
    let reads: Vec<u64> = reads(&ended).collect();
    let of_new = reads.iter().filter(|key| created.contains(key)).count();
    assert!(
        of_new * 100 > reads.len() * 95,
        "{of_new} of {}",
        reads.len()
    );
    // by rank^-1.2 the newest key of a shard draws more than a fifth of its reads, whatever their number
    let mut newest = 0;
    for record in ended.records.iter().filter(|record| record.op == Op::Get) {
        let before = ended.records.iter().filter(|put| {
            put.op == Op::Put && put.shard == record.shard && put.end_ns <= record.start_ns
        });
        newest += u64::from(before.map(|put| put.key).max() == Some(record.key));
    }
    let gets = ended
        .records
        .iter()
        .filter(|record| record.op == Op::Get)
        .count() as u64;
    assert!(
        newest * 100 > gets * 15 && newest * 100 < gets * 45,
        "{newest} of {gets}"
    );
}

#[test]
fn a_moving_hot_set_moves_by_the_due_time() {
    let server = Server::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let choice = json!({"kind": "hot_set", "keys": 0.01, "traffic": 1.0, "moves_every_s": 0.25});
    let plan = plan(&server.url(), "put", 1)
        .with("/keyspace/objects", json!(100))
        .with("/keyspace/choice", choice)
        .with("/arrivals", crate::plans::open_loop(400.0, 1.0))
        .with("/shards", json!(2));
    let ended = run(&plan);
    let mut records = ended.records.clone();
    records.sort_by_key(|record| record.due_ns);
    let keys: Vec<u64> = records.iter().map(|record| record.key).collect();
    let quarter = |quarter: usize| -> HashSet<u64> {
        keys[quarter * 100..quarter * 100 + 100]
            .iter()
            .copied()
            .collect()
    };
    assert!(
        (0..4).all(|place| quarter(place).len() == 1),
        "one key of a hundred is hot"
    );
    assert_eq!(
        keys.iter().collect::<HashSet<_>>().len(),
        4,
        "and moves three times"
    );
}
