//! How fast a pile of images becomes tasks: `cargo bench -p quorate-tests --bench ingest`.
//!
//! 20 000 small images are dropped at once into the folder of a stack. Measured are their admission
//! (read, checked, written to the ledger), and how long it takes until all are tasks at the crowd;
//! beside that the way of a script, one `POST /tasks` for each image to the same platform. If
//! `quorate` is built (`cargo build --release`), the same pile is given to a real `quorate up`, and
//! its peak memory is told (Linux).

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use quorate_core::ids::{CampaignName, RoundId};
use quorate_core::ports::{Ledger as _, World as _};
use quorate_core::state::Round;
use quorate_crowd::Clock;
use quorate_local::ledger::SqliteLedger;
use quorate_local::runner::{self, UPLOADS_AT_ONCE};
use quorate_local::stack::{Config, Stack};
use quorate_testkit::png;
use rust_decimal::Decimal;
use serde_json::Value;

const IMAGES: usize = 20_000;
/// Requests of the script that are measured.
const BY_HAND: usize = 1000;
/// The crowd works on nothing here, so the platform's time is free.
const MORNING: &str = "2026-01-05T09:00:00Z";
/// Longer than uploads must pause before a round gets its pool.
const PAUSE: Duration = Duration::from_secs(15);

const CAMPAIGN: &str = r#"
question = "Cat or dog?"
labels = ["CAT", "DOG"]
overlap = 3
images_per_page = 10
reward_per_page = 0.05
budget = 100000
"#;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clock = Clock::manual(MORNING.parse()?);
    let (stack, _bus) = Stack::open(Config {
        data: folder.path().to_owned(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        clock: clock.clone(),
        seed: 1,
        fee: Decimal::ZERO,
    })
    .await?;
    define(folder.path())?;
    runner::deliver_uploads(&stack, &["pile/campaign.toml".to_owned()]).await?;
    drop_pile(folder.path())?;
    let began = Instant::now();
    admit(&stack).await?;
    let admitted = began.elapsed();
    tell("admission", IMAGES, admitted);

    clock.advance(PAUSE);
    let began = Instant::now();
    let round = dispatch(&stack, &clock).await?;
    let dispatched = began.elapsed();
    tell("tasks at the crowd", IMAGES, dispatched);
    tell("both", IMAGES, admitted + dispatched);

    let by_hand = by_hand(&stack, &round).await?;
    tell("by hand", BY_HAND, by_hand);
    let share = f64::from(u32::try_from(IMAGES / BY_HAND)?);
    println!(
        "{:24} {:9.1} times as fast, checks and ledger included",
        "against by hand",
        by_hand.as_secs_f64() * share / (admitted + dispatched).as_secs_f64()
    );
    if let Some(memory) = peak_memory(std::process::id()) {
        println!("{:24} {memory:9} MB", "peak memory");
    }
    match quorate()? {
        Some(binary) => real_process(&binary).await,
        None => {
            println!("quorate is not built: its own memory is not measured");
            Ok(())
        }
    }
}

fn tell(what: &str, images: usize, took: Duration) {
    let images = f64::from(u32::try_from(images).unwrap_or(u32::MAX));
    let seconds = took.as_secs_f64();
    println!(
        "{what:24} {:9.0} images/s {seconds:9.2} s",
        images / seconds
    );
}

/// Puts the campaign into a stack's uploads folder.
fn define(data: &Path) -> Result<()> {
    fs::create_dir_all(data.join("uploads/pile"))?;
    Ok(fs::write(
        data.join("uploads/pile/campaign.toml"),
        CAMPAIGN,
    )?)
}

/// Puts the images into a stack's uploads folder.
fn drop_pile(data: &Path) -> Result<()> {
    let images = data.join("uploads/pile/images");
    fs::create_dir_all(&images)?;
    for number in 0..u32::try_from(IMAGES)? {
        fs::write(images.join(format!("{number:05}.png")), png(number))?;
    }
    Ok(())
}

