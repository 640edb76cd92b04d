//! The answer to one request, as far as an operation cares: status, what some headers say, and a bounded piece of text, a
//! verified body or a document read as it streams in.

use crate::body::checksum::Summing;
use crate::body::{BodyVerdict, Evidence, RangeVerifier, Verifier};
use crate::flight::deletions::Deletions;
use crate::flight::listing::Listing;
use crate::flight::tags::Tags;
use crate::operation::ErrorClass;
use crate::outcome;
use crate::plan::ChecksumAlgorithm;
use crate::text::Text;
use crate::wire::http1::{Head, Sink};
use crate::xml::Scanner;

/// Most bytes of a text that are kept; S3 errors and upload results fit easily.
pub const TEXT_BYTES_MAX: usize = 8 * 1024;
/// Most bytes of a document that are kept besides being read: for examples of errors.
const DOCUMENT_BYTES_MAX: usize = 512;

/// Documents that are read as they stream in, because what matters in them may stand anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// A page of a listing.
    Listing,
    /// What became of the keys of a MULTI_DELETE.
    Deletions,
    /// The tags of an object.
    Tags,
}

/// What is done with the body of a good answer.
#[derive(Debug, Default)]
#[allow(clippy::large_enum_variant)] // a box would be an allocation for every body
pub enum Reader {
    /// Its first bytes are kept as text.
    #[default]
    Text,
    /// It is counted and thrown away.
    Discard,
    /// It is checked, block by block.
    Verify(Verifier),
    /// It is a part of an object, and checked as such.
    VerifyRange(RangeVerifier),
    /// It is read, element by element.
    Read(Document),
}

/// A `Content-Range` of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// Size of the whole object.
    pub total: u64,
}

impl ContentRange {
    /// Reads `bytes 0-9/100`; None for anything else, also for a range that cannot be.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?.trim();
        let (range, total) = text.strip_prefix("bytes ")?.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let number = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u64>().ok().filter(|_| digits)
        };
        let (start, total) = (number(first)?, number(total)?);
        let end = number(last)?.checked_add(1)?;
        (start < end && end <= total).then_some(Self { start, end, total })
    }
}

/// What came back. Memory is kept from one answer to the next.
#[derive(Debug, Default)]
pub struct Answer {
    /// HTTP status; 0 until the head came.
    pub status: u16,
    /// Body bytes received.
    pub bytes: u64,
    /// The `ETag`, as sent; empty without.
    pub etag: Vec<u8>,
    /// The `x-amz-version-id`, as sent; empty without.
    pub version_id: Vec<u8>,
    /// The `x-amz-request-id`, as sent; empty without.
    pub request_id: Vec<u8>,
    /// The `Content-Range`, where there is a sound one.
    pub content_range: Option<ContentRange>,
    /// The `Content-Length`, where the framing tells.
    pub content_length: Option<u64>,
    /// The first bytes of the body, unless it was an object's; without white space in front, which keeps connections
    /// alive while a server works.
    pub text: Vec<u8>,
    /// The listing under way.
    pub listing: Listing,
    /// The keys of a MULTI_DELETE.
    pub deletions: Deletions,
    /// The tags of an object.
    pub tags: Tags,
    scanner: Scanner,
    reader: Reader,
    /// What a checksum header says of the whole body, and the sum of the body so far.
    sum: Option<(Text<16>, Summing)>,
    wanted_sum: Option<ChecksumAlgorithm>,
}

impl Answer {
    /// Expects a new answer.
    pub fn begin(&mut self, reader: Reader) {
        self.status = 0;
        self.bytes = 0;
        self.etag.clear();
        self.version_id.clear();
        self.request_id.clear();
        self.content_range = None;
        self.content_length = None;
        self.text.clear();
        if let Reader::Read(_) = reader {
            self.scanner.begin();
        }
        self.reader = reader;
        self.sum = None;
        self.wanted_sum = None;
    }

    /// Holds a checksum header against the body, where the answer has one. Only CRCs of 32 bits are cheap enough.
    pub fn check_sum(&mut self, algorithm: Option<ChecksumAlgorithm>) {
        self.wanted_sum = algorithm;
    }

    /// The class of the whole answer, by status and text.
    pub fn class(&self) -> ErrorClass {
        if self.status == 200 {
            let is_error = match self.reader {
                Reader::Read(_) => self.scanner.root() == b"Error",
                _ => !self.text.is_empty() && outcome::error_code(&self.text).is_some(),
            };
            return if is_error {
                ErrorClass::ErrorInOk
            } else {
                ErrorClass::None
            };
        }
        outcome::class_of_answer(self.status, &self.text, !self.request_id.is_empty())
    }

    /// What the body says, when it was checked.
    pub fn verdict(&mut self) -> Option<BodyVerdict> {
        match std::mem::take(&mut self.reader) {
            Reader::Verify(verifier) => Some(self.with_sum(verifier.finish())),
            Reader::VerifyRange(verifier) => Some(verifier.finish()),
            _ => None,
        }
    }

