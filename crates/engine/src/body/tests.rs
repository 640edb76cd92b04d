use super::*;
use crate::operation::ErrorClass;
use proptest::prelude::*;

const RUN: u64 = 0xdead_beef_0000_0001;
const KEY: u64 = 0x42;

fn id(version: u64, size: u64) -> BodyId {
    BodyId {
        run: RUN,
        key: KEY,
        version,
        size,
    }
}

fn body(id: &BodyId) -> Vec<u8> {
    let mut bytes = vec![0xaa; id.size as usize];
    fill(id, 0, &mut bytes);
    bytes
}

fn verify(bytes: &[u8]) -> BodyVerdict {
    let mut verifier = Verifier::new(RUN, KEY);
    verifier.feed(bytes);
    verifier.finish()
}

fn good(version: u64, size: u64) -> BodyVerdict {
    BodyVerdict {
        class: ErrorClass::None,
        version,
        size,
        evidence: None,
    }
}

/// (class, first bad offset, version)
fn found(bytes: &[u8]) -> (ErrorClass, Option<u64>, u64) {
    let verdict = verify(bytes);
    assert_eq!(
        verdict.class == ErrorClass::None,
        verdict.evidence.is_none()
    );
    let offset = verdict.evidence.map(|evidence| evidence.offset);
    (verdict.class, offset, verdict.version)
}

/// The format is a contract with bodies that are stored already: these bytes must never change.
#[test]
fn the_bytes_of_a_block_are_fixed() {
    let bytes = body(&BodyId {
        run: 1,
        key: 2,
        version: 3,
        size: 80,
    });
    let words: Vec<u64> = bytes
        .chunks_exact(8)
        .map(|word| {
            word.iter()
                .rev()
                .fold(0, |all, byte| all << 8 | u64::from(*byte))
        })
        .collect();
    assert_eq!(&bytes[..8], b"MAUL\x01\0\0\0");
    assert_eq!(words[1..6], [1, 2, 3, 80, 0]);
    assert_eq!(
        words[6],
        rng::hash(
            rng::mix64(1 ^ rng::mix64(2 ^ rng::mix64(3))),
            Purpose::Body,
            0
        )
    );
    let mut zeroed = bytes.clone();
    zeroed[56..60].fill(0);
    assert_eq!(words[7], u64::from(crc_fast::crc32_iscsi(&zeroed)));
    assert_eq!(GOLDEN, words[6..]);
}

/// Seed, checksum and payload, computed by an independent implementation too.
const GOLDEN: [u64; 4] = [
    18_273_775_861_767_022_255,
    182_473_117,
    4_364_366_723_333_269_257,
    10_432_329_003_677_925_799,
];

#[test]
fn all_sizes_are_good() {
    let edges = [
        64, 65, 4095, 4096, 4097, 4103, 4104, 4159, 4160, 4161, 8191, 8192, 8200, 100_000,
    ];
    for size in (0..64).chain(edges) {
        let expected = good(if size < 8 { 0 } else { 7 }, size);
        assert_eq!(verify(&body(&id(7, size))), expected, "{size}");
    }
}

#[test]
fn missing_bytes_are_truncated() {
    let bytes = body(&id(7, 20_000));
    for length in [
        64, 65, 4095, 4096, 4100, 4160, 5000, 8192, 16_384, 16_385, 19_999,
    ] {
        assert_eq!(
            found(&bytes[..length]),
            (ErrorClass::Truncated, Some(length as u64), 7),
            "{length}"
        );
    }
    // a cut header does not say its version
    for length in [5, 8, 63] {
        assert_eq!(
            found(&bytes[..length]),
            (ErrorClass::Truncated, Some(length as u64), 0),
            "{length}"
        );
    }
    let tail = body(&id(7, 4096 + 30));
    for length in [4096, 4097, 4096 + 29] {
        assert_eq!(
            found(&tail[..length]),
            (ErrorClass::Truncated, Some(length as u64), 7),
            "{length}"
        );
    }
}

