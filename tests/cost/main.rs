//! What images cost on AWS: the requests of the real functions, counted on an emulator, times prices.
//!
//! One campaign goes from its upload to its results, with a real crowd platform and simulated
//! workers. Every request to AWS and to the platform passes a [meter]; what only AWS itself does
//! (queues, invocations) is computed. `infra/COST.md` holds the outcome; this test fails when the
//! two differ, and writes the document anew with `UPDATE=1`.

#![expect(
    clippy::indexing_slicing,
    clippy::large_futures,
    reason = "in a test, a panic is a failure, and one stack holds the future of all of it"
)]

mod document;
mod meter;
mod prices;
mod site;
mod units;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_lambda_events::event::sqs::SqsEvent;
use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use quorate_aws::world::Need;
use quorate_core::ids::RoundId;
use quorate_core::ports::{Clock as _, Crowd as _, Ledger as _, World as _};
use quorate_core::state::{Round, RoundState};
use quorate_crowd::simulate::{self, Simulation, Truth};
use quorate_crowd::{Clock, Config, Platform};
use quorate_testkit::png;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::OnceCell;

use crate::meter::Counts;
use crate::site::{Function, Site, UPLOADS, Uploads};

/// Images of the round: ten full batches, and one that is not.
pub(crate) const IMAGES: usize = 1000;
/// How many people judge each.
pub(crate) const OVERLAP: u64 = 3;
/// Uploads in one invocation of `create-tasks`: the template's `BatchSize`.
const UPLOADS_AT_ONCE: usize = 950;
const MORNING: &str = "2026-01-05T09:00:00Z";
const MINUTE: Duration = Duration::from_secs(60);
const WORKERS: usize = 20;

const CAMPAIGN: &str = r#"
question = "Cat or dog?"
labels = ["CAT", "DOG"]
overlap = 3
images_per_page = 10
reward_per_page = 0.05
budget = 1000
[quality]
min_seconds_per_page = 0
"#;

/// Requests of a function in one part of its work.
pub(crate) struct Part {
    /// The function.
    pub(crate) function: &'static str,
    /// What it does in them.
    pub(crate) doing: &'static str,
    /// How often it was invoked for that.
    pub(crate) invocations: u64,
    /// Requests to AWS.
    pub(crate) aws: Counts,
    /// Requests to the crowd platform.
    pub(crate) crowd: Counts,
}

/// What was counted.
pub(crate) struct Counted {
    /// From uploads to results, once for each round.
    pub(crate) round: Vec<Part>,
    /// Each image, opened once by a worker.
    pub(crate) views: Part,
    /// One invocation that finds nothing to do while the crowd works.
    pub(crate) ticks: Vec<Part>,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an emulator: ./test starts one"]
async fn the_cost_is_what_the_document_says() -> Result<()> {
    let emulator = std::env::var("QUORATE_TEST_AWS")
        .context("QUORATE_TEST_AWS: the address of an emulator")?;
    let counted = Stage::open(emulator).await?.play().await?;
    let table = document::of(&counted);
    println!("{table}");
    ensure!(document::is_cheap(&counted), "too many requests (above)");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/COST.md");
    let document = std::fs::read_to_string(&path)?;
    let anew = document::replace(&document, &table)?;
    if std::env::var("UPDATE").is_ok_and(|update| update == "1") {
        std::fs::write(&path, anew)?;
        return Ok(());
    }
    ensure!(
        document == anew,
        "infra/COST.md is not what is counted (above); if that is meant, write it anew as it says"
    );
    Ok(())
}

/// The platform, the functions, and the time that all of them have.
struct Stage {
    site: Site,
    clock: Clock,
    platform: Platform,
    simulation: Simulation,
    create_tasks: Function,
    check_pools: Function,
    reconcile: Function,
    aggregate_pool: Function,
    serve_image: &'static Function,
    /// Its requests are nobody's.
    onlooker: Function,
}

/// The function that links lead to, once it has started.
static SERVE_IMAGE: OnceCell<Function> = OnceCell::const_new();

impl Stage {
    async fn open(emulator: String) -> Result<Self> {
        let clock = Clock::manual(MORNING.parse()?);
        let platform = Platform::open(Config {
            clock: clock.clone(),
            password_rounds: 1,
            ..Config::default()
        })?;
        let crowd = serve(platform.router()).await?;
        let links = serve(Router::new().fallback(show)).await?;
        let mut simulation = Simulation::new(simulate::Config {
            base_url: crowd.clone(),
            invite: platform.invite().to_owned(),
            seed: 1,
            workers: WORKERS,
            truth: Truth::new(),
            clock: clock.clone(),
        })?;
        simulation.start().await?;
        let site = Site::make(emulator, crowd, links, clock.clone()).await?;
        Ok(Self {
            create_tasks: site.function(&[Need::Uploads]).await?,
            check_pools: site.function(&[Need::Crowd, Need::Links]).await?,
            reconcile: site
                .function(&[Need::Uploads, Need::Results, Need::Crowd, Need::Links])
                .await?,
            aggregate_pool: site.function(&[Need::Results, Need::Crowd]).await?,
            serve_image: {
                let serve_image = site.function(&[Need::Links]).await?;
                SERVE_IMAGE.get_or_init(async || serve_image).await
            },
            onlooker: site.function(&[Need::Crowd]).await?,
            site,
            clock,
            platform,
            simulation,
        })
    }

