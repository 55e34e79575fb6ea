//! Requests as a function URL delivers them, answered from a real ledger.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "in a test, a panic is a failure"
)]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use quorate_core::campaign;
use quorate_core::ids::{CampaignName, ImageId};
use quorate_core::link::{LinkSigner, VALIDITY};
use quorate_core::ports::{Ledger as _, PortError, PortResult};
use quorate_core::serve::Shown;
use quorate_core::state::{CampaignItem, Content, Image, Kind};
use quorate_core::time::Timestamp;
use quorate_local::ledger::SqliteLedger;
use quorate_serve_image::{Presign, handle};
use rust_decimal::Decimal;
use serde_json::{Value, json};

const REQUEST: &str = include_str!("../../../events/function-url-image.json");
const RESPONSE: &str = include_str!("../../../events/function-url-redirect.json");

const BASE: &str = "https://x4bqjktrmpsyo7ndi2wzvcufae0hglqb.lambda-url.eu-central-1.on.aws";
const KEY: &str = "cells/images/0001.jpg";
/// 2026-01-05T10:00:02Z: when the fixture's link was signed.
const SIGNED: Timestamp = Timestamp(1_767_607_202_000);
/// When the fixture's request came.
const NOW: Timestamp = Timestamp(1_767_609_000_000);

/// Answers as S3 would sign, and remembers what it was asked for.
#[derive(Default)]
struct Presigner {
    asked: Mutex<Vec<(String, String, Shown, Duration)>>,
    fails: bool,
}

impl Presign for Presigner {
    async fn presign(&self, image: &Image, shown: Shown, validity: Duration) -> PortResult<String> {
        let asked = (image.key.clone(), image.version.clone(), shown, validity);
        self.asked.lock().unwrap().push(asked);
        if self.fails {
            return Err(PortError::Unavailable(
                "no credentials: secret-detail".to_owned(),
            ));
        }
        Ok(json(RESPONSE)["headers"]["location"]
            .as_str()
            .unwrap()
            .to_owned())
    }
}

struct World {
    ledger: SqliteLedger,
    links: LinkSigner,
    presigner: Presigner,
    image: Image,
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn cells() -> CampaignName {
    "cells".parse().unwrap()
}

async fn world() -> World {
    let version = "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e";
    let keys = BTreeMap::from([("k1".to_owned(), vec![7; 32])]);
    let world = World {
        ledger: SqliteLedger::in_memory().unwrap(),
        links: LinkSigner::new(BASE, keys).unwrap(),
        presigner: Presigner::default(),
        image: Image {
            id: ImageId::of_object("quorate-uploads", KEY, version),
            campaign: cells(),
            key: KEY.to_owned(),
            version: version.to_owned(),
            row: None,
            kind: Kind::Golden,
            content: Content::Picture,
            known: Some("cat".to_owned()),
            sha256: "0".to_owned(),
            media_type: "image/jpeg".to_owned(),
            same_as: None,
        },
    };
    world.define(1, "").await;
    world.ledger.add_control(&world.image).await.unwrap();
    world
}

impl World {
    /// Saves the campaign with `more` in its file.
    async fn define(&self, revision: u64, more: &str) {
        let text = format!("{more}\n{}", campaign::TEMPLATE);
        let texts = [Some(text.as_str()), None, None, None];
        let item = CampaignItem {
            name: cells(),
            campaign: campaign::of_files(texts, Decimal::ZERO).unwrap(),
            revision,
            setups: BTreeMap::new(),
            lease: None,
            swept: None,
            round: 0,
            committed: Decimal::ZERO,
        };
        self.ledger.save_campaign(&item).await.unwrap();
    }

    /// The request for a link, made from the fixture.
    fn request(&self, link: &str) -> Value {
        let mut request = json(REQUEST);
        let link = link.strip_prefix(BASE).unwrap();
        let (path, query) = link.split_once('?').unwrap_or((link, ""));
        request["rawPath"] = path.into();
        request["requestContext"]["http"]["path"] = path.into();
        request["rawQueryString"] = query.into();
        request
    }

    fn link(&self, campaign: &CampaignName, image: ImageId, signed: Timestamp) -> String {
        self.links.link(campaign, image, KEY, signed.plus(VALIDITY))
    }

    /// Status, headers and body of the answer, through JSON.
    async fn ask(&self, request: &Value, now: Timestamp) -> Value {
        let answer = handle(&self.ledger, &self.links, &self.presigner, now, request).await;
        serde_json::to_value(answer).unwrap()
    }

