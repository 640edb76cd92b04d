//! What an arrival does, and the requests that it takes.

use std::fmt::Write;

use super::slots::Slot;
use super::Shard;
use crate::answer::Reader;
use crate::body::{BodyId, Verifier};
use crate::clock::NS_PER_S;
use crate::flight::{completion, Exchange, Flight, Step, Upload, Waiting};
use crate::operation::{Key, Op, Region};
use crate::plan::{DeleteFrom, KeyChoice, Plan};
use crate::status::Counter;
use crate::trace::Row;
use crate::wire::request::{Ask, BodyRange, Payload, Resource, Role};

impl Shard {
    /// Decides what an arrival does: on which key, which version, how large.
    pub(super) fn decide(&mut self, waiting: Waiting) -> Flight {
        let mut flight = Flight {
            op: waiting.op,
            due_ns: waiting.due_ns,
            noticed_ns: waiting.noticed_ns,
            ..Flight::NONE
        };
        let number = waiting.number;
        let row = self.feed.row(number);
        match waiting.op {
            _ if row.is_some() => flight.key = row.map_or(Key(0), |row| row.key),
            Op::Put if self.mix.makes_new_key(number) => self.decide_creation(&mut flight, number),
            Op::Delete if self.plan.keyspace.delete_from == DeleteFrom::Ephemeral => {
                match self.ephemeral.take_oldest() {
                    Some(key) => flight.key = key,
                    // Nothing is there to delete: make something instead.
                    None => self.decide_creation(&mut flight, number),
                }
            }
            Op::Multipart => {
                let objects = self.plan.multipart.map_or(1, |multipart| multipart.objects);
                let index = (self.seat.index + self.seat.count * self.uploads) % objects;
                self.uploads += 1;
                flight.key = Key::new(Region::Multipart, index);
            }
            Op::Get | Op::Head if self.plan.keyspace.fixed_key.is_some() => {}
            Op::List if self.plan.keyspace.fixed_key.is_some() => {}
            Op::Get | Op::Head => self.decide_read(&mut flight, number),
            _ => flight.key = self.base_key(&flight, number),
        }
        if flight.op == Op::Multipart {
            flight.step = Step::Create;
        }
        self.decide_version(&mut flight);
        if let Some(row) = row.filter(Row::puts) {
            flight.size = row.size;
        }
        flight
    }

    fn decide_creation(&mut self, flight: &mut Flight, number: u64) {
        flight.op = Op::Put;
        if matches!(self.plan.keyspace.choice, KeyChoice::Latest { .. }) {
            // What is no more among the newest million need not be remembered.
            self.ephemeral.make_room();
        }
        match self.ephemeral.create() {
            Some(key) => {
                flight.key = key;
                flight.creates = true;
            }
            None => flight.key = self.base_key(flight, number),
        }
    }

    /// A key to read: of the living ones, if the plan says so, else of the range.
    fn decide_read(&mut self, flight: &mut Flight, number: u64) {
        match self.keys.living(number, &self.ephemeral) {
            Some(key) if self.ephemeral.begin_read(key) => {
                flight.key = key;
                flight.reads_living = true;
            }
            _ => flight.key = self.base_key(flight, number),
        }
    }

    /// A key of the plan's range.
    fn base_key(&self, flight: &Flight, number: u64) -> Key {
        self.keys
            .key(number, flight.due_ns.saturating_sub(self.start_ns))
    }

    fn decide_version(&mut self, flight: &mut Flight) {
        if !matches!(flight.op, Op::Put | Op::Multipart) {
            return;
        }
        self.counters.count(Counter::VersionsUsed);
        let counter = self.counters.get(Counter::VersionsUsed);
        flight.version = u64::from(self.plan.epoch) << 48 | self.seat.index << 40 | counter;
        flight.size = match (flight.op, &self.plan.multipart) {
            (Op::Multipart, Some(multipart)) => u64::from(multipart.parts) * multipart.part_bytes,
            _ => self.sizes.of(flight.key, flight.version),
        };
    }

    /// Encodes the request of the present step and expects its answer.
    pub(super) fn prepare(&mut self, number: u32) {
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
            upload,
            parser,
            answer,
            sent_all,
            may_send,
        } = exchange;
        let id = BodyId {
            run: plan.run,
            key: flight.key.0,
            version: flight.version,
            size: flight.size,
        };
        let fixed = plan.keyspace.fixed_key.is_some();
        let reader = match flight.op {
            Op::Get if fixed || !plan.verify => Reader::Discard,
            Op::Get => Reader::Verify(Verifier::new(id.run, id.key).size_min(size_min)),
            _ => Reader::Text,
        };
        *sent_all = false;
        flight.exchanges = flight.exchanges.saturating_add(1);
        flight.sent_before = u64::MAX;
        parser.begin(flight.op == Op::Head);
        answer.begin(reader);

