//! Checks a body as it comes in, by nothing but its own bytes, the run and the key.

use super::{BodyId, BLOCK, BLOCK_BYTES, CRC_AT, FORMAT, HEADER, MAGIC};
use crate::operation::ErrorClass;
use std::fmt;

/// What the bytes of a body say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyVerdict {
    /// `None` when all is well, else one of Truncated, Corrupt, Torn, Swapped, Foreign, NotOurs.
    pub class: ErrorClass,
    /// The version that the body says it is; 0 where it does not say.
    pub version: u64,
    /// The size that the body says the object has (the bytes received where it does not say).
    pub size: u64,
    /// What is wrong; None when all is well.
    pub evidence: Option<Evidence>,
}

/// What is wrong with a body, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Where the first bad block or byte begins.
    pub offset: u64,
    /// What should have been there.
    pub expected: String,
    /// What was there.
    pub found: String,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            offset,
            expected,
            found,
        } = self;
        write!(f, "at byte {offset}: expected {expected}, found {found}")
    }
}

/// A block's header, taken at its word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) magic: bool,
    format: u8,
    pub(super) run: u64,
    pub(super) key: u64,
    pub(super) version: u64,
    pub(super) size: u64,
    pub(super) offset: u64,
    pub(super) crc: u32,
}

impl Header {
    pub(super) fn parse(bytes: &[u8; HEADER]) -> Self {
        let word = |at: usize| {
            bytes[at..at + 8]
                .iter()
                .rev()
                .fold(0u64, |word, byte| word << 8 | u64::from(*byte))
        };
        Self {
            magic: bytes[..4] == MAGIC,
            format: bytes[4],
            run: word(8),
            key: word(16),
            version: word(24),
            size: word(32),
            offset: word(40),
            crc: word(CRC_AT) as u32,
        }
    }

    /// How long the block must be, by its own account; None when there can be no such block.
    fn block_length(&self) -> Option<usize> {
        let length = self.size.checked_sub(self.offset)?.min(BLOCK_BYTES) as usize;
        (length >= HEADER).then_some(length)
    }
}

#[derive(Clone, Debug)]
struct Bad {
    class: ErrorClass,
    evidence: Evidence,
}

/// Checks a body as it comes in; keeps no more of it than a header.
///
/// The first anomaly decides the class. How they are told apart: a checksum that does not match is
/// Corrupt; one that matches makes the header believed, and then another run or key is Foreign,
/// another version than the blocks before is Torn, another place in the same version is Swapped. A first block without the magic is
/// NotOurs, unless another block proves that the body was ours.
#[derive(Clone, Debug)]
pub struct Verifier {
    run: u64,
    key: u64,
    content_length: Option<u64>,
    size_min: u64,
    received: u64,
    /// The first bytes of the current block, as many of them as came.
    head: [u8; HEADER],
    /// The current block's header, once it is whole.
    current: Option<Header>,
    /// CRC-32C of the current block so far.
    crc: crc_fast::Digest,
    /// The first header that is proven to be of our run and key.
    known: Option<Header>,
    bad: Option<Bad>,
}

