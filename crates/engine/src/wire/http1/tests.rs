use super::*;
use proptest::prelude::*;

#[derive(Default, Debug, PartialEq)]
struct Seen {
    status: u16,
    length: Option<u64>,
    etag: Vec<u8>,
    request_id: bool,
    body: Vec<u8>,
}

impl Sink for Seen {
    fn head(&mut self, head: &Head<'_>) {
        self.status = head.status;
        self.length = head.content_length;
        self.etag = head.etag.unwrap_or_default().to_vec();
        self.request_id = head.request_id.is_some();
    }

    fn body(&mut self, bytes: &[u8]) {
        self.body.extend_from_slice(bytes);
    }
}

/// Feeds portions of `step` bytes; returns what was seen, the surplus (None: not whole) and keep-alive.
fn read(
    answer: &[u8],
    step: usize,
    to_head: bool,
) -> Result<(Seen, Option<usize>, bool), Malformed> {
    let mut parser = Parser::default();
    parser.begin(to_head);
    let mut seen = Seen::default();
    let mut done = None;
    let mut fed = 0;
    for portion in answer.chunks(step.max(1)) {
        fed += portion.len();
        if let Progress::Done { surplus } = parser.feed(portion, &mut seen)? {
            done = Some(surplus + answer.len() - fed);
            break;
        }
    }
    Ok((seen, done, parser.keep_alive()))
}

fn malformed(answer: &[u8]) -> String {
    read(answer, 7, false).expect_err("malformed").to_string()
}

#[test]
fn content_length_ends_the_body_and_keeps_the_connection() {
    let answer =
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"x\"\r\nX-Amz-Request-Id: 1\r\n\r\nhello";
    for step in 1..answer.len() + 1 {
        let (seen, done, keep) = read(answer, step, false).unwrap();
        assert_eq!(
            (seen.status, seen.body.as_slice(), done, keep),
            (200, &b"hello"[..], Some(0), true),
            "{step}"
        );
        assert_eq!(
            (seen.length, seen.etag.as_slice(), seen.request_id),
            (Some(5), &b"\"x\""[..], true)
        );
    }
}

#[test]
fn surplus_bytes_are_told() {
    let (_, done, _) = read(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
        1000,
        false,
    )
    .unwrap();
    assert_eq!(done, Some(1));
}

#[test]
fn answers_without_body() {
    for (answer, to_head) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"[..], true),
        (&b"HTTP/1.1 204 No Content\r\n\r\n"[..], false),
        (
            &b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"[..],
            false,
        ),
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"[..], false),
        (&b"HTTP/1.1 200 \r\ncontent-length:0\r\n\r\n"[..], false),
    ] {
        assert_eq!(read(answer, 3, to_head).unwrap().1, Some(0));
    }
}

#[test]
fn connection_header_decides_reuse() {
    for (version, connection, keep) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Foo , CLOSE\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
    ] {
        let answer = format!("HTTP/{version} 200 OK\r\n{connection}Content-Length: 0\r\n\r\n");
        assert_eq!(
            read(answer.as_bytes(), 100, false).unwrap().2,
            keep,
            "{answer}"
        );
    }
}

#[test]
fn chunks_with_extensions_and_trailers() {
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n\
        5;name=value\r\nhello\r\n1 \r\n!\r\n00\r\nTrailer: x\r\n\r\nrest";
    for step in 1..answer.len() + 1 {
        let (seen, done, keep) = read(answer, step, false).unwrap();
        assert_eq!(
            (seen.body.as_slice(), done, keep),
            (&b"hello!"[..], Some(4), true),
            "{step}"
        );
    }
}

#[test]
fn both_framings_use_the_chunks_and_drop_the_connection() {
    let answer =
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let (seen, done, keep) = read(answer, 9, false).unwrap();
    assert_eq!((seen.length, done, keep), (None, Some(0), false));
}

