//! Tests of who takes which arrivals.

use super::*;

fn share(first: u64, width: u64, wheel: u64) -> Share {
    Share {
        first,
        width,
        wheel,
    }
}

/// The first numbers of a shard's.
fn numbers(share: Share, shard: u64, shards: u64, total: u64) -> Vec<u64> {
    let mut numbers = Numbers::new(share, shard, shards);
    let mut taken = Vec::new();
    while let Some(number) = numbers.peek().filter(|number| *number < total) {
        taken.push(number);
        numbers.pass(1);
    }
    taken
}

#[test]
fn strides_are_those_of_the_other_side() {
    // tests/plan/test_sharing.py has the same list
    let expected = [
        (1, 1),
        (2, 1),
        (3, 2),
        (4, 3),
        (5, 3),
        (6, 5),
        (7, 5),
        (10, 7),
        (12, 7),
        (60, 47),
        (97, 71),
        (1000, 633),
        (1024, 625),
        (10_000, 6181),
        (30_030, 18_559),
        (65_535, 40_502),
        (65_536, 40_521),
    ];
    let found = expected.map(|(wheel, _)| (wheel, stride(wheel)));
    assert_eq!(found, expected);
}

#[test]
fn an_arrival_belongs_to_the_place_where_it_stands() {
    for wheel in [1u64, 2, 3, 10, 64, 97, 1000] {
        for first in [0, wheel / 3, wheel - 1] {
            for width in [1, (wheel - first).div_ceil(2), wheel - first] {
                let within =
                    |k: &u64| (first..first + width).contains(&(k * stride(wheel) % wheel));
                let expected: Vec<u64> = (0..3 * wheel).filter(within).collect();
                assert_eq!(
                    numbers(share(first, width, wheel), 0, 1, 3 * wheel),
                    expected
                );
            }
        }
    }
}

#[test]
fn shares_are_interleaved() {
    // of two halves every second arrival each, and of these every second to each of two shards
    assert_eq!(numbers(share(0, 1, 2), 0, 2, 12), [0, 4, 8]);
    assert_eq!(numbers(share(0, 1, 2), 1, 2, 12), [2, 6, 10]);
    assert_eq!(numbers(share(1, 1, 2), 0, 1, 12), [1, 3, 5, 7, 9, 11]);
}

#[test]
fn the_largest_wheel_and_the_largest_numbers_are_fine() {
    let mut far = Numbers::new(share(65_535, 1, 65_536), 0, 1);
    let first = far.peek().unwrap();
    assert_eq!(first * stride(65_536) % 65_536, 65_535);
    far.pass(1 << 40);
    assert_eq!(far.peek(), Some(first + (1 << 56)));
    far.pass(u64::MAX);
    assert_eq!(far.peek(), None, "and not again from the beginning");
}

/// Cuts a wheel into shares of any widths.
fn cuts() -> impl Strategy<Value = (u64, Vec<u64>)> {
    let wheel = prop_oneof![1u64..50, 50u64..3000];
    wheel.prop_flat_map(|wheel| {
        let inner = prop::collection::btree_set(1..wheel.max(2), 0..6);
        inner.prop_map(move |inner| {
            let mut cuts = vec![0];
            cuts.extend(inner.into_iter().filter(|cut| *cut < wheel));
            cuts.push(wheel);
            (wheel, cuts)
        })
    })
}

proptest! {
    #[test]
    fn shares_that_partition_the_wheel_partition_the_arrivals(profile in profiles(), (wheel, cuts) in cuts(), shards in prop::collection::vec(1u64..5, 8)) {
        let arrivals = Arrivals::new(&profile);
        let mut seen = Vec::new();
        for (cut, shards) in cuts.windows(2).zip(shards) {
            for shard in 0..shards {
                let stripe = arrivals.stripe(share(cut[0], cut[1] - cut[0], wheel), shard, shards);
                let expected = stripe.remaining();
                let taken: Vec<_> = stripe.map(|arrival| (arrival.number, arrival.due_ns)).collect();
                prop_assert_eq!(taken.len() as u64, expected);
                prop_assert!(taken.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
                seen.extend(taken);
            }
        }
        seen.sort_unstable();
        let whole: Vec<_> = all(&profile).into_iter().enumerate().map(|(i, due)| (i as u64, due)).collect();
        prop_assert_eq!(seen, whole);
    }

    /// No gap is longer than four mean ones (an even spread of an interval of a circle has up to 2.2 of them, and what
    /// a wheel's stride is short of the golden section may double it), no shard's longer than its part of that.
    #[test]
    fn a_share_is_spread_evenly(wheel in prop_oneof![2u64..3000, 3000u64..20_000], at in 0.0..1.0f64, part in 0.0..1.0f64, shards in 1u64..4) {
        let width = ((wheel as f64).powf(part) as u64).clamp(1, wheel);
        let first = (at * (wheel - width + 1) as f64) as u64;
        let all = numbers(share(first, width, wheel), 0, 1, 3 * wheel);
        let mean = wheel as f64 / width as f64;
        let longest = all.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        prop_assert!(longest as f64 <= 4.0 * mean, "{longest} of {mean}");
        let own = numbers(share(first, width, wheel), shards - 1, shards, 3 * wheel);
        let every: Vec<u64> = all.into_iter().skip(shards as usize - 1).step_by(shards as usize).collect();
        prop_assert_eq!(own, every);
    }

    #[test]
    fn who_begins_late_leaves_out_what_was_due_before(profile in profiles(), (wheel, cuts) in cuts(), at in 0.0..1.2f64, shards in 1u64..4) {
        let arrivals = Arrivals::new(&profile);
        let late_ns = (at * arrivals.duration_ns() as f64) as u64;
        for cut in cuts.windows(2) {
            let whole = arrivals.stripe(share(cut[0], cut[1] - cut[0], wheel), shards - 1, shards);
            let mut rest = whole.clone();
            rest.skip_before(late_ns);
            let expected: Vec<_> = whole.filter(|arrival| arrival.due_ns >= late_ns).collect();
            prop_assert_eq!(rest.collect::<Vec<_>>(), expected);
        }
    }
}
