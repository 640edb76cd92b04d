//! Bodies that say whose they are: maul block format 1.
//!
//! A body is a row of blocks of 4096 bytes (the last may be short). Each begins with a header of 64
//! bytes, little endian:
//!
//! ```text
//!  0  magic "MAUL"      24  version u64            56  CRC-32C u32 of the block, with 0 in this place
//!  4  format u8 = 1     32  size of the object u64 60  zero u32
//!  5  zero u8 × 3       40  offset of the block u64
//!  8  run u64           48  seed of the payload u64
//! 16  key u64
//! ```
//!
//! and goes on with a pseudo-random payload, so it neither compresses nor deduplicates. What is too
//! short for a header (a body below 64 bytes, or the end of a longer one) begins with the version
//! (8 bytes, little endian) instead, as far as it goes. All bytes are a pure function of
//! [`BodyId`]. CRC-32C: RFC 3720, appendix B.4.

use crate::rng::{self, Purpose, Stream};
use aws_lc_rs::digest;

pub mod checksum;
mod range;
mod verify;

pub use range::RangeVerifier;
pub use verify::{BodyVerdict, Evidence, Verifier};

/// Bytes of a block.
pub const BLOCK_BYTES: u64 = 4096;
const BLOCK: usize = BLOCK_BYTES as usize;
/// Bytes of a block's header.
const HEADER: usize = 64;
const MAGIC: [u8; 4] = *b"MAUL";
const FORMAT: u8 = 1;
const CRC_AT: usize = 56;

/// What a body says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyId {
    /// The run's number.
    pub run: u64,
    /// Key number.
    pub key: u64,
    /// Version.
    pub version: u64,
    /// Size of the whole object, bytes.
    pub size: u64,
}

impl BodyId {
    /// One number for (run, key, version).
    fn seed(&self) -> u64 {
        rng::mix64(self.run ^ rng::mix64(self.key ^ rng::mix64(self.version)))
    }

    /// What the payload of the block at `offset` is generated from.
    fn block_seed(&self, offset: u64) -> u64 {
        rng::hash(self.seed(), Purpose::Body, offset)
    }

    /// The header of the block at `offset`, with no checksum yet.
    fn header(&self, offset: u64) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&MAGIC);
        header[4] = FORMAT;
        let words = [
            self.run,
            self.key,
            self.version,
            self.size,
            offset,
            self.block_seed(offset),
        ];
        for (place, word) in header[8..CRC_AT].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        header
    }

    /// The first bytes of what stands at `offset` when it is too short for a header.
    fn fragment(&self, offset: u64) -> [u8; HEADER] {
        // a tiny body has no header that tells its size, so the size goes into its bytes
        let seed = if offset == 0 {
            rng::hash(self.seed(), Purpose::TinyBody, self.size)
        } else {
            self.block_seed(offset)
        };
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&self.version.to_le_bytes());
        fill_payload(seed, &mut bytes[8..]);
        bytes
    }
}

fn fill_payload(seed: u64, out: &mut [u8]) {
    let mut stream = Stream::new(seed);
    let mut words = out.chunks_exact_mut(8);
    for word in &mut words {
        word.copy_from_slice(&stream.next_u64().to_le_bytes());
    }
    let rest = words.into_remainder();
    rest.copy_from_slice(&stream.next_u64().to_le_bytes()[..rest.len()]);
}

/// Writes the whole block at `offset`; `out` has its length.
fn fill_block(id: &BodyId, offset: u64, out: &mut [u8]) {
    match out.split_first_chunk_mut::<HEADER>() {
        None => {
            let length = out.len();
            out.copy_from_slice(&id.fragment(offset)[..length]);
        }
        Some((header, payload)) => {
            *header = id.header(offset);
            fill_payload(id.block_seed(offset), payload);
            let crc = crc_fast::crc32_iscsi(out);
            out[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        }
    }
}

/// Writes the bytes `[offset, offset + out.len())` of the body; what lies beyond its end becomes
/// zero.
///
/// Fastest when `offset` and `out.len()` are multiples of [`BLOCK_BYTES`]: a block of which only a
/// part is wanted is generated aside and copied.
///
/// ```
/// use maul_engine::body::{fill, BodyId, Verifier};
/// let mut body = vec![0; 10_000];
/// fill(&BodyId { run: 1, key: 2, version: 3, size: 10_000 }, 0, &mut body);
/// let mut verifier = Verifier::new(1, 2);
/// verifier.feed(&body);
/// assert_eq!(verifier.finish().version, 3);
/// ```
pub fn fill(id: &BodyId, offset: u64, out: &mut [u8]) {
    let (mut offset, mut out) = (offset, out);
    while !out.is_empty() {
        let within = offset % BLOCK_BYTES;
        let block_offset = offset - within;
        // both fit: they are at most 4096
        let (start, length) = (
            within as usize,
            id.size.saturating_sub(block_offset).min(BLOCK_BYTES) as usize,
        );
        let wanted = out.len().min(BLOCK - start);
        let (part, rest) = out.split_at_mut(wanted);
        if start == 0 && wanted >= length {
            fill_block(id, block_offset, &mut part[..length]);
            part[length..].fill(0);
        } else {
            let mut block = [0; BLOCK];
            fill_block(id, block_offset, &mut block[..length]);
            part.copy_from_slice(&block[start..start + wanted]);
        }
        out = rest;
        offset = offset.saturating_add(wanted as u64);
    }
}

/// Makes the bytes `[offset, offset + length)` of the body piece by piece, for whoever must know them before they are
/// sent; holds no more than a piece of them.
pub fn each_piece(id: &BodyId, offset: u64, length: u64, mut take: impl FnMut(&[u8])) {
    let mut piece = [0; 4 * BLOCK];
    let (mut at, mut left) = (offset, length);
    while left > 0 {
        // first up to a block's edge, then in whole pieces
        let wanted = (piece.len() as u64 - at % BLOCK_BYTES).min(left);
        let part = &mut piece[..wanted as usize];
        fill(id, at, part);
        take(part);
        at = at.saturating_add(wanted);
        left -= wanted;
    }
}

/// SHA-256 of the bytes `[offset, offset + length)` of the body, lower-case hexadecimal (for signed
/// payloads).
#[must_use]
pub fn sha256_hex(id: &BodyId, offset: u64, length: u64) -> [u8; 64] {
    let mut context = digest::Context::new(&digest::SHA256);
    each_piece(id, offset, length, |piece| context.update(piece));
    crate::sigv4::hex64(context.finish().as_ref())
}

#[cfg(test)]
mod tests;
