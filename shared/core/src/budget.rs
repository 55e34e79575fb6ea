//! What work costs.

use rust_decimal::prelude::ToPrimitive as _;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::campaign::Campaign;

/// Money is kept to a ten-thousandth of a cent; what is reserved is rounded up to it.
const SCALE: u32 = 6;

/// A page done by as many workers as the overlap asks for, with the platform's `fee` (a share of
/// the reward, e.g. 0.2).
#[must_use]
pub fn page_cost(campaign: &Campaign, fee: Decimal) -> Decimal {
    with_fee(
        Decimal::from(campaign.overlap) * campaign.reward_per_page,
        fee,
    )
}

/// What is reserved for `images`: their share of full pages. Each image is rounded up, so that
/// sums over batches never fall below the sum over pages.
#[must_use]
pub fn cost(campaign: &Campaign, images: u64, fee: Decimal) -> Decimal {
    let per_image = page_cost(campaign, fee) / Decimal::from(campaign.images_per_page.max(1));
    let per_image = per_image.round_dp_with_strategy(SCALE, RoundingStrategy::ToPositiveInfinity);
    Decimal::from(images) * per_image
}

/// How many images the budget covers besides what is `committed`.
#[must_use]
pub fn covered(campaign: &Campaign, committed: Decimal, fee: Decimal) -> usize {
    let left = campaign.budget.map(|budget| budget - committed);
    let images = left.and_then(|left| left.checked_div(cost(campaign, 1, fee)));
    images.map_or(usize::MAX, |images| {
        images.floor().to_usize().unwrap_or_default()
    })
}

/// What a round reserves on top of its images: the last pages of a pool are not full, one for
/// every answer that an image may still miss.
#[must_use]
pub fn tail(campaign: &Campaign, fee: Decimal) -> Decimal {
    page_cost(campaign, fee)
}

/// `rewards` with the platform's fee on them.
#[must_use]
pub fn with_fee(rewards: Decimal, fee: Decimal) -> Decimal {
    rewards * (Decimal::ONE + fee)
}