#[test]
fn what_the_server_announced_and_the_plan_knows_counts_too() {
    let check = |bytes: &[u8], announced: Option<u64>, size_min: u64| {
        let mut verifier = Verifier::new(RUN, KEY).size_min(size_min);
        if let Some(announced) = announced {
            verifier = verifier.content_length(announced);
        }
        verifier.feed(bytes);
        verifier.finish().class
    };
    let tiny = body(&id(7, 30));
    assert_eq!(check(&tiny, Some(30), 30), ErrorClass::None);
    assert_eq!(check(&tiny[..20], Some(30), 0), ErrorClass::Truncated);
    assert_eq!(check(&tiny[..5], Some(30), 0), ErrorClass::Truncated);
    assert_eq!(check(&[0x5a; 20], Some(30), 0), ErrorClass::Truncated);
    assert_eq!(check(&tiny[..5], None, 0), ErrorClass::None);
    assert_eq!(check(&tiny[..5], None, 64), ErrorClass::NotOurs);
    assert_eq!(check(&[], None, 0), ErrorClass::None);
    assert_eq!(check(&[], Some(0), 1), ErrorClass::Truncated);
    assert_eq!(check(&[], None, 4096), ErrorClass::Truncated);
    assert_eq!(check(b"MA", None, 4096), ErrorClass::Truncated);
    assert_eq!(check(b"<html>", None, 4096), ErrorClass::NotOurs);
    assert_eq!(
        check(&body(&id(7, 5000)), Some(5001), 0),
        ErrorClass::Truncated
    );
}

#[test]
fn more_bytes_than_the_header_says_are_corrupt() {
    for (size, more, at) in [
        (100, 1, 100),
        (4096, 1, 4096),
        (4096, 64, 4096),
        (5000, 4000, 5000),
        (4100, 3, 4100),
    ] {
        let mut bytes = body(&id(7, size));
        bytes.resize(bytes.len() + more, 0x5a);
        assert_eq!(
            found(&bytes),
            (ErrorClass::Corrupt, Some(at), 7),
            "{size} + {more}"
        );
    }
}

#[test]
fn zeroed_and_flipped_blocks_are_corrupt() {
    let mut bytes = body(&id(7, 20_000));
    bytes[8192..12_288].fill(0);
    assert_eq!(found(&bytes), (ErrorClass::Corrupt, Some(8192), 7));
    // a hole at the beginning is damage, not a stranger, as the other blocks show
    let mut bytes = body(&id(7, 20_000));
    bytes[..4096].fill(0);
    assert_eq!(found(&bytes), (ErrorClass::Corrupt, Some(0), 7));
    for at in [0, 3, 4, 8, 20, 30, 37, 45, 50, 56, 63, 64, 4095] {
        let mut bytes = body(&id(7, 20_000));
        bytes[at] ^= 0x10;
        assert_eq!(found(&bytes), (ErrorClass::Corrupt, Some(0), 7), "{at}");
    }
}

#[test]
fn damage_that_makes_a_block_look_cut_or_strange_is_corrupt() {
    // the last block claims to go on, by its size and by its offset
    for at in [32, 33, 41] {
        let mut bytes = body(&id(7, 20_000));
        bytes[16_384 + at] ^= 0x40;
        assert_eq!(
            found(&bytes),
            (ErrorClass::Corrupt, Some(16_384), 7),
            "{at}"
        );
    }
    // the only block lost its magic
    let mut bytes = body(&id(7, 4096));
    bytes[0] ^= 1;
    assert_eq!(found(&bytes), (ErrorClass::Corrupt, Some(0), 0));
}

#[test]
fn blocks_of_two_versions_are_torn() {
    let (old, new) = (body(&id(7, 20_000)), body(&id(8, 20_000)));
    for cut in [4096, 8192, 16_384] {
        let torn = [&new[..cut], &old[cut..]].concat();
        assert_eq!(
            found(&torn),
            (ErrorClass::Torn, Some(cut as u64), 8),
            "{cut}"
        );
    }
    // of different sizes, both ways
    let short = body(&id(9, 5000));
    assert_eq!(
        found(&[&new[..4096], &short[4096..]].concat()),
        (ErrorClass::Torn, Some(4096), 8)
    );
    assert_eq!(
        found(&[&short[..4096], &new[4096..]].concat()),
        (ErrorClass::Torn, Some(4096), 9)
    );
    // and within the last bytes, that have no header
    let (old, new) = (body(&id(7, 4096 + 30)), body(&id(8, 4096 + 30)));
    assert_eq!(
        found(&[&new[..4096], &old[4096..]].concat()),
        (ErrorClass::Torn, Some(4096), 8)
    );
    // and in the middle of a block, where only the checksum sees it
    assert_eq!(
        found(&[&new[..1000], &old[1000..]].concat()),
        (ErrorClass::Corrupt, Some(0), 0)
    );
}

