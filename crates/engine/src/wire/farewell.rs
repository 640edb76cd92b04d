//! The end of many connections at once: one RST for each, and nothing after it.
//!
//! A burst of resets is itself what protections look for (a reset flood), and it may be a protection that we fall
//! silent for. So they leave evenly; but silence comes first, and within a second all of them are gone.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crate::clock::NS_PER_S;

/// Resets leave at most so fast, over all shards …
const RESETS_PER_S: u64 = 2000;
/// … unless they would take longer than this.
const LASTS_NS_MAX: u64 = NS_PER_S;

/// From one of `count` resets to the next, on one of so many shards.
fn gap_ns(count: u64, shards: u64) -> u64 {
    let even = NS_PER_S * shards.max(1) / RESETS_PER_S;
    even.min(LASTS_NS_MAX / count.max(1))
}

/// Closes sockets that reset when they are closed, one after the other.
pub fn reset_all(sockets: Vec<OwnedFd>, shards: u64) {
    let gap_ns = gap_ns(sockets.len() as u64, shards);
    let began = Instant::now();
    for (index, socket) in sockets.into_iter().enumerate() {
        let due = Duration::from_nanos(gap_ns * index as u64);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        drop(socket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_are_few_per_second_and_over_within_one() {
        for (count, shards, per_s) in [
            (0, 1, 2000),
            (1, 1, 2000),
            (1999, 1, 2000),
            (900, 2, 1000),
            (10_000, 1, 10_000),
            (5_000, 4, 5_000),
        ] {
            let gap_ns = gap_ns(count, shards);
            assert!(gap_ns * count <= LASTS_NS_MAX, "{count} over {shards}");
            assert_eq!(NS_PER_S / gap_ns, per_s, "{count} over {shards}");
        }
    }
}
