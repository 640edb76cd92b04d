//! How a shard carries operations through: send, receive, go on, end.

use super::slots::{Place, Slot, State};
use super::Shard;
use crate::clock::NS_PER_MS;
use crate::flight::{after_answer, Exchange, Flight, Next, Step};
use crate::operation::ErrorClass;
use crate::status::Counter;
use crate::wire::http1::Progress;
use crate::wire::throttle::TICK_NS;
use crate::wire::{Cut, Failure, Lack, Ready, Received, Sent};

/// A server that says `connection: close` gets this long to do so, so that the waiting time of the closed connection
/// (TIME_WAIT) is its own, as HTTP wants it, and not spent on our local ports.
const LEAVE_NS: u64 = 50 * NS_PER_MS;

/// What becomes of a connection after a whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It is good for another request.
    Keep,
    /// The server closes it.
    Leave,
    /// We close it.
    Close,
}

impl Then {
    /// `sound`: request and answer went over it whole, and nothing else. `keep_alive`: the server would take another
    /// request. `is_last`: we do not want to send one.
    fn of(sound: bool, keep_alive: bool, is_last: bool) -> Self {
        match (sound, keep_alive) {
            (true, false) => Self::Leave,
            (true, true) if !is_last => Self::Keep,
            _ => Self::Close,
        }
    }
}

