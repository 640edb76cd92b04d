//! Requests: what goes into a head, and how it is signed. Bodies follow by [`super::outgoing`].

use super::encryption::Encrypting;
use super::outgoing::{chunked_length, Framing};
pub use super::outgoing::{BodyRange, Outgoing};
use crate::body;
use crate::body::checksum::{Sum, Summing};
use crate::operation::Key;
use crate::plan::{Addressing, Checksum, PayloadMode, Plan};
use crate::sigv4::{self, Signer, EMPTY_PAYLOAD, HEADERS_MAX, UNSIGNED_PAYLOAD};
use aws_lc_rs::digest;

/// What a request acts upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The bucket itself.
    Bucket,
    /// The object of a key.
    Object(Key),
    /// The plan's fixed key.
    Fixed,
}

/// What a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// No body, and no word about one.
    None,
    /// A body made by [`body::fill`].
    Blocks(BodyRange),
    /// These bytes.
    Bytes(&'a [u8]),
}

/// What a request is to the store: decides which encryption and checksum headers it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Writes a whole object (PutObject).
    Put,
    /// Begins an upload (CreateMultipartUpload).
    Create,
    /// Sends a part (UploadPart).
    Part,
    /// Copies an object (CopyObject).
    Copy,
    /// Copies a part (UploadPartCopy).
    CopyPart,
    /// Reads an object's bytes or its head (GetObject, HeadObject).
    Read,
    /// Anything else.
    Other,
}

/// How long a presigned URL stays good, seconds. Each is used once, and at once.
const PRESIGNED_EXPIRES_S: u32 = 300;

/// One request, before it is encoded.
#[derive(Debug)]
pub struct Ask<'a, 'q> {
    /// `GET`.
    pub method: &'static str,
    /// Index of the endpoint.
    pub endpoint: usize,
    /// What it is to the store.
    pub role: Role,
    /// What it acts upon.
    pub resource: Resource,
    /// Query parameters, not encoded.
    pub query: &'q mut [(&'a str, &'a str)],
    /// Further headers (name in small letters, value), in any order; they are signed.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The signature is in the query, as whoever is handed a URL sends it: nothing else about the body is signed.
    pub presigned: bool,
    /// The body.
    pub payload: Payload<'a>,
    /// It is the last request of its connection, and says so.
    pub closes: bool,
    /// Unix time, seconds.
    pub unix_s: u64,
}

/// Bodies up to this size are made once when their head needs to know them; larger ones twice, because every connection
/// would have to hold one.
const MADE_BYTES_MAX: u64 = 8 * 1024;

/// Encodes and signs requests; one per shard.
pub struct Encoder {
    signer: Option<Signer>,
    payload: PayloadMode,
    checksum: Option<Checksum>,
    encrypting: Encrypting,
    /// `/bucket`, or nothing when the host names it.
    bucket_path: Vec<u8>,
    fixed_path: Vec<u8>,
    prefix: Vec<u8>,
    hosts: Vec<String>,
    name: Vec<u8>,
    path: Vec<u8>,
    query: Vec<u8>,
    length: Vec<u8>,
    made: Vec<u8>,
}

impl Encoder {
    /// For the endpoints and credentials of a plan.
    pub fn new(plan: &Plan) -> Self {
        let mut bucket_path = Vec::new();
        if plan.s3.addressing == Addressing::Path && !plan.s3.bucket.is_empty() {
            bucket_path.push(b'/');
            sigv4::encode_path(plan.s3.bucket.as_bytes(), &mut bucket_path);
        }
        let mut fixed_path = bucket_path.clone();
        fixed_path.push(b'/');
        if let Some(key) = &plan.keyspace.fixed_key {
            sigv4::encode_path(key.as_bytes(), &mut fixed_path);
        }
        let signer = plan.s3.credentials.as_ref().map(|credentials| {
            let signer = Signer::new(
                &credentials.access_key,
                &credentials.secret_key,
                &plan.s3.region,
                "s3",
            );
            match &credentials.session_token {
                Some(token) => signer.with_session_token(token),
                None => signer,
            }
        });
        Self {
            signer,
            payload: plan.s3.payload,
            checksum: plan.s3.checksum,
            encrypting: Encrypting::of(plan),
            bucket_path,
            fixed_path,
            prefix: plan.s3.prefix.as_bytes().to_vec(),
            hosts: plan
                .endpoints
                .iter()
                .map(|endpoint| plan.s3.name_before(endpoint.host_header()))
                .collect(),
            name: Vec::new(),
            path: Vec::new(),
            query: Vec::new(),
            length: Vec::new(),
            made: Vec::new(),
        }
    }

