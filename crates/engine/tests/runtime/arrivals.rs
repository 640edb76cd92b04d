//! Are operations sent when they are due, and is their time counted from there?

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use maul_engine::operation::{ErrorClass as C, Outcome as O};
use maul_engine::status::Counter;
use serde_json::json;

use crate::plans::{open_loop, plan, run, With};
use crate::server::Server;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const MS: u64 = 1_000_000;

#[test]
fn arrivals_follow_the_profile_exactly() {
    let server = Server::answering(OK);
    let profile = json!([{"kind": "constant", "rate": 200.0, "seconds": 0.5}, {"kind": "ramp", "from": 200.0, "to": 600.0, "seconds": 0.5}]);
    let arrivals = json!({"mode": "open", "process": "even", "profile": profile, "share": {"first": 0, "width": 1, "wheel": 1}});
    let ended = run(&plan(&server.url(), "put", 1).with("/arrivals", arrivals));
    assert_eq!(ended.status.stop_reason, "completed");
    assert_eq!(ended.records.len(), 300);
    let mut due: Vec<u64> = ended.records.iter().map(|record| record.due_ns).collect();
    due.sort_unstable();
    let gaps: Vec<u64> = due.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        gaps[..90].iter().all(|gap| gap.abs_diff(5 * MS) < MS / 100),
        "constant"
    );
    assert!(gaps[290] < 2 * MS, "faster at the end");
    // A pacer that sleeps in whole milliseconds would be half a millisecond late in the middle.
    let lag = ended.histogram("lag").percentile(50.0);
    assert!(lag < 2 * MS / 5, "{lag}");
    assert!(
        (0.95..1.5).contains(&ended.status.elapsed_s),
        "{}",
        ended.status.elapsed_s
    );
}

#[test]
fn latency_counts_from_the_due_time_when_the_server_stalls() {
    let seen = AtomicUsize::new(0);
    let server = Server::plain(move |peer| {
        while peer.request().is_some() {
            if seen.fetch_add(1, Ordering::SeqCst) == 20 {
                std::thread::sleep(Duration::from_secs(1));
            }
            peer.send(OK);
        }
    });
    let plan = plan(&server.url(), "put", 1)
        .with("/limits/connections", json!(1))
        .with("/timeouts/request_ms", json!(3000))
        .with("/arrivals", open_loop(100.0, 1.5));
    let ended = run(&plan);
    assert_eq!((ended.records.len(), ended.only()), (150, (O::Ok, C::None)));
    // About a hundred arrivals fell into the stall: their customers waited from 1000 ms down to nothing.
    let waited = ended
        .records
        .iter()
        .filter(|record| record.end_ns - record.due_ns > 100 * MS)
        .count();
    assert!((85..=105).contains(&waited), "{waited}");
    let served = ended
        .records
        .iter()
        .filter(|record| record.end_ns - record.start_ns > 100 * MS)
        .count();
    assert_eq!(served, 1, "the service time blames one request only");
    let latency = ended.histogram("latency");
    assert!(latency.percentile(99.0) > 900 * MS);
    assert!(ended.histogram("service").percentile(90.0) < 100 * MS);
    assert!(ended.histogram("lag").max() > 900 * MS);
    let schedule = ended.histogram("schedule");
    assert_eq!(schedule.count(), 150);
    assert!(
        schedule.percentile(90.0) < 50 * MS,
        "the generator was not late: the server was"
    );
    assert!(ended.get(Counter::Late) >= 85);
}

/// A server that stands still for one second, 0.5 s after its first request.
fn stalling_server() -> Server {
    let began = std::sync::OnceLock::new();
    Server::plain(move |peer| {
        while peer.request().is_some() {
            let since = began.get_or_init(std::time::Instant::now).elapsed();
            let stall = Duration::from_millis(500)..Duration::from_millis(1500);
            if stall.contains(&since) {
                std::thread::sleep(stall.end - since);
            }
            peer.send(OK);
        }
    })
}

/// What arithmetic says: arrivals every 5 ms, of which those in the stall wait for its end.
fn expected_ns(percentile: f64, arrivals: f64) -> f64 {
    let slower = (1.0 - percentile / 100.0) * arrivals;
    (1e9 - slower * 5e6).max(0.0)
}

