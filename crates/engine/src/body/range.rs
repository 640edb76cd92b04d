//! Checks a part of a body, which may begin and end within blocks.
//!
//! A block that lies in the range as a whole proves itself by its checksum. Of a block that is cut, only the checksum of
//! the bytes that came is kept; once the version is known from any header in the range (or, where there is none, from
//! what the shard wrote last), the block is made again and compared.

use super::verify::{owner, shown, version_name, BodyVerdict, Evidence, Header};
use super::{fill, BodyId, BLOCK, BLOCK_BYTES, CRC_AT, HEADER};
use crate::operation::ErrorClass;

/// The bytes of a block that came, where they are not all of it.
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: u64,
    end: u64,
    crc: u32,
}

/// Checks the bytes `[start, end)` of an object; keeps no more of them than a header.
#[derive(Clone, Debug)]
pub struct RangeVerifier {
    run: u64,
    key: u64,
    /// As asked for.
    asked: (u64, u64),
    /// The size of the whole object, by the server's word.
    total: u64,
    /// The version to hold against when no header tells.
    hint: u64,
    /// Where the next byte lies in the object.
    at: u64,
    /// Where the present block began to come.
    block_start: u64,
    head: [u8; HEADER],
    /// Of the present block's bytes as they came; where the whole block comes, with the checksum's own bytes as zero.
    crc: crc_fast::Digest,
    header: Option<Header>,
    /// The version and size of the first header that is believed.
    known: Option<(u64, u64)>,
    /// The first block, when it is cut and nothing was known yet.
    pending: Option<Piece>,
    bad: Option<(ErrorClass, Evidence)>,
}

