//! The headers that ask for encryption at rest.
//!
//! Sources: "Specifying server-side encryption with Amazon S3 managed keys (SSE-S3)" and "Using server-side encryption
//! with customer-provided keys (SSE-C)", Amazon S3 User Guide.

use aws_lc_rs::digest;

use super::request::Role;
use crate::body::checksum::Sum;
use crate::plan::{Encryption, Plan};

/// The encryption headers of a run.
pub struct Encrypting {
    kind: Encryption,
    key: Sum,
    key_md5: Sum,
}

impl std::fmt::Debug for Encrypting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encrypting")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// The key of SSE-C: whoever knows the run can read its objects, so this keeps no secret, it makes the target work.
fn customer_key(run: u64) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"maul sse-c key of run ");
    context.update(&run.to_le_bytes());
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}

impl Encrypting {
    /// What a plan asks for.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let key = customer_key(plan.run);
        Self {
            kind: plan.s3.encryption,
            key: Sum::of(&key),
            key_md5: Sum::md5(&key),
        }
    }

    /// Gives the headers of a request to `push`.
    pub fn headers<'a>(&'a self, role: Role, mut push: impl FnMut(&'a str, &'a [u8])) {
        let makes = matches!(role, Role::Put | Role::Create | Role::Copy);
        match self.kind {
            Encryption::None => {}
            Encryption::SseS3 if makes => push("x-amz-server-side-encryption", b"AES256"),
            Encryption::SseS3 => {}
            Encryption::SseC if role == Role::Other => {}
            Encryption::SseC => {
                let (key, md5) = (self.key.as_bytes(), self.key_md5.as_bytes());
                push("x-amz-server-side-encryption-customer-algorithm", b"AES256");
                push("x-amz-server-side-encryption-customer-key", key);
                push("x-amz-server-side-encryption-customer-key-md5", md5);
                if matches!(role, Role::Copy | Role::CopyPart) {
                    push(
                        "x-amz-copy-source-server-side-encryption-customer-algorithm",
                        b"AES256",
                    );
                    push("x-amz-copy-source-server-side-encryption-customer-key", key);
                    push(
                        "x-amz-copy-source-server-side-encryption-customer-key-md5",
                        md5,
                    );
                }
            }
        }
    }
}
