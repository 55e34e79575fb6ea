//! Campaigns: wrong ones, changed ones, two at once, and one that nobody could be admitted to.

use crate::rows::clickbait;
use quorate_testkit::png;

use crate::world::{CATS, World, get, row};

/// The labels that a round's votes were counted for.
fn votes_for(world: &World, round: u32) -> Vec<String> {
    let labels = world.labels("cats", round);
    labels[0]["votes"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_campaign_file_is_told_with_its_place_and_the_one_before_goes_on() {
    let mut world = World::new(10, &[]).await;
    world.drop_file("cats/campaign.toml", CATS).await;
    let key = "cats/campaign.toml".to_owned();
    let wrong = [
        (
            CATS.replace("overlap", "ovelap"),
            "campaign.toml:4:1: unknown field `ovelap`",
            "did you mean `overlap`?",
        ),
        (
            CATS.replace("[\"CAT\", \"DOG\"]", "[\"CAT\", \"DOG\", \"CAT\"]"),
            "campaign.toml:3:25: label \"CAT\" is listed twice",
            "",
        ),
        (
            CATS.replace("overlap = 3", "overlap = 0"),
            "campaign.toml:4:11: `overlap` is how many people judge each image: 1 to 30000",
            "",
        ),
        (
            CATS.replace("budget = 100", "budget = 0.14"),
            "campaign.toml:7:10: `budget` of 0.14 dollars does not cover one page",
            "fee included, is 0.15",
        ),
    ];
    for (text, _, _) in &wrong {
        world.drop_file(&key, text).await;
    }
    let told = world.problems("campaign_invalid");
    assert_eq!(told.len(), wrong.len());
    let rejected = world.rejected("cats");
    assert_eq!(rejected.len(), wrong.len());
    for ((_, place, hint), told) in wrong.iter().zip(&told) {
        assert!(
            told.contains("nothing was changed") && told.contains(place) && told.contains(hint),
            "{told}"
        );
        let records = rejected
            .iter()
            .filter(|(of, reason)| *of == key && reason.starts_with(place));
        assert_eq!(records.count(), 1, "{place}");
    }

    world.drop_file("cats/images/1.png", png(1)).await;
    world.work("cats").await;
    assert_eq!(votes_for(&world, 1), ["CAT", "DOG"]);
    assert_eq!(world.labels("cats", 1)[0]["answers"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_file_beside_a_good_one_is_the_one_that_is_rejected() {
    let world = World::new(0, &[]).await;
    for (name, text) in clickbait() {
        world.put(&format!("headlines/{name}"), text);
    }
    world.put("headlines/campaign.toml", "budget = 50\n");
    let key = "headlines/pool.json";
    for (text, place) in [("{", "pool.json:1:1: "), ("{}", "pool.json: ")] {
        world.drop_file(key, text).await;
        let rejected = world.rejected("headlines");
        let found = rejected
            .iter()
            .any(|(of, reason)| of == key && reason.starts_with(place));
        assert!(found, "{rejected:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_campaign_serves_from_the_next_round_on() {
    let mut world = World::new(10, &[]).await;
    world.drop_file("cats/campaign.toml", CATS).await;
    world.drop_file("cats/images/1.png", png(1)).await;
    world.minutes(1).await;
    let pool = world.pool("cats").await;
    let changed = CATS
        .replace("\"DOG\"", "\"DOG\", \"BIRD\"")
        .replace("overlap = 3", "overlap = 2");
    world.drop_file("cats/campaign.toml", changed).await;
    let told = world.problems("campaign_changed");
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains("while round 1 is under way: the round goes on as it was"),
        "{told:?}"
    );
    world.work("cats").await;
    assert_eq!(votes_for(&world, 1), ["CAT", "DOG"]);
    assert_eq!(world.labels("cats", 1)[0]["answers"], 3);

    world.drop_file("cats/images/2.png", png(2)).await;
    world.work("cats").await;
    assert_ne!(world.pool("cats").await, pool);
    assert_eq!(votes_for(&world, 2), ["BIRD", "CAT", "DOG"]);
    assert_eq!(world.labels("cats", 2)[0]["answers"], 2);
}

/// The links to the images of a campaign's tasks, in the order of the images.
async fn links(world: &World) -> Vec<String> {
    let tasks = world.tasks(&world.pool("cats").await).await;
    let link =
        |task: &serde_json::Value| task["input_values"]["image"].as_str().unwrap().to_owned();
    let mut links: Vec<String> = tasks.iter().map(link).collect();
    links.sort_by_key(|link| {
        link.split('?')
            .next()
            .unwrap()
            .rsplit('/')
            .next()
            .map(str::to_owned)
    });
    links
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_leaked_are_ended_and_later_ones_open() {
    let mut world = World::new(0, &[]).await;
    world.drop_file("cats/campaign.toml", CATS).await;
    world.drop_file("cats/images/1.png", png(1)).await;
    world.minutes(1).await;
    let leaked = links(&world).await.remove(0);
    assert_eq!(get(&leaked).await, (200, png(1)));

    // A clock that is ahead by an hour, as the owner's may be, must not end what comes now.
    let ended = format!("links_since = 2026-01-05T10:00:00Z\n{CATS}");
    world.drop_file("cats/campaign.toml", ended).await;
    assert_eq!(get(&leaked).await.0, 410);
    world.drop_file("cats/images/2.png", png(2)).await;
    world.minutes(1).await;
    let links = links(&world).await;
    assert_eq!(links[0], leaked);
    assert_eq!(get(&links[1]).await, (200, png(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn control_images_of_a_label_that_is_gone_are_not_used() {
    let mut world = World::new(20, &[]).await;
    world.put("cats/campaign.toml", CATS);
    let mut keys = vec!["cats/campaign.toml".to_owned()];
    for (kind, number) in [("golden", 100), ("exam", 200), ("training", 300)] {
        for (label, number) in [("CAT", number), ("DOG", number + 1)] {
            keys.push(format!("cats/{kind}/{label}/{number}.png"));
            world.put(keys.last().unwrap(), png(number));
        }
    }
    keys.push("cats/images/1.png".to_owned());
    world.put("cats/images/1.png", png(1));
    world
        .deliver(&keys.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    world.work("cats").await;
    assert_eq!(world.rounds("cats").await[0].counts.golden_tasks, 2);

    world
        .drop_file("cats/campaign.toml", CATS.replace("DOG", "BIRD"))
        .await;
    world.drop_file("cats/images/2.png", png(2)).await;
    world.work("cats").await;
    assert_eq!(world.rounds("cats").await[1].counts.golden_tasks, 1);
    assert!(world.labels("cats", 2)[0]["label"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raised_budget_counts_at_once() {
    let mut world = World::new(10, &[]).await;
    // Four images cost 0.15, pages that are not full 0.15 more: what comes next must wait.
    let poor = CATS.replace("budget = 100", "budget = 0.40");
    world.drop_file("cats/campaign.toml", &poor).await;
    let keys: Vec<String> = (1..=8)
        .map(|number| format!("cats/images/{number}.png"))
        .collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for (key, number) in keys.iter().zip(1..) {
        world.put(key, png(number));
    }
    world.deliver(&keys[..4]).await;
    world.minutes(1).await;
    world.deliver(&keys[4..]).await;
    assert_eq!(world.rounds("cats").await[0].counts.images, 4 + 2);
    assert_eq!(world.problems("budget_reached").len(), 1);
    world.drop_file("cats/campaign.toml", CATS).await;
    world.minutes(1).await;
    assert_eq!(world.rounds("cats").await[0].counts.images, 8);
    let rounds = world.work("cats").await;
    assert_eq!(rounds.len(), 1);
    let labels = world.labels("cats", 1);
    for key in keys {
        assert!(row(&labels, key)["label"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_campaigns_in_one_batch_do_not_mix() {
    let mut world = World::new(10, &[]).await;
    let birds = CATS
        .replace("CAT", "TIT")
        .replace("DOG", "OWL")
        .replace("overlap = 3", "overlap = 2");
    world.put("cats/campaign.toml", CATS);
    world.put("birds/campaign.toml", birds);
    let mut keys = vec![
        "birds/campaign.toml".to_owned(),
        "cats/campaign.toml".to_owned(),
    ];
    for number in 1..=6 {
        // The same bytes in both, for half of them.
        for (campaign, shift) in [("cats", 0), ("birds", 3)] {
            keys.push(format!("{campaign}/images/{number}.png"));
            world.put(keys.last().unwrap(), png(number + shift));
        }
    }
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    world.deliver(&keys).await;
    world.work("cats").await;
    world.work("birds").await;

    for (campaign, labels, answers) in [("cats", ["CAT", "DOG"], 3), ("birds", ["OWL", "TIT"], 2)] {
        let rows = world.labels(campaign, 1);
        assert_eq!(rows.len(), 6);
        for row in rows {
            assert!(
                row["image"]
                    .as_str()
                    .unwrap()
                    .starts_with(&format!("{campaign}/")),
                "{row}"
            );
            assert!(labels.contains(&row["label"].as_str().unwrap()), "{row}");
            assert_eq!(
                (&row["same_as"], row["answers"].as_u64()),
                (&serde_json::Value::Null, Some(answers)),
                "{row}"
            );
        }
        assert_eq!(world.rounds(campaign).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_without_tasks_is_told_and_the_round_waits_for_them() {
    let mut world = World::new(20, &[]).await;
    let mut files = clickbait();
    files.retain(|(name, _)| *name != "rows/headlines.csv");
    let training = files
        .iter()
        .position(|(name, _)| *name == "training/known.csv")
        .unwrap();
    let (_, training) = files.remove(training);
    // Four of them: fewer than the page of ten that exam.json asks for.
    let training: String = training.split_inclusive('\n').take(5).collect();
    for (name, text) in files {
        world.put(&format!("headlines/{name}"), text);
    }
    world.put(
        "headlines/rows/few.csv",
        "headline\nOne thing you never knew\nSenate passes a bill\n",
    );
    world
        .deliver(&[
            "headlines/project.json",
            "headlines/pool.json",
            "headlines/exam.json",
            "headlines/golden/known.csv",
            "headlines/rows/few.csv",
        ])
        .await;
    world.minutes(10).await;
    let told = world.problems("training_without_tasks");
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains("pool.json requires a training, but training/ has no tasks"),
        "{told:?}"
    );
    assert_eq!(world.rounds("headlines").await[0].pool, None);

    world
        .drop_file("headlines/training/known.csv", training)
        .await;
    let rounds = world.work("headlines").await;
    assert_eq!(rounds.len(), 1);
    let labels = world.labels("headlines", 1);
    assert_eq!(labels.len(), 2);
    assert!(
        labels.iter().all(|row| row["label"].is_string()),
        "{labels:?}"
    );
}
