//! The server as a client sees it: by hand, by the engine, and by clients that mean it no good.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use maul_engine::body::Verifier;
use maul_engine::operation::{ErrorClass, Key, Region};
use maul_null_server::{Certificate, NullServer, Settings};

mod engine_runs;

const RUN: u64 = 77;
const PATIENCE: Duration = Duration::from_secs(10);

fn settings() -> Settings {
    Settings {
        threads: 2,
        pin: Vec::new(),
        run: RUN,
        object_bytes: 4096,
        connections_max: 200,
        certificate: None,
    }
}

fn server() -> NullServer {
    NullServer::start(&settings()).unwrap()
}

fn dial(server: &NullServer) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Head and body of the next answer.
fn answer(stream: &mut TcpStream, with_body: bool) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; if with_body { length } else { 0 }];
    stream.read_exact(&mut body).unwrap();
    (head, body)
}

fn ask(stream: &mut TcpStream, text: &str) -> (String, String) {
    stream.write_all(text.as_bytes()).unwrap();
    let (head, body) = answer(stream, !text.starts_with("HEAD"));
    (head, String::from_utf8_lossy(&body).into_owned())
}

#[test]
fn every_request_has_the_answer_of_a_store() {
    let server = server();
    let mut stream = dial(&server);
    let mut ids = Vec::new();
    for (request, status, part) in [
        ("HEAD /b/k HTTP/1.1\r\n\r\n", "200", "Content-Length: 4096"),
        ("HEAD /b HTTP/1.1\r\n\r\n", "200", "Content-Length: 0"),
        (
            "PUT /b/k HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
            "200",
            "ETag: \"",
        ),
        (
            "PUT /b/k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "200",
            "ETag: \"",
        ),
        ("DELETE /b/k HTTP/1.1\r\n\r\n", "204", ""),
        (
            "GET /b?list-type=2 HTTP/1.1\r\n\r\n",
            "200",
            "<ListBucketResult>",
        ),
        ("POST /b/k?uploads HTTP/1.1\r\n\r\n", "200", "<UploadId>"),
        (
            "PUT /b/k?partNumber=1&uploadId=x HTTP/1.1\r\nContent-Length: 2\r\n\r\nab",
            "200",
            "ETag: \"",
        ),
        (
            "POST /b/k?uploadId=x HTTP/1.1\r\nContent-Length: 3\r\n\r\n<a>",
            "200",
            "<CompleteMultipartUploadResult>",
        ),
        (
            "GET /b/k HTTP/1.1\r\nRange: bytes=9999-\r\n\r\n",
            "416",
            "InvalidRange",
        ),
        ("BREW /b/k HTTP/1.1\r\n\r\n", "405", "MethodNotAllowed"),
    ] {
        let (head, body) = ask(&mut stream, request);
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {head}"
        );
        assert!(
            head.contains(part) || body.contains(part),
            "{request}: {head}{body}"
        );
        let id = head
            .lines()
            .find_map(|line| line.strip_prefix("x-amz-request-id: "));
        ids.push(id.expect("a request id").to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 11);
}

