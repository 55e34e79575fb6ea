//! What work costs, and why a round never costs more than is reserved for it.
//!
//! A page is paid whole, however few images are on it. So what bounds a round's cost is the least
//! number of images on a page, `m`, which the crowd keeps to itself: every page that is paid holds at
//! least `m` of the answers that are still wanted, and an answer is wanted once. Let `N` tasks want
//! `o` answers each, and let `paid` pages hold `a` of these answers. Then in the end
//!
//! ```text
//! pages ≤ paid + ⌊(N·o − a) / m⌋
//! ```
//!
//! whoever takes pages in whatever order. A page in somebody's hands counts as not answered: if it
//! expires or is skipped its answers are wanted again and it costs nothing, and if it is sent in it
//! holds at least `m` of them. As `m` is only ever lowered, a bound that held once holds for good.
//!
//! With full pages only (`m = k`, the images on a page) the bound is `⌊N·o / k⌋`, and every image
//! reserves its share of that, `o/k` of a page, in the transaction that admits it ([`share`]): the sum
//! does not depend on the order of admissions, nor on what one knows of another. What is left when
//! no full page can be made needs smaller ones: `m` is lowered to the least that the pages which are
//! reserved and not paid yet allow ([`least_images`]), after reserving more if the budget has it.

use rust_decimal::prelude::ToPrimitive as _;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::campaign::Campaign;
use crate::state::Round;

/// Digits of a share behind the point: a millionth of a dollar.
const SHARE_DIGITS: u32 = 6;

/// A page done by as many workers as the overlap asks for, with the platform's `fee` (a share of
/// the reward, e.g. 0.2).
#[must_use]
pub fn page_cost(campaign: &Campaign, fee: Decimal) -> Decimal {
    Decimal::from(campaign.overlap) * price(campaign, fee)
}

/// A page done by one worker, fee included.
#[must_use]
pub fn price(campaign: &Campaign, fee: Decimal) -> Decimal {
    with_fee(campaign.reward_per_page, fee)
}

/// Answers that `images` want.
#[must_use]
pub fn answers(campaign: &Campaign, images: u64) -> u64 {
    images.saturating_mul(u64::from(campaign.overlap))
}

/// Pages that workers fill with answers to `images`: all full but the last.
fn pages(campaign: &Campaign, images: u64) -> u64 {
    answers(campaign, images).div_ceil(u64::from(campaign.images_per_page.max(1)))
}

/// What `images` cost, the last page not full: a round of these and no others.
#[must_use]
pub fn whole_pages(campaign: &Campaign, images: u64, fee: Decimal) -> Decimal {
    Decimal::from(pages(campaign, images)) * price(campaign, fee)
}

/// What the share of full pages that `images` fill costs, rounded up: shares of some images add up to
/// at least the share of all.
#[must_use]
pub fn share(campaign: &Campaign, images: u64, fee: Decimal) -> Decimal {
    rounded_share(campaign, images, fee, RoundingStrategy::AwayFromZero)
}

fn rounded_share(
    campaign: &Campaign,
    images: u64,
    fee: Decimal,
    rounding: RoundingStrategy,
) -> Decimal {
    let cost = Decimal::from(answers(campaign, images)) * price(campaign, fee);
    let share = cost / Decimal::from(campaign.images_per_page.max(1));
    share.round_dp_with_strategy(SHARE_DIGITS, rounding)
}

/// The cap under which a round of `images` may reserve their [`share`] so that there is money for its
/// last page too: the campaign's budget without the part of that page which has no images.
#[must_use]
pub fn cap(campaign: &Campaign, images: u64, fee: Decimal) -> Option<Decimal> {
    let empty = whole_pages(campaign, images, fee) - share(campaign, images, fee);
    Some(campaign.budget? - empty.max(Decimal::ZERO))
}