impl RangeVerifier {
    /// For the bytes `[start, end)` of the body of a key of a run. `hint`: the version that the shard believes to be there;
    /// 0 for none.
    #[must_use]
    pub fn new(run: u64, key: u64, asked: (u64, u64), hint: u64) -> Self {
        Self {
            run,
            key,
            asked,
            total: 0,
            hint,
            at: asked.0,
            block_start: asked.0,
            head: [0; HEADER],
            crc: crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi),
            header: None,
            known: None,
            pending: None,
            bad: None,
        }
    }

    /// The size of the whole object, which must be known before the first byte comes.
    #[must_use]
    pub fn total(self, bytes: u64) -> Self {
        Self {
            total: bytes,
            ..self
        }
    }

    /// One past the last byte that must come.
    fn end(&self) -> u64 {
        self.asked.1.min(self.total)
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
            self.bad = Some((class, evidence));
        }
    }

    /// The next bytes, in any portions.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let within = (self.at % BLOCK_BYTES) as usize;
            let until = if within < HEADER { HEADER } else { BLOCK };
            let left = usize::try_from(self.end().saturating_sub(self.at)).unwrap_or(usize::MAX);
            if left == 0 {
                let at = self.at;
                return self.note(ErrorClass::Corrupt, at, || {
                    ("the end of the range".to_owned(), "more bytes".to_owned())
                });
            }
            let (part, rest) = bytes.split_at(bytes.len().min(until - within).min(left));
            self.take(within, part);
            self.at += part.len() as u64;
            if within + part.len() == HEADER && self.block_start % BLOCK_BYTES == 0 {
                self.take_header();
            }
            if self.at % BLOCK_BYTES == 0 || self.at == self.end() {
                self.end_block();
            }
            bytes = rest;
        }
    }

    fn take(&mut self, within: usize, part: &[u8]) {
        if within < HEADER {
            self.head[within..within + part.len()].copy_from_slice(part);
        }
        self.crc.update(part);
    }

    /// The header of the present block is whole.
    fn take_header(&mut self) {
        self.header = Some(Header::parse(&self.head));
        if self.comes_whole() {
            let mut unsigned = self.head;
            unsigned[CRC_AT..CRC_AT + 4].fill(0);
            self.crc.reset();
            self.crc.update(&unsigned);
        }
    }

    /// The present block lies in the range from its first byte to its last.
    fn comes_whole(&self) -> bool {
        let block_end = self.block_start.saturating_add(BLOCK_BYTES).min(self.total);
        self.block_start % BLOCK_BYTES == 0 && block_end <= self.end()
    }

    fn end_block(&mut self) {
        let piece = Piece {
            start: self.block_start,
            end: self.at,
            crc: self.crc.finalize() as u32,
        };
        let (header, whole) = (self.header.take(), self.comes_whole());
        self.block_start = self.at;
        self.crc.reset();
        match header {
            Some(header) if whole => self.judge_whole(&header, piece),
            Some(header) => {
                if self.judge_header(&header, piece.start) {
                    self.compare(piece);
                }
            }
            None if self.known.is_some() => self.compare(piece),
            None => self.pending = Some(piece),
        }
    }

    fn judge_whole(&mut self, header: &Header, piece: Piece) {
        if !header.magic {
            return self.note_no_block(piece.start);
        }
        if header.crc != piece.crc {
            return self.note(ErrorClass::Corrupt, piece.start, || {
                (
                    format!("a block with the CRC-32C {:#010x} that it says", header.crc),
                    format!("{:#010x}", piece.crc),
                )
            });
        }
        self.judge_header(header, piece.start);
    }

    fn note_no_block(&mut self, at: u64) {
        let class = if self.known.is_some() {
            ErrorClass::Corrupt
        } else {
            ErrorClass::NotOurs
        };
        let head = self.head;
        self.note(class, at, || {
            ("a maul block".to_owned(), shown(&head[..16]))
        });
    }

    /// Whether a header is what it must be. That of a cut block is proven by the comparison that follows.
    fn judge_header(&mut self, header: &Header, at: u64) -> bool {
        if !header.magic {
            self.note_no_block(at);
            return false;
        }
        if header.run != self.run || header.key != self.key {
            let (run, key) = (self.run, self.key);
            self.note(ErrorClass::Foreign, at, || {
                (owner(run, key), owner(header.run, header.key))
            });
            return false;
        }
        let (version, size) = *self.known.get_or_insert((header.version, header.size));
        if header.offset != at {
            let offset = header.offset;
            self.note(ErrorClass::Swapped, at, || {
                (
                    format!("the block of byte {at}"),
                    format!("that of byte {offset}"),
                )
            });
            return false;
        }
        if header.version != version {
            self.note(ErrorClass::Torn, at, || {
                (version_name(version), version_name(header.version))
            });
            return false;
        }
        if header.size != size || size != self.total {
            let total = self.total;
            self.note(ErrorClass::Corrupt, at, || {
                (
                    format!("a block of an object of {total} bytes"),
                    format!("one of {} bytes", header.size),
                )
            });
            return false;
        }
        true
    }

    /// Makes a cut block again.
    fn compare(&mut self, piece: Piece) {
        if let Some((version, _)) = self.known {
            if !self.is_of(piece, version) {
                self.note(ErrorClass::Corrupt, piece.start, || {
                    (
                        format!("the bytes of {}", version_name(version)),
                        "others, in a block that the range cuts".to_owned(),
                    )
                });
            }
        }
    }

    fn is_of(&self, piece: Piece, version: u64) -> bool {
        let id = BodyId {
            run: self.run,
            key: self.key,
            version,
            size: self.total,
        };
        let mut block = [0; BLOCK];
        let part = &mut block[..(piece.end - piece.start) as usize];
        fill(&id, piece.start, part);
        crc_fast::crc32_iscsi(part) == piece.crc
    }

    /// The verdict. The version is 0 where nothing in the range tells it; then nothing could be checked either.
    #[must_use]
    pub fn finish(mut self) -> BodyVerdict {
        let end = self.end();
        // Of a block that was cut short nothing is known but what its header says.
        if let Some(header) = self.header.take() {
            let at = self.block_start;
            self.judge_header(&header, at);
        }
        let pending = self.pending.take();
        match (pending, self.known) {
            (Some(piece), Some(_)) => self.compare(piece),
            (Some(piece), None) if self.hint != 0 && self.is_of(piece, self.hint) => {
                self.known = Some((self.hint, self.total));
            }
            _ => {}
        }
        let at = self.at;
        if at < end {
            self.note(ErrorClass::Truncated, at, || {
                (format!("bytes up to {end}"), format!("none beyond {at}"))
            });
        }
        let (class, evidence) = match self.bad {
            None => (ErrorClass::None, None),
            Some((class, evidence)) => (class, Some(evidence)),
        };
        BodyVerdict {
            class,
            version: self.known.map_or(0, |(version, _)| version),
            size: self.total,
            evidence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: BodyId = BodyId {
        run: 9,
        key: 8,
        version: 7,
        size: 20_030,
    };

    fn range(id: &BodyId, start: u64, end: u64) -> Vec<u8> {
        let mut bytes = vec![0; (end - start) as usize];
        fill(id, start, &mut bytes);
        bytes
    }

    fn verify(bytes: &[u8], asked: (u64, u64), hint: u64, portion: usize) -> BodyVerdict {
        let mut verifier = RangeVerifier::new(9, 8, asked, hint).total(ID.size);
        bytes.chunks(portion).for_each(|part| verifier.feed(part));
        verifier.finish()
    }

    #[test]
    fn every_kind_of_range_is_checked_and_tells_its_version() {
        for (start, end) in [
            (0, 20_030),
            (0, 64),
            (0, 5000),
            (100, 5000),
            (4095, 4160),
            (4096, 8192),
            (4100, 12_300),
            (12_000, 30_000),
            (16_384, 20_030),
        ] {
            let bytes = range(&ID, start, end.min(ID.size));
            for portion in [1, 63, 4096, 100_000] {
                let verdict = verify(&bytes, (start, end), 0, portion);
                assert_eq!(
                    (verdict.class, verdict.version),
                    (ErrorClass::None, 7),
                    "{start}-{end}: {:?}",
                    verdict.evidence
                );
            }
        }
    }

    #[test]
    fn without_a_header_the_hint_is_held_against_it() {
        let bytes = range(&ID, 200, 900);
        assert_eq!(verify(&bytes, (200, 900), 7, 99).version, 7);
        for hint in [0, 6] {
            let verdict = verify(&bytes, (200, 900), hint, 99);
            assert_eq!((verdict.class, verdict.version), (ErrorClass::None, 0));
        }
    }

    #[test]
    fn damage_is_named() {
        use ErrorClass as C;
        let class = |bytes: &[u8]| verify(bytes, (100, 13_000), 0, 1000).class;
        let good = range(&ID, 100, 13_000);
        let other = |id: BodyId| range(&id, 100, 13_000);
        assert_eq!(class(&good[..12_000]), C::Truncated);
        assert_eq!(class(&[&good[..], b"x"].concat()), C::Corrupt);
        assert_eq!(class(&[0; 12_900]), C::NotOurs);
        assert_eq!(class(&other(BodyId { key: 5, ..ID })), C::Foreign);
        assert_eq!(class(&other(BodyId { run: 5, ..ID })), C::Foreign);
        let torn = [
            &good[..3996],
            &other(BodyId { version: 6, ..ID })[3996..8092],
            &good[8092..],
        ]
        .concat();
        assert_eq!(class(&torn), C::Torn);
        let swapped = [
            &good[..3996],
            &good[8092..12_188],
            &good[3996..8092],
            &good[12_188..],
        ]
        .concat();
        assert_eq!(class(&swapped), C::Swapped);
        assert_eq!(class(&other(BodyId { size: 20_031, ..ID })), C::Corrupt);
    }

    proptest! {
        #[test]
        fn every_flipped_bit_is_found(start in 0u64..9000, length in 4200u64..9000, at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let end = (start + length).min(ID.size);
            let mut bytes = range(&ID, start, end);
            let place = at.index(bytes.len());
            bytes[place] ^= 1 << bit;
            let verdict = verify(&bytes, (start, start + length), 0, 777);
            prop_assert_ne!(verdict.class, ErrorClass::None);
        }
    }
}
