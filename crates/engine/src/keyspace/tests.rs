//! Tests of the choice of keys.

use super::*;
use crate::plan::{Lane, Plan};
use proptest::prelude::*;
use std::collections::HashSet;

fn chooser(choice: KeyChoice, objects: u64) -> KeyChooser {
    let keyspace = Keyspace {
        choice,
        objects,
        start: 100,
        region: Region::Base,
        ..Plan::example().keyspace
    };
    KeyChooser::new(&keyspace, 42)
}

#[test]
fn sequential_passes_once_over_the_range() {
    let chooser = chooser(KeyChoice::Sequential, 10);
    let shards = 3;
    let mut seen: Vec<u64> = (0..shards)
        .flat_map(|shard| {
            (0..)
                .map(move |i| shard + shards * i)
                .take_while(|number| *number < 10)
        })
        .map(|number| chooser.key(number, 0).index())
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, (100..110).collect::<Vec<_>>());
    assert_eq!(chooser.key(10, 0), chooser.key(0, 0));
}

#[test]
fn uniform_is_even() {
    let chooser = chooser(KeyChoice::Uniform, 20);
    let mut counts = [0u32; 20];
    for number in 0..100_000 {
        counts[(chooser.key(number, 0).index() - 100) as usize] += 1;
    }
    // chi-square with 19 degrees of freedom: above 43.8 once in a thousand seeds
    let chi: f64 = counts
        .iter()
        .map(|count| (f64::from(*count) - 5000.0).powi(2) / 5000.0)
        .sum();
    assert!(chi < 43.8, "{chi}");
}

#[test]
fn hot_keys_are_hot_and_apart() {
    let chooser = chooser(KeyChoice::Zipf { exponent: 0.99 }, 1_000_000);
    let mut counts = std::collections::HashMap::new();
    for number in 0..200_000 {
        *counts.entry(chooser.key(number, 0).index()).or_insert(0u32) += 1;
    }
    let mut hot: Vec<_> = counts
        .into_iter()
        .map(|(index, count)| (count, index))
        .collect();
    hot.sort_unstable_by(|left, right| right.cmp(left));
    // the harmonic number of a million with exponent 0.99 is 15.39 (integral form), so rank 1
    // gets 6.5 %
    assert!((12_400..13_600).contains(&hot[0].0), "{:?}", hot[0]);
    let mut places: Vec<_> = hot[..16].iter().map(|(_, index)| index - 100).collect();
    places.sort_unstable();
    assert!(
        places.windows(2).all(|pair| pair[1] - pair[0] > 100),
        "{places:?}"
    );
    assert!(places[0] < 250_000 && places[15] > 750_000, "{places:?}");
}

#[test]
fn a_trillion_keys_take_no_memory() {
    let chooser = chooser(KeyChoice::Zipf { exponent: 1.0 }, 1_000_000_000_000);
    let seen: HashSet<_> = (0..1000).map(|number| chooser.key(number, 0)).collect();
    assert!(seen.len() > 800, "{}", seen.len());
    assert!(seen
        .iter()
        .all(|key| (100..1_000_000_000_100).contains(&key.index())));
}

#[test]
fn one_key_is_enough() {
    for choice in [
        KeyChoice::Uniform,
        KeyChoice::Zipf { exponent: 2.0 },
        KeyChoice::Sequential,
        HOT,
        KeyChoice::Churn,
    ] {
        assert!((0..100).all(|number| chooser(choice, 1).key(number, 0).index() == 100));
    }
    assert_eq!(multipart_key(17, 16), Key::new(Region::Multipart, 1));
}

const HOT: KeyChoice = KeyChoice::HotSet {
    keys: 0.1,
    traffic: 0.8,
    moves_every_s: Some(2.0),
};
const S: u64 = 1_000_000_000;

/// How often each of 100 keys comes up in 100 000 arrivals at a time.
fn counts_at(elapsed_ns: u64) -> [u32; 100] {
    let chooser = chooser(HOT, 100);
    let mut counts = [0; 100];
    for number in 0..100_000 {
        counts[(chooser.key(number, elapsed_ns).index() - 100) as usize] += 1;
    }
    counts
}

#[test]
fn the_hot_set_draws_its_part_and_moves_on() {
    let hot_at = |elapsed_ns| -> HashSet<usize> {
        let counts = counts_at(elapsed_ns);
        let hot: HashSet<usize> = (0..100).filter(|key| counts[*key] > 4000).collect();
        assert_eq!(hot.len(), 10, "a tenth of the keys");
        let drawn: u32 = hot.iter().map(|key| counts[*key]).sum();
        // six standard deviations of a binomial
        assert!(drawn.abs_diff(80_000) < 760, "{drawn}");
        for (key, count) in counts.iter().enumerate() {
            let expected = if hot.contains(&key) { 8000 } else { 222 };
            assert!(count.abs_diff(expected) < 540, "{key}: {count}");
        }
        hot
    };
    assert_eq!(hot_at(0), hot_at(2 * S - 1), "it stays for its time");
    let mut seen = HashSet::new();
    for turn in 0..10 {
        let hot = hot_at(turn * 2 * S);
        assert!(
            hot.iter().all(|key| seen.insert(*key)),
            "then it is another one"
        );
    }
    assert_eq!(hot_at(20 * S), hot_at(0), "until all had their turn");
}

