//! From an answer, or the lack of one, to what it means: the error class, and whether the operation took effect.

use crate::operation::{ErrorClass, Op, Outcome};

/// The S3 error code of a body: the text of `<Code>` within `<Error>`.
pub fn error_code(body: &[u8]) -> Option<&[u8]> {
    let error = find(body, b"<Error")?;
    text_of(&body[error..], b"<Code>")
}

/// The text behind an opening tag, up to the next `<`.
pub fn text_of<'a>(body: &'a [u8], tag: &[u8]) -> Option<&'a [u8]> {
    let start = find(body, tag)? + tag.len();
    let length = body[start..].iter().position(|&byte| byte == b'<')?;
    Some(body[start..start + length].trim_ascii())
}

/// Where `needle` begins in `body`.
pub fn find(body: &[u8], needle: &[u8]) -> Option<usize> {
    body.windows(needle.len())
        .position(|window| window == needle)
}

/// The class of a whole answer. `from_s3`: it carries the mark of an S3 server.
pub fn class_of_answer(status: u16, body: &[u8], from_s3: bool) -> ErrorClass {
    let code = error_code(body);
    match status {
        200..=299 if code.is_some() => ErrorClass::ErrorInOk,
        200..=299 => ErrorClass::None,
        429 => ErrorClass::Throttled,
        503 if code.is_some() || from_s3 => ErrorClass::SlowDown,
        502..=504 => ErrorClass::GatewayError,
        500 => ErrorClass::InternalError,
        501 => ErrorClass::NotImplemented,
        505..=599 => ErrorClass::OtherServerError,
        _ => class_of_refusal(status, code.unwrap_or_default()),
    }
}

/// The class of one key's `<Code>` in an answer about many keys, which has no status of its own.
pub fn class_of_code(code: &[u8]) -> ErrorClass {
    match code {
        b"InternalError" => ErrorClass::InternalError,
        b"SlowDown" | b"ServiceUnavailable" => ErrorClass::SlowDown,
        b"NotImplemented" => ErrorClass::NotImplemented,
        _ => class_of_refusal(400, code),
    }
}

fn class_of_refusal(status: u16, code: &[u8]) -> ErrorClass {
    match (code, status) {
        (b"NoSuchKey" | b"NoSuchVersion", _) => ErrorClass::NoSuchKey,
        (b"NoSuchBucket", _) => ErrorClass::NoSuchBucket,
        (b"SignatureDoesNotMatch", _) => ErrorClass::BadSignature,
        (b"InvalidAccessKeyId", _) => ErrorClass::UnknownAccessKey,
        (b"RequestTimeTooSkewed", _) => ErrorClass::ClockSkew,
        (b"AuthorizationHeaderMalformed" | b"PermanentRedirect", _) => ErrorClass::WrongRegion,
        (b"RequestTimeout", _) | (_, 408) => ErrorClass::RequestTimeout,
        (
            b"BadDigest"
            | b"InvalidDigest"
            | b"XAmzContentSHA256Mismatch"
            | b"XAmzContentChecksumMismatch",
            _,
        ) => ErrorClass::ChecksumRefused,
        (b"NotImplemented", _) => ErrorClass::NotImplemented,
        (b"PreconditionFailed", _) | (_, 412) => ErrorClass::PreconditionFailed,
        (b"InvalidRange", _) | (_, 416) => ErrorClass::InvalidRange,
        (_, 304) => ErrorClass::NotModified,
        (b"AccessDenied", _) | (b"", 403) => ErrorClass::AccessDenied,
        // A HEAD has no body to say which of the two is missing.
        (b"", 404) => ErrorClass::NoSuchKey,
        (_, 300..=399) => ErrorClass::Redirect,
        _ => ErrorClass::OtherClientError,
    }
}

