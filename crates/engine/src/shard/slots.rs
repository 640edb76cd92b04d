//! The connections of a shard: one slot each, found again by number, idle ones by endpoint.

use crate::flight::{Exchange, Flight};
use crate::wire::Connection;

/// What a slot is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No connection.
    Vacant,
    /// An operation waits for its new connection.
    Connecting,
    /// A request is under way.
    Busy,
    /// Connected, nothing to do.
    Idle,
    /// Connected, done with: the server said that it closes.
    Leaving,
}

/// Room for one connection and the operation on it.
#[derive(Debug)]
pub struct Slot {
    /// What it is doing.
    pub state: State,
    /// Index of its endpoint.
    pub endpoint: usize,
    /// The present request is the last of its connection.
    pub is_last: bool,
    /// There unless the slot is vacant.
    pub connection: Option<Connection>,
    /// The operation; meaningless when vacant or idle.
    pub flight: Flight,
    /// Its exchange.
    pub exchange: Exchange,
    /// Tells events of this connection from those of an earlier one in the same slot.
    generation: u32,
    idle_place: usize,
}

/// Where an operation can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To this idle connection.
    Idle(u32),
    /// To this vacant slot, with a new connection to this endpoint.
    New(u32, usize),
}

/// All slots of a shard.
#[derive(Debug)]
pub struct Slots {
    list: Vec<Slot>,
    vacant: Vec<u32>,
    idle: Vec<Vec<u32>>,
    connections_max: usize,
    in_flight_max: usize,
    occupied: usize,
    turn: usize,
}

impl Slots {
    /// For so many endpoints, connections and busy connections; shards begin their turns at different endpoints.
    pub fn new(
        endpoints: usize,
        connections_max: usize,
        in_flight_max: usize,
        shard: usize,
    ) -> Self {
        Self {
            list: Vec::new(),
            vacant: Vec::new(),
            idle: vec![Vec::new(); endpoints],
            connections_max,
            in_flight_max,
            occupied: 0,
            turn: shard,
        }
    }

    /// Slots in existence.
    pub fn len(&self) -> u32 {
        self.list.len() as u32
    }

    /// Open connections.
    pub fn connections(&self) -> usize {
        self.list.len() - self.vacant.len()
    }

    /// Nothing is under way.
    pub fn is_quiet(&self) -> bool {
        self.occupied == 0
    }

    /// The slot of a number.
    pub fn get(&mut self, number: u32) -> &mut Slot {
        &mut self.list[number as usize]
    }

    /// What readiness is reported under.
    pub fn token(&self, number: u32) -> u64 {
        u64::from(self.list[number as usize].generation) << 32 | u64::from(number)
    }

    /// The slot of a token; None when the connection is gone.
    pub fn of_token(&self, token: u64) -> Option<u32> {
        let slot = self.list.get((token & u64::from(u32::MAX)) as usize)?;
        let alive = slot.state != State::Vacant && u64::from(slot.generation) == token >> 32;
        alive.then_some(token as u32)
    }

    /// Finds a place, endpoints strictly in turn: a slow endpoint gets its share like the others, as customers would
    /// give it, as long as there are places.
    pub fn find(&mut self) -> Option<Place> {
        if self.occupied >= self.in_flight_max {
            return None;
        }
        let endpoints = self.idle.len();
        for step in 0..endpoints {
            let endpoint = (self.turn + step) % endpoints;
            if let Some(&number) = self.idle[endpoint].last() {
                return Some(Place::Idle(number));
            }
            if self.connections() < self.connections_max {
                return Some(Place::New(self.some_vacant(), endpoint));
            }
        }
        None
    }

    /// Finds a place at one endpoint.
    pub fn find_at(&mut self, endpoint: usize) -> Option<Place> {
        if self.occupied >= self.in_flight_max {
            return None;
        }
        if let Some(&number) = self.idle[endpoint].last() {
            return Some(Place::Idle(number));
        }
        (self.connections() < self.connections_max)
            .then(|| Place::New(self.some_vacant(), endpoint))
    }

    fn some_vacant(&mut self) -> u32 {
        if let Some(&number) = self.vacant.last() {
            return number;
        }
        let number = self.list.len() as u32;
        self.list.push(Slot {
            state: State::Vacant,
            endpoint: 0,
            is_last: false,
            connection: None,
            flight: Flight::NONE,
            exchange: Exchange::default(),
            generation: 0,
            idle_place: 0,
        });
        self.vacant.push(number);
        number
    }

    /// The same place, but with a connection of its own; `close` is the idle connection that must go for it.
    pub fn alone(&mut self, place: Place) -> (Place, Option<Connection>) {
        let Place::Idle(number) = place else {
            return (place, None);
        };
        let endpoint = self.get(number).endpoint;
        if self.connections() < self.connections_max {
            return (Place::New(self.some_vacant(), endpoint), None);
        }
        let close = self.vacate(number);
        (Place::New(number, endpoint), close)
    }

