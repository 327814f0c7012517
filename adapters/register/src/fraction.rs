//! Exact fractions for shares of property.

/// A non-negative exact fraction in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fraction {
    numerator: u128,
    denominator: u128,
}

impl Fraction {
    pub(crate) const ZERO: Self = Self { numerator: 0, denominator: 1 };
    pub(crate) const ONE: Self = Self { numerator: 1, denominator: 1 };

    /// The fraction; `None` for a zero denominator.
    pub(crate) fn new(numerator: u64, denominator: u64) -> Option<Self> {
        Self::reduced(u128::from(numerator), u128::from(denominator))
    }

    /// The exact sum; `None` when the denominators grow beyond 128 bits.
    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        let left = self.numerator.checked_mul(other.denominator)?;
        let right = other.numerator.checked_mul(self.denominator)?;
        let denominator = self.denominator.checked_mul(other.denominator)?;
        Self::reduced(left.checked_add(right)?, denominator)
    }

    /// Whether the shares together are the whole thing.
    pub(crate) fn is_whole(self) -> bool {
        self.numerator >= self.denominator
    }

    fn reduced(numerator: u128, denominator: u128) -> Option<Self> {
        let divisor = greatest_common_divisor(numerator, denominator);
        (denominator > 0)
            .then(|| Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }
}

fn greatest_common_divisor(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirds_add_up_to_a_whole_and_two_of_them_do_not() {
        let third = Fraction::new(1, 3).unwrap();
        let two = third.plus(third).unwrap();
        assert!(!two.is_whole());
        assert!(two.plus(third).unwrap().is_whole());
        assert_eq!(Fraction::new(1, 0), None);
    }
}
