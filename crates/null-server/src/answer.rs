//! What a store would answer.

use crate::bodies::Bodies;
use crate::outgoing::{Body, Outgoing};
use crate::request::{Bad, Method, Request, Sub};

const ETAG: &[u8] = b"ETag: \"0123456789abcdef0123456789abcdef\"\r\n";
const LIST: &str = "<ListBucketResult><Name>null</Name><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>";
const VERSIONS: &str =
    "<ListVersionsResult><Name>null</Name><IsTruncated>false</IsTruncated></ListVersionsResult>";
const BEGUN: &str =
    "<InitiateMultipartUploadResult><UploadId>null-upload</UploadId></InitiateMultipartUploadResult>";
const COMPLETED: &str =
    "<CompleteMultipartUploadResult><ETag>\"0123456789abcdef0123456789abcdef-1\"</ETag></CompleteMultipartUploadResult>";
const PARTS: &str = "<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>";
const COPIED: &str =
    "<CopyObjectResult><ETag>\"0123456789abcdef0123456789abcdef\"</ETag></CopyObjectResult>";
const PART_COPIED: &str =
    "<CopyPartResult><ETag>\"0123456789abcdef0123456789abcdef\"</ETag></CopyPartResult>";
const DELETED: &str = "<DeleteResult/>";
const SMALL: &str = "<Result/>";

/// Makes the answers of one thread.
#[derive(Debug)]
pub struct Answerer {
    bodies: Bodies,
    /// Where the bucket's name says no size, bytes.
    object_bytes: u64,
    /// The next request id.
    request_id: u64,
}

impl Answerer {
    /// Answers about the objects of a run; `thread` makes its request ids its own.
    #[must_use]
    pub fn new(run: u64, object_bytes: u64, thread: usize) -> Self {
        Self {
            bodies: Bodies::new(run),
            object_bytes,
            request_id: (thread as u64) << 48,
        }
    }

