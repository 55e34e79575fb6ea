//! The handlers over a real stack, fed with the events of `events/`: what is malformed or unusual
//! stands among what is good, and fails alone.

use aws_lambda_events::event::sqs::SqsEvent;
use quorate_core::ports::{Objects as _, World as _};
use quorate_core::state::RoundState;
use quorate_testkit::png;
use serde_json::{Value, json};

use crate::world::{CATS, World};

const UNUSUAL: &str = include_str!("../../events/sqs-unusual.json");
const MALFORMED: &str = include_str!("../../events/sqs-malformed.json");
const TICK: &str = include_str!("../../events/scheduler-tick.json");
const CROWD_MOVED: &str = include_str!("../../events/crowd-moved.json");
const SEAL: &str = include_str!("../../events/seal-round.json");

/// A stack with the campaign `cells`, and images under these names.
async fn cells(images: &[&str]) -> World {
    let world = World::new(10, &[]).await;
    world.drop_file("cells/campaign.toml", CATS).await;
    for (image, number) in images.iter().zip(1..) {
        world.put(&format!("cells/images/{image}"), png(number));
    }
    world
}

/// Gives a batch of messages to `create-tasks`; the ids of those that come again.
async fn create_tasks(world: &World, batch: &str) -> Vec<String> {
    let stack = world.day.stack();
    let batch = batch.replace("quorate-uploads", stack.uploads().bucket());
    let batch: SqsEvent = serde_json::from_str(&batch).unwrap();
    let response = quorate_create_tasks::handle(stack, batch).await;
    let failures = response.batch_item_failures.into_iter();
    failures.map(|failure| failure.item_identifier).collect()
}

/// The images that became tasks.
async fn tasks(world: &mut World) -> usize {
    world.minutes(1).await;
    let pool = world.pool("cells").await;
    world.tasks(&pool).await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn unusual_uploads_are_done_with_and_only_what_cannot_be_read_comes_again() {
    let mut world = cells(&["0001.jpg", "0002.jpg"]).await;
    world.put("unknown/images/0001.jpg", png(3));
    let again = create_tasks(&world, UNUSUAL).await;
    assert_eq!(again, ["059f36b4-87a3-44ab-83d2-661970000109"]);
    assert_eq!(tasks(&mut world).await, 2);
    let told = world.problems("campaign_invalid");
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("unknown/campaign.toml"), "{told:?}");
    let rejected = [world.rejected("_unsorted"), world.rejected("cells")].concat();
    let rejected: Vec<&str> = rejected.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(rejected, ["notes.txt", "cells/images/deleted-since.jpg"]);

    // The queue delivers at least once: the same batch again changes nothing.
    assert_eq!(create_tasks(&world, UNUSUAL).await, again);
    assert_eq!(tasks(&mut world).await, 2);
    assert_eq!(world.problems("upload_rejected").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_message_comes_again_and_the_good_one_beside_it_is_a_task() {
    let mut world = cells(&["0001.jpg"]).await;
    let again = create_tasks(&world, MALFORMED).await;
    assert_eq!(again.len(), 2, "{again:?}");
    assert_eq!(tasks(&mut world).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_as_large_as_a_queue_takes_is_a_message_like_any_other() {
    const MOST: usize = 1024 * 1024;
    let mut world = cells(&["0001.jpg"]).await;
    let mut batch: Value = serde_json::from_str(MALFORMED).unwrap();
    let bodies = batch["Records"].as_array_mut().unwrap().iter_mut();
    for body in bodies.map(|record| &mut record["body"]) {
        let text = body.as_str().unwrap();
        *body = json!(text.to_owned() + &" ".repeat(MOST - text.len()));
    }
    let again = create_tasks(&world, &batch.to_string()).await;
    assert_eq!(again.len(), 2, "{again:?}");
    assert_eq!(tasks(&mut world).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_cannot_be_read_fails_alone_and_a_good_one_seals_the_round() {
    let world = cells(&["0001.jpg"]).await;
    world.deliver(&["cells/images/0001.jpg"]).await;
    let state = async || world.rounds("cells").await[0].state;
    for (event, reason) in [
        (TICK, None),
        (r#"{"seal": 3}"#, Some("cannot read the command")),
        (
            r#"{"seal": "cells/9"}"#,
            Some("round cells/9 was not sealed"),
        ),
        (CROWD_MOVED, None),
        ("\"tick\"", None),
    ] {
        let event = serde_json::from_str(event).unwrap();
        let done = quorate_check_pools::handle(world.day.stack(), event).await;
        let error = done.err().map(|error| error.to_string());
        assert_eq!(error.is_some(), reason.is_some(), "{error:?}");
        assert!(
            error
                .unwrap_or_default()
                .starts_with(reason.unwrap_or_default())
        );
        assert_eq!(state().await, RoundState::Open);
    }
    let seal = serde_json::from_str(SEAL).unwrap();
    quorate_check_pools::handle(world.day.stack(), seal)
        .await
        .unwrap();
    assert_eq!(state().await, RoundState::Sealed);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_tick_holds_reconcile_sends_what_was_left() {
    let mut world = cells(&["0001.jpg"]).await;
    world.deliver(&["cells/images/0001.jpg"]).await;
    for event in [TICK, "null", r#"{"seal": 3}"#, "[[]]"] {
        let event = serde_json::from_str(event).unwrap();
        quorate_reconcile::handle(world.day.stack(), event)
            .await
            .unwrap();
    }
    assert_eq!(tasks(&mut world).await, 1);
}
