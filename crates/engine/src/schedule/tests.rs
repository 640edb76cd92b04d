//! Tests of the pacer.

use super::*;
use crate::plan::Wave;
use proptest::prelude::*;

const ALONE: Share = Share::WHOLE;

fn constant(rate: f64, seconds: f64) -> Segment {
    Segment {
        from: rate,
        to: rate,
        seconds,
        wave: None,
    }
}

fn sine(rate: f64, amplitude: f64, period_s: f64, seconds: f64) -> Segment {
    Segment {
        wave: Some(Wave {
            amplitude,
            period_s,
        }),
        ..constant(rate, seconds)
    }
}

fn all(profile: &[Segment]) -> Vec<u64> {
    Arrivals::new(profile)
        .stripe(ALONE, 0, 1)
        .map(|arrival| arrival.due_ns)
        .collect()
}

#[test]
fn constant_rate_is_even() {
    assert_eq!(
        all(&[constant(4.0, 1.0)]),
        [0, 250_000_000, 500_000_000, 750_000_000]
    );
    assert_eq!(all(&[constant(0.5, 3.0)]), [0, 2_000_000_000]);
    assert!(all(&[]).is_empty());
}

#[test]
fn a_fraction_of_an_arrival_carries_over() {
    // half an arrival is begun after the first second, so the next is due half a second later
    assert_eq!(
        all(&[constant(1.5, 1.0), constant(1.0, 2.0)]),
        [0, 666_666_667, 1_500_000_000, 2_500_000_000]
    );
    // and rounding is no fraction: 0.07 * 100 is a little more than 7 in floats, and 4.35 * 100
    // a little less than 435
    assert_eq!(all(&[constant(0.07, 100.0)]).len(), 7);
    assert_eq!(all(&[constant(4.35, 100.0)]).len(), 435);
    assert_eq!(all(&[constant(0.1, 10.0); 30]).len(), 30);
}

#[test]
fn ramps_match_the_closed_form() {
    // from 0 to 10 in 2 s: N(t) = 2.5 t², so arrival i is due at √(i / 2.5)
    let up = all(&[Segment {
        from: 0.0,
        to: 10.0,
        seconds: 2.0,
        wave: None,
    }]);
    assert_eq!(up.len(), 10);
    for (i, due_ns) in up.iter().enumerate() {
        assert_eq!(*due_ns, ((i as f64 / 2.5).sqrt() * 1e9).round() as u64);
    }
    // downwards it is the mirror image, counted from the end
    let down = all(&[Segment {
        from: 10.0,
        to: 0.0,
        seconds: 2.0,
        wave: None,
    }]);
    for (i, due_ns) in down.iter().enumerate() {
        let expected = 2.0 - ((10 - i) as f64 / 2.5).sqrt();
        assert!((*due_ns as f64 - expected * 1e9).abs() <= 1.0, "{i}");
    }
}

#[test]
fn stays_exact_for_weeks() {
    let arrivals = Arrivals::new(&[constant(1e6, 1e6), constant(1.0, 10.0)]);
    assert_eq!(arrivals.total(), 1_000_000_000_010);
    for number in [1, 999_999_999_999, 123_456_789_012] {
        assert_eq!(arrivals.due_ns(number), Some(number * 1000));
    }
    assert_eq!(
        arrivals.due_ns(1_000_000_000_003),
        Some(1_000_003_000_000_000)
    );
    assert_eq!(arrivals.due_ns(1_000_000_000_010), None);
    // the last arrivals of a long ramp down to nothing: the k-th from the end is due √(2 k T /
    // a) before it
    let ramp = Arrivals::new(&[Segment {
        from: 1e6,
        to: 0.0,
        seconds: 3600.0,
        wave: None,
    }]);
    let due_s = ramp.due_ns(ramp.total() - 1).unwrap() as f64 / 1e9;
    assert!((3600.0 - due_s - (2.0 * 3600.0 / 1e6f64).sqrt()).abs() < 1e-7);
}

/// The bound that the pacer promises: less than a microsecond, checked from both sides of every due time.
fn assert_on_time(segment: &Segment, stride: usize) {
    let arrivals = Arrivals::new(&[*segment]);
    for number in (0..arrivals.total()).step_by(stride) {
        let due_s = arrivals.due_ns(number).unwrap() as f64 / 1e9;
        let early = integral(segment, (due_s - 1e-6).max(0.0));
        let late = integral(segment, due_s + 1e-6);
        // what the formula of this test itself rounds
        let noise = 1e-15 * number as f64;
        let exact = number as f64;
        assert!(
            early - noise <= exact && exact <= late + noise,
            "{number} at {due_s}: {early} {late}"
        );
    }
}

#[test]
fn a_wave_begins_in_its_middle_and_rises() {
    // 100 per second ± 50: the upper half of a wave holds 50 + 50/π more than the lower
    let dues = all(&[sine(100.0, 50.0, 1.0, 2.0)]);
    assert_eq!(dues.len(), 200);
    let in_half = |half: u64| {
        let place = half * 500_000_000;
        dues.iter()
            .filter(|due| (place..place + 500_000_000).contains(*due))
            .count()
    };
    assert_eq!(
        [in_half(0), in_half(1), in_half(2), in_half(3)],
        [66, 34, 66, 34]
    );
    // and the same wave comes again
    assert!((0..100).all(|i| dues[i + 100].abs_diff(dues[i] + 1_000_000_000) <= 1));
    // no amplitude is no wave
    assert_eq!(all(&[sine(7.0, 0.0, 0.3, 2.0)]), all(&[constant(7.0, 2.0)]));
}

