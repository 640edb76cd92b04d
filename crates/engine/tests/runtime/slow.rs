//! Clients that are slow on purpose, and servers that lose patience with them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use maul_engine::operation::{
    ErrorClass as C, Outcome as O, FLAG_NEW_CONNECTION, FLAG_SLOW_CLIENT,
};
use maul_engine::status::Counter;
use serde_json::{json, Value};

use crate::mini_s3::MiniS3;
use crate::plans::{open_loop, plan, run, Record, With};
use crate::server::{Peer, Server};
use crate::tls::{trusting, Authority};

const MS: u64 = 1_000_000;

fn slow(readers: f64, read_bytes_per_s: u64, writers: f64, write_bytes_per_s: u64) -> Value {
    json!({"readers": readers, "read_bytes_per_s": read_bytes_per_s,
           "writers": writers, "write_bytes_per_s": write_bytes_per_s})
}

fn is_slow(record: &Record) -> bool {
    record.flags & FLAG_SLOW_CLIENT > 0
}

fn service_ns(record: &Record) -> u64 {
    record.end_ns - record.start_ns
}

/// Answers with `bytes` of body out of small buffers, and notes how long that took.
fn timing(bytes: usize, took: Arc<Mutex<Vec<Duration>>>) -> impl Fn(&mut Peer) {
    move |peer| {
        peer.small_buffers(16 * 1024);
        while peer.request().is_some() {
            let begun = Instant::now();
            peer.answer(200, "", &vec![7; bytes]);
            took.lock().unwrap().push(begun.elapsed());
        }
    }
}

#[test]
fn a_slow_reader_is_felt_by_the_server() {
    let authority = Authority::new("ours");
    let took = Arc::<Mutex<Vec<Duration>>>::default();
    let config = Arc::new(authority.server(&["127.0.0.1"], false));
    let plain = Server::plain(timing(1 << 20, took.clone()));
    let tls = Server::tls(config, timing(1 << 20, took.clone()));
    for url in [plain.url(), tls.tls_url()] {
        let plan = trusting(plan(&url, "get", 1), &authority)
            .with("/verify", json!(false))
            .with("/slow", slow(1.0, 1 << 20, 0.0, 1));
        let ended = run(&plan);
        assert_eq!(
            ended.only(),
            (O::Ok, C::None),
            "{:?}",
            ended.status.examples
        );
        let record = &ended.records[0];
        assert!(is_slow(record) && record.bytes == 1 << 20);
        assert!(
            (900 * MS..1800 * MS).contains(&service_ns(record)),
            "{record:?}"
        );
        let took = took.lock().unwrap().pop().unwrap();
        assert!(
            took > Duration::from_millis(700),
            "{took:?}: the bytes lay in buffers"
        );
        let busy = ended.get(Counter::CpuNs);
        assert!(busy < service_ns(record) / 4, "{busy} ns: it must not spin");
    }
}

#[test]
fn a_slow_writer_takes_its_time_and_a_deadline_does_not_blame_the_server_for_it() {
    let authority = Authority::new("ours");
    let s3 = MiniS3::default();
    let config = Arc::new(authority.server(&["127.0.0.1"], false));
    let (plain, tls) = (Server::plain(s3.script()), Server::tls(config, s3.script()));
    for url in [plain.url(), tls.tls_url()] {
        let plan = trusting(plan(&url, "put", 1), &authority)
            .with("/sizes/bytes", json!(300_000))
            .with("/timeouts/request_ms", json!(200))
            .with("/slow", slow(0.0, 1, 1.0, 400_000));
        let ended = run(&plan);
        assert_eq!(
            ended.only(),
            (O::Ok, C::None),
            "{:?}",
            ended.status.examples
        );
        let record = &ended.records[0];
        let sent_ns = record.sent_ns - record.start_ns;
        assert!(
            is_slow(record) && (650 * MS..1400 * MS).contains(&sent_ns),
            "{record:?}"
        );
        let busy = ended.get(Counter::CpuNs);
        assert!(busy < service_ns(record) / 4, "{busy} ns: it must not spin");
    }
}

#[test]
fn a_server_that_falls_silent_times_out_slow_clients_too() {
    let silent = Server::plain(|peer| peer.wait_for_close());
    let half = Server::plain(|peer| {
        peer.request();
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        peer.send(&[7; 3000]);
        peer.wait_for_close();
    });
    for (server, op) in [(&silent, "put"), (&half, "get")] {
        let plan = plan(&server.url(), op, 1)
            .with("/verify", json!(false))
            .with("/timeouts/request_ms", json!(300))
            .with("/slow", slow(1.0, 20_000, 1.0, 40_000));
        let ended = run(&plan);
        assert_eq!(ended.records[0].class, C::Timeout, "{op}");
        assert!(service_ns(&ended.records[0]) < 2000 * MS);
    }
}

