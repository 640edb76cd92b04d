//! What is sent: bytes that are made on their way into the socket.

/// Something to send: a request head and its body.
pub trait Source {
    /// Writes the next bytes into `room` and returns how many; 0 when there are no more.
    fn fill(&mut self, room: &mut [u8]) -> usize;
    /// True when `fill` has nothing more to give.
    fn is_spent(&self) -> bool;
}

/// A source that ends early: after `left` bytes.
#[derive(Debug)]
pub struct Cut<'a, S> {
    /// The whole.
    pub source: &'a mut S,
    /// Bytes that still may go.
    pub left: &'a mut u64,
}

impl<S: Source> Source for Cut<'_, S> {
    fn fill(&mut self, room: &mut [u8]) -> usize {
        let left = usize::try_from(*self.left).unwrap_or(usize::MAX);
        let filled = self.source.fill(room).min(left);
        *self.left -= filled as u64;
        filled
    }

    fn is_spent(&self) -> bool {
        *self.left == 0 || self.source.is_spent()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Letters(u8);

    impl Source for Letters {
        fn fill(&mut self, room: &mut [u8]) -> usize {
            let filled = room.len().min(usize::from(self.0));
            for byte in &mut room[..filled] {
                *byte = self.0;
                self.0 -= 1;
            }
            filled
        }

        fn is_spent(&self) -> bool {
            self.0 == 0
        }
    }

    fn cut(letters: u8, at: u64, room: usize) -> Vec<u8> {
        let (mut source, mut left) = (Letters(letters), at);
        let mut cut = Cut {
            source: &mut source,
            left: &mut left,
        };
        let (mut seen, mut bytes) = (Vec::new(), vec![0; room]);
        while !cut.is_spent() {
            let filled = cut.fill(&mut bytes);
            assert!(filled > 0, "it goes on");
            seen.extend_from_slice(&bytes[..filled]);
        }
        seen
    }

    #[test]
    fn a_cut_source_ends_exactly_there() {
        let whole = cut(100, u64::MAX, 7);
        assert_eq!(whole.len(), 100);
        for at in [0, 1, 6, 7, 8, 99, 100, 101] {
            for room in [1, 7, 64, 200] {
                let seen = cut(100, at, room);
                assert_eq!(seen, whole[..at.min(100) as usize], "{at} {room}");
            }
        }
    }
}