/// What a run against the stalling server tells wrongly by more than 2 % of the stall; empty when all is right.
fn told_wrongly(connections: u64) -> Vec<String> {
    let server = stalling_server();
    let plan = plan(&server.url(), "head", 1)
        .with("/limits/connections", json!(connections))
        .with("/limits/in_flight", json!(connections))
        .with("/timeouts/request_ms", json!(3000))
        .with("/arrivals", open_loop(200.0, 3.0));
    let ended = run(&plan);
    assert_eq!(ended.only(), (O::Ok, C::None));
    let (latency, service) = (ended.histogram("latency"), ended.histogram("service"));
    let mut told: Vec<(String, u64, f64)> = [75.0, 80.0, 90.0, 95.0, 99.0]
        .into_iter()
        .map(|percentile| {
            let due = expected_ns(percentile, 600.0);
            (
                format!("p{percentile}"),
                latency.percentile(percentile),
                due,
            )
        })
        .collect();
    told.push(("max".to_owned(), latency.max(), 1e9));
    // The service time does not hide it either: its longest is the stall; with a connection for everyone, its tail is
    // that of the customers.
    told.push(("service max".to_owned(), service.max(), 1e9));
    if connections > 1 {
        let p90 = service.percentile(90.0);
        told.push(("service p90".to_owned(), p90, expected_ns(90.0, 600.0)));
    }
    told.into_iter()
        .filter(|(_, told, due)| (*told as f64 - due).abs() > 0.02e9)
        .map(|(name, told, due)| {
            format!("{connections} connections, {name}: {told} instead of {due}")
        })
        .collect()
}

