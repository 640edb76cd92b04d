//! How a shard plays slow clients: each on a connection of its own, a few bytes every tick.

use super::slots::{Place, State};
use super::Shard;
use crate::wire::throttle::TICK_NS;

impl Shard {
    /// A place whose connection nobody used before.
    pub(super) fn alone(&mut self, place: Place) -> Place {
        let (place, close) = self.slots.alone(place);
        if let Some(connection) = close {
            self.wire.close(connection);
        }
        place
    }

    /// A broken connection is heard to its end: the server gave up on the slow client, there is nothing to hold back.
    pub(super) fn unthrottle(&mut self, number: u32) {
        if let Some(connection) = &mut self.slots.get(number).connection {
            connection.set_pace(None, 0);
        }
    }

    /// A slow client moves its next bytes.
    pub(super) fn step_slowly(&mut self, number: u32, now_ns: u64) {
        let slot = self.slots.get(number);
        let (State::Busy, Some(connection)) = (slot.state, &slot.connection) else {
            return;
        };
        let (holds_back, sent_all) = (connection.holds_back(), slot.exchange.sent_all);
        self.slow_steps.set(number, now_ns + TICK_NS);
        // Otherwise readiness drives it like any other.
        if !holds_back {
            return;
        }
        // The time that the client itself takes is no silence of the server.
        self.requesting.set(number, now_ns + self.request_ns);
        if sent_all {
            self.receive(number, None);
        } else {
            self.send(number);
        }
    }
}