    /// Encodes a request into `out`, whose memory is used again.
    pub fn encode(&mut self, ask: &mut Ask<'_, '_>, out: &mut Outgoing) {
        self.write_path(ask.resource);
        self.query.clear();
        if !ask.query.is_empty() {
            sigv4::write_query(ask.query, &mut self.query);
        }
        out.clear();
        let body = self.body_of(ask);
        self.length.clear();
        sigv4::write_number(body.length, &mut self.length);
        let mut headers = Headers::default();
        for (name, value) in ask.headers {
            headers.push(name, value);
        }
        self.encrypting
            .headers(ask.role, |name, value| headers.push(name, value));
        checksum_headers(ask.role, self.checksum, &self.length, &body, &mut headers);
        let request = sigv4::Request {
            method: ask.method,
            path: &self.path,
            query: &self.query,
            host: &self.hosts[ask.endpoint],
            headers: headers.as_slice(),
            payload: body.word.as_str(),
            unix_s: ask.unix_s,
        };
        write_request_line(
            &request,
            self.signer.as_mut().filter(|_| ask.presigned),
            &mut out.text,
        );
        let text = &mut out.text;
        write(text, &[b"user-agent: maul\r\n"]);
        if ask.closes {
            write(text, &[b"connection: close\r\n"]);
        }
        if ask.payload != Payload::None {
            write(text, &[b"content-length: "]);
            sigv4::write_number(body.sent, text);
            write(text, &[b"\r\n"]);
        }
        for (name, value) in request.headers {
            write(text, &[name.as_bytes(), b": ", value, b"\r\n"]);
        }
        let mut chain = None;
        if let Some(signer) = self.signer.as_mut().filter(|_| !ask.presigned) {
            let signature = signer.sign(&request, text);
            chain = (body.framed == Framed::Signed).then(|| signer.chain(signature));
        }
        write(text, &[b"\r\n"]);
        if let (Some(checksum), Some(sum)) = (self.checksum, body.sum) {
            out.keep_sum((checksum.algorithm, sum));
        }
        let text = &mut out.text;
        match ask.payload {
            Payload::None => {}
            Payload::Bytes(bytes) => write(text, &[bytes]),
            Payload::Blocks(_) if body.made => write(text, &[&self.made]),
            Payload::Blocks(range) if body.framed == Framed::No => {
                out.follow(range, Framing::Plain)
            }
            Payload::Blocks(range) => {
                let trailer = body
                    .trailer
                    .map(|checksum| (checksum.algorithm, Summing::new(checksum.algorithm)));
                out.follow(range, Framing::Chunked { chain, trailer });
            }
        }
    }

