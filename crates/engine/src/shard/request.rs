//! The requests of operations: what each step of each of them says, and how its answer is read.

use std::fmt::Write;

use super::slots::Slot;
use super::Shard;
use crate::answer::{Document, Reader};
use crate::body::checksum::Sum;
use crate::body::{BodyId, RangeVerifier, Verifier};
use crate::clock::NS_PER_S;
use crate::flight::upload::NO_UPLOAD;
use crate::flight::{body_key, tags, Exchange, Flight, Step};
use crate::operation::{Key, Op, Region};
use crate::plan::{ChecksumAlgorithm, Multipart, Plan};
use crate::sigv4;
use crate::wire::request::{Ask, BodyRange, Payload, Resource, Role};

impl Shard {
    /// Encodes the request of the present step and expects its answer.
    pub(super) fn prepare(&mut self, number: u32) {
        let flight = self.slots.get(number).flight;
        if flight.op == Op::MultiDelete {
            self.take_further_keys(number);
        }
        if flight.upload == NO_UPLOAD && flight.op.is_upload() {
            let parts = parts_of(flight.op, self.plan.multipart.as_ref());
            self.slots.get(number).flight.upload = self.uploads.open(parts);
        }
        self.encode(number);
    }

    fn encode(&mut self, number: u32) {
        let unix_s = self.clock.now_ns() / NS_PER_S;
        let (plan, size_min) = (&*self.plan, self.size_min());
        let Slot {
            flight,
            exchange,
            endpoint,
            is_last,
            connection,
            ..
        } = self.slots.get(number);
        let before = connection.as_ref().map_or(0, |open| open.requests);
        let allowed = plan.connections.requests_each.unwrap_or(u64::MAX);
        // A slow client is somebody else than the customers before and behind: it has a connection of its own.
        let alone = flight.slow.is_some() && flight.step == Step::Single;
        *is_last = alone || u64::from(before) + 1 >= allowed;
        let Exchange {
            outgoing,
            parser,
            answer,
            sent_all,
            may_send,
        } = exchange;
        let upload = self.uploads.get(flight.upload);
        *sent_all = false;
        flight.exchanges = flight.exchanges.saturating_add(1);
        let mut text = Words::of(&mut self.scratch);
        if let Some(upload) = upload {
            upload.exchanges = upload.exchanges.saturating_add(1);
            flight.exchanges = upload.exchanges;
            text.id.push_str(&upload.id);
            if flight.step == Step::Complete {
                upload.write_completion(text.body);
            }
        }
        flight.sent_before = u64::MAX;
        match flight.step {
            Step::Page(_) => {
                flight.received += answer.bytes;
                answer.listing.turn();
            }
            _ if flight.op.is_list() => {
                let max_keys = u64::from(plan.list.max_keys);
                answer
                    .listing
                    .begin(flight.op, plan.s3.prefix.as_bytes(), max_keys);
            }
            _ => {}
        }
        if flight.op == Op::MultiDelete {
            answer.deletions.write(text.name, text.body);
        }
        parser.begin(flight.op == Op::Head);
        answer.tags.begin();
        answer.begin(reader(flight, plan, size_min));
        let sum = checked_sum(flight.op, plan);
        answer.check_sum(sum);

        text.write(flight, plan, unix_s);
        let text = text.done();
        let mut pairs = Pairs::default();
        pairs.fill(flight, plan, &answer.listing.asked, &text);
        let mut headers = [("", &b""[..]); HEADERS_MAX];
        let mut count = fill_headers(flight, &text, &mut headers);
        if sum.is_some() {
            headers[count] = ("x-amz-checksum-mode", b"ENABLED");
            count += 1;
        }
        let fixed = plan.keyspace.fixed_key.is_some();
        let (method, resource) = method_and_resource(flight, fixed);
        let mut ask = Ask {
            method,
            endpoint: *endpoint,
            role: role(flight),
            resource,
            query: &mut pairs.list[..pairs.count],
            headers: &headers[..count],
            presigned: matches!(flight.op, Op::PresignedGet | Op::PresignedPut),
            payload: payload(flight, plan, text.body),
            closes: *is_last,
            unix_s,
        };
        self.encoder.encode(&mut ask, outgoing);
        *may_send = flight
            .give_up_at
            .map_or(u64::MAX, |bytes| outgoing.head_bytes() + bytes);
    }

