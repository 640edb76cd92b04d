//! What the whole answer to an exchange means, and what comes next.

use super::upload::Upload;
use super::{Exchange, Flight, Next, Step};
use crate::answer::{Answer, ContentRange};
use crate::body::checksum::Sum;
use crate::operation::{ErrorClass, Op};
use crate::outcome;
use crate::plan::ChecksumAlgorithm;
use crate::wire::outgoing::NamedSum;
use crate::xml;

/// Judges the whole answer to the present exchange. `upload`: the operation's, if it has one; `pages`: how many pages a
/// listing follows.
pub fn after_answer(
    flight: &Flight,
    exchange: &mut Exchange,
    upload: Option<&mut Upload>,
    pages: u32,
) -> Next {
    let sum = exchange.outgoing.sum();
    let answer = &mut exchange.answer;
    let class = match answer.class() {
        ErrorClass::None => class_of_good(flight, answer),
        other => class_of_refusal(flight, other),
    };
    match (flight.step, upload) {
        (Step::Abort, _) => Next::Nothing,
        (step @ (Step::Single | Step::Page(_)), _) => {
            if flight.op.is_list() && class == ErrorClass::None {
                return after_page(step, answer, pages);
            }
            Next::Finish(class)
        }
        (step, Some(upload)) => {
            if let Step::Part(part) = step {
                upload.part_summed(part, sum.or_else(|| copied_sum(&answer.text)));
            }
            after_step(flight.op, step, class, answer, upload)
        }
        // every upload has its entry
        (_, None) => Next::Finish(ErrorClass::Protocol),
    }
}

fn after_page(step: Step, answer: &mut Answer, pages: u32) -> Next {
    let page = match step {
        Step::Page(page) => page,
        _ => 0,
    };
    match answer.listing.page() {
        Ok(true) if page + 1 < pages => Next::Send(Step::Page(page + 1)),
        Ok(_) => Next::Finish(ErrorClass::None),
        Err(class) => Next::Finish(class),
    }
}

fn after_step(
    op: Op,
    step: Step,
    class: ErrorClass,
    answer: &mut Answer,
    upload: &mut Upload,
) -> Next {
    if class != ErrorClass::None {
        return match step {
            Step::Create => Next::Finish(class),
            _ => Next::Fail(class),
        };
    }
    match step {
        Step::Create => match upload.created(&answer.text) {
            Ok(()) => Next::GoOn,
            Err(class) => Next::Finish(class),
        },
        Step::Part(part) => {
            if op == Op::MultipartCopy {
                take_copied_etag(answer);
            }
            match upload.part_done(part, &answer.etag) {
                Ok(()) => Next::GoOn,
                Err(class) => Next::Fail(class),
            }
        }
        Step::ListParts if upload.is_listed(&answer.text) => Next::Send(Step::GiveUp),
        Step::ListParts => Next::Fail(ErrorClass::Protocol),
        _ => Next::Finish(ErrorClass::None),
    }
}

/// The checksum of a part that was copied, as the server tells it.
fn copied_sum(text: &[u8]) -> Option<NamedSum> {
    ChecksumAlgorithm::ALL.into_iter().find_map(|algorithm| {
        let told = outcome::text_of(text, algorithm.tag().as_bytes())?;
        Some((algorithm, Sum::read(algorithm, told)?))
    })
}

/// A part that was copied has its `ETag` in the body of the answer.
fn take_copied_etag(answer: &mut Answer) {
    answer.etag.clear();
    if let Some(etag) = outcome::text_of(&answer.text, b"<ETag>") {
        answer.etag.extend_from_slice(etag);
        xml::resolve(&mut answer.etag);
    }
}

/// What was refused as it was asked to be, is as it should be.
fn class_of_refusal(flight: &Flight, class: ErrorClass) -> ErrorClass {
    use ErrorClass as C;
    match (flight.op, class) {
        // A key of its own, made for this request, cannot exist.
        (Op::PutIfNoneMatch, C::PreconditionFailed) if !flight.creates => C::None,
        // Others may have written meanwhile, whom this shard does not hear of.
        (Op::PutIfMatch | Op::GetIfMatch, C::PreconditionFailed) => C::None,
        (Op::GetIfNoneMatch, C::NotModified) | (Op::GetDeleted, C::NoSuchKey) => C::None,
        _ => class,
    }
}

