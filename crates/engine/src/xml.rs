//! XML answers, read as they stream in: element by element, in bounded memory, however long they are. Enough of XML for
//! what S3 sends; attributes, comments and declarations are passed over.

/// Longest text of an element that is kept, bytes; continuation tokens are the longest that matter.
const VALUE_BYTES_MAX: usize = 4096;
/// Longest name of an element that is kept, bytes.
const NAME_BYTES_MAX: usize = 64;

/// What an element tells.
pub trait Elements {
    /// It begins.
    fn opened(&mut self, name: &[u8]);
    /// It ends. `text`: what stood in it behind its last child, entities resolved; empty when it was too long to keep.
    fn closed(&mut self, name: &[u8], text: &[u8]);
}

/// Where in the text the scanner is. Its memory is used again.
#[derive(Debug, Default)]
pub struct Scanner {
    in_tag: bool,
    root: Vec<u8>,
    name: Vec<u8>,
    text: Vec<u8>,
    too_long: bool,
}

impl Scanner {
    /// Expects a new document.
    pub fn begin(&mut self) {
        self.in_tag = false;
        self.root.clear();
        self.clear_text();
    }

    /// The name of the outermost element; empty before it.
    pub fn root(&self) -> &[u8] {
        &self.root
    }

    fn clear_text(&mut self) {
        self.text.clear();
        self.too_long = false;
    }

    /// The next bytes of the document, in portions of any size.
    pub fn feed(&mut self, bytes: &[u8], elements: &mut impl Elements) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = if self.in_tag { b'>' } else { b'<' };
            let found = rest.iter().position(|&byte| byte == end);
            let part = &rest[..found.unwrap_or(rest.len())];
            if self.in_tag {
                let room = NAME_BYTES_MAX - self.name.len();
                self.name.extend_from_slice(&part[..part.len().min(room)]);
                // an element without content says so in its last byte, wherever that came to lie
                if let (Some(last), true) = (part.last(), part.len() > room) {
                    if let Some(kept) = self.name.last_mut() {
                        *kept = *last;
                    }
                }
            } else {
                let room = VALUE_BYTES_MAX - self.text.len();
                self.too_long |= part.len() > room;
                self.text.extend_from_slice(&part[..part.len().min(room)]);
            }
            let Some(found) = found else { return };
            rest = &rest[found + 1..];
            if self.in_tag {
                self.end_tag(elements);
            } else {
                self.name.clear();
            }
            self.in_tag = !self.in_tag;
        }
    }

    fn end_tag(&mut self, elements: &mut impl Elements) {
        let tag = self.name.trim_ascii();
        match tag.first() {
            None | Some(b'?' | b'!') => return,
            Some(b'/') => {
                if self.too_long {
                    self.text.clear();
                }
                resolve(&mut self.text);
                elements.closed(local_name(&tag[1..]), self.text.trim_ascii());
            }
            Some(_) => {
                let empty = tag.ends_with(b"/");
                let name = local_name(tag.strip_suffix(b"/").unwrap_or(tag));
                if self.root.is_empty() {
                    self.root.extend_from_slice(name);
                }
                elements.opened(name);
                if empty {
                    elements.closed(name, b"");
                }
            }
        }
        self.clear_text();
    }
}

/// The name of an element without attributes and namespace.
fn local_name(tag: &[u8]) -> &[u8] {
    let end = tag
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(tag.len());
    let name = &tag[..end];
    let start = name.iter().position(|&byte| byte == b':');
    start.map_or(name, |colon| &name[colon + 1..])
}

/// Resolves entities in place; what is none stays as it is.
pub fn resolve(text: &mut Vec<u8>) {
    let Some(first) = text.iter().position(|&byte| byte == b'&') else {
        return;
    };
    let (mut from, mut to) = (first, first);
    while from < text.len() {
        let (byte, used) = match text[from] {
            b'&' => entity(&text[from..]).unwrap_or((b'&', 1)),
            byte => (byte, 1),
        };
        text[to] = byte;
        from += used;
        to += 1;
    }
    text.truncate(to);
}

/// The byte that an entity stands for, and the entity's length. Characters beyond ASCII come as UTF-8 from S3, not as
/// entities.
fn entity(text: &[u8]) -> Option<(u8, usize)> {
    let end = text.iter().take(10).position(|&byte| byte == b';')?;
    let byte = match &text[1..end] {
        b"amp" => b'&',
        b"lt" => b'<',
        b"gt" => b'>',
        b"quot" => b'"',
        b"apos" => b'\'',
        numeric => {
            let digits = std::str::from_utf8(numeric.strip_prefix(b"#")?).ok()?;
            let number = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u8::from_str_radix(hex, 16),
                None => digits.parse(),
            };
            number.ok().filter(u8::is_ascii)?
        }
    };
    Some((byte, end + 1))
}

/// Appends text as the content of an element.
pub fn escape(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Seen(Vec<String>);

    impl Elements for Seen {
        fn opened(&mut self, name: &[u8]) {
            self.0.push(format!("+{}", String::from_utf8_lossy(name)));
        }

        fn closed(&mut self, name: &[u8], text: &[u8]) {
            let (name, text) = (String::from_utf8_lossy(name), String::from_utf8_lossy(text));
            self.0.push(format!("-{name}={text}"));
        }
    }

    fn seen(bytes: &[u8], portion: usize) -> Vec<String> {
        let (mut scanner, mut seen) = (Scanner::default(), Seen::default());
        scanner.begin();
        bytes
            .chunks(portion)
            .for_each(|part| scanner.feed(part, &mut seen));
        seen.0
    }

    #[test]
    fn elements_come_out_whatever_the_portions() {
        let text = b"<?xml version=\"1.0\"?>\n<R xmlns=\"http://x/\"> <s3:Key>a&amp;b&#34;&#x3e;&bad;</s3:Key><Empty/><E />x<Last> y </Last></R>";
        let expected = [
            "+R",
            "+Key",
            "-Key=a&b\">&bad;",
            "+Empty",
            "-Empty=",
            "+E",
            "-E=",
            "+Last",
            "-Last=y",
            "-R=",
        ];
        for portion in [1, 2, 3, 7, 1000] {
            assert_eq!(seen(text, portion), expected, "{portion}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut text = b"<A>".to_vec();
        text.resize(1 << 20, b'x');
        text.extend_from_slice(b"</A><B ");
        text.resize(text.len() + (1 << 20), b'y');
        text.extend_from_slice(b"/><C>&amp;</C>");
        for portion in [5, 1 << 22] {
            assert_eq!(
                seen(&text, portion),
                ["+A", "-A=", "+B", "-B=", "+C", "-C=&"],
                "{portion}"
            );
        }
        let mut scanner = Scanner::default();
        scanner.feed(&text, &mut Seen::default());
        assert!(scanner.text.capacity() <= 2 * VALUE_BYTES_MAX && scanner.name.capacity() <= 256);
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_resolved_again(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut escaped = Vec::new();
            escape(&text, &mut escaped);
            resolve(&mut escaped);
            prop_assert_eq!(escaped, text);
        }

        #[test]
        fn nothing_makes_it_panic(text in prop::collection::vec(prop::sample::select(b"<>&;/?!#x1: a".to_vec()), 0..300), portion in 1usize..20) {
            seen(&text, portion);
        }
    }
}