#[test]
fn without_framing_the_body_ends_with_the_connection() {
    let mut parser = Parser::default();
    parser.begin(false);
    let mut seen = Seen::default();
    let answer = b"HTTP/1.1 200 OK\r\n\r\nall of it";
    assert_eq!(parser.feed(answer, &mut seen), Ok(Progress::More));
    assert!(parser.finish());
    assert_eq!(seen.body, b"all of it");
    assert!(!parser.keep_alive());
}

#[test]
fn a_close_in_the_middle_is_no_end() {
    for answer in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    ] {
        let mut parser = Parser::default();
        parser.begin(false);
        assert_eq!(
            parser.feed(answer, &mut Seen::default()),
            Ok(Progress::More)
        );
        assert!(!parser.finish(), "{answer:?}");
    }
}

#[test]
fn interim_answers_are_skipped() {
    let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
        HTTP/1.1 503 Slow Down\r\nContent-Length: 2\r\n\r\nno";
    for step in 1..answer.len() + 1 {
        let (seen, done, _) = read(answer, step, false).unwrap();
        assert_eq!(
            (seen.status, seen.body.as_slice(), done),
            (503, &b"no"[..], Some(0)),
            "{step}"
        );
    }
    let endless = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(20);
    assert!(malformed(&endless).contains("final answer"));
    assert!(malformed(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").contains("switched"));
}

#[test]
fn nonsense_is_malformed() {
    let chunked =
        |body: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    for answer in [
        "ICY 200 OK\r\n\r\n".to_owned(),
        "HTTP/2.0 200 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 99 Low\r\n\r\n".to_owned(),
        "HTTP/1.1 777 High\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n".to_owned(),
        chunked("x\r\n"),
        chunked("\r\n"),
        chunked("ffffffffffffffff\r\n"),
        chunked("1\r\nab"),
        chunked(&format!("1;{}", "e".repeat(5000))),
        chunked(&format!("0\r\n{}", "T: trailer\r\n".repeat(7000))),
    ] {
        malformed(answer.as_bytes());
    }
}

#[test]
fn endless_heads_are_cut_off_in_bounded_memory() {
    let mut parser = Parser::default();
    parser.begin(false);
    let mut fed = 0usize;
    let error = loop {
        let line = b"X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        let portion: &[u8] = if fed == 0 {
            b"HTTP/1.1 200 OK\r\n"
        } else {
            line
        };
        match parser.feed(portion, &mut Seen::default()) {
            Ok(_) => fed += portion.len(),
            Err(error) => break error,
        }
        assert!(fed < 2 * HEAD_BYTES_MAX, "never cut off");
    };
    assert!(error.to_string().contains("64 KiB"), "{error}");
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(97));
    assert!(malformed(many.as_bytes()).contains("96 header lines"));
}

proptest! {
    #[test]
    fn any_bytes_in_any_portions_neither_panic_nor_depend_on_the_portions(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), step in 1usize..40, chunked in any::<bool>(),
    ) {
        let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n".to_vec();
        if chunked {
            answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        }
        answer.extend(&bytes);
        let whole = read(&answer, answer.len(), false);
        let parts = read(&answer, step, false);
        match (whole, parts) {
            (Ok(whole), Ok(parts)) => prop_assert_eq!(whole, parts),
            (whole, parts) => prop_assert_eq!(whole.is_err(), parts.is_err()),
        }
        let _ = read(&bytes, step, false);
    }

    #[test]
    fn chunked_bodies_come_out_whole(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..8), step in 1usize..64) {
        let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for part in &parts {
            answer.extend(format!("{:X}\r\n", part.len()).bytes());
            answer.extend(part);
            answer.extend(b"\r\n");
        }
        answer.extend(b"0\r\n\r\n");
        let (seen, done, keep) = read(&answer, step, false).unwrap();
        prop_assert_eq!((seen.body, done, keep), (parts.concat(), Some(0), true));
    }
}
