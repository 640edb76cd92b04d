//! Sending a part of the arrivals only, evenly.

/// A part of a whole, in 2^-32ths; exact where floats would drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part(u64);

impl Part {
    /// All.
    pub const WHOLE: Self = Self(1 << 32);

    /// From a number between 0 and 1.
    pub fn new(part: f64) -> Self {
        Self((part.clamp(0.0, 1.0) * Self::WHOLE.0 as f64).round() as u64)
    }

    /// As it is kept in an atomic.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// From an atomic.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Nothing at all.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// As a number between 0 and 1.
    pub fn ratio(self) -> f64 {
        self.0 as f64 / Self::WHOLE.0 as f64
    }

    /// Of so many; rounded down.
    pub fn of(self, whole: u64) -> u64 {
        ((u128::from(whole) * u128::from(self.0)) >> 32) as u64
    }
}

/// Says of each arrival whether it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Thinning {
    part: Part,
    credit: u64,
}

impl Thinning {
    /// Everything is sent.
    pub const OFF: Self = Self {
        part: Part::WHOLE,
        credit: 0,
    };

    /// What is sent from now on.
    pub fn part(&self) -> Part {
        self.part
    }

    /// Sends another part from now on.
    pub fn set(&mut self, part: Part) {
        self.part = part;
    }

    /// Whether the next arrival is sent: of any so many in a row its part is, to within one.
    #[inline]
    pub fn passes(&mut self) -> bool {
        self.credit += self.part.0;
        let passes = self.credit >= Part::WHOLE.0;
        if passes {
            self.credit -= Part::WHOLE.0;
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_stretch_has_its_part_to_within_one(part in 0.0..=1.0f64, skipped in 0usize..1000, length in 1usize..2000) {
            let mut thinning = Thinning::OFF;
            thinning.set(Part::new(part));
            (0..skipped).for_each(|_| { thinning.passes(); });
            let passed = (0..length).filter(|_| thinning.passes()).count() as f64;
            prop_assert!((passed - part * length as f64).abs() <= 1.0 + 1e-6, "{passed}");
        }
    }

    #[test]
    fn all_and_nothing_are_exact() {
        let mut thinning = Thinning::OFF;
        assert!((0..1000).all(|_| thinning.passes()));
        thinning.set(Part::new(0.0));
        assert!((0..1000).all(|_| !thinning.passes()));
        thinning.set(Part::new(0.7));
        (0..7).for_each(|_| {
            thinning.passes();
        });
        thinning.set(Part::WHOLE);
        assert!((0..1000).all(|_| thinning.passes()), "whatever was before");
        assert_eq!(
            (Part::new(0.5).of(7), Part::WHOLE.of(7), Part::new(2.0)),
            (3, 7, Part::WHOLE)
        );
    }
}
