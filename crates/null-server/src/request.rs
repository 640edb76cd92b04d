//! Requests, as far as a store that does nothing must understand them.

use maul_engine::operation::{Key, Region};

use crate::incoming::{Chunked, Incoming};

/// Longest head of a request, bytes.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most header fields of a request.
const FIELDS_MAX: usize = 64;
/// Digits of the index in an object's name, at least.
const INDEX_DIGITS_MIN: usize = 12;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
    /// POST.
    Post,
    /// Anything else.
    Other,
}

impl Method {
    fn of(word: &str) -> Self {
        match word {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "POST" => Self::Post,
            _ => Self::Other,
        }
    }
}

/// The request line and the few header fields that matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What.
    pub method: Method,
    /// The object asked for; None: the bucket itself.
    pub key: Option<Key>,
    /// The object's size by the name of its bucket.
    pub size: Option<u64>,
    /// First and last byte asked for, as the client said it.
    pub range: Option<(Option<u64>, Option<u64>)>,
    /// The sub-resource that decides the form of the answer.
    pub sub: Sub,
    /// PUT with `x-amz-copy-source`: nothing is sent, nothing is stored.
    pub copies: bool,
    /// The client waits for `100 Continue`.
    pub expects: bool,
    /// The client wants the connection closed.
    pub close: bool,
    /// The body to be swallowed.
    pub body: Incoming,
}

/// Sub-resources, by their query parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sub {
    /// The resource itself.
    None,
    /// `?uploads`: begin an upload.
    Uploads,
    /// `?uploadId=…`: a part, the end or the list of one.
    UploadId,
    /// `?delete`: many at once.
    Delete,
    /// `?versions`.
    Versions,
    /// `?tagging`, `?retention`, `?versioning` …: something small about the resource.
    Other,
}

/// Why a request cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// It is not HTTP as we speak it.
    Syntax,
    /// Its head has no end within bounds.
    TooLong,
}

/// Reads one head: the request and its length; None while it is not whole.
///
/// # Errors
/// When it never will be.
pub fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, Bad> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut fields);
    let length = match head.parse(&bytes[..bytes.len().min(HEAD_BYTES_MAX)]) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() >= HEAD_BYTES_MAX => return Err(Bad::TooLong),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Bad::TooLong),
        Err(_) => return Err(Bad::Syntax),
    };
    let target = head.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (size, key) = place(path);
    let mut request = Request {
        method: Method::of(head.method.unwrap_or("")),
        key,
        size,
        range: None,
        sub: sub(query),
        copies: false,
        expects: false,
        close: head.version == Some(0),
        body: Incoming::None,
    };
    for field in head.headers.iter() {
        request.heed(field.name, field.value)?;
    }
    Ok(Some((request, length)))
}

impl Request {
    fn heed(&mut self, name: &str, value: &[u8]) -> Result<(), Bad> {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        match name.len() {
            14 if is("content-length") => {
                let length = number(value).ok_or(Bad::Syntax)?;
                match self.body {
                    Incoming::None => self.body = Incoming::of_length(length),
                    // Whoever frames a body twice may mean two bodies.
                    _ => return Err(Bad::Syntax),
                }
            }
            17 if is("transfer-encoding") => match self.body {
                Incoming::None if value.eq_ignore_ascii_case(b"chunked") => {
                    self.body = Incoming::Chunked(Chunked::default());
                }
                _ => return Err(Bad::Syntax),
            },
            6 if is("expect") => self.expects = value.eq_ignore_ascii_case(b"100-continue"),
            10 if is("connection") => self.close |= value.eq_ignore_ascii_case(b"close"),
            5 if is("range") => self.range = range(value),
            17 if is("x-amz-copy-source") => self.copies = true,
            _ => {}
        }
        Ok(())
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    // `parse` would take a sign.
    let whole = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| whole)?
        .parse()
        .ok()
}

/// `bytes=first-last`, either of which may be missing.
fn range(value: &[u8]) -> Option<(Option<u64>, Option<u64>)> {
    let span = value.strip_prefix(b"bytes=")?;
    let dash = span.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (number(&span[..dash]), number(&span[dash + 1..]));
    (first.is_some() || last.is_some()).then_some((first, last))
}

/// What `/bucket/prefix/key` means: the size by the bucket's name, and the key if one is named.
fn place(path: &str) -> (Option<u64>, Option<Key>) {
    let path = path.strip_prefix('/').unwrap_or(path);
    let (bucket, name) = path.split_once('/').unwrap_or((path, ""));
    let size = bucket
        .rsplit_once('-')
        .and_then(|(_, digits)| number(digits.as_bytes()));
    let key = (!name.is_empty()).then(|| key_of(name));
    (size, key)
}

