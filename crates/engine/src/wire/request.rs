//! Requests: heads are encoded into a reused buffer, bodies are made block by block on their way into the socket.

use super::source::Source;
use crate::body::{self, BodyId, BLOCK_BYTES};
use crate::operation::Key;
use crate::plan::{Encryption, PayloadMode, Plan};
use crate::sigv4::{self, Signer, EMPTY_PAYLOAD, HEADERS_MAX, UNSIGNED_PAYLOAD};

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

/// A range of a body that is computed, not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyRange {
    /// Whose body.
    pub id: BodyId,
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
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

/// A request on its way out: the encoded head (with small bodies behind it), then the blocks.
#[derive(Debug, Default)]
pub struct Outgoing {
    head: Vec<u8>,
    sent: usize,
    blocks: Option<BodyRange>,
}

impl Outgoing {
    /// Nothing to send.
    pub fn clear(&mut self) {
        self.head.clear();
        self.sent = 0;
        self.blocks = None;
    }

    /// Bytes before the body.
    pub fn head_bytes(&self) -> u64 {
        self.head.len() as u64
    }

    /// Everything that would be sent; for tests.
    #[cfg(test)]
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone();
        if let Some(range) = self.blocks {
            let start = bytes.len();
            bytes.resize(start + (range.end - range.start) as usize, 0);
            body::fill(&range.id, range.start, &mut bytes[start..]);
        }
        bytes
    }
}

impl Source for Outgoing {
    fn fill(&mut self, room: &mut [u8]) -> usize {
        let head = &self.head[self.sent..];
        let mut filled = head.len().min(room.len());
        room[..filled].copy_from_slice(&head[..filled]);
        self.sent += filled;
        if self.sent < self.head.len() {
            return filled;
        }
        if let Some(range) = &mut self.blocks {
            let left = range.end - range.start;
            let fits = (room.len() - filled) as u64;
            // All that is left, or else whole blocks, which are the fastest to make.
            let portion = if left <= fits {
                left
            } else {
                fits - fits % BLOCK_BYTES
            };
            let end = filled + portion as usize;
            body::fill(&range.id, range.start, &mut room[filled..end]);
            range.start += portion;
            filled = end;
            if portion == left {
                self.blocks = None;
            }
        }
        filled
    }

    fn is_spent(&self) -> bool {
        self.sent == self.head.len() && self.blocks.is_none()
    }
}

/// Encodes and signs requests; one per shard.
pub struct Encoder {
    signer: Option<Signer>,
    sign_payload: bool,
    encryption: Encryption,
    bucket_path: Vec<u8>,
    fixed_path: Vec<u8>,
    prefix: Vec<u8>,
    hosts: Vec<String>,
    name: Vec<u8>,
    path: Vec<u8>,
    query: Vec<u8>,
}

impl Encoder {
    /// For the endpoints and credentials of a plan.
    pub fn new(plan: &Plan) -> Self {
        let mut bucket_path = Vec::new();
        if !plan.s3.bucket.is_empty() {
            bucket_path.push(b'/');
            sigv4::encode_path(plan.s3.bucket.as_bytes(), &mut bucket_path);
        }
        let mut fixed_path = bucket_path.clone();
        fixed_path.push(b'/');
        if let Some(key) = &plan.keyspace.fixed_key {
            sigv4::encode_path(key.as_bytes(), &mut fixed_path);
        }
        let signer = plan.s3.credentials.as_ref().map(|credentials| {
            Signer::new(
                &credentials.access_key,
                &credentials.secret_key,
                &plan.s3.region,
                "s3",
            )
        });
        Self {
            signer,
            sign_payload: plan.s3.payload == PayloadMode::Signed,
            encryption: plan.s3.encryption,
            bucket_path,
            fixed_path,
            prefix: plan.s3.prefix.as_bytes().to_vec(),
            hosts: plan
                .endpoints
                .iter()
                .map(crate::plan::Endpoint::host_header)
                .collect(),
            name: Vec::new(),
            path: Vec::new(),
            query: Vec::new(),
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
        let headers = headers_of(ask, self.encryption);
        let digest = digest_of(&ask.payload, self.sign_payload && !ask.presigned);
        let request = sigv4::Request {
            method: ask.method,
            path: &self.path,
            query: &self.query,
            host: &self.hosts[ask.endpoint],
            headers: headers.as_slice(),
            payload: digest.as_str(),
            unix_s: ask.unix_s,
        };
        let head = &mut out.head;
        for part in [request.method.as_bytes(), b" ", request.path] {
            head.extend_from_slice(part);
        }
        match &mut self.signer {
            Some(signer) if ask.presigned => {
                head.push(b'?');
                signer.presign(&request, PRESIGNED_EXPIRES_S, head);
            }
            _ if request.query.is_empty() => {}
            _ => {
                head.push(b'?');
                head.extend_from_slice(request.query);
            }
        }
        for part in [
            b" HTTP/1.1\r\nhost: ",
            request.host.as_bytes(),
            b"\r\nuser-agent: maul\r\n",
        ] {
            head.extend_from_slice(part);
        }
        if ask.closes {
            head.extend_from_slice(b"connection: close\r\n");
        }
        write_length(&ask.payload, head);
        for (name, value) in request.headers {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                head.extend_from_slice(part);
            }
        }
        if let Some(signer) = self.signer.as_mut().filter(|_| !ask.presigned) {
            signer.sign(&request, head);
        }
        head.extend_from_slice(b"\r\n");
        match ask.payload {
            Payload::None => {}
            Payload::Bytes(bytes) => head.extend_from_slice(bytes),
            Payload::Blocks(range) => {
                out.blocks = Some(range).filter(|range| range.start < range.end)
            }
        }
    }

