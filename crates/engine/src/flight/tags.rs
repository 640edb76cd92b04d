//! Tags that say whose they are and which setting of them, and the retention of an object.

use std::io::Write;

use crate::operation::{ErrorClass, Key};
use crate::xml::Elements;

/// The key of our tag.
const NAME: &[u8] = b"maul";

/// The tags of an object as an answer lists them.
#[derive(Debug, Default)]
pub struct Tags {
    key: Vec<u8>,
    value: Vec<u8>,
    count: u32,
    own: Option<(u64, u64)>,
    root: bool,
    whole: bool,
}

impl Tags {
    /// Expects a new answer.
    pub fn begin(&mut self) {
        self.key.clear();
        self.value.clear();
        self.count = 0;
        self.own = None;
        self.root = false;
        self.whole = false;
    }

    /// Which setting of the tags of `key` came back: 0 when there are no tags at all.
    ///
    /// # Errors
    /// [`ErrorClass::Protocol`] when the answer lists no tags, not wholly, or tags that are not ours;
    /// [`ErrorClass::Foreign`] when they are another key's.
    pub fn version(&self, key: Key) -> Result<u64, ErrorClass> {
        match self.own {
            _ if !self.whole => Err(ErrorClass::Protocol),
            None if self.count == 0 => Ok(0),
            Some((of, _)) if of != key.0 => Err(ErrorClass::Foreign),
            Some((_, version)) if self.count == 1 => Ok(version),
            _ => Err(ErrorClass::Protocol),
        }
    }
}

impl Elements for Tags {
    fn opened(&mut self, name: &[u8]) {
        match name {
            b"Tagging" => self.root = true,
            b"Tag" => {
                self.key.clear();
                self.value.clear();
            }
            _ => {}
        }
    }

    fn closed(&mut self, name: &[u8], text: &[u8]) {
        match name {
            b"Key" => keep(&mut self.key, text),
            b"Value" => keep(&mut self.value, text),
            b"Tag" => {
                self.count = self.count.saturating_add(1);
                if self.key == NAME {
                    self.own = read_value(&self.value);
                }
            }
            b"Tagging" => self.whole = self.root,
            _ => {}
        }
    }
}

fn keep(place: &mut Vec<u8>, text: &[u8]) {
    place.clear();
    place.extend_from_slice(text);
}

fn read_value(value: &[u8]) -> Option<(u64, u64)> {
    let (key, version) = std::str::from_utf8(value).ok()?.split_once('-')?;
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    Some((number(key)?, number(version)?))
}

/// The body that sets the tags of a key.
pub fn write_tags(key: Key, version: u64, out: &mut Vec<u8>) {
    // Writing into memory cannot fail.
    let _ = write!(
        out,
        "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet><Tag><Key>maul</Key>\
         <Value>{:016x}-{version:016x}</Value></Tag></TagSet></Tagging>",
        key.0
    );
}

/// The body that keeps an object until a moment, mode GOVERNANCE.
pub fn write_retention(until_unix_s: u64, out: &mut Vec<u8>) {
    let (days, second) = (until_unix_s / 86_400, until_unix_s % 86_400);
    let (year, month, day) = civil(days);
    let _ = write!(
        out,
        "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>GOVERNANCE</Mode><RetainUntilDate>\
         {year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z</RetainUntilDate></Retention>",
        second / 3600,
        second / 60 % 60,
        second % 60
    );
}

/// Year, month and day of a day since 1970 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Region;
    use crate::xml::Scanner;

    fn read(text: &[u8], key: Key) -> Result<u64, ErrorClass> {
        let (mut scanner, mut tags) = (Scanner::default(), Tags::default());
        tags.begin();
        scanner.begin();
        scanner.feed(text, &mut tags);
        tags.version(key)
    }

    #[test]
    fn tags_come_back_as_they_were_set() {
        let key = Key::new(Region::Copy, 77);
        let mut text = Vec::new();
        write_tags(key, 0xabc, &mut text);
        assert_eq!(read(&text, key), Ok(0xabc));
        assert_eq!(read(&text, Key(1)), Err(ErrorClass::Foreign));
        assert_eq!(read(b"<Tagging><TagSet/></Tagging>", key), Ok(0));
        let cut = &text[..text.len() - 1];
        assert_eq!(read(cut, key), Err(ErrorClass::Protocol));
        let other = String::from_utf8(text).unwrap().replace("maul", "other");
        assert_eq!(read(other.as_bytes(), key), Err(ErrorClass::Protocol));
        assert_eq!(read(b"<html/>", key), Err(ErrorClass::Protocol));
    }

    #[test]
    fn retention_ends_on_a_civil_date() {
        for (unix_s, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
        ] {
            let mut text = Vec::new();
            write_retention(unix_s, &mut text);
            assert!(String::from_utf8(text).unwrap().contains(date), "{date}");
        }
    }
}
