//! Opening, keeping and losing connections.

use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

use maul_engine::operation::{ErrorClass as C, Outcome as O, FLAG_NEW_CONNECTION};
use maul_engine::status::Counter;
use rustix::net::{bind, getsockname, listen, socket, AddressFamily, SocketType};
use serde_json::json;

use crate::mini_s3::MiniS3;
use crate::plans::{open_loop, plan, run, With};
use crate::server::{dead_url, Server};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn one_connection_is_kept_and_only_its_first_operation_says_new() {
    let server = Server::answering(OK);
    let ended = run(&plan(&server.url(), "put", 20));
    assert_eq!((ended.only(), server.connections()), ((O::Ok, C::None), 1));
    let flags: Vec<u8> = ended.records.iter().map(|record| record.flags).collect();
    assert_eq!(
        (flags[0], flags[1..].iter().max()),
        (FLAG_NEW_CONNECTION, Some(&0))
    );
}

#[test]
fn connection_close_is_obeyed() {
    let server = Server::answering_once(
        &b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"[..],
    );
    let ended = run(&plan(&server.url(), "put", 10));
    assert_eq!((ended.only(), server.connections()), ((O::Ok, C::None), 10));
    assert!(ended
        .records
        .iter()
        .all(|record| record.flags == FLAG_NEW_CONNECTION));
}

#[test]
fn a_connection_that_was_closed_while_idle_is_not_used() {
    // The answer promises to keep the connection, and then it closes.
    let server = Server::answering_once(OK);
    let ended = run(&plan(&server.url(), "put", 1).with("/arrivals", open_loop(50.0, 0.5)));
    let (mut seen, mut good) = (0, 0);
    for pair in ended.records.windows(2) {
        // On a busy machine an operation may start before the news of the close can be there.
        if pair[1].start_ns.saturating_sub(pair[0].end_ns) > 5_000_000 {
            seen += 1;
            good += usize::from(
                pair[1].result() == (O::Ok, C::None) && pair[1].flags == FLAG_NEW_CONNECTION,
            );
        }
    }
    assert!(seen > 5 && good == seen, "{good} of {seen}");
}

#[test]
fn refused_connections_fail_and_writes_do_too() {
    let url = dead_url().unwrap();
    for op in ["get", "put"] {
        let ended = run(&plan(&url, op, 3));
        assert_eq!(ended.only(), (O::Fail, C::ConnectRefused));
        assert!(ended.example(C::ConnectRefused).contains("refused"));
    }
}

#[test]
fn a_closed_loop_does_not_spin_on_a_dead_target() {
    let plan = plan(&dead_url().unwrap(), "get", 1).with(
        "/arrivals",
        json!({"mode": "closed", "concurrency": 8, "seconds": 0.5, "requests": null, "think": null}),
    );
    let ended = run(&plan);
    assert!(
        (8..200).contains(&ended.records.len()),
        "{}",
        ended.records.len()
    );
}

#[test]
fn an_open_loop_keeps_its_rate_on_a_dead_target() {
    let ended = run(&plan(&dead_url().unwrap(), "get", 1).with("/arrivals", open_loop(400.0, 0.5)));
    assert_eq!(ended.records.len(), 200);
    assert_eq!(ended.only(), (O::Fail, C::ConnectRefused));
    assert_eq!(ended.get(Counter::ConnectFailed), 200);
}

#[test]
fn connections_that_nobody_accepts_time_out() {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    listen(&socket, 0).unwrap();
    let address = std::net::SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap();
    // With a backlog of nothing the second connection is not even answered.
    let fill: Vec<_> = (0..3)
        .map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(50)))
        .collect();
    assert!(fill.iter().any(Result::is_err), "the backlog is full");
    let plan =
        plan(&format!("http://{address}"), "put", 1).with("/timeouts/connect_ms", json!(150));
    let ended = run(&plan);
    assert_eq!(ended.only(), (O::Fail, C::ConnectTimeout));
    assert_eq!(ended.get(Counter::ConnectFailed), 1);
}

#[test]
fn endpoints_take_turns_and_a_dead_one_does_not_attract_everything() {
    let (one, two) = (Server::answering(OK), Server::answering(OK));
    let endpoint = |name: &str, url: String| json!({"name": name, "url": url, "ca_pem": null, "server_name": null, "address": null});
    let endpoints = json!([
        endpoint("one", one.url()),
        endpoint("two", two.url()),
        endpoint("dead", dead_url().unwrap())
    ]);
    let plan = plan("http://127.0.0.1", "put", 1)
        .with("/endpoints", endpoints)
        .with("/arrivals", open_loop(300.0, 0.4));
    let ended = run(&plan);
    for (endpoint, class) in [(0, C::None), (1, C::None), (2, C::ConnectRefused)] {
        let of_it: Vec<_> = ended
            .records
            .iter()
            .filter(|record| record.endpoint == endpoint)
            .collect();
        assert_eq!(of_it.len(), 40);
        assert!(
            of_it.iter().all(|record| record.class == class),
            "{endpoint}"
        );
    }
    assert!(
        one.connections() < 20 && two.connections() < 20,
        "connections are kept"
    );
}

#[test]
fn no_more_connections_than_allowed() {
    let server = Server::plain(|peer| {
        while peer.request().is_some() {
            std::thread::sleep(Duration::from_millis(20));
            peer.send(OK);
        }
    });
    let plan = plan(&server.url(), "get", 1)
        .with("/verify", json!(false))
        .with("/limits/connections", json!(3))
        .with("/arrivals", open_loop(500.0, 0.3));
    let ended = run(&plan);
    assert_eq!((ended.only(), server.connections()), ((O::Ok, C::None), 3));
    assert!(ended.get(Counter::Late) > 100, "most had to wait");
}

