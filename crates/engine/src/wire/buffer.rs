//! Fixed-size byte buffers that connections borrow only while bytes are under way.

/// Capacity of every buffer in bytes: holds three TLS records and their framing.
pub const BUFFER_BYTES: usize = 64 * 1024;

/// Bytes between a front that consumes and a back that fills.
#[derive(Debug)]
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// An empty buffer of `BUFFER_BYTES`.
    pub fn new() -> Self {
        Self {
            bytes: vec![0; BUFFER_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
        }
    }

    /// True when nothing is left to consume.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The bytes that wait.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The bytes that wait, to be decrypted in place.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// Room behind the waiting bytes; moves them to the front first when the room would be short.
    pub fn spare_mut(&mut self, wanted: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < wanted && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.bytes[self.end..]
    }

    /// `count` bytes of the spare room were filled.
    pub fn advance(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// `count` waiting bytes are done with.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            self.clear();
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new()
    }
}

/// A stack of idle buffers: a connection holds one only while it is in the middle of something.
#[derive(Debug, Default)]
pub struct Pool {
    idle: Vec<Buffer>,
}

impl Pool {
    /// An empty buffer.
    pub fn take(&mut self) -> Buffer {
        self.idle.pop().unwrap_or_default()
    }

    /// Gives a buffer back; its content is forgotten.
    pub fn give(&mut self, mut buffer: Buffer) {
        buffer.clear();
        self.idle.push(buffer);
    }

    /// Gives back the buffer of `holder` when nothing waits in it.
    pub fn give_if_empty(&mut self, holder: &mut Option<Buffer>) {
        if holder.as_ref().is_some_and(Buffer::is_empty) {
            if let Some(buffer) = holder.take() {
                self.give(buffer);
            }
        }
    }
}
