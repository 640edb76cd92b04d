//! What an arrival does: on which key, which version, how large, under which condition.

use super::Shard;
use crate::body::BLOCK_BYTES;
use crate::flight::{Flight, Step, Waiting};
use crate::memory::Known;
use crate::operation::{Key, Op, Region};
use crate::plan::{ArrivalSpec, DeleteFrom, KeyChoice, Plan};
use crate::rng::{self, Purpose};
use crate::status::Counter;
use crate::trace::Row;

/// A range at least so long can be laid over a block's header, and then proves itself.
const HEADER_BYTES: u64 = 64;

/// What a shard has to remember for the mix of its plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remembers {
    /// Its own writes to the plan's keys.
    pub writes: bool,
    /// What reads show of them.
    pub reads: bool,
    /// Version ids of ephemeral keys.
    pub ephemeral: bool,
    /// Nobody else writes to the plan's keys as long as the run lasts.
    pub sole_writer: bool,
}

impl Remembers {
    pub fn of(plan: &Plan) -> Self {
        let has = |op: &Op| plan.weight(*op) > 0.0;
        let picks = [
            Op::PutIfNoneMatch,
            Op::PutIfMatch,
            Op::GetIfMatch,
            Op::GetIfNoneMatch,
            Op::GetVersion,
            Op::PutTags,
            Op::GetTags,
            Op::PutRetention,
        ]
        .iter()
        .any(has);
        let writes = [Op::Put, Op::PresignedPut].iter().any(has);
        let whole = match &plan.arrivals {
            ArrivalSpec::Open { share, .. } | ArrivalSpec::Trace { share, .. } => share.is_whole(),
            ArrivalSpec::Closed { .. } => true,
        };
        Self {
            writes: writes || picks,
            reads: picks,
            ephemeral: has(&Op::DeleteVersion),
            sole_writer: plan.shards == 1 && whole && plan.keyspace.ephemeral_lane.count == 1,
        }
    }
}

