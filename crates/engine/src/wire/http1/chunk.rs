//! The chunked framing of a body (RFC 9112, section 7.1), byte by byte, in constant memory.

use super::{Malformed, Sink};

/// Longest chunk-size line in bytes, extensions included.
const CHUNK_LINE_BYTES_MAX: u32 = 4096;
/// All trailer lines together, bytes.
const TRAILER_BYTES_MAX: u32 = 64 * 1024;

/// Where a chunked body stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// In the hexadecimal digits of the size.
    Size {
        value: u64,
        digits: u32,
    },
    /// Behind them, up to the line feed.
    Extension {
        value: u64,
        length: u32,
    },
    Data {
        left: u64,
    },
    /// At the CR LF behind the data.
    DataEnd {
        carriage_return: bool,
    },
    /// In the trailer; `line` is the length of the current line.
    Trailer {
        line: u32,
        total: u32,
    },
}

impl Chunk {
    /// Before the first chunk.
    pub(super) const START: Self = Chunk::Size {
        value: 0,
        digits: 0,
    };

    /// Advances by at least one byte of `bytes`, which is not empty. Returns the bytes used and what follows; None at
    /// the end of the body.
    pub(super) fn feed(
        self,
        bytes: &[u8],
        sink: &mut impl Sink,
    ) -> Result<(usize, Option<Self>), Malformed> {
        let byte = bytes[0];
        let next = match self {
            Chunk::Size { value, digits } => chunk_size(value, digits, byte)?,
            Chunk::Extension { value, length } => match byte {
                b'\n' => after_size_line(value),
                _ if length >= CHUNK_LINE_BYTES_MAX => {
                    return Err(Malformed("a chunk-size line is longer than 4 KiB"))
                }
                _ => Chunk::Extension {
                    value,
                    length: length + 1,
                },
            },
            Chunk::Data { left } => {
                let portion = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                sink.body(&bytes[..portion]);
                let left = left - portion as u64;
                let next = if left == 0 {
                    Chunk::DataEnd {
                        carriage_return: false,
                    }
                } else {
                    Chunk::Data { left }
                };
                return Ok((portion, Some(next)));
            }
            Chunk::DataEnd { carriage_return } => match (byte, carriage_return) {
                (b'\r', false) => Chunk::DataEnd {
                    carriage_return: true,
                },
                (b'\n', _) => Chunk::START,
                _ => return Err(Malformed("a chunk is longer than its size says")),
            },
            Chunk::Trailer { line, total } => match byte {
                b'\n' if line == 0 => return Ok((1, None)),
                _ if total >= TRAILER_BYTES_MAX => {
                    return Err(Malformed("the trailer of the answer is longer than 64 KiB"))
                }
                b'\n' => Chunk::Trailer {
                    line: 0,
                    total: total + 1,
                },
                b'\r' => Chunk::Trailer {
                    line,
                    total: total + 1,
                },
                _ => Chunk::Trailer {
                    line: line + 1,
                    total: total + 1,
                },
            },
        };
        Ok((1, Some(next)))
    }
}

fn chunk_size(value: u64, digits: u32, byte: u8) -> Result<Chunk, Malformed> {
    let digit = match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        b'\n' if digits > 0 => return Ok(after_size_line(value)),
        b'\r' | b';' | b' ' | b'\t' if digits > 0 => {
            return Ok(Chunk::Extension { value, length: 0 })
        }
        _ => return Err(Malformed("a chunk size is not a hexadecimal number")),
    };
    if digits >= 15 {
        return Err(Malformed("a chunk size is too large"));
    }
    Ok(Chunk::Size {
        value: value << 4 | u64::from(digit),
        digits: digits + 1,
    })
}

fn after_size_line(value: u64) -> Chunk {
    if value == 0 {
        Chunk::Trailer { line: 0, total: 0 }
    } else {
        Chunk::Data { left: value }
    }
}
