//! What is asked for: keys, sizes, operations.

use super::read::Object;
use super::{DeleteFrom, KeyChoice, Keyspace, Lane, Listing, MixEntry, Multipart, SizeSpec};
use crate::operation::{Op, Region, INDEX_END};
use std::ops::Bound;

/// The largest object that one PUT may carry (S3), bytes.
pub(crate) const PUT_BYTES_MAX: u64 = 5 << 30;

/// Engines side by side.
const LANES_MAX: u64 = 65_536;

pub(super) fn keyspace(mut object: Object<'_>) -> Keyspace {
    let regions: Vec<_> = [
        ("base", Region::Base),
        ("ephemeral", Region::Ephemeral),
        ("multipart", Region::Multipart),
        ("copy", Region::Copy),
    ]
    .into();
    let keyspace = Keyspace {
        objects: object.whole("objects", 1..=INDEX_END),
        choice: key_choice(object.object("choice")),
        region: object.word("region", &regions),
        start: object.whole("start", 0..=INDEX_END - 1),
        ephemeral_start: object.whole("ephemeral_start", 0..=INDEX_END - 1),
        ephemeral_lane: lane(object.object("ephemeral_lane")),
        delete_from: object.word(
            "delete_from",
            &[
                ("ephemeral", DeleteFrom::Ephemeral),
                ("base", DeleteFrom::Base),
            ],
        ),
        fixed_key: object.text_or_null("fixed_key"),
    };
    object.refuse_unknown();
    if keyspace.start + keyspace.objects > INDEX_END {
        object.problem(
            "objects",
            "goes beyond the last key",
            format!("keep start + objects within {INDEX_END}"),
        );
    }
    if keyspace
        .fixed_key
        .as_ref()
        .is_some_and(|key| key.len() > 1024)
    {
        object.problem(
            "fixed_key",
            "is no object key",
            "give 1 to 1024 bytes, or null",
        );
    }
    keyspace
}

fn lane(mut object: Object<'_>) -> Lane {
    let lane = Lane {
        index: object.whole("index", 0..=LANES_MAX - 1),
        count: object.whole("count", 1..=LANES_MAX),
    };
    object.refuse_unknown();
    if lane.index >= lane.count {
        object.problem(
            "index",
            format!("{} is not below count {}", lane.index, lane.count),
            "count lanes from 0",
        );
    }
    lane
}

fn key_choice(mut object: Object<'_>) -> KeyChoice {
    let kinds = [
        ("uniform", KeyChoice::Uniform),
        ("zipf", KeyChoice::Zipf { exponent: 1.0 }),
        ("sequential", KeyChoice::Sequential),
        (
            "hot_set",
            KeyChoice::HotSet {
                keys: 1.0,
                traffic: 1.0,
                moves_every_s: None,
            },
        ),
        ("latest", KeyChoice::Latest { exponent: 1.0 }),
        ("churn", KeyChoice::Churn),
    ];
    let Some(mut choice) = object.word_if_known("kind", &kinds) else {
        return KeyChoice::Uniform;
    };
    match &mut choice {
        KeyChoice::Zipf { exponent } | KeyChoice::Latest { exponent } => {
            *exponent = object.number("exponent", (Bound::Excluded(0.0), Bound::Included(10.0)));
        }
        KeyChoice::HotSet {
            keys,
            traffic,
            moves_every_s,
        } => {
            *keys = object.number("keys", (Bound::Excluded(0.0), Bound::Included(1.0)));
            *traffic = object.number("traffic", 0.0..=1.0);
            let period_s = object.number("moves_every_s", 0.0..=1e6);
            *moves_every_s = Some(period_s).filter(|seconds| *seconds > 0.0);
        }
        KeyChoice::Uniform | KeyChoice::Sequential | KeyChoice::Churn => {}
    }
    object.refuse_unknown();
    choice
}

