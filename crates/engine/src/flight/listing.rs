//! Listings: one page after the other, read as they stream in.

use crate::operation::{ErrorClass, Op};
use crate::xml::Elements;

/// Where a listing goes on.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Continuation token (v2), marker (v1) or key marker (versions).
    pub text: String,
    /// Version id marker, versions only.
    pub version_id: String,
}

impl Marker {
    fn clear(&mut self) {
        self.text.clear();
        self.version_id.clear();
    }
}

/// The listing under way: what was asked for, and what its present page says. Its memory is used again.
#[derive(Debug, Default)]
pub struct Listing {
    op: Option<Op>,
    prefix: Vec<u8>,
    max_keys: u64,
    /// What the present page was asked to begin behind.
    pub asked: Marker,
    next: Marker,
    /// The last name of the page: where a version 1 listing without groups goes on.
    last: String,
    in_group: bool,
    root: Root,
    names: u64,
    strangers: u64,
    truncated: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Root {
    #[default]
    Awaited,
    Other,
    Open,
    Closed,
}

impl Listing {
    /// A new listing of at most `max_keys` names on a page, all of which begin with `prefix`.
    pub fn begin(&mut self, op: Op, prefix: &[u8], max_keys: u64) {
        self.op = Some(op);
        self.prefix.clear();
        self.prefix.extend_from_slice(prefix);
        self.max_keys = max_keys;
        self.asked.clear();
        self.next.clear();
        self.turn();
    }

    /// Expects the page behind the last one.
    pub fn turn(&mut self) {
        std::mem::swap(&mut self.asked, &mut self.next);
        self.next.clear();
        self.last.clear();
        self.in_group = false;
        self.root = Root::Awaited;
        self.names = 0;
        self.strangers = 0;
        self.truncated = None;
    }

    /// Judges the page: whether another follows.
    ///
    /// # Errors
    /// [`ErrorClass::Protocol`] when it is no such listing, not whole, not what was asked for, or leads nowhere.
    pub fn page(&mut self) -> Result<bool, ErrorClass> {
        let Some(truncated) = self.truncated else {
            return Err(ErrorClass::Protocol);
        };
        if self.root != Root::Closed || self.strangers > 0 || self.names > self.max_keys {
            return Err(ErrorClass::Protocol);
        }
        if !truncated {
            return Ok(false);
        }
        if self.op == Some(Op::ListV1) && self.next.text.is_empty() {
            std::mem::swap(&mut self.next.text, &mut self.last);
        }
        // A page that leads back to itself would go on for ever.
        if self.next.text.is_empty() || self.next == self.asked {
            return Err(ErrorClass::Protocol);
        }
        Ok(true)
    }

    fn root_name(&self) -> &'static [u8] {
        match self.op {
            Some(Op::ListVersions) => b"ListVersionsResult",
            _ => b"ListBucketResult",
        }
    }

    fn name(&mut self, name: &[u8]) {
        self.names += 1;
        if !name.starts_with(&self.prefix) {
            self.strangers += 1;
        }
        keep(&mut self.last, name);
    }
}

fn keep(place: &mut String, text: &[u8]) {
    place.clear();
    place.push_str(std::str::from_utf8(text).unwrap_or_default());
}

impl Elements for Listing {
    fn opened(&mut self, name: &[u8]) {
        if self.root == Root::Awaited {
            self.root = if name == self.root_name() {
                Root::Open
            } else {
                Root::Other
            };
        }
        self.in_group |= name == b"CommonPrefixes";
    }

