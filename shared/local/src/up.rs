//! `quorate up`: the local stack until somebody stops it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args as ClapArgs;
use quorate_core::event::Event;
use quorate_core::ports::{Clock as _, Ledger as _, World as _};
use quorate_crowd::Clock;
use rust_decimal::Decimal;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};

use crate::commands;
use crate::runner;
use crate::stack::{Config, Stack};
use crate::truth;
use crate::watch::Watcher;

/// Platform time between two ticks.
const TICK: Duration = Duration::from_secs(60);
/// Platform time from the last upload to a tick out of turn: a little more than uploads must pause
/// before their round gets a pool.
const SOON: Duration = Duration::from_secs(11);
/// Real time that a tick takes at least to come round.
const MIN_TICK: Duration = Duration::from_millis(200);
/// How long a delivery of uploads waits for more of them: what is delivered together becomes tasks
/// in one request.
const LINGER: Duration = Duration::from_millis(100);
/// When uploads that failed are delivered again.
const REDELIVER: Duration = Duration::from_secs(2);

/// What `quorate up` is told.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The stack's folder: uploads/ and results/ are in it, and its state
    #[arg(long, value_name = "DIR", default_value = "quorate-data")]
    pub data: PathBuf,
    /// Where the crowd platform and the workers' page are served; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7070")]
    pub listen: SocketAddr,
    /// Adds so many simulated workers
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub simulate: usize,
    /// Where the simulated workers' and the platform's chance comes from
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Lets time run X times as fast, for simulated workers
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub time_scale: f64,
    /// What simulated workers take for true: CSV with the header file,label
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    /// The platform's share on rewards, e.g. 0.2
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = commands::share)]
    pub fee: Decimal,
}

/// Runs the stack until Ctrl-C or SIGTERM.
///
/// # Errors
/// If the stack cannot be opened.
pub async fn run(args: Args) -> Result<()> {
    ensure!(
        args.listen.ip().is_loopback(),
        "{} is open to the network; quorate up serves this machine only: use 127.0.0.1 and put a TLS proxy in front",
        args.listen
    );
    ensure!(args.time_scale > 0.0, "--time-scale must be above 0");
    let truth = args
        .truth
        .as_deref()
        .map(truth::read)
        .transpose()?
        .unwrap_or_default();
    let clock = if (args.time_scale - 1.0).abs() < f64::EPSILON {
        Clock::real()
    } else {
        Clock::scaled(jiff::Timestamp::now(), args.time_scale)
    };
    let config = Config {
        data: args.data.clone(),
        listen: args.listen,
        clock,
        seed: args.seed,
        fee: args.fee,
    };
    let (stack, bus) = Stack::open(config).await?;
    let (watcher, keys) =
        Watcher::start(&args.data.join("uploads")).context("cannot watch the uploads folder")?;
    greet(&stack, &args)?;
    let taken = Arc::new(Notify::new());
    tokio::spawn(take_uploads(
        stack.as_writer("create-tasks"),
        keys,
        Arc::clone(&taken),
    ));
    tokio::spawn(aggregate(stack.as_writer("aggregate-pool"), bus));
    tokio::spawn(tick_forever(
        stack.as_writer("tick"),
        args.time_scale,
        taken,
    ));
    if args.simulate > 0 {
        simulate(&stack, &args, &truth).await?;
    }
    commands::stopped().await?;
    drop(watcher);
    commands::say("stopped; what was under way goes on at the next start");
    Ok(())
}

fn greet(stack: &Stack, args: &Args) -> Result<()> {
    let data = args.data.display();
    commands::say(format_args!(
        "drop images into   {data}/uploads/<campaign>/images/  (with a {data}/uploads/<campaign>/campaign.toml)\n\
         labels come to     {data}/results/<campaign>/round=<n>/\n\
         workers sign in at {}/#invite={}",
        stack.base_url(),
        stack.platform().invite()
    ));
    // Who starts this process waits for this line.
    commands::print(format!("listening on {}\n", stack.base_url()))
}

async fn take_uploads(stack: Stack, mut keys: Receiver<String>, taken: Arc<Notify>) {
    let mut batch = Vec::new();
    while keys.recv_many(&mut batch, runner::UPLOADS_AT_ONCE).await > 0 {
        while let room @ 1.. = runner::UPLOADS_AT_ONCE - batch.len() {
            let more = tokio::time::timeout(LINGER, keys.recv_many(&mut batch, room)).await;
            if !more.is_ok_and(|more| more > 0) {
                break;
            }
        }
        let mut waiting = std::mem::take(&mut batch);
        while !waiting.is_empty() {
            match runner::deliver_uploads(&stack, &waiting).await {
                Ok(failed) => waiting = failed,
                Err(error) => tracing::error!("{error:#}"),
            }
            if !waiting.is_empty() {
                tokio::time::sleep(REDELIVER).await;
            }
        }
        taken.notify_one();
    }
}

async fn aggregate(stack: Stack, mut bus: UnboundedReceiver<Event>) {
    while let Some(event) = bus.recv().await {
        if let Err(error) = runner::deliver_event(&stack, &event).await {
            tracing::error!("{error:#}");
        }
    }
}

/// Ticks at even intervals, when uploads pause, and again while batches are left to send.
async fn tick_forever(stack: Stack, time_scale: f64, taken: Arc<Notify>) {
    let real = |platform: Duration| platform.div_f64(time_scale).max(MIN_TICK);
    let uploads_pause = async || {
        taken.notified().await;
        while tokio::time::timeout(real(SOON), taken.notified())
            .await
            .is_ok()
        {}
    };
    loop {
        runner::tick(&stack).await;
        let due = stack.ledger().due_batches(stack.clock().now(), 1).await;
        if due.is_ok_and(|due| !due.is_empty()) {
            // One that cannot be sent is due later: this comes to an end.
            tokio::time::sleep(MIN_TICK).await;
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(real(TICK)) => {}
            () = uploads_pause() => {}
        }
    }
}

async fn simulate(stack: &Stack, args: &Args, truth: &BTreeMap<String, String>) -> Result<()> {
    let mut simulation = stack.simulation(args.simulate, args.seed, truth)?;
    simulation.start().await?;
    tokio::spawn(async move { simulation.run(std::future::pending()).await });
    Ok(())
}