#[derive(Clone, Copy)]
enum SizeKind {
    Fixed,
    Uniform,
    Lognormal,
    Weighted,
}

pub(super) fn sizes(mut object: Object<'_>) -> SizeSpec {
    let kinds = [
        ("fixed", SizeKind::Fixed),
        ("uniform", SizeKind::Uniform),
        ("lognormal", SizeKind::Lognormal),
        ("weighted", SizeKind::Weighted),
    ];
    let bytes = 0..=PUT_BYTES_MAX;
    let Some(kind) = object.word_if_known("kind", &kinds) else {
        return SizeSpec::Fixed { bytes: 0 };
    };
    let sizes = match kind {
        SizeKind::Fixed => SizeSpec::Fixed {
            bytes: object.whole("bytes", bytes),
        },
        SizeKind::Uniform => {
            let min = object.whole("min", bytes.clone());
            let max = object.whole("max", bytes);
            if min > max {
                object.problem(
                    "min",
                    format!("is above max ({min} > {max})"),
                    "give min ≤ max",
                );
            }
            SizeSpec::Uniform { min, max }
        }
        SizeKind::Lognormal => SizeSpec::Lognormal {
            median: object.number("median", 1.0..=PUT_BYTES_MAX as f64),
            sigma: object.number("sigma", 0.0..=10.0),
            max: object.whole("max", 1..=PUT_BYTES_MAX),
        },
        SizeKind::Weighted => SizeSpec::Weighted {
            buckets: size_buckets(&mut object),
        },
    };
    object.refuse_unknown();
    sizes
}

fn size_buckets(object: &mut Object<'_>) -> Vec<(u64, f64)> {
    let bucket = |mut bucket: Object<'_>| {
        let entry = (
            bucket.whole("bytes", 0..=PUT_BYTES_MAX),
            bucket.number("weight", 0.0..=1e12),
        );
        bucket.refuse_unknown();
        entry
    };
    let buckets: Vec<_> = object
        .objects("buckets", 1..=1000)
        .into_iter()
        .map(bucket)
        .collect();
    if !buckets.is_empty() && buckets.iter().all(|(_, weight)| *weight == 0.0) {
        object.problem(
            "buckets",
            "have no weight",
            "give at least one a weight above 0",
        );
    }
    buckets
}

pub(super) fn mix(root: &mut Object<'_>) -> Vec<MixEntry> {
    let words: Vec<_> = Op::ALL
        .iter()
        .map(|op| (op.name().to_ascii_lowercase(), *op))
        .collect();
    let ops: Vec<_> = words
        .iter()
        .map(|(word, op)| (word.as_str(), *op))
        .collect();
    let mut mix: Vec<MixEntry> = Vec::new();
    for mut object in root.objects("mix", 1..=Op::COUNT) {
        let (op, weight) = (
            object.word_if_known("op", &ops),
            object.number("weight", 0.0..=1e12),
        );
        object.refuse_unknown();
        let Some(op) = op else { continue };
        if mix.iter().any(|earlier| earlier.op == op) {
            object.problem("op", "is in the mix already", "give each operation once");
        }
        mix.push(MixEntry { op, weight });
    }
    mix
}

pub(super) fn multipart(mut object: Object<'_>) -> Multipart {
    let multipart = Multipart {
        parts: object.whole("parts", 1..=10_000) as u32,
        part_bytes: object.whole("part_bytes", 1..=PUT_BYTES_MAX),
        objects: object.whole("objects", 1..=INDEX_END),
        parallel: object.whole("parallel", 1..=1000) as u32,
    };
    object.refuse_unknown();
    multipart
}

pub(super) fn list(mut object: Object<'_>) -> Listing {
    let listing = Listing {
        max_keys: object.whole("max_keys", 1..=1000) as u32,
        delimiter: object.text_or_null("delimiter"),
        pages: object.whole("pages", 1..=1_000_000) as u32,
    };
    object.refuse_unknown();
    listing
}
