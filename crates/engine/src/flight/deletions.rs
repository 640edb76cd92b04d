//! Several keys deleted by one request: its body, and the fate of each key as the answer tells it.

use crate::operation::{ErrorClass, Key};
use crate::outcome::class_of_code;
use crate::xml::{self, Elements};

/// The keys of one MULTI_DELETE. Its memory is used again.
#[derive(Debug, Default)]
pub struct Deletions {
    prefix: Vec<u8>,
    /// In ascending order.
    keys: Vec<Key>,
    /// What the answer says of each; `Protocol` where it says nothing.
    fates: Vec<ErrorClass>,
    present: Option<usize>,
    code: Option<ErrorClass>,
    root: bool,
}

impl Deletions {
    /// No keys yet.
    pub fn begin(&mut self, prefix: &[u8]) {
        self.prefix.clear();
        self.prefix.extend_from_slice(prefix);
        self.keys.clear();
        self.fates.clear();
        self.present = None;
        self.root = false;
    }

    /// One more key; each once.
    pub fn push(&mut self, key: Key) {
        // They come in order, but for those whose own writes took long.
        if let Err(place) = self.keys.binary_search(&key) {
            self.keys.insert(place, key);
            self.fates.push(ErrorClass::Protocol);
        }
    }

    /// The keys.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The class of key `item`. `whole`: that of the answer as a whole, which stands for all unless it is `None`.
    pub fn fate(&self, item: usize, whole: ErrorClass) -> ErrorClass {
        match whole {
            ErrorClass::None => self.fates[item],
            whole => whole,
        }
    }

    /// The key that fared worst: the first whose class is not `None`, else the first.
    pub fn worst(&self) -> usize {
        let bad = |class: &ErrorClass| *class != ErrorClass::None;
        self.fates.iter().position(bad).unwrap_or(0)
    }

    /// Whether the answer was of the right kind at all.
    pub fn is_answered(&self) -> bool {
        self.root
    }

    /// Writes the body of the request.
    pub fn write(&self, name: &mut Vec<u8>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        for key in &self.keys {
            out.extend_from_slice(b"<Object><Key>");
            name.clear();
            key.write_name(&self.prefix, name);
            xml::escape(name, out);
            out.extend_from_slice(b"</Key></Object>");
        }
        // Not quiet: silence must not pass for success.
        out.extend_from_slice(b"<Quiet>false</Quiet></Delete>");
    }
}

impl Elements for Deletions {
    fn opened(&mut self, name: &[u8]) {
        match name {
            b"DeleteResult" => self.root = true,
            b"Deleted" | b"Error" => {
                self.present = None;
                self.code = None;
            }
            _ => {}
        }
    }

    fn closed(&mut self, name: &[u8], text: &[u8]) {
        match name {
            b"Key" => {
                let key = Key::read_name(&self.prefix, text);
                self.present = key.and_then(|key| self.keys.binary_search(&key).ok());
            }
            b"Code" => self.code = Some(class_of_code(text)),
            b"Deleted" | b"Error" if self.root => {
                let Some(item) = self.present.take() else {
                    return;
                };
                // Deleted and in error at once is no answer.
                let said = self.fates[item] != ErrorClass::Protocol;
                let fate = if name == b"Deleted" {
                    ErrorClass::None
                } else {
                    self.code.unwrap_or(ErrorClass::OtherClientError)
                };
                if !said {
                    self.fates[item] = fate;
                } else if self.fates[item] != fate {
                    self.fates[item] = ErrorClass::Protocol;
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Region;
    use crate::xml::Scanner;

    fn fates(answer: &str) -> Vec<ErrorClass> {
        let mut deletions = Deletions::default();
        deletions.begin(b"p/");
        for index in 0..3 {
            deletions.push(Key::new(Region::Ephemeral, index));
        }
        let mut scanner = Scanner::default();
        scanner.begin();
        scanner.feed(answer.as_bytes(), &mut deletions);
        (0..3)
            .map(|item| deletions.fate(item, ErrorClass::None))
            .collect()
    }

    #[test]
    fn each_key_has_its_own_fate() {
        use ErrorClass as C;
        let answer = "<DeleteResult><Error><Key>p/e000000000002</Key><Code>AccessDenied</Code></Error>\
                      <Deleted><Key>p/e000000000000</Key><DeleteMarker>true</DeleteMarker></Deleted>\
                      <Deleted><Key>p/e000000000009</Key></Deleted></DeleteResult>";
        assert_eq!(fates(answer), [C::None, C::Protocol, C::AccessDenied]);
        assert_eq!(fates("<html/>"), [C::Protocol; 3]);
        let both = "<DeleteResult><Deleted><Key>p/e000000000001</Key></Deleted>\
                    <Error><Key>p/e000000000001</Key><Code>InternalError</Code></Error></DeleteResult>";
        assert_eq!(fates(both)[1], C::Protocol);
        let busy = "<DeleteResult><Error><Key>p/e000000000000</Key><Code>SlowDown</Code></Error></DeleteResult>";
        assert_eq!(fates(busy)[0], C::SlowDown);
    }

    #[test]
    fn the_body_names_every_key_and_asks_for_every_answer() {
        let mut deletions = Deletions::default();
        deletions.begin(b"a&b/");
        deletions.push(Key::new(Region::Base, 1));
        let (mut name, mut out) = (Vec::new(), Vec::new());
        deletions.write(&mut name, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.contains("<Object><Key>a&amp;b/b000000000001</Key></Object><Quiet>false</Quiet>"),
            "{text}"
        );
    }
}
