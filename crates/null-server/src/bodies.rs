//! Bodies that verify, at almost no cost: the first few keys of each size are made once and kept.

use std::sync::Arc;

use maul_engine::body::{self, BodyId};
use maul_engine::operation::Key;

/// The version that every object has: the first of epoch 1.
const VERSION: u64 = 1 << 48 | 1;
/// Keys with a lower index are kept; all others are computed each time.
const KEPT_INDEX_END: u64 = 8;
/// Larger bodies are computed each time, bytes.
const KEPT_BYTES_MAX: u64 = 1 << 20;
/// All kept bodies of a thread together, bytes.
const KEPT_BYTES_SUM_MAX: u64 = 32 << 20;

/// The bodies of one thread.
#[derive(Debug)]
pub struct Bodies {
    run: u64,
    kept: Vec<(BodyId, Arc<[u8]>)>,
    kept_bytes: u64,
}

impl Bodies {
    /// Of the objects of a run.
    #[must_use]
    pub fn new(run: u64) -> Self {
        Self {
            run,
            kept: Vec::new(),
            kept_bytes: 0,
        }
    }

    /// What the object of a key says about itself.
    #[must_use]
    pub fn id(&self, key: Key, size: u64) -> BodyId {
        BodyId {
            run: self.run,
            key: key.0,
            version: VERSION,
            size,
        }
    }

    /// The whole body, if it is one of those that are kept.
    pub fn kept(&mut self, id: &BodyId) -> Option<Arc<[u8]>> {
        if Key(id.key).index() >= KEPT_INDEX_END || id.size > KEPT_BYTES_MAX {
            return None;
        }
        if let Some((_, bytes)) = self.kept.iter().find(|(other, _)| other == id) {
            return Some(bytes.clone());
        }
        if self.kept_bytes + id.size > KEPT_BYTES_SUM_MAX {
            self.kept.clear();
            self.kept_bytes = 0;
        }
        let mut bytes = vec![0; id.size as usize];
        body::fill(id, 0, &mut bytes);
        let bytes: Arc<[u8]> = bytes.into();
        self.kept.push((*id, bytes.clone()));
        self.kept_bytes += id.size;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maul_engine::body::Verifier;
    use maul_engine::operation::{ErrorClass, Region};

    #[test]
    fn kept_bodies_verify_and_stay_within_bounds() {
        let mut bodies = Bodies::new(7);
        for size in [8, 63, 4096, 65_536, 1 << 20] {
            for index in 0..KEPT_INDEX_END * 2 {
                let key = Key::new(Region::Base, index);
                let id = bodies.id(key, size);
                let kept = bodies.kept(&id);
                assert_eq!(kept.is_some(), index < KEPT_INDEX_END);
                let Some(bytes) = kept else { continue };
                let mut verifier = Verifier::new(7, key.0);
                verifier.feed(&bytes);
                let verdict = verifier.finish();
                assert_eq!(
                    (verdict.class, verdict.version),
                    (ErrorClass::None, VERSION)
                );
            }
            assert!(bodies.kept_bytes <= KEPT_BYTES_SUM_MAX);
        }
        assert!(bodies
            .kept(&bodies.id(Key::new(Region::Base, 0), KEPT_BYTES_MAX + 1))
            .is_none());
    }
}
