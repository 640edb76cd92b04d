//! An operation under way: a state machine over one or several exchanges of request and answer. Pure; the shard acts.

use crate::answer::Answer;
use crate::operation::{ErrorClass, Key, Op, FLAG_NEW_CONNECTION, FLAG_RESUMED, FLAG_SLOW_CLIENT};
use crate::outcome;
use crate::wire::http1::Parser;
use crate::wire::request::Outgoing;
use crate::wire::Pace;

/// Longest upload id that is believed, bytes.
const UPLOAD_ID_BYTES_MAX: usize = 1024;
/// Longest `ETag` that is believed, bytes.
const ETAG_BYTES_MAX: usize = 256;

/// Which exchange of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The only one.
    Single,
    /// Begins a multipart upload.
    Create,
    /// Sends a part, counted from zero.
    Part(u32),
    /// Makes the object of its parts.
    Complete,
    /// Clears away after an upload that failed; the operation is over and recorded by then.
    Abort,
}

/// An arrival that came due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its number in the whole run.
    pub number: u64,
    /// When it was due, Unix nanoseconds.
    pub due_ns: u64,
    /// When the shard noticed: what came between is the generator's own doing.
    pub noticed_ns: u64,
    /// What it asks for.
    pub op: Op,
}

/// The facts of an operation, decided when it starts.
#[derive(Clone, Copy, Debug)]
pub struct Flight {
    /// What is done (a DELETE that finds no key becomes a PUT).
    pub op: Op,
    /// On which key; 0 for a fixed key and for LIST.
    pub key: Key,
    /// Which version is written; 0 for none.
    pub version: u64,
    /// Bytes of the whole object that is written.
    pub size: u64,
    /// The key was made for this PUT and may be deleted later.
    pub creates: bool,
    /// The key is an ephemeral one that must not be deleted before this read is over.
    pub reads_living: bool,
    /// When it was due.
    pub due_ns: u64,
    /// When the shard noticed that.
    pub noticed_ns: u64,
    /// When it was sent, or began to connect.
    pub start_ns: u64,
    /// When TCP was connected, if it began a connection.
    pub connected_ns: u64,
    /// When TLS was agreed, if it began a connection.
    pub secured_ns: u64,
    /// When the last byte of its (first) request was handed to the kernel; 0 before.
    pub sent_ns: u64,
    /// When the first byte of its (first) answer came; 0 before.
    pub first_byte_ns: u64,
    /// It is the first operation of its connection.
    pub on_new_connection: bool,
    /// Its client is slow on purpose.
    pub slow: Option<Pace>,
    /// Its connection is closed when so many bytes of its body were handed to the kernel, fewer than it has.
    pub give_up_at: Option<u64>,
    /// The TLS session of that connection was resumed.
    pub resumed: bool,
    /// Which request of its connection its first one was, counted from 1; 0 before.
    pub nth_on_connection: u32,
    /// Requests so far.
    pub exchanges: u8,
    /// Which exchange is under way.
    pub step: Step,
    /// Bytes that the connection had sent when the present exchange began.
    pub sent_before: u64,
}

impl Flight {
    /// Nothing.
    pub const NONE: Self = Self {
        op: Op::Get,
        key: Key(0),
        version: 0,
        size: 0,
        creates: false,
        reads_living: false,
        due_ns: 0,
        noticed_ns: 0,
        start_ns: 0,
        connected_ns: 0,
        secured_ns: 0,
        sent_ns: 0,
        first_byte_ns: 0,
        on_new_connection: false,
        slow: None,
        give_up_at: None,
        resumed: false,
        nth_on_connection: 0,
        exchanges: 0,
        step: Step::Single,
        sent_before: 0,
    };

    /// The flags of its record.
    pub fn flags(&self) -> u8 {
        [
            (self.on_new_connection, FLAG_NEW_CONNECTION),
            (self.resumed, FLAG_RESUMED),
            (self.slow.is_some(), FLAG_SLOW_CLIENT),
        ]
        .iter()
        .map(|(holds, flag)| u8::from(*holds) * flag)
        .sum()
    }

    /// Whether the present exchange can make the operation take effect: of an upload, only its completion.
    pub fn may_take_effect(&self) -> bool {
        matches!(self.step, Step::Single | Step::Complete)
    }
}