impl Shard {
    /// Starts an operation at its place.
    pub(super) fn start(&mut self, place: Place, flight: Flight) {
        self.counters.count(Counter::Started);
        let place = match flight.slow {
            Some(_) => self.alone(place),
            None => place,
        };
        let number = self.slots.occupy(place);
        self.slots.get(number).flight = flight;
        if let Place::New(..) = place {
            self.slots.get(number).flight.on_new_connection = true;
        }
        self.recall(number);
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

    pub(super) fn connect(&mut self, number: u32, endpoint: usize, now_ns: u64) {
        let token = self.slots.token(number);
        let pace = self.slots.get(number).flight.slow;
        match self.wire.open(endpoint, token, pace) {
            Ok(connection) => {
                self.slots.get(number).connection = Some(connection);
                self.connecting.set(number, now_ns + self.connect_ns);
            }
            Err(failure) => self.end_unconnected(number, &failure, now_ns),
        }
    }

    /// Ends an operation whose connection never stood.
    fn end_unconnected(&mut self, number: u32, failure: &Failure, now_ns: u64) {
        self.counters.count(Counter::ConnectFailed);
        match failure.lack() {
            Some(Lack::Ports) => self.counters.count(Counter::PortsExhausted),
            Some(Lack::Descriptors) => self.counters.count(Counter::DescriptorsExhausted),
            None => {}
        }
        self.end_broken(number, failure.class, now_ns, &failure.cause);
    }

    /// Begins to send the prepared request on the open connection of its slot.
    pub(super) fn transmit(&mut self, number: u32) {
        let slot = self.slots.get(number);
        slot.state = State::Busy;
        if let Some(connection) = &mut slot.connection {
            if slot.flight.slow.is_some() {
                let now_ns = self.clock.now_ns();
                connection.set_pace(slot.flight.slow, now_ns);
                self.slow_steps.set(number, now_ns + TICK_NS);
            }
            connection.requests = connection.requests.saturating_add(1);
            slot.flight.sent_before = connection.bytes_sent;
            if slot.flight.nth_on_connection == 0 {
                slot.flight.nth_on_connection = connection.requests;
            }
        }
        self.send(number);
    }

    pub(super) fn send(&mut self, number: u32) {
        let Slot {
            connection: Some(connection),
            exchange,
            flight,
            ..
        } = self.slots.get(number)
        else {
            return;
        };
        let before = connection.bytes_sent;
        let gives_up = flight.give_up_at.is_some();
        let sent = if gives_up {
            let mut cut = Cut {
                source: &mut exchange.outgoing,
                left: &mut exchange.may_send,
            };
            connection.send(&mut self.wire, &mut cut)
        } else {
            connection.send(&mut self.wire, &mut exchange.outgoing)
        };
        self.counters
            .add(Counter::BytesSent, connection.bytes_sent - before);
        match sent {
            Ok(Sent::All) if gives_up => {
                let now_ns = self.clock.now_ns();
                let why =
                    "the client closed the connection in the middle of the body, as the plan asks";
                self.end_broken(number, ErrorClass::GivenUp, now_ns, &why);
            }
            Ok(Sent::All) => {
                exchange.sent_all = true;
                if flight.sent_ns == 0 {
                    flight.sent_ns = self.clock.now_ns();
                }
            }
            Ok(Sent::Part) => {}
            // A server may answer and close before it has read everything: hear what it said.
            Err(failure) => self.receive(number, Some(failure)),
        }
    }

    /// A socket is ready.
    pub(super) fn ready(&mut self, ready: Ready) {
        let Some(number) = self.slots.of_token(ready.token) else {
            return;
        };
        match self.slots.get(number).state {
            State::Vacant => {}
            State::Idle => self.listen(number),
            State::Leaving => self.see_off(number),
            State::Connecting => self.establish(number),
            State::Busy => {
                if ready.broken {
                    self.unthrottle(number);
                }
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
        let Slot {
            connection: Some(connection),
            flight,
            ..
        } = self.slots.get(number)
        else {
            return;
        };
        let (sent, received) = (connection.bytes_sent, connection.bytes_received);
        let established = connection.establish(&mut self.wire);
        // Of an operation of several exchanges, the parts are those of its first.
        if flight.exchanges == 1 {
            flight.connected_ns = connection.connected_ns;
            flight.secured_ns = connection.secured_ns;
            flight.resumed = connection.is_resumed();
        }
        let resumed = connection.is_resumed();
        let (sent, received) = (
            connection.bytes_sent - sent,
            connection.bytes_received - received,
        );
        self.counters.add(Counter::BytesSent, sent);
        self.counters.add(Counter::BytesReceived, received);
        match established {
            Ok(false) => {}
            Ok(true) => {
                self.connecting.clear(number);
                self.counters.count(Counter::Opened);
                self.counters.add(Counter::Resumed, u64::from(resumed));
                self.transmit(number);
            }
            Err(failure) => {
                let now_ns = self.clock.now_ns();
                self.end_unconnected(number, &failure, now_ns);
            }
        }
    }

    /// Something happened on an idle connection: session tickets are welcome, anything else ends it.
    fn listen(&mut self, number: u32) {
        let Slot {
            connection: Some(connection),
            ..
        } = self.slots.get(number)
        else {
            return;
        };
        let before = connection.bytes_received;
        let mut unasked = 0;
        let received = connection.receive(&mut self.wire, &mut |bytes| unasked += bytes.len());
        self.counters
            .add(Counter::BytesReceived, connection.bytes_received - before);
        if unasked > 0 || !matches!(received, Ok(Received::Open)) {
            self.close(number);
        }
    }

    /// Something happened on a connection that the server is about to close.
    fn see_off(&mut self, number: u32) {
        let gone = match &mut self.slots.get(number).connection {
            Some(connection) => connection.is_gone(&mut self.wire),
            None => true,
        };
        if gone {
            self.close(number);
        }
    }

    /// Takes what came for a request. `broken`: sending failed, nothing more will come after this.
    pub(super) fn receive(&mut self, number: u32, broken: Option<Failure>) {
        let clock = self.clock;
        let Slot {
            connection: Some(connection),
            exchange,
            flight,
            is_last,
            ..
        } = self.slots.get(number)
        else {
            return;
        };
        let Exchange {
            parser,
            answer,
            sent_all,
            ..
        } = exchange;
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
                Ok(Progress::Done { surplus }) => Ok(Progress::Done {
                    surplus: surplus + bytes.len(),
                }),
                malformed => malformed,
            };
        });
        let open = matches!(received, Ok(Received::Open)) && broken.is_none();
        self.counters
            .add(Counter::BytesReceived, connection.bytes_received - before);
        self.budget.spend_bytes(answer.bytes - body_before);
        if at_ns == 0 && !open {
            at_ns = clock.now_ns();
        }
        let (sent_all, is_last) = (*sent_all, *is_last);
        match progress {
            Err(malformed) => self.end_broken(number, ErrorClass::Protocol, at_ns, &malformed),
            Ok(Progress::Done { surplus }) => {
                let sound = open && surplus == 0 && sent_all;
                let then = Then::of(sound, parser.keep_alive(), is_last);
                self.answered(number, then, at_ns);
            }
            Ok(Progress::More) if open => {}
            Ok(Progress::More) => match (received, broken) {
                (Ok(Received::End), _) if parser.finish() => {
                    self.answered(number, Then::Close, at_ns);
                }
                (_, Some(failure)) | (Err(failure), None) => {
                    self.end_broken(number, failure.class, at_ns, &failure.cause);
                }
                _ => self.end_broken(
                    number,
                    ErrorClass::Reset,
                    at_ns,
                    &"closed before the answer was whole",
                ),
            },
        }
    }

