//! AWS Signature Version 4 for S3.
//!
//! Sources: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)" and "Authenticating
//! Requests: Using Query Parameters", Amazon S3 API Reference, and "Create a signed AWS API request", AWS IAM User
//! Guide. S3 differs from other services: the path is encoded once and not normalised, and `x-amz-content-sha256` is
//! sent and signed.

mod chain;
mod text;

use std::sync::Arc;

use aws_lc_rs::{digest, hmac};

pub use chain::Chain;
pub use text::{encode_path, write_query};
use text::{encode_value, stamp, write_trimmed, SECONDS_OF_A_DAY, UNIX_MAX};
pub(crate) use text::{hex64, write_number};

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `GET`.
    pub method: &'a str,
    /// Percent-encoded path (see [`encode_path`]), exactly as on the request line.
    pub path: &'a [u8],
    /// Canonical query string (see [`write_query`]), exactly as on the request line; empty for none.
    pub query: &'a [u8],
    /// Value of the `Host` header.
    pub host: &'a str,
    /// Further headers to sign (name in small letters, value), at most [`HEADERS_MAX`], in any order; the caller writes
    /// them into the request himself.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// SHA-256 of the body in lower-case hexadecimal, [`UNSIGNED_PAYLOAD`] or another of the words that S3 knows.
    pub payload: &'a str,
    /// Unix time, seconds.
    pub unix_s: u64,
}

/// The payload of a request whose body is not signed.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
/// SHA-256 of nothing.
pub const EMPTY_PAYLOAD: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// The same, as bytes.
pub(crate) const EMPTY_PAYLOAD_BYTES: &[u8; 64] =
    b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// Most headers that can be signed besides those that every request has.
pub const HEADERS_MAX: usize = 20;

const ALGORITHM: &[u8] = b"AWS4-HMAC-SHA256";

/// A signature in lower-case hexadecimal.
pub type Signature = [u8; 64];

/// What the signatures of one day share.
#[derive(Debug)]
struct Day {
    key: hmac::Key,
    /// `20130524/us-east-1/s3/aws4_request`.
    scope: Vec<u8>,
}

/// Signs requests; keeps the key of the day and its buffers, so that signing allocates nothing once they have grown.
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
    /// Of temporary credentials.
    session_token: Option<String>,
    region: String,
    service: String,
    /// The second that `stamp` was made for.
    second: Option<u64>,
    /// `20130524T000000Z`.
    stamp: [u8; 16],
    day: Arc<Day>,
    canonical: Vec<u8>,
    signed_names: Vec<u8>,
    to_sign: Vec<u8>,
}

impl Signer {
    /// A signer for one region and service (`s3`).
    #[must_use]
    pub fn new(access_key: &str, secret_key: &str, region: &str, service: &str) -> Self {
        let secret = [b"AWS4", secret_key.as_bytes()].concat();
        Self {
            access_key: access_key.to_owned(),
            day: Arc::new(Day {
                key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
                scope: Vec::new(),
            }),
            secret,
            session_token: None,
            region: region.to_owned(),
            service: service.to_owned(),
            second: None,
            stamp: [0; 16],
            canonical: Vec::new(),
            signed_names: Vec::new(),
            to_sign: Vec::new(),
        }
    }

    /// The same for temporary credentials: the token goes with every request, and is signed.
    #[must_use]
    pub fn with_session_token(mut self, token: &str) -> Self {
        self.session_token = Some(token.to_owned());
        self
    }

