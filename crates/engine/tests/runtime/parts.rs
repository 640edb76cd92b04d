//! The parts of a service time: connect, TLS, send, wait, body. A server is late with each by a known time, and the
//! parts add up.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use maul_engine::operation::{ErrorClass as C, Outcome as O};
use rustix::net::{bind, getsockname, listen, socket, AddressFamily, SocketType};
use serde_json::json;

use crate::plans::{plan, run, Record, With};
use crate::server::{Peer, Server};
use crate::tls::{trusting, Authority};

const MS: u64 = 1_000_000;
/// What a busy machine may add to a delay, milliseconds.
const SLACK_MS: u64 = 5000;
/// What it may take away, because the client noticed late that the part began.
const NOTICED_MS: u64 = 200;

/// Connect, TLS, send, wait, body, in nanoseconds.
fn parts(record: &Record) -> [u64; 5] {
    let ready_ns = record
        .start_ns
        .max(record.connected_ns)
        .max(record.secured_ns);
    let after = |later: u64, earlier: u64| match later {
        0 => 0,
        later => later.checked_sub(earlier).expect("moments are in order"),
    };
    [
        after(record.connected_ns, record.start_ns),
        after(record.secured_ns, record.connected_ns),
        record.sent_ns - ready_ns,
        record.first_byte_ns - record.sent_ns,
        record.end_ns - record.first_byte_ns,
    ]
}

fn pause(ms: u64) {
    sleep(Duration::from_millis(ms));
}

/// Late with reading by 400 ms, with answering by 350 ms, with the second half of the body by 300 ms.
fn late(peer: &mut Peer) {
    peer.small_buffers(256 * 1024);
    while let Some(request) = peer.head() {
        pause(400);
        let length = request.header("content-length").unwrap().parse().unwrap();
        if peer.body(length).is_none() {
            return;
        }
        pause(350);
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n");
        peer.send(&[b'x'; 1000]);
        pause(300);
        peer.send(&[b'x'; 1000]);
    }
}

fn near(part_ns: u64, least_ms: u64) -> bool {
    (least_ms.saturating_sub(NOTICED_MS) * MS..(least_ms + SLACK_MS) * MS).contains(&part_ns)
}

#[test]
fn every_part_is_as_long_as_the_server_makes_it_and_they_add_up() {
    let authority = Authority::new("ours");
    let config = Arc::new(authority.server(&["127.0.0.1"], false));
    let tls = Server::tls(config, |peer| {
        // The handshake begins with the first read.
        pause(450);
        late(peer);
    });
    let plain = Server::plain(late);
    for (url, handshake_ms) in [(tls.tls_url(), 450), (plain.url(), 0)] {
        let plan = trusting(plan(&url, "put", 2), &authority)
            .with("/sizes/bytes", json!(8 << 20))
            .with("/timeouts/connect_ms", json!(9000))
            .with("/timeouts/request_ms", json!(9000));
        let ended = run(&plan);
        assert_eq!(
            ended.only(),
            (O::Ok, C::None),
            "{:?}",
            ended.status.examples
        );
        for (nth, record) in ended.records.iter().enumerate() {
            let [connect, handshake, send, wait, body] = parts(record);
            let service = record.end_ns - record.start_ns;
            assert_eq!(connect + handshake + send + wait + body, service);
            assert!(
                near(send, 400) && near(wait, 350) && near(body, 300),
                "{record:?}"
            );
            match (nth, handshake_ms) {
                (0, 0) => assert!(connect > 0 && near(connect, 0) && handshake == 0),
                (0, ms) => {
                    assert!(connect > 0 && near(connect, 0), "{record:?}");
                    assert!(near(handshake, ms), "{record:?}");
                }
                _ => assert_eq!(
                    (record.connected_ns, record.secured_ns, connect, handshake),
                    (0, 0, 0, 0),
                    "the connection was there"
                ),
            }
            assert_eq!(
                (record.exchanges, record.nth_on_connection),
                (1, nth as u32 + 1)
            );
        }
        for (kind, values) in [
            ("connect", 1),
            ("tls", u64::from(handshake_ms > 0)),
            ("send", 2),
            ("wait", 2),
            ("body", 2),
        ] {
            assert_eq!(ended.histogram(kind).count(), values, "{kind}");
        }
    }
}

#[test]
fn a_connection_that_is_accepted_late_is_late_in_its_connect() {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    listen(&socket, 0).unwrap();
    let address = std::net::SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap();
    // The queue of the listener is full: the kernel asks again after a second.
    let fill: Vec<_> = (0..3)
        .map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(30)))
        .collect();
    assert!(fill.iter().any(Result::is_err), "the backlog is full");
    let server = std::thread::spawn(move || {
        pause(300);
        let listener = TcpListener::from(socket);
        listen(&listener, 16).unwrap();
        let waiting = fill.iter().filter(|connected| connected.is_ok()).count();
        let mut queue: Vec<TcpStream> = (0..=waiting)
            .map(|_| listener.accept().unwrap().0)
            .collect();
        let mut stream = queue.pop().unwrap();
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
        pause(200);
    });
    let plan = plan(&format!("http://{address}"), "head", 1)
        .with("/timeouts/connect_ms", json!(5000))
        .with("/timeouts/request_ms", json!(9000));
    let ended = run(&plan);
    server.join().unwrap();
    let [connect, _, send, wait, body] = parts(&ended.records[0]);
    assert!(near(connect, 1000), "{:?}", ended.records);
    assert_eq!(
        connect + send + wait + body,
        ended.records[0].end_ns - ended.records[0].start_ns
    );
}