#[test]
fn a_hot_set_of_everything_or_without_traffic_is_even() {
    for (keys, traffic, least) in [(1.0, 0.3, 0), (0.5, 0.5, 0), (0.1, 0.0, 10)] {
        let choice = KeyChoice::HotSet {
            keys,
            traffic,
            moves_every_s: None,
        };
        let chooser = chooser(choice, 100);
        let mut counts = [0u32; 100];
        (0..100_000).for_each(|number| {
            counts[(chooser.key(number, number * S).index() - 100) as usize] += 1;
        });
        let never = counts.iter().filter(|count| **count == 0).count();
        assert_eq!(never, least, "{keys} {traffic}");
        assert!(counts
            .iter()
            .filter(|count| **count > 0)
            .all(|count| count.abs_diff(1050) < 250));
    }
}

fn grown(keys: u64, taken: u64) -> Ephemeral {
    let mut ephemeral = Ephemeral::new(0, Lane::ALONE, 0, 1);
    for _ in 0..keys {
        let key = ephemeral.create().unwrap();
        ephemeral.created(key, true);
    }
    for _ in 0..taken {
        ephemeral.take_oldest().unwrap();
    }
    ephemeral
}

#[test]
fn latest_reads_the_newest_most() {
    let chooser = chooser(KeyChoice::Latest { exponent: 1.0 }, 50);
    assert_eq!(
        chooser.living(1, &grown(0, 0)),
        None,
        "base keys while there are none"
    );
    assert_eq!(chooser.living(1, &grown(3, 3)), None);
    let ephemeral = grown(1000, 900);
    let mut counts = [0u32; 100];
    for number in 0..100_000 {
        let key = chooser.living(number, &ephemeral).unwrap();
        assert_eq!(key.region(), Some(Region::Ephemeral));
        counts[(999 - key.index()) as usize] += 1;
    }
    // the harmonic number of 100 is 5.187
    for (rank, count) in counts.iter().enumerate() {
        let expected = 100_000.0 / 5.187 / (rank + 1) as f64;
        assert!(
            (f64::from(*count) - expected).abs() < 5.0 * expected.sqrt(),
            "{rank}: {count}"
        );
    }
}

#[test]
fn churn_reads_whatever_lives() {
    let chooser = chooser(KeyChoice::Churn, 50);
    let ephemeral = grown(1000, 900);
    let mut counts = [0u32; 100];
    (0..100_000).for_each(|number| {
        counts[(chooser.living(number, &ephemeral).unwrap().index() - 900) as usize] += 1;
    });
    assert!(
        counts.iter().all(|count| count.abs_diff(1000) < 160),
        "{counts:?}"
    );
    let plain = [KeyChoice::Uniform, HOT, KeyChoice::Sequential];
    assert!(plain
        .iter()
        .all(|choice| self::chooser(*choice, 5).living(1, &ephemeral).is_none()));
}

#[test]
fn choices_are_pure() {
    let ephemeral = grown(100, 10);
    for choice in [HOT, KeyChoice::Latest { exponent: 0.9 }, KeyChoice::Churn] {
        let keys = |seed| -> Vec<_> {
            let chooser = KeyChooser {
                seed,
                ..chooser(choice, 1000)
            };
            (0..200)
                .map(|n| (chooser.key(n, 7 * S), chooser.living(n, &ephemeral)))
                .collect()
        };
        assert_eq!(keys(1), keys(1));
        assert_ne!(keys(1), keys(2));
    }
}

proptest! {
    #[test]
    fn scatter_is_a_bijection(n in 1u64..5000) {
        let seen: HashSet<u64> = (0..n).map(|place| scatter(place, n)).collect();
        prop_assert_eq!(seen.len() as u64, n);
        prop_assert!(seen.iter().all(|place| *place < n));
    }

    #[test]
    fn every_choice_stays_in_range(objects in 1u64..=1 << 48, number in any::<u64>(), exponent in 0.01..10.0f64,
                                  keys in 0.0..=1.0f64, period in 0.0..1e6f64, elapsed_ns in any::<u64>()) {
        let hot_set = KeyChoice::HotSet { keys, traffic: 0.5, moves_every_s: Some(period) };
        for choice in [KeyChoice::Uniform, KeyChoice::Zipf { exponent }, KeyChoice::Sequential, hot_set, KeyChoice::Churn] {
            let index = chooser(choice, objects).key(number, elapsed_ns).index();
            prop_assert!((100..100 + objects).contains(&index), "{:?} {}", choice, index);
        }
    }
}
