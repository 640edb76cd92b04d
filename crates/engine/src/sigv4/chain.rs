//! Signatures of a body that is sent in chunks: each covers the one before, the first that of the request.
//!
//! Sources: "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks" and
//! "… Including Trailing Headers (Chunked Upload)", Amazon S3 API Reference.

use std::sync::Arc;

use aws_lc_rs::hmac;

use super::{hex64, Day, Signature, EMPTY_PAYLOAD};

/// The signatures of one body so far. It stays that of its request's day and second, however long the body takes.
#[derive(Clone, Debug)]
pub struct Chain {
    pub(super) day: Arc<Day>,
    pub(super) stamp: [u8; 16],
    pub(super) previous: Signature,
}

impl Chain {
    /// Signs the next chunk by the SHA-256 of its data; the last chunk has none.
    pub fn chunk(&mut self, sha256_hex: &[u8; 64]) -> Signature {
        let empty = EMPTY_PAYLOAD.as_bytes();
        self.sign(&[b"AWS4-HMAC-SHA256-PAYLOAD"], &[empty, sha256_hex])
    }

    /// Signs the trailer by the SHA-256 of its lines, each with a line feed behind it.
    pub fn trailer(&mut self, sha256_hex: &[u8; 64]) -> Signature {
        self.sign(&[b"AWS4-HMAC-SHA256-TRAILER"], &[sha256_hex])
    }

    fn sign(&mut self, first: &[&[u8]], last: &[&[u8]]) -> Signature {
        let mut context = hmac::Context::with_key(&self.day.key);
        let middle: [&[u8]; 3] = [&self.stamp, &self.day.scope, &self.previous];
        let mut before: &[u8] = b"";
        for line in first.iter().chain(&middle).chain(last) {
            context.update(before);
            context.update(line);
            before = b"\n";
        }
        self.previous = hex64(context.sign().as_ref());
        self.previous
    }
}