/// Delivers every image as `quorate up` does.
async fn admit(stack: &Stack) -> Result<()> {
    let keys: Vec<String> = (0..IMAGES)
        .map(|number| format!("pile/images/{number:05}.png"))
        .collect();
    for keys in keys.chunks(UPLOADS_AT_ONCE) {
        let failed = runner::deliver_uploads(stack, keys).await?;
        ensure!(failed.is_empty(), "{failed:?} came back");
    }
    Ok(())
}

/// Ticks until every image is a task.
async fn dispatch(stack: &Stack, clock: &Clock) -> Result<Round> {
    for _ in 0..1000 {
        runner::tick(stack).await;
        let round = round(stack.ledger()).await?;
        if tasks(&round) == IMAGES {
            return Ok(round);
        }
        clock.advance(Duration::from_secs(60));
    }
    anyhow::bail!("the images do not become tasks")
}

async fn round(ledger: &SqliteLedger) -> Result<Round> {
    let campaign: CampaignName = "pile".parse()?;
    let id = RoundId {
        campaign,
        number: 1,
    };
    ledger.round(&id).await?.context("there is no round")
}

fn tasks(round: &Round) -> usize {
    usize::try_from(round.counts.tasks).unwrap_or(usize::MAX)
}

/// One synchronous request for each task, one after the other on one connection.
async fn by_hand(stack: &Stack, round: &Round) -> Result<Duration> {
    let secrets: Value =
        serde_json::from_slice(&fs::read(stack.data().join("state/secrets.json"))?)?;
    let key = secrets
        .get("requester_key")
        .and_then(Value::as_str)
        .context("no requester key")?;
    let pool = &round.pool.as_ref().context("no pool")?.id;
    let url = format!("{}/api/v1/tasks", stack.base_url());
    let client = quorate_toloka::http_builder().build()?;
    let authorization = format!("ApiKey {key}");
    let began = Instant::now();
    for number in 0..BY_HAND {
        let task = serde_json::json!({
            "pool_id": pool,
            "overlap": 3,
            "input_values": {
                "image": format!("http://127.0.0.1/{number}.png"),
                "image_id": format!("{number}"),
            },
        });
        let reply = client
            .post(&url)
            .header("Authorization", &authorization)
            .json(&task)
            .send()
            .await?;
        ensure!(reply.status().is_success(), "{}", reply.text().await?);
        reply.bytes().await?;
    }
    Ok(began.elapsed())
}

/// The command beside this benchmark, if it is built.
fn quorate() -> Result<Option<PathBuf>> {
    let me = std::env::current_exe()?;
    let built = me
        .parent()
        .and_then(Path::parent)
        .map(|folder| folder.join("quorate"));
    Ok(built.filter(|file| file.exists()))
}

/// A started `quorate up`; killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Drops the pile into the folder of a running `quorate up`, on real time.
async fn real_process(binary: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path();
    let process = Running(
        Command::new(binary)
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?,
    );
    let began = Instant::now();
    define(data)?;
    drop_pile(data)?;
    let mut admitted = None;
    loop {
        ensure!(
            began.elapsed() < Duration::from_secs(600),
            "quorate up is stuck"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
        let Ok(ledger) = SqliteLedger::open(&data.join("state/ledger.sqlite")) else {
            continue;
        };
        let Ok(round) = round(&ledger).await else {
            continue;
        };
        if usize::try_from(round.counts.images)? == IMAGES {
            admitted.get_or_insert_with(|| began.elapsed());
        }
        if tasks(&round) == IMAGES {
            break;
        }
    }
    tell(
        "quorate up: admission",
        IMAGES,
        admitted.unwrap_or_default(),
    );
    tell("quorate up: tasks", IMAGES, began.elapsed());
    if let Some(memory) = peak_memory(process.0.id()) {
        println!("{:24} {memory:9} MB", "quorate up: peak memory");
    }
    Ok(())
}

/// The most memory that a process had, in megabytes; Linux tells.
fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024)
}