    /// Appends the header lines (`x-amz-security-token` first, if there is one) `x-amz-date`, `x-amz-content-sha256` and `authorization`, each with its CRLF; gives the
    /// signature.
    pub fn sign(&mut self, request: &Request<'_>, out: &mut Vec<u8>) -> Signature {
        self.set_time(request.unix_s.min(UNIX_MAX));
        let stamp = self.stamp;
        // the canonical request is written while the token is looked at
        let token = self.session_token.take();
        let in_s3 = self.service == "s3";
        let mut headers = Sorted::of(request);
        if in_s3 {
            headers.insert("x-amz-content-sha256", request.payload.as_bytes());
        }
        headers.insert("x-amz-date", &stamp);
        if let Some(token) = &token {
            headers.insert("x-amz-security-token", token.as_bytes());
        }
        self.write_signed_names(&headers);
        self.write_canonical_request(request, request.query, request.payload, &headers);
        let signature = self.signature();
        if let Some(token) = &token {
            let line: [&[u8]; 3] = [b"x-amz-security-token: ", token.as_bytes(), b"\r\n"];
            line.iter().for_each(|part| out.extend_from_slice(part));
        }
        self.session_token = token;
        out.extend_from_slice(b"x-amz-date: ");
        out.extend_from_slice(&stamp);
        if in_s3 {
            out.extend_from_slice(b"\r\nx-amz-content-sha256: ");
            out.extend_from_slice(request.payload.as_bytes());
        }
        let parts: [&[u8]; 9] = [
            b"\r\nauthorization: AWS4-HMAC-SHA256 Credential=",
            self.access_key.as_bytes(),
            b"/",
            &self.day.scope,
            b", SignedHeaders=",
            &self.signed_names,
            b", Signature=",
            &signature,
            b"\r\n",
        ];
        parts.iter().for_each(|part| out.extend_from_slice(part));
        signature
    }

    /// Appends the query string of a presigned URL: the signature's parameters, the request's own query behind them, the
    /// signature last. Signs `host` and the request's headers, which must be sent with it; the body stays unsigned, and
    /// `payload` is ignored.
    ///
    /// Names in the own query begin with a small letter, as those of S3 do, and so sort behind the signature's.
    pub fn presign(&mut self, request: &Request<'_>, expires_s: u32, out: &mut Vec<u8>) {
        debug_assert!(request.query.first().is_none_or(u8::is_ascii_lowercase));
        self.set_time(request.unix_s.min(UNIX_MAX));
        let headers = Sorted::of(request);
        self.write_signed_names(&headers);
        let start = out.len();
        out.extend_from_slice(b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=");
        encode_value(self.access_key.as_bytes(), out);
        out.extend_from_slice(b"%2F");
        encode_value(&self.day.scope, out);
        out.extend_from_slice(b"&X-Amz-Date=");
        out.extend_from_slice(&self.stamp);
        out.extend_from_slice(b"&X-Amz-Expires=");
        write_number(u64::from(expires_s), out);
        if let Some(token) = &self.session_token {
            out.extend_from_slice(b"&X-Amz-Security-Token=");
            encode_value(token.as_bytes(), out);
        }
        out.extend_from_slice(b"&X-Amz-SignedHeaders=");
        encode_value(&self.signed_names, out);
        if !request.query.is_empty() {
            out.push(b'&');
            out.extend_from_slice(request.query);
        }
        self.write_canonical_request(request, &out[start..], UNSIGNED_PAYLOAD, &headers);
        let signature = self.signature();
        out.extend_from_slice(b"&X-Amz-Signature=");
        out.extend_from_slice(&signature);
    }

    /// Of the chunks of the body of the request that was signed last, with that signature.
    #[must_use]
    pub fn chain(&self, seed: Signature) -> Chain {
        Chain {
            day: self.day.clone(),
            stamp: self.stamp,
            previous: seed,
        }
    }

    /// The canonical form of the last request: what to compare when a target says SignatureDoesNotMatch.
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
        if !same_day {
            self.day = Arc::new(self.new_day());
        }
    }

