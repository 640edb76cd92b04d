//! Is it a Poisson process, around any profile, whole and in stripes? Statistics with fixed seeds.

use super::*;

fn poisson(profile: &[Segment], seed: u64, shards: u64) -> Vec<u64> {
    let arrivals = Arrivals::new(profile);
    let mut dues: Vec<u64> = (0..shards)
        .flat_map(|shard| arrivals.poisson(seed, ALONE, shard, shards))
        .map(|arrival| arrival.due_ns)
        .collect();
    dues.sort_unstable();
    dues
}

/// How far the distribution of gaps is from an exponential one of this mean: Kolmogorov's D times √n. Above 1.95 once
/// in a thousand seeds.
fn distance_from_exponential(mut gaps: Vec<f64>, mean: f64) -> f64 {
    gaps.sort_unstable_by(f64::total_cmp);
    let count = gaps.len() as f64;
    let off = gaps.iter().enumerate().map(|(i, gap)| {
        let expected = 1.0 - (-gap / mean).exp();
        let (below, above) = (i as f64 / count, (i + 1) as f64 / count);
        (expected - below).abs().max((above - expected).abs())
    });
    off.fold(0.0, f64::max) * count.sqrt()
}

fn gaps(places: &[f64]) -> Vec<f64> {
    places.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// The place of a due time on the axis of arrivals, where every such process has rate 1.
fn unit_places(profile: &[Segment], dues: &[u64]) -> Vec<f64> {
    let place = |due_ns: &u64| {
        let (mut left, mut sum) = (*due_ns as f64 / 1e9, 0.0);
        for segment in profile {
            sum += integral(segment, left.clamp(0.0, segment.seconds));
            left -= segment.seconds;
        }
        sum
    };
    dues.iter().map(place).collect()
}

fn wild() -> Vec<Segment> {
    let ramp = Segment {
        from: 0.0,
        to: 3000.0,
        seconds: 10.0,
        wave: None,
    };
    vec![
        constant(700.0, 5.0),
        ramp,
        sine(1000.0, 1000.0, 3.0, 10.0),
        constant(0.3, 20.0),
    ]
}

#[test]
fn gaps_are_exponential_alone_and_together() {
    for (seed, shards) in [(1, 1), (2, 1), (3, 2), (4, 7), (5, 64)] {
        let places = unit_places(&wild(), &poisson(&wild(), seed, shards));
        let distance = distance_from_exponential(gaps(&places), 1.0);
        assert!(distance < 1.95, "{seed} {shards}: {distance}");
        // a stripe alone is one of rate 1 / shards
        let arrivals = Arrivals::new(&wild());
        let own: Vec<u64> = arrivals
            .poisson(seed, ALONE, shards - 1, shards)
            .map(|arrival| arrival.due_ns)
            .collect();
        let own = gaps(&unit_places(&wild(), &own));
        let distance = distance_from_exponential(own, shards as f64);
        assert!(distance < 1.95, "{seed} {shards}: {distance}");
    }
    // the test itself sees what is no Poisson process
    let even = unit_places(&wild(), &all(&wild()));
    assert!(distance_from_exponential(gaps(&even), 1.0) > 30.0);
}

#[test]
fn counts_scatter_as_much_as_their_mean() {
    for (seed, shards) in [(1u64, 1u64), (2, 3), (3, 16)] {
        let seconds = 2000;
        let dues = poisson(&[constant(100.0, f64::from(seconds))], seed, shards);
        let mut counts = vec![0.0f64; seconds as usize];
        for due_ns in &dues {
            counts[(due_ns / 1_000_000_000) as usize] += 1.0;
        }
        let windows = counts.len() as f64;
        let mean = counts.iter().sum::<f64>() / windows;
        let variance = counts.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / (windows - 1.0);
        // five standard deviations of the mean and of the index of dispersion
        assert!(
            (mean - 100.0).abs() < 5.0 * (100.0 / windows).sqrt(),
            "{mean}"
        );
        let dispersion = variance / mean;
        assert!(
            (dispersion - 1.0).abs() < 5.0 * (2.0 / windows).sqrt(),
            "{dispersion}"
        );
        // and what one second brings says nothing about the next
        let pairs = counts
            .windows(2)
            .map(|pair| (pair[0] - mean) * (pair[1] - mean));
        let correlation = pairs.sum::<f64>() / (variance * windows);
        assert!(correlation.abs() < 5.0 / windows.sqrt(), "{correlation}");
    }
}

#[test]
fn the_number_is_right_on_average() {
    let expected = Arrivals::new(&wild()).total() as f64;
    let runs = 16;
    let counts: Vec<f64> = (0..runs)
        .map(|seed| poisson(&wild(), 1000 + seed, 1 + seed % 5).len() as f64)
        .collect();
    let mean = counts.iter().sum::<f64>() / runs as f64;
    assert!(
        (mean - expected).abs() < 5.0 * (expected / runs as f64).sqrt(),
        "{mean} {expected}"
    );
    assert!(counts.iter().any(|count| *count != counts[0]), "and random");
}

#[test]
fn is_pure_in_the_seed_and_apart_by_stripe() {
    let profile = [constant(50.0, 20.0)];
    assert_eq!(poisson(&profile, 9, 2), poisson(&profile, 9, 2));
    assert_ne!(poisson(&profile, 9, 2), poisson(&profile, 10, 2));
    let arrivals = Arrivals::new(&profile);
    let mut numbers = std::collections::HashSet::new();
    let mut dues = std::collections::HashSet::new();
    for first in 0..3 {
        for shard in 0..2 {
            let share = Share {
                first,
                width: 1,
                wheel: 3,
            };
            let stripe: Vec<_> = arrivals.poisson(9, share, shard, 2).collect();
            assert!(stripe
                .windows(2)
                .all(|pair| pair[0].due_ns <= pair[1].due_ns));
            assert!(stripe.iter().all(|arrival| numbers.insert(arrival.number)));
            assert!(stripe.iter().all(|arrival| dues.insert(arrival.due_ns)));
            assert!((100..240).contains(&stripe.len()), "{}", stripe.len());
        }
    }
}

#[test]
fn unequal_shares_send_their_parts_and_late_ones_the_rest() {
    let profile = [constant(100.0, 50.0), constant(300.0, 50.0)];
    let arrivals = Arrivals::new(&profile);
    let share = Share {
        first: 1,
        width: 3,
        wheel: 10,
    };
    let sent = |skip_ns| -> f64 {
        let all = (0..64).map(|seed| {
            let mut stripe = arrivals.poisson(seed, share, 0, 2);
            stripe.skip_before(skip_ns);
            stripe.inspect(|one| assert!(one.due_ns >= skip_ns)).count()
        });
        all.sum::<usize>() as f64 / 64.0
    };
    // of 20 000 arrivals 3/10 to the share, half of these to the shard; five standard deviations of a mean of 64
    for (skip_ns, expected) in [
        (0, 3000.0),
        (50_000_000_000, 2250.0),
        (99_000_000_000, 45.0),
    ] {
        let mean = sent(skip_ns);
        let noise: f64 = 5.0 * (expected / 64.0f64).sqrt();
        assert!((mean - expected).abs() < noise, "{skip_ns}: {mean}");
    }
    assert_eq!(sent(100_000_000_000), 0.0);
}

#[test]
fn ends_with_its_profile_and_survives_weeks() {
    let weeks = 14.0 * 86_400.0;
    let arrivals = Arrivals::new(&[sine(0.01, 0.01, 86_400.0, weeks)]);
    let stripe = arrivals.poisson(3, ALONE, 0, 1);
    let last = stripe.last().unwrap();
    assert!(last.due_ns <= arrivals.duration_ns());
    assert!((11_500..12_700).contains(&last.number), "{last:?}");
    assert_eq!(Arrivals::new(&[]).poisson(3, ALONE, 0, 1).count(), 0);
    // so slow that most stripes have nothing to do
    let idle = Arrivals::new(&[constant(0.001, 1.0)]);
    assert!(
        (0..50)
            .map(|shard| idle.poisson(3, ALONE, shard, 50).count())
            .sum::<usize>()
            <= 1
    );
}
