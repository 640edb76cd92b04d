//! A request on its way out: bodies are made, framed and signed block by block, on their way into the socket.
//!
//! Framing of chunked bodies (`aws-chunked`): each chunk is its size in hexadecimal, perhaps its signature, its data; a
//! chunk of nothing ends the data; a checksum may follow in a trailer, perhaps with a signature of its own. Sources:
//! see [`crate::sigv4::Chain`], and "Signature calculation … unsigned payload trailer" in the same chapter.

use aws_lc_rs::digest;

use super::source::Source;
use crate::body::checksum::{Sum, Summing};
use crate::body::{self, BodyId, BLOCK_BYTES};
use crate::plan::ChecksumAlgorithm;
use crate::sigv4::{self, Chain};

/// Data of a chunk. What AWS recommends ("at least 64 KB", 8 KB being the least that S3 takes), and what its SDKs send
/// or exceed; a multiple of our blocks. A chunk's signature stands before its data: larger chunks would have to be made
/// twice in larger portions, and gain less than a thousandth of the bytes.
pub const CHUNK_BYTES: u64 = 64 * 1024;

const CHUNK_SIGNATURE: &[u8] = b";chunk-signature=";
const TRAILER_SIGNATURE: &[u8] = b"x-amz-trailer-signature:";
const SIGNATURE_BYTES: u64 = 64;

/// A range of a body that is computed, not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyRange {
    /// Whose body.
    pub id: BodyId,
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl BodyRange {
    /// Bytes in it.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.end - self.start
    }
}

/// A checksum, and by what it was made.
pub type NamedSum = (ChecksumAlgorithm, Sum);

/// How a body made of blocks is sent.
#[derive(Debug, Default)]
#[allow(clippy::large_enum_variant)] // a box would be an allocation for every body
pub enum Framing {
    /// As it is.
    #[default]
    Plain,
    /// In chunks.
    Chunked {
        /// Signs them.
        chain: Option<Chain>,
        /// Goes behind them.
        trailer: Option<(ChecksumAlgorithm, Summing)>,
    },
}

/// Bytes that a body of `length` bytes becomes in chunks.
#[must_use]
pub fn chunked_length(length: u64, signed: bool, trailer: Option<ChecksumAlgorithm>) -> u64 {
    let signature = match signed {
        true => CHUNK_SIGNATURE.len() as u64 + SIGNATURE_BYTES,
        false => 0,
    };
    let chunk = |bytes: u64| hex_digits(bytes) + signature + 2 + bytes + 2;
    let rest = length % CHUNK_BYTES;
    let data = length / CHUNK_BYTES * chunk(CHUNK_BYTES) + if rest > 0 { chunk(rest) } else { 0 };
    let trailer = trailer.map_or(0, |algorithm| {
        let line = algorithm.header().len() + 1 + algorithm.text_length() + 2;
        let signed = u64::from(signed) * (TRAILER_SIGNATURE.len() as u64 + SIGNATURE_BYTES + 2);
        line as u64 + signed
    });
    data + 1 + signature + 2 + trailer + 2
}

fn hex_digits(number: u64) -> u64 {
    u64::from((u64::BITS - number.leading_zeros()).div_ceil(4).max(1))
}

/// Where a body stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// No more of it.
    #[default]
    Over,
    /// A chunk, or the end, comes next.
    Between,
    /// So many bytes of a chunk (of everything, without chunks) are left.
    Data(u64),
}

/// A request on its way out: text (the head, small bodies, what stands between chunks), then data, by turns.
#[derive(Debug, Default)]
pub struct Outgoing {
    pub(super) text: Vec<u8>,
    sent: usize,
    range: Option<BodyRange>,
    framing: Framing,
    stage: Stage,
    sum: Option<NamedSum>,
}

impl Outgoing {
    /// Nothing to send.
    pub fn clear(&mut self) {
        self.text.clear();
        self.sent = 0;
        self.range = None;
        self.framing = Framing::Plain;
        self.stage = Stage::Over;
        self.sum = None;
    }

    /// The checksum that went with the body; one in a trailer is there when all was sent.
    #[must_use]
    pub fn sum(&self) -> Option<NamedSum> {
        self.sum
    }

    /// Keeps the checksum that goes before the body.
    pub(super) fn keep_sum(&mut self, sum: NamedSum) {
        self.sum = Some(sum);
    }

    /// Bytes before the body, as long as nothing was sent.
    pub fn head_bytes(&self) -> u64 {
        self.text.len() as u64
    }

    /// A body follows the head.
    pub(super) fn follow(&mut self, range: BodyRange, framing: Framing) {
        self.stage = match framing {
            Framing::Chunked { .. } => Stage::Between,
            Framing::Plain if range.start < range.end => Stage::Data(range.length()),
            Framing::Plain => Stage::Over,
        };
        self.range = Some(range);
        self.framing = framing;
    }

    /// Copies what waits as text; true when none of it is left.
    fn copy_text(&mut self, room: &mut [u8], filled: &mut usize) -> bool {
        let waiting = &self.text[self.sent..];
        let count = waiting.len().min(room.len() - *filled);
        room[*filled..*filled + count].copy_from_slice(&waiting[..count]);
        *filled += count;
        self.sent += count;
        self.sent == self.text.len()
    }

