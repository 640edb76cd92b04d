//! The latency histogram: HdrHistogram, three significant digits, nanoseconds up to one hour.
//!
//! All of ours have the same bounds, so they merge slot by slot, exactly. The V2 encoding is that
//! of <https://github.com/HdrHistogram/HdrHistogram> (`encodeIntoByteBuffer`): 40 bytes of
//! big-endian header, then one zig-zag LEB128 number for each slot, where a negative number skips
//! so many empty slots.

use hdrhistogram::serialization::{Serializer, V2Serializer};

/// The largest value kept, nanoseconds (one hour); larger ones count as this.
pub const VALUE_MAX_NS: u64 = 3_600_000_000_000;
/// Significant decimal digits.
pub const DIGITS: u8 = 3;
/// The most counts that one histogram takes; what fits a float exactly. More in an encoded one is
/// garbage.
const COUNT_MAX: u64 = 1 << 53;

const V2_COOKIE: u32 = 0x1c84_9303 | 0x10;
const V2_HEADER_BYTES: usize = 40;
/// log2 of half the slots of a bucket, for three digits.
const HALF_BITS: u32 = 10;

/// Bytes that are no histogram of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a histogram in HdrHistogram V2 encoding with 3 significant digits: {0}")]
pub struct HistogramError(pub String);

/// A histogram of nanoseconds.
///
/// ```
/// use maul_engine::hist::Histogram;
/// let mut histogram = Histogram::new();
/// histogram.record(1_000, 99);
/// histogram.record(5_000_000, 1);
/// assert_eq!(histogram.percentile(99.0), 1_000);
/// assert_eq!(Histogram::from_v2(&histogram.to_v2()).unwrap().count(), 100);
/// ```
#[derive(Clone, Debug)]
pub struct Histogram {
    inner: hdrhistogram::Histogram<u64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        let inner = hdrhistogram::Histogram::new_with_bounds(1, VALUE_MAX_NS, DIGITS)
            .expect("the bounds are constants, and a test makes one");
        Self { inner }
    }

    /// Counts a value `count` times; more than [`VALUE_MAX_NS`] counts as that. Above 2^53 counts
    /// in all, nothing more is counted.
    pub fn record(&mut self, value_ns: u64, count: u64) {
        let count = count.min(COUNT_MAX.saturating_sub(self.count()));
        if count > 0 {
            self.inner
                .saturating_record_n(value_ns.min(VALUE_MAX_NS), count);
        }
    }

    /// Adds all counts of the other, exactly.
    pub fn merge(&mut self, other: &Self) {
        // both have the same bounds, so the other's values fit
        let added = self.inner.add(&other.inner);
        debug_assert!(added.is_ok());
    }

    /// Reads HdrHistogram V2 encoding (not compressed).
    ///
    /// # Errors
    /// [`HistogramError`] when the bytes are something else.
    pub fn from_v2(bytes: &[u8]) -> Result<Self, HistogramError> {
        let (unit_bits, payload) = read_header(bytes)?;
        let mut sums = Vec::new();
        sum_slots(payload, &mut sums)?;
        let mut histogram = Self::new();
        for (slot, count) in sums.into_iter().enumerate() {
            if count > 0 {
                histogram.record(slot_value(slot as u64, unit_bits)?, count);
            }
        }
        Ok(histogram)
    }

    /// Adds all counts of encoded ones, exactly: as `merge(&from_v2(bytes)?)` of each, but slots that
    /// are empty cost nothing, and those of a thousand histograms are looked up once.
    ///
    /// # Errors
    /// [`HistogramError`] when one of them is something else; then nothing was added.
    pub fn add_all_v2<'a>(
        &mut self,
        parts: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), HistogramError> {
        let mut sums: Vec<u64> = Vec::new();
        let mut others = Vec::new();
        for bytes in parts {
            let (unit_bits, payload) = read_header(bytes)?;
            if unit_bits == 0 {
                sum_slots(payload, &mut sums)?;
            } else {
                others.push(Self::from_v2(bytes)?);
            }
        }
        for (slot, count) in sums.into_iter().enumerate() {
            if count > 0 {
                self.record(slot_value(slot as u64, 0)?, count);
            }
        }
        for other in &others {
            self.merge(other);
        }
        Ok(())
    }

    /// HdrHistogram V2 encoding (not compressed).
    #[must_use]
    pub fn to_v2(&self) -> Vec<u8> {
        encode_v2(&self.inner)
    }

    /// The value below or at which `percentile` (0 to 100) of the counts lie, ns; 0 when empty.
    #[must_use]
    pub fn percentile(&self, percentile: f64) -> u64 {
        if self.count() == 0 {
            return 0;
        }
        // a NaN asks for nothing sensible; like 0 it gives the smallest
        let percentile = if percentile.is_nan() {
            0.0
        } else {
            percentile.clamp(0.0, 100.0)
        };
        self.inner.value_at_percentile(percentile)
    }

    /// Every slot that holds something: (the highest value that falls into it in ns, how many did),
    /// values rising. These are the values that [`Self::percentile`] answers with.
    #[must_use]
    pub fn slots(&self) -> Vec<(u64, u64)> {
        self.inner
            .iter_recorded()
            .map(|slot| (slot.value_iterated_to(), slot.count_at_value()))
            .collect()
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.inner.len()
    }

    /// The smallest value, ns, to three digits; 0 when empty.
    #[must_use]
    pub fn min(&self) -> u64 {
        if self.count() == 0 {
            0
        } else {
            self.inner.min()
        }
    }

    /// The largest value, ns, to three digits; 0 when empty.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.inner.max()
    }

    /// The mean, ns, to three digits; 0 when empty.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.inner.mean()
    }
}