impl Verifier {
    /// For the body of a key of a run.
    #[must_use]
    pub fn new(run: u64, key: u64) -> Self {
        Self {
            run,
            key,
            content_length: None,
            size_min: 0,
            received: 0,
            head: [0; HEADER],
            current: None,
            crc: crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi),
            known: None,
            bad: None,
        }
    }

    /// Fewer bytes than the server announced are Truncated too.
    #[must_use]
    pub fn content_length(self, bytes: u64) -> Self {
        Self {
            content_length: Some(bytes),
            ..self
        }
    }

    /// No object of the run is smaller: anything shorter is Truncated, even an empty body.
    #[must_use]
    pub fn size_min(self, bytes: u64) -> Self {
        Self {
            size_min: bytes,
            ..self
        }
    }

    /// The next bytes of the body, in any portions.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let at = (self.received % BLOCK_BYTES) as usize;
            let end = if at < HEADER { HEADER } else { BLOCK };
            let (part, rest) = bytes.split_at(bytes.len().min(end - at));
            if at < HEADER {
                self.head[at..at + part.len()].copy_from_slice(part);
            } else {
                self.take_payload(at, part);
            }
            self.received += part.len() as u64;
            match self.received % BLOCK_BYTES {
                0 => self.end_block(BLOCK),
                length if length == HEADER as u64 && at < HEADER => self.begin_block(),
                _ => {}
            }
            bytes = rest;
        }
    }

    fn begin_block(&mut self) {
        self.current = Some(Header::parse(&self.head));
        let mut unsigned = self.head;
        unsigned[CRC_AT..CRC_AT + 4].fill(0);
        self.crc.reset();
        self.crc.update(&unsigned);
    }

    /// Adds payload bytes that begin at `at` in the block to the checksum, as far as the block goes
    /// by its own account.
    fn take_payload(&mut self, at: usize, part: &[u8]) {
        let length = self
            .current
            .and_then(|header| header.block_length())
            .unwrap_or(0);
        let covered = length.saturating_sub(at).min(part.len());
        self.crc.update(&part[..covered]);
    }

    /// Keeps the first anomaly; `what` gives (expected, found).
    fn note(&mut self, class: ErrorClass, offset: u64, what: impl FnOnce() -> (String, String)) {
        if self.bad.is_none() {
            let (expected, found) = what();
            let evidence = Evidence {
                offset,
                expected,
                found,
            };
            self.bad = Some(Bad { class, evidence });
        }
    }

    /// Judges the block that ends here after `length` bytes, at least a header's.
    fn end_block(&mut self, length: usize) {
        let Some(header) = self.current.take() else {
            return;
        };
        let at = self.received - length as u64;
        let Some(expected) = header.block_length().filter(|_| header.magic) else {
            return self.note_no_block(&header, at);
        };
        if length < expected {
            return self.note_cut_block(&header, at);
        }
        let (crc, run, key) = (self.crc.finalize(), self.run, self.key);
        if u64::from(header.crc) != crc {
            return self.note(ErrorClass::Corrupt, at, || {
                (
                    format!("a block with the CRC-32C {:#010x} that it says", header.crc),
                    format!("{crc:#010x}"),
                )
            });
        }
        if header.run != run || header.key != key {
            return self.note(ErrorClass::Foreign, at, || {
                (owner(run, key), owner(header.run, header.key))
            });
        }
        self.judge_own_block(&header, at);
        if length > expected {
            self.note(ErrorClass::Corrupt, at + expected as u64, || {
                ("the end of the object".to_owned(), "more bytes".to_owned())
            });
        }
    }

    /// A whole block of our run and key, as the checksum proves.
    fn judge_own_block(&mut self, header: &Header, at: u64) {
        let known = *self.known.get_or_insert(*header);
        if let Some(bad) = self
            .bad
            .as_mut()
            .filter(|bad| bad.class == ErrorClass::NotOurs)
        {
            bad.class = ErrorClass::Corrupt;
        }
        if header.version != known.version {
            self.note(ErrorClass::Torn, at, || {
                (version_name(known.version), version_name(header.version))
            });
        } else if header.offset != at {
            self.note(ErrorClass::Swapped, at, || {
                (
                    format!("the block of byte {at}"),
                    format!("that of byte {}", header.offset),
                )
            });
        } else if header.size != known.size || header.format != FORMAT {
            self.note(ErrorClass::Corrupt, at, || disagreement(&known, header));
        }
    }

    /// What stands where a block should begin is none.
    fn note_no_block(&mut self, header: &Header, at: u64) {
        // a flip in the magic of our own first block is damage, not a stranger
        let ours = header.run == self.run && header.key == self.key;
        if at == 0 && !header.magic && !ours {
            let head = self.head;
            self.note(ErrorClass::NotOurs, at, || {
                ("a maul block".to_owned(), shown(&head[..16]))
            });
        } else {
            let head = self.head;
            self.note(ErrorClass::Corrupt, at, || {
                ("a sound block header".to_owned(), shown(&head[..16]))
            });
        }
    }

    /// A block that ends before its checksum can be checked; its header is taken at its word.
    fn note_cut_block(&mut self, header: &Header, at: u64) {
        let (run, key) = (self.run, self.key);
        if header.run != run || header.key != key {
            return self.note(ErrorClass::Foreign, at, || {
                (owner(run, key), owner(header.run, header.key))
            });
        }
        let known = *self.known.get_or_insert(*header);
        if header.version != known.version {
            self.note(ErrorClass::Torn, at, || {
                (version_name(known.version), version_name(header.version))
            });
        } else if header.size != known.size || header.offset != at {
            // it only seems cut, because its header is wrong about where the object ends
            self.note(ErrorClass::Corrupt, at, || disagreement(&known, header));
        }
        // otherwise `finish` says that bytes are missing
    }

    /// The verdict.
    #[must_use]
    pub fn finish(mut self) -> BodyVerdict {
        let length = (self.received % BLOCK_BYTES) as usize;
        let tiny_version = if self.received < HEADER as u64 {
            self.end_tiny()
        } else {
            0
        };
        if self.received >= HEADER as u64 && length > 0 {
            if length < HEADER {
                self.end_fragment(length);
            } else {
                self.end_block(length);
            }
        }
        let (version, size) = match self.known {
            Some(known) => (known.version, known.size),
            None => (tiny_version, self.received),
        };
        self.note_length(size);
        let (class, evidence) = self.bad.map_or((ErrorClass::None, None), |bad| {
            (bad.class, Some(bad.evidence))
        });
        BodyVerdict {
            class,
            version,
            size,
            evidence,
        }
    }

    /// Compares the bytes received with what the body, the server and the plan say.
    fn note_length(&mut self, size: u64) {
        let received = self.received;
        let announced = self.content_length.unwrap_or(0);
        let least = size.max(announced).max(self.size_min);
        if received < least {
            self.note(ErrorClass::Truncated, received, || {
                (
                    format!("{least} bytes or more"),
                    format!("{received} bytes"),
                )
            });
        } else if received > size {
            self.note(ErrorClass::Corrupt, size, || {
                (format!("{size} bytes"), format!("{received} bytes"))
            });
        }
    }

    /// The end of a longer body, too short for a header.
    fn end_fragment(&mut self, length: usize) {
        let at = self.received - length as u64;
        let Some(known) = self.known.filter(|known| known.size == self.received) else {
            // cut, too long, or about a body that is bad already
            return;
        };
        let found = self.head;
        let expected = |version| {
            BodyId {
                run: self.run,
                key: self.key,
                version,
                size: known.size,
            }
            .fragment(at)
        };
        let differs =
            |version| (0..length).find(|place| found[*place] != expected(version)[*place]);
        let Some(place) = differs(known.version) else {
            return;
        };
        let own = version_of(&found);
        if length > 8 && own != known.version && differs(own).is_none() {
            self.note(ErrorClass::Torn, at, || {
                (version_name(known.version), version_name(own))
            });
        } else {
            let right = expected(known.version);
            self.note(ErrorClass::Corrupt, at + place as u64, || {
                (shown(&right[place..length]), shown(&found[place..length]))
            });
        }
    }

    /// A whole body that is shorter than a header; gives its version, 0 where it does not say.
    fn end_tiny(&mut self) -> u64 {
        let length = self.received as usize;
        let (run, key, found) = (self.run, self.key, self.head);
        let version = version_of(&found);
        let matches = |size| {
            BodyId {
                run,
                key,
                version,
                size,
            }
            .fragment(0)[..length]
                == found[..length]
        };
        // no version begins like a header: its upper bytes count epochs from 1
        let header = [MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3], FORMAT, 0, 0, 0];
        let begun = length.min(header.len());
        let begins_header = begun > MAGIC.len() && found[..begun] == header[..begun];
        if length >= 8 && !begins_header && matches(self.received) {
            return version;
        }
        let announced_more = self
            .content_length
            .is_some_and(|announced| announced > self.received);
        if begins_header || length > 8 && (self.received + 1..HEADER as u64).any(matches) {
            self.note(ErrorClass::Truncated, self.received, || {
                ("a longer body".to_owned(), format!("{length} bytes of it"))
            });
        } else if self.size_min >= HEADER as u64 && found[..length.min(4)] != MAGIC[..length.min(4)]
        {
            self.note(ErrorClass::NotOurs, 0, || {
                ("a maul block".to_owned(), shown(&found[..length]))
            });
        } else if length >= 8 && !announced_more {
            self.note(ErrorClass::Corrupt, 0, || {
                (
                    format!("the {length} bytes of a version of the key"),
                    shown(&found[..length]),
                )
            });
        }
        // what is left has fewer than 8 bytes, so only its length can be wrong, or is too short for
        // the server's word
        0
    }
}

pub(super) fn owner(run: u64, key: u64) -> String {
    format!("a block of run {run:#x}, key {key:#x}")
}

pub(super) fn version_name(number: u64) -> String {
    format!("version {number:#x}")
}

/// What two headers of one body say about it.
fn disagreement(known: &Header, header: &Header) -> (String, String) {
    let of = |header: &Header| {
        format!(
            "an object of {} bytes (format {}, block of byte {})",
            header.size, header.format, header.offset
        )
    };
    (of(known), of(header))
}

/// The first bytes of something strange.
pub(super) fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(16)].escape_ascii().to_string()
}

/// The version that a fragment begins with.
fn version_of(fragment: &[u8; HEADER]) -> u64 {
    fragment[..8]
        .iter()
        .rev()
        .fold(0u64, |word, byte| word << 8 | u64::from(*byte))
}