/// How many images the budget covers in a round that has `images`, besides what is `committed`.
#[must_use]
pub fn covered(campaign: &Campaign, images: u64, committed: Decimal, fee: Decimal) -> usize {
    let reserved = rounded_share(campaign, images, fee, RoundingStrategy::ToZero);
    let others = committed - reserved;
    let left = campaign.budget.map(|budget| budget - others);
    let Some(affordable) = left.and_then(|left| left.checked_div(price(campaign, fee))) else {
        return usize::MAX;
    };
    let affordable = affordable.floor().to_u64().unwrap_or_default();
    let places = affordable.saturating_mul(u64::from(campaign.images_per_page));
    let images = (places / u64::from(campaign.overlap.max(1))).saturating_sub(images);
    usize::try_from(images).unwrap_or(usize::MAX)
}

/// What a round reserves when it gets its pool, if the budget has it: pages for the answers that fill
/// no whole ones, so that later rounds do not take the money for them.
#[must_use]
pub fn tail(campaign: &Campaign, fee: Decimal) -> Decimal {
    page_cost(campaign, fee)
}

/// What a round must still reserve before its images may be sent to its pool: more than nothing only
/// if the campaign has become more expensive since they came.
#[must_use]
pub fn shortfall(round: &Round, fee: Decimal) -> Decimal {
    let bounded = round.pool.as_ref().map(|pool| &pool.campaign);
    let Some(campaign) = bounded.filter(|campaign| campaign.budget.is_some()) else {
        return Decimal::ZERO;
    };
    let share = share(campaign, round.counts.originals(), fee);
    (share - round.reserved).max(Decimal::ZERO)
}

/// Pages at `price` that `money` pays.
#[must_use]
pub fn pages_for(money: Decimal, price: Decimal) -> u64 {
    let pages = money.checked_div(price).map(|pages| pages.floor());
    pages.map_or(u64::MAX, |pages| pages.to_u64().unwrap_or_default())
}

/// The least number of images on a page with which `wanted` answers make at most `pages` pages.
#[must_use]
pub fn least_images(wanted: u64, pages: u64) -> u64 {
    // The smallest m with ⌊wanted / m⌋ ≤ pages.
    wanted / pages.saturating_add(1) + 1
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
    fn shares_add_up_to_at_least_what_full_pages_cost_however_images_come() {
        let campaign = campaign("1");
        // Five images want 15 answers: three full pages and three quarters of one.
        assert_eq!(share(&campaign, 5, Decimal::ZERO), Decimal::new(1875, 4));
        assert_eq!(whole_pages(&campaign, 5, Decimal::ZERO), cents(20));
        assert_eq!(whole_pages(&campaign, 5, Decimal::new(2, 1)), cents(24));
        let thirds = Campaign {
            images_per_page: 9,
            overlap: 1,
            ..campaign
        };
        let one_by_one: Decimal = (0..9).map(|_| share(&thirds, 1, Decimal::ZERO)).sum();
        assert!(one_by_one >= cents(5), "{one_by_one}");
        assert!(one_by_one < cents(5) + Decimal::new(1, 5), "{one_by_one}");
    }

    #[test]
    fn what_is_covered_fits_and_one_image_more_does_not() {
        for budget in ["0.15", "0.19", "0.20", "0.99", "1"] {
            let campaign = campaign(budget);
            for images in 0..9 {
                let committed = share(&campaign, images, Decimal::ZERO);
                if committed > campaign.budget.unwrap() {
                    continue;
                }
                let more = covered(&campaign, images, committed, Decimal::ZERO) as u64;
                let fits = |more: u64| {
                    committed + share(&campaign, more, Decimal::ZERO)
                        <= cap(&campaign, images + more, Decimal::ZERO).unwrap()
                };
                assert!(more == 0 || fits(more), "{budget} {images}");
                assert!(!fits(more + 1), "{budget} {images}");
            }
        }
    }

    #[test]
    fn the_least_number_of_images_is_the_smallest_that_fits() {
        for wanted in 0..40 {
            for pages in 0..15 {
                let least = least_images(wanted, pages);
                assert!(wanted / least <= pages, "{wanted} {pages}");
                assert!(
                    least == 1 || wanted / (least - 1) > pages,
                    "{wanted} {pages}"
                );
            }
        }
    }
}
