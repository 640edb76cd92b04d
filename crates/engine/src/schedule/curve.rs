//! The rate over one segment, its integral, and the inverse of the integral.

use crate::plan::{Segment, Wave};
use std::f64::consts::PI;

/// The inverse is found to this, seconds.
const PRECISION_S: f64 = 1e-10;
/// Bisection alone takes 54 steps from the longest wave to the precision; Newton's steps make it a handful.
const STEPS_MAX: u32 = 80;

/// N(t), the arrivals of a segment in its first t seconds.
#[derive(Clone, Copy, Debug)]
pub struct Curve {
    segment: Segment,
    area: f64,
}

impl Curve {
    pub fn new(segment: Segment) -> Self {
        Self {
            segment,
            area: count(&segment, segment.seconds),
        }
    }

    /// Arrivals of the whole segment, with fraction.
    pub fn area(&self) -> f64 {
        self.area
    }

    /// N(t) for a t in [0, seconds].
    pub fn arrivals_in(&self, seconds: f64) -> f64 {
        count(&self.segment, seconds).clamp(0.0, self.area)
    }

    /// The t at which N(t) reaches `arrivals`, in [0, seconds].
    pub fn seconds_until(&self, arrivals: f64) -> f64 {
        let arrivals = arrivals.clamp(0.0, self.area);
        let Some(wave) = self.segment.wave else {
            return until_on_slope(&self.segment, arrivals, self.area);
        };
        if self.segment.from != self.segment.to {
            return until_on_wave(&self.segment, wave, arrivals);
        }
        // Every wave has the same area: look for the place within one only, where the digits suffice.
        let wave_area = self.segment.from * wave.period_s;
        let waves = (arrivals / wave_area).floor();
        let within = (arrivals - waves * wave_area).clamp(0.0, wave_area);
        let one = Segment {
            seconds: wave.period_s,
            ..self.segment
        };
        (waves * wave.period_s + until_on_wave(&one, wave, within)).min(self.segment.seconds)
    }
}

/// N(t), the arrivals of a segment's first t seconds.
fn count(segment: &Segment, t: f64) -> f64 {
    match segment.wave {
        Some(wave) => count_and_rate(segment, wave, t).0,
        None => segment.from * t + slope(segment) * t * t / 2.0,
    }
}

/// N(t) and N'(t) under a wave. The integral of A sin(2πt/P) is A P/π sin²(πt/P), and sin 2x = 2 sin x cos x.
fn count_and_rate(segment: &Segment, wave: Wave, t: f64) -> (f64, f64) {
    let (sine, cosine) = (PI * (t / wave.period_s).fract()).sin_cos();
    let count = segment.from * t + slope(segment) * t * t / 2.0;
    let rate = segment.from + slope(segment) * t;
    (
        count + surplus_max(wave) * sine * sine,
        rate + wave.amplitude * 2.0 * sine * cosine,
    )
}

fn slope(segment: &Segment) -> f64 {
    (segment.to - segment.from) / segment.seconds
}

/// What a wave is ahead of its base at most: after its upper half.
fn surplus_max(wave: Wave) -> f64 {
    wave.amplitude * wave.period_s / PI
}

/// Without a wave: with rate(t) = a + k t the integral is a t + k t²/2, and t = 2 n / (a + √(a² + 2 k n)), a form that
/// is stable for k = 0 too. It loses digits where the root gets small, at the end of a falling ramp; that is counted
/// from the end.
fn until_on_slope(segment: &Segment, arrivals: f64, area: f64) -> f64 {
    let slope = slope(segment);
    let from_low_end = |low_rate: f64, count: f64| {
        let root = (low_rate * low_rate + 2.0 * slope.abs() * count).sqrt();
        // both are 0 only at the very end of a ramp that begins or ends with 0
        if count > 0.0 {
            2.0 * count / (low_rate + root)
        } else {
            0.0
        }
    };
    if slope >= 0.0 {
        from_low_end(segment.from, arrivals)
    } else {
        segment.seconds - from_low_end(segment.to, area - arrivals)
    }
}

/// With a wave there is no closed form. N lies between its base and its base plus the wave's surplus, which gives a
/// bracket; inside it Newton's steps, and bisection wherever those leave the bracket or do not halve (where the rate
/// touches 0 they would creep). N never falls, so the bracket always holds the one answer.
fn until_on_wave(segment: &Segment, wave: Wave, arrivals: f64) -> f64 {
    let base_area = (segment.from + segment.to) / 2.0 * segment.seconds;
    let on_base = |count: f64| until_on_slope(segment, count.clamp(0.0, base_area), base_area);
    let mut low = on_base(arrivals - surplus_max(wave));
    let mut high = on_base(arrivals);
    // a Newton step of length s is off by s² N'' / 2 N' at most
    let bend = (slope(segment).abs() + wave.amplitude * 2.0 * PI / wave.period_s) / 2.0;
    let mut t = (low + high) / 2.0;
    let mut last_step = high - low;
    for _ in 0..STEPS_MAX {
        let (count, rate) = count_and_rate(segment, wave, t);
        if count > arrivals {
            high = t;
        } else {
            low = t;
        }
        let newton = t - (count - arrivals) / rate;
        let good = newton > low && newton < high && (newton - t).abs() <= last_step / 2.0;
        let next = if good { newton } else { (low + high) / 2.0 };
        last_step = (next - t).abs();
        t = next;
        let arrived = good && last_step * last_step * bend < PRECISION_S * rate;
        if arrived || last_step < PRECISION_S || high - low < PRECISION_S {
            break;
        }
    }
    t
}
