//! Multipart uploads: one operation over several exchanges, and over several connections at once when its parts go side
//! by side. Pure: which exchange of an upload comes next, whoever carries it.

use crate::operation::ErrorClass;
use crate::outcome;
use crate::text::Text;
use crate::wire::outgoing::NamedSum;
use crate::xml;

/// Longest upload id that is believed, bytes.
const UPLOAD_ID_BYTES_MAX: usize = 1024;
/// An `ETag` of a part.
pub type PartTag = Text<96>;

/// What a connection that carried a part does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterPart {
    /// Sends this part.
    Part(u32),
    /// Everything is there: it ends the upload.
    End,
    /// Others are still busy with their parts, and one of them will end it.
    Leave,
    /// The upload failed, and this was the last connection that was busy with it: it clears away.
    ClearAway,
}

/// An upload under way. Its memory is used again.
#[derive(Debug, Default)]
pub struct Upload {
    /// As the server named it.
    pub id: String,
    /// Of every part.
    etags: Vec<PartTag>,
    /// Of every part that had one.
    sums: Vec<Option<NamedSum>>,
    next: u32,
    done: u32,
    /// Connections that carry an exchange of it.
    pub lanes: u32,
    /// It failed; it is recorded, and only has to be cleared away.
    pub failed: bool,
    /// HTTP requests so far.
    pub exchanges: u8,
}

impl Upload {
    /// A new upload of so many parts, on one connection so far.
    pub fn begin(&mut self, parts: u32) {
        self.id.clear();
        self.etags.clear();
        self.etags.resize(parts as usize, PartTag::EMPTY);
        self.sums.clear();
        self.sums.resize(parts as usize, None);
        self.next = 0;
        self.done = 0;
        self.lanes = 1;
        self.failed = false;
        self.exchanges = 0;
    }

    /// Takes the id from the answer that created it.
    ///
    /// # Errors
    /// [`ErrorClass::Protocol`] when there is none.
    pub fn created(&mut self, text: &[u8]) -> Result<(), ErrorClass> {
        let mut id = outcome::text_of(text, b"<UploadId>")
            .unwrap_or_default()
            .to_vec();
        xml::resolve(&mut id);
        match std::str::from_utf8(&id) {
            Ok(id) if !id.is_empty() && id.len() <= UPLOAD_ID_BYTES_MAX => {
                self.id.push_str(id);
                Ok(())
            }
            _ => Err(ErrorClass::Protocol),
        }
    }

    /// The next part that nobody has taken.
    pub fn take_part(&mut self) -> Option<u32> {
        let part = self.next;
        ((part as usize) < self.etags.len() && !self.failed).then(|| {
            self.next += 1;
            part
        })
    }

    /// Another connection could carry a part.
    pub fn wants_lane(&self, parallel: u32) -> bool {
        !self.failed && self.lanes < parallel && (self.next as usize) < self.etags.len()
    }

    /// A part arrived, with this `ETag`.
    ///
    /// # Errors
    /// [`ErrorClass::Protocol`] when that is none.
    pub fn part_done(&mut self, part: u32, etag: &[u8]) -> Result<(), ErrorClass> {
        let etag = PartTag::of(etag);
        if etag.is_empty() {
            return Err(ErrorClass::Protocol);
        }
        if let Some(place) = self.etags.get_mut(part as usize) {
            *place = etag;
            self.done += 1;
        }
        Ok(())
    }

    /// A part went with this checksum: the completion repeats it, because digests of parts cannot be joined.
    pub fn part_summed(&mut self, part: u32, sum: Option<NamedSum>) {
        if let Some(place) = self.sums.get_mut(part as usize) {
            *place = sum;
        }
    }

    /// What the connection does whose part arrived, or failed when the upload has.
    pub fn after_part(&mut self) -> AfterPart {
        if let Some(part) = self.take_part() {
            return AfterPart::Part(part);
        }
        if !self.failed && self.done as usize == self.etags.len() {
            return AfterPart::End;
        }
        self.lanes -= 1;
        if self.failed && self.lanes == 0 {
            AfterPart::ClearAway
        } else {
            AfterPart::Leave
        }
    }

    /// Whether a list of parts shows all that were sent.
    pub fn is_listed(&self, text: &[u8]) -> bool {
        outcome::find(text, b"<ListPartsResult").is_some()
            && (1..=self.done).all(|number| {
                let mut digits = *b"<PartNumber>\0\0\0\0\0\0";
                let shown = write_number(&mut digits, number);
                outcome::find(text, shown).is_some()
            })
    }

    /// The body that completes it.
    pub fn write_completion(&self, out: &mut Vec<u8>) {
        use std::io::Write;
        out.extend_from_slice(
            b"<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
        );
        for (index, (etag, sum)) in self.etags.iter().zip(&self.sums).enumerate() {
            // Writing into memory cannot fail.
            let _ = write!(
                out,
                "<Part><PartNumber>{}</PartNumber><ETag>{}</ETag>",
                index + 1,
                etag.as_str()
            );
            if let Some((algorithm, sum)) = sum {
                let tag = algorithm.tag();
                out.extend_from_slice(tag.as_bytes());
                out.extend_from_slice(sum.as_bytes());
                out.extend_from_slice(b"</");
                out.extend_from_slice(&tag.as_bytes()[1..]);
            }
            out.extend_from_slice(b"</Part>");
        }
        out.extend_from_slice(b"</CompleteMultipartUpload>");
    }
}