/// Whether an operation took effect. `exposed`: some byte was sent that may make it take effect.
///
/// What was declined as it was asked to be is [`ErrorClass::None`], and OK.
pub fn outcome_of(op: Op, class: ErrorClass, exposed: bool) -> Outcome {
    use ErrorClass as C;
    if class == C::None {
        return Outcome::Ok;
    }
    if op.is_read() || !exposed {
        return Outcome::Fail;
    }
    match class {
        C::InternalError
        | C::GatewayError
        | C::OtherServerError
        | C::ErrorInOk
        | C::TlsFailed
        | C::Reset
        | C::Timeout
        | C::Protocol
        // it may have written what it should have declined
        | C::ConditionIgnored
        | C::Stopped => Outcome::Unknown,
        _ => Outcome::Fail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str) -> Vec<u8> {
        format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>x</Message></Error>")
            .into_bytes()
    }

    #[test]
    fn classes_of_answers() {
        use ErrorClass as C;
        let xml = |status, code: &str| class_of_answer(status, &error(code), false);
        let bare = |status| class_of_answer(status, b"", false);
        assert_eq!(bare(200), C::None);
        assert_eq!(bare(204), C::None);
        assert_eq!(xml(200, "InternalError"), C::ErrorInOk);
        assert_eq!(xml(503, "SlowDown"), C::SlowDown);
        assert_eq!(xml(503, "ServiceUnavailable"), C::SlowDown);
        assert_eq!(class_of_answer(503, b"", true), C::SlowDown);
        assert_eq!(
            class_of_answer(503, b"<html>no backend</html>", false),
            C::GatewayError
        );
        assert_eq!(bare(429), C::Throttled);
        assert_eq!(
            (bare(500), bare(502), bare(504)),
            (C::InternalError, C::GatewayError, C::GatewayError)
        );
        assert_eq!(
            (bare(501), bare(505), bare(599)),
            (C::NotImplemented, C::OtherServerError, C::OtherServerError)
        );
        assert_eq!(
            (xml(404, "NoSuchKey"), bare(404)),
            (C::NoSuchKey, C::NoSuchKey)
        );
        assert_eq!(
            (xml(404, "NoSuchBucket"), xml(404, "NoSuchUpload")),
            (C::NoSuchBucket, C::OtherClientError)
        );
        assert_eq!(
            (xml(403, "AccessDenied"), bare(403)),
            (C::AccessDenied, C::AccessDenied)
        );
        assert_eq!(xml(403, "SignatureDoesNotMatch"), C::BadSignature);
        assert_eq!(xml(403, "InvalidAccessKeyId"), C::UnknownAccessKey);
        assert_eq!(xml(403, "RequestTimeTooSkewed"), C::ClockSkew);
        assert_eq!(
            (
                xml(400, "AuthorizationHeaderMalformed"),
                xml(301, "PermanentRedirect")
            ),
            (C::WrongRegion, C::WrongRegion)
        );
        assert_eq!(
            (bare(307), bare(400), xml(403, "Unheard")),
            (C::Redirect, C::OtherClientError, C::OtherClientError)
        );
    }

    #[test]
    fn codes_are_found_only_where_they_belong() {
        assert_eq!(error_code(b"<Code>NoSuchKey</Code>"), None);
        assert_eq!(error_code(b"<Error><Code>NoSuch"), None);
        assert_eq!(
            error_code(b"<Error><Code> SlowDown\n</Code>"),
            Some(&b"SlowDown"[..])
        );
        assert_eq!(error_code(b""), None);
    }

    #[test]
    fn writes_that_may_have_happened_are_unknown() {
        use ErrorClass as C;
        for op in [Op::Put, Op::Delete, Op::Multipart] {
            for class in [
                C::Timeout,
                C::Reset,
                C::InternalError,
                C::GatewayError,
                C::ErrorInOk,
                C::Protocol,
                C::Stopped,
            ] {
                assert_eq!(
                    outcome_of(op, class, true),
                    Outcome::Unknown,
                    "{op:?} {class:?}"
                );
                assert_eq!(
                    outcome_of(op, class, false),
                    Outcome::Fail,
                    "{op:?} {class:?}"
                );
            }
            for class in [
                C::SlowDown,
                C::Throttled,
                C::AccessDenied,
                C::NoSuchKey,
                C::ConnectRefused,
                C::Redirect,
            ] {
                assert_eq!(
                    outcome_of(op, class, true),
                    Outcome::Fail,
                    "{op:?} {class:?}"
                );
            }
            assert_eq!(outcome_of(op, C::None, true), Outcome::Ok);
        }
        for class in [C::Timeout, C::InternalError, C::Corrupt, C::Stopped] {
            assert_eq!(outcome_of(Op::Get, class, true), Outcome::Fail);
        }
    }
}
