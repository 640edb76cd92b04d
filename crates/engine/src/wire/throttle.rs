//! A client that is slow on purpose: how many bytes it may move by now. Pure; time is passed in.

use crate::clock::{NS_PER_MS, NS_PER_S};

/// A slow client moves its bytes this often.
pub const TICK_NS: u64 = 50 * NS_PER_MS;
/// A small receive buffer, bytes: what a slow reader leaves unread must fill it, so that the server feels it.
const RECEIVE_BUFFER_MIN: u64 = 16 * 1024;
/// Above this the kernel's own choice is as good.
const RECEIVE_BUFFER_MAX: u64 = 2 << 20;

/// How slow a client is, and at what; bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It takes its answer slowly.
    Reads(u64),
    /// It sends its request slowly.
    Writes(u64),
}

impl Pace {
    /// The receive buffer that the socket of such a client asks for; None: what the kernel gives.
    #[must_use]
    pub fn receive_buffer_bytes(self) -> Option<usize> {
        let Self::Reads(bytes_per_s) = self else {
            return None;
        };
        let two_ticks = bytes_per_s.saturating_mul(2 * TICK_NS) / NS_PER_S;
        (two_ticks <= RECEIVE_BUFFER_MAX).then(|| two_ticks.max(RECEIVE_BUFFER_MIN) as usize)
    }
}

/// The credit of one slow client. What it did not use for two ticks is lost: a slow line does not catch up.
#[derive(Clone, Copy, Debug)]
pub struct Throttle {
    pace: Pace,
    /// Everything up to this moment is used up.
    used_until_ns: u64,
}

impl Throttle {
    /// From now on; the first tick's bytes may move at once.
    #[must_use]
    pub fn new(pace: Pace, now_ns: u64) -> Self {
        Self {
            pace,
            used_until_ns: now_ns.saturating_sub(TICK_NS),
        }
    }

    /// It is the answer that is slowed down, not the request.
    #[must_use]
    pub fn reads(&self) -> bool {
        matches!(self.pace, Pace::Reads(_))
    }

    fn bytes_per_s(&self) -> u64 {
        match self.pace {
            Pace::Reads(bytes_per_s) | Pace::Writes(bytes_per_s) => bytes_per_s.max(1),
        }
    }

    /// Bytes that may move now.
    pub fn allowance(&mut self, now_ns: u64) -> usize {
        // One byte may take longer than two ticks.
        let keeps_ns = (2 * TICK_NS).max(NS_PER_S / self.bytes_per_s() + TICK_NS);
        self.used_until_ns = self.used_until_ns.max(now_ns.saturating_sub(keeps_ns));
        let credit_ns = now_ns.saturating_sub(self.used_until_ns);
        let bytes = u128::from(credit_ns) * u128::from(self.bytes_per_s()) / u128::from(NS_PER_S);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// So many bytes moved.
    pub fn spend(&mut self, bytes: usize) {
        let took_ns = bytes as u128 * u128::from(NS_PER_S);
        let took_ns = took_ns.div_ceil(u128::from(self.bytes_per_s()));
        self.used_until_ns += u64::try_from(took_ns).unwrap_or(u64::MAX / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that move in `ticks` ticks when there are always enough.
    fn moved(bytes_per_s: u64, ticks: u64) -> u64 {
        let mut throttle = Throttle::new(Pace::Reads(bytes_per_s), NS_PER_S);
        let mut moved = 0;
        for tick in 0..ticks {
            let bytes = throttle.allowance(NS_PER_S + tick * TICK_NS);
            throttle.spend(bytes);
            moved += bytes as u64;
        }
        moved
    }

    #[test]
    fn the_rate_is_kept_and_never_exceeded() {
        for (bytes_per_s, ticks) in [(1, 1200), (7, 400), (1000, 200), (1_000_003, 100)] {
            let may = bytes_per_s * ticks * TICK_NS / NS_PER_S;
            let moved = moved(bytes_per_s, ticks);
            assert!(
                moved <= may && moved + 2 + may / 100 >= may,
                "{moved} of {may}"
            );
        }
        assert!(moved(1 << 40, 10) <= (1 << 40) / 2);
    }

    #[test]
    fn what_was_not_used_is_lost() {
        let mut throttle = Throttle::new(Pace::Writes(1000), NS_PER_S);
        assert_eq!(throttle.allowance(NS_PER_S), 50);
        assert_eq!(
            throttle.allowance(100 * NS_PER_S),
            100,
            "two ticks, no more"
        );
        throttle.spend(100);
        assert_eq!(throttle.allowance(100 * NS_PER_S), 0);
    }

    #[test]
    fn slow_readers_get_small_buffers_and_writers_none() {
        assert_eq!(Pace::Reads(1000).receive_buffer_bytes(), Some(16 * 1024));
        assert_eq!(Pace::Reads(1 << 20).receive_buffer_bytes(), Some(104_857));
        assert_eq!(Pace::Reads(1 << 30).receive_buffer_bytes(), None);
        assert_eq!(Pace::Writes(1).receive_buffer_bytes(), None);
    }
}
