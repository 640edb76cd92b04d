//! The answer to one request, as far as an operation cares: status, a bounded piece of text, or a verified body.

use crate::body::{BodyVerdict, Verifier};
use crate::operation::ErrorClass;
use crate::outcome;
use crate::wire::http1::{Head, Sink};

/// Most bytes of a text that are kept; S3 errors and upload results fit easily.
pub const TEXT_BYTES_MAX: usize = 8 * 1024;

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
    /// The `x-amz-request-id`, as sent; empty without.
    pub request_id: Vec<u8>,
    /// The first bytes of the body, unless it was an object's.
    pub text: Vec<u8>,
    from_s3: bool,
    reader: Reader,
}

impl Answer {
    /// Expects a new answer.
    pub fn begin(&mut self, reader: Reader) {
        self.status = 0;
        self.bytes = 0;
        self.etag.clear();
        self.request_id.clear();
        self.text.clear();
        self.from_s3 = false;
        self.reader = reader;
    }

    /// The class of the whole answer, by status and text.
    pub fn class(&self) -> ErrorClass {
        if self.status == 200 && self.text.is_empty() {
            return ErrorClass::None;
        }
        outcome::class_of_answer(self.status, &self.text, self.from_s3)
    }

    /// What the body says, when it was checked.
    pub fn verdict(&mut self) -> Option<BodyVerdict> {
        match std::mem::take(&mut self.reader) {
            Reader::Verify(verifier) => Some(verifier.finish()),
            _ => None,
        }
    }
}

impl Sink for Answer {
    fn head(&mut self, head: &Head<'_>) {
        self.status = head.status;
        self.from_s3 = head.request_id.is_some();
        self.request_id
            .extend_from_slice(head.request_id.unwrap_or_default());
        if let Some(etag) = head.etag {
            self.etag.extend_from_slice(etag);
        }
        if head.status != 200 {
            self.reader = Reader::Text;
        } else if let Some(length) = head.content_length {
            self.reader = match std::mem::take(&mut self.reader) {
                Reader::Verify(verifier) => Reader::Verify(verifier.content_length(length)),
                other => other,
            };
        }
    }

    fn body(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        match &mut self.reader {
            Reader::Verify(verifier) => verifier.feed(bytes),
            Reader::Discard => {}
            Reader::Text => {
                let room = TEXT_BYTES_MAX - self.text.len().min(TEXT_BYTES_MAX);
                self.text.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
        }
    }
}
