//! Campaigns.

use futures_util::future::join_all;
use quorate_core::campaign::Campaign;
use quorate_core::ids::CampaignName;
use quorate_core::ports::{Ledger, Write};
use quorate_core::state::{CampaignItem, Lease, Setup};
use rust_decimal::Decimal;

use super::{Case, at, definition, only};

/// A save is taken if it knows the one before it.
pub async fn a_campaign_is_saved_by_one_writer_at_a_time(case: &Case<'_, impl Ledger>) {
    let Case { ledger, campaign } = case;
    assert_eq!(ledger.campaign(campaign).await, Ok(None));
    assert_eq!(ledger.save_campaign(&case.item(0)).await, Ok(Write::Lost));
    assert_eq!(ledger.save_campaign(&case.item(2)).await, Ok(Write::Lost));
    let first = CampaignItem {
        round: 7,
        committed: Decimal::ONE,
        ..case.item(1)
    };
    assert_eq!(ledger.save_campaign(&first).await, Ok(Write::Done));
    assert_eq!(ledger.save_campaign(&first).await, Ok(Write::Done));
    // Rounds and money are not a save's to write.
    assert_eq!(ledger.campaign(campaign).await, Ok(Some(case.item(1))));

    let leased = |writer: &str| CampaignItem {
        lease: Some(Lease {
            writer: writer.to_owned(),
            until: at(60),
        }),
        ..case.item(2)
    };
    assert_eq!(ledger.save_campaign(&leased("a")).await, Ok(Write::Done));
    assert_eq!(ledger.save_campaign(&leased("b")).await, Ok(Write::Lost));
    assert_eq!(ledger.save_campaign(&leased("a")).await, Ok(Write::Done));
    assert_eq!(ledger.campaign(campaign).await, Ok(Some(leased("a"))));
    assert_eq!(ledger.save_campaign(&first).await, Ok(Write::Lost));

    let looked = |seconds| CampaignItem {
        swept: Some(at(seconds)),
        ..case.item(3)
    };
    assert_eq!(ledger.save_campaign(&looked(60)).await, Ok(Write::Done));
    assert_eq!(ledger.save_campaign(&looked(61)).await, Ok(Write::Lost));
    assert_eq!(ledger.save_campaign(&looked(60)).await, Ok(Write::Done));
    assert_eq!(ledger.campaign(campaign).await, Ok(Some(looked(60))));

    let other: CampaignName = format!("another.{campaign}").parse().unwrap();
    let another = CampaignItem {
        name: other.clone(),
        ..case.item(1)
    };
    assert_eq!(ledger.save_campaign(&another).await, Ok(Write::Done));
    let mut names = ledger.campaigns().await.unwrap();
    names.retain(|name| [campaign, &other].contains(&name));
    let mut expected = [campaign.clone(), other];
    expected.sort();
    assert_eq!(names, expected);
}

/// A campaign made of Toloka's files carries them: some hundred kilobytes.
pub async fn a_large_campaign_comes_back(case: &Case<'_, impl Ledger>) {
    let mut setups = std::collections::BTreeMap::new();
    let setup = Setup {
        project: Some("17".to_owned()),
        training_open: true,
        ..Setup::default()
    };
    setups.insert("digest".to_owned(), setup);
    let large = CampaignItem {
        campaign: Campaign {
            instructions: "Größe <b>beachten</b>. ".repeat(20_000),
            ..definition()
        },
        setups,
        ..case.item(1)
    };
    assert_eq!(case.ledger.save_campaign(&large).await, Ok(Write::Done));
    let stored = case.ledger.campaign(&case.campaign).await;
    assert_eq!(stored, Ok(Some(large)));
}

/// Whoever saves a campaign has not seen what its rounds did since.
pub async fn a_save_leaves_rounds_and_money(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let ledger = case.ledger;
    let admission = case.admission(case.images(0..1));
    ledger.admit(&admission).await.unwrap();
    assert_eq!(ledger.save_campaign(&case.item(2)).await, Ok(Write::Done));
    ledger.open_round(&case.round(2), at(1)).await.unwrap();
    let again = ledger.save_campaign(&case.item(2)).await;
    assert_eq!(again, Ok(Write::Done), "its reply was lost");
    let expected = CampaignItem {
        round: 2,
        committed: Decimal::ONE,
        ..case.item(2)
    };
    assert_eq!(ledger.campaign(&case.campaign).await, Ok(Some(expected)));
}

/// Of those who want to work on a campaign's setup one gets the lease.
pub async fn of_many_saves_one_is_taken(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let ledger = case.ledger;
    let leased = |n: u32| CampaignItem {
        lease: Some(Lease {
            writer: n.to_string(),
            until: at(60),
        }),
        round: 1,
        ..case.item(2)
    };
    let items: Vec<CampaignItem> = (0..8).map(leased).collect();
    let saved = join_all(items.iter().map(|item| ledger.save_campaign(item))).await;
    let won = only(&saved, Ok(Write::Done));
    let stored = ledger.campaign(&case.campaign).await;
    assert_eq!(stored.unwrap().as_ref(), Some(&items[won]));
}
