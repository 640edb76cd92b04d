//! How a shard carries operations through: decide, send, receive, conclude.

use std::fmt::Display;

use super::slots::{Place, Slot, State};
use super::Shard;
use crate::answer::Reader;
use crate::clock::NS_PER_S;
use crate::flight::{after_answer, completion, Exchange, Flight, Next, Step, Waiting};
use crate::operation::{ErrorClass, Key, Op, OperationRecord, Outcome, Region, FLAG_NEW_CONNECTION};
use crate::outcome::outcome_of;
use crate::plan::DeleteFrom;
use crate::status::Counter;
use crate::wire::http1::Progress;
use crate::wire::request::{Ask, BodyRange, Payload, Resource};
use crate::wire::{Failure, Ready, Received, Sent};
use crate::body::{BodyId, Verifier};

/// Longest example text of an error, bytes.
const EXAMPLE_BYTES_MAX: usize = 300;

impl Shard {
    /// Decides what an arrival does: on which key, which version, how large.
    pub(super) fn decide(&mut self, waiting: Waiting) -> Flight {
        let mut flight = Flight { op: waiting.op, due_ns: waiting.due_ns, ..Flight::NONE };
        let number = waiting.number;
        match waiting.op {
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
                flight.step = Step::Create;
            }
            Op::Get | Op::Head if self.plan.keyspace.fixed_key.is_some() => {}
            Op::List if self.plan.keyspace.fixed_key.is_some() => {}
            _ => flight.key = self.keys.key(number),
        }
        self.decide_version(&mut flight);
        flight
    }

    fn decide_creation(&mut self, flight: &mut Flight, number: u64) {
        flight.op = Op::Put;
        match self.ephemeral.create() {
            Some(key) => {
                flight.key = key;
                flight.creates = true;
            }
            None => flight.key = self.keys.key(number),
        }
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

    /// Starts an operation at its place.
    pub(super) fn start(&mut self, place: Place, flight: Flight) {
        self.counters.count(Counter::Started);
        let number = self.slots.occupy(place);
        self.slots.get(number).flight = flight;
        if let Place::New(..) = place {
            self.slots.get(number).flight.on_new_connection = true;
        }
        self.prepare(number);
        let start_ns = self.clock.now_ns();
        let flight = &mut self.slots.get(number).flight;
        flight.start_ns = start_ns;
        if start_ns > flight.due_ns + self.late_ns {
            self.counters.count(Counter::Late);
        }
        self.requesting.set(number, start_ns + self.request_ns);
        match place {
            Place::Idle(_) => self.transmit(number),
            Place::New(_, endpoint) => self.connect(number, endpoint, start_ns),
        }
    }

    fn connect(&mut self, number: u32, endpoint: usize, now_ns: u64) {
        let token = self.slots.token(number);
        match self.wire.open(endpoint, token) {
            Ok(connection) => {
                self.slots.get(number).connection = Some(connection);
                self.connecting.set(number, now_ns + self.connect_ns);
            }
            Err(failure) => self.end_broken(number, failure.class, now_ns, &failure.cause),
        }
    }

    /// Encodes the request of the present step and expects its answer.
    fn prepare(&mut self, number: u32) {
        let unix_s = self.clock.now_ns() / NS_PER_S;
        let (plan, size_min) = (&*self.plan, self.size_min());
        let Slot { flight, exchange, endpoint, .. } = self.slots.get(number);
        let Exchange { outgoing, upload, parser, answer, sent_all } = exchange;
        let id = BodyId { run: plan.run, key: flight.key.0, version: flight.version, size: flight.size };
        let fixed = plan.keyspace.fixed_key.is_some();
        let reader = match flight.op {
            Op::Get if fixed || !plan.verify => Reader::Discard,
            Op::Get => Reader::Verify(Verifier::new(id.run, id.key).size_min(size_min)),
            _ => Reader::Text,
        };
        *sent_all = false;
        flight.sent_before = u64::MAX;
        parser.begin(flight.op == Op::Head);
        answer.begin(reader);

        let (method, resource) = method_and_resource(flight, fixed);
        let digits;
        self.text.clear();
        let mut query = [("", ""); 4];
        let mut payload = Payload::None;
        let pairs = match (flight.op, flight.step) {
            (Op::Put, _) => {
                payload = Payload::Blocks(BodyRange { id, start: 0, end: id.size });
                0
            }
            (Op::List, _) => {
                digits = plan.list_max_keys.to_string();
                if !fixed {
                    flight.key.write_name(plan.s3.prefix.as_bytes(), &mut self.text);
                }
                query = [
                    ("list-type", "2"),
                    ("max-keys", &digits),
                    ("prefix", &plan.s3.prefix),
                    ("start-after", std::str::from_utf8(&self.text).unwrap_or_default()),
                ];
                4
            }
            (Op::Multipart, Step::Part(part)) => {
                let part_bytes = plan.multipart.map_or(0, |multipart| multipart.part_bytes);
                let start = u64::from(part) * part_bytes;
                payload = Payload::Blocks(BodyRange { id, start, end: start + part_bytes });
                digits = (part + 1).to_string();
                query[..2].copy_from_slice(&[("partNumber", &digits), ("uploadId", &upload.id)]);
                2
            }
            (Op::Multipart, Step::Complete) => {
                completion(&upload.etags, &mut self.text);
                payload = Payload::Bytes(&self.text);
                query[0] = ("uploadId", &upload.id);
                1
            }
            (Op::Multipart, Step::Abort) => {
                query[0] = ("uploadId", &upload.id);
                1
            }
            (Op::Multipart, _) => {
                payload = Payload::Bytes(b"");
                query[0] = ("uploads", "");
                1
            }
            _ => 0,
        };
        let endpoint = *endpoint;
        let mut ask = Ask { method, endpoint, resource, query: &mut query[..pairs], payload, unix_s };
        self.encoder.encode(&mut ask, outgoing);
    }

    /// Begins to send the prepared request on the open connection of its slot.
    fn transmit(&mut self, number: u32) {
        let slot = self.slots.get(number);
        slot.state = State::Busy;
        if let Some(connection) = &slot.connection {
            slot.flight.sent_before = connection.bytes_sent;
        }
        self.send(number);
    }

    fn send(&mut self, number: u32) {
        let Slot { connection: Some(connection), exchange, .. } = self.slots.get(number) else { return };
        let before = connection.bytes_sent;
        let sent = connection.send(&mut self.wire, &mut exchange.outgoing);
        self.counters.add(Counter::BytesSent, connection.bytes_sent - before);
        match sent {
            Ok(Sent::All) => exchange.sent_all = true,
            Ok(Sent::Part) => {}
            // A server may answer and close before it has read everything: hear what it said.
            Err(failure) => self.receive(number, Some(failure)),
        }
    }

    /// A socket is ready.
    pub(super) fn ready(&mut self, ready: Ready) {
        let Some(number) = self.slots.of_token(ready.token) else { return };
        match self.slots.get(number).state {
            State::Vacant => {}
            State::Idle => self.listen(number),
            State::Connecting => self.establish(number),
            State::Busy => {
                if ready.writable && !self.slots.get(number).exchange.sent_all {
                    self.send(number);
                }
                // Sending may have ended it.
                if ready.readable && self.slots.of_token(ready.token) == Some(number) {
                    self.receive(number, None);
                }
            }
        }
    }

    fn establish(&mut self, number: u32) {
        let Slot { connection: Some(connection), .. } = self.slots.get(number) else { return };
        let (sent, received) = (connection.bytes_sent, connection.bytes_received);
        let established = connection.establish(&mut self.wire);
        let (sent, received) = (connection.bytes_sent - sent, connection.bytes_received - received);
        self.counters.add(Counter::BytesSent, sent);
        self.counters.add(Counter::BytesReceived, received);
        match established {
            Ok(false) => {}
            Ok(true) => {
                self.connecting.clear(number);
                self.transmit(number);
            }
            Err(failure) => {
                let now_ns = self.clock.now_ns();
                self.end_broken(number, failure.class, now_ns, &failure.cause);
            }
        }
    }

    /// Something happened on an idle connection: session tickets are welcome, anything else ends it.
    fn listen(&mut self, number: u32) {
        let Slot { connection: Some(connection), .. } = self.slots.get(number) else { return };
        let before = connection.bytes_received;
        let mut unasked = 0;
        let received = connection.receive(&mut self.wire, &mut |bytes| unasked += bytes.len());
        self.counters.add(Counter::BytesReceived, connection.bytes_received - before);
        if unasked > 0 || !matches!(received, Ok(Received::Open)) {
            self.close(number);
        }
    }

    /// Takes what came for a request. `broken`: sending failed, nothing more will come after this.
    fn receive(&mut self, number: u32, broken: Option<Failure>) {
        let clock = self.clock;
        let Slot { connection: Some(connection), exchange, flight, .. } = self.slots.get(number) else { return };
        let Exchange { parser, answer, sent_all, .. } = exchange;
        let (before, body_before) = (connection.bytes_received, answer.bytes);
        let mut progress = Ok(Progress::More);
        let mut at_ns = 0;
        let received = connection.receive(&mut self.wire, &mut |bytes| {
            at_ns = clock.now_ns();
            if flight.first_byte_ns == 0 {
                flight.first_byte_ns = at_ns;
            }
            progress = match progress {
                Ok(Progress::More) => parser.feed(bytes, answer),
                Ok(Progress::Done { surplus }) => Ok(Progress::Done { surplus: surplus + bytes.len() }),
                malformed => malformed,
            };
        });
        let open = matches!(received, Ok(Received::Open)) && broken.is_none();
        self.counters.add(Counter::BytesReceived, connection.bytes_received - before);
        self.budget.spend_bytes(answer.bytes - body_before);
        if at_ns == 0 && !open {
            at_ns = clock.now_ns();
        }
        let sent_all = *sent_all;
        match progress {
            Err(malformed) => self.end_broken(number, ErrorClass::Protocol, at_ns, &malformed),
            Ok(Progress::Done { surplus }) => {
                let reusable = open && surplus == 0 && sent_all && parser.keep_alive();
                self.answered(number, reusable, at_ns);
            }
            Ok(Progress::More) if open => {}
            Ok(Progress::More) => match (received, broken) {
                (Ok(Received::End), _) if parser.finish() => self.answered(number, false, at_ns),
                (_, Some(failure)) | (Err(failure), None) => {
                    self.end_broken(number, failure.class, at_ns, &failure.cause);
                }
                _ => self.end_broken(number, ErrorClass::Reset, at_ns, &"closed before the answer was whole"),
            },
        }
    }

    /// The answer to the present exchange is whole.
    fn answered(&mut self, number: u32, reusable: bool, at_ns: u64) {
        let parts = self.plan.multipart.map_or(0, |multipart| multipart.parts);
        let Slot { flight, exchange, .. } = self.slots.get(number);
        let mut next = after_answer(flight.op, flight.step, parts, exchange);
        let early = !exchange.sent_all;
        if early && matches!(next, Next::Finish(ErrorClass::None) | Next::Send(_)) {
            next = Next::Finish(ErrorClass::Protocol);
        }
        match next {
            Next::Finish(class) => {
                self.conclude_answered(number, class, at_ns);
                self.release(number, reusable);
            }
            Next::Nothing => self.release(number, reusable),
            Next::Send(step) => self.go_on(number, step, reusable),
            Next::FinishAndAbort(class) => {
                self.conclude_answered(number, class, at_ns);
                if reusable {
                    self.go_on(number, Step::Abort, true);
                } else {
                    self.release(number, false);
                }
            }
        }
    }

    /// Sends the request of the next step, on a new connection if need be.
    fn go_on(&mut self, number: u32, step: Step, reusable: bool) {
        self.slots.get(number).flight.step = step;
        self.prepare(number);
        let now_ns = self.clock.now_ns();
        self.requesting.set(number, now_ns + self.request_ns);
        if reusable {
            return self.transmit(number);
        }
        if let Some(connection) = self.slots.reconnect(number) {
            self.wire.close(connection);
        }
        let endpoint = self.slots.get(number).endpoint;
        self.connect(number, endpoint, now_ns);
    }

    fn release(&mut self, number: u32, reusable: bool) {
        self.requesting.clear(number);
        if reusable {
            self.slots.rest(number);
        } else {
            self.close(number);
        }
    }

    pub(super) fn close(&mut self, number: u32) {
        self.connecting.clear(number);
        self.requesting.clear(number);
        if let Some(connection) = self.slots.vacate(number) {
            self.wire.close(connection);
        }
    }

    /// The connection is of no use any more; the operation on it ends with this class.
    pub(super) fn end_broken(&mut self, number: u32, class: ErrorClass, now_ns: u64, why: &dyn Display) {
        if self.slots.get(number).flight.step != Step::Abort {
            self.example(class, why);
            self.conclude(number, class, 0, now_ns);
        }
        self.close(number);
    }

    /// Ends an operation by its whole answer; a good body must also be the right one.
    fn conclude_answered(&mut self, number: u32, class: ErrorClass, at_ns: u64) {
        let answer = &mut self.slots.get(number).exchange.answer;
        let (mut class, mut version) = (class, 0);
        if let Some(verdict) = answer.verdict() {
            version = verdict.version;
            if class == ErrorClass::None {
                class = verdict.class;
            }
            if class != ErrorClass::None {
                self.example(class, &verdict.detail);
            }
        } else if class != ErrorClass::None && !self.example_seen[class.slot()] {
            let text = String::from_utf8_lossy(&answer.text[..answer.text.len().min(EXAMPLE_BYTES_MAX)]);
            let text = format!("status {} {text}", answer.status);
            self.example(class, &text);
        }
        self.conclude(number, class, version, at_ns);
    }

    /// Counts and records the end of an operation.
    fn conclude(&mut self, number: u32, class: ErrorClass, seen_version: u64, end_ns: u64) {
        let Slot { flight, exchange, endpoint, connection, .. } = self.slots.get(number);
        let sent = connection.as_ref().map_or(0, |connection| connection.bytes_sent);
        let exposed = sent > flight.sent_before && flight.may_take_effect();
        let outcome = outcome_of(flight.op, class, exposed);
        let answered = exchange.answer.status != 0;
        let record = OperationRecord {
            due_ns: flight.due_ns,
            start_ns: flight.start_ns,
            first_byte_ns: flight.first_byte_ns,
            end_ns,
            key: flight.key.0,
            version: if flight.version != 0 { flight.version } else { seen_version },
            bytes: match flight.op {
                Op::Put | Op::Multipart if outcome == Outcome::Ok => flight.size,
                Op::Put | Op::Multipart => 0,
                _ => exchange.answer.bytes,
            },
            status: exchange.answer.status,
            op: flight.op,
            outcome,
            error_class: class,
            endpoint: *endpoint as u8,
            shard: self.seat.index as u8,
            flags: if flight.on_new_connection { FLAG_NEW_CONNECTION } else { 0 },
        };
        if flight.creates {
            let key = flight.key;
            self.ephemeral.created(key, outcome == Outcome::Ok);
        }
        self.counters.count(Counter::Completed);
        self.counters.count(match outcome {
            Outcome::Ok => Counter::Ok,
            Outcome::Fail => Counter::Fail,
            Outcome::Unknown | Outcome::Dropped => Counter::Unknown,
        });
        self.keep(&record);
        self.feed.freed(end_ns, !answered && class != ErrorClass::Timeout);
    }

    /// Keeps one text for each class.
    fn example(&mut self, class: ErrorClass, why: &dyn Display) {
        if !std::mem::replace(&mut self.example_seen[class.slot()], true) {
            self.examples.push((class, why.to_string()));
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
    }
}