    /// A good body whose checksum header is another's is not as it was announced.
    fn with_sum(&mut self, verdict: BodyVerdict) -> BodyVerdict {
        let Some((said, sum)) = self.sum.take() else {
            return verdict;
        };
        let found = sum.finish();
        if verdict.class != ErrorClass::None || said.as_str().as_bytes() == found.as_bytes() {
            return verdict;
        }
        BodyVerdict {
            class: ErrorClass::ChecksumMismatch,
            evidence: Some(Evidence {
                offset: 0,
                expected: format!(
                    "a body of the checksum {} that the header says",
                    said.as_str()
                ),
                found: String::from_utf8_lossy(found.as_bytes()).into_owned(),
            }),
            ..verdict
        }
    }

    /// What becomes of the body, now that the head is known.
    fn reader_of(&mut self, head: &Head<'_>) -> Reader {
        match (std::mem::take(&mut self.reader), head.status) {
            (Reader::Verify(verifier), 200) => Reader::Verify(match head.content_length {
                Some(length) => verifier.content_length(length),
                None => verifier,
            }),
            (Reader::VerifyRange(verifier), 200 | 206) => {
                Reader::VerifyRange(match self.content_range {
                    Some(range) => verifier.total(range.total),
                    None => verifier,
                })
            }
            (Reader::Discard, 200 | 206) => Reader::Discard,
            (Reader::Read(document), 200) => Reader::Read(document),
            _ => Reader::Text,
        }
    }
}

impl Sink for Answer {
    fn head(&mut self, head: &Head<'_>) {
        self.status = head.status;
        for (place, value) in [
            (&mut self.etag, head.etag),
            (&mut self.version_id, head.version_id),
            (&mut self.request_id, head.request_id),
        ] {
            place.extend_from_slice(value.unwrap_or_default());
        }
        self.content_range = head.content_range.and_then(ContentRange::read);
        self.content_length = head.content_length;
        self.reader = self.reader_of(head);
        let said = match self.wanted_sum {
            Some(ChecksumAlgorithm::Crc32) => head.crc32,
            Some(ChecksumAlgorithm::Crc32c) => head.crc32c,
            _ => None,
        };
        if let (Some(algorithm), Some(said), Reader::Verify(_)) =
            (self.wanted_sum, said, &self.reader)
        {
            // The checksum of an upload's parts (…-3) is none of the whole body.
            let whole = Some(Text::of(said))
                .filter(|said| !said.is_empty() && !said.as_str().contains('-'));
            self.sum = whole.map(|said| (said, Summing::new(algorithm)));
        }
    }

    fn body(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        match &mut self.reader {
            Reader::Verify(verifier) => {
                verifier.feed(bytes);
                if let Some((_, sum)) = &mut self.sum {
                    sum.update(bytes);
                }
            }
            Reader::VerifyRange(verifier) => verifier.feed(bytes),
            Reader::Discard => {}
            Reader::Text => keep(&mut self.text, bytes, TEXT_BYTES_MAX),
            Reader::Read(document) => {
                keep(&mut self.text, bytes, DOCUMENT_BYTES_MAX);
                match document {
                    Document::Listing => self.scanner.feed(bytes, &mut self.listing),
                    Document::Deletions => self.scanner.feed(bytes, &mut self.deletions),
                    Document::Tags => self.scanner.feed(bytes, &mut self.tags),
                }
            }
        }
    }
}

fn keep(text: &mut Vec<u8>, bytes: &[u8], bytes_max: usize) {
    let bytes = if text.is_empty() {
        bytes.trim_ascii_start()
    } else {
        bytes
    };
    let room = bytes_max - text.len().min(bytes_max);
    text.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_taken_only_when_they_can_be() {
        let range = |start, end, total| Some(ContentRange { start, end, total });
        for (value, expected) in [
            ("bytes 0-9/100", range(0, 10, 100)),
            (" bytes 99-99/100 ", range(99, 100, 100)),
            ("bytes 0-100/100", None),
            ("bytes 5-4/100", None),
            ("bytes 0-9/*", None),
            ("bytes */100", None),
            ("bytes +0-9/100", None),
            ("items 0-9/100", None),
            ("bytes 0-18446744073709551615/18446744073709551615", None),
            ("", None),
        ] {
            assert_eq!(ContentRange::read(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn bytes_that_keep_alive_do_not_push_an_error_out_of_sight() {
        let mut answer = Answer::default();
        answer.begin(Reader::Text);
        answer.head(&Head {
            status: 200,
            ..Head::default()
        });
        (0..100).for_each(|_| answer.body(&[b' '; 1000]));
        answer.body(b"<Error><Code>InternalError</Code></Error>");
        assert_eq!(answer.class(), ErrorClass::ErrorInOk);
        assert_eq!(answer.bytes, 100_041);
    }

    #[test]
    fn errors_of_single_keys_are_none_of_the_whole() {
        let class = |text: &[u8]| {
            let mut answer = Answer::default();
            answer.begin(Reader::Read(Document::Deletions));
            answer.deletions.begin(b"p/");
            answer.head(&Head {
                status: 200,
                ..Head::default()
            });
            answer.body(text);
            answer.class()
        };
        let error = "<Error><Code>AccessDenied</Code></Error>";
        let of_key = format!("<?xml version=\"1.0\"?><DeleteResult>{error}</DeleteResult>");
        assert_eq!(class(of_key.as_bytes()), ErrorClass::None);
        assert_eq!(class(error.as_bytes()), ErrorClass::ErrorInOk);
    }
}