/// The ids that an upload collects on its way.
#[derive(Debug, Default)]
pub struct Upload {
    /// As the server named it.
    pub id: String,
    /// Of every part so far.
    pub etags: Vec<String>,
}

/// Everything about the exchange under way; its memory is used again and again.
#[derive(Debug, Default)]
pub struct Exchange {
    /// The request.
    pub outgoing: Outgoing,
    /// Bytes of it that may go before the client gives up; all of them, when it does not.
    pub may_send: u64,
    /// All of it was handed to the kernel.
    pub sent_all: bool,
    /// Framing of the answer.
    pub parser: Parser,
    /// The answer.
    pub answer: Answer,
    /// Of a multipart upload.
    pub upload: Upload,
}

/// What to do after a whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The operation is over.
    Finish(ErrorClass),
    /// Send the request of this step.
    Send(Step),
    /// The operation is over, and the upload that it leaves behind must be aborted.
    FinishAndAbort(ErrorClass),
    /// The clearing away is done; it is no operation.
    Nothing,
}

/// Judges the whole answer to the present exchange.
pub fn after_answer(op: Op, step: Step, parts: u32, exchange: &mut Exchange) -> Next {
    let class = match exchange.answer.class() {
        ErrorClass::None => class_of_good(op, step, &mut exchange.answer),
        other => other,
    };
    let upload = &mut exchange.upload;
    match (step, class) {
        (Step::Abort, _) => Next::Nothing,
        (Step::Single, class) => Next::Finish(class),
        (Step::Create, ErrorClass::None) => match upload_id(&exchange.answer.text) {
            Some(id) => {
                upload.id.clear();
                upload.id.push_str(id);
                upload.etags.clear();
                Next::Send(Step::Part(0))
            }
            None => Next::Finish(ErrorClass::Protocol),
        },
        (Step::Create, class) => Next::Finish(class),
        (Step::Part(number), ErrorClass::None) => match etag(&exchange.answer.etag) {
            Some(etag) => {
                upload.etags.push(etag.to_owned());
                Next::Send(if number + 1 < parts {
                    Step::Part(number + 1)
                } else {
                    Step::Complete
                })
            }
            None => Next::FinishAndAbort(ErrorClass::Protocol),
        },
        (Step::Complete, ErrorClass::None) => Next::Finish(ErrorClass::None),
        (Step::Part(_) | Step::Complete, class) => Next::FinishAndAbort(class),
    }
}

/// A status of 2xx is good only if it is what was asked for.
fn class_of_good(op: Op, step: Step, answer: &mut Answer) -> ErrorClass {
    let right = match (op, step) {
        (Op::Put, _) | (Op::Multipart, Step::Part(_)) => matches!(answer.status, 200 | 201 | 204),
        (Op::Delete, _) => matches!(answer.status, 200 | 202 | 204),
        (Op::List, _) => {
            answer.status == 200 && outcome::find(&answer.text, b"<ListBucketResult").is_some()
        }
        (Op::Multipart, Step::Complete) => {
            answer.status == 200
                && outcome::find(&answer.text, b"<CompleteMultipartUploadResult").is_some()
        }
        _ => answer.status == 200,
    };
    if right {
        ErrorClass::None
    } else {
        ErrorClass::Protocol
    }
}

fn upload_id(text: &[u8]) -> Option<&str> {
    let id = outcome::text_of(text, b"<UploadId>")?;
    let id = std::str::from_utf8(id).ok()?;
    (!id.is_empty() && id.len() <= UPLOAD_ID_BYTES_MAX).then_some(id)
}

fn etag(value: &[u8]) -> Option<&str> {
    let etag = std::str::from_utf8(value.trim_ascii()).ok()?;
    let plain = etag
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"<>&".contains(&byte));
    (!etag.is_empty() && etag.len() <= ETAG_BYTES_MAX && plain).then_some(etag)
}