    fn closed(&mut self, name: &[u8], text: &[u8]) {
        if self.root != Root::Open {
            return;
        }
        let (is_v1, is_versions) = (
            self.op == Some(Op::ListV1),
            self.op == Some(Op::ListVersions),
        );
        match name {
            b"Key" => self.name(text),
            b"Prefix" if self.in_group => self.name(text),
            b"CommonPrefixes" => self.in_group = false,
            b"IsTruncated" => self.truncated = Some(text == b"true"),
            b"NextContinuationToken" if !is_v1 && !is_versions => keep(&mut self.next.text, text),
            b"NextMarker" if is_v1 => keep(&mut self.next.text, text),
            b"NextKeyMarker" if is_versions => keep(&mut self.next.text, text),
            b"NextVersionIdMarker" if is_versions => keep(&mut self.next.version_id, text),
            _ if name == self.root_name() => self.root = Root::Closed,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Scanner;

    fn read(listing: &mut Listing, text: &str) -> Result<bool, ErrorClass> {
        let mut scanner = Scanner::default();
        scanner.begin();
        scanner.feed(text.as_bytes(), listing);
        listing.page()
    }

    fn begun(op: Op) -> Listing {
        let mut listing = Listing::default();
        listing.begin(op, b"p/", 3);
        listing
    }

    fn page(inner: &str) -> String {
        format!("<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\"><Prefix>q/</Prefix>{inner}</ListBucketResult>")
    }

    #[test]
    fn tokens_are_followed_however_far_behind_they_stand() {
        let mut listing = begun(Op::List);
        let long = format!("<Junk>{}</Junk>", "x".repeat(100_000));
        let first = page(&format!(
            "<IsTruncated>true</IsTruncated>{long}<Contents><Key>p/a</Key></Contents>\
             <NextContinuationToken>t&amp;1</NextContinuationToken>"
        ));
        assert_eq!(read(&mut listing, &first), Ok(true));
        listing.turn();
        assert_eq!(listing.asked.text, "t&1");
        assert_eq!(
            read(&mut listing, &page("<IsTruncated>false</IsTruncated>")),
            Ok(false)
        );
    }

    #[test]
    fn version_1_goes_on_behind_the_last_name_and_versions_behind_two_markers() {
        let mut listing = begun(Op::ListV1);
        let text = page("<Contents><Key>p/a</Key></Contents><CommonPrefixes><Prefix>p/b/</Prefix></CommonPrefixes><IsTruncated>true</IsTruncated>");
        assert_eq!(read(&mut listing, &text), Ok(true));
        listing.turn();
        assert_eq!(listing.asked.text, "p/b/");
        let mut listing = begun(Op::ListVersions);
        let text = "<ListVersionsResult><KeyMarker/><Version><Key>p/a</Key><VersionId>v</VersionId></Version><IsTruncated>true</IsTruncated>\
                    <NextKeyMarker>p/a</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker></ListVersionsResult>";
        assert_eq!(read(&mut listing, text), Ok(true));
        listing.turn();
        assert_eq!(
            (
                listing.asked.text.as_str(),
                listing.asked.version_id.as_str()
            ),
            ("p/a", "v")
        );
        assert_eq!(
            read(&mut listing, text),
            Err(ErrorClass::Protocol),
            "the same page again"
        );
    }

    #[test]
    fn what_is_no_such_listing_is_none() {
        let names = |count| "<Contents><Key>p/a</Key></Contents>".repeat(count);
        let no = "<IsTruncated>false</IsTruncated>";
        for (what, text) in [
            ("not whole", page(no).replace("</ListBucketResult>", "")),
            ("no word about an end", page(&names(1))),
            ("another's names", page(&format!("{no}<Key>o/a</Key>"))),
            ("more than asked for", page(&format!("{no}{}", names(4)))),
            ("no token", page("<IsTruncated>true</IsTruncated>")),
            ("another root", format!("<X>{}</X>", page(no))),
            ("empty", String::new()),
        ] {
            assert_eq!(
                read(&mut begun(Op::List), &text),
                Err(ErrorClass::Protocol),
                "{what}"
            );
        }
        assert_eq!(
            read(&mut begun(Op::List), &page(&format!("{no}{}", names(3)))),
            Ok(false)
        );
    }
}