/// Writes digits behind the tag and gives both, closed by `<`.
fn write_number(place: &mut [u8; 18], number: u32) -> &[u8] {
    const TAG: usize = b"<PartNumber>".len();
    let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
    let mut rest = number;
    for at in (TAG..TAG + digits).rev() {
        place[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    place[TAG + digits] = b'<';
    &place[..=TAG + digits]
}

/// The uploads of a shard, found by number; used ones are used again.
#[derive(Debug, Default)]
pub struct Uploads {
    list: Vec<Upload>,
    free: Vec<u32>,
}

/// What stands for "no upload" in a flight.
pub const NO_UPLOAD: u32 = u32::MAX;

impl Uploads {
    /// A place for a new one.
    pub fn open(&mut self, parts: u32) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.list.push(Upload::default());
            (self.list.len() - 1) as u32
        });
        self.list[number as usize].begin(parts);
        number
    }

    /// The upload of a number.
    pub fn get(&mut self, number: u32) -> Option<&mut Upload> {
        self.list.get_mut(number as usize)
    }

    /// It is over; nothing happens when there is none.
    pub fn close(&mut self, number: u32) {
        debug_assert!(!self.free.contains(&number));
        if let Some(upload) = self.get(number) {
            upload.failed = true;
            self.free.push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(parts: u32) -> Upload {
        let mut upload = Upload::default();
        upload.begin(parts);
        upload
            .created(b"<X><UploadId> id&amp;1 </UploadId></X>")
            .unwrap();
        upload
    }

    #[test]
    fn parts_end_in_any_order_and_the_last_one_ends_the_upload() {
        let mut upload = begun(3);
        assert_eq!(upload.id, "id&1");
        assert_eq!(upload.take_part(), Some(0));
        assert!(upload.wants_lane(2) && !upload.wants_lane(1));
        upload.lanes += 1;
        assert_eq!(upload.take_part(), Some(1));
        upload.part_done(1, b"\"b\"").unwrap();
        assert_eq!(upload.after_part(), AfterPart::Part(2));
        assert!(!upload.wants_lane(9), "none is left");
        upload.part_done(2, b"\"c\"").unwrap();
        assert_eq!(upload.after_part(), AfterPart::Leave);
        upload.part_done(0, b"\"a\"").unwrap();
        assert_eq!(upload.after_part(), AfterPart::End);
        let mut out = Vec::new();
        upload.write_completion(&mut out);
        let text = String::from_utf8(out).unwrap();
        for part in [
            "<PartNumber>1</PartNumber><ETag>\"a\"<",
            "<PartNumber>3</PartNumber><ETag>\"c\"<",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn the_last_one_busy_with_a_failed_upload_clears_away() {
        let mut upload = begun(9);
        upload.lanes = 3;
        for _ in 0..3 {
            upload.take_part();
        }
        upload.failed = true;
        assert_eq!(upload.after_part(), AfterPart::Leave);
        assert_eq!(upload.take_part(), None);
        upload.part_done(1, b"\"b\"").unwrap();
        assert_eq!(upload.after_part(), AfterPart::Leave);
        assert_eq!(upload.after_part(), AfterPart::ClearAway);
    }

    #[test]
    fn ids_and_tags_that_are_none_are_refused() {
        let mut upload = Upload::default();
        upload.begin(1);
        let long = format!("<UploadId>{}</UploadId>", "x".repeat(1025));
        for text in ["no id", "<UploadId></UploadId>", "<UploadId>x", &long] {
            assert_eq!(
                upload.created(text.as_bytes()),
                Err(ErrorClass::Protocol),
                "{text}"
            );
        }
        for etag in [&b""[..], b"<a>", b"a b"] {
            assert_eq!(upload.part_done(0, etag), Err(ErrorClass::Protocol));
        }
    }

    #[test]
    fn a_list_of_parts_must_show_what_was_sent() {
        let mut upload = begun(2);
        upload.part_done(0, b"\"a\"").unwrap();
        let listed = |numbers: &str| format!("<ListPartsResult>{numbers}</ListPartsResult>");
        assert!(upload.is_listed(listed("<Part><PartNumber>1</PartNumber></Part>").as_bytes()));
        assert!(!upload.is_listed(listed("<Part><PartNumber>11</PartNumber></Part>").as_bytes()));
        assert!(!upload.is_listed(b"<PartNumber>1</PartNumber>"));
        let mut place = *b"<PartNumber>\0\0\0\0\0\0";
        assert_eq!(write_number(&mut place, 10_000), b"<PartNumber>10000<");
    }
}