/// The body that completes an upload.
pub fn completion(etags: &[String], out: &mut Vec<u8>) {
    use std::io::Write;
    out.extend_from_slice(
        b"<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
    );
    for (index, etag) in etags.iter().enumerate() {
        // Writing into memory cannot fail.
        let _ = write!(
            out,
            "<Part><PartNumber>{}</PartNumber><ETag>{etag}</ETag></Part>",
            index + 1
        );
    }
    out.extend_from_slice(b"</CompleteMultipartUpload>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Reader;
    use crate::wire::http1::{Head, Sink};

    fn answered(status: u16, etag: &[u8], text: &str) -> Exchange {
        let mut exchange = Exchange::default();
        exchange.answer.begin(Reader::Text);
        let etag = Some(etag).filter(|etag| !etag.is_empty());
        exchange.answer.head(&Head {
            status,
            content_length: None,
            etag,
            request_id: None,
        });
        exchange.answer.body(text.as_bytes());
        exchange
    }

    fn next(op: Op, step: Step, status: u16, etag: &[u8], text: &str) -> Next {
        after_answer(op, step, 2, &mut answered(status, etag, text))
    }

    #[test]
    fn single_exchanges_end_by_their_class() {
        use ErrorClass as C;
        for (op, status, text, class) in [
            (Op::Get, 200, "", C::None),
            (Op::Get, 206, "", C::Protocol),
            (Op::Put, 200, "", C::None),
            (Op::Put, 206, "", C::Protocol),
            (
                Op::Put,
                200,
                "<Error><Code>InternalError</Code></Error>",
                C::ErrorInOk,
            ),
            (Op::Delete, 204, "", C::None),
            (
                Op::Delete,
                404,
                "<Error><Code>NoSuchKey</Code></Error>",
                C::NoSuchKey,
            ),
            (Op::List, 200, "<ListBucketResult/>", C::None),
            (Op::List, 200, "<html/>", C::Protocol),
            (Op::Head, 404, "", C::NoSuchKey),
        ] {
            assert_eq!(
                next(op, Step::Single, status, b"", text),
                Next::Finish(class),
                "{op:?} {status}"
            );
        }
    }

    #[test]
    fn an_upload_goes_through_its_steps() {
        let op = Op::Multipart;
        let mut exchange = answered(200, b"", "<X><UploadId> id&1 </UploadId></X>");
        assert_eq!(
            after_answer(op, Step::Create, 2, &mut exchange),
            Next::Send(Step::Part(0))
        );
        assert_eq!(exchange.upload.id, "id&1");
        assert_eq!(
            next(op, Step::Part(0), 200, b"\"e\"", ""),
            Next::Send(Step::Part(1))
        );
        assert_eq!(
            next(op, Step::Part(1), 200, b"\"e\"", ""),
            Next::Send(Step::Complete)
        );
        let done = "<CompleteMultipartUploadResult/>";
        assert_eq!(
            next(op, Step::Complete, 200, b"", done),
            Next::Finish(ErrorClass::None)
        );
    }

    #[test]
    fn an_upload_that_fails_is_cleared_away() {
        use ErrorClass as C;
        let op = Op::Multipart;
        assert_eq!(
            next(op, Step::Create, 503, b"", "<Error><Code>SlowDown</Code>"),
            Next::Finish(C::SlowDown)
        );
        assert_eq!(
            next(op, Step::Create, 200, b"", "no id"),
            Next::Finish(C::Protocol)
        );
        assert_eq!(
            next(op, Step::Part(0), 500, b"", ""),
            Next::FinishAndAbort(C::InternalError)
        );
        assert_eq!(
            next(op, Step::Part(0), 200, b"", ""),
            Next::FinishAndAbort(C::Protocol)
        );
        assert_eq!(
            next(op, Step::Part(0), 200, b"<a>", ""),
            Next::FinishAndAbort(C::Protocol)
        );
        let error = "  <Error><Code>InternalError</Code></Error>";
        assert_eq!(
            next(op, Step::Complete, 200, b"", error),
            Next::FinishAndAbort(C::ErrorInOk)
        );
        assert_eq!(
            next(op, Step::Complete, 200, b"", ""),
            Next::FinishAndAbort(C::Protocol)
        );
        assert_eq!(next(op, Step::Abort, 500, b"", ""), Next::Nothing);
    }

    #[test]
    fn completion_numbers_parts_from_one() {
        let mut out = Vec::new();
        completion(&["\"a\"".to_owned(), "\"b\"".to_owned()], &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.contains(
                "<Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag></Part><Part><PartNumber>2<"
            ),
            "{text}"
        );
    }
}
