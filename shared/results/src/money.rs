//! Sharing money out so that the shares add up: in whole millionths of a dollar.

use quorate_core::budget;
use rust_decimal::Decimal;

/// What a page cost with the platform's fee, in millionths of a dollar.
pub(crate) fn page_micros(reward: Decimal, fee: Decimal) -> i64 {
    let micros = (budget::with_fee(reward, fee) * Decimal::from(1_000_000)).round();
    i64::try_from(micros).unwrap_or(i64::MAX)
}

/// Millionths of a dollar in dollars, without zeros at the end.
pub(crate) fn dollars(micros: i64) -> Decimal {
    Decimal::new(micros, 6).normalize()
}

/// `total` in `parts` equal shares; the first ones take what does not divide. Empty for no parts.
pub(crate) fn split(total: i64, parts: usize) -> impl Iterator<Item = i64> {
    let count = i64::try_from(parts).unwrap_or(i64::MAX).max(1);
    let (share, rest) = (total / count, total % count);
    (0..count)
        .take(parts)
        .map(move |part| share + i64::from(part < rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_costs_its_reward_and_the_fee() {
        let reward = Decimal::new(5, 2);
        assert_eq!(
            dollars(page_micros(reward, Decimal::new(2, 1))).to_string(),
            "0.06"
        );
    }

    #[test]
    fn shares_add_up() {
        assert_eq!(split(10, 3).collect::<Vec<_>>(), [4, 3, 3]);
        assert_eq!(split(10, 0).count(), 0);
    }
}
