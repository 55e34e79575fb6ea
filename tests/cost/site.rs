//! What a stack consists of, on an emulator, and the functions' worlds in it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use quorate_aws::bus::Bus;
use quorate_aws::config::Account;
use quorate_aws::connection::Connection;
use quorate_aws::ledger::DynamoLedger;
use quorate_aws::objects::{Bucket, Presentation};
use quorate_aws::world::{AwsWorld, Need};
use quorate_core::link::LinkSigner;
use quorate_core::ports::{Clock, PortResult, World};
use quorate_core::serve::Shown;
use quorate_core::state::Image;
use quorate_core::time::Timestamp;
use quorate_requester::Requester;
use quorate_serve_image::Presign;
use serde_json::json;

use crate::meter::{Counts, Meter};

const REGION: &str = "us-east-1";
/// To the emulator an access key of twelve digits is an account.
const ACCOUNT: &str = "100200300400";
const TABLE: &str = "quorate";
/// Buckets of all accounts share one space of names.
pub(crate) const UPLOADS: &str = "quorate-cost-uploads";
const RESULTS: &str = "quorate-cost-results";
const BUS: &str = "quorate";
const SECRETS: [&str; 2] = ["api-key", "link-keys"];

/// Table, buckets, bus and secrets in an account of their own.
pub(crate) struct Site {
    emulator: String,
    api_key: String,
    link_keys: String,
    /// Where the crowd platform is.
    crowd: String,
    /// Where links to images lead.
    pub(crate) links: String,
    clock: quorate_crowd::Clock,
}

impl Site {
    /// Makes everything that the template makes, as far as functions see it, in the place of what
    /// an earlier run left.
    ///
    /// Names are the same every time, and the buckets keep no versions, whose ids are random: so
    /// images have the same ids every time, and what depends on their order is the same.
    pub(crate) async fn make(
        emulator: String,
        crowd: String,
        links: String,
        clock: quorate_crowd::Clock,
    ) -> Result<Self> {
        let mut site = Self {
            emulator,
            api_key: String::new(),
            link_keys: String::new(),
            crowd,
            links,
            clock,
        };
        let aws = site.connection(&site.emulator)?;
        clear(&aws).await;
        make_table(&aws).await?;
        for bucket in [UPLOADS, RESULTS] {
            aws.s3().create_bucket().bucket(bucket).send().await?;
        }
        aws.eventbridge()
            .create_event_bus()
            .name(BUS)
            .send()
            .await?;
        let link_keys = json!({"k1": "a secret of thirty-two characters"}).to_string();
        for (name, secret, arn) in [
            (SECRETS[0], "any", &mut site.api_key),
            (SECRETS[1], &link_keys, &mut site.link_keys),
        ] {
            let made = aws.secretsmanager().create_secret();
            let made = made.name(name).secret_string(secret).send().await?;
            *arn = made.arn().context("a secret without an ARN")?.to_owned();
        }
        Ok(site)
    }

    fn connection(&self, endpoint: &str) -> Result<Connection> {
        let lookup = |variable: &str| self.variable(variable, endpoint, "");
        Connection::open(Account::from_environment(lookup)?).map_err(anyhow::Error::msg)
    }

    /// A client for the uploads that are not ours to count.
    pub(crate) fn s3(&self) -> Result<aws_sdk_s3::Client> {
        Ok(self.connection(&self.emulator)?.s3())
    }

    /// The world of a function, as it is after a start, and what counts its requests.
    pub(crate) async fn function(&self, needs: &[Need]) -> Result<Function> {
        let (aws, crowd) = (
            Meter::start(&self.emulator).await?,
            Meter::start(&self.crowd).await?,
        );
        let lookup = |variable: &str| self.variable(variable, &aws.url, &crowd.url);
        let world = TimedWorld {
            aws: AwsWorld::connect(lookup, needs).await?,
            clock: Arc::new(TimedClock(self.clock.clone())),
        };
        aws.take();
        Ok(Function { world, aws, crowd })
    }

    fn variable(&self, variable: &str, aws: &str, crowd: &str) -> Option<String> {
        let value = match variable {
            "AWS_ENDPOINT_URL" => aws,
            "AWS_REGION" => REGION,
            "AWS_ACCESS_KEY_ID" => ACCOUNT,
            // The emulator verifies presigned addresses with this one.
            "AWS_SECRET_ACCESS_KEY" => "test",
            "QUORATE_TABLE" => TABLE,
            "QUORATE_UPLOADS_BUCKET" => UPLOADS,
            "QUORATE_RESULTS_BUCKET" => RESULTS,
            "QUORATE_BUS" => BUS,
            "QUORATE_TOLOKA_URL" => crowd,
            "QUORATE_TOLOKA_FEE" => "0.2",
            "QUORATE_TOLOKA_SECRET" => &self.api_key,
            "QUORATE_LINKS_URL" => &self.links,
            "QUORATE_LINK_SECRET" => &self.link_keys,
            _ => return None,
        };
        Some(value.to_owned())
    }
}

