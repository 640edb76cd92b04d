//! Ceilings, the lease, and orders from outside.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use maul_engine::engine::{Engine, EngineError, Phase};
use maul_engine::operation::{ErrorClass as C, Outcome as O};
use maul_engine::status::Counter;
use serde_json::{json, Value};

use crate::plans::{finish, open_loop, plan, run, Ended, With};
use crate::server::Server;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn counting() -> (Server, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = requests.clone();
    let server = Server::plain(move |peer| {
        while peer.request().is_some() {
            seen.fetch_add(1, Ordering::SeqCst);
            peer.send(OK);
        }
    });
    (server, requests)
}

fn silent() -> Server {
    Server::plain(|peer| peer.wait_for_close())
}

fn endless(url: &str) -> Value {
    plan(url, "put", 1).with(
        "/arrivals",
        json!({"mode": "closed", "concurrency": 4, "seconds": 14.0, "requests": null, "think": null}),
    )
}

#[test]
fn requests_in_all_are_bounded() {
    for shards in [1, 2] {
        let (server, requests) = counting();
        let ended = run(&endless(&server.url())
            .with("/limits/requests", json!(37))
            .with("/shards", json!(shards)));
        assert_eq!(ended.status.stop_reason, "limit:requests");
        let sent = requests.load(Ordering::SeqCst);
        assert!((19..=37).contains(&sent), "{sent}");
        assert_eq!(ended.count(O::Ok, C::None), sent);
    }
}

#[test]
fn a_run_of_just_as_many_requests_as_allowed_is_complete() {
    let (server, _) = counting();
    let ended = run(&plan(&server.url(), "put", 10).with("/limits/requests", json!(10)));
    assert_eq!(
        (ended.status.stop_reason.as_str(), ended.get(Counter::Ok)),
        ("completed", 10)
    );
}

#[test]
fn bytes_in_all_are_bounded() {
    let (server, requests) = counting();
    let ended = run(&endless(&server.url()).with("/limits/bytes", json!(5 * 4096 + 100)));
    assert_eq!(
        (
            ended.status.stop_reason.as_str(),
            requests.load(Ordering::SeqCst)
        ),
        ("limit:bytes", 5)
    );
}

#[test]
fn bytes_that_come_back_count_too() {
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n".to_vec();
    answer.resize(answer.len() + 4096, 7);
    let server = Server::answering(answer);
    let plan = plan(&server.url(), "get", 100)
        .with("/verify", json!(false))
        .with("/limits/bytes", json!(5 * 4096));
    let ended = run(&plan);
    assert_eq!(
        (
            ended.status.stop_reason.as_str(),
            ended.count(O::Ok, C::None)
        ),
        ("limit:bytes", 5)
    );
}

#[test]
fn time_is_bounded() {
    let (server, _) = counting();
    let plan = plan(&server.url(), "put", 1)
        .with("/arrivals", open_loop(100.0, 10.0))
        .with("/limits/seconds", json!(0.25));
    let ended = run(&plan);
    assert_eq!(
        (ended.status.stop_reason.as_str(), ended.records.len()),
        ("limit:seconds", 25)
    );
}

#[test]
fn the_rate_is_bounded_and_the_rest_waits_or_is_dropped() {
    let (server, requests) = counting();
    let plan = plan(&server.url(), "put", 1)
        .with("/arrivals", open_loop(1000.0, 0.5))
        .with("/limits/rate_per_s", json!(200.0))
        .with("/timeouts/request_ms", json!(300));
    let ended = run(&plan);
    // Half a second of arrivals and 0.3 s of waiting at 200 per second.
    let sent = requests.load(Ordering::SeqCst);
    assert!((140..=166).contains(&sent), "{sent}");
    assert_eq!(ended.count(O::Dropped, C::Backlog), 500 - sent);
}

#[test]
fn bytes_per_second_are_bounded() {
    let (server, requests) = counting();
    let plan = endless(&server.url())
        .with("/arrivals/seconds", json!(0.5))
        .with("/limits/bytes_per_s", json!(40.0 * 4096.0));
    run(&plan);
    let sent = requests.load(Ordering::SeqCst);
    // Forty in a second, and the four that were waiting when the time was over.
    assert!((18..=27).contains(&sent), "{sent}");
}

