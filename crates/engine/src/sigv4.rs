//! AWS Signature Version 4 for S3.
//!
//! Source: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)",
//! Amazon S3 API Reference, and "Create a signed AWS API request", AWS IAM User Guide. S3 differs
//! from other services: the path is encoded once and not normalised, and `x-amz-content-sha256` is
//! sent and signed.

use aws_lc_rs::{digest, hmac};

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `GET`.
    pub method: &'a str,
    /// Percent-encoded path (see [`encode_path`]), exactly as on the request line.
    pub path: &'a [u8],
    /// Canonical query string (see [`write_query`]), exactly as on the request line; empty for
    /// none.
    pub query: &'a [u8],
    /// Value of the `Host` header.
    pub host: &'a str,
    /// Further headers to sign (name in any case, value); the caller writes them into the request
    /// himself.
    pub headers: &'a [(&'a str, &'a str)],
    /// SHA-256 of the body in lower-case hexadecimal, [`UNSIGNED_PAYLOAD`] or [`EMPTY_PAYLOAD`].
    pub payload: &'a str,
    /// Unix time, seconds.
    pub unix_s: u64,
}

/// The payload of a request whose body is not signed.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
/// SHA-256 of nothing.
pub const EMPTY_PAYLOAD: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const ALGORITHM: &[u8] = b"AWS4-HMAC-SHA256";
const SECONDS_OF_A_DAY: u64 = 86_400;
/// 9999-12-31T23:59:59Z: the last second that four digits of a year can name.
const UNIX_MAX: u64 = 253_402_300_799;

/// Signs requests; keeps the key of the day and its buffers, so that signing allocates nothing once
/// they have grown.
///
/// ```
/// use maul_engine::sigv4::{Request, Signer, UNSIGNED_PAYLOAD};
/// let mut signer = Signer::new("AK", "secret", "us-east-1", "s3");
/// let request = Request {
///     method: "GET", path: b"/bucket/key", query: b"", host: "127.0.0.1:8333", headers: &[],
///     payload: UNSIGNED_PAYLOAD, unix_s: 1_369_353_600,
/// };
/// let mut lines = Vec::new();
/// signer.sign(&request, &mut lines);
/// assert!(lines.starts_with(b"x-amz-date: 20130524T000000Z\r\n"));
/// ```
#[derive(Clone)]
pub struct Signer {
    access_key: String,
    /// `AWS4` and the secret key.
    secret: Vec<u8>,
    region: String,
    service: String,
    /// The second that `stamp` was made for.
    second: Option<u64>,
    /// `20130524T000000Z`.
    stamp: [u8; 16],
    /// `20130524/us-east-1/s3/aws4_request`.
    scope: Vec<u8>,
    day_key: hmac::Key,
    canonical: Vec<u8>,
    signed_names: Vec<u8>,
    to_sign: Vec<u8>,
    order: Vec<usize>,
}

