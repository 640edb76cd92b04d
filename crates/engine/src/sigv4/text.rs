//! How signatures write things: times, numbers, percent-encoded paths and queries.

pub(super) const SECONDS_OF_A_DAY: u64 = 86_400;
/// 9999-12-31T23:59:59Z: the last second that four digits of a year can name.
pub(super) const UNIX_MAX: u64 = 253_402_300_799;

/// `20130524T000000Z`. Days to a civil date: Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms".
pub(super) fn stamp(unix_s: u64) -> [u8; 16] {
    let (days, second) = (
        unix_s / SECONDS_OF_A_DAY + 719_468,
        unix_s % SECONDS_OF_A_DAY,
    );
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // years begin in March, so that the leap day comes last
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let mut text = *b"00000000T000000Z";
    let fields = [
        (0, 4, year),
        (4, 2, month),
        (6, 2, day),
        (9, 2, second / 3600),
        (11, 2, second / 60 % 60),
        (13, 2, second % 60),
    ];
    for (at, width, number) in fields {
        let mut number = number;
        for digit in text[at..at + width].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
    text
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// 32 bytes in lower-case hexadecimal; of fewer or more bytes, zeros behind or the first 32.
pub(crate) fn hex64(bytes: &[u8]) -> [u8; 64] {
    let mut text = [b'0'; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    text
}

/// A byte as S3 wants it in a path or query: itself when RFC 3986 calls it unreserved, else `%` and
/// two capital digits.
fn encoded(byte: u8, slash_stays: bool) -> impl Iterator<Item = u8> {
    let stays =
        byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || slash_stays && byte == b'/';
    let digit = |nibble: u8| HEX[usize::from(nibble)].to_ascii_uppercase();
    let escaped = [b'%', digit(byte >> 4), digit(byte & 15)];
    let plain = [byte, 0, 0];
    let (bytes, length) = if stays { (plain, 1) } else { (escaped, 3) };
    bytes.into_iter().take(length)
}

/// Appends a path, percent-encoded once as S3 wants it; `/` stays.
pub fn encode_path(path: &[u8], out: &mut Vec<u8>) {
    out.extend(path.iter().flat_map(|byte| encoded(*byte, true)));
}

/// Appends a value of a query parameter, percent-encoded.
pub(super) fn encode_value(value: &[u8], out: &mut Vec<u8>) {
    out.extend(value.iter().flat_map(|byte| encoded(*byte, false)));
}

/// Appends a decimal number.
pub(crate) fn write_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Without blanks at both ends, and with one for each row of them inside.
pub(super) fn write_trimmed(value: &[u8], out: &mut Vec<u8>) {
    if !value.iter().any(u8::is_ascii_whitespace) {
        return out.extend_from_slice(value);
    }
    let mut words = value
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    if let Some(first) = words.next() {
        out.extend_from_slice(first);
    }
    for word in words {
        out.push(b' ');
        out.extend_from_slice(word);
    }
}

/// Appends the canonical query string of (name, value) pairs: encoded, sorted, joined by `&`. Sorts
/// the pairs in place.
pub fn write_query(pairs: &mut [(&str, &str)], out: &mut Vec<u8>) {
    fn bytes(text: &str) -> impl Iterator<Item = u8> + '_ {
        text.bytes().flat_map(|byte| encoded(byte, false))
    }
    pairs.sort_unstable_by(|left, right| {
        bytes(left.0)
            .cmp(bytes(right.0))
            .then_with(|| bytes(left.1).cmp(bytes(right.1)))
    });
    for (place, (name, value)) in pairs.iter().enumerate() {
        if place > 0 {
            out.push(b'&');
        }
        out.extend(bytes(name));
        out.push(b'=');
        out.extend(bytes(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_civil_dates() {
        let cases = [
            (0, "19700101T000000Z"),
            (951_782_400, "20000229T000000Z"),
            (1_369_353_600, "20130524T000000Z"),
            (1_440_938_160, "20150830T123600Z"),
            (4_107_542_399, "21000228T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
            (UNIX_MAX, "99991231T235959Z"),
        ];
        for (unix_s, text) in cases {
            assert_eq!(stamp(unix_s), text.as_bytes(), "{text}");
        }
    }

    #[test]
    fn encodes_once_and_keeps_slashes_in_paths_only() {
        let mut path = Vec::new();
        encode_path("/b/a b%20+~é".as_bytes(), &mut path);
        assert_eq!(path, b"/b/a%20b%2520%2B~%C3%A9");
        let mut query = Vec::new();
        write_query(
            &mut [("prefix", "a/b c"), ("list-type", "2"), ("lifecycle", "")],
            &mut query,
        );
        assert_eq!(query, b"lifecycle=&list-type=2&prefix=a%2Fb%20c");
    }
}