    /// From the campaign's upload to the results.
    async fn play(&mut self) -> Result<Counted> {
        let mut round = vec![self.take_uploads().await?, self.open_pool().await?];
        let ticks = vec![self.tick_check_pools().await?, self.tick_reconcile().await?];
        let views = self.work().await?;
        round.push(self.close_round().await?);
        round.push(self.aggregate().await?);
        Ok(Counted {
            round,
            views,
            ticks,
        })
    }

    /// Uploads the campaign, then its images, and delivers the events.
    async fn take_uploads(&self) -> Result<Part> {
        let definition = self.upload("cells/campaign.toml", CAMPAIGN.into()).await?;
        self.deliver(&[definition]).await?;
        let mut images = Vec::new();
        for number in 0..IMAGES {
            let key = format!("cells/images/{number:04}.png");
            images.push(self.upload(&key, png(u32::try_from(number)?)).await?);
        }
        let mut invocations = 1;
        for some in images.chunks(UPLOADS_AT_ONCE) {
            self.deliver(some).await?;
            invocations += 1;
        }
        let doing = "takes the uploads in";
        Ok(part("create-tasks", doing, invocations, &self.create_tasks))
    }

    async fn deliver(&self, bodies: &[Value]) -> Result<()> {
        let world = &self.create_tasks.world;
        let answer = quorate_create_tasks::handle(world, sqs_event(bodies)?).await;
        let failed = answer.batch_item_failures.len();
        ensure!(failed == 0, "{failed} uploads came back");
        Ok(())
    }

    /// Puts an object into the uploads bucket; the event that tells of it.
    async fn upload(&self, key: &str, body: Vec<u8>) -> Result<Value> {
        let put = self.site.s3()?.put_object().bucket(UPLOADS).key(key);
        let put = put.body(body.clone().into()).send().await?;
        let mut event: Value =
            serde_json::from_str(include_str!("../../events/s3-object-created.json"))?;
        event["detail"]["bucket"]["name"] = json!(UPLOADS);
        event["detail"]["object"] = json!({
            "key": key,
            "size": body.len(),
            "etag": put.e_tag().unwrap_or_default().trim_matches('"'),
        });
        Ok(event)
    }

    /// Ticks until the round's pool has all its tasks and is open.
    async fn open_pool(&self) -> Result<Part> {
        let mut invocations = 0;
        loop {
            self.clock.advance(MINUTE);
            self.check_pools().await?;
            invocations += 1;
            let round = self.round().await?;
            let has_all = round.counts.tasks == IMAGES as u64;
            if has_all && self.pool_is_open(&round).await? {
                break;
            }
            ensure!(invocations < 20, "the images do not become tasks");
        }
        let doing = "makes the pool, sends the batches, opens the pool";
        Ok(part("check-pools", doing, invocations, &self.check_pools))
    }

    /// One tick while the crowd works.
    async fn tick_check_pools(&self) -> Result<Part> {
        self.check_pools().await?;
        let doing = "looks at a round that is worked on";
        Ok(part("check-pools", doing, 1, &self.check_pools))
    }

    async fn tick_reconcile(&self) -> Result<Part> {
        quorate_reconcile::handle(&self.reconcile.world, tick()?).await?;
        let doing = "looks for what was left half done";
        Ok(part("reconcile", doing, 1, &self.reconcile))
    }