    /// The answer to the present exchange is whole.
    fn answered(&mut self, number: u32, then: Then, at_ns: u64) {
        let pages = self.plan.list.pages;
        let Slot {
            flight, exchange, ..
        } = self.slots.get(number);
        let upload = flight.upload;
        let next = after_answer(flight, exchange, self.uploads.get(upload), pages);
        // Success before everything was sent cannot be meant; a refusal can.
        let early = !exchange.sent_all && exchange.answer.status < 300;
        match next {
            Next::Finish(ErrorClass::None) | Next::Send(_) | Next::GoOn if early => {
                self.fail(number, ErrorClass::Protocol, then, at_ns);
            }
            Next::Fail(class) | Next::Finish(class) if class != ErrorClass::None => {
                self.fail(number, class, then, at_ns);
            }
            Next::Fail(class) | Next::Finish(class) => {
                self.conclude_answered(number, class, at_ns);
                self.uploads.close(upload);
                self.release(number, then);
            }
            Next::Nothing => {
                self.uploads.close(upload);
                self.release(number, then);
            }
            Next::Send(Step::Page(_)) if !self.budget.spend_request() => {
                // The ceiling ends the listing here; what came so far was good.
                self.conclude_answered(number, ErrorClass::None, at_ns);
                self.release(number, then);
            }
            Next::Send(step) => self.go_on(number, step, then),
            Next::GoOn => self.go_on_with_upload(number, then),
        }
    }

    /// Sends the request of the next step, on a new connection if need be.
    pub(super) fn go_on(&mut self, number: u32, step: Step, then: Then) {
        self.slots.get(number).flight.step = step;
        if then != Then::Keep {
            if let Some(connection) = self.slots.reconnect(number) {
                self.wire.close(connection);
            }
        }
        self.prepare(number);
        let now_ns = self.clock.now_ns();
        self.requesting.set(number, now_ns + self.request_ns);
        if then == Then::Keep {
            return self.transmit(number);
        }
        let endpoint = self.slots.get(number).endpoint;
        self.connect(number, endpoint, now_ns);
    }

    pub(super) fn release(&mut self, number: u32, then: Then) {
        self.requesting.clear(number);
        self.slow_steps.clear(number);
        let slow = self.slots.get(number).flight.slow.is_some();
        match then {
            Then::Keep if !slow => self.slots.rest(number),
            Then::Leave => {
                self.slots.leave(number);
                self.leaving.set(number, self.clock.now_ns() + LEAVE_NS);
            }
            Then::Keep | Then::Close => self.close(number),
        }
    }

    pub(super) fn close(&mut self, number: u32) {
        self.connecting.clear(number);
        self.requesting.clear(number);
        self.leaving.clear(number);
        self.slow_steps.clear(number);
        match self.slots.vacate(number) {
            Some(connection) if self.resets => self.wire.reset(connection),
            Some(connection) => self.wire.close(connection),
            None => {}
        }
    }
}
