//! What work costs.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use crate::campaign::Campaign;

/// A page done by as many workers as the overlap asks for, with the platform's `fee` (a share of
/// the reward, e.g. 0.2).
#[must_use]
pub fn page_cost(campaign: &Campaign, fee: Decimal) -> Decimal {
    with_fee(
        Decimal::from(campaign.overlap) * campaign.reward_per_page,
        fee,
    )
}

/// Pages that workers fill with answers to `images`: all full but the last.
fn pages(campaign: &Campaign, images: u64) -> u64 {
    let answers = images.saturating_mul(u64::from(campaign.overlap));
    answers.div_ceil(u64::from(campaign.images_per_page.max(1)))
}

/// What is reserved for `more` images in a round that has `images`: the pages that they add.
#[must_use]
pub fn cost(campaign: &Campaign, images: u64, more: u64, fee: Decimal) -> Decimal {
    let added = pages(campaign, images.saturating_add(more)) - pages(campaign, images);
    Decimal::from(added) * with_fee(campaign.reward_per_page, fee)
}

/// How many images the budget covers in a round that has `images`, besides what is `committed`.
#[must_use]
pub fn covered(campaign: &Campaign, images: u64, committed: Decimal, fee: Decimal) -> usize {
    let price = with_fee(campaign.reward_per_page, fee);
    let left = campaign.budget.map(|budget| budget - committed);
    let Some(affordable) = left.and_then(|left| left.checked_div(price)) else {
        return usize::MAX;
    };
    let affordable = affordable.floor().to_u64().unwrap_or_default();
    let places =
        (pages(campaign, images) + affordable).saturating_mul(u64::from(campaign.images_per_page));
    let images = (places / u64::from(campaign.overlap.max(1))).saturating_sub(images);
    usize::try_from(images).unwrap_or(usize::MAX)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign;

    /// Four images on a page of five cents, three answers each.
    fn campaign(budget: &str) -> Campaign {
        let text = format!(
            "labels = [\"a\", \"b\"]\noverlap = 3\nimages_per_page = 4\nreward_per_page = 0.05\nbudget = {budget}\n"
        );
        campaign::of_files([Some(&text), None, None, None], Decimal::ZERO).unwrap()
    }

    fn cents(cents: i64) -> Decimal {
        Decimal::new(cents, 2)
    }

    #[test]
    fn a_round_costs_its_whole_pages_however_its_images_come() {
        let campaign = campaign("1");
        // Five images want 15 answers: four pages, the last of them not full.
        assert_eq!(cost(&campaign, 0, 5, Decimal::ZERO), cents(20));
        let one_by_one = (0..5).map(|images| cost(&campaign, images, 1, Decimal::ZERO));
        assert_eq!(one_by_one.sum::<Decimal>(), cents(20));
        assert_eq!(cost(&campaign, 0, 5, Decimal::new(2, 1)), cents(24));
    }

    #[test]
    fn what_is_covered_fits_and_one_image_more_does_not() {
        for budget in ["0.15", "0.19", "0.20", "0.99", "1"] {
            let campaign = campaign(budget);
            for images in 0..9 {
                let spent = cost(&campaign, 0, images, Decimal::ZERO);
                let left = campaign.budget.unwrap() - spent;
                if left < Decimal::ZERO {
                    continue;
                }
                let more = covered(&campaign, images, spent, Decimal::ZERO) as u64;
                assert!(
                    cost(&campaign, images, more, Decimal::ZERO) <= left,
                    "{budget} {images}"
                );
                assert!(
                    cost(&campaign, images, more + 1, Decimal::ZERO) > left,
                    "{budget} {images}"
                );
            }
        }
    }
}