    /// The smallest size that a body of the plan's region can have, bytes.
    pub(super) fn size_min(&self) -> u64 {
        match (self.plan.keyspace.region, &self.plan.multipart) {
            (Region::Multipart, Some(multipart)) => {
                u64::from(multipart.parts) * multipart.part_bytes
            }
            (Region::Multipart, None) => 0,
            _ => self.sizes.min().min(self.traced_min),
        }
    }
}

/// The checksum that a read of a whole object asks for, to be held against its body.
fn checked_sum(op: Op, plan: &Plan) -> Option<ChecksumAlgorithm> {
    let whole = matches!(
        op,
        Op::Get | Op::GetIfMatch | Op::GetIfNoneMatch | Op::GetVersion
    );
    let algorithm = plan.s3.checksum?.algorithm;
    let cheap = matches!(
        algorithm,
        ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c
    );
    (whole && cheap && plan.verify).then_some(algorithm)
}

/// Most headers that an operation adds.
const HEADERS_MAX: usize = 4;

/// The parts of an upload.
fn parts_of(op: Op, multipart: Option<&Multipart>) -> u32 {
    match op {
        Op::Multipart => multipart.map_or(1, |multipart| multipart.parts),
        _ => 1,
    }
}

/// How the answer is read.
fn reader(flight: &Flight, plan: &Plan, size_min: u64) -> Reader {
    let unchecked = !plan.verify || plan.keyspace.fixed_key.is_some();
    let key = body_key(flight.key).0;
    match flight.op {
        op if op.is_list() => Reader::Read(Document::Listing),
        Op::MultiDelete => Reader::Read(Document::Deletions),
        Op::GetTags => Reader::Read(Document::Tags),
        op if op.is_get() && unchecked => Reader::Discard,
        Op::GetRange | Op::GetPart => Reader::VerifyRange(
            RangeVerifier::new(plan.run, key, flight.range, flight.known.version)
                .total(flight.size),
        ),
        op if op.is_get() => Reader::Verify(Verifier::new(plan.run, key).size_min(size_min)),
        _ => Reader::Text,
    }
}

/// The method of the present step, and what it acts upon.
fn method_and_resource(flight: &Flight, fixed: bool) -> (&'static str, Resource) {
    let object = if fixed {
        Resource::Fixed
    } else {
        Resource::Object(flight.key)
    };
    match (flight.op, flight.step) {
        (_, Step::Create | Step::Complete) => ("POST", object),
        (_, Step::Part(_)) => ("PUT", object),
        (_, Step::ListParts) => ("GET", object),
        (_, Step::GiveUp | Step::Abort) => ("DELETE", object),
        (Op::Head, _) => ("HEAD", object),
        (Op::MultiDelete, _) => ("POST", Resource::Bucket),
        (Op::Delete | Op::DeleteVersion, _) => ("DELETE", object),
        (Op::Copy | Op::PutTags | Op::PutRetention, _) => ("PUT", object),
        (op, _) if op.is_put() => ("PUT", object),
        (op, _) if op.is_list() => ("GET", Resource::Bucket),
        _ => ("GET", object),
    }
}

/// What the request of the present step is to the store.
fn role(flight: &Flight) -> Role {
    match (flight.op, flight.step) {
        (_, Step::Create) => Role::Create,
        (Op::MultipartCopy, Step::Part(_)) => Role::CopyPart,
        (_, Step::Part(_)) => Role::Part,
        (Op::Copy, _) => Role::Copy,
        (op, _) if op.is_get() || op == Op::Head => Role::Read,
        (op, Step::Single) if op.is_put() => Role::Put,
        _ => Role::Other,
    }
}

