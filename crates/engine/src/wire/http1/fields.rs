//! The header fields of an answer that decide its framing and its meaning.

use super::Malformed;

/// The header fields that matter.
pub(super) struct Fields<'a> {
    pub content_length: Option<u64>,
    pub chunked: bool,
    pub keep_alive: bool,
    pub etag: Option<&'a [u8]>,
    pub request_id: Option<&'a [u8]>,
    pub version_id: Option<&'a [u8]>,
    pub content_range: Option<&'a [u8]>,
    pub crc32: Option<&'a [u8]>,
    pub crc32c: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    /// Refuses what contradicts itself.
    pub fn read(headers: &[httparse::Header<'a>], is_1_1: bool) -> Result<Self, Malformed> {
        let mut fields = Self {
            content_length: None,
            chunked: false,
            keep_alive: is_1_1,
            etag: None,
            request_id: None,
            version_id: None,
            content_range: None,
            crc32: None,
            crc32c: None,
        };
        for header in headers {
            let name = header.name;
            // The length of a name rules most of them out at once.
            match name.len() {
                4 if name.eq_ignore_ascii_case("etag") => fields.etag = Some(header.value),
                10 if name.eq_ignore_ascii_case("connection") => fields.connection(header.value),
                14 if name.eq_ignore_ascii_case("content-length") => fields.length(header.value)?,
                13 if name.eq_ignore_ascii_case("content-range") => {
                    fields.content_range = Some(header.value);
                }
                20 if name.eq_ignore_ascii_case("x-amz-checksum-crc32") => {
                    fields.crc32 = Some(header.value);
                }
                21 if name.eq_ignore_ascii_case("x-amz-checksum-crc32c") => {
                    fields.crc32c = Some(header.value);
                }
                16 if name.eq_ignore_ascii_case("x-amz-request-id") => {
                    fields.request_id = Some(header.value);
                }
                16 if name.eq_ignore_ascii_case("x-amz-version-id") => {
                    fields.version_id = Some(header.value);
                }
                17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                    if !header.value.trim_ascii().eq_ignore_ascii_case(b"chunked") || fields.chunked
                    {
                        return Err(Malformed(
                            "the transfer encoding of the answer is not just chunked",
                        ));
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
            return Err(Malformed(
                "the Content-Length of the answer is not a number",
            ));
        }
        let length = value
            .iter()
            .fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        if self.content_length.is_some_and(|other| other != length) {
            return Err(Malformed("the answer has two different Content-Lengths"));
        }
        self.content_length = Some(length);
        Ok(())
    }
}