/// A status of 2xx is good only if it is what was asked for.
fn class_of_good(flight: &Flight, answer: &Answer) -> ErrorClass {
    let status = answer.status;
    let written = matches!(status, 200 | 201 | 204);
    let right = match (flight.op, flight.step) {
        (Op::MultipartCopy, Step::Part(_)) => status == 200 && has(answer, b"<CopyPartResult"),
        (_, Step::Part(_)) => written,
        (_, Step::Complete) => status == 200 && has(answer, b"<CompleteMultipartUploadResult"),
        (_, Step::GiveUp | Step::Abort) => matches!(status, 200 | 204),
        (Op::PutIfNoneMatch, _) if !flight.creates && written => {
            return ErrorClass::ConditionIgnored
        }
        (Op::GetIfMatch | Op::GetIfNoneMatch, _) if status == 200 => {
            return class_of_condition(flight, answer)
        }
        (Op::GetDeleted, _) if status == 200 => return ErrorClass::Resurrected,
        (Op::AbortedPut, _) => false,
        (op, _) if op.is_put() => written,
        (Op::Delete | Op::DeleteVersion, _) => matches!(status, 200 | 202 | 204),
        (Op::GetRange, _) => status == 206 && is_asked_range(flight, answer),
        (Op::GetPart, _) => matches!(status, 200 | 206) && is_asked_part(flight, answer),
        (Op::PutTags | Op::PutRetention, _) => matches!(status, 200 | 204),
        (Op::Copy, _) => status == 200 && has(answer, b"<CopyObjectResult"),
        (Op::MultiDelete, _) => status == 200 && answer.deletions.is_answered(),
        _ => status == 200,
    };
    if right {
        ErrorClass::None
    } else {
        ErrorClass::Protocol
    }
}

fn has(answer: &Answer, tag: &[u8]) -> bool {
    outcome::find(&answer.text, tag).is_some()
}

/// A whole object in answer to a condition on its `ETag`: the answer's own `ETag` says whether it was heeded. An object
/// that was written meanwhile has another, and is rightly sent to whoever does not have it yet.
fn class_of_condition(flight: &Flight, answer: &Answer) -> ErrorClass {
    let sent = answer.etag.trim_ascii();
    let same = sent == flight.known.etag.as_str().as_bytes();
    let wanted = flight.op == Op::GetIfMatch;
    if sent.is_empty() || same == wanted {
        ErrorClass::None
    } else {
        ErrorClass::ConditionIgnored
    }
}

/// Exactly the bytes that were asked for, or all from there to the end of the object.
fn is_asked_range(flight: &Flight, answer: &Answer) -> bool {
    let (start, end) = flight.range;
    let Some(range) = answer.content_range else {
        return false;
    };
    range.start == start && range.end == end.min(range.total) && has_length_of(answer, range)
}

/// A part says where it lies, or at least is as long as it must be.
fn is_asked_part(flight: &Flight, answer: &Answer) -> bool {
    let (start, end) = flight.range;
    match answer.content_range {
        Some(range) => {
            (range.start, range.end) == (start, end)
                && range.total == flight.size
                && has_length_of(answer, range)
        }
        None => answer.bytes == end - start,
    }
}

