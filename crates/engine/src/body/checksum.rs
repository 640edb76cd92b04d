//! The checksums of S3: of a body while it goes by, written as headers and trailers want them.
//!
//! Source: "Checking object integrity in Amazon S3", Amazon S3 User Guide. A CRC is written big endian; everything is
//! base64 (RFC 4648, section 4).

use aws_lc_rs::digest;
use crc_fast::CrcAlgorithm;
use md5::Digest as _;

use crate::plan::ChecksumAlgorithm;

/// Longest text of a checksum: base64 of 32 bytes.
const TEXT_BYTES_MAX: usize = 44;

impl ChecksumAlgorithm {
    /// The header or trailer that carries it.
    #[must_use]
    pub const fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// Its name in `x-amz-checksum-algorithm`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// The element of a body that holds it.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Crc32 => "<ChecksumCRC32>",
            Self::Crc32c => "<ChecksumCRC32C>",
            Self::Crc64Nvme => "<ChecksumCRC64NVME>",
            Self::Sha1 => "<ChecksumSHA1>",
            Self::Sha256 => "<ChecksumSHA256>",
        }
    }

    /// What a multipart object's checksum is made of, as `x-amz-checksum-type` names it: CRCs of parts can be joined to
    /// that of the whole, digests cannot.
    #[must_use]
    pub const fn multipart_type(self) -> &'static str {
        match self {
            Self::Crc32 | Self::Crc32c | Self::Crc64Nvme => "FULL_OBJECT",
            Self::Sha1 | Self::Sha256 => "COMPOSITE",
        }
    }

    /// Bytes of its text.
    #[must_use]
    pub const fn text_length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 8,
            Self::Crc64Nvme => 12,
            Self::Sha1 => 28,
            Self::Sha256 => 44,
        }
    }
}

/// A checksum, base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    text: [u8; TEXT_BYTES_MAX],
    length: usize,
}

impl Sum {
    /// Of at most 32 bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = [b'='; TEXT_BYTES_MAX];
        for (place, group) in text.chunks_exact_mut(4).zip(bytes.chunks(3)) {
            let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for (at, digit) in place[..=group.len()].iter_mut().enumerate() {
                *digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            }
        }
        Self {
            text,
            length: bytes.len().div_ceil(3) * 4,
        }
    }

    /// As somebody else wrote it; None when it is no checksum of that kind.
    #[must_use]
    pub fn read(algorithm: ChecksumAlgorithm, text: &[u8]) -> Option<Self> {
        let digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
        (text.len() == algorithm.text_length() && text.iter().all(digit)).then(|| {
            let mut sum = Self {
                text: [b'='; TEXT_BYTES_MAX],
                length: text.len(),
            };
            sum.text[..text.len()].copy_from_slice(text);
            sum
        })
    }

    /// MD5, as `content-md5` wants it.
    #[must_use]
    pub fn md5(bytes: &[u8]) -> Self {
        Self::of(&md5::Md5::digest(bytes))
    }

    /// As it is sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

/// A checksum while its bytes go by.
#[derive(Clone)]
#[allow(clippy::large_enum_variant)] // a box would be an allocation for every body
pub enum Summing {
    /// CRC-32, CRC-32C, CRC-64/NVME.
    Crc(crc_fast::Digest, ChecksumAlgorithm),
    /// SHA-1, SHA-256.
    Digest(digest::Context),
}

impl std::fmt::Debug for Summing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Summing").finish_non_exhaustive()
    }
}

impl Summing {
    /// Of nothing so far.
    #[must_use]
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        let crc = |kind| Self::Crc(crc_fast::Digest::new(kind), algorithm);
        match algorithm {
            ChecksumAlgorithm::Crc32 => crc(CrcAlgorithm::Crc32IsoHdlc),
            ChecksumAlgorithm::Crc32c => crc(CrcAlgorithm::Crc32Iscsi),
            ChecksumAlgorithm::Crc64Nvme => crc(CrcAlgorithm::Crc64Nvme),
            ChecksumAlgorithm::Sha1 => {
                Self::Digest(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY))
            }
            ChecksumAlgorithm::Sha256 => Self::Digest(digest::Context::new(&digest::SHA256)),
        }
    }

    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc(crc, _) => crc.update(bytes),
            Self::Digest(context) => context.update(bytes),
        }
    }

    /// Of everything that went by.
    #[must_use]
    pub fn finish(self) -> Sum {
        match self {
            Self::Crc(crc, ChecksumAlgorithm::Crc64Nvme) => Sum::of(&crc.finalize().to_be_bytes()),
            Self::Crc(crc, _) => Sum::of(&crc.finalize().to_be_bytes()[4..]),
            Self::Digest(context) => Sum::of(context.finish().as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ChecksumAlgorithm as A;

    fn text(sum: Sum) -> String {
        String::from_utf8(sum.as_bytes().to_vec()).unwrap()
    }

    /// Of "123456789". The CRCs are the check values of the CRC catalogue (CBF43926, E3069283, AE8B14860A799888); the
    /// digests were made with Python's hashlib.
    #[test]
    fn check_values() {
        let cases = [
            (A::Crc32, "y/Q5Jg=="),
            (A::Crc32c, "4waSgw=="),
            (A::Crc64Nvme, "rosUhgp5mIg="),
            (A::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE="),
            (A::Sha256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
        ];
        for (algorithm, expected) in cases {
            for portion in [1, 4, 9] {
                let mut summing = Summing::new(algorithm);
                b"123456789"
                    .chunks(portion)
                    .for_each(|part| summing.update(part));
                let sum = summing.finish();
                assert_eq!(text(sum), expected, "{algorithm:?}");
                assert_eq!(sum.as_bytes().len(), algorithm.text_length());
            }
        }
    }

    /// RFC 4648, section 10, and RFC 1321, appendix A.5.
    #[test]
    fn base64_and_md5_are_those_of_their_standards() {
        let cases = [
            "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy",
        ];
        for (length, expected) in cases.iter().enumerate() {
            assert_eq!(text(Sum::of(&b"foobar"[..length])), *expected);
        }
        assert_eq!(text(Sum::md5(b"")), "1B2M2Y8AsgTpgAmY7PhCfg==");
        assert_eq!(text(Sum::md5(b"abc")), "kAFQmDzST7DWlj99KOF/cg==");
    }
}