/// The key whose blocks the object of that name carries: its own, or of a copy the original's. Key 0 for any name that
/// maul does not give, so that every object exists.
fn key_of(name: &str) -> Key {
    let last = name.rsplit('/').next().unwrap_or(name).as_bytes();
    let named = last.split_first().and_then(|(letter, digits)| {
        let region = [
            Region::Base,
            Region::Ephemeral,
            Region::Multipart,
            Region::Copy,
        ]
        .into_iter()
        .find(|region| region.letter() == *letter)?;
        let digits = std::str::from_utf8(digits).ok().filter(|digits| {
            digits.len() >= INDEX_DIGITS_MIN && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })?;
        let of = if region == Region::Copy {
            Region::Base
        } else {
            region
        };
        Some(Key::new(of, u64::from_str_radix(digits, 16).ok()?))
    });
    named.unwrap_or(Key::new(Region::Base, 0))
}

fn sub(query: &str) -> Sub {
    query
        .split('&')
        .map(|parameter| parameter.split('=').next().unwrap_or(""))
        .find_map(|name| match name {
            "uploads" => Some(Sub::Uploads),
            "uploadId" => Some(Sub::UploadId),
            "delete" => Some(Sub::Delete),
            "versions" => Some(Sub::Versions),
            "tagging" | "retention" | "legal-hold" | "versioning" | "location" | "acl" => {
                Some(Sub::Other)
            }
            _ => None,
        })
        .unwrap_or(Sub::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Request {
        parse(text.as_bytes()).unwrap().unwrap().0
    }

    #[test]
    fn a_key_of_ours_is_known_by_its_name_and_its_size_by_the_bucket() {
        let mut path = b"GET /null-65536/".to_vec();
        Key::new(Region::Ephemeral, 0xabc).write_name(b"maul/r1/", &mut path);
        path.extend_from_slice(b" HTTP/1.1\r\n\r\n");
        let (request, length) = parse(&path).unwrap().unwrap();
        assert_eq!(request.key, Some(Key::new(Region::Ephemeral, 0xabc)));
        assert_eq!(request.size, Some(65_536));
        assert_eq!(length, path.len());
        let other = one("GET /bucket/anything/at%20all HTTP/1.1\r\n\r\n");
        assert_eq!(other.key, Some(Key::new(Region::Base, 0)));
        assert_eq!(other.size, None);
        assert_eq!(one("GET /bucket?list-type=2 HTTP/1.1\r\n\r\n").key, None);
    }

    #[test]
    fn a_head_in_parts_is_waited_for_and_one_without_an_end_is_not() {
        assert_eq!(parse(b"GET /b/k HTTP/1.1\r\nhost: x\r\n"), Ok(None));
        let endless = [b"GET / HTTP/1.1\r\n".as_slice(), &[b'a'; HEAD_BYTES_MAX]].concat();
        assert_eq!(parse(&endless), Err(Bad::TooLong));
        let many = format!(
            "GET / HTTP/1.1\r\n{}\r\n",
            "a: b\r\n".repeat(FIELDS_MAX + 1)
        );
        assert_eq!(parse(many.as_bytes()), Err(Bad::TooLong));
    }

    #[test]
    fn whoever_frames_a_body_twice_is_refused() {
        for fields in [
            "content-length: 4\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
            "content-length: 4\r\ncontent-length: 5\r\n",
            "content-length: -4\r\n",
            "content-length: +4\r\n",
            "content-length: 99999999999999999999999\r\n",
            "transfer-encoding: gzip\r\n",
        ] {
            let text = format!("PUT /b/k HTTP/1.1\r\n{fields}\r\n");
            assert_eq!(parse(text.as_bytes()), Err(Bad::Syntax), "{fields}");
        }
    }

    #[test]
    fn ranges_and_sub_resources() {
        assert_eq!(
            one("GET /b/k HTTP/1.1\r\nRange: bytes=5-9\r\n\r\n").range,
            Some((Some(5), Some(9)))
        );
        assert_eq!(
            one("GET /b/k HTTP/1.1\r\nRange: bytes=-9\r\n\r\n").range,
            Some((None, Some(9)))
        );
        assert_eq!(
            one("GET /b/k HTTP/1.1\r\nRange: lines=1-2\r\n\r\n").range,
            None
        );
        assert_eq!(one("POST /b/k?uploads HTTP/1.1\r\n\r\n").sub, Sub::Uploads);
        assert_eq!(
            one("PUT /b/k?partNumber=1&uploadId=x HTTP/1.1\r\n\r\n").sub,
            Sub::UploadId
        );
        assert_eq!(one("POST /b?delete= HTTP/1.1\r\n\r\n").sub, Sub::Delete);
    }
}
