//! Answers that were right once and were then damaged: the parser neither panics nor hoards, and the portions in which
//! bytes come change nothing.

use super::*;
use proptest::prelude::*;

const HEADERS: &[&str] = &[
    "Content-Length: 5",
    "Content-Length: 0",
    "Content-Length: 99999999999999999999",
    "Content-Length: -1",
    "Content-Length: 5, 5",
    "content-length : 5",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Connection: close",
    "Connection: keep-alive, upgrade",
    "ETag: \"0123456789abcdef\"",
    "x-amz-request-id: 4442587FB7D0A2F9",
    "x-amz-version-id: 3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY",
    "Content-Range: bytes 0-4/5",
    "X-Folded: a\r\n b",
    ": no name",
    "no colon",
    "X-Null: \0",
];
const STATUS_LINES: &[&str] = &[
    "HTTP/1.1 200 OK",
    "HTTP/1.0 200 OK",
    "HTTP/1.1 206 Partial Content",
    "HTTP/1.1 304 Not Modified",
    "HTTP/1.1 204",
    "HTTP/1.1 100 Continue",
    "HTTP/1.1 101 Switching Protocols",
    "HTTP/1.1 503 Slow Down",
    "HTTP/2 200",
    "HTTP/1.1 099 X",
    "ICY 200 OK",
];
const BODIES: &[&str] = &[
    "",
    "hello",
    "hello and more",
    "5\r\nhello\r\n0\r\n\r\n",
    "5;name=value\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
    "fffffffffffffffff\r\n",
    "-5\r\nhello\r\n",
    "5\r\nhelloX\r\n0\r\n\r\n",
    "0\r\n",
];

/// What is done to the bytes: at a place, a number of them.
#[derive(Clone, Debug)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        (place(), any::<u8>()).prop_map(|(at, mask)| Damage::Flip(at, mask)),
        (place(), 1usize..20).prop_map(|(at, count)| Damage::Cut(at, count)),
        (place(), 1usize..40, 1usize..60)
            .prop_map(|(at, count, times)| Damage::Repeat(at, count, times)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    if bytes.is_empty() {
        return;
    }
    match *damage {
        Damage::Flip(at, mask) => {
            let at = at.index(bytes.len());
            bytes[at] ^= mask;
        }
        Damage::Cut(at, count) => {
            let at = at.index(bytes.len());
            bytes.drain(at..bytes.len().min(at + count));
        }
        Damage::Repeat(at, count, times) => {
            let at = at.index(bytes.len());
            let piece = bytes[at..bytes.len().min(at + count)].repeat(times);
            bytes.splice(at..at, piece);
        }
    }
}

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(texts)
}

/// An answer, or several, as bytes.
pub(crate) fn damaged_answers() -> impl Strategy<Value = Vec<u8>> {
    let headers = prop::collection::vec(one_of(HEADERS), 0..6);
    let answer =
        (one_of(STATUS_LINES), headers, one_of(BODIES)).prop_map(|(status, headers, body)| {
            let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
            format!("{status}\r\n{headers}\r\n{body}").into_bytes()
        });
    let answers = prop::collection::vec(answer, 1..4).prop_map(|answers| answers.concat());
    (answers, prop::collection::vec(damage(), 0..4)).prop_map(|(mut bytes, damages)| {
        for damage in &damages {
            apply(&mut bytes, damage);
        }
        bytes
    })
}

#[derive(Default, Debug, PartialEq)]
struct Counted {
    heads: u32,
    body: usize,
}

impl Sink for Counted {
    fn head(&mut self, _: &Head<'_>) {
        self.heads += 1;
    }

    fn body(&mut self, bytes: &[u8]) {
        self.body += bytes.len();
    }
}

/// What was seen, and for a whole answer whether the connection is good for another request. A head without its end
/// may be malformed at once, or be waited for until the connection closes: both are no answer.
fn outcome(bytes: &[u8], cuts: &[usize], to_head: bool) -> (Counted, Option<bool>) {
    let (mut parser, mut seen) = (Parser::default(), Counted::default());
    parser.begin(to_head);
    let (mut rest, mut turn) = (bytes, 0);
    while !rest.is_empty() {
        let portion = cuts
            .get(turn % cuts.len().max(1))
            .copied()
            .unwrap_or(rest.len());
        let (now, later) = rest.split_at(portion.clamp(1, rest.len()));
        match parser.feed(now, &mut seen) {
            Err(_) => return (seen, None),
            Ok(Progress::Done { .. }) => return (seen, Some(parser.keep_alive())),
            Ok(Progress::More) => {}
        }
        assert!(parser.partial.len() <= HEAD_BYTES_MAX, "it hoards");
        (rest, turn) = (later, turn + 1);
    }
    let whole = parser.finish();
    (seen, whole.then_some(false))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damaged_answers_neither_panic_nor_hoard_nor_depend_on_portions(
        bytes in damaged_answers(), cuts in prop::collection::vec(1usize..30, 1..8), to_head in any::<bool>(),
    ) {
        let (whole, told) = outcome(&bytes, &[], to_head);
        let (parts, told_in_parts) = outcome(&bytes, &cuts, to_head);
        prop_assert_eq!(told, told_in_parts);
        prop_assert!(whole.heads <= 1, "one answer has one head");
        prop_assert!(whole.body <= bytes.len());
        if told.is_some() {
            prop_assert_eq!(whole, parts);
        }
    }
}