#[test]
fn host_and_signature_are_sent() {
    let server = Server::plain(|peer| {
        while let Some(request) = peer.request() {
            let host = request.header("host").unwrap_or_default().to_owned();
            let date = request.header("x-amz-date").unwrap_or_default().len();
            let right = host.starts_with("127.0.0.1:")
                && date == 16
                && request.header("x-amz-content-sha256") == Some("UNSIGNED-PAYLOAD")
                && request
                    .header("authorization")
                    .is_some_and(|value| value.contains("/us-east-1/s3/aws4_request"))
                && request.path == "/bucket/maul/run/b000000000000"
                && request.body.len() == 4096;
            peer.answer(if right { 200 } else { 400 }, "", b"");
        }
    });
    let ended = run(&plan(&server.url(), "put", 1));
    assert_eq!(
        ended.only(),
        (O::Ok, C::None),
        "{:?}",
        ended.status.examples
    );
}

/// Answers as a server does that obeys `connection: close`; or one that never closes by itself.
fn churned(obeys: bool) -> Server {
    Server::plain(move |peer| {
        while let Some(request) = peer.request() {
            if request.header("connection") != Some("close") || !obeys {
                peer.send(OK);
                continue;
            }
            peer.answer(200, "Connection: close\r\n", b"");
            return;
        }
    })
}

#[test]
fn connections_are_closed_after_so_many_requests() {
    for (each, requests, connections) in [(1, 12, 12), (3, 12, 4), (5, 12, 3)] {
        for obeys in [true, false] {
            let server = churned(obeys);
            let plan = plan(&server.url(), "put", requests)
                .with("/connections/requests_each", json!(each));
            let ended = run(&plan);
            assert_eq!(ended.only(), (O::Ok, C::None));
            assert_eq!(
                (server.connections(), ended.get(Counter::Opened)),
                (connections, connections as u64),
                "{each} obeyed: {obeys}"
            );
            for (place, record) in ended.records.iter().enumerate() {
                let nth = (place as u32) % each + 1;
                assert_eq!(record.nth_on_connection, nth);
                assert_eq!(record.flags, u8::from(nth == 1) * FLAG_NEW_CONNECTION);
            }
        }
    }
}

#[test]
fn new_connections_come_at_exactly_the_rate_of_arrivals() {
    let server = churned(true);
    let plan = plan(&server.url(), "put", 1)
        .with("/connections/requests_each", json!(1))
        .with("/arrivals", open_loop(500.0, 0.4));
    let ended = run(&plan);
    assert_eq!(
        (ended.only(), server.connections()),
        ((O::Ok, C::None), 200)
    );
    assert_eq!(ended.get(Counter::Opened), 200);
}

#[test]
fn the_server_closes_first_and_keeps_the_waiting_time() {
    let server = churned(true);
    let port = server.address.port();
    let plan = plan(&server.url(), "put", 20).with("/connections/requests_each", json!(1));
    assert_eq!(run(&plan).only(), (O::Ok, C::None));
    // /proc/net/tcp: the local address, the remote one, the state; 06 is TIME_WAIT.
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let end = format!(":{port:04X}");
    let (mut ours, mut theirs) = (0, 0);
    for line in table.lines().filter(|line| line.contains(&end)) {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        theirs += usize::from(fields[3] == "06" && fields[1].ends_with(&end));
        ours += usize::from(fields[3] == "06" && fields[2].ends_with(&end));
    }
    assert!(theirs >= 18 && ours <= 2, "server {theirs}, client {ours}");
}

#[test]
fn a_server_that_promises_to_close_and_does_not_costs_no_operation() {
    let server = Server::plain(|peer| {
        while peer.request().is_some() {
            peer.answer(200, "Connection: close\r\n", b"");
        }
    });
    let plan = plan(&server.url(), "put", 1).with("/arrivals", open_loop(100.0, 0.3));
    let ended = run(&plan);
    assert_eq!((ended.only(), server.connections()), ((O::Ok, C::None), 30));
}

#[test]
fn a_checked_address_is_connected_to_and_the_name_only_named() {
    let server = Server::plain(|peer| {
        while let Some(request) = peer.request() {
            let host = request.header("host").unwrap_or_default();
            let status = if host.starts_with("name.invalid:") {
                200
            } else {
                400
            };
            peer.answer(status, "", b"");
        }
    });
    let url = format!("http://name.invalid:{}", server.address.port());
    let plan = plan(&url, "put", 3).with("/endpoints/0/address", json!("127.0.0.1"));
    assert_eq!(run(&plan).only(), (O::Ok, C::None));
}

#[test]
fn uploads_go_on_over_connections_that_end_after_every_request() {
    let s3 = MiniS3::default();
    let server = Server::plain(s3.script());
    let plan = plan(&server.url(), "multipart", 4).with("/connections/requests_each", json!(2));
    let ended = run(&plan);
    assert_eq!(
        (ended.only(), s3.keys().len()),
        ((O::Ok, C::None), 4),
        "{:?}",
        ended.status.examples
    );
    // Create, three parts, complete: twenty requests.
    assert_eq!((server.connections(), ended.get(Counter::Opened)), (10, 10));
    assert!(ended.records.iter().all(|record| record.exchanges == 5));
}