#[test]
fn a_whole_body_and_a_range_of_it_are_the_bytes_of_that_key() {
    let server = server();
    let mut stream = dial(&server);
    // Kept and computed bodies, small and large.
    for (index, size) in [
        (1u64, 4096usize),
        (1_000_000, 4096),
        (3, 100_000),
        (99, 3_000_000),
    ] {
        let mut request = format!("GET /null-{size}/").into_bytes();
        Key::new(Region::Base, index).write_name(b"maul/r/", &mut request);
        let path = String::from_utf8(request).unwrap();
        stream
            .write_all(format!("{path} HTTP/1.1\r\n\r\n").as_bytes())
            .unwrap();
        let (_, whole) = answer(&mut stream, true);
        assert_eq!(whole.len(), size);
        let mut verifier = Verifier::new(RUN, Key::new(Region::Base, index).0);
        verifier.feed(&whole);
        assert_eq!(verifier.finish().class, ErrorClass::None);
        let request = format!("{path} HTTP/1.1\r\nRange: bytes=1000-3999\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let (head, part) = answer(&mut stream, true);
        assert!(head.starts_with("HTTP/1.1 206"), "{head}");
        assert!(part == whole[1000..4000]);
    }
}

#[test]
fn answers_to_pipelined_requests_come_in_order() {
    let server = server();
    let mut stream = dial(&server);
    let one = "GET /null-70000/k HTTP/1.1\r\n\r\nHEAD /b/k HTTP/1.1\r\n\r\nPUT /b/k HTTP/1.1\r\nContent-Length: 1\r\n\r\nx";
    stream.write_all(one.repeat(20).as_bytes()).unwrap();
    for _ in 0..20 {
        assert_eq!(answer(&mut stream, true).1.len(), 70_000);
        assert!(answer(&mut stream, false)
            .0
            .contains("Content-Length: 4096"));
        assert!(answer(&mut stream, true).0.contains("Content-Length: 0"));
    }
    assert!(server.totals().requests <= 60);
}

#[test]
fn who_waits_for_a_go_ahead_gets_it() {
    let server = server();
    let mut stream = dial(&server);
    stream
        .write_all(b"PUT /b/k HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        .unwrap();
    assert!(answer(&mut stream, false).0.starts_with("HTTP/1.1 100 "));
    stream.write_all(b"hello").unwrap();
    assert!(answer(&mut stream, false).0.starts_with("HTTP/1.1 200 "));
}

#[test]
fn garbage_is_refused_and_others_are_served() {
    let server = server();
    let endless = [b"GET / HTTP/1.1\r\nx: ".as_slice(), &vec![b'a'; 40_000]].concat();
    let random: Vec<u8> = (0..50_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let bad_chunk = b"PUT /b/k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec();
    for garbage in [
        endless,
        random,
        bad_chunk,
        b"\x16\x03\x01\x02\x00".to_vec(),
        b"\0\0\0\0".to_vec(),
    ] {
        let mut stream = dial(&server);
        // The server may close while we are still sending.
        let _ = stream.write_all(&garbage);
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        if !said.is_empty() {
            let said = String::from_utf8_lossy(&said).into_owned();
            assert!(said.starts_with("HTTP/1.1 4"), "{said}");
        }
    }
    let (head, _) = ask(&mut dial(&server), "HEAD /b/k HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200"));
}

#[test]
fn a_client_that_never_reads_is_given_up() {
    let server = server();
    let mut stream = dial(&server);
    let request = b"GET /null-1048576/k HTTP/1.1\r\n\r\n".repeat(1000);
    // 31 kB of requests a turn, 1 GB of answers that nobody reads: the server closes, so writing fails in the end.
    let refused = (0..1000).any(|_| stream.write_all(&request).is_err());
    assert!(refused);
}

#[test]
fn more_connections_than_allowed_are_closed() {
    let server = NullServer::start(&Settings {
        connections_max: 3,
        ..settings()
    })
    .unwrap();
    let mut kept: Vec<TcpStream> = (0..3).map(|_| dial(&server)).collect();
    for stream in &mut kept {
        ask(stream, "HEAD /b/k HTTP/1.1\r\n\r\n");
    }
    let mut one_more = dial(&server);
    assert_eq!(one_more.read(&mut [0; 1]).unwrap_or(0), 0);
    drop(kept.pop());
    // The place is free again as soon as the server has seen the goodbye.
    let until = Instant::now() + PATIENCE;
    let served =
        std::iter::from_fn(|| (Instant::now() < until).then(|| dial(&server))).any(|mut stream| {
            stream.write_all(b"HEAD /b/k HTTP/1.1\r\n\r\n").is_ok()
                && stream.read(&mut [0; 1]).unwrap_or(0) == 1
        });
    assert!(served);
}

#[test]
fn a_stall_lasts_as_long_as_it_was_told_to() {
    let server = server();
    let mut stream = dial(&server);
    ask(&mut stream, "HEAD /b/k HTTP/1.1\r\n\r\n");
    let length = Duration::from_millis(300);
    let began = Instant::now();
    server.stall(Duration::ZERO, length);
    ask(&mut stream, "HEAD /b/k HTTP/1.1\r\n\r\n");
    assert!(began.elapsed() >= length, "{:?}", began.elapsed());
}

#[test]
fn bad_settings_are_told() {
    for threads in [0, 257] {
        let text = NullServer::start(&Settings {
            threads,
            ..settings()
        })
        .unwrap_err();
        assert!(text.contains("1 to 256 threads"), "{text}");
    }
    let text = NullServer::start(&Settings {
        certificate: Some(Certificate("none".to_owned())),
        ..settings()
    })
    .unwrap_err();
    assert!(text.contains("certificate"), "{text}");
}

#[test]
fn nothing_is_left_when_it_is_gone() {
    let mut server = server();
    let mut stream = dial(&server);
    ask(&mut stream, "HEAD /b/k HTTP/1.1\r\n\r\n");
    let address = server.address();
    server.stop();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(TcpStream::connect(address).is_err());
    assert_eq!(server.totals().requests, 1);
}