/// Deletes what an earlier run left, if one did: then the deletions that fail have nothing to do.
async fn clear(aws: &Connection) {
    for bucket in [UPLOADS, RESULTS] {
        let mut pages = aws
            .s3()
            .list_objects_v2()
            .bucket(bucket)
            .into_paginator()
            .send();
        while let Some(Ok(page)) = pages.next().await {
            for key in page.contents().iter().filter_map(|object| object.key()) {
                drop(
                    aws.s3()
                        .delete_object()
                        .bucket(bucket)
                        .key(key)
                        .send()
                        .await,
                );
            }
        }
        drop(aws.s3().delete_bucket().bucket(bucket).send().await);
    }
    drop(aws.dynamodb().delete_table().table_name(TABLE).send().await);
    drop(aws.eventbridge().delete_event_bus().name(BUS).send().await);
    for name in SECRETS {
        let gone = aws.secretsmanager().delete_secret().secret_id(name);
        drop(gone.force_delete_without_recovery(true).send().await);
    }
}

async fn make_table(aws: &Connection) -> Result<()> {
    let attribute = |name, kind| {
        let attribute = AttributeDefinition::builder().attribute_name(name);
        attribute.attribute_type(kind).build()
    };
    let key = |name, kind| {
        let key = KeySchemaElement::builder().attribute_name(name);
        key.key_type(kind).build()
    };
    let index = GlobalSecondaryIndex::builder()
        .index_name("work")
        .key_schema(key("work", KeyType::Hash)?)
        .key_schema(key("due", KeyType::Range)?)
        .projection(
            Projection::builder()
                .projection_type(ProjectionType::KeysOnly)
                .build(),
        )
        .build()?;
    aws.dynamodb()
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("sk", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("work", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("due", ScalarAttributeType::N)?)
        .key_schema(key("pk", KeyType::Hash)?)
        .key_schema(key("sk", KeyType::Range)?)
        .global_secondary_indexes(index)
        .send()
        .await?;
    Ok(())
}

/// A function that has started.
pub(crate) struct Function {
    pub(crate) world: TimedWorld,
    aws: Meter,
    crowd: Meter,
}

impl Function {
    /// What it asked of AWS and of the crowd since it was asked for last.
    pub(crate) fn take(&self) -> (Counts, Counts) {
        (self.aws.take(), self.crowd.take())
    }
}

/// The world on AWS, on the platform's clock, so that hours pass at once.
#[derive(Clone)]
pub(crate) struct TimedWorld {
    pub(crate) aws: AwsWorld,
    clock: Arc<TimedClock>,
}

pub(crate) struct TimedClock(quorate_crowd::Clock);

impl Clock for TimedClock {
    fn now(&self) -> Timestamp {
        self.0.now().into()
    }
}

impl World for TimedWorld {
    type Ledger = DynamoLedger;
    type Crowd = Requester;
    type Objects = Bucket;
    type Clock = TimedClock;
    type Notify = Bus;

    fn ledger(&self) -> &DynamoLedger {
        self.aws.ledger()
    }
    fn crowd(&self) -> &Requester {
        self.aws.crowd()
    }
    fn uploads(&self) -> &Bucket {
        self.aws.uploads()
    }
    fn results(&self) -> &Bucket {
        self.aws.results()
    }
    fn clock(&self) -> &TimedClock {
        &self.clock
    }
    fn notify(&self) -> &Bus {
        self.aws.notify()
    }
    async fn links(&self) -> PortResult<LinkSigner> {
        self.aws.links().await
    }
    fn writer(&self) -> &str {
        self.aws.writer()
    }
}

/// As the function `serve-image` does it.
pub(crate) struct Uploads<'a>(pub(crate) &'a Bucket);

impl Presign for Uploads<'_> {
    async fn presign(&self, image: &Image, shown: Shown, validity: Duration) -> PortResult<String> {
        let presentation = Presentation {
            content_type: shown.media_type,
            disposition: shown.disposition,
            cache_control: "private",
        };
        let (key, version) = (&image.key, &image.version);
        self.0.presign(key, version, presentation, validity).await
    }
}
