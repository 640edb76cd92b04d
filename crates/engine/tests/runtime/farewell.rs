//! How connections end: with a goodbye, or, when told to abort, with a reset and nothing more.

use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use maul_engine::engine::Engine;
use maul_engine::operation::{ErrorClass as C, Outcome as O};
use maul_engine::status::Counter;
use serde_json::json;

use crate::plans::{finish, plan, With};
use crate::server::Server;

/// Four connections that hold a request each, as the server's side has them.
fn hold(begin: impl Fn(&Engine)) -> Vec<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // Too large for the socket, so that much of it still waits to be sent.
    let plan = plan(&url, "put", 1)
        .with("/sizes", json!({"kind": "fixed", "bytes": 64 << 20}))
        .with(
            "/arrivals",
            json!({"mode": "closed", "concurrency": 4, "seconds": 14.0, "requests": 4, "think": null}),
        );
    let engine = Engine::new(&plan.to_string()).unwrap();
    engine.start(None).unwrap();
    let accepted: Vec<TcpStream> = (0..4).map(|_| listener.accept().unwrap().0).collect();
    for stream in &accepted {
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        while stream.peek(&mut [0; 4096]).unwrap() == 0 {}
    }
    begin(&engine);
    let ended = finish(&engine);
    assert_eq!(ended.get(Counter::Connections), 0);
    accepted
}

/// Reads to the end; None for a FIN, else the error.
fn end_of(mut stream: TcpStream) -> Option<ErrorKind> {
    let mut bytes = vec![0; 1 << 20];
    for _ in 0..1000 {
        match stream.read(&mut bytes) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => return Some(error.kind()),
        }
    }
    panic!("it does not end");
}

#[test]
fn an_abort_resets_and_sends_nothing_more() {
    for stream in hold(Engine::abort) {
        assert_eq!(end_of(stream), Some(ErrorKind::ConnectionReset));
    }
}

#[test]
fn an_engine_that_is_dropped_resets_as_well_and_one_that_has_finished_says_goodbye() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let engine = Engine::new(&plan(&url, "get", 1).to_string()).unwrap();
    engine.start(None).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    finish(&engine);
    assert_eq!(end_of(stream), None);

    let engine = Engine::new(&plan(&url, "get", 1).to_string()).unwrap();
    engine.start(None).unwrap();
    let (stream, _) = listener.accept().unwrap();
    drop(engine);
    assert_eq!(end_of(stream), Some(ErrorKind::ConnectionReset));
}

#[test]
fn a_request_that_timed_out_ends_with_a_goodbye() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let plan = plan(&url, "get", 1).with("/timeouts/request_ms", json!(100));
    let engine = Engine::new(&plan.to_string()).unwrap();
    engine.start(None).unwrap();
    let (stream, _) = listener.accept().unwrap();
    assert_eq!(finish(&engine).only(), (O::Fail, C::Timeout));
    assert_eq!(end_of(stream), None);
}

#[test]
fn connections_on_their_way_are_counted_and_those_that_never_stood() {
    // Nobody answers the handshake of TLS.
    let server = Server::plain(|peer| peer.wait_for_close());
    let plan = plan(&server.tls_url(), "get", 1)
        .with(
            "/arrivals",
            json!({"mode": "closed", "concurrency": 3, "seconds": 14.0, "requests": 6, "think": null}),
        )
        .with("/timeouts/connect_ms", json!(300));
    let engine = Engine::new(&plan.to_string()).unwrap();
    engine.start(None).unwrap();
    let mut connecting = 0;
    while connecting < 3 {
        assert!(!engine.join(Duration::from_millis(2)), "never three");
        connecting = engine.status().counters.get(Counter::Connecting);
    }
    assert_eq!(connecting, 3);
    let ended = finish(&engine);
    assert_eq!(ended.only(), (O::Fail, C::ConnectTimeout));
    let counts =
        [Counter::Connecting, Counter::ConnectFailed, Counter::Opened].map(|one| ended.get(one));
    assert_eq!(counts, [0, 6, 0]);
}