        let (method, resource) = method_and_resource(flight, fixed);
        let scratch = &mut self.scratch;
        let (mut query, pairs) = match (flight.op, flight.step) {
            (Op::List, _) => list_query(plan, (!fixed).then_some(flight.key), scratch),
            (Op::Multipart, step) => upload_query(step, upload, scratch),
            _ => NO_QUERY,
        };
        let range = |start, end| Payload::Blocks(BodyRange { id, start, end });
        let part_bytes = plan.multipart.map_or(0, |multipart| multipart.part_bytes);
        let payload = match (flight.op, flight.step) {
            (Op::Put, _) => range(0, id.size),
            (Op::Multipart, Step::Create) => Payload::Bytes(b""),
            (Op::Multipart, Step::Part(part)) => {
                let start = u64::from(part) * part_bytes;
                range(start, start + part_bytes)
            }
            (Op::Multipart, Step::Complete) => {
                self.text.clear();
                completion(&upload.etags, &mut self.text);
                Payload::Bytes(&self.text)
            }
            _ => Payload::None,
        };
        let endpoint = *endpoint;
        let query = &mut query[..pairs];
        let mut ask = Ask {
            method,
            endpoint,
            role: role(flight),
            resource,
            query,
            headers: &[],
            presigned: false,
            payload,
            closes: *is_last,
            unix_s,
        };
        self.encoder.encode(&mut ask, outgoing);
        *may_send = flight
            .give_up_at
            .map_or(u64::MAX, |bytes| outgoing.head_bytes() + bytes);
    }

    /// The smallest size that a body of the plan's region can have, bytes.
    fn size_min(&self) -> u64 {
        match (self.plan.keyspace.region, &self.plan.multipart) {
            (Region::Multipart, Some(multipart)) => {
                u64::from(multipart.parts) * multipart.part_bytes
            }
            (Region::Multipart, None) => 0,
            _ => self.sizes.min().min(self.traced_min),
        }
    }
}

/// The method of the present step, and what it acts upon.
fn method_and_resource(flight: &Flight, fixed: bool) -> (&'static str, Resource) {
    let object = Resource::Object(flight.key);
    let read = if fixed { Resource::Fixed } else { object };
    match (flight.op, flight.step) {
        (Op::Get, _) => ("GET", read),
        (Op::Head, _) => ("HEAD", read),
        (Op::List, _) => ("GET", Resource::Bucket),
        (Op::Put, _) | (Op::Multipart, Step::Part(_)) => ("PUT", object),
        (Op::Delete, _) | (Op::Multipart, Step::Abort) => ("DELETE", object),
        (Op::Multipart, _) => ("POST", object),
        // refused when the plan is read
        _ => ("HEAD", read),
    }
}

/// What the request of the present step is to the store.
fn role(flight: &Flight) -> Role {
    match (flight.op, flight.step) {
        (Op::Get | Op::Head, _) => Role::Read,
        (Op::Put, _) => Role::Put,
        (_, Step::Create) => Role::Create,
        (_, Step::Part(_)) => Role::Part,
        _ => Role::Other,
    }
}

/// Query parameters, and how many of them there are.
type Query<'a> = ([(&'a str, &'a str); 4], usize);

const NO_QUERY: Query<'static> = ([("", ""); 4], 0);

/// The page of a listing that begins behind a key, or at the beginning.
fn list_query<'a>(plan: &'a Plan, after: Option<Key>, scratch: &'a mut Scratch) -> Query<'a> {
    scratch.digits(u64::from(plan.list.max_keys));
    scratch.name.clear();
    if let Some(key) = after {
        key.write_name(plan.s3.prefix.as_bytes(), &mut scratch.name);
    }
    let pairs = [
        ("list-type", "2"),
        ("max-keys", scratch.digits.as_str()),
        ("prefix", plan.s3.prefix.as_str()),
        (
            "start-after",
            std::str::from_utf8(&scratch.name).unwrap_or_default(),
        ),
    ];
    (pairs, 4)
}

fn upload_query<'a>(step: Step, upload: &'a Upload, scratch: &'a mut Scratch) -> Query<'a> {
    let (mut pairs, _) = NO_QUERY;
    let id = ("uploadId", upload.id.as_str());
    match step {
        Step::Create => pairs[0] = ("uploads", ""),
        Step::Part(part) => {
            scratch.digits(u64::from(part) + 1);
            pairs[0] = ("partNumber", &scratch.digits);
            pairs[1] = id;
            return (pairs, 2);
        }
        Step::Complete | Step::Abort | Step::Single => pairs[0] = id,
    }
    (pairs, 1)
}

/// Text of query parameters; its memory is used again.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    digits: String,
    name: Vec<u8>,
}

impl Scratch {
    fn digits(&mut self, number: u64) {
        self.digits.clear();
        // Writing into memory cannot fail.
        let _ = write!(self.digits, "{number}");
    }
}
