//! Rounds and money: full rounds, budgets that run out, pools that somebody else closes.

use std::collections::BTreeMap;

use quorate_core::state::{RoundState, SealReason};
use quorate_testkit::png;
use reqwest::Method;
use rust_decimal::Decimal;

use crate::world::{CATS, World, get};

/// Uploads so many different images and tells of all of them at once; their keys.
async fn drop_images(world: &World, number: u32) -> Vec<String> {
    let keys: Vec<String> = (1..=number)
        .map(|number| format!("cats/images/{number:03}.png"))
        .collect();
    for (key, number) in keys.iter().zip(1..) {
        world.put(key, png(number));
    }
    world
        .deliver(&keys.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    keys
}

/// How often each image is in the results of the campaign's rounds, and has a label there.
fn labelled(world: &World, rounds: u32) -> BTreeMap<String, (u32, u32)> {
    let mut found: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for row in (1..=rounds).flat_map(|round| world.labels("cats", round)) {
        let (rows, labels) = found
            .entry(row["image"].as_str().unwrap().to_owned())
            .or_default();
        *rows += 1;
        *labels += u32::from(row["label"].is_string());
    }
    found
}

/// What [`labelled`] is when each of `keys` has exactly one row with a label.
fn once(keys: &[String]) -> BTreeMap<String, (u32, u32)> {
    keys.iter().map(|key| (key.clone(), (1, 1))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_budget_covers_is_labelled_and_the_rest_waits_until_it_is_raised() {
    let mut world = World::new(10, &[]).await;
    // Twenty pages of four, three answers an image: this covers 26 of 30.
    let budget: Decimal = "1".parse().unwrap();
    world
        .drop_file(
            "cats/campaign.toml",
            CATS.replace("budget = 100", "budget = 1"),
        )
        .await;
    let keys = drop_images(&world, 30).await;
    let told = world.problems("budget_reached");
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains("the budget of 1 dollars is reached"),
        "{told:?}"
    );
    assert!(told[0].contains("4 images wait"), "{told:?}");
    let rounds = world.work("cats").await;
    assert_eq!(rounds.len(), 1);
    assert_eq!(labelled(&world, 1), once(&keys[..26]));
    let first = world.manifest("cats", 1).cost;
    assert!(first <= budget, "{first}");

    world.drop_file("cats/campaign.toml", CATS).await;
    world.minutes(1).await;
    let rounds = world.work("cats").await;
    assert_eq!(rounds.len(), 2);
    assert_eq!(labelled(&world, 2), once(&keys));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_links_of_images_that_waited_long_for_money_are_fresh() {
    let mut world = World::new(0, &[]).await;
    world
        .drop_file(
            "cats/campaign.toml",
            CATS.replace("budget = 100", "budget = 0.15"),
        )
        .await;
    drop_images(&world, 5).await;
    world
        .day
        .pass(std::time::Duration::from_secs(100 * 86_400))
        .await
        .unwrap();
    world.drop_file("cats/campaign.toml", CATS).await;
    world.minutes(3).await;
    let mut tasks = Vec::new();
    for round in world.rounds("cats").await {
        tasks.extend(world.tasks(&round.pool.unwrap().id).await);
    }
    assert_eq!(tasks.len(), 5);
    for task in tasks {
        let (status, _) = get(task["input_values"]["image"].as_str().unwrap()).await;
        assert_eq!(status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_is_full_at_its_most_images_and_each_image_is_in_one() {
    let mut world = World::new(10, &[]).await;
    world
        .drop_file(
            "cats/campaign.toml",
            format!("{CATS}[round]\nmax_images = 10\n"),
        )
        .await;
    let keys = drop_images(&world, 25).await;
    let rounds = world.work("cats").await;
    let sizes: Vec<u64> = rounds.iter().map(|round| round.counts.images).collect();
    assert_eq!(sizes, [10, 10, 5]);
    let seals: Vec<Option<SealReason>> = rounds.iter().map(|round| round.seal).collect();
    assert_eq!(
        seals,
        [
            Some(SealReason::Size),
            Some(SealReason::Size),
            Some(SealReason::Idle)
        ]
    );
    assert_eq!(labelled(&world, 3), once(&keys));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_closed_by_hand_closes_its_round_with_the_answers_so_far() {
    let mut world = World::new(2, &[]).await;
    world.drop_file("cats/campaign.toml", CATS).await;
    let keys = drop_images(&world, 24).await;
    while world.day.stats().pages == 0 {
        world.minutes(1).await;
    }
    let pool = world.pool("cats").await;
    world
        .requester(Method::POST, &format!("pools/{pool}/close"))
        .await;
    let rounds = world.work("cats").await;
    assert_eq!(rounds.len(), 1);

    let told = world.problems("pool_closed_early");
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains("(MANUAL) before its work was done; labels rest on the answers so far"),
        "{told:?}"
    );
    let labels = world.labels("cats", 1);
    assert_eq!(labels.len(), keys.len());
    let (with, without): (Vec<_>, Vec<_>) = labels.iter().partition(|row| row["label"].is_string());
    assert!(
        !with.is_empty() && !without.is_empty(),
        "{} labels",
        with.len()
    );
    for row in without {
        assert_eq!(
            row["reason"],
            "no usable answers before the pool closed (MANUAL)"
        );
    }
    assert_eq!(world.manifest("cats", 1).close_reason, "MANUAL");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_that_covers_no_pool_is_told() {
    // The platform's accounts hold a million dollars; with this fee a page of three costs more.
    let mut world = World::with_fee(4, &[], Decimal::from(20_000_000)).await;
    world
        .drop_file(
            "cats/campaign.toml",
            CATS.replace("budget = 100", "budget = 1_000_000_000"),
        )
        .await;
    drop_images(&world, 4).await;
    world.minutes(10).await;
    let told = world.problems("not_enough_balance");
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains("the account's balance does not cover pool"),
        "{told:?}"
    );
    let rounds = world.rounds("cats").await;
    assert_eq!(rounds[0].state, RoundState::Sealed);
    assert_eq!(world.day.stats().answers, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_ends_within_a_page_is_not_passed() {
    let mut world = World::new(10, &[]).await;
    // Three pages have room for four images; the fifth would begin a fourth page.
    let text = CATS.replace("budget = 100", "budget = 0.19");
    world.drop_file("cats/campaign.toml", text).await;
    let keys = drop_images(&world, 5).await;
    world.work("cats").await;
    assert_eq!(labelled(&world, 1), once(&keys[..4]));
    let cost = world.manifest("cats", 1).cost;
    assert!(cost <= "0.19".parse().unwrap(), "{cost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_fill_no_page_wait_for_the_seal_and_are_labelled() {
    let mut world = World::new(10, &[]).await;
    let text = format!("{CATS}[round]\nidle_minutes = 60\n");
    world.drop_file("cats/campaign.toml", text).await;
    let keys = drop_images(&world, 3).await;
    world.minutes(50).await;
    let pool = world.pool("cats").await;
    let path = format!("pools/{pool}");
    let full = world.requester(Method::GET, &path).await;
    assert_eq!(full["mixer_config"]["min_real_tasks_count"], 4);
    assert_eq!(full["mixer_config"]["force_last_assignment"], false);
    assert_eq!(world.day.stats().pages, 0);
    world.work("cats").await;
    assert_eq!(labelled(&world, 1), once(&keys));
    let rest = world.requester(Method::GET, &path).await;
    assert_eq!(rest["mixer_config"]["min_real_tasks_count"], 1);
    assert_eq!(rest["last_close_reason"], "COMPLETED");
    assert_eq!(world.problems("pool_closed_early"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_nothing_came_into_keeps_nobody_waiting() {
    let mut world = World::new(10, &[]).await;
    // Ten images fill eight pages: the first round is full and the budget is used up.
    let poor = CATS.replace("budget = 100", "budget = 0.40");
    world
        .drop_file(
            "cats/campaign.toml",
            format!("{poor}[round]\nmax_images = 10\n"),
        )
        .await;
    let keys = drop_images(&world, 12).await;
    let rounds = world.work("cats").await;
    assert_eq!(rounds.len(), 1);
    assert_eq!(labelled(&world, 1), once(&keys[..10]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_of_known_bytes_waits_for_the_round_that_labels_them() {
    let mut world = World::new(10, &[]).await;
    world
        .drop_file(
            "cats/campaign.toml",
            format!("{CATS}[round]\nmax_images = 2\n"),
        )
        .await;
    for (name, number) in [("a", 1), ("b", 2), ("c", 1)] {
        world.put(&format!("cats/images/{name}.png"), png(number));
    }
    world
        .deliver(&[
            "cats/images/a.png",
            "cats/images/b.png",
            "cats/images/c.png",
        ])
        .await;
    let rounds = world.work("cats").await;
    let (first, second) = (world.labels("cats", 1), world.labels("cats", 2));
    assert_eq!((rounds.len(), first.len(), second.len()), (2, 2, 1));
    assert_eq!(rounds[1].pool, None);
    assert!(second[0]["label"].is_string());
    assert_eq!(second[0]["label"], first[0]["label"]);
    assert_eq!(second[0]["same_as"], first[0]["image_id"]);
}