    /// Takes a place for an operation.
    pub fn occupy(&mut self, place: Place) -> u32 {
        self.occupied += 1;
        match place {
            Place::Idle(number) => {
                self.leave_idle(number);
                self.get(number).state = State::Busy;
                self.turn = self.get(number).endpoint + 1;
                number
            }
            Place::New(number, endpoint) => {
                // It is the one that `find` saw on top.
                if self.vacant.last() == Some(&number) {
                    self.vacant.pop();
                }
                self.turn = endpoint + 1;
                let slot = self.get(number);
                slot.endpoint = endpoint;
                slot.state = State::Connecting;
                number
            }
        }
    }

    fn leave_idle(&mut self, number: u32) {
        let Slot {
            endpoint,
            idle_place,
            ..
        } = self.list[number as usize];
        let idle = &mut self.idle[endpoint];
        idle.swap_remove(idle_place);
        if let Some(&moved) = idle.get(idle_place) {
            self.list[moved as usize].idle_place = idle_place;
        }
    }

    /// The operation is over and the connection good for another.
    pub fn rest(&mut self, number: u32) {
        self.occupied -= 1;
        let endpoint = self.list[number as usize].endpoint;
        let idle_place = self.idle[endpoint].len();
        self.idle[endpoint].push(number);
        let slot = self.get(number);
        slot.state = State::Idle;
        slot.idle_place = idle_place;
    }

    /// The operation is over, and the server is about to close the connection.
    pub fn leave(&mut self, number: u32) {
        self.occupied -= 1;
        self.get(number).state = State::Leaving;
    }

    /// The connection is gone or must go.
    pub fn vacate(&mut self, number: u32) -> Option<Connection> {
        match self.get(number).state {
            State::Vacant => return None,
            State::Idle => self.leave_idle(number),
            State::Leaving => {}
            State::Connecting | State::Busy => self.occupied -= 1,
        }
        self.vacant.push(number);
        let slot = self.get(number);
        slot.state = State::Vacant;
        slot.generation = slot.generation.wrapping_add(1);
        slot.connection.take()
    }

    /// The operation goes on, but needs another connection in the same slot.
    pub fn reconnect(&mut self, number: u32) -> Option<Connection> {
        let slot = self.get(number);
        slot.state = State::Connecting;
        slot.generation = slot.generation.wrapping_add(1);
        slot.connection.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots() -> Slots {
        Slots::new(2, 3, 2, 0)
    }

    #[test]
    fn endpoints_take_turns_and_bounds_hold() {
        let mut slots = slots();
        let first = slots.find().unwrap();
        assert_eq!(first, Place::New(0, 0));
        assert_eq!(slots.occupy(first), 0);
        let second = slots.find().unwrap();
        assert_eq!(second, Place::New(1, 1));
        slots.occupy(second);
        assert_eq!(slots.find(), None, "two may be busy");
        slots.rest(0);
        slots.rest(1);
        let again = slots.find().unwrap();
        assert_eq!(again, Place::Idle(0));
        assert_eq!(slots.find(), Some(again), "looking takes no turn");
        slots.occupy(again);
        assert_eq!(slots.find(), Some(Place::Idle(1)));
        assert_eq!(slots.connections(), 2);
    }

    #[test]
    fn without_room_for_new_connections_another_endpoint_serves() {
        let mut slots = Slots::new(2, 1, 5, 0);
        let place = slots.find().unwrap();
        slots.occupy(place);
        slots.rest(0);
        assert_eq!(
            slots.find(),
            Some(Place::Idle(0)),
            "endpoint 1 has none and may open none"
        );
    }

    #[test]
    fn tokens_of_gone_connections_mean_nothing() {
        let mut slots = slots();
        let place = slots.find().unwrap();
        let number = slots.occupy(place);
        let token = slots.token(number);
        assert_eq!(slots.of_token(token), Some(number));
        slots.vacate(number);
        assert_eq!(slots.of_token(token), None);
        let place = slots.find().unwrap();
        assert_eq!(slots.occupy(place), number, "the slot is used again");
        assert_eq!(slots.of_token(token), None);
        assert_eq!(slots.of_token(77), None);
        assert_eq!(slots.connections(), 1);
    }

    #[test]
    fn idle_connections_leave_in_any_order() {
        let mut slots = Slots::new(1, 9, 9, 0);
        for _ in 0..4 {
            let place = slots.find().unwrap();
            slots.occupy(place);
        }
        for number in 0..4 {
            slots.rest(number);
        }
        for number in [1, 3, 0] {
            slots.vacate(number);
        }
        assert_eq!(slots.find(), Some(Place::Idle(2)));
        assert_eq!(slots.connections(), 1);
    }
}