/// V2 encoding of any histogram of the crate. Empty when the crate cannot encode it: a count above
/// 2^63.
pub(crate) fn encode_v2<C: hdrhistogram::Counter>(
    histogram: &hdrhistogram::Histogram<C>,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    match V2Serializer::new().serialize(histogram, &mut bytes) {
        Ok(_) => bytes,
        Err(_) => Vec::new(),
    }
}

/// Checks the header; gives the bits below the resolution and the payload.
fn read_header(bytes: &[u8]) -> Result<(u32, &[u8]), HistogramError> {
    let refuse = |why: &str| Err(HistogramError(why.to_owned()));
    let Some((header, payload)) = bytes.split_at_checked(V2_HEADER_BYTES) else {
        return Err(HistogramError(format!(
            "{} bytes are fewer than a header has",
            bytes.len()
        )));
    };
    let word = |at: usize| {
        header[at..at + 4]
            .iter()
            .fold(0u32, |word, byte| word << 8 | u32::from(*byte))
    };
    let long = |at: usize| u64::from(word(at)) << 32 | u64::from(word(at + 4));
    if word(0) != V2_COOKIE {
        return refuse("wrong cookie (compressed, or another format)");
    }
    if word(4) as usize != payload.len() {
        return Err(HistogramError(format!(
            "{} bytes of counts, not {}",
            payload.len(),
            word(4)
        )));
    }
    if word(8) != 0 || f64::from_bits(long(32)) != 1.0 {
        return refuse("shifted or scaled values");
    }
    if word(12) != u32::from(DIGITS) {
        return Err(HistogramError(format!("{} significant digits", word(12))));
    }
    match long(16).checked_ilog2() {
        Some(unit_bits) if unit_bits <= 52 => Ok((unit_bits, payload)),
        _ => refuse("a lowest value of 0 or beyond all use"),
    }
}