#[test]
fn a_server_that_gives_up_on_a_slow_client_is_classed() {
    let refusing = Server::plain(|peer| {
        if peer.head().is_some() {
            let body = b"<Error><Code>RequestTimeout</Code></Error>";
            peer.answer(400, "Connection: close\r\n", body);
            peer.wait_for_close();
        }
    });
    let resetting = Server::plain(|peer| {
        peer.head();
        peer.reset();
    });
    for (server, class) in [(&refusing, C::RequestTimeout), (&resetting, C::Reset)] {
        let plan = plan(&server.url(), "put", 1)
            .with("/sizes/bytes", json!(200_000))
            .with("/slow", slow(0.0, 1, 1.0, 20_000));
        let ended = run(&plan);
        assert_eq!(ended.records[0].class, class, "{:?}", ended.status.examples);
        assert!(is_slow(&ended.records[0]));
        assert!(service_ns(&ended.records[0]) < 1000 * MS, "heard at once");
    }
}

#[test]
fn a_reset_reaches_a_reader_that_holds_back() {
    let server = Server::plain(|peer| {
        peer.small_buffers(16 * 1024);
        if peer.request().is_some() {
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
            peer.send(&[7; 8000]);
            std::thread::sleep(Duration::from_millis(100));
            peer.reset();
        }
    });
    let plan = plan(&server.url(), "get", 1)
        .with("/verify", json!(false))
        .with("/slow", slow(1.0, 2000, 0.0, 1));
    let ended = run(&plan);
    assert_eq!(ended.only(), (O::Fail, C::Reset));
    assert!(
        service_ns(&ended.records[0]) < 1000 * MS,
        "not at its own pace"
    );
}

#[test]
fn slow_clients_have_their_own_connections_and_leave_the_others_alone() {
    let server = Server::plain(|peer| {
        while let Some(request) = peer.request() {
            let closes = request.header("connection") == Some("close");
            let header = if closes { "Connection: close\r\n" } else { "" };
            peer.answer(200, header, &[7; 4096]);
            if closes {
                return;
            }
        }
    });
    let base = plan(&server.url(), "get", 1)
        .with("/verify", json!(false))
        .with("/arrivals", open_loop(200.0, 1.0));
    let ended = run(&base.clone().with("/slow", slow(0.1, 16_384, 0.0, 1)));
    let again = run(&base.with("/slow", slow(0.1, 16_384, 0.0, 1)));
    assert_eq!(
        ended.only(),
        (O::Ok, C::None),
        "{:?}",
        ended.status.examples
    );
    let (slow, normal): (Vec<&Record>, Vec<&Record>) =
        ended.records.iter().partition(|record| is_slow(record));
    assert!((8..40).contains(&slow.len()), "{}", slow.len());
    for record in &slow {
        assert_eq!(record.nth_on_connection, 1);
        assert!(record.flags & FLAG_NEW_CONNECTION > 0);
        assert!(service_ns(record) > 150 * MS, "{record:?}");
    }
    let median = |mut values: Vec<u64>| {
        values.sort_unstable();
        values[values.len() / 2]
    };
    let lag = normal.iter().map(|record| record.start_ns - record.due_ns);
    let service = normal.iter().map(|record| service_ns(record));
    assert!(median(lag.collect()) < 2 * MS && median(service.collect()) < 10 * MS);
    assert!(normal.iter().any(|record| record.nth_on_connection > 5));
    let dues = |records: &[Record]| {
        let first = records.iter().map(|record| record.due_ns).min().unwrap();
        let slow = records.iter().filter(|record| is_slow(record));
        let mut dues: Vec<u64> = slow.map(|record| record.due_ns - first).collect();
        dues.sort_unstable();
        dues
    };
    assert_eq!(
        dues(&ended.records),
        dues(&again.records),
        "the same arrivals are slow"
    );
}

#[test]
fn a_slow_client_takes_the_place_of_an_idle_connection() {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    let plan = plan(&server.url(), "put", 30)
        .with("/limits/connections", json!(1))
        .with("/slow", slow(0.0, 1, 0.3, 1 << 20));
    let ended = run(&plan);
    assert_eq!(ended.only(), (O::Ok, C::None));
    let slow = ended
        .records
        .iter()
        .filter(|record| is_slow(record))
        .count();
    assert!((3..20).contains(&slow), "{slow}");
    assert!(server.connections() > slow);
}

#[test]
fn slow_uploads_go_on_over_their_own_connection() {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    let plan = plan(&server.url(), "multipart", 2).with("/slow", slow(0.0, 1, 1.0, 100_000));
    let ended = run(&plan);
    assert_eq!((ended.only(), s3.keys().len()), ((O::Ok, C::None), 2));
    assert_eq!(server.connections(), 2);
}