impl Shard {
    /// Decides what an arrival does.
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
            _ if row.is_some() => {
                self.decide_traced(&mut flight, row.map_or(Key(0), |row| row.key))
            }
            _ if self.plan.keyspace.fixed_key.is_some() => {}
            op if op.is_put() => self.decide_put(&mut flight, number),
            Op::Delete | Op::DeleteVersion | Op::MultiDelete => {
                self.decide_deletion(&mut flight, number);
            }
            op if op.is_upload() => self.decide_upload(&mut flight, number),
            Op::Copy => flight.key = self.key_of_copy(&flight, number),
            Op::GetIfMatch | Op::GetIfNoneMatch | Op::GetVersion => {
                self.decide_known(&mut flight, number);
            }
            Op::GetPart => self.decide_part(&mut flight, number),
            Op::GetDeleted => self.decide_deleted(&mut flight, number),
            Op::GetTags => {
                let tagged = self.memory.pick_tagged(self.random(number));
                flight.key = tagged.unwrap_or_else(|| self.base_key(&flight, number));
            }
            Op::PutTags | Op::PutRetention => {
                let picked = self.memory.pick(self.random(number), |_| true);
                flight.key = picked.map_or_else(|| self.base_key(&flight, number), |(key, _)| key);
            }
            Op::Get | Op::Head | Op::GetRange | Op::PresignedGet => {
                self.decide_read(&mut flight, number);
            }
            _ => flight.key = self.base_key(&flight, number),
        }
        self.decide_version(&mut flight);
        if let Some(row) = row.filter(Row::puts) {
            flight.size = row.size;
        }
        if flight.op == Op::GetRange {
            self.decide_range(&mut flight, number);
        }
        flight
    }

    /// What a trace asks for, on its key; the plain operation where a condition or a version is not known.
    fn decide_traced(&mut self, flight: &mut Flight, key: Key) {
        flight.key = key;
        let known = self.memory.known(key).unwrap_or_default();
        let plain = match flight.op {
            Op::PutIfMatch if known.etag.is_empty() => Op::Put,
            // whether the key is there already is the trace's secret
            Op::PutIfNoneMatch => Op::Put,
            Op::GetIfMatch | Op::GetIfNoneMatch if known.etag.is_empty() => Op::Get,
            Op::GetVersion if known.version_id.is_empty() => Op::Get,
            Op::DeleteVersion if known.version_id.is_empty() => Op::Delete,
            // its other keys were other rows
            Op::MultiDelete => Op::Delete,
            Op::GetPart => Op::Get,
            op => op,
        };
        (flight.op, flight.known) = (plain, known);
        if flight.op.is_upload() {
            flight.step = Step::Create;
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

    /// The random number of an arrival for whatever its operation has to choose besides a key.
    fn random(&self, number: u64) -> u64 {
        rng::hash(self.plan.seed, Purpose::Choice, number)
    }

    fn decide_put(&mut self, flight: &mut Flight, number: u64) {
        let random = self.random(number);
        match flight.op {
            Op::AbortedPut => self.decide_creation(flight, number),
            Op::Put | Op::PresignedPut if self.mix.makes_new_key(number) => {
                self.decide_creation(flight, number);
            }
            // The answer may take turns: now it must create, now it must decline.
            Op::PutIfNoneMatch if random & 1 == 0 => self.decide_creation(flight, number),
            Op::PutIfNoneMatch => self.decide_condition(flight, number, Op::Put, |_| true),
            Op::PutIfMatch => {
                self.decide_condition(flight, number, Op::Put, |known| !known.etag.is_empty());
            }
            _ => flight.key = self.base_key(flight, number),
        }
    }

    /// A condition on what was lately learnt of some key; the plain operation while nothing was.
    fn decide_condition(
        &mut self,
        flight: &mut Flight,
        number: u64,
        plain: Op,
        enough: impl Fn(&Known) -> bool,
    ) {
        let random = rng::mix64(self.random(number));
        match self.memory.pick(random, enough) {
            Some((key, known)) => (flight.key, flight.known) = (key, known),
            None => (flight.op, flight.key) = (plain, self.base_key(flight, number)),
        }
    }

    fn decide_known(&mut self, flight: &mut Flight, number: u64) {
        let by_version = flight.op == Op::GetVersion;
        self.decide_condition(flight, number, Op::Get, |known| {
            !(by_version && known.version_id.is_empty() || !by_version && known.etag.is_empty())
        });
    }

    /// A new key; a plain PUT of an old one when there is room for no more.
    fn decide_creation(&mut self, flight: &mut Flight, number: u64) {
        if matches!(self.plan.keyspace.choice, KeyChoice::Latest { .. }) {
            // What is no more among the newest million need not be remembered.
            self.ephemeral.make_room();
        }
        match self.ephemeral.create() {
            Some(key) => {
                flight.key = key;
                flight.creates = true;
            }
            None => (flight.op, flight.key) = (Op::Put, self.base_key(flight, number)),
        }
    }

    fn decide_deletion(&mut self, flight: &mut Flight, number: u64) {
        if self.plan.keyspace.delete_from == DeleteFrom::Base {
            let first = |per_request| self.keys.key_in_turn(number * per_request);
            flight.key = match flight.op {
                Op::MultiDelete => first(self.keys_per_request()),
                _ => self.base_key(flight, number),
            };
            self.memory.forget(flight.key);
        } else if let Some(key) = self.ephemeral.take_oldest() {
            flight.key = key;
            flight.known = self.young.forget(key).unwrap_or_default();
        } else {
            // Nothing is there to delete: make something instead.
            flight.op = Op::Put;
            return self.decide_creation(flight, number);
        }
        if flight.op == Op::DeleteVersion && flight.known.version_id.is_empty() {
            flight.op = Op::Delete;
        }
    }

    /// Keys that one MULTI_DELETE takes of the plan's range.
    fn keys_per_request(&self) -> u64 {
        u64::from(self.plan.multi_delete_keys).min(self.plan.keyspace.objects)
    }

    /// The further keys of a MULTI_DELETE, taken when it is sent.
    pub(super) fn take_further_keys(&mut self, number: u32) {
        let (first, wanted) = (self.slots.get(number).flight.key, self.keys_per_request());
        let deletions = &mut self.slots.get(number).exchange.answer.deletions;
        deletions.begin(self.plan.s3.prefix.as_bytes());
        deletions.push(first);
        let keyspace = &self.plan.keyspace;
        for further in 1..u64::from(self.plan.multi_delete_keys) {
            let key = match keyspace.delete_from {
                DeleteFrom::Base => Some(first.index() + further)
                    .filter(|index| further < wanted && *index < keyspace.start + keyspace.objects)
                    .map(|index| Key::new(keyspace.region, index)),
                DeleteFrom::Ephemeral => self.ephemeral.take_oldest(),
            };
            let Some(key) = key else { break };
            self.young.forget(key);
            let deletions = &mut self.slots.get(number).exchange.answer.deletions;
            deletions.push(key);
        }
    }

    fn decide_upload(&mut self, flight: &mut Flight, number: u64) {
        flight.step = Step::Create;
        if flight.op == Op::MultipartCopy {
            flight.key = self.key_of_copy(flight, number);
            return;
        }
        let objects = self.plan.multipart.map_or(1, |multipart| multipart.objects);
        let lane = self.plan.keyspace.ephemeral_lane;
        let turn = self.seat.index + self.seat.count * self.uploads_begun;
        let index = (lane.index + lane.count * turn) % objects;
        self.uploads_begun += 1;
        flight.key = Key::new(Region::Multipart, index);
    }

    /// Key i of the copies is a copy of base key i.
    fn key_of_copy(&self, flight: &Flight, number: u64) -> Key {
        let key = self.base_key(flight, number);
        let base = match key.region() {
            Some(Region::Base) => key,
            _ => self.keys.key_in_turn(number),
        };
        Key::new(Region::Copy, base.index())
    }

    fn decide_part(&mut self, flight: &mut Flight, number: u64) {
        let random = self.random(number);
        let key = match self.plan.keyspace.region {
            Region::Multipart => Some(self.base_key(flight, number)),
            _ => self.uploaded.pick(random),
        };
        let (Some(key), Some(multipart)) = (key, &self.plan.multipart) else {
            (flight.op, flight.key) = (Op::Get, self.base_key(flight, number));
            return;
        };
        let parts = u64::from(multipart.parts);
        let start = rng::below(rng::mix64(random), parts) * multipart.part_bytes;
        flight.key = key;
        flight.size = parts * multipart.part_bytes;
        flight.range = (start, start + multipart.part_bytes);
    }

    fn decide_deleted(&mut self, flight: &mut Flight, number: u64) {
        match self.deleted.pick(self.random(number)) {
            Some(key) => flight.key = key,
            None => (flight.op, flight.key) = (Op::Get, self.base_key(flight, number)),
        }
    }

    fn decide_version(&mut self, flight: &mut Flight) {
        // Tags carry a number of their own, from the same row.
        if !flight.op.makes_version() && flight.op != Op::PutTags {
            return;
        }
        self.counters.count(Counter::VersionsUsed);
        let counter = self.counters.get(Counter::VersionsUsed);
        flight.version = u64::from(self.plan.epoch) << 48 | self.seat.index << 40 | counter;
        flight.size = match (flight.op, &self.plan.multipart) {
            (Op::Multipart, Some(multipart)) => u64::from(multipart.parts) * multipart.part_bytes,
            (Op::MultipartAbort, Some(multipart)) => multipart.part_bytes,
            (Op::PutTags, _) => 0,
            _ => self.sizes.of(flight.key, flight.version),
        };
        match flight.op {
            // There is no middle to stop at.
            Op::AbortedPut if flight.size < 2 => flight.op = Op::Put,
            Op::AbortedPut => flight.give_up_at = Some(flight.size / 2),
            _ => {}
        }
    }

    fn decide_range(&mut self, flight: &mut Flight, number: u64) {
        let size = match self.plan.keyspace.fixed_key {
            Some(_) => self.fixed_size,
            None => {
                flight.known = self.memory.known(flight.key).unwrap_or_default();
                match flight.known.version {
                    0 => self.size_min(),
                    version => self.sizes.of(flight.key, version),
                }
            }
        };
        let fixed = self.plan.keyspace.fixed_key.is_some();
        if size == 0 && !fixed {
            // Of an empty object there is no range.
            flight.op = Op::Get;
            return;
        }
        flight.range = range_within(size, self.plan.range_bytes, self.random(number));
    }
}

/// A random range of an object of so many bytes. Where it can, it covers the header of a block, so that its bytes tell
/// their version and prove themselves.
fn range_within(size: u64, length: u64, random: u64) -> (u64, u64) {
    if size <= length {
        return (0, length);
    }
    let last = size - length;
    let start = if length >= HEADER_BYTES {
        let blocks = (size - HEADER_BYTES) / BLOCK_BYTES + 1;
        let header = rng::below(random, blocks) * BLOCK_BYTES;
        let before = rng::below(rng::mix64(random), length - HEADER_BYTES + 1);
        header.saturating_sub(before).min(last)
    } else {
        rng::below(random, last + 1)
    };
    (start, start + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranges_lie_within_the_object_and_cover_a_header(size in 1u64..100_000, length in 1u64..20_000, random in any::<u64>()) {
            let (start, end) = range_within(size, length, random);
            prop_assert_eq!(end - start, length);
            prop_assert!(start == 0 || end <= size);
            let header = start.div_ceil(BLOCK_BYTES) * BLOCK_BYTES;
            prop_assert!(length.min(size) < HEADER_BYTES || header + HEADER_BYTES <= end);
        }
    }

    #[test]
    fn ranges_begin_everywhere() {
        let starts: std::collections::HashSet<u64> = (0..2000)
            .map(|random| range_within(1 << 20, 5000, rng::mix64(random)).0 % BLOCK_BYTES)
            .collect();
        assert!(starts.len() > 1000, "{}", starts.len());
    }
}