impl Signer {
    /// A signer for one region and service (`s3`).
    #[must_use]
    pub fn new(access_key: &str, secret_key: &str, region: &str, service: &str) -> Self {
        let secret = [b"AWS4", secret_key.as_bytes()].concat();
        Self {
            access_key: access_key.to_owned(),
            day_key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            secret,
            region: region.to_owned(),
            service: service.to_owned(),
            second: None,
            stamp: [0; 16],
            scope: Vec::new(),
            canonical: Vec::new(),
            signed_names: Vec::new(),
            to_sign: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Appends the header lines `x-amz-date`, `x-amz-content-sha256` and `authorization`, each with
    /// its CRLF.
    pub fn sign(&mut self, request: &Request<'_>, out: &mut Vec<u8>) {
        self.set_time(request.unix_s.min(UNIX_MAX));
        self.write_canonical_request(request);
        self.to_sign.clear();
        for line in [ALGORITHM, &self.stamp, &self.scope] {
            self.to_sign.extend_from_slice(line);
            self.to_sign.push(b'\n');
        }
        let hash = digest::digest(&digest::SHA256, &self.canonical);
        self.to_sign.extend_from_slice(&hex64(hash.as_ref()));
        let signature = hex64(hmac::sign(&self.day_key, &self.to_sign).as_ref());

        let payload: &[&[u8]] = if self.service == "s3" {
            &[b"\r\nx-amz-content-sha256: ", request.payload.as_bytes()]
        } else {
            &[]
        };
        let parts: [&[u8]; 8] = [
            b"\r\nauthorization: AWS4-HMAC-SHA256 Credential=",
            self.access_key.as_bytes(),
            b"/",
            &self.scope,
            b", SignedHeaders=",
            &self.signed_names,
            b", Signature=",
            &signature,
        ];
        out.extend_from_slice(b"x-amz-date: ");
        out.extend_from_slice(&self.stamp);
        for part in payload.iter().chain(&parts) {
            out.extend_from_slice(part);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// The canonical form of the last request: what to compare when a target says
    /// SignatureDoesNotMatch.
    #[must_use]
    pub fn canonical_request(&self) -> &[u8] {
        &self.canonical
    }

    fn set_time(&mut self, unix_s: u64) {
        if self.second == Some(unix_s) {
            return;
        }
        let day = unix_s / SECONDS_OF_A_DAY;
        let same_day = self
            .second
            .is_some_and(|second| second / SECONDS_OF_A_DAY == day);
        self.second = Some(unix_s);
        self.stamp = stamp(unix_s);
        if same_day {
            return;
        }
        let date = &self.stamp[..8];
        self.scope.clear();
        let parts: [&[u8]; 6] = [
            date,
            b"/",
            self.region.as_bytes(),
            b"/",
            self.service.as_bytes(),
            b"/aws4_request",
        ];
        for part in parts {
            self.scope.extend_from_slice(part);
        }
        let derive =
            |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
        let mut key = derive(&self.secret, date);
        for text in [
            self.region.as_bytes(),
            self.service.as_bytes(),
            b"aws4_request",
        ] {
            key = derive(key.as_ref(), text);
        }
        self.day_key = hmac::Key::new(hmac::HMAC_SHA256, key.as_ref());
    }

    fn write_canonical_request(&mut self, request: &Request<'_>) {
        let Self {
            canonical,
            signed_names,
            order,
            stamp,
            service,
            ..
        } = self;
        canonical.clear();
        for line in [request.method.as_bytes(), request.path, request.query] {
            canonical.extend_from_slice(line);
            canonical.push(b'\n');
        }
        let given = request.headers.len();
        let header = |place: usize| -> (&str, &[u8]) {
            match place.checked_sub(given) {
                None => (
                    request.headers[place].0,
                    request.headers[place].1.as_bytes(),
                ),
                Some(0) => ("host", request.host.as_bytes()),
                Some(1) => ("x-amz-date", &stamp[..]),
                Some(_) => ("x-amz-content-sha256", request.payload.as_bytes()),
            }
        };
        let own = if service == "s3" { 3 } else { 2 };
        order.clear();
        order.extend(0..given + own);
        // headers of the same name keep their order
        order.sort_unstable_by(|left, right| {
            lower(header(*left).0)
                .cmp(lower(header(*right).0))
                .then(left.cmp(right))
        });

        signed_names.clear();
        let mut before: Option<&str> = None;
        for (name, value) in order.iter().map(|place| header(*place)) {
            if before.is_some_and(|before| before.eq_ignore_ascii_case(name)) {
                // several headers of one name become one, separated by commas
                canonical.pop();
                canonical.push(b',');
            } else {
                if before.is_some() {
                    signed_names.push(b';');
                }
                signed_names.extend(lower(name));
                canonical.extend(lower(name));
                canonical.push(b':');
            }
            write_trimmed(value, canonical);
            canonical.push(b'\n');
            before = Some(name);
        }
        canonical.push(b'\n');
        canonical.extend_from_slice(signed_names);
        canonical.push(b'\n');
        canonical.extend_from_slice(request.payload.as_bytes());
    }
}

fn lower(name: &str) -> impl Iterator<Item = u8> + '_ {
    name.bytes().map(|byte| byte.to_ascii_lowercase())
}

/// Without blanks at both ends, and with one for each row of them inside.
fn write_trimmed(value: &[u8], out: &mut Vec<u8>) {
    let mut words = value
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    if let Some(first) = words.next() {
        out.extend_from_slice(first);
    }
    for word in words {
        out.push(b' ');
        out.extend_from_slice(word);
    }
}

/// `20130524T000000Z`. Days to a civil date: Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms".
fn stamp(unix_s: u64) -> [u8; 16] {
    let (days, second) = (
        unix_s / SECONDS_OF_A_DAY + 719_468,
        unix_s % SECONDS_OF_A_DAY,
    );
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // years begin in March, so that the leap day comes last
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let mut text = *b"00000000T000000Z";
    let fields = [
        (0, 4, year),
        (4, 2, month),
        (6, 2, day),
        (9, 2, second / 3600),
        (11, 2, second / 60 % 60),
        (13, 2, second % 60),
    ];
    for (at, width, number) in fields {
        let mut number = number;
        for digit in text[at..at + width].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
    text
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// 32 bytes in lower-case hexadecimal; of fewer or more bytes, zeros behind or the first 32.
pub(crate) fn hex64(bytes: &[u8]) -> [u8; 64] {
    let mut text = [b'0'; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    text
}

/// A byte as S3 wants it in a path or query: itself when RFC 3986 calls it unreserved, else `%` and
/// two capital digits.
fn encoded(byte: u8, slash_stays: bool) -> impl Iterator<Item = u8> {
    let stays =
        byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || slash_stays && byte == b'/';
    let digit = |nibble: u8| HEX[usize::from(nibble)].to_ascii_uppercase();
    let escaped = [b'%', digit(byte >> 4), digit(byte & 15)];
    let plain = [byte, 0, 0];
    let (bytes, length) = if stays { (plain, 1) } else { (escaped, 3) };
    bytes.into_iter().take(length)
}

/// Appends a path, percent-encoded once as S3 wants it; `/` stays.
pub fn encode_path(path: &[u8], out: &mut Vec<u8>) {
    out.extend(path.iter().flat_map(|byte| encoded(*byte, true)));
}

/// Appends the canonical query string of (name, value) pairs: encoded, sorted, joined by `&`. Sorts
/// the pairs in place.
pub fn write_query(pairs: &mut [(&str, &str)], out: &mut Vec<u8>) {
    fn bytes(text: &str) -> impl Iterator<Item = u8> + '_ {
        text.bytes().flat_map(|byte| encoded(byte, false))
    }
    pairs.sort_unstable_by(|left, right| {
        bytes(left.0)
            .cmp(bytes(right.0))
            .then_with(|| bytes(left.1).cmp(bytes(right.1)))
    });
    for (place, (name, value)) in pairs.iter().enumerate() {
        if place > 0 {
            out.push(b'&');
        }
        out.extend(bytes(name));
        out.push(b'=');
        out.extend(bytes(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_civil_dates() {
        let cases = [
            (0, "19700101T000000Z"),
            (951_782_400, "20000229T000000Z"),
            (1_369_353_600, "20130524T000000Z"),
            (1_440_938_160, "20150830T123600Z"),
            (4_107_542_399, "21000228T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
            (UNIX_MAX, "99991231T235959Z"),
        ];
        for (unix_s, text) in cases {
            assert_eq!(stamp(unix_s), text.as_bytes(), "{text}");
        }
    }

    #[test]
    fn encodes_once_and_keeps_slashes_in_paths_only() {
        let mut path = Vec::new();
        encode_path("/b/a b%20+~é".as_bytes(), &mut path);
        assert_eq!(path, b"/b/a%20b%2520%2B~%C3%A9");
        let mut query = Vec::new();
        write_query(
            &mut [("prefix", "a/b c"), ("list-type", "2"), ("lifecycle", "")],
            &mut query,
        );
        assert_eq!(query, b"lifecycle=&list-type=2&prefix=a%2Fb%20c");
    }

    fn sign(signer: &mut Signer, unix_s: u64) -> Vec<u8> {
        let request = Request {
            method: "PUT",
            path: b"/b/k",
            query: b"",
            host: "h",
            headers: &[("Content-Type", "x")],
            payload: EMPTY_PAYLOAD,
            unix_s,
        };
        let mut out = Vec::new();
        signer.sign(&request, &mut out);
        out
    }

    #[test]
    fn a_kept_day_key_gives_what_a_fresh_one_gives() {
        let fresh = |unix_s| sign(&mut Signer::new("a", "b", "r", "s3"), unix_s);
        let mut signer = Signer::new("a", "b", "r", "s3");
        let midnight = 1_369_353_600;
        for unix_s in [
            midnight - 1,
            midnight,
            midnight,
            midnight + 1,
            midnight - 1,
            u64::MAX,
        ] {
            assert_eq!(sign(&mut signer, unix_s), fresh(unix_s), "{unix_s}");
        }
        assert_ne!(fresh(midnight), fresh(midnight + 1));
    }

    #[test]
    fn signs_the_further_headers_in_order() {
        let mut signer = Signer::new("a", "b", "r", "s3");
        let lines = String::from_utf8(sign(&mut signer, 0)).unwrap();
        assert!(
            lines.contains(
                "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date, Signature="
            ),
            "{lines}"
        );
        assert_eq!(lines.matches("\r\n").count(), 3);
    }
}
