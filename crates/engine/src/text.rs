//! Short texts without a heap: what a server named, kept where nothing may be allocated.

/// Up to `N` bytes of printable ASCII; `N` is at most 255.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    length: u8,
    bytes: [u8; N],
}

/// An `ETag`, with its quotes. S3 needs 34 bytes, 40 for a multipart object.
pub type ETag = Text<72>;
/// A version id. AWS uses 32 bytes, SeaweedFS and MinIO 32 to 36.
pub type VersionId = Text<72>;

impl<const N: usize> Text<N> {
    /// Nothing.
    pub const EMPTY: Self = Self {
        length: 0,
        bytes: [0; N],
    };

    /// The text of these bytes; nothing when they are too many, or not printable ASCII, or could end an XML text or a
    /// header line.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let bytes = bytes.trim_ascii();
        let plain = bytes
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !b"<>&".contains(byte));
        let mut text = Self::EMPTY;
        if plain && bytes.len() <= N.min(255) {
            text.bytes[..bytes.len()].copy_from_slice(bytes);
            text.length = bytes.len() as u8;
        }
        text
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }

    /// True when there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl<const N: usize> std::fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_str().fmt(f)
    }
}

impl<const N: usize> PartialEq for Text<N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl<const N: usize> Eq for Text<N> {}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_plain_texts_are_kept() {
        assert_eq!(ETag::of(b" \"abc\" ").as_str(), "\"abc\"");
        for bad in [&b"a b"[..], b"<a>", b"\xff", b"a\r\nb", &[b'x'; 73]] {
            assert!(ETag::of(bad).is_empty(), "{bad:?}");
        }
        assert_eq!(ETag::of(&[b'x'; 72]).as_str().len(), 72);
        assert_eq!(Text::<3>::of(b"abc"), Text::<3>::of(b"abc "));
        assert_ne!(Text::<3>::of(b"abc"), Text::<3>::of(b"abd"));
    }
}
