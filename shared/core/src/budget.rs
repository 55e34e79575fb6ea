//! What work costs.

use rust_decimal::Decimal;

use crate::campaign::Campaign;

/// The most that `images` sent together are expected to cost: every page full but the last, each
/// done `overlap` times, plus the platform's `fee` (a share, e.g. 0.2).
///
/// Pages at the end of a pool may hold fewer images than this supposes; while a round runs, the
/// [guard](crate::rounds) compares what was really spent with what is reserved.
#[must_use]
pub fn cost(campaign: &Campaign, images: u64, fee: Decimal) -> Decimal {
    let pages = images.div_ceil(u64::from(campaign.images_per_page.max(1)));
    let paid = pages.saturating_mul(u64::from(campaign.overlap));
    Decimal::from(paid) * campaign.reward_per_page * (Decimal::ONE + fee)
}

/// `rewards` with the platform's fee on them.
#[must_use]
pub fn with_fee(rewards: Decimal, fee: Decimal) -> Decimal {
    rewards * (Decimal::ONE + fee)
}