#[test]
fn a_wave_is_exact_even_where_the_rate_touches_zero() {
    assert_on_time(&sine(1000.0, 1000.0, 0.7, 3.0), 1);
    assert_on_time(&sine(3.0, 3.0, 10.0, 100.0), 1);
    assert_on_time(&sine(1e5, 1e5, 60.0, 100.0), 997);
    assert_on_time(&sine(20.0, 1.0, 1e6, 50.0), 1);
    assert_on_time(&sine(20.0, 19.0, 1e-3, 5.0), 1);
    // two weeks of days, at night nothing: the pause is where it belongs
    let days = sine(500.0, 500.0, 86_400.0, 14.0 * 86_400.0);
    assert_on_time(&days, 1_000_003);
    let arrivals = Arrivals::new(&[days]);
    assert_eq!(arrivals.total(), 500 * 14 * 86_400);
    // half a wave holds its half of the base and A P / π more: the middle of the last day
    let number = (500.0 * 13.5 * 86_400.0 + 500.0 * 86_400.0 / std::f64::consts::PI).floor();
    let due_ns = arrivals.due_ns(number as u64).unwrap();
    let middle_ns = 13_500_000_000 * 86_400;
    assert!(due_ns.abs_diff(middle_ns) <= 2_000_000, "{due_ns}");
}

#[test]
fn a_wave_shares_a_profile_with_others() {
    // half an arrival is begun when the wave begins, and its 10.5 end the last arrival
    let profile = [
        constant(1.5, 1.0),
        sine(10.5, 10.5, 1.0, 1.0),
        constant(1.0, 1.0),
    ];
    let arrivals = Arrivals::new(&profile);
    assert_eq!(arrivals.total(), 13);
    assert_eq!(arrivals.due_ns(12), Some(2_000_000_000));
    let second = arrivals.due_ns(2).unwrap() as f64 / 1e9 - 1.0;
    assert!(
        (integral(&profile[1], second) - 0.5).abs() < 1e-7,
        "{second}"
    );
}

fn profiles() -> impl Strategy<Value = Vec<Segment>> {
    let rate = prop_oneof![Just(0.0), 0.01..2000.0f64];
    let straight = (rate.clone(), rate, 0.001..3.0f64).prop_map(|(from, to, seconds)| Segment {
        from,
        to,
        seconds,
        wave: None,
    });
    let depth = prop_oneof![Just(1.0), 0.0..1.0f64];
    let wavy = (0.01..2000.0f64, depth, 0.01..5.0f64, 0.001..3.0f64)
        .prop_map(|(rate, depth, period_s, seconds)| sine(rate, rate * depth, period_s, seconds));
    prop::collection::vec(prop_oneof![straight, wavy], 1..6)
}

/// The integral of one segment's rate over its first t seconds, by another formula than the pacer's.
fn integral(segment: &Segment, t: f64) -> f64 {
    let base = segment.from * t + (segment.to - segment.from) / segment.seconds * t * t / 2.0;
    let wave = segment.wave.map_or(0.0, |wave| {
        let turns = std::f64::consts::TAU / wave.period_s;
        wave.amplitude / turns * (1.0 - (turns * t).cos())
    });
    base + wave
}

proptest! {
    #[test]
    fn total_is_the_integral_and_dues_are_ordered(profile in profiles()) {
        let arrivals = Arrivals::new(&profile);
        let integral: f64 = profile.iter().map(|s| integral(s, s.seconds)).sum();
        prop_assert!((arrivals.total() as f64 - integral).abs() <= 1.0);
        let dues = all(&profile);
        prop_assert_eq!(dues.len() as u64, arrivals.total());
        prop_assert!(dues.windows(2).all(|pair| pair[0] <= pair[1]));
        prop_assert!(dues.last().is_none_or(|last| *last <= arrivals.duration_ns()));
        for (number, due_ns) in dues.iter().enumerate() {
            prop_assert_eq!(arrivals.due_ns(number as u64), Some(*due_ns));
        }
    }

    /// The integral of the rate up to the due time of arrival i is i, added up here step by
    /// step.
    #[test]
    fn the_integral_up_to_a_due_time_is_the_number(profile in profiles(), at in 0.0..1.0f64) {
        let arrivals = Arrivals::new(&profile);
        prop_assume!(arrivals.total() > 0);
        let number = (at * arrivals.total() as f64) as u64;
        let mut left = arrivals.due_ns(number).unwrap() as f64 / 1e9;
        let mut sum = 0.0;
        for segment in &profile {
            sum += integral(segment, left.clamp(0.0, segment.seconds));
            left -= segment.seconds;
        }
        // a nanosecond at 4000 per second, and rounding
        prop_assert!((sum - number as f64).abs() < 1e-4, "{} {}", sum, number);
    }
}

mod scattered;
mod shares;
