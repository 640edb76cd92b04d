//! What waits to be sent on a connection: the head of an answer, then its body.

use std::sync::Arc;

use maul_engine::body::{self, BodyId, BLOCK_BYTES};

/// A body on its way out.
#[derive(Debug, Default)]
pub enum Body {
    /// Nothing (more).
    #[default]
    None,
    /// The bytes `[at, end)` of a body that is kept.
    Kept {
        /// The whole body.
        bytes: Arc<[u8]>,
        /// Next byte.
        at: usize,
        /// One past the last.
        end: usize,
    },
    /// The bytes `[at, end)` of a body that is computed on its way.
    Made {
        /// Whose.
        id: BodyId,
        /// Next byte.
        at: u64,
        /// One past the last.
        end: u64,
    },
}

/// Head and body of what waits.
#[derive(Debug, Default)]
pub struct Outgoing {
    head: Vec<u8>,
    sent: usize,
    body: Body,
}

impl Outgoing {
    /// True when nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sent == self.head.len() && matches!(self.body, Body::None)
    }

    /// Where the head of the next answer is written. Only while no body waits: answers keep their order.
    pub fn head(&mut self) -> &mut Vec<u8> {
        debug_assert!(matches!(self.body, Body::None));
        if self.sent == self.head.len() {
            self.head.clear();
            self.sent = 0;
        }
        &mut self.head
    }

    /// The body behind the head.
    pub fn follow(&mut self, body: Body) {
        self.body = body;
    }

    /// The next bytes, in two pieces; a computed body is made in `room`.
    pub fn pieces<'a>(&'a self, room: &'a mut [u8]) -> (&'a [u8], &'a [u8]) {
        let head = &self.head[self.sent..];
        match &self.body {
            Body::None => (head, &[]),
            Body::Kept { bytes, at, end } => (head, &bytes[*at..*end]),
            Body::Made { id, at, end } => {
                // Whole blocks are the fastest to make; the first may begin in the middle of one.
                let fits = room.len() as u64 - at % BLOCK_BYTES;
                let portion = (end - at).min(fits) as usize;
                body::fill(id, *at, &mut room[..portion]);
                (head, &room[..portion])
            }
        }
    }

    /// So many bytes of the pieces are gone.
    pub fn sent(&mut self, count: usize) {
        let of_head = count.min(self.head.len() - self.sent);
        self.sent += of_head;
        let of_body = count - of_head;
        let left = match &mut self.body {
            Body::None => false,
            Body::Kept { at, end, .. } => {
                *at = (*at + of_body).min(*end);
                at < end
            }
            Body::Made { at, end, .. } => {
                *at = (*at + of_body as u64).min(*end);
                at < end
            }
        };
        if !left {
            self.body = Body::None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_computed_body_is_the_same_however_it_is_sent() {
        let id = BodyId {
            run: 1,
            key: 2,
            version: 3,
            size: 40_000,
        };
        let mut whole = vec![0; 40_000];
        body::fill(&id, 0, &mut whole);
        for step in [1000, 4096, 9999, 1 << 20] {
            let mut out = Outgoing::default();
            out.head().extend_from_slice(b"head");
            out.follow(Body::Made {
                id,
                at: 100,
                end: 39_000,
            });
            let (mut seen, mut room) = (Vec::new(), vec![0; 16 * 1024]);
            while !out.is_empty() {
                let (head, body) = out.pieces(&mut room);
                let next: Vec<u8> = head.iter().chain(body).copied().take(step).collect();
                seen.extend_from_slice(&next);
                out.sent(next.len());
            }
            assert_eq!(&seen[..4], b"head");
            assert!(seen[4..] == whole[100..39_000], "steps of {step}");
        }
    }
}
