//! Answers of every kind, and what is made of them.

use maul_engine::operation::{ErrorClass as C, Outcome as O};
use maul_engine::status::Counter;
use serde_json::json;

use crate::plans::{plan, run, With};
use crate::server::Server;

fn xml(status: u16, code: &str) -> Vec<u8> {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>because</Message></Error>"
    );
    format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn bare(status: u16) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

#[test]
fn refusals_are_classified_and_writes_that_may_have_happened_are_unknown() {
    // answer, class, outcome of a GET, outcome of a PUT
    let table: Vec<(Vec<u8>, C, O, O)> = vec![
        (xml(503, "SlowDown"), C::SlowDown, O::Fail, O::Fail),
        (bare(503), C::GatewayError, O::Fail, O::Unknown),
        (bare(429), C::Throttled, O::Fail, O::Fail),
        (
            xml(500, "InternalError"),
            C::InternalError,
            O::Fail,
            O::Unknown,
        ),
        (bare(502), C::GatewayError, O::Fail, O::Unknown),
        (bare(507), C::OtherServerError, O::Fail, O::Unknown),
        (xml(404, "NoSuchKey"), C::NoSuchKey, O::Fail, O::Fail),
        (xml(404, "NoSuchBucket"), C::NoSuchBucket, O::Fail, O::Fail),
        (xml(403, "AccessDenied"), C::AccessDenied, O::Fail, O::Fail),
        (
            xml(403, "SignatureDoesNotMatch"),
            C::BadSignature,
            O::Fail,
            O::Fail,
        ),
        (
            xml(403, "InvalidAccessKeyId"),
            C::UnknownAccessKey,
            O::Fail,
            O::Fail,
        ),
        (
            xml(403, "RequestTimeTooSkewed"),
            C::ClockSkew,
            O::Fail,
            O::Fail,
        ),
        (
            xml(301, "PermanentRedirect"),
            C::WrongRegion,
            O::Fail,
            O::Fail,
        ),
        (bare(307), C::Redirect, O::Fail, O::Fail),
        (
            xml(400, "EntityTooLarge"),
            C::OtherClientError,
            O::Fail,
            O::Fail,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n".to_vec(),
            C::Protocol,
            O::Fail,
            O::Unknown,
        ),
        (
            b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec(),
            C::Protocol,
            O::Fail,
            O::Unknown,
        ),
        (
            b"HTTP/1.1 206 X\r\nContent-Length: 1\r\n\r\nx".to_vec(),
            C::Protocol,
            O::Fail,
            O::Unknown,
        ),
        (
            b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec(),
            C::Protocol,
            O::Fail,
            O::Unknown,
        ),
    ];
    for (answer, class, get, put) in table {
        let server = Server::answering(answer.clone());
        for (op, outcome) in [("get", get), ("put", put)] {
            let ended = run(&plan(&server.url(), op, 2));
            assert_eq!(
                ended.only(),
                (outcome, class),
                "{op} {}",
                String::from_utf8_lossy(&answer)
            );
            assert_eq!(ended.status.counters.errors[class.slot()], 2);
            assert!(!ended.example(class).is_empty(), "{class:?} is explained");
        }
    }
}

#[test]
fn an_error_in_an_ok_is_no_ok() {
    for op in ["put", "list"] {
        let server = Server::answering(xml(200, "InternalError"));
        let ended = run(&plan(&server.url(), op, 1));
        let outcome = if op == "put" { O::Unknown } else { O::Fail };
        assert_eq!(
            (ended.only(), ended.records[0].status),
            ((outcome, C::ErrorInOk), 200)
        );
    }
}

#[test]
fn a_missing_object_is_missing_for_head_and_delete_too() {
    for (op, answer) in [("head", bare(404)), ("delete", xml(404, "NoSuchKey"))] {
        let ended = run(&plan(&Server::answering(answer).url(), op, 1));
        assert_eq!(ended.only(), (O::Fail, C::NoSuchKey));
    }
}

#[test]
fn interim_answers_come_before_the_final_one() {
    let mut answer = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
    answer.extend(bare(200));
    let ended = run(&plan(&Server::answering(answer).url(), "put", 3));
    assert_eq!(ended.only(), (O::Ok, C::None));
}

