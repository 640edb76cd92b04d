//! A trace is replayed as it was packed, and clients of a closed loop think as long as they should.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use maul_engine::engine::Engine;
use maul_engine::operation::{ErrorClass as C, Key, Op, Outcome as O, Region};
use maul_engine::status::Counter;
use serde_json::{json, Value};

use crate::mini_s3::MiniS3;
use crate::plans::{finish, plan, run, Ended, With};
use crate::server::Server;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const MS: u64 = 1_000_000;

type Row = (u64, Op, Key, u64);

fn packed(rows: &[Row]) -> Vec<u8> {
    let words = |row: &Row| [row.0, row.2 .0, row.3, u64::from(row.1.number())];
    let words = rows.iter().flat_map(words);
    words.flat_map(u64::to_le_bytes).collect()
}

fn traced(url: &str, share: Value) -> Value {
    let mix: Vec<Value> = ["put", "get", "head", "delete"]
        .iter()
        .map(|op| json!({"op": op, "weight": 1.0}))
        .collect();
    let mut plan = plan(url, "put", 1)
        .with("/mix", json!(mix))
        .with("/shards", json!(3));
    plan["arrivals"] = json!({"mode": "trace", "seconds": 1.0, "share": share});
    plan
}

fn replay(plan: &Value, rows: &[Row]) -> Ended {
    let engine = Engine::with_trace(&plan.to_string(), Some(&packed(rows))).unwrap();
    engine.start(None).unwrap();
    finish(&engine)
}

#[test]
fn a_trace_arrives_at_its_times_with_its_keys_and_sizes() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let server = Server::plain(move |peer| {
        while let Some(request) = peer.request() {
            let path = request
                .path
                .trim_start_matches("/bucket/maul/run/")
                .to_owned();
            log.lock().unwrap().push((
                Instant::now(),
                request.method.clone(),
                path,
                request.body.len() as u64,
            ));
            peer.send(OK);
        }
    });
    // two bursts with a pause between them, in an order that no mix would give
    let rows: Vec<Row> = (0..300u64)
        .map(|i| {
            let op = [Op::Put, Op::Head, Op::Head, Op::Delete][(i * i % 7 % 4) as usize];
            let region = [Region::Base, Region::Ephemeral][(i % 2) as usize];
            let due_ns = i * MS + if i < 150 { 0 } else { 500 * MS } + i * 37;
            (due_ns, op, Key::new(region, i * 1000), 100 + i)
        })
        .collect();
    let share = json!({"first": 0, "width": 1, "wheel": 1});
    let ended = replay(&traced(&server.url(), share), &rows);
    assert_eq!(
        (ended.only(), ended.status.stop_reason.as_str()),
        ((O::Ok, C::None), "completed")
    );
    // as it was asked for …
    let mut records = ended.records.clone();
    records.sort_by_key(|record| record.due_ns);
    assert_eq!(records.len(), rows.len());
    let start_ns = records[0].due_ns;
    for (record, row) in records.iter().zip(&rows) {
        assert_eq!(
            (record.due_ns - start_ns, record.op, Key(record.key)),
            (row.0, row.1, row.2)
        );
        assert_eq!(record.bytes, if row.1 == Op::Put { row.3 } else { 0 });
    }
    // … and as it came
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    let first = seen.iter().map(|(at, ..)| *at).min().unwrap();
    seen.sort_by(|left, right| left.2.cmp(&right.2));
    let mut wanted: Vec<_> = rows.iter().collect();
    wanted.sort_by_key(|row| (row.2.region().map(Region::letter), row.2));
    for ((at, method, path, bytes), row) in seen.iter().zip(wanted) {
        let mut name = Vec::new();
        row.2.write_name(b"", &mut name);
        assert_eq!(path.as_bytes(), name);
        assert_eq!(method, row.1.name());
        assert_eq!(*bytes, if row.1 == Op::Put { row.3 } else { 0 });
        let off = (at.duration_since(first).as_nanos() as u64).abs_diff(row.0);
        assert!(off < 400 * MS, "{row:?}: {off}");
    }
    assert!(
        ended.get(Counter::EphemeralNext) > 299_000,
        "a later engine begins behind its keys"
    );
}

#[test]
fn shares_replay_a_trace_together() {
    let server = Server::answering(OK);
    let rows: Vec<Row> = (0..90).map(|i| (i * MS, Op::Put, Key(i), 10)).collect();
    let mut keys = Vec::new();
    for index in 0..2 {
        let share = json!({"first": index, "width": 1, "wheel": 2});
        let ended = replay(&traced(&server.url(), share), &rows);
        assert_eq!(ended.records.len(), 45);
        keys.extend(ended.records.iter().map(|record| record.key));
    }
    keys.sort_unstable();
    assert_eq!(keys, (0..90).collect::<Vec<u64>>());
}

#[test]
fn what_a_trace_wrote_is_read_and_deleted_by_it() {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    let key = |i| Key::new(Region::Ephemeral, i);
    let mut rows: Vec<Row> = (0..40)
        .map(|i| (i * MS, Op::Put, key(i), 50 + i * 300))
        .collect();
    rows.extend((0..40).map(|i| ((200 + i) * MS, Op::Get, key(i), 0)));
    rows.extend((0..39).map(|i| ((400 + i) * MS, Op::Delete, key(i), 0)));
    let share = json!({"first": 0, "width": 1, "wheel": 1});
    let ended = replay(&traced(&server.url(), share), &rows);
    assert_eq!(
        ended.only(),
        (O::Ok, C::None),
        "{:?}",
        ended.status.examples
    );
    assert_eq!(s3.keys(), ["maul/run/e000000000027"]);
    let got = |i: u64| {
        ended
            .records
            .iter()
            .find(|record| record.op == Op::Get && record.key == key(i).0)
    };
    assert!((0..40).all(|i| got(i).unwrap().bytes == 50 + i * 300));
}

#[test]
fn clients_think() {
    let server = Server::answering(OK);
    let closed = |exponential: bool| {
        let think = json!({"mean_ms": 40.0, "exponential": exponential});
        plan(&server.url(), "put", 1).with(
            "/arrivals",
            json!({"mode": "closed", "concurrency": 8, "seconds": 1.0, "requests": null, "think": think}),
        )
    };
    let ended = run(&closed(false));
    // 8 clients, each with one operation in 40 ms and what it takes, and the first at once
    let count = ended.records.len();
    assert!((8 * 10..=8 * 25).contains(&count), "{count}");
    let mut begun: Vec<u64> = ended.records.iter().map(|record| record.due_ns).collect();
    begun.sort_unstable();
    let mut ends: Vec<u64> = ended.records.iter().map(|record| record.end_ns).collect();
    ends.sort_unstable();
    // the k-th operation after the first eight follows the k-th end by the thought, exactly
    for (due_ns, end_ns) in begun[8..].iter().zip(&ends) {
        assert_eq!(due_ns - end_ns, 40 * MS);
    }
    let random = run(&closed(true));
    let count = random.records.len();
    assert!((8 * 10..=8 * 36).contains(&count), "{count}");
    let mut due: Vec<u64> = random.records.iter().map(|record| record.due_ns).collect();
    due.sort_unstable();
    let regular = begun[8..]
        .windows(2)
        .filter(|pair| pair[1] - pair[0] > 20 * MS)
        .count();
    let irregular = due[8..]
        .windows(2)
        .filter(|pair| pair[1] - pair[0] > 20 * MS)
        .count();
    assert!(
        irregular < regular,
        "the clients no longer go in step: {irregular} {regular}"
    );
}