#[test]
fn a_stall_of_one_second_is_told_as_arithmetic_says() {
    for connections in [1, 400] {
        // A machine that is busy with other tests makes the server late as well: then once more.
        let mut wrong = Vec::new();
        for _ in 0..4 {
            wrong = told_wrongly(connections);
            if wrong.is_empty() {
                break;
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}

#[test]
fn what_waits_too_long_is_dropped_and_never_sent() {
    let requests = std::sync::Arc::new(AtomicUsize::new(0));
    let seen = requests.clone();
    let server = Server::plain(move |peer| {
        while peer.request().is_some() {
            seen.fetch_add(1, Ordering::SeqCst);
            peer.wait_for_close();
        }
    });
    let plan = plan(&server.url(), "get", 1)
        .with("/limits/connections", json!(1))
        .with("/timeouts/request_ms", json!(200))
        .with("/arrivals", open_loop(100.0, 0.6));
    let ended = run(&plan);
    assert_eq!(ended.records.len(), 60);
    let dropped = ended.count(O::Dropped, C::Backlog);
    assert_eq!(dropped + ended.count(O::Fail, C::Timeout), 60);
    assert!((50..59).contains(&dropped), "{dropped}");
    assert_eq!(
        requests.load(Ordering::SeqCst),
        60 - dropped,
        "dropped means never sent"
    );
    for record in ended
        .records
        .iter()
        .filter(|record| record.outcome == O::Dropped)
    {
        let waited = record.end_ns - record.due_ns;
        assert!((200 * MS..300 * MS).contains(&waited), "{waited}");
    }
}

#[test]
fn shards_and_shares_split_the_arrivals_without_talk() {
    let server = Server::answering(OK);
    for index in 0..2 {
        let arrivals = json!({"mode": "open", "process": "even", "profile": [{"kind": "constant", "rate": 400.0, "seconds": 0.25}],
                              "share": {"first": index, "width": 1, "wheel": 2}});
        let plan = plan(&server.url(), "put", 1)
            .with("/arrivals", arrivals)
            .with("/shards", json!(2));
        let ended = run(&plan);
        assert_eq!(ended.records.len(), 50);
        for shard in 0..2 {
            let own = ended.records.iter().filter(|record| record.shard == shard);
            assert_eq!(own.count(), 25);
        }
        let mut due: Vec<u64> = ended.records.iter().map(|record| record.due_ns).collect();
        due.sort_unstable();
        // Every second arrival of 400 per second, taken by the two shards in turn.
        assert!(due
            .windows(2)
            .all(|pair| (pair[1] - pair[0]).abs_diff(5 * MS) < MS / 100));
    }
}

#[test]
fn a_sequential_closed_loop_passes_over_the_keys_once() {
    let server = Server::answering(OK);
    let plan = plan(&server.url(), "put", 101)
        .with("/keyspace/objects", json!(101))
        .with("/keyspace/start", json!(1000))
        .with("/arrivals/concurrency", json!(7))
        .with("/shards", json!(3));
    let ended = run(&plan);
    let mut keys: Vec<u64> = ended.records.iter().map(|record| record.key).collect();
    keys.sort_unstable();
    assert_eq!(keys, (1000..1101).collect::<Vec<u64>>());
    let mut versions: Vec<u64> = ended.records.iter().map(|record| record.version).collect();
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), 101, "every write has its own version");
    assert!(
        versions.iter().all(|version| version >> 48 == 1),
        "of epoch 1"
    );
    assert_eq!(ended.get(Counter::VersionsUsed), 101);
    assert_eq!(ended.status.stop_reason, "completed");
}

#[test]
fn a_closed_loop_keeps_its_concurrency_and_ends_in_time() {
    let server = Server::plain(|peer| {
        while peer.request().is_some() {
            std::thread::sleep(Duration::from_millis(10));
            peer.send(OK);
        }
    });
    let plan = plan(&server.url(), "put", 1).with(
        "/arrivals",
        json!({"mode": "closed", "concurrency": 4, "seconds": 0.3, "requests": null, "think": null}),
    );
    let ended = run(&plan);
    assert_eq!((ended.only(), server.connections()), ((O::Ok, C::None), 4));
    assert!(
        (40..=120).contains(&ended.records.len()),
        "{}",
        ended.records.len()
    );
    assert!(
        (0.29..0.6).contains(&ended.status.elapsed_s),
        "{}",
        ended.status.elapsed_s
    );
}

#[test]
fn more_shards_than_places_lose_no_work() {
    let server = Server::answering(OK);
    for (pointer, value) in [
        ("/arrivals/concurrency", 2),
        ("/limits/connections", 1),
        ("/limits/in_flight", 3),
    ] {
        let plan = plan(&server.url(), "put", 10)
            .with("/arrivals/concurrency", json!(8))
            .with("/shards", json!(4))
            .with(pointer, json!(value));
        let ended = run(&plan);
        assert_eq!(
            (ended.records.len(), ended.only()),
            (10, (O::Ok, C::None)),
            "{pointer}"
        );
    }
}

#[test]
fn waves_and_poisson_processes_reach_the_target() {
    let server = Server::answering(OK);
    let profile = json!([{"kind": "sine", "rate": 400.0, "amplitude": 400.0, "period_s": 0.5, "seconds": 1.0}]);
    let arrivals = |process: &str| json!({"mode": "open", "process": process, "profile": profile, "share": {"first": 0, "width": 1, "wheel": 1}});
    let due_ns = |process| -> Vec<u64> {
        let plan = plan(&server.url(), "put", 1)
            .with("/arrivals", arrivals(process))
            .with("/shards", json!(2));
        let ended = run(&plan);
        assert_eq!(ended.status.stop_reason, "completed");
        assert!(
            (0.95..1.5).contains(&ended.status.elapsed_s),
            "the whole profile"
        );
        let mut due: Vec<u64> = ended.records.iter().map(|record| record.due_ns).collect();
        due.sort_unstable();
        due.iter().map(|due_ns| due_ns - due[0]).collect()
    };
    let even = due_ns("even");
    assert_eq!(even.len(), 400);
    // the upper half of a wave holds 100 + 200 / π of its 200
    let upper = even
        .iter()
        .filter(|due| *due % (500 * MS) < 250 * MS)
        .count();
    assert!((325..=329).contains(&upper), "{upper}");
    let random = due_ns("poisson");
    assert!((300..500).contains(&random.len()), "{}", random.len());
    let gaps = |due: &[u64]| {
        due.windows(2)
            .filter(|pair| pair[1] - pair[0] < MS / 10)
            .count()
    };
    assert!(gaps(&even) == 0 && gaps(&random) > 5, "{}", gaps(&random));
}