#[test]
fn endless_heads_are_cut_off() {
    let server = Server::plain(|peer| {
        peer.request();
        peer.send(b"HTTP/1.1 200 OK\r\n");
        for _ in 0..2000 {
            peer.send(b"X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        }
    });
    let ended = run(&plan(&server.url(), "get", 1));
    assert_eq!(ended.only(), (O::Fail, C::Protocol));
    assert!(ended.example(C::Protocol).contains("64 KiB"));
}

#[test]
fn connections_that_end_in_the_middle_are_resets() {
    let cut: [&[u8]; 4] = [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\nMAUL",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ];
    for answer in cut {
        let server = Server::answering_once(answer);
        assert_eq!(
            run(&plan(&server.url(), "get", 2)).only(),
            (O::Fail, C::Reset),
            "{answer:?}"
        );
        assert_eq!(
            run(&plan(&server.url(), "put", 2)).only(),
            (O::Unknown, C::Reset),
            "{answer:?}"
        );
    }
    let server = Server::plain(|peer| {
        peer.request();
        peer.reset();
    });
    assert_eq!(
        run(&plan(&server.url(), "delete", 2)).only(),
        (O::Unknown, C::Reset)
    );
}

#[test]
fn silence_is_a_timeout() {
    let server = Server::plain(|peer| {
        peer.request();
        peer.wait_for_close();
    });
    for (op, outcome) in [
        ("get", O::Fail),
        ("put", O::Unknown),
        ("delete", O::Unknown),
        ("list", O::Fail),
    ] {
        let ended = run(&plan(&server.url(), op, 1).with("/timeouts/request_ms", json!(150)));
        assert_eq!(ended.only(), (outcome, C::Timeout));
        let took_ms = (ended.records[0].end_ns - ended.records[0].start_ns) / 1_000_000;
        assert!((150..400).contains(&took_ms), "{took_ms}");
    }
}

#[test]
fn a_dripping_answer_is_a_timeout_as_a_whole() {
    let server = Server::plain(|peer| {
        peer.request();
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n");
        for _ in 0..100 {
            peer.send(b"x");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    });
    let ended = run(&plan(&server.url(), "get", 1).with("/timeouts/request_ms", json!(200)));
    assert_eq!(ended.only(), (O::Fail, C::Timeout));
    assert!(ended.records[0].first_byte_ns > 0);
}

#[test]
fn an_early_refusal_of_a_large_put_is_heard() {
    let server = Server::plain(|peer| {
        peer.head();
        let mut answer = xml(403, "AccessDenied");
        answer.splice(0..0, std::iter::empty());
        peer.send(&answer);
        peer.reset();
    });
    let ended = run(&plan(&server.url(), "put", 5).with("/sizes/bytes", json!(64 << 20)));
    assert_eq!(
        ended.count(O::Fail, C::AccessDenied) + ended.count(O::Unknown, C::Reset),
        5
    );
    assert!(
        ended.count(O::Fail, C::AccessDenied) >= 4,
        "{:?}",
        ended.status.examples
    );
    assert!(
        ended.get(Counter::BytesSent) < 5 * (64 << 20),
        "the rest of the bodies was not sent"
    );
}

#[test]
fn an_early_ok_is_not_believed() {
    let server = Server::plain(|peer| {
        peer.head();
        peer.send(&bare(200));
        peer.wait_for_close();
    });
    let ended = run(&plan(&server.url(), "put", 1).with("/sizes/bytes", json!(256 << 20)));
    assert_eq!(ended.only(), (O::Unknown, C::Protocol));
}

#[test]
fn bytes_behind_an_answer_cost_the_connection_but_not_the_operation() {
    let mut answer = bare(200);
    answer.extend(b"HTTP/1.1 200 OK\r\n");
    let server = Server::answering(answer);
    let ended = run(&plan(&server.url(), "put", 4));
    assert_eq!(ended.only(), (O::Ok, C::None));
    assert_eq!(server.connections(), 4);
}

/// Every answer is another lie. Nothing of it may be believed to be a good body, and the run comes to its end.
#[test]
fn a_server_that_lies_in_every_answer_is_survived_and_classed() {
    let lies: [&[u8]; 12] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfar more than ten bytes",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 999 X\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"\0\0\0\0\0\0\0\0",
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 302 Found\r\nLocation: http://198.51.100.1/\r\nContent-Length: 0\r\n\r\n",
    ];
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::plain(move |peer| {
        // keep-alive is a lie as well: the connection is closed after each answer
        if peer.request().is_some() {
            let turn = turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            peer.send(lies[turn % lies.len()]);
        }
    });
    for op in ["get", "put"] {
        let plan = plan(&server.url(), op, 240).with("/timeouts/request_ms", json!(500));
        let ended = run(&plan);
        assert_eq!(ended.records.len(), 240);
        if op == "get" {
            assert_eq!(
                ended.count(O::Ok, C::None),
                0,
                "no lie passes for an object"
            );
        }
        for class in [C::Protocol, C::Reset, C::Redirect] {
            assert!(ended.get_class(class) > 0, "{op}: {class:?}");
        }
    }
}