#[test]
fn swapped_and_foreign_blocks_are_told_apart() {
    let mut bytes = body(&id(7, 20_000));
    let (left, right) = bytes.split_at_mut(8192);
    left[4096..].swap_with_slice(&mut right[..4096]);
    assert_eq!(found(&bytes), (ErrorClass::Swapped, Some(4096), 7));
    let bytes = body(&id(7, 20_000));
    let repeated = [&bytes[..4096], &bytes[..4096], &bytes[8192..]].concat();
    assert_eq!(found(&repeated), (ErrorClass::Swapped, Some(4096), 7));
    for stranger in [
        BodyId {
            key: KEY + 1,
            ..id(7, 20_000)
        },
        BodyId {
            run: RUN + 1,
            ..id(7, 20_000)
        },
    ] {
        let stranger = body(&stranger);
        assert_eq!(found(&stranger), (ErrorClass::Foreign, Some(0), 0));
        assert_eq!(found(&stranger[..100]), (ErrorClass::Foreign, Some(0), 0));
        let patched = [&bytes[..4096], &stranger[4096..8192], &bytes[8192..]].concat();
        assert_eq!(found(&patched), (ErrorClass::Foreign, Some(4096), 7));
    }
}

#[test]
fn evidence_says_where_what_was_expected_and_what_was_found() {
    let says = |bytes: &[u8]| verify(bytes).evidence.unwrap().to_string();
    let bytes = body(&id(7, 20_000));
    let swapped = [&bytes[..4096], &bytes[8192..12_288], &bytes[8192..]].concat();
    assert_eq!(
        says(&swapped),
        "at byte 4096: expected the block of byte 4096, found that of byte 8192"
    );
    let torn = [&bytes[..8192], &body(&id(8, 20_000))[8192..]].concat();
    assert_eq!(
        says(&torn),
        "at byte 8192: expected version 0x7, found version 0x8"
    );
    // another version in another place is torn, not swapped: the mixture is the graver fault
    let both = [&bytes[..4096], &body(&id(8, 20_000))[8192..]].concat();
    assert_eq!(verify(&both).class, ErrorClass::Torn);
    assert_eq!(
        says(&bytes[..10_000]),
        "at byte 10000: expected 20000 bytes or more, found 10000 bytes"
    );
    let stranger = "<html>not what was asked</html>".repeat(200);
    assert_eq!(
        says(stranger.as_bytes()),
        "at byte 0: expected a maul block, found <html>not what w"
    );
    let mut flipped = bytes.clone();
    flipped[5000] ^= 1;
    let text = says(&flipped);
    assert!(
        text.starts_with("at byte 4096: expected a block with the CRC-32C 0x"),
        "{text}"
    );
}

#[test]
fn a_stale_copy_is_good_and_says_its_version() {
    assert_eq!(verify(&body(&id(5, 20_000))), good(5, 20_000));
    assert_eq!(verify(&body(&id(5, 40))), good(5, 40));
}

#[test]
fn what_carries_no_header_is_not_ours() {
    for length in [64, 100, 4096, 50_000] {
        assert_eq!(
            found(&vec![b'x'; length]),
            (ErrorClass::NotOurs, Some(0), 0),
            "{length}"
        );
        assert_eq!(
            found(&vec![0; length]),
            (ErrorClass::NotOurs, Some(0), 0),
            "{length}"
        );
    }
}

#[test]
fn tiny_bodies_are_checked_by_what_follows_their_version() {
    // with a few bytes behind the version chance may hide a flip; from eight on it does not
    for size in 16..64 {
        let bytes = body(&id(7, size));
        for at in 0..size as usize {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_eq!(
                found(&flipped),
                (ErrorClass::Corrupt, Some(0), 0),
                "{size} {at}"
            );
        }
        // the size is in the bytes, so a cut shows
        for length in 16..size {
            assert_eq!(
                found(&bytes[..length as usize]),
                (ErrorClass::Truncated, Some(length), 0),
                "{size} {length}"
            );
        }
    }
    let stranger = body(&BodyId {
        key: KEY + 1,
        ..id(7, 40)
    });
    assert_eq!(found(&stranger).0, ErrorClass::Corrupt);
}

