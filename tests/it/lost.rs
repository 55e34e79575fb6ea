//! Uploads whose events never come: the bucket is looked at once an hour, and nothing waits for ever.

use std::time::Duration;

use quorate_core::ports::{Ledger as _, World as _};
use quorate_core::state::CampaignItem;
use quorate_testkit::png;

use crate::world::{CATS, World};

/// Lets hours pass with a tick in each. A file counts as uploaded when the stack first sees it, and
/// a young one is left to its event: the second look takes it in.
async fn hours(world: &mut World, hours: u32) {
    for _ in 0..hours {
        world.day.tick().await.unwrap();
        world.day.pass(Duration::from_secs(3600)).await.unwrap();
    }
    world.day.tick().await.unwrap();
}

async fn campaign(world: &World, name: &str) -> Option<CampaignItem> {
    let ledger = world.day.stack().ledger();
    ledger.campaign(&name.parse().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_without_its_event_is_labelled_after_a_look() {
    let mut world = World::new(6, &[]).await;
    world.drop_file("cats/campaign.toml", CATS).await;
    world.drop_file("cats/images/told.png", png(1)).await;
    world.put("cats/images/lost.png", png(2));
    hours(&mut world, 2).await;
    world.work("cats").await;
    let mut labelled = world.labels("cats", 1);
    if world.rounds("cats").await.len() > 1 {
        labelled.extend(world.labels("cats", 2));
    }
    let mut keys: Vec<&str> = labelled
        .iter()
        .map(|row| row["image"].as_str().unwrap())
        .collect();
    keys.sort_unstable();
    assert_eq!(keys, ["cats/images/lost.png", "cats/images/told.png"]);
    assert_eq!(world.problems("upload_rejected"), [""; 0]);
    // Looks to come do not take it in again.
    let rounds = world.rounds("cats").await.len();
    hours(&mut world, 3).await;
    assert_eq!(world.rounds("cats").await.len(), rounds);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_young_upload_is_left_to_its_event() {
    let mut world = World::new(0, &[]).await;
    world.drop_file("cats/campaign.toml", CATS).await;
    world.put("cats/images/1.png", png(1));
    // Every tick of this hour could look.
    world.minutes(4).await;
    assert_eq!(world.rounds("cats").await.len(), 0);
    world.deliver(&["cats/images/1.png"]).await;
    assert_eq!(world.rounds("cats").await[0].counts.images, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_whose_definition_came_last_and_without_its_event_is_found() {
    let mut world = World::new(0, &[]).await;
    world.drop_file("cats/images/1.png", png(1)).await;
    assert_eq!(world.problems("campaign_invalid").len(), 1);
    world.put("cats/campaign.toml", CATS);
    hours(&mut world, 2).await;
    assert!(campaign(&world, "cats").await.is_some());
    assert_eq!(world.rounds("cats").await[0].counts.images, 1);
    // It was told once that there is no campaign, and no more.
    assert_eq!(world.problems("campaign_invalid").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_definition_without_its_event_is_followed() {
    let mut world = World::new(0, &[]).await;
    world.drop_file("cats/campaign.toml", CATS).await;
    world.drop_file("cats/golden/BIRD/1.png", png(1)).await;
    assert_eq!(world.rejected("cats").len(), 1);
    let changed = CATS.replace(r#""DOG"]"#, r#""DOG", "BIRD"]"#);
    world.put("cats/campaign.toml", changed);
    hours(&mut world, 2).await;
    let item = campaign(&world, "cats").await.unwrap();
    assert_eq!(item.campaign.labels, ["CAT", "DOG", "BIRD"]);
    // What the old one could not take is looked at again.
    let ledger = world.day.stack().ledger();
    let golden = quorate_core::state::Kind::Golden;
    let controls = ledger.controls(&item.name, golden).await.unwrap();
    assert_eq!(controls.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_look_finds_to_be_wrong_is_told_once() {
    let mut world = World::new(0, &[]).await;
    world.drop_file("cats/campaign.toml", CATS).await;
    world.put(
        "cats/images/text.jpg",
        "no image, but long enough to be one",
    );
    world.put("cats/pictures/1.png", png(1));
    world.put("dogs/campaign.toml", "labels = 1");
    world.put("dogs/images/1.png", png(1));
    hours(&mut world, 5).await;
    let mut rejected = world.problems("upload_rejected");
    rejected.sort();
    assert_eq!(rejected.len(), 2, "{rejected:?}");
    assert!(
        rejected[0].starts_with("cats/images/text.jpg: "),
        "{rejected:?}"
    );
    assert!(
        rejected[1].contains("no folder that means something"),
        "{rejected:?}"
    );
    let invalid = world.problems("campaign_invalid");
    assert_eq!(invalid.len(), 1, "{invalid:?}");
    assert!(campaign(&world, "dogs").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_overtake_their_campaign_tell_nothing() {
    let world = World::new(0, &[]).await;
    world.put("cats/campaign.toml", CATS);
    world.drop_file("cats/images/1.png", png(1)).await;
    assert_eq!(world.problems("campaign_invalid"), [""; 0]);
    assert_eq!(world.rounds("cats").await[0].counts.images, 1);
    world.put("cats/images/2.png", png(2));
    // The late event of the definition takes in what was told of before it.
    world.deliver(&["cats/campaign.toml"]).await;
    world
        .deliver(&["cats/images/1.png", "cats/images/2.png"])
        .await;
    assert_eq!(world.rounds("cats").await[0].counts.images, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_a_broken_campaign_tell_what_is_wrong_with_it() {
    let world = World::new(0, &[]).await;
    world.put("cats/campaign.toml", "labels = 1");
    world.drop_file("cats/images/1.png", png(1)).await;
    let told = world.problems("campaign_invalid");
    assert!(told[0].contains("is not as it should be"), "{told:?}");
}
