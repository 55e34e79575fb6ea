//! What becomes of uploads: bad ones, odd names, events that come twice, content that changes.

use std::fs::{self, File};

use quorate_testkit::{chunk, png};
use serde_json::Value;

use crate::world::{CATS, World, blood_cell, get, row};

/// A PNG that says it is 30 000 pixels wide and high: it would unpack to gigabytes.
fn bomb() -> Vec<u8> {
    let side = 30_000_u32.to_be_bytes();
    let header = [&side[..], &side, &[8, 2, 0, 0, 0]].concat();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, b"IHDR", &header);
    chunk(&mut png, b"IDAT", &[0; 64]);
    chunk(&mut png, b"IEND", &[]);
    png
}

fn labelled(row: &Value) -> bool {
    row["label"].is_string() && row["reason"].is_null()
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_images_are_rejected_with_the_reason_and_good_ones_beside_them_are_labelled() {
    let mut world = World::new(10, &[]).await;
    let (_, jpeg) = blood_cell(0);
    world.put("cats/campaign.toml", CATS);
    world.put(
        "cats/images/text.jpg",
        "I am only called an image, and I am long enough",
    );
    world.put("cats/images/cut.jpg", &jpeg[..jpeg.len() / 2]);
    world.put("cats/images/empty.jpg", "");
    world.put("cats/images/huge.jpg", "");
    let huge = File::options()
        .write(true)
        .open(world.upload_path("cats/images/huge.jpg"));
    huge.unwrap().set_len(60_000_000).unwrap();
    world.put("cats/images/bomb.png", bomb());
    world.put("cats/images/jpeg.png", &jpeg);
    world.put("cats/images/1.png", png(1));
    world.put("cats/images/2.png", png(2));
    let names = [
        "text.jpg",
        "cut.jpg",
        "1.png",
        "empty.jpg",
        "huge.jpg",
        "bomb.png",
        "jpeg.png",
        "2.png",
    ];
    let mut keys = vec!["cats/campaign.toml".to_owned()];
    keys.extend(names.map(|name| format!("cats/images/{name}")));
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    world.deliver(&keys).await;
    world.work("cats").await;

    let reasons = [
        (
            "bomb.png",
            "it has 30000 x 30000 pixels; at most 20000 a side and 100 million in all are taken",
        ),
        (
            "cut.jpg",
            "it is cut off: the end of the image/jpeg data is missing",
        ),
        ("empty.jpg", "it is empty (0 bytes)"),
        (
            "huge.jpg",
            "it has 60 MB; at most 50 MB are taken ([images] max_megabytes)",
        ),
        ("text.jpg", "it is not an image"),
    ];
    let expected = reasons.map(|(name, reason)| (format!("cats/images/{name}"), reason.to_owned()));
    assert_eq!(world.rejected("cats"), expected);
    let mut told = world.problems("upload_rejected");
    told.sort();
    assert_eq!(told.len(), expected.len());
    for ((key, reason), told) in expected.iter().zip(told) {
        assert!(
            told.starts_with(&format!("{key}: {reason} (see cats/rejected/")),
            "{told}"
        );
    }
    assert_eq!(
        world.problems("upload_misnamed"),
        ["cats/images/jpeg.png is image/jpeg whatever its name says; it is taken as that"]
    );
    let labels = world.labels("cats", 1);
    let images: Vec<&Value> = labels.iter().map(|row| &row["image"]).collect();
    assert_eq!(
        images,
        [
            "cats/images/1.png",
            "cats/images/2.png",
            "cats/images/jpeg.png"
        ]
    );
    assert!(labels.iter().all(labelled), "{labels:?}");
    // What is too big was never read whole, so it was not kept either.
    for kept in fs::read_dir(world.state_path("versions")).unwrap() {
        assert!(kept.unwrap().metadata().unwrap().len() < 1_000_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_any_kind_become_tasks_whose_images_open() {
    let mut world = World::new(10, &[]).await;
    world.drop_file("cats/campaign.toml", CATS).await;
    let names = [
        "größe/naïve 猫🐈.png",
        "a b.png",
        "a+b.png",
        "a%2Bb.png",
        "50%.png",
        "%.png",
        "line\nbreak.png",
        "?x=1&y#z.png",
        "\"quoted\"\\.png",
        " .png",
        "%2e%2e%2fsecret.png",
    ];
    let keys = names.map(|name| format!("cats/images/{name}"));
    for (key, number) in keys.iter().zip(1..) {
        world.put(key, png(number));
    }
    world.deliver(&keys.each_ref().map(String::as_str)).await;
    world.work("cats").await;

    let labels = world.labels("cats", 1);
    assert_eq!(labels.len(), keys.len());
    for key in &keys {
        assert!(labelled(row(&labels, key)), "{key:?}");
    }
    assert_eq!(world.rejected("cats"), []);
    let stats = world.day.stats();
    assert!(stats.answers >= 3 * names.len() as u64);
    assert!(
        stats.image_failures.is_empty(),
        "{:?}",
        stats.image_failures
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_again_and_again_is_one_task_one_label_and_paid_once() {
    let mut world = World::new(10, &[]).await;
    let key = "cats/images/1.png";
    world.drop_file("cats/campaign.toml", CATS).await;
    world.put(key, png(1));
    world.deliver(&[key, key]).await;
    world.deliver(&[key]).await;
    world.minutes(2).await;
    world.deliver(&[key]).await;
    let pool = world.pool("cats").await;
    assert_eq!(world.tasks(&pool).await.len(), 1);
    world.work("cats").await;
    world.deliver(&[key, "cats/campaign.toml"]).await;
    let rounds = world.work("cats").await;

    assert_eq!(rounds.len(), 1);
    let labels = world.labels("cats", 1);
    assert_eq!(labels.len(), 1);
    assert!(labelled(&labels[0]));
    assert_eq!(labels[0]["answers"], 3);
    // One page for each of three people.
    assert_eq!(world.manifest("cats", 1).cost.to_string(), "0.15");
    assert_eq!(world.rejected("cats"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_under_two_keys_are_paid_once_and_get_the_same_label() {
    let mut world = World::new(10, &[]).await;
    world.drop_file("cats/campaign.toml", CATS).await;
    world.put("cats/images/a.png", png(1));
    world.put("cats/images/b.png", png(1));
    world.put("cats/images/c.png", png(2));
    world
        .deliver(&[
            "cats/images/a.png",
            "cats/images/b.png",
            "cats/images/c.png",
        ])
        .await;
    world.minutes(1).await;
    let pool = world.pool("cats").await;
    assert_eq!(world.tasks(&pool).await.len(), 2);
    world.work("cats").await;

    let first = world.labels("cats", 1);
    let (a, b) = (
        row(&first, "cats/images/a.png"),
        row(&first, "cats/images/b.png"),
    );
    assert!(labelled(a));
    assert_eq!(
        (&b["label"], &b["confidence"], &b["votes"]),
        (&a["label"], &a["confidence"], &a["votes"])
    );
    assert_eq!(
        (&a["same_as"], &b["same_as"]),
        (&Value::Null, &a["image_id"])
    );
    assert!(a["cost"].as_f64() > Some(0.0));
    assert_eq!(b["cost"].as_f64(), Some(0.0));
    assert!(labelled(row(&first, "cats/images/c.png")));

    // Days later: nobody is asked again.
    let answers = world.day.stats().answers;
    world.drop_file("cats/images/later/d.png", png(1)).await;
    let rounds = world.work("cats").await;
    assert_eq!((rounds.len(), &rounds[1].pool), (2, &None));
    let second = world.labels("cats", 2);
    let d = row(&second, "cats/images/later/d.png");
    assert_eq!((&d["label"], &d["same_as"]), (&a["label"], &a["image_id"]));
    assert_eq!(world.manifest("cats", 2).cost.to_string(), "0");
    assert_eq!(world.day.stats().answers, answers);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_dedupe_every_upload_is_a_task() {
    let mut world = World::new(10, &[]).await;
    world
        .drop_file("cats/campaign.toml", format!("dedupe = \"none\"\n{CATS}"))
        .await;
    world.put("cats/images/a.png", png(1));
    world.put("cats/images/b.png", png(1));
    world
        .deliver(&["cats/images/a.png", "cats/images/b.png"])
        .await;
    world.minutes(1).await;
    let pool = world.pool("cats").await;
    assert_eq!(world.tasks(&pool).await.len(), 2);
    world.work("cats").await;
    let labels = world.labels("cats", 1);
    assert_eq!(labels.len(), 2);
    for row in &labels {
        assert!(
            labelled(row) && row["same_as"].is_null() && row["answers"] == 3,
            "{row}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overwritten_key_gives_a_label_for_each_version_and_workers_see_the_right_one() {
    let mut world = World::new(10, &[]).await;
    world.drop_file("cats/campaign.toml", CATS).await;
    world.put("cats/images/other.png", png(9));
    world.put("cats/images/a.png", png(1));
    world
        .deliver(&["cats/images/a.png", "cats/images/other.png"])
        .await;
    world.minutes(1).await;
    world.drop_file("cats/images/a.png", png(2)).await;
    world.minutes(1).await;

    let pool = world.pool("cats").await;
    let mut shown = Vec::new();
    for task in world.tasks(&pool).await {
        shown.push(get(task["input_values"]["image"].as_str().unwrap()).await);
    }
    shown.sort();
    assert_eq!(shown, [(200, png(1)), (200, png(2)), (200, png(9))]);
    world.work("cats").await;

    let labels = world.labels("cats", 1);
    let versions: Vec<&Value> = labels
        .iter()
        .filter(|row| row["image"] == "cats/images/a.png")
        .collect();
    assert_eq!(versions.len(), 2);
    assert!(versions.iter().all(|row| labelled(row)));
    assert_ne!(versions[0]["version"], versions[1]["version"]);
    let told = world.problems("upload_overwritten");
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("cats/images/a.png was uploaded 2 times with other content in round 1"),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_upload_is_rejected_before_it_is_read_and_labelled_after() {
    let mut world = World::new(10, &[]).await;
    world.drop_file("cats/campaign.toml", CATS).await;
    for (name, number) in [("gone", 1), ("stays", 2), ("later", 3)] {
        world.put(&format!("cats/images/{name}.png"), png(number));
    }
    fs::remove_file(world.upload_path("cats/images/gone.png")).unwrap();
    world
        .deliver(&[
            "cats/images/gone.png",
            "cats/images/stays.png",
            "cats/images/later.png",
        ])
        .await;
    fs::remove_file(world.upload_path("cats/images/later.png")).unwrap();
    world.work("cats").await;

    let reason = "it was deleted before it could be read";
    assert_eq!(
        world.rejected("cats"),
        [("cats/images/gone.png".to_owned(), reason.to_owned())]
    );
    let told = world.problems("upload_rejected");
    assert_eq!(told.len(), 1);
    assert!(told[0].contains(reason), "{told:?}");
    let labels = world.labels("cats", 1);
    assert_eq!(labels.len(), 2);
    assert!(labelled(row(&labels, "cats/images/stays.png")));
    assert!(labelled(row(&labels, "cats/images/later.png")));
    assert!(world.day.stats().image_failures.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_come_before_their_campaign_are_taken_in_when_it_comes() {
    let mut world = World::new(10, &[]).await;
    world.put("cats/images/1.png", png(1));
    world.put("cats/images/sub/2.png", png(2));
    world
        .deliver(&["cats/images/1.png", "cats/images/sub/2.png"])
        .await;
    let told = world.problems("campaign_invalid");
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains("no campaign yet: upload cats/campaign.toml"),
        "{told:?}"
    );
    assert_eq!(world.rejected("cats"), []);

    world.drop_file("cats/campaign.toml", CATS).await;
    world.work("cats").await;
    let labels = world.labels("cats", 1);
    assert_eq!(labels.len(), 2);
    assert!(labels.iter().all(labelled));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaked_control_image_and_a_folder_that_is_no_label_are_reported_and_not_used() {
    let mut world = World::new(10, &[("1.png", "CAT"), ("2.png", "DOG")]).await;
    world.put("cats/campaign.toml", CATS);
    world.put("cats/golden/CAT/known.png", png(100));
    world.put("cats/training/CAT/leak.png", png(100));
    world.put("cats/training/DOG/3.png", png(101));
    world.put("cats/golden/CTA/4.png", png(102));
    world.put("cats/images/1.png", png(1));
    world.put("cats/images/2.png", png(2));
    world
        .deliver(&[
            "cats/campaign.toml",
            "cats/golden/CAT/known.png",
            "cats/training/CAT/leak.png",
            "cats/training/DOG/3.png",
            "cats/golden/CTA/4.png",
            "cats/images/1.png",
            "cats/images/2.png",
        ])
        .await;
    world.work("cats").await;

    let label = "\"CTA\" is not a label of this campaign; did you mean \"CAT\"?";
    let leak = "it leaks: it has the same content as cats/golden/CAT/known.png; a worker would meet it in both places";
    let expected = [
        ("cats/golden/CTA/4.png", label),
        ("cats/training/CAT/leak.png", leak),
    ];
    assert_eq!(
        world.rejected("cats"),
        expected.map(|(key, reason)| (key.to_owned(), reason.to_owned()))
    );
    assert_eq!(world.problems("upload_rejected").len(), 2);
    let rounds = world.rounds("cats").await;
    let pool = rounds[0].pool.as_ref().unwrap();
    assert_eq!(rounds[0].counts.golden_tasks, 1);
    let training = pool.training.as_ref().unwrap();
    let tasks = world
        .requester(reqwest::Method::GET, &format!("tasks?pool_id={training}"))
        .await;
    assert_eq!(tasks["items"].as_array().unwrap().len(), 1);
    let labels = world.labels("cats", 1);
    assert_eq!(labels.len(), 2);
    assert!(labels.iter().all(labelled));
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_belong_nowhere_are_rejected_and_say_where_they_should_go() {
    let mut world = World::new(10, &[]).await;
    world.drop_file("cats/campaign.toml", CATS).await;
    let keys = [
        "lonely.png",
        "Cats/images/1.png",
        "cats/1.png",
        "cats/golden/1.png",
        "cats/images/.DS_Store",
        "cats/images/1.png",
    ];
    for key in keys {
        world.put(key, png(1));
    }
    world.deliver(&keys).await;
    world.work("cats").await;

    let starts = |records: Vec<(String, String)>, expected: &[(&str, &str)]| {
        assert_eq!(records.len(), expected.len(), "{records:?}");
        for ((key, reason), (of, start)) in records.iter().zip(expected) {
            assert!(key == of && reason.starts_with(start), "{key}: {reason}");
        }
    };
    let nowhere = [
        ("Cats/images/1.png", "\"Cats\" cannot name a campaign"),
        (
            "lonely.png",
            "it is in no campaign's folder: upload it to <campaign>/images/",
        ),
    ];
    starts(world.rejected("_unsorted"), &nowhere);
    let misplaced = [
        (
            "cats/1.png",
            "it is in no folder that means something: uploads go to images/",
        ),
        (
            "cats/golden/1.png",
            "its label is missing: upload it to golden/<LABEL>/",
        ),
    ];
    starts(world.rejected("cats"), &misplaced);
    assert_eq!(world.problems("upload_rejected").len(), 4);
    let labels = world.labels("cats", 1);
    assert_eq!(labels.len(), 1);
    assert!(labelled(row(&labels, "cats/images/1.png")));
}