    /// How the body is sent, and what the head says about it.
    fn body_of(&mut self, ask: &Ask<'_, '_>) -> Body {
        let plain = |word, length, sum| Body {
            word,
            length,
            sent: length,
            sum,
            framed: Framed::No,
            trailer: None,
            made: false,
        };
        let unsigned = ask.presigned || self.signer.is_none();
        let range = match ask.payload {
            Payload::None => return plain(Word::Constant(EMPTY_PAYLOAD), 0, None),
            Payload::Bytes(bytes) => {
                let signed = matches!(self.payload, PayloadMode::Signed | PayloadMode::Chunked);
                let word = match signed && !unsigned {
                    true => Word::of(&digest::digest(&digest::SHA256, bytes)),
                    false => Word::Constant(UNSIGNED_PAYLOAD),
                };
                return plain(word, bytes.len() as u64, None);
            }
            Payload::Blocks(range) => range,
        };
        let (in_header, trailer) = match self.checksum.filter(|_| !ask.presigned) {
            Some(checksum) if checksum.in_trailer => (None, Some(checksum)),
            other => (other, None),
        };
        let mut sum = in_header.map(|checksum| Summing::new(checksum.algorithm));
        let mut sha256 = (self.payload == PayloadMode::Signed && !unsigned)
            .then(|| digest::Context::new(&digest::SHA256));
        let made = sum.is_some() || sha256.is_some();
        if made {
            self.made.clear();
            let mut hash = |piece: &[u8]| {
                if let Some(sum) = &mut sum {
                    sum.update(piece);
                }
                if let Some(sha256) = &mut sha256 {
                    sha256.update(piece);
                }
            };
            if range.length() <= MADE_BYTES_MAX {
                self.made.resize(range.length() as usize, 0);
                body::fill(&range.id, range.start, &mut self.made);
                hash(&self.made);
            } else {
                body::each_piece(&range.id, range.start, range.length(), hash);
            }
        }
        let sum = sum.map(Summing::finish);
        let (word, framed) = match self.payload {
            _ if unsigned => (Word::Constant(UNSIGNED_PAYLOAD), Framed::No),
            PayloadMode::Unsigned => (Word::Constant(UNSIGNED_PAYLOAD), Framed::No),
            PayloadMode::Signed => {
                let word = sha256.map_or(Word::Constant(UNSIGNED_PAYLOAD), |sha256| {
                    Word::of(&sha256.finish())
                });
                (word, Framed::No)
            }
            PayloadMode::Chunked if trailer.is_some() => (
                Word::Constant("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
                Framed::Signed,
            ),
            PayloadMode::Chunked => (
                Word::Constant("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
                Framed::Signed,
            ),
            PayloadMode::UnsignedTrailer => (
                Word::Constant("STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
                Framed::Unsigned,
            ),
        };
        let mut body = plain(word, range.length(), sum);
        body.made = made && framed == Framed::No && range.length() <= MADE_BYTES_MAX;
        if framed != Framed::No {
            let algorithm = trailer.map(|checksum| checksum.algorithm);
            body.sent = chunked_length(body.length, framed == Framed::Signed, algorithm);
            body.framed = framed;
            body.trailer = trailer;
        }
        body
    }

    fn write_path(&mut self, resource: Resource) {
        self.path.clear();
        match resource {
            Resource::Fixed => self.path.extend_from_slice(&self.fixed_path),
            Resource::Bucket if self.bucket_path.is_empty() => self.path.push(b'/'),
            Resource::Bucket => self.path.extend_from_slice(&self.bucket_path),
            Resource::Object(key) => {
                self.path.extend_from_slice(&self.bucket_path);
                self.path.push(b'/');
                self.name.clear();
                key.write_name(&self.prefix, &mut self.name);
                sigv4::encode_path(&self.name, &mut self.path);
            }
        }
    }
}

/// What the head says about the checksum and the framing of the body.
fn checksum_headers<'a>(
    role: Role,
    checksum: Option<Checksum>,
    length: &'a [u8],
    body: &'a Body,
    headers: &mut Headers<'a>,
) {
    if body.framed != Framed::No {
        headers.push("content-encoding", b"aws-chunked");
        headers.push("x-amz-decoded-content-length", length);
    }
    let Some(Checksum { algorithm, .. }) = checksum else {
        return;
    };
    if role == Role::Create {
        headers.push("x-amz-checksum-algorithm", algorithm.name().as_bytes());
        headers.push("x-amz-checksum-type", algorithm.multipart_type().as_bytes());
    }
    if let Some(sum) = &body.sum {
        headers.push(algorithm.header(), sum.as_bytes());
    }
    if body.trailer.is_some() {
        headers.push("x-amz-trailer", algorithm.header().as_bytes());
    }
    if body.sum.is_some() || body.trailer.is_some() {
        headers.push("x-amz-sdk-checksum-algorithm", algorithm.name().as_bytes());
    }
}

fn write(text: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| text.extend_from_slice(part));
}

/// The request line and the host; `presigner` puts its signature into the query.
fn write_request_line(
    request: &sigv4::Request<'_>,
    presigner: Option<&mut Signer>,
    text: &mut Vec<u8>,
) {
    write(text, &[request.method.as_bytes(), b" ", request.path]);
    if let Some(signer) = presigner {
        text.push(b'?');
        signer.presign(request, PRESIGNED_EXPIRES_S, text);
    } else if !request.query.is_empty() {
        write(text, &[b"?", request.query]);
    }
    write(
        text,
        &[b" HTTP/1.1\r\nhost: ", request.host.as_bytes(), b"\r\n"],
    );
}

/// What `x-amz-content-sha256` says.
enum Word {
    Constant(&'static str),
    Computed([u8; 64]),
}

impl Word {
    fn of(sha256: &digest::Digest) -> Self {
        Self::Computed(sigv4::hex64(sha256.as_ref()))
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Constant(text) => text,
            Self::Computed(hex) => std::str::from_utf8(hex).unwrap_or(UNSIGNED_PAYLOAD),
        }
    }
}

/// Whether a body is sent in chunks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framed {
    No,
    Signed,
    Unsigned,
}