    /// Lets the workers work until the pool closes by itself.
    async fn work(&mut self) -> Result<Part> {
        let round = self.round().await?;
        for _ in 0..24 {
            self.pass(60 * MINUTE).await?;
            let stats = self.simulation.stats();
            ensure!(
                stats.image_failures.is_empty(),
                "images do not open: {stats:?}"
            );
            if !self.pool_is_open(&round).await? {
                break;
            }
        }
        ensure!(
            !self.pool_is_open(&round).await?,
            "the crowd does not finish: {:?}",
            self.simulation.stats()
        );
        let doing = "shows every image once";
        Ok(part("serve-image", doing, IMAGES as u64, self.serve_image))
    }

    async fn pass(&mut self, time: Duration) -> Result<()> {
        let until = self.clock.now() + time;
        while let Some(next) = self.simulation.next_event().filter(|next| *next <= until) {
            self.clock.wait_until(next).await;
            self.simulation.step().await?;
        }
        self.clock.wait_until(until).await;
        self.platform.tick()?;
        Ok(())
    }

    /// Ticks until the round is closed.
    async fn close_round(&self) -> Result<Part> {
        let mut invocations = 0;
        while self.round().await?.state != RoundState::Closed {
            ensure!(invocations < 20, "the round does not close");
            self.clock.advance(MINUTE);
            self.check_pools().await?;
            invocations += 1;
        }
        let doing = "seals and closes the round";
        Ok(part("check-pools", doing, invocations, &self.check_pools))
    }

    async fn aggregate(&self) -> Result<Part> {
        let closed = serde_json::from_str(include_str!("../../events/pool-closed.json"))?;
        let world = &self.aggregate_pool.world;
        let answer = quorate_aggregate_pool::handle(world, sqs_event(&[closed])?).await;
        ensure!(answer.batch_item_failures.is_empty(), "no results");
        ensure!(
            self.round().await?.state == RoundState::Aggregated,
            "no results"
        );
        let doing = "reads the answers, writes the results";
        Ok(part("aggregate-pool", doing, 1, &self.aggregate_pool))
    }

    async fn check_pools(&self) -> Result<()> {
        Ok(quorate_check_pools::handle(&self.check_pools.world, tick()?).await?)
    }

    /// The round as it is.
    async fn round(&self) -> Result<Round> {
        let id: RoundId = "cells/1".parse().map_err(anyhow::Error::msg)?;
        let round = self.onlooker.world.ledger().round(&id).await?;
        round.context("no round")
    }

    async fn pool_is_open(&self, round: &Round) -> Result<bool> {
        let pool = round.pool.as_ref().context("no pool")?;
        Ok(self.onlooker.world.crowd().pool(&pool.id).await?.open)
    }
}

/// What a function asked for since its last part.
fn part(function: &'static str, doing: &'static str, invocations: u64, counted: &Function) -> Part {
    let (aws, crowd) = counted.take();
    Part {
        function,
        doing,
        invocations,
        aws,
        crowd,
    }
}

/// Serves until the process ends; the address.
async fn serve(router: Router) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, router).await });
    Ok(url)
}

/// The function URL of `serve-image`.
async fn show(uri: Uri) -> Response {
    let Some(function) = SERVE_IMAGE.get() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let world = &function.world;
    let Ok(links) = world.links().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let event = json!({
        "requestContext": {"http": {"method": "GET"}},
        "rawPath": uri.path(),
        "rawQueryString": uri.query().unwrap_or_default(),
    });
    let uploads = Uploads(world.uploads());
    let now = world.clock().now();
    let answer = quorate_serve_image::handle(world.ledger(), &links, &uploads, now, &event).await;
    let status = u16::try_from(answer.status_code).unwrap_or(500);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, answer.headers, answer.body.unwrap_or_default()).into_response()
}

/// A batch of messages with these bodies.
fn sqs_event(bodies: &[Value]) -> Result<SqsEvent> {
    let record = |(at, body): (usize, &Value)| json!({"messageId": at.to_string(), "body": body.to_string(), "eventSource": "aws:sqs"});
    let records: Vec<Value> = bodies.iter().enumerate().map(record).collect();
    Ok(serde_json::from_value(json!({"Records": records}))?)
}

/// The scheduler's event.
fn tick() -> Result<Value> {
    Ok(serde_json::from_str(include_str!(
        "../../events/scheduler-tick.json"
    ))?)
}