    /// Makes the next data; false when the room must be emptied first.
    fn make_data(&mut self, left: u64, room: &mut [u8], filled: &mut usize) -> bool {
        let Some(range) = &mut self.range else {
            self.stage = Stage::Over;
            return true;
        };
        let fits = (room.len() - *filled) as u64;
        // all that is left, or else whole blocks, which are the fastest to make
        let mut portion = if left <= fits {
            left
        } else {
            fits - fits % BLOCK_BYTES
        };
        if portion == 0 {
            if *filled > 0 || fits == 0 {
                return false;
            }
            portion = fits;
        }
        let data = &mut room[*filled..*filled + portion as usize];
        body::fill(&range.id, range.start, data);
        range.start += portion;
        *filled += portion as usize;
        self.stage = Stage::Data(left - portion);
        match &mut self.framing {
            Framing::Plain if portion == left => self.stage = Stage::Over,
            Framing::Plain => {}
            Framing::Chunked { trailer, .. } => {
                if let Some((_, summing)) = trailer {
                    summing.update(data);
                }
                if portion == left {
                    self.stage = Stage::Between;
                    self.set_text(b"\r\n");
                }
            }
        }
        true
    }

    fn set_text(&mut self, text: &[u8]) {
        self.text.clear();
        self.sent = 0;
        self.text.extend_from_slice(text);
    }

    /// Begins the next chunk, or ends the body.
    fn next_chunk(&mut self, room: &mut [u8], filled: &mut usize) {
        let (Some(range), Framing::Chunked { chain, .. }) = (self.range, &mut self.framing) else {
            self.stage = Stage::Over;
            return;
        };
        // the line end of the chunk before was sent
        self.text.clear();
        self.sent = 0;
        let size = range.length().min(CHUNK_BYTES);
        write_hex(size, &mut self.text);
        if size == 0 {
            return self.end_chunks();
        }
        self.stage = Stage::Data(size);
        let Some(chain) = chain else {
            return self.text.extend_from_slice(b"\r\n");
        };
        self.text.extend_from_slice(CHUNK_SIGNATURE);
        let head = self.text.len() + SIGNATURE_BYTES as usize + 2;
        // made in its place when it fits, else once for its signature and once more to be sent
        let place = *filled + head;
        let sha256 = match room.get_mut(place..place + size as usize) {
            Some(data) => {
                body::fill(&range.id, range.start, data);
                sha256_hex(data)
            }
            None => body::sha256_hex(&range.id, range.start, size),
        };
        self.text.extend_from_slice(&chain.chunk(&sha256));
        self.text.extend_from_slice(b"\r\n");
        if let Some(data) = room.get_mut(place..place + size as usize) {
            if let Framing::Chunked {
                trailer: Some((_, summing)),
                ..
            } = &mut self.framing
            {
                summing.update(data);
            }
            self.copy_text(room, filled);
            *filled += size as usize;
            self.range = Some(BodyRange {
                start: range.start + size,
                ..range
            });
            self.stage = Stage::Between;
            self.set_text(b"\r\n");
        }
    }

    /// The chunk of nothing, the trailer, the end.
    fn end_chunks(&mut self) {
        self.stage = Stage::Over;
        let Framing::Chunked { chain, trailer } = std::mem::take(&mut self.framing) else {
            return;
        };
        let mut chain = chain;
        let text = &mut self.text;
        if let Some(chain) = &mut chain {
            text.extend_from_slice(CHUNK_SIGNATURE);
            text.extend_from_slice(&chain.chunk(sigv4::EMPTY_PAYLOAD_BYTES));
        }
        text.extend_from_slice(b"\r\n");
        if let Some((algorithm, summing)) = trailer {
            let start = text.len();
            text.extend_from_slice(algorithm.header().as_bytes());
            text.push(b':');
            let sum = summing.finish();
            text.extend_from_slice(sum.as_bytes());
            self.sum = Some((algorithm, sum));
            // signed with a line feed behind it, sent with a carriage return as well
            text.push(b'\n');
            let signature = chain.map(|mut chain| chain.trailer(&sha256_hex(&text[start..])));
            text.pop();
            text.extend_from_slice(b"\r\n");
            if let Some(signature) = signature {
                text.extend_from_slice(TRAILER_SIGNATURE);
                text.extend_from_slice(&signature);
                text.extend_from_slice(b"\r\n");
            }
        }
        text.extend_from_slice(b"\r\n");
    }
}

fn sha256_hex(bytes: &[u8]) -> [u8; 64] {
    sigv4::hex64(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn write_hex(number: u64, out: &mut Vec<u8>) {
    for place in (0..hex_digits(number)).rev() {
        out.push(b"0123456789abcdef"[(number >> (4 * place) & 15) as usize]);
    }
}

impl Source for Outgoing {
    fn fill(&mut self, room: &mut [u8]) -> usize {
        let mut filled = 0;
        while self.copy_text(room, &mut filled) {
            match self.stage {
                Stage::Over => break,
                Stage::Between => self.next_chunk(room, &mut filled),
                Stage::Data(left) => {
                    if !self.make_data(left, room, &mut filled) {
                        break;
                    }
                }
            }
        }
        filled
    }

    fn is_spent(&self) -> bool {
        self.sent == self.text.len() && self.stage == Stage::Over
    }
}