    fn write_path(&mut self, resource: Resource) {
        self.path.clear();
        match resource {
            Resource::Fixed => self.path.extend_from_slice(&self.fixed_path),
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

/// The further headers of one request.
struct Headers<'a> {
    list: [(&'a str, &'a [u8]); HEADERS_MAX],
    count: usize,
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

/// What the caller asks for, and what the plan adds.
fn headers_of<'a>(ask: &Ask<'a, '_>, encryption: Encryption) -> Headers<'a> {
    let mut headers = Headers {
        list: [("", b""); HEADERS_MAX],
        count: 0,
    };
    for (name, value) in ask.headers {
        headers.push(name, value);
    }
    let writes = matches!(ask.role, Role::Put | Role::Create | Role::Copy);
    if encryption == Encryption::SseS3 && writes {
        headers.push("x-amz-server-side-encryption", b"AES256");
    }
    headers
}

enum Digest {
    Constant(&'static str),
    Computed([u8; 64]),
}

impl Digest {
    fn as_str(&self) -> &str {
        match self {
            Self::Constant(text) => text,
            Self::Computed(hex) => std::str::from_utf8(hex).unwrap_or(UNSIGNED_PAYLOAD),
        }
    }
}

fn digest_of(payload: &Payload<'_>, sign_payload: bool) -> Digest {
    match payload {
        Payload::None => Digest::Constant(EMPTY_PAYLOAD),
        _ if !sign_payload => Digest::Constant(UNSIGNED_PAYLOAD),
        Payload::Blocks(range) => Digest::Computed(body::sha256_hex(
            &range.id,
            range.start,
            range.end - range.start,
        )),
        Payload::Bytes(bytes) => {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
            Digest::Computed(sigv4::hex64(digest.as_ref()))
        }
    }
}

fn write_length(payload: &Payload<'_>, head: &mut Vec<u8>) {
    let length = match payload {
        Payload::None => return,
        Payload::Bytes(bytes) => bytes.len() as u64,
        Payload::Blocks(range) => range.end - range.start,
    };
    head.extend_from_slice(b"content-length: ");
    sigv4::write_number(length, head);
    head.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Region;

    fn plan(signed: bool) -> Plan {
        let credentials = if signed { "\"secret\"" } else { "null" };
        Plan::parse(&format!(
            r#"{{"version": 2,"run":7,"seed":1,"epoch":1,"shards":1,"pin":null,
            "endpoints":[{{"name":"a","url":"http://127.0.0.1:8333","ca_pem":null,"server_name":null, "address": null}}],
            "s3":{{"bucket":"bucket","prefix":"maul/r/","region":"us-east-1","access_key":{credentials},
                   "secret_key":{credentials},"payload":"unsigned", "addressing": "path", "checksum": null, "encryption": null}},
            "keyspace":{{"objects":10,"choice":{{"kind":"uniform"}},"region":"base","start":0,"ephemeral_start":0,
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
        .to_bytes();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "PUT /bucket/maul/r/b0000000000ff?partNumber=1&uploadId=a%2Fb HTTP/1.1\r\nhost: 127.0.0.1:8333\r\n\
             user-agent: maul\r\ncontent-length: 2\r\n\r\nhi"
        );
    }

    #[test]
    fn a_signed_request_has_its_three_headers() {
        let text = String::from_utf8(encoded(true, Payload::None, &mut []).to_bytes()).unwrap();
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

    #[test]
    fn bodies_come_out_right_in_rooms_of_any_size() {
        let id = BodyId {
            run: 7,
            key: 255,
            version: 3,
            size: 20_000,
        };
        let range = BodyRange {
            id,
            start: 0,
            end: id.size,
        };
        let whole = encoded(true, Payload::Blocks(range), &mut []).to_bytes();
        for room in [4096, 5000, 8191, 65_536] {
            let mut out = encoded(true, Payload::Blocks(range), &mut []);
            let mut seen = Vec::new();
            let mut bytes = vec![0; room];
            while !out.is_spent() {
                let filled = out.fill(&mut bytes);
                assert!(filled > 0, "room for {room} goes on");
                seen.extend_from_slice(&bytes[..filled]);
            }
            assert_eq!(seen, whole, "{room}");
        }
    }
}
