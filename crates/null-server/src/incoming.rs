//! Bodies of requests: taken, counted, thrown away.

/// Longest line of a chunk's size, with its extensions, bytes; trailers have as much each.
const LINE_BYTES_MAX: usize = 4096;
/// Most trailer lines.
const TRAILERS_MAX: usize = 64;

/// What is still to come of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Nothing.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks, until the last.
    Chunked(Chunked),
}

/// A chunk that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadChunk;

/// Where in a chunked body we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunked {
    place: Place,
    /// Of the chunk: what is left of it, or what its size line said so far.
    left: u64,
    /// Bytes of the line so far.
    line: usize,
    /// Whether the line had a digit.
    digits: bool,
    trailers: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Size,
    Extension,
    Data,
    /// The line end behind the data.
    DataEnd,
    Trailer,
}

impl Incoming {
    /// A body of a known length.
    pub fn of_length(length: u64) -> Self {
        if length == 0 {
            Self::None
        } else {
            Self::Length(length)
        }
    }

    /// Takes what belongs to the body from `bytes`, and says how much that was. It is whole when it became `None`.
    ///
    /// # Errors
    /// When the chunks are none.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, BadChunk> {
        match self {
            Self::None => Ok(0),
            Self::Length(left) => {
                let taken = (bytes.len() as u64).min(*left);
                *self = Self::of_length(*left - taken);
                Ok(taken as usize)
            }
            Self::Chunked(chunked) => {
                let (taken, whole) = chunked.take(bytes)?;
                if whole {
                    *self = Self::None;
                }
                Ok(taken)
            }
        }
    }
}

impl Chunked {
    fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), BadChunk> {
        let mut at = 0;
        while at < bytes.len() {
            if self.place == Place::Data {
                let taken = ((bytes.len() - at) as u64).min(self.left);
                self.left -= taken;
                at += taken as usize;
                if self.left == 0 {
                    self.begin(Place::DataEnd);
                }
                continue;
            }
            let whole = self.byte(bytes[at])?;
            at += 1;
            if whole {
                return Ok((at, true));
            }
        }
        Ok((at, false))
    }

    fn begin(&mut self, place: Place) {
        (self.place, self.line, self.digits) = (place, 0, false);
    }

    /// One byte of a line; true behind the last line of all.
    fn byte(&mut self, byte: u8) -> Result<bool, BadChunk> {
        if byte == b'\n' {
            return self.line_end();
        }
        self.line += 1;
        if self.line > LINE_BYTES_MAX {
            return Err(BadChunk);
        }
        match (self.place, byte) {
            (_, b'\r') | (Place::Extension | Place::Trailer, _) => {}
            (Place::Size, b';') => self.place = Place::Extension,
            (Place::Size, _) => {
                let digit = char::from(byte).to_digit(16).ok_or(BadChunk)?;
                self.left = self.left.checked_mul(16).ok_or(BadChunk)? | u64::from(digit);
                self.digits = true;
            }
            _ => return Err(BadChunk),
        }
        Ok(false)
    }

    fn line_end(&mut self) -> Result<bool, BadChunk> {
        match self.place {
            Place::Size | Place::Extension if !self.digits => return Err(BadChunk),
            Place::Size | Place::Extension if self.left > 0 => self.begin(Place::Data),
            Place::Size | Place::Extension => self.begin(Place::Trailer),
            Place::DataEnd => self.begin(Place::Size),
            // An empty line may hold its carriage return.
            Place::Trailer if self.line <= 1 => return Ok(true),
            Place::Trailer => {
                self.trailers += 1;
                if self.trailers > TRAILERS_MAX {
                    return Err(BadChunk);
                }
                self.begin(Place::Trailer);
            }
            Place::Data => {}
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunked() -> Incoming {
        Incoming::Chunked(Chunked::default())
    }

    #[test]
    fn a_length_is_taken_to_its_end_and_no_further() {
        let mut body = Incoming::of_length(5);
        assert_eq!(body.take(b"abc"), Ok(3));
        assert_eq!(body.take(b"deGET /"), Ok(2));
        assert_eq!(body, Incoming::None);
    }

    #[test]
    fn chunks_end_where_they_end_however_they_come() {
        let text = b"4;x=y\r\nabcd\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nx-amz-checksum-crc32c: abcd\r\n\r\n";
        for portion in 1..text.len() {
            let mut body = chunked();
            let mut taken = 0;
            for part in text.chunks(portion) {
                taken += body.take(part).unwrap();
            }
            assert_eq!(
                (taken, body),
                (text.len(), Incoming::None),
                "portions of {portion}"
            );
        }
        let mut body = chunked();
        assert_eq!(body.take(b"0\r\n\r\nGET / HTTP/1.1"), Ok(5));
        assert_eq!(body, Incoming::None);
    }

    #[test]
    fn what_is_no_chunk_is_refused_within_bounds() {
        for text in [
            "x\r\n",
            "\r\n",
            "ffffffffffffffffff\r\n",
            "1\r\nab\r\n",
            ";x\r\n",
        ] {
            assert_eq!(chunked().take(text.as_bytes()), Err(BadChunk), "{text:?}");
        }
        assert_eq!(chunked().take(&[b'0'; LINE_BYTES_MAX + 1]), Err(BadChunk));
        let trailers = format!("0\r\n{}", "a: b\r\n".repeat(TRAILERS_MAX + 1));
        assert_eq!(chunked().take(trailers.as_bytes()), Err(BadChunk));
    }
}