    async fn status(&self, link: &str) -> Value {
        self.ask(&self.request(link), NOW).await["statusCode"].clone()
    }
}

#[tokio::test]
async fn the_fixtures_link_is_one_of_ours_and_its_image_is_shown_for_five_minutes() {
    let world = world().await;
    let link = world.link(&cells(), world.image.id, SIGNED);
    assert_eq!(world.request(&link), json(REQUEST));
    assert_eq!(world.ask(&json(REQUEST), NOW).await, json(RESPONSE));
    let shown = Shown {
        media_type: "image/jpeg",
        disposition: "inline; filename=\"image.jpg\"",
    };
    let (key, version) = (world.image.key.clone(), world.image.version.clone());
    let asked = world.presigner.asked.lock().unwrap();
    assert_eq!(*asked, [(key, version, shown, Duration::from_secs(300))]);
}

#[tokio::test]
async fn all_that_is_forged_gets_the_same_answer_and_costs_no_read() {
    let mut world = world().await;
    let link = world.link(&cells(), world.image.id, SIGNED);
    // A ledger that knows nothing cannot make a difference.
    world.ledger = SqliteLedger::in_memory().unwrap();
    let (path, query) = link.split_once('?').unwrap();
    let signature = query.split_once("signature=").unwrap().1;
    let other = ImageId::of_object("quorate-uploads", "other", "v").to_string();
    let mut answers = Vec::new();
    for bad in [
        path.to_owned(),
        format!("{path}?{}", query.replace("key=k1", "key=k2")),
        link.replace("expires=1", "expires=2"),
        link.replace("signature=", "signature=00"),
        link.replace(signature, &signature[..32]),
        link.replace(signature, ""),
        link.replace("/cells/", "/birds/"),
        link.replace(&world.image.id.to_string(), &other),
        link.replace("/0001.jpg", ""),
        format!("{BASE}/"),
        format!("{BASE}/images/..%2f..%2fsecret?{query}"),
    ] {
        answers.push(world.ask(&world.request(&bad), NOW).await);
    }
    let no_request = json!({"requestContext": {"http": {"method": "GET"}}, "rawPath": 7});
    answers.push(world.ask(&no_request, NOW).await);
    for answer in &answers {
        assert_eq!(answer["statusCode"], 403);
        assert_eq!(answer, &answers[0]);
    }
    assert!(world.presigner.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_link_ends_with_its_time_and_with_its_campaigns_word() {
    let world = world().await;
    let expired = world.ask(&json(REQUEST), SIGNED.plus(VALIDITY)).await;
    assert_eq!(expired["statusCode"], 410);
    // Half a minute after the fixture's link was signed.
    world.define(2, "links_since = 2026-01-05T10:00:32Z").await;
    assert_eq!(world.ask(&json(REQUEST), NOW).await, expired);
    let newer = world.link(
        &cells(),
        world.image.id,
        SIGNED.plus(Duration::from_secs(30)),
    );
    assert_eq!(world.status(&newer).await, 302);
}

#[tokio::test]
async fn a_link_opens_no_other_campaigns_image_and_no_row() {
    let world = world().await;
    let birds: CampaignName = "birds".parse().unwrap();
    let link = world.link(&birds, world.image.id, SIGNED);
    assert_eq!(world.status(&link).await, 404);
    let row = Image {
        id: ImageId::of_row("quorate-uploads", KEY, "v", 1),
        row: Some(1),
        sha256: "1".to_owned(),
        ..world.image.clone()
    };
    world.ledger.add_control(&row).await.unwrap();
    let link = world.link(&cells(), row.id, SIGNED);
    assert_eq!(world.status(&link).await, 404);
    assert!(world.presigner.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn only_reading_is_allowed_and_head_is_answered_like_get() {
    let world = world().await;
    let mut request = json(REQUEST);
    for (method, status) in [("HEAD", 302), ("POST", 405), ("DELETE", 405), ("get", 405)] {
        request["requestContext"]["http"]["method"] = method.into();
        let answer = world.ask(&request, NOW).await;
        assert_eq!(answer["statusCode"], status, "{method}");
    }
}

#[tokio::test]
async fn what_fails_inside_is_not_told_outside() {
    let mut world = world().await;
    world.presigner.fails = true;
    let answer = world.ask(&json(REQUEST), NOW).await;
    assert_eq!(answer["statusCode"], 503);
    assert!(!answer.to_string().contains("secret-detail"), "{answer}");
}