#[test]
fn without_renewal_of_the_lease_traffic_stops() {
    let (server, requests) = counting();
    let engine = Engine::new(
        &endless(&server.url())
            .with("/lease_ms", json!(150))
            .to_string(),
    )
    .unwrap();
    engine.start(None).unwrap();
    let begun = Instant::now();
    let ended = finish(&engine);
    assert!(
        begun.elapsed() < Duration::from_millis(400),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(ended.status.stop_reason, "lease");
    assert!(requests.load(Ordering::SeqCst) > 0);
}

#[test]
fn a_renewed_lease_lasts() {
    let (server, _) = counting();
    let engine = Engine::new(
        &endless(&server.url())
            .with("/lease_ms", json!(400))
            .to_string(),
    )
    .unwrap();
    engine.start(None).unwrap();
    for _ in 0..16 {
        assert!(!engine.join(Duration::from_millis(50)));
        engine.renew(None).unwrap();
    }
    assert_eq!(engine.status().phase, Phase::Running);
    engine.stop("enough");
    assert_eq!(finish(&engine).status.stop_reason, "enough");
}

fn order_while_in_flight(plan: &Value, order: impl Fn(&Engine)) -> (Ended, Duration) {
    let engine = Engine::new(&plan.to_string()).unwrap();
    engine.start(None).unwrap();
    while engine.status().counters.get(Counter::InFlight) < 4 {
        assert!(
            !engine.join(Duration::from_millis(5)),
            "{:?}",
            engine.status()
        );
    }
    let ordered = Instant::now();
    order(&engine);
    let ended = finish(&engine);
    (ended, ordered.elapsed())
}

#[test]
fn abort_closes_everything_at_once() {
    for (op, outcome) in [("put", O::Unknown), ("get", O::Fail)] {
        let server = silent();
        let plan = endless(&server.url()).with("/mix/0/op", json!(op));
        let (ended, took) = order_while_in_flight(&plan, Engine::abort);
        assert!(took < Duration::from_millis(100), "{took:?}");
        assert_eq!(
            (ended.records.len(), ended.only()),
            (4, (outcome, C::Stopped))
        );
        assert_eq!(ended.status.stop_reason, "aborted");
    }
}

#[test]
fn stop_ends_arrivals_and_lets_the_last_operations_end() {
    let server = silent();
    let plan = endless(&server.url())
        .with("/arrivals", open_loop(100.0, 10.0))
        .with("/limits/in_flight", json!(4));
    let (ended, took) = order_while_in_flight(&plan, |engine| engine.stop("enough"));
    assert!(
        (Duration::from_millis(700)..Duration::from_millis(1300)).contains(&took),
        "{took:?}"
    );
    assert_eq!(ended.count(O::Unknown, C::Timeout), 4);
    assert_eq!(
        ended.count(O::Dropped, C::Stopped),
        ended.records.len() - 4,
        "what waited is dropped at once"
    );
    assert_eq!(ended.status.stop_reason, "enough");
}

#[test]
fn before_anything_was_sent_a_stopped_write_has_failed() {
    // TLS never comes up here, so no byte of a request leaves.
    let server = silent();
    let plan = endless(&server.tls_url())
        .with("/timeouts/connect_ms", json!(5000))
        .with("/timeouts/request_ms", json!(6000));
    let (ended, _) = order_while_in_flight(&plan, Engine::abort);
    assert_eq!(ended.only(), (O::Fail, C::Stopped));
}

#[test]
fn an_engine_runs_once_and_refuses_nonsense() {
    let engine = Engine::new(&plan("http://127.0.0.1:1", "get", 1).to_string()).unwrap();
    assert_eq!(engine.status().phase, Phase::Ready);
    engine.start(None).unwrap();
    assert!(matches!(engine.start(None), Err(EngineError::State(_))));
    finish(&engine);
    assert!(matches!(Engine::new("{}"), Err(EngineError::Plan(_))));
    let bad = plan("http://no-such-host.invalid:1", "get", 1);
    assert!(
        matches!(Engine::new(&bad.to_string()), Err(EngineError::Plan(text)) if text.contains("cannot resolve"))
    );
}

#[test]
fn a_lease_is_never_longer_than_the_plans_and_never_revived() {
    let (server, _) = counting();
    let plan = endless(&server.url()).with("/lease_ms", json!(200));
    let engine = Engine::new(&plan.to_string()).unwrap();
    engine.start(None).unwrap();
    engine.renew(Some(3600.0)).unwrap();
    engine.renew(Some(0.001)).unwrap(); // shortens nothing
    assert!(!engine.join(Duration::from_millis(100)));
    for wrong in [-1.0, f64::NAN] {
        assert!(matches!(
            engine.renew(Some(wrong)),
            Err(EngineError::State(_))
        ));
    }
    std::thread::sleep(Duration::from_millis(150));
    engine.renew(None).unwrap();
    assert_eq!(finish(&engine).status.stop_reason, "lease");
}

#[test]
fn only_the_loopback_interface_does_without_a_lease() {
    let plan = endless("http://127.0.0.1:1").with("/lease_ms", json!(null));
    assert!(Engine::new(&plan.to_string()).is_ok());
    let elsewhere = plan.with("/endpoints/0/url", json!("http://192.0.2.1:80"));
    let refused = Engine::new(&elsewhere.to_string()).unwrap_err();
    assert!(refused.to_string().contains("$.lease_ms"), "{refused}");
    let leased = elsewhere.with("/lease_ms", json!(5000));
    assert!(Engine::new(&leased.to_string()).is_ok());
}
