//! Numbers that look random and follow from a seed.

/// SplitMix64 (Steele, Lea and Flood, 2014): good enough to invent people, not to protect them.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The numbers that follow from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    ///
    /// # Panics
    /// When `bound` is nought.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    /// One of several.
    ///
    /// # Panics
    /// When there is none.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Whether something that happens in so many cases of a thousand does.
    pub fn happens(&mut self, per_mille: u64) -> bool {
        self.next() % 1000 < per_mille
    }
}

/// Valid NHS numbers of the test range 999 000 0000 to 999 999 9999, each once.
#[derive(Debug)]
pub(super) struct NhsNumbers {
    start: u64,
    given_out: u64,
}

impl NhsNumbers {
    const RANGE: u64 = 1_000_000;

    pub(super) const fn new(seed: u64) -> Self {
        Self { start: seed % Self::RANGE, given_out: 0 }
    }

    /// The next number; nothing when the range is used up. One in eleven has no check digit and is left out.
    pub(super) fn next(&mut self) -> Option<String> {
        while self.given_out < Self::RANGE {
            // 7919 and the range have no common factor, so every number comes once.
            let body = 999_000_000 + (self.start + self.given_out * 7919) % Self::RANGE;
            self.given_out += 1;
            let digits = body.to_string();
            let sum: u32 = digits
                .bytes()
                .zip((2..=10).rev())
                .map(|(digit, weight)| u32::from(digit - b'0') * weight)
                .sum();
            let check = (11 - sum % 11) % 11;
            if check < 10 && body != 999_999_999 {
                return Some(format!("{digits}{check}"));
            }
        }
        None
    }
}