/// A body, as its head announces it.
struct Body {
    word: Word,
    /// Bytes that it has.
    length: u64,
    /// Bytes that are sent for it.
    sent: u64,
    /// The checksum in the header.
    sum: Option<Sum>,
    framed: Framed,
    trailer: Option<Checksum>,
    /// It was made to be hashed, and can be sent as it is.
    made: bool,
}

/// The further headers of one request.
struct Headers<'a> {
    list: [(&'a str, &'a [u8]); HEADERS_MAX],
    count: usize,
}

impl Default for Headers<'_> {
    fn default() -> Self {
        Self {
            list: [("", b""); HEADERS_MAX],
            count: 0,
        }
    }
}

impl<'a> Headers<'a> {
    fn push(&mut self, name: &'a str, value: &'a [u8]) {
        self.list[self.count] = (name, value);
        self.count += 1;
    }

    fn as_slice(&self) -> &[(&'a str, &'a [u8])] {
        &self.list[..self.count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Region;

    fn plan(signed: bool) -> Plan {
        let credentials = if signed { "\"secret\"" } else { "null" };
        Plan::parse(&format!(
            r#"{{"version": 3,"run":7,"seed":1,"epoch":1,"shards":1,"pin":null,
            "endpoints":[{{"name":"a","url":"http://127.0.0.1:8333","ca_pem":null,"server_name":null, "address": null}}],
            "s3":{{"bucket":"bucket","prefix":"maul/r/","region":"us-east-1","access_key":{credentials},
                   "secret_key":{credentials},"session_token":null,"payload":"unsigned", "addressing": "path", "checksum": null, "encryption": null}},
            "keyspace":{{"objects":10,"choice":{{"kind":"uniform"}},"region":"base","start":0,"ephemeral_start":0,"ephemeral_lane":{{"index":0,"count":1}},
                         "delete_from":"ephemeral","fixed_key":null}},
            "sizes":{{"kind":"fixed","bytes":4096}},"mix":[{{"op":"get","weight":1.0}}],"multipart":null,
            "list":{{"max_keys":100, "delimiter": null, "pages": 1}},"arrivals":{{"mode":"closed","concurrency":1,"seconds":1.0,"requests":1, "think": null}},
            "tenant": 0, "range_bytes": 1000, "multi_delete_keys": 10, "retention_s": 60, "slowest": 0,
        "connections": {{"requests_each": null, "resumption": 1.0}}, "slow": null,
        "timeouts":{{"connect_ms":100,"request_ms":100}},
            "limits":{{"rate_per_s":1.0,"bytes_per_s":1.0,"in_flight":1,"requests":1,"bytes":1,"seconds":1.0,"connections":1}},
            "lease_ms":null,"verify":true,"record_operations":true,"late_ms":5.0}}"#
        ))
        .unwrap()
    }

    fn encoded<'a>(
        signed: bool,
        payload: Payload<'a>,
        query: &mut [(&'a str, &'a str)],
    ) -> Outgoing {
        let mut out = Outgoing::default();
        let resource = Resource::Object(Key::new(Region::Base, 255));
        let mut ask = Ask {
            method: "PUT",
            endpoint: 0,
            role: Role::Put,
            resource,
            query,
            headers: &[],
            presigned: false,
            payload,
            closes: false,
            unix_s: 1_700_000_000,
        };
        Encoder::new(&plan(signed)).encode(&mut ask, &mut out);
        out
    }

    #[test]
    fn an_anonymous_request_is_plain() {
        let bytes = encoded(
            false,
            Payload::Bytes(b"hi"),
            &mut [("uploadId", "a/b"), ("partNumber", "1")],
        )
        .text;
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "PUT /bucket/maul/r/b0000000000ff?partNumber=1&uploadId=a%2Fb HTTP/1.1\r\nhost: 127.0.0.1:8333\r\n\
             user-agent: maul\r\ncontent-length: 2\r\n\r\nhi"
        );
    }

    #[test]
    fn a_signed_request_has_its_three_headers() {
        let text = String::from_utf8(encoded(true, Payload::None, &mut []).text).unwrap();
        for header in [
            "x-amz-date: 20231114T221320Z\r\n",
            "x-amz-content-sha256: e3b0c4",
            "authorization: AWS4-HMAC-SHA256 ",
        ] {
            assert!(
                text.to_lowercase().contains(&header.to_lowercase()),
                "{text}"
            );
        }
        assert!(text.ends_with("\r\n\r\n") && !text.contains("content-length"));
    }
}
