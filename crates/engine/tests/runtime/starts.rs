//! When a run begins, and how much of it is sent: starts ahead and behind, and throttling.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use maul_engine::engine::{Engine, EngineError, Phase};
use maul_engine::status::Counter;
use serde_json::{json, Value};

use crate::plans::{finish, open_loop, plan, Ended, With};
use crate::server::Server;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const MS: u64 = 1_000_000;

fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}

fn engine(plan: &Value) -> Engine {
    Engine::new(&plan.to_string()).unwrap()
}

/// 200 per second, for one second.
fn steady(url: &str) -> Value {
    plan(url, "put", 1).with("/arrivals", open_loop(200.0, 1.0))
}

fn dues(ended: &Ended) -> Vec<u64> {
    let mut dues: Vec<u64> = ended.records.iter().map(|record| record.due_ns).collect();
    dues.sort_unstable();
    dues
}

#[test]
fn a_start_ahead_is_waited_for() {
    let server = Server::answering(OK);
    let engine = engine(&steady(&server.url()).with("/shards", json!(2)));
    let zero_ns = unix_ns() + 300 * MS;
    engine.start(Some(zero_ns)).unwrap();
    assert!(!engine.join(Duration::from_millis(100)));
    let early = engine.status();
    assert_eq!(
        (early.phase, early.began_ns, early.elapsed_s),
        (Phase::Ready, 0, 0.0)
    );
    assert_eq!(early.counters.get(Counter::Offered), 0);
    let ended = finish(&engine);
    assert_eq!(ended.status.began_ns, zero_ns);
    let dues = dues(&ended);
    assert_eq!((dues.len(), dues[0]), (200, zero_ns));
    let lag = ended.histogram("lag").percentile(50.0);
    assert!(lag < 2 * MS, "{lag}");
}

#[test]
fn a_start_behind_leaves_out_what_is_past() {
    let server = Server::answering(OK);
    for shards in [1, 2] {
        let engine = engine(&steady(&server.url()).with("/shards", json!(shards)));
        let now_ns = unix_ns();
        let zero_ns = now_ns - 700 * MS;
        engine.start(Some(zero_ns)).unwrap();
        let ended = finish(&engine);
        let dues = dues(&ended);
        assert_eq!(
            dues.last(),
            Some(&(zero_ns + 995 * MS)),
            "the same schedule"
        );
        assert!(dues[0] >= now_ns && dues[0] < now_ns + 100 * MS);
        assert_eq!(ended.get(Counter::Offered), dues.len() as u64);
        assert!((40..=60).contains(&dues.len()), "{}", dues.len());
        let began_ns = ended.status.began_ns;
        assert!(
            (now_ns..now_ns + 100 * MS).contains(&began_ns),
            "{began_ns}"
        );
        assert!(ended.status.elapsed_s >= 0.99, "counted from its zero");
    }
    let engine = engine(&steady(&server.url()));
    engine.start(Some(1)).unwrap();
    let ended = finish(&engine);
    assert_eq!((ended.records.len(), ended.status.phase), (0, Phase::Done));
}

#[test]
fn a_start_far_ahead_is_refused_and_the_lease_runs_while_waiting() {
    let server = Server::answering(OK);
    let engine = engine(&steady(&server.url()).with("/lease_ms", json!(200)));
    let far = engine.start(Some(unix_ns() + 3_700_000 * MS));
    assert!(matches!(far, Err(EngineError::State(_))), "{far:?}");
    engine.start(Some(unix_ns() + 3_000_000 * MS)).unwrap();
    let ended = finish(&engine);
    assert_eq!(
        (ended.status.stop_reason.as_str(), ended.records.len()),
        ("lease", 0)
    );
    assert_eq!(ended.status.began_ns, 0);
}

#[test]
fn a_part_is_sent_evenly_and_the_rest_is_withheld() {
    let server = Server::answering(OK);
    let engine = engine(&steady(&server.url()));
    engine.throttle(0.25).unwrap();
    engine.start(None).unwrap();
    let ended = finish(&engine);
    let (offered, withheld) = (ended.get(Counter::Offered), ended.get(Counter::Withheld));
    assert_eq!((offered, withheld), (50, 150));
    let dues = dues(&ended);
    let even = |pair: &[u64]| (pair[1] - pair[0]).abs_diff(20 * MS) < MS;
    assert!(dues.windows(2).all(even), "every fourth");
    for wrong in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(engine.throttle(wrong), Err(EngineError::State(_))));
    }
}

#[test]
fn a_throttle_holds_at_once_and_lets_go_at_once() {
    let server = Server::answering(OK);
    let engine = engine(&steady(&server.url()));
    engine.start(None).unwrap();
    engine.join(Duration::from_millis(300));
    engine.throttle(0.0).unwrap();
    let shut_ns = unix_ns();
    engine.join(Duration::from_millis(300));
    let open_ns = unix_ns();
    engine.throttle(1.0).unwrap();
    let ended = finish(&engine);
    // within a turn of the loop, and some patience for a busy machine
    let patience_ns = 60 * MS;
    let meanwhile = |due: &&u64| **due > shut_ns + patience_ns && **due < open_ns;
    let dues = dues(&ended);
    assert_eq!(dues.iter().filter(meanwhile).count(), 0);
    assert!(dues.iter().any(|due| *due < shut_ns) && dues.iter().any(|due| *due > open_ns));
    let all = ended.get(Counter::Offered) + ended.get(Counter::Withheld);
    assert_eq!(all, 200);
}

#[test]
fn a_closed_loop_keeps_a_part_of_its_places_busy() {
    let server = Server::plain(|peer| {
        while peer.request().is_some() {
            std::thread::sleep(Duration::from_millis(10));
            peer.send(OK);
        }
    });
    let arrivals = json!({"mode": "closed", "concurrency": 8, "seconds": 0.6, "requests": null, "think": null});
    let engine = engine(
        &plan(&server.url(), "put", 1)
            .with("/arrivals", arrivals)
            .with("/shards", json!(2)),
    );
    engine.throttle(0.5).unwrap();
    engine.start(None).unwrap();
    engine.join(Duration::from_millis(300));
    assert!(engine.status().counters.get(Counter::InFlight) <= 4);
    engine.throttle(1.0).unwrap();
    engine.join(Duration::from_millis(150));
    assert!(engine.status().counters.get(Counter::InFlight) > 4);
    let ended = finish(&engine);
    assert_eq!(ended.get(Counter::Withheld), 0);
    let latency = ended.histogram("latency").percentile(99.0);
    assert!(
        latency < 100 * MS,
        "nobody was kept waiting on the books: {latency}"
    );
}
