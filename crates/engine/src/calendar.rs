//! Deadlines of slots. Every deadline of one calendar lies equally far ahead of the moment it was set, so the order of
//! setting is the order of expiry: a linked list through the slots does everything in constant time and constant memory.

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Entry {
    deadline_ns: u64,
    before: u32,
    behind: u32,
    listed: bool,
}

const UNLISTED: Entry = Entry {
    deadline_ns: 0,
    before: NONE,
    behind: NONE,
    listed: false,
};

/// Deadlines of one kind, the next one in front.
#[derive(Debug)]
pub struct Calendar {
    entries: Vec<Entry>,
    front: u32,
    back: u32,
    listed: u64,
}

impl Default for Calendar {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            front: NONE,
            back: NONE,
            listed: 0,
        }
    }
}

impl Calendar {
    /// Sets the deadline of a slot, which must not be before any deadline set earlier; replaces one it had.
    pub fn set(&mut self, slot: u32, deadline_ns: u64) {
        self.clear(slot);
        if self.entries.len() <= slot as usize {
            self.entries.resize(slot as usize + 1, UNLISTED);
        }
        self.entries[slot as usize] = Entry {
            deadline_ns,
            before: self.back,
            behind: NONE,
            listed: true,
        };
        match self.back {
            NONE => self.front = slot,
            back => self.entries[back as usize].behind = slot,
        }
        self.back = slot;
        self.listed += 1;
    }

    /// Forgets the deadline of a slot, if it has one.
    pub fn clear(&mut self, slot: u32) {
        let Some(entry) = self
            .entries
            .get(slot as usize)
            .copied()
            .filter(|entry| entry.listed)
        else {
            return;
        };
        match entry.before {
            NONE => self.front = entry.behind,
            before => self.entries[before as usize].behind = entry.behind,
        }
        match entry.behind {
            NONE => self.back = entry.before,
            behind => self.entries[behind as usize].before = entry.before,
        }
        self.entries[slot as usize] = UNLISTED;
        self.listed -= 1;
    }

    /// How many slots have a deadline.
    pub fn listed(&self) -> u64 {
        self.listed
    }

    /// The next deadline.
    pub fn next_ns(&self) -> Option<u64> {
        self.entries
            .get(self.front as usize)
            .map(|entry| entry.deadline_ns)
    }

    /// Takes the slot whose deadline has come, if there is one.
    pub fn expired(&mut self, now_ns: u64) -> Option<u32> {
        if self.next_ns()? > now_ns {
            return None;
        }
        let slot = self.front;
        self.clear(slot);
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expires_in_order_and_forgets_what_was_cleared() {
        let mut calendar = Calendar::default();
        for slot in [3, 1, 7, 0] {
            calendar.set(slot, u64::from(100 + slot % 3));
        }
        calendar.clear(1);
        calendar.clear(1);
        calendar.clear(99);
        calendar.set(3, 200);
        assert_eq!((calendar.next_ns(), calendar.listed()), (Some(101), 3));
        assert_eq!(calendar.expired(100), None);
        assert_eq!(calendar.expired(150), Some(7));
        assert_eq!(calendar.expired(150), Some(0));
        assert_eq!(calendar.expired(150), None);
        assert_eq!(calendar.expired(200), Some(3));
        assert_eq!(
            (calendar.next_ns(), calendar.expired(u64::MAX)),
            (None, None)
        );
        calendar.set(5, 300);
        assert_eq!((calendar.expired(300), calendar.listed()), (Some(5), 0));
    }
}