/// Takes the next number off the payload: LEB128 of at most 9 bytes (the ninth is taken whole),
/// zig-zag.
fn read_zig_zag(payload: &mut &[u8]) -> Result<i64, HistogramError> {
    let mut value = 0u64;
    for place in 0..9 {
        let Some((byte, rest)) = payload.split_first() else {
            return Err(HistogramError("the last number is cut off".to_owned()));
        };
        *payload = rest;
        if place == 8 {
            value |= u64::from(*byte) << 56;
            break;
        }
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

/// Adds the counts of an encoded histogram to those of its slots.
fn sum_slots(mut payload: &[u8], sums: &mut Vec<u64>) -> Result<(), HistogramError> {
    let mut slot = 0u64;
    let mut total = 0u64;
    while !payload.is_empty() {
        let number = read_zig_zag(&mut payload)?;
        if number < 0 {
            slot = slot.saturating_add(number.unsigned_abs());
            continue;
        }
        total = total.saturating_add(number.unsigned_abs());
        if total > COUNT_MAX {
            return Err(HistogramError(format!("more than {COUNT_MAX} counts")));
        }
        if number > 0 {
            slot_value(slot, 0)?; // so that garbage cannot ask for more memory than there are slots
            let place = slot as usize;
            if place >= sums.len() {
                sums.resize(place + 1, 0);
            }
            sums[place] = sums[place].saturating_add(number.unsigned_abs());
        }
        slot = slot.saturating_add(1);
    }
    Ok(())
}

/// The lowest value of a slot (`valueFromIndex` in the reference implementation).
fn slot_value(slot: u64, unit_bits: u32) -> Result<u64, HistogramError> {
    let half = 1u64 << HALF_BITS;
    let (bucket, sub_slot) = match slot >> HALF_BITS {
        0 => (0, slot),
        row => (row - 1, (slot & (half - 1)) + half),
    };
    let shift = bucket + u64::from(unit_bits);
    if shift > 52 {
        return Err(HistogramError(format!(
            "slot {slot} lies beyond all values"
        )));
    }
    Ok(sub_slot << shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 1 µs 10 times, 1.5 ms 3 times, 2 s once; written by the Python package hdrhistogram 0.10
    /// (V2, inflated).
    const PYTHON: &str = include_str!("../tests/vectors/hdr_v2_python.hex");

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<u32> = text
            .chars()
            .filter_map(|digit| digit.to_digit(16))
            .collect();
        digits
            .chunks_exact(2)
            .map(|pair| (pair[0] * 16 + pair[1]) as u8)
            .collect()
    }

    #[test]
    fn reads_what_another_implementation_wrote_and_writes_the_same() {
        let histogram = Histogram::from_v2(&unhex(PYTHON)).unwrap();
        assert_eq!(histogram.count(), 14);
        assert_eq!(histogram.min(), 1_000);
        assert!((1_500_000..1_502_000).contains(&histogram.percentile(90.0)));
        assert!((2_000_000_000..2_002_000_000).contains(&histogram.max()));
        assert_eq!(histogram.to_v2(), unhex(PYTHON));
    }

    #[test]
    fn empty_is_zero_everywhere() {
        let empty = Histogram::from_v2(&Histogram::new().to_v2()).unwrap();
        assert_eq!(
            (
                empty.count(),
                empty.min(),
                empty.max(),
                empty.percentile(99.9)
            ),
            (0, 0, 0, 0)
        );
        assert_eq!(empty.mean(), 0.0);
    }

    #[test]
    fn slots_are_the_values_that_percentiles_answer_with() {
        assert!(Histogram::new().slots().is_empty());
        let mut histogram = Histogram::new();
        histogram.record(1_500_000, 3);
        histogram.record(0, 1);
        histogram.record(2_000_000_000, 1);
        let slots = histogram.slots();
        assert_eq!(
            slots,
            vec![
                (0, 1),
                (histogram.percentile(50.0), 3),
                (histogram.percentile(100.0), 1)
            ]
        );
    }

    #[test]
    fn values_beyond_an_hour_count_as_an_hour() {
        let mut histogram = Histogram::new();
        histogram.record(u64::MAX, 2);
        histogram.record(0, 1);
        histogram.record(7, 0);
        assert_eq!((histogram.count(), histogram.min()), (3, 0));
        assert!(histogram.max().abs_diff(VALUE_MAX_NS) < VALUE_MAX_NS / 1000);
        let mut above = Histogram::new();
        above.record(VALUE_MAX_NS + VALUE_MAX_NS / 5, 1);
        assert_eq!(above.max(), histogram.max());
        assert_eq!(histogram.percentile(f64::NAN), 0);
        assert_eq!(histogram.percentile(-1.0), 0);
        assert_eq!(histogram.percentile(1e9), histogram.max());
        histogram.record(5, u64::MAX);
        histogram.record(5, u64::MAX);
        assert_eq!(
            Histogram::from_v2(&histogram.to_v2()).unwrap().count(),
            COUNT_MAX
        );
    }

    #[test]
    fn refuses_what_is_not_ours() {
        let mut ours = Histogram::new();
        ours.record(1_000_000, 5);
        let ours = ours.to_v2();
        let with = |at: usize, byte: u8| {
            let mut bytes = ours.clone();
            bytes[at] = byte;
            Histogram::from_v2(&bytes)
        };
        for (at, byte) in [(0, 9), (7, 255), (11, 1), (15, 2), (23, 0), (32, 0)] {
            assert!(with(at, byte).is_err(), "byte {at}");
        }
        assert!(Histogram::from_v2(&[]).is_err());
        // one slot with 2^54 - 1 counts
        let mut huge = ours[..V2_HEADER_BYTES].to_vec();
        huge[7] = 8;
        huge.extend([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
        assert!(Histogram::from_v2(&huge).is_err());
        assert!(Histogram::from_v2(&ours[..ours.len() - 1]).is_err());
    }

    proptest! {
        #[test]
        fn survives_the_round_trip_and_merges_exactly(
            left in prop::collection::vec((0..=VALUE_MAX_NS, 1u64..1000), 0..40),
            right in prop::collection::vec((0..=VALUE_MAX_NS, 1u64..1000), 0..40),
        ) {
            let count = |values: &[(u64, u64)]| {
                let mut histogram = Histogram::new();
                for (value, count) in values {
                    histogram.record(*value, *count);
                }
                histogram
            };
            let mut merged = Histogram::from_v2(&count(&left).to_v2()).unwrap();
            merged.merge(&count(&right));
            let both = count(&[left, right].concat());
            prop_assert_eq!(merged.to_v2(), both.to_v2());
            prop_assert_eq!(merged.count(), both.count());
            prop_assert_eq!(merged.percentile(99.0), both.percentile(99.0));
        }

        #[test]
        fn no_bytes_make_it_panic(mut payload in prop::collection::vec(any::<u8>(), 0..64), low in any::<u64>()) {
            let mut bytes = Histogram::new().to_v2()[..V2_HEADER_BYTES].to_vec();
            bytes[4..8].copy_from_slice(&(payload.len() as u32).to_be_bytes());
            bytes[16..24].copy_from_slice(&(low >> (low % 64)).to_be_bytes());
            bytes.append(&mut payload);
            if let Ok(histogram) = Histogram::from_v2(&bytes) {
                let _ = (histogram.percentile(50.0), histogram.mean(), histogram.to_v2());
            }
        }
    }

    #[test]
    fn adding_an_encoded_one_is_merging_it_and_garbage_adds_nothing() {
        let (mut one, mut other) = (Histogram::new(), Histogram::new());
        for value in 1..2_000u64 {
            one.record(value * value, value % 7);
            other.record(value * 1_000, 1);
        }
        let mut merged = one.clone();
        merged.merge(&other);
        merged.merge(&other);
        one.add_all_v2([other.to_v2().as_slice(), &other.to_v2()])
            .unwrap();
        assert_eq!(one.to_v2(), merged.to_v2());
        assert_eq!(one.count(), merged.count());
        let mut torn = other.to_v2();
        torn.pop();
        torn.push(0x81); // a number that goes on behind the end
        assert!(one.add_all_v2([other.to_v2().as_slice(), &torn]).is_err());
        assert_eq!(one.to_v2(), merged.to_v2());
    }
}