fn has_length_of(answer: &Answer, range: ContentRange) -> bool {
    let length = range.end - range.start;
    answer.content_length.is_none_or(|bytes| bytes == length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{Document, Reader};
    use crate::memory::Known;
    use crate::operation::Key;
    use crate::text::ETag;
    use crate::wire::http1::{Head, Sink};

    /// An answer to one exchange of a flight.
    fn answered(flight: &Flight, head: &Head<'_>, text: &str) -> Exchange {
        let mut exchange = Exchange::default();
        let answer = &mut exchange.answer;
        answer.listing.begin(flight.op, b"", 10);
        answer.deletions.begin(b"");
        let reader = match flight.op {
            op if op.is_list() => Reader::Read(Document::Listing),
            Op::MultiDelete => Reader::Read(Document::Deletions),
            _ => Reader::Text,
        };
        answer.begin(reader);
        answer.head(head);
        answer.body(text.as_bytes());
        exchange
    }

    fn flight(op: Op, step: Step) -> Flight {
        Flight {
            op,
            step,
            ..Flight::NONE
        }
    }

    fn next(flight: &Flight, status: u16, etag: &[u8], text: &str) -> Next {
        let head = Head {
            status,
            etag: Some(etag).filter(|etag| !etag.is_empty()),
            ..Head::default()
        };
        let mut upload = Upload::default();
        upload.begin(2);
        let mut exchange = answered(flight, &head, text);
        after_answer(flight, &mut exchange, Some(&mut upload), 3)
    }

    #[test]
    fn single_exchanges_end_by_their_class() {
        use ErrorClass as C;
        let error = |code: &str| format!("<Error><Code>{code}</Code></Error>");
        let list = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
        for (op, status, text, class) in [
            (Op::Get, 200, "", C::None),
            (Op::Get, 206, "", C::Protocol),
            (Op::Put, 200, "", C::None),
            (Op::Put, 206, "", C::Protocol),
            (Op::Put, 200, &error("InternalError"), C::ErrorInOk),
            (Op::Delete, 204, "", C::None),
            (Op::Delete, 404, &error("NoSuchKey"), C::NoSuchKey),
            (Op::List, 200, list, C::None),
            (Op::ListV1, 200, list, C::None),
            (Op::ListVersions, 200, list, C::Protocol),
            (Op::List, 200, "<html/>", C::Protocol),
            (Op::Head, 404, "", C::NoSuchKey),
            (Op::GetDeleted, 404, "", C::None),
            (Op::GetDeleted, 200, "", C::Resurrected),
            (Op::GetVersion, 404, &error("NoSuchVersion"), C::NoSuchKey),
            (Op::PutIfNoneMatch, 412, "", C::None),
            (Op::PutIfNoneMatch, 200, "", C::ConditionIgnored),
            (Op::PutIfMatch, 412, "", C::None),
            (Op::PutIfMatch, 200, "", C::None),
            (Op::GetIfNoneMatch, 304, "", C::None),
            (Op::Get, 304, "", C::NotModified),
            (Op::Put, 412, "", C::PreconditionFailed),
            (Op::GetRange, 416, "", C::InvalidRange),
            (Op::GetRange, 200, "", C::Protocol),
            (Op::GetRange, 206, "", C::Protocol),
            (Op::AbortedPut, 200, "", C::Protocol),
            (Op::Copy, 200, "\n <CopyObjectResult/>", C::None),
            (Op::Copy, 200, &error("InternalError"), C::ErrorInOk),
            (Op::Copy, 200, "", C::Protocol),
            (Op::MultiDelete, 200, "<DeleteResult/>", C::None),
            (Op::MultiDelete, 200, "", C::Protocol),
            (Op::PutRetention, 501, "", C::NotImplemented),
        ] {
            let flight = flight(op, Step::Single);
            assert_eq!(
                next(&flight, status, b"", text),
                Next::Finish(class),
                "{op:?} {status} {text}"
            );
        }
        let fresh = Flight {
            creates: true,
            ..flight(Op::PutIfNoneMatch, Step::Single)
        };
        assert_eq!(next(&fresh, 200, b"", ""), Next::Finish(C::None));
        assert_eq!(
            next(&fresh, 412, b"", ""),
            Next::Finish(C::PreconditionFailed)
        );
    }

    #[test]
    fn the_etag_of_the_answer_tells_whether_a_condition_was_heeded() {
        use ErrorClass as C;
        for (op, etag, class) in [
            (Op::GetIfMatch, &b"\"a\""[..], C::None),
            (Op::GetIfMatch, b"\"b\"", C::ConditionIgnored),
            (Op::GetIfNoneMatch, b"\"a\"", C::ConditionIgnored),
            (Op::GetIfNoneMatch, b"\"b\"", C::None),
            (Op::GetIfNoneMatch, b"", C::None),
        ] {
            let flight = Flight {
                known: Known {
                    etag: ETag::of(b"\"a\""),
                    ..Known::NONE
                },
                ..flight(op, Step::Single)
            };
            assert_eq!(next(&flight, 200, etag, ""), Next::Finish(class), "{op:?}");
        }
    }

    #[test]
    fn a_range_is_what_was_asked_for_or_none() {
        let class = |op, value: &str, length| {
            let flight = Flight {
                range: (100, 200),
                size: 1000,
                ..flight(op, Step::Single)
            };
            let head = Head {
                status: 206,
                content_range: Some(value.as_bytes()).filter(|value| !value.is_empty()),
                content_length: length,
                ..Head::default()
            };
            let mut exchange = answered(&flight, &head, &"x".repeat(100));
            after_answer(&flight, &mut exchange, None, 1) == Next::Finish(ErrorClass::None)
        };
        assert!(class(Op::GetRange, "bytes 100-199/1000", None));
        assert!(class(Op::GetRange, "bytes 100-199/1000", Some(100)));
        assert!(
            class(Op::GetRange, "bytes 100-149/150", Some(50)),
            "cut by the end"
        );
        for wrong in [
            "bytes 100-198/1000",
            "bytes 100-200/1000",
            "bytes 99-198/1000",
            "bytes 100-149/1000",
            "bytes 0-99/1000",
            "",
        ] {
            assert!(!class(Op::GetRange, wrong, None), "{wrong}");
        }
        assert!(!class(Op::GetRange, "bytes 100-199/1000", Some(99)));
        assert!(class(Op::GetPart, "bytes 100-199/1000", None));
        assert!(class(Op::GetPart, "", None));
        assert!(!class(Op::GetPart, "bytes 100-199/1001", None));
    }

    #[test]
    fn listings_follow_so_many_pages() {
        let page = "<ListBucketResult><IsTruncated>true</IsTruncated>\
                    <NextContinuationToken>t</NextContinuationToken></ListBucketResult>";
        let after = |step| next(&flight(Op::List, step), 200, b"", page);
        assert_eq!(after(Step::Single), Next::Send(Step::Page(1)));
        assert_eq!(after(Step::Page(1)), Next::Send(Step::Page(2)));
        assert_eq!(after(Step::Page(2)), Next::Finish(ErrorClass::None));
    }

    #[test]
    fn an_upload_goes_through_its_steps() {
        let after = |op, step, etag: &[u8], text| next(&flight(op, step), 200, etag, text);
        let created = "<X><UploadId>id</UploadId></X>";
        assert_eq!(after(Op::Multipart, Step::Create, b"", created), Next::GoOn);
        assert_eq!(
            after(Op::Multipart, Step::Part(0), b"\"e\"", ""),
            Next::GoOn
        );
        let copied = "<CopyPartResult><ETag>&quot;e&quot;</ETag></CopyPartResult>";
        assert_eq!(
            after(Op::MultipartCopy, Step::Part(0), b"", copied),
            Next::GoOn
        );
        let done = "<CompleteMultipartUploadResult/>";
        assert_eq!(
            after(Op::Multipart, Step::Complete, b"", done),
            Next::Finish(ErrorClass::None)
        );
        let listed = "<ListPartsResult/>";
        assert_eq!(
            after(Op::MultipartAbort, Step::ListParts, b"", listed),
            Next::Send(Step::GiveUp)
        );
        assert_eq!(
            next(&flight(Op::MultipartAbort, Step::GiveUp), 204, b"", ""),
            Next::Finish(ErrorClass::None)
        );
    }

    #[test]
    fn an_upload_that_fails_is_cleared_away() {
        use ErrorClass as C;
        let error = "  <Error><Code>InternalError</Code></Error>";
        for (op, step, status, text, expected) in [
            (
                Op::Multipart,
                Step::Create,
                503,
                "<Error><Code>SlowDown</Code>",
                Next::Finish(C::SlowDown),
            ),
            (
                Op::Multipart,
                Step::Create,
                200,
                "no id",
                Next::Finish(C::Protocol),
            ),
            (
                Op::Multipart,
                Step::Part(0),
                500,
                "",
                Next::Fail(C::InternalError),
            ),
            (
                Op::Multipart,
                Step::Part(0),
                200,
                "",
                Next::Fail(C::Protocol),
            ),
            (
                Op::MultipartCopy,
                Step::Part(0),
                200,
                "<CopyPartResult/>",
                Next::Fail(C::Protocol),
            ),
            (
                Op::MultipartCopy,
                Step::Part(0),
                200,
                error,
                Next::Fail(C::ErrorInOk),
            ),
            (
                Op::Multipart,
                Step::Complete,
                200,
                error,
                Next::Fail(C::ErrorInOk),
            ),
            (
                Op::Multipart,
                Step::Complete,
                200,
                "",
                Next::Fail(C::Protocol),
            ),
            (
                Op::MultipartAbort,
                Step::ListParts,
                200,
                "",
                Next::Fail(C::Protocol),
            ),
            (
                Op::MultipartAbort,
                Step::GiveUp,
                404,
                "",
                Next::Fail(C::NoSuchKey),
            ),
            (Op::Multipart, Step::Abort, 500, "", Next::Nothing),
        ] {
            let flight = Flight {
                key: Key(1),
                ..flight(op, step)
            };
            assert_eq!(
                next(&flight, status, b"", text),
                expected,
                "{op:?} {step:?} {text}"
            );
        }
    }
}
