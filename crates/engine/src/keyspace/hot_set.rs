//! A part of the keys that draws a part of the traffic, and moves on: what is popular changes.

use crate::rng::{self, Stream};

/// Places of [0, n): a hot set, and the rest.
#[derive(Clone, Copy, Debug)]
pub struct HotSet {
    objects: u64,
    hot: u64,
    traffic: f64,
    /// 0: it never moves.
    period_ns: u64,
}

impl HotSet {
    /// Of `objects` places, the part `keys` draws the part `traffic`; both in [0, 1].
    pub fn new(objects: u64, keys: f64, traffic: f64, moves_every_s: Option<f64>) -> Self {
        let objects = objects.max(1);
        Self {
            objects,
            hot: ((objects as f64 * keys).round() as u64).clamp(1, objects),
            traffic,
            period_ns: moves_every_s.map_or(0, |seconds| ((seconds * 1e9) as u64).max(1)),
        }
    }

    /// A place, for an operation that is due so long after the start. The hot set is a run of places that moves on by
    /// its own length, so that it meets every key before it meets one again.
    pub fn place(&self, stream: &mut Stream, elapsed_ns: u64) -> u64 {
        let cold = self.objects - self.hot;
        let from_start = if cold == 0 || stream.next_unit() < self.traffic {
            rng::below(stream.next_u64(), self.hot)
        } else {
            self.hot + rng::below(stream.next_u64(), cold)
        };
        let moves = elapsed_ns.checked_div(self.period_ns).unwrap_or(0);
        let start = u128::from(moves) * u128::from(self.hot);
        ((start + u128::from(from_start)) % u128::from(self.objects)) as u64
    }
}
