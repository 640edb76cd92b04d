//! HTTP/1.1 answers: the head by httparse, the framing of the body by hand, in bounded memory whatever the server sends.

use std::mem::MaybeUninit;

/// Longest head of an answer in bytes; interim (1xx) heads count too.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most header lines of an answer.
const HEADERS_MAX: usize = 96;
/// Longest chunk-size line in bytes, extensions included.
const CHUNK_LINE_BYTES_MAX: u32 = 4096;
/// All trailer lines together, bytes.
const TRAILER_BYTES_MAX: u32 = 64 * 1024;
/// Most interim answers before the final one.
const INTERIM_MAX: u32 = 16;

/// An answer that is not HTTP/1.1, or whose framing contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// What the head of a final answer says.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// HTTP status.
    pub status: u16,
    /// Bytes of the body, where the framing tells.
    pub content_length: Option<u64>,
    /// The `ETag`, as sent.
    pub etag: Option<&'a [u8]>,
    /// There is an `x-amz-request-id`: an S3 server answered, not something in front of it.
    pub from_s3: bool,
}

/// Takes an answer apart into calls.
pub trait Sink {
    /// The head of the final answer.
    fn head(&mut self, head: &Head<'_>);
    /// The next bytes of its body, in portions of any size.
    fn body(&mut self, bytes: &[u8]);
}

/// Where the answer stands after some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    More,
    /// It is whole; so many bytes at the end of the portion lie behind it.
    Done {
        /// Bytes nobody asked for; the connection cannot be used again when there are any.
        surplus: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    /// In the hexadecimal digits of the size.
    Size { value: u64, digits: u32 },
    /// Behind them, up to the line feed.
    Extension { value: u64, length: u32 },
    Data { left: u64 },
    /// At the CR LF behind the data.
    DataEnd { carriage_return: bool },
    /// In the trailer; `line` is the length of the current line.
    Trailer { line: u32, total: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    Length { left: u64 },
    Chunked(Chunk),
    UntilClose,
    Done,
}

/// The framing of one answer after the other.
#[derive(Debug)]
pub struct Parser {
    state: State,
    /// A head that came in pieces. Empty when the whole head comes at once, as it nearly always does.
    partial: Vec<u8>,
    head_bytes: usize,
    interim: u32,
    no_body: bool,
    keep_alive: bool,
}

impl Default for Parser {
    fn default() -> Self {
        Self {
            state: State::Done,
            partial: Vec::new(),
            head_bytes: 0,
            interim: 0,
            no_body: false,
            keep_alive: false,
        }
    }
}

impl Parser {
    /// Expects a new answer; that to a HEAD request has no body.
    pub fn begin(&mut self, to_head_request: bool) {
        self.state = State::Head;
        self.partial.clear();
        self.head_bytes = 0;
        self.interim = 0;
        self.no_body = to_head_request;
        self.keep_alive = true;
    }

    /// True between answers.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the connection may carry another request after this answer.
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// The next bytes from the server.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<Progress, Malformed> {
        let mut rest = bytes;
        loop {
            match self.state {
                State::Done => return Ok(Progress::Done { surplus: rest.len() }),
                State::Head => match self.feed_head(rest, sink)? {
                    Some(used) => rest = &rest[used..],
                    None => return Ok(Progress::More),
                },
                State::Length { left } => {
                    let portion = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    if portion > 0 {
                        sink.body(&rest[..portion]);
                        rest = &rest[portion..];
                    }
                    let left = left - portion as u64;
                    self.state = if left == 0 { State::Done } else { State::Length { left } };
                    if left > 0 {
                        return Ok(Progress::More);
                    }
                }
                State::UntilClose => {
                    if !rest.is_empty() {
                        sink.body(rest);
                    }
                    return Ok(Progress::More);
                }
                State::Chunked(chunk) => {
                    if rest.is_empty() {
                        return Ok(Progress::More);
                    }
                    let (used, next) = feed_chunk(chunk, rest, sink)?;
                    rest = &rest[used..];
                    self.state = next;
                }
            }
        }
    }

    /// The server closed the connection: true when that is the proper end of the answer.
    pub fn finish(&mut self) -> bool {
        self.keep_alive = false;
        let whole = matches!(self.state, State::UntilClose | State::Done);
        self.state = State::Done;
        whole
    }

    /// Returns the bytes of `bytes` that belonged to the head, or None when the head goes on.
    fn feed_head(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<Option<usize>, Malformed> {
        if self.partial.is_empty() {
            return match self.parse_head(bytes, sink)? {
                Some(used) => Ok(Some(used)),
                None => {
                    self.keep_partial(bytes)?;
                    Ok(None)
                }
            };
        }
        let before = self.partial.len();
        self.keep_partial(bytes)?;
        // A server that drips bytes must not make us parse the same head again and again: wait for a blank line.
        if !has_blank_line(&self.partial[before.saturating_sub(3)..]) {
            return Ok(None);
        }
        let partial = std::mem::take(&mut self.partial);
        let parsed = self.parse_head(&partial, sink);
        self.partial = partial;
        match parsed? {
            Some(used) => {
                self.partial.clear();
                Ok(Some(used.saturating_sub(before)))
            }
            None => Ok(None),
        }
    }

    fn keep_partial(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        if self.head_bytes + self.partial.len() + bytes.len() > HEAD_BYTES_MAX && !has_blank_line(bytes) {
            return Err(Malformed("the head of the answer is longer than 64 KiB"));
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    fn parse_head(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<Option<usize>, Malformed> {
        let mut room = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut response, bytes, &mut room)
            .map_err(|error| match error {
                httparse::Error::TooManyHeaders => Malformed("the answer has more than 96 header lines"),
                httparse::Error::Version => Malformed("the answer is not HTTP/1.x"),
                httparse::Error::Status => Malformed("the status line of the answer is malformed"),
                _ => Malformed("the head of the answer is malformed"),
            })?;
        let httparse::Status::Complete(used) = parsed else {
            return Ok(None);
        };
        self.head_bytes += used;
        if self.head_bytes > HEAD_BYTES_MAX {
            return Err(Malformed("the head of the answer is longer than 64 KiB"));
        }
        let status = response.code.unwrap_or(0);
        if (100..200).contains(&status) {
            self.interim += 1;
            if status == 101 || self.interim > INTERIM_MAX {
                return Err(Malformed("the server switched protocols or never came to its final answer"));
            }
            return Ok(Some(used));
        }
        if !(200..600).contains(&status) {
            return Err(Malformed("the status of the answer is not between 200 and 599"));
        }
        let fields = Fields::read(response.headers, response.version == Some(1))?;
        self.keep_alive = fields.keep_alive;
        self.state = self.framing(status, &fields);
        let content_length = fields.content_length.filter(|_| !fields.chunked);
        sink.head(&Head { status, content_length, etag: fields.etag, from_s3: fields.from_s3 });
        Ok(Some(used))
    }

    fn framing(&mut self, status: u16, fields: &Fields<'_>) -> State {
        if self.no_body || status == 204 || status == 304 {
            return State::Done;
        }
        if fields.chunked {
            // Both framings at once are an attack or a bug: the chunks win (RFC 9112, 6.3), the connection is not trusted.
            self.keep_alive &= fields.content_length.is_none();
            return State::Chunked(Chunk::Size { value: 0, digits: 0 });
        }
        match fields.content_length {
            Some(0) => State::Done,
            Some(left) => State::Length { left },
            None => {
                self.keep_alive = false;
                State::UntilClose
            }
        }
    }
}

struct Fields<'a> {
    content_length: Option<u64>,
    chunked: bool,
    keep_alive: bool,
    etag: Option<&'a [u8]>,
    from_s3: bool,
}

impl<'a> Fields<'a> {
    fn read(headers: &[httparse::Header<'a>], is_1_1: bool) -> Result<Self, Malformed> {
        let mut fields =
            Self { content_length: None, chunked: false, keep_alive: is_1_1, etag: None, from_s3: false };
        for header in headers {
            let name = header.name;
            // The length of a name rules most of them out at once.
            match name.len() {
                4 if name.eq_ignore_ascii_case("etag") => fields.etag = Some(header.value),
                10 if name.eq_ignore_ascii_case("connection") => fields.connection(header.value),
                14 if name.eq_ignore_ascii_case("content-length") => fields.length(header.value)?,
                16 if name.eq_ignore_ascii_case("x-amz-request-id") => fields.from_s3 = true,
                17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                    if !header.value.trim_ascii().eq_ignore_ascii_case(b"chunked") || fields.chunked {
                        return Err(Malformed("the transfer encoding of the answer is not just chunked"));
                    }
                    fields.chunked = true;
                }
                _ => {}
            }
        }
        Ok(fields)
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',') {
            let option = option.trim_ascii();
            if option.eq_ignore_ascii_case(b"close") {
                self.keep_alive = false;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            }
        }
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Malformed> {
        let value = value.trim_ascii();
        if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
            return Err(Malformed("the Content-Length of the answer is not a number"));
        }
        let length = value.iter().fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        if self.content_length.is_some_and(|other| other != length) {
            return Err(Malformed("the answer has two different Content-Lengths"));
        }
        self.content_length = Some(length);
        Ok(())
    }
}

/// Advances by at least one byte of `bytes`, which is not empty. Returns the bytes used and what follows.
fn feed_chunk(chunk: Chunk, bytes: &[u8], sink: &mut impl Sink) -> Result<(usize, State), Malformed> {
    let byte = bytes[0];
    let next = match chunk {
        Chunk::Size { value, digits } => chunk_size(value, digits, byte)?,
        Chunk::Extension { value, length } => match byte {
            b'\n' => after_size_line(value),
            _ if length >= CHUNK_LINE_BYTES_MAX => return Err(Malformed("a chunk-size line is longer than 4 KiB")),
            _ => Chunk::Extension { value, length: length + 1 },
        },
        Chunk::Data { left } => {
            let portion = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            sink.body(&bytes[..portion]);
            let left = left - portion as u64;
            let next = if left == 0 { Chunk::DataEnd { carriage_return: false } } else { Chunk::Data { left } };
            return Ok((portion, State::Chunked(next)));
        }
        Chunk::DataEnd { carriage_return } => match (byte, carriage_return) {
            (b'\r', false) => Chunk::DataEnd { carriage_return: true },
            (b'\n', _) => Chunk::Size { value: 0, digits: 0 },
            _ => return Err(Malformed("a chunk is longer than its size says")),
        },
        Chunk::Trailer { line, total } => match byte {
            b'\n' if line == 0 => return Ok((1, State::Done)),
            b'\n' => Chunk::Trailer { line: 0, total: total + 1 },
            b'\r' => Chunk::Trailer { line, total: total + 1 },
            _ if total >= TRAILER_BYTES_MAX => return Err(Malformed("the trailer of the answer is longer than 64 KiB")),
            _ => Chunk::Trailer { line: line + 1, total: total + 1 },
        },
    };
    Ok((1, State::Chunked(next)))
}

fn chunk_size(value: u64, digits: u32, byte: u8) -> Result<Chunk, Malformed> {
    let digit = match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        b'\n' if digits > 0 => return Ok(after_size_line(value)),
        b'\r' | b';' | b' ' | b'\t' if digits > 0 => return Ok(Chunk::Extension { value, length: 0 }),
        _ => return Err(Malformed("a chunk size is not a hexadecimal number")),
    };
    if digits >= 15 {
        return Err(Malformed("a chunk size is too large"));
    }
    Ok(Chunk::Size { value: value << 4 | u64::from(digit), digits: digits + 1 })
}

fn after_size_line(value: u64) -> Chunk {
    if value == 0 {
        Chunk::Trailer { line: 0, total: 0 }
    } else {
        Chunk::Data { left: value }
    }
}

fn has_blank_line(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

#[cfg(test)]
#[path = "http1_tests.rs"]
mod tests;