#[test]
fn beyond_the_end_there_is_nothing() {
    let mut out = [0xaa; 200];
    fill(&id(7, 100), 50, &mut out);
    assert_eq!(out[..50], body(&id(7, 100))[50..]);
    assert!(out[50..].iter().all(|byte| *byte == 0));
    let mut out = [0xaa; 5000];
    fill(&id(7, 100), 0, &mut out);
    assert_eq!(out[..100], body(&id(7, 100)));
    assert!(out[100..].iter().all(|byte| *byte == 0));
    let mut out = [0xaa; 10];
    fill(&id(7, 100), u64::MAX - 3, &mut out);
    assert_eq!(out, [0; 10]);
}

#[test]
fn sha256_is_that_of_the_bytes() {
    let bytes = body(&id(7, 50_000));
    for (offset, length) in [(0, 50_000), (0, 0), (1, 4096), (5000, 33_333)] {
        let part = &bytes[offset..offset + length];
        let expected = crate::sigv4::hex64(digest::digest(&digest::SHA256, part).as_ref());
        assert_eq!(
            sha256_hex(&id(7, 50_000), offset as u64, length as u64),
            expected
        );
    }
    assert_eq!(
        &sha256_hex(&id(7, 0), 0, 0),
        crate::sigv4::EMPTY_PAYLOAD.as_bytes()
    );
}

#[test]
fn payloads_are_incompressible_and_differ() {
    let mut blocks: Vec<_> = body(&id(7, 1 << 20))
        .chunks(4096)
        .map(|block| block[64..].to_vec())
        .collect();
    let mut counts = [0u32; 256];
    blocks
        .iter()
        .flatten()
        .for_each(|byte| counts[usize::from(*byte)] += 1);
    let expected = blocks.iter().map(Vec::len).sum::<usize>() as f64 / 256.0;
    // chi-square with 255 degrees of freedom: above 330 once in a thousand
    let chi: f64 = counts
        .iter()
        .map(|count| (f64::from(*count) - expected).powi(2) / expected)
        .sum();
    assert!(chi < 330.0, "{chi}");
    blocks.sort_unstable();
    blocks.dedup();
    assert_eq!(blocks.len(), 256);
}

/// Sizes around the edges of blocks and headers.
fn sizes() -> impl Strategy<Value = u64> {
    prop_oneof![0..200u64, 4000..4300u64, 8100..8400u64, 0..40_000u64]
}

proptest! {
    #[test]
    fn any_part_is_the_part_of_the_whole(size in sizes(), from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let whole = body(&id(7, size));
        let (from, to) = (from.index(whole.len() + 1), to.index(whole.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        let mut part = vec![0xaa; to - from];
        fill(&id(7, size), from as u64, &mut part);
        prop_assert_eq!(&part, &whole[from..to]);
    }

    #[test]
    fn portions_do_not_matter(size in sizes(), damage in any::<Option<(prop::sample::Index, u8)>>(), cuts in prop::collection::vec(1usize..5000, 1..50)) {
        let mut bytes = body(&id(7, size));
        if let Some((at, value)) = damage.filter(|_| size > 0) {
            bytes[at.index(size as usize)] = value;
        }
        let mut verifier = Verifier::new(RUN, KEY);
        let mut left = &bytes[..];
        for cut in cuts.iter().cycle() {
            if left.is_empty() { break; }
            let (part, rest) = left.split_at((*cut).min(left.len()));
            verifier.feed(part);
            left = rest;
        }
        prop_assert_eq!(verifier.finish(), verify(&bytes));
    }

    #[test]
    fn every_flipped_bit_is_seen(size in prop_oneof![16..200u64, 4000..4300u64, 16..40_000u64], at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = body(&id(7, size));
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let verdict = verify(&bytes);
        prop_assert_ne!(verdict.class, ErrorClass::None);
        let offset = verdict.evidence.unwrap().offset;
        prop_assert!(offset <= size, "{}", offset);
        if verdict.class == ErrorClass::Corrupt {
            prop_assert_eq!(offset / BLOCK_BYTES, at as u64 / BLOCK_BYTES);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..9000), magic in any::<bool>(), announced in any::<Option<u64>>(), size_min in any::<u64>()) {
        let mut bytes = bytes;
        if magic && bytes.len() > 5 {
            bytes[..4].copy_from_slice(&MAGIC);
        }
        let mut verifier = Verifier::new(RUN, KEY).size_min(size_min);
        if let Some(announced) = announced {
            verifier = verifier.content_length(announced);
        }
        verifier.feed(&bytes);
        let _ = verifier.finish();
    }
}