    fn new_day(&self) -> Day {
        let date = &self.stamp[..8];
        let (region, service) = (self.region.as_bytes(), self.service.as_bytes());
        let scope = [date, region, service, b"aws4_request"].join(&b'/');
        let derive =
            |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
        let mut key = derive(&self.secret, date);
        for text in [region, service, b"aws4_request"] {
            key = derive(key.as_ref(), text);
        }
        Day {
            key: hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()),
            scope,
        }
    }

    fn write_signed_names(&mut self, headers: &Sorted<'_>) {
        self.signed_names.clear();
        let mut before = "";
        for (name, _) in headers.iter() {
            if name == before {
                continue;
            }
            if !before.is_empty() {
                self.signed_names.push(b';');
            }
            self.signed_names.extend_from_slice(name.as_bytes());
            before = name;
        }
    }

    fn write_canonical_request(
        &mut self,
        request: &Request<'_>,
        query: &[u8],
        payload: &str,
        headers: &Sorted<'_>,
    ) {
        let canonical = &mut self.canonical;
        canonical.clear();
        for line in [request.method.as_bytes(), request.path, query] {
            canonical.extend_from_slice(line);
            canonical.push(b'\n');
        }
        let mut before = "";
        for (name, value) in headers.iter() {
            if name == before {
                // several headers of one name become one, separated by commas
                canonical.pop();
                canonical.push(b',');
            } else {
                canonical.extend_from_slice(name.as_bytes());
                canonical.push(b':');
            }
            write_trimmed(value, canonical);
            canonical.push(b'\n');
            before = name;
        }
        canonical.push(b'\n');
        canonical.extend_from_slice(&self.signed_names);
        canonical.push(b'\n');
        canonical.extend_from_slice(payload.as_bytes());
    }

    /// Of the canonical request.
    fn signature(&mut self) -> Signature {
        self.to_sign.clear();
        for line in [ALGORITHM, &self.stamp, &self.day.scope] {
            self.to_sign.extend_from_slice(line);
            self.to_sign.push(b'\n');
        }
        let hash = digest::digest(&digest::SHA256, &self.canonical);
        self.to_sign.extend_from_slice(&hex64(hash.as_ref()));
        hex64(hmac::sign(&self.day.key, &self.to_sign).as_ref())
    }
}

/// Headers in the order in which they are signed; those of one name keep theirs.
struct Sorted<'a> {
    list: [(&'a str, &'a [u8]); HEADERS_MAX + 4],
    count: usize,
}

impl<'a> Sorted<'a> {
    /// The host and the further headers of a request.
    fn of(request: &Request<'a>) -> Self {
        let mut sorted = Self {
            list: [("", b""); HEADERS_MAX + 4],
            count: 0,
        };
        for (name, value) in request.headers {
            sorted.insert(name, value);
        }
        sorted.insert("host", request.host.as_bytes());
        sorted
    }

    fn insert(&mut self, name: &'a str, value: &'a [u8]) {
        let mut place = self.count;
        self.count += 1;
        while place > 0 && self.list[place - 1].0 > name {
            self.list[place] = self.list[place - 1];
            place -= 1;
        }
        self.list[place] = (name, value);
    }

    fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + '_ {
        self.list[..self.count].iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(signer: &mut Signer, unix_s: u64) -> Vec<u8> {
        let request = Request {
            method: "PUT",
            path: b"/b/k",
            query: b"",
            host: "h",
            headers: &[("content-type", b"x")],
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

    #[test]
    fn presigned_queries_have_ours_first_and_the_signature_last() {
        let mut signer = Signer::new("a/b", "c", "r", "s3");
        let mut query = b"/k?".to_vec();
        let request = Request {
            method: "GET",
            path: b"/k",
            query: b"partNumber=1",
            host: "h",
            headers: &[("x-amz-acl", b"private")],
            payload: "",
            unix_s: 0,
        };
        signer.presign(&request, 60, &mut query);
        let query = String::from_utf8(query).unwrap();
        let expected = "/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2Fb%2F19700101%2Fr%2Fs3%2Faws4_request\
                        &X-Amz-Date=19700101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-amz-acl&partNumber=1\
                        &X-Amz-Signature=";
        assert!(query.starts_with(expected), "{query}");
        assert_eq!(query.len(), expected.len() + 64);
    }
}