fn payload<'a>(flight: &Flight, plan: &Plan, body: &'a [u8]) -> Payload<'a> {
    let id = BodyId {
        run: plan.run,
        key: flight.key.0,
        version: flight.version,
        size: flight.size,
    };
    let blocks = |start, end| Payload::Blocks(BodyRange { id, start, end });
    match (flight.op, flight.step) {
        (_, Step::Create) => Payload::Bytes(b""),
        (Op::MultipartCopy, Step::Part(_)) => Payload::None,
        (_, Step::Part(part)) => {
            let part_bytes = plan.multipart.map_or(0, |multipart| multipart.part_bytes);
            let start = u64::from(part) * part_bytes;
            blocks(start, start + part_bytes)
        }
        (_, Step::Complete) | (Op::MultiDelete | Op::PutTags | Op::PutRetention, _) => {
            Payload::Bytes(body)
        }
        (op, _) if op.is_put() => blocks(0, id.size),
        _ => Payload::None,
    }
}

/// Query parameters.
#[derive(Default)]
struct Pairs<'a> {
    list: [(&'a str, &'a str); 6],
    count: usize,
}

impl<'a> Pairs<'a> {
    fn push(&mut self, name: &'a str, value: &'a str) {
        self.list[self.count] = (name, value);
        self.count += 1;
    }

    fn fill(
        &mut self,
        flight: &Flight,
        plan: &'a Plan,
        asked: &'a crate::flight::listing::Marker,
        text: &Done<'a>,
    ) {
        match (flight.op, flight.step) {
            (_, Step::Create) => self.push("uploads", ""),
            (_, Step::Part(_)) => {
                self.push("partNumber", text.digits);
                self.push("uploadId", text.id);
            }
            (_, Step::ListParts | Step::Complete | Step::GiveUp | Step::Abort) => {
                self.push("uploadId", text.id);
            }
            (op, step) if op.is_list() => self.fill_listing(op, step, plan, asked, text),
            (Op::GetPart, _) => self.push("partNumber", text.digits),
            (Op::MultiDelete, _) => self.push("delete", ""),
            (Op::PutTags | Op::GetTags, _) => self.push("tagging", ""),
            (Op::PutRetention, _) => self.push("retention", ""),
            (Op::GetVersion | Op::DeleteVersion, _) => self.push("versionId", text.id),
            _ => {}
        }
    }

    /// The page that begins behind a key (the first), or where the last one ended.
    fn fill_listing(
        &mut self,
        op: Op,
        step: Step,
        plan: &'a Plan,
        asked: &'a crate::flight::listing::Marker,
        text: &Done<'a>,
    ) {
        let first = step == Step::Single;
        let behind = if first { text.name } else { &asked.text };
        self.push("max-keys", text.digits);
        self.push("prefix", &plan.s3.prefix);
        if let Some(delimiter) = &plan.list.delimiter {
            self.push("delimiter", delimiter);
        }
        match op {
            Op::ListV1 => self.push("marker", behind),
            Op::ListVersions => {
                self.push("versions", "");
                self.push("key-marker", behind);
                if !asked.version_id.is_empty() {
                    self.push("version-id-marker", &asked.version_id);
                }
            }
            _ => {
                self.push("list-type", "2");
                let name = if first {
                    "start-after"
                } else {
                    "continuation-token"
                };
                self.push(name, behind);
            }
        }
    }
}

fn fill_headers<'a>(
    flight: &Flight,
    text: &Done<'a>,
    headers: &mut [(&'a str, &'a [u8]); HEADERS_MAX],
) -> usize {
    let value = text.value.as_bytes();
    let single = flight.step == Step::Single;
    match (flight.op, flight.step) {
        (Op::GetRange, _) => headers[0] = ("range", value),
        (Op::PutIfNoneMatch, _) => headers[0] = ("if-none-match", b"*"),
        (Op::GetIfNoneMatch, _) => headers[0] = ("if-none-match", value),
        (Op::PutIfMatch | Op::GetIfMatch, _) => headers[0] = ("if-match", value),
        (Op::Copy, _) | (Op::MultipartCopy, Step::Part(_)) => {
            headers[0] = ("x-amz-copy-source", value);
        }
        (Op::MultiDelete | Op::PutTags | Op::PutRetention, _) if single => {
            headers[0] = ("content-md5", value);
        }
        _ => return 0,
    }
    1
}

