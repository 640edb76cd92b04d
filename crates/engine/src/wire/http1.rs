//! HTTP/1.1 answers: the head by httparse, the framing of the body by hand, in bounded memory whatever the server sends.

mod chunk;
mod fields;

use std::mem::MaybeUninit;

use chunk::Chunk;
use fields::Fields;

/// Longest head of an answer in bytes; interim (1xx) heads count too.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most header lines of an answer.
const HEADERS_MAX: usize = 96;
/// Most interim answers before the final one.
const INTERIM_MAX: u32 = 16;

/// An answer that is not HTTP/1.1, or whose framing contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// What the head of a final answer says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    /// HTTP status.
    pub status: u16,
    /// Bytes of the body, where the framing tells.
    pub content_length: Option<u64>,
    /// The `ETag`, as sent.
    pub etag: Option<&'a [u8]>,
    /// The `x-amz-request-id`. There is one: an S3 server answered, not something in front of it.
    pub request_id: Option<&'a [u8]>,
    /// The `x-amz-version-id`.
    pub version_id: Option<&'a [u8]>,
    /// The `Content-Range`.
    pub content_range: Option<&'a [u8]>,
    /// The `x-amz-checksum-crc32`.
    pub crc32: Option<&'a [u8]>,
    /// The `x-amz-checksum-crc32c`.
    pub crc32c: Option<&'a [u8]>,
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
                State::Done => {
                    return Ok(Progress::Done {
                        surplus: rest.len(),
                    })
                }
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
                    self.state = if left == 0 {
                        State::Done
                    } else {
                        State::Length { left }
                    };
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
                    let (used, next) = chunk.feed(rest, sink)?;
                    rest = &rest[used..];
                    self.state = next.map_or(State::Done, State::Chunked);
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
    fn feed_head(
        &mut self,
        bytes: &[u8],
        sink: &mut impl Sink,
    ) -> Result<Option<usize>, Malformed> {
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
        if self.head_bytes + self.partial.len() + bytes.len() > HEAD_BYTES_MAX
            && !has_blank_line(bytes)
        {
            return Err(Malformed("the head of the answer is longer than 64 KiB"));
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    fn parse_head(
        &mut self,
        bytes: &[u8],
        sink: &mut impl Sink,
    ) -> Result<Option<usize>, Malformed> {
        let mut room = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut response, bytes, &mut room)
            .map_err(|error| match error {
                httparse::Error::TooManyHeaders => {
                    Malformed("the answer has more than 96 header lines")
                }
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
                return Err(Malformed(
                    "the server switched protocols or never came to its final answer",
                ));
            }
            return Ok(Some(used));
        }
        if !(200..600).contains(&status) {
            return Err(Malformed(
                "the status of the answer is not between 200 and 599",
            ));
        }
        let fields = Fields::read(response.headers, response.version == Some(1))?;
        self.keep_alive = fields.keep_alive;
        self.state = self.framing(status, &fields);
        let content_length = fields.content_length.filter(|_| !fields.chunked);
        sink.head(&Head {
            status,
            content_length,
            etag: fields.etag,
            request_id: fields.request_id,
            version_id: fields.version_id,
            content_range: fields.content_range,
            crc32: fields.crc32,
            crc32c: fields.crc32c,
        });
        Ok(Some(used))
    }

    fn framing(&mut self, status: u16, fields: &Fields<'_>) -> State {
        if self.no_body || status == 204 || status == 304 {
            return State::Done;
        }
        if fields.chunked {
            // Both framings at once are an attack or a bug: the chunks win (RFC 9112, 6.3), the connection is not trusted.
            self.keep_alive &= fields.content_length.is_none();
            return State::Chunked(Chunk::START);
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

fn has_blank_line(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

#[cfg(test)]
mod tests;