    /// How many requests were answered.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.request_id & ((1 << 48) - 1)
    }

    /// Puts the answer to a request whose body is swallowed into `out`.
    pub fn answer(&mut self, request: &Request, out: &mut Outgoing) {
        match (request.method, request.key, request.sub) {
            (Method::Get, Some(_), Sub::None) => self.object(request, out),
            (Method::Head, Some(_), _) => {
                let size = request.size.unwrap_or(self.object_bytes);
                self.head(out, b"200 OK", ETAG, size);
            }
            (Method::Head, None, _) => self.head(out, b"200 OK", b"", 0),
            (Method::Get, Some(_), Sub::UploadId) => self.xml(out, PARTS),
            (Method::Get, None, Sub::Versions) => self.xml(out, VERSIONS),
            (Method::Get, None, Sub::None) => self.xml(out, LIST),
            (Method::Get, _, _) => self.xml(out, SMALL),
            (Method::Put, Some(_), Sub::UploadId) if request.copies => self.xml(out, PART_COPIED),
            (Method::Put, Some(_), _) if request.copies => self.xml(out, COPIED),
            (Method::Put, _, _) => self.head(out, b"200 OK", ETAG, 0),
            (Method::Delete, _, _) => self.no_content(out),
            (Method::Post, _, Sub::Uploads) => self.xml(out, BEGUN),
            (Method::Post, _, Sub::UploadId) => self.xml(out, COMPLETED),
            (Method::Post, _, Sub::Delete) => self.xml(out, DELETED),
            (Method::Post | Method::Other, _, _) => {
                self.error(
                    out,
                    b"405 Method Not Allowed",
                    "MethodNotAllowed",
                    request.method,
                );
            }
        }
    }

    /// The last answer on a connection whose peer cannot be understood.
    pub fn refuse(&mut self, bad: Bad, out: &mut Outgoing) {
        match bad {
            Bad::Syntax => self.error(out, b"400 Bad Request", "InvalidRequest", Method::Other),
            Bad::TooLong => self.error(
                out,
                b"431 Request Header Fields Too Large",
                "MetadataTooLarge",
                Method::Other,
            ),
        }
    }

    fn object(&mut self, request: &Request, out: &mut Outgoing) {
        let (Some(key), size) = (request.key, request.size.unwrap_or(self.object_bytes)) else {
            return;
        };
        let Some((start, end)) = stretch(request.range, size) else {
            return self.error(
                out,
                b"416 Range Not Satisfiable",
                "InvalidRange",
                request.method,
            );
        };
        if request.range.is_some() {
            let range = format!("Content-Range: bytes {start}-{}/{size}\r\n", end - 1);
            self.head(out, b"206 Partial Content", range.as_bytes(), end - start);
        } else {
            self.head(out, b"200 OK", ETAG, size);
        }
        let id = self.bodies.id(key, size);
        out.follow(match self.bodies.kept(&id) {
            _ if start == end => Body::None,
            Some(bytes) => Body::Kept {
                bytes,
                at: start as usize,
                end: end as usize,
            },
            None => Body::Made { id, at: start, end },
        });
    }

    fn xml(&mut self, out: &mut Outgoing, body: &str) {
        self.head(
            out,
            b"200 OK",
            b"Content-Type: application/xml\r\n",
            body.len() as u64,
        );
        out.head().extend_from_slice(body.as_bytes());
    }

    fn error(&mut self, out: &mut Outgoing, status: &[u8], code: &str, method: Method) {
        let body = format!("<Error><Code>{code}</Code></Error>");
        self.head(
            out,
            status,
            b"Content-Type: application/xml\r\n",
            body.len() as u64,
        );
        if method != Method::Head {
            out.head().extend_from_slice(body.as_bytes());
        }
    }

    fn no_content(&mut self, out: &mut Outgoing) {
        self.status(out, b"204 No Content");
        out.head().extend_from_slice(b"\r\n");
    }

    fn head(&mut self, out: &mut Outgoing, status: &[u8], fields: &[u8], length: u64) {
        self.status(out, status);
        let head = out.head();
        head.extend_from_slice(fields);
        head.extend_from_slice(b"Content-Length: ");
        write_decimal(length, head);
        head.extend_from_slice(b"\r\n\r\n");
    }

    fn status(&mut self, out: &mut Outgoing, status: &[u8]) {
        self.request_id += 1;
        let head = out.head();
        head.extend_from_slice(b"HTTP/1.1 ");
        head.extend_from_slice(status);
        head.extend_from_slice(b"\r\nx-amz-request-id: ");
        for digit in (0..16).rev() {
            head.push(b"0123456789ABCDEF"[(self.request_id >> (digit * 4) & 15) as usize]);
        }
        head.extend_from_slice(b"\r\n");
    }
}

/// The bytes `[start, end)` of an object that a range means; None when it has none of them.
fn stretch(range: Option<(Option<u64>, Option<u64>)>, size: u64) -> Option<(u64, u64)> {
    let (start, end) = match range {
        None | Some((None, None)) => return Some((0, size)),
        Some((Some(first), last)) => (
            first,
            last.map_or(size, |last| last.saturating_add(1).min(size)),
        ),
        Some((None, Some(last))) => (size.saturating_sub(last), size),
    };
    (start < end).then_some((start, end))
}

fn write_decimal(number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let (mut at, mut rest) = (digits.len(), number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_lie_within_the_object_or_nowhere() {
        assert_eq!(stretch(None, 0), Some((0, 0)));
        assert_eq!(stretch(Some((Some(5), Some(9))), 100), Some((5, 10)));
        assert_eq!(stretch(Some((Some(5), None)), 100), Some((5, 100)));
        assert_eq!(stretch(Some((None, Some(9))), 100), Some((91, 100)));
        assert_eq!(stretch(Some((None, Some(900))), 100), Some((0, 100)));
        assert_eq!(
            stretch(Some((Some(5), Some(u64::MAX))), 100),
            Some((5, 100))
        );
        assert_eq!(stretch(Some((Some(100), None)), 100), None);
        assert_eq!(stretch(Some((Some(9), Some(5))), 100), None);
        assert_eq!(stretch(Some((None, Some(0))), 100), None);
    }

    #[test]
    fn numbers_are_written_whole() {
        for number in [0, 7, 10, 4096, u64::MAX] {
            let mut out = Vec::new();
            write_decimal(number, &mut out);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