/// Memory for the texts of a request; it is used again.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    digits: String,
    name: Vec<u8>,
    id: String,
    value: String,
    path: Vec<u8>,
    body: Vec<u8>,
}

/// The texts of a request while they are written.
struct Words<'a> {
    digits: &'a mut String,
    name: &'a mut Vec<u8>,
    id: &'a mut String,
    value: &'a mut String,
    path: &'a mut Vec<u8>,
    body: &'a mut Vec<u8>,
}

/// The texts of a request.
struct Done<'a> {
    digits: &'a str,
    /// The key that a listing begins behind.
    name: &'a str,
    /// Of an upload or a version.
    id: &'a str,
    /// Of a header.
    value: &'a str,
    body: &'a [u8],
}

impl<'a> Words<'a> {
    fn of(scratch: &'a mut Scratch) -> Self {
        let Scratch {
            digits,
            name,
            id,
            value,
            path,
            body,
        } = scratch;
        for text in [&mut *digits, &mut *id, &mut *value] {
            text.clear();
        }
        for bytes in [&mut *name, &mut *path, &mut *body] {
            bytes.clear();
        }
        Self {
            digits,
            name,
            id,
            value,
            path,
            body,
        }
    }

    /// What the present step of an operation needs, besides what its upload and its keys gave already. Writing into
    /// memory cannot fail.
    fn write(&mut self, flight: &Flight, plan: &Plan, unix_s: u64) {
        self.name.clear();
        let _ = match (flight.op, flight.step) {
            (_, Step::Part(part)) => write!(self.digits, "{}", part + 1),
            (Op::GetPart, _) => {
                let part_bytes = plan.multipart.map_or(1, |multipart| multipart.part_bytes);
                write!(self.digits, "{}", flight.range.0 / part_bytes.max(1) + 1)
            }
            (op, _) if op.is_list() => write!(self.digits, "{}", plan.list.max_keys),
            _ => Ok(()),
        };
        match flight.op {
            op if op.is_list() && flight.key != Key(0) => {
                flight.key.write_name(plan.s3.prefix.as_bytes(), self.name);
            }
            Op::GetRange => {
                let (start, end) = flight.range;
                let _ = write!(self.value, "bytes={start}-{}", end - 1);
            }
            Op::GetIfNoneMatch | Op::PutIfMatch | Op::GetIfMatch => {
                self.value.push_str(flight.known.etag.as_str());
            }
            Op::GetVersion | Op::DeleteVersion => {
                self.id.push_str(flight.known.version_id.as_str());
            }
            Op::Copy | Op::MultipartCopy => self.write_source(flight, plan),
            Op::PutTags => tags::write_tags(flight.key, flight.version, self.body),
            Op::PutRetention => tags::write_retention(unix_s + plan.retention_s, self.body),
            _ => {}
        }
        if matches!(flight.op, Op::MultiDelete | Op::PutTags | Op::PutRetention) {
            let sum = Sum::md5(self.body);
            self.value
                .push_str(std::str::from_utf8(sum.as_bytes()).unwrap_or_default());
        }
    }

    /// `/bucket/key`, encoded like a path.
    fn write_source(&mut self, flight: &Flight, plan: &Plan) {
        self.name.clear();
        for part in [b"/", plan.s3.bucket.as_bytes(), b"/"] {
            self.name.extend_from_slice(part);
        }
        flight
            .source()
            .write_name(plan.s3.prefix.as_bytes(), self.name);
        sigv4::encode_path(self.name, self.path);
        self.value
            .push_str(std::str::from_utf8(self.path).unwrap_or_default());
        self.name.clear();
    }

    fn done(self) -> Done<'a> {
        Done {
            digits: self.digits,
            name: std::str::from_utf8(self.name).unwrap_or_default(),
            id: self.id,
            value: self.value,
            body: self.body,
        }
    }
}
