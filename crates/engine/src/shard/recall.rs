//! What a shard remembers of its own operations, and holds against what it is told.

use super::account::Ending;
use super::Shard;
use crate::memory::{is_stale, Known, Wrote};
use crate::operation::{ErrorClass, Op, OperationRecord, Outcome, Region};
use crate::text::{ETag, VersionId};

impl Shard {
    /// An operation begins: what it must not fall behind, and how it counts among the writes under way.
    pub(super) fn recall(&mut self, number: u32) {
        let remembers = self.remembers;
        let flight = &mut self.slots.get(number).flight;
        let key = flight.key;
        match flight.op {
            Op::Get | Op::PresignedGet | Op::GetRange | Op::GetIfMatch | Op::GetIfNoneMatch
                if remembers.writes =>
            {
                flight.floor = self.memory.floor(key);
            }
            Op::GetTags if remembers.sole_writer => flight.floor = self.memory.tags(key),
            Op::PutTags if remembers.writes => flight.begun = self.memory.begin_write(key),
            op if op.is_put() && !flight.creates && remembers.writes => {
                flight.begun = self.memory.begin_write(key);
            }
            op if op.is_put() && flight.creates && remembers.ephemeral => {
                flight.begun = self.young.begin_write(key);
            }
            _ => {}
        }
    }

    /// Whether a good answer that shows this version agrees with what the shard knows.
    pub(super) fn compare_with_memory(&mut self, number: u32, version: u64) -> Ending {
        let slot = self.slots.get(number);
        let flight = slot.flight;
        let (class, says) = match flight.op {
            Op::GetVersion if version != 0 && version != flight.known.version => {
                let expected = flight.known.version;
                let says =
                    format!("a version id gave version {version:#x} instead of {expected:#x}");
                (ErrorClass::Corrupt, says)
            }
            Op::GetTags => {
                let tags = slot.exchange.answer.tags.version(flight.key);
                let class = match tags {
                    Ok(seen) => self.compare_tags(flight.key, flight.floor, seen),
                    Err(class) => class,
                };
                return Ending {
                    seen_version: tags.unwrap_or(0),
                    ..Ending::of(class, String::new())
                };
            }
            _ if is_stale(version, flight.floor, &self.doubts) => {
                let floor = flight.floor;
                let says =
                    format!("version {version:#x}, though {floor:#x} was acknowledged before");
                (ErrorClass::Stale, says)
            }
            _ => (ErrorClass::None, String::new()),
        };
        Ending {
            seen_version: version,
            ..Ending::of(class, says)
        }
    }

    /// Tags must come back as they were set, unless something was written between.
    fn compare_tags(&mut self, key: crate::operation::Key, floor: u64, seen: u64) -> ErrorClass {
        match () {
            () if floor == 0 || seen == floor || self.memory.tags(key) != floor => ErrorClass::None,
            () if seen != 0 && seen < floor => ErrorClass::Stale,
            () => ErrorClass::Protocol,
        }
    }

    /// An operation (of several keys: one of them) is over.
    pub(super) fn remember(&mut self, number: u32, record: &OperationRecord) {
        let slot = self.slots.get(number);
        let (flight, answer) = (slot.flight, &slot.exchange.answer);
        let known = |version| Known {
            version,
            etag: ETag::of(&answer.etag),
            version_id: VersionId::of(&answer.version_id),
        };
        let key = crate::operation::Key(record.key);
        let (ok, now_ns) = (record.outcome == Outcome::Ok, record.end_ns);
        let wrote = match record.outcome {
            Outcome::Ok if record.op == Op::PutTags => Wrote::Tags(record.version),
            Outcome::Ok if record.version != 0 => Wrote::Object(known(record.version)),
            Outcome::Unknown => Wrote::Perhaps,
            _ => Wrote::Nothing,
        };
        match record.op {
            op if op.is_put() && flight.creates => {
                let alive = matches!(wrote, Wrote::Object(_)) && op != Op::AbortedPut;
                self.young.end_write(key, flight.begun, wrote, now_ns);
                self.ephemeral.created(key, alive);
            }
            op if op.is_put() || op == Op::PutTags => {
                if wrote == Wrote::Perhaps {
                    self.doubts.add(record.version);
                }
                self.memory.end_write(key, flight.begun, wrote, now_ns);
            }
            Op::Multipart if ok => self.uploaded.add(key),
            Op::Delete | Op::DeleteVersion | Op::MultiDelete
                if ok && key.region() == Some(Region::Ephemeral) =>
            {
                self.deleted.add(key);
            }
            Op::Get | Op::PresignedGet | Op::GetIfMatch | Op::GetIfNoneMatch
                if ok && record.version != 0 && self.remembers.reads =>
            {
                let is_base = key.region() == Some(self.plan.keyspace.region);
                if is_base && self.plan.keyspace.region != Region::Ephemeral {
                    let known = known(record.version);
                    self.memory.seen(key, known, record.start_ns);
                }
            }
            Op::GetRange => {
                let total = answer.content_range.map(|range| range.total);
                self.fixed_size = total.unwrap_or(self.fixed_size);
            }
            _ => {}
        }
    }
}
