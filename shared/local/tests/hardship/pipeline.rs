//! The pipeline works with a platform of its own process, `quorate crowd`: that one dies, stays
//! away, hangs, while the pipeline goes on or dies too.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_core::event::Event;
use quorate_crowd::Clock;
use quorate_local::runner;
use quorate_local::stack;
use quorate_local::watch::Watcher;
use quorate_requester::Requester;
use quorate_toloka::Client;
use rust_decimal::Decimal;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};

use crate::chance::Chance;
use crate::process::Process;
use crate::stack::{Stack, TIME_SCALE, controls, own_address};

const ROUNDS: usize = 8;
/// Real time for which the pipeline waits for an answer.
const TIMEOUT: Duration = Duration::from_millis(300);
/// Real time between two ticks.
const TICK: Duration = Duration::from_millis(50);

#[test]
fn a_crowd_that_is_down_or_hangs_costs_time_and_nothing_else() {
    let mut chance = Chance::new();
    let mut stack = Stack::new();
    stack.crowd = stack.path("crowd");
    let crowd = Crowd::new(&stack);
    let mut process = crowd.start();
    let mut pipeline = Pipeline::start(&stack, &crowd);
    while stack.rounds() < ROUNDS {
        stack.drop_images(1 + chance.below(4));
        stack.wait_for(&mut process, chance.below(80));
        // Never only the pipeline: workers who find no images skip their pages, and are banned for it.
        match chance.below(5) {
            0 => {
                process.kill();
                pipeline.wait_for(&mut stack, &mut process, "cannot connect");
                process = crowd.start();
            }
            1 => {
                process.stop();
                pipeline.wait_for(&mut stack, &mut process, "no answer in time");
                process.go_on();
            }
            2 => {
                // What it was asked before it died it may do and not tell.
                process.stop();
                pipeline.wait_for(&mut stack, &mut process, "no answer in time");
                process.kill();
                process = crowd.start();
            }
            3 => {
                process.stop();
                pipeline.wait_for(&mut stack, &mut process, "no answer in time");
                drop(pipeline);
                pipeline = Pipeline::start(&stack, &crowd);
                process.go_on();
            }
            _ => {
                process.kill();
                drop(pipeline);
                pipeline = Pipeline::start(&stack, &crowd);
                process = crowd.start();
            }
        }
        stack.check_so_far();
    }
    stack.wait_until_done(&mut process);
    drop(pipeline);
    process.kill();
    stack.check_done();
}

/// Where `quorate crowd` runs, and what its workers know.
struct Crowd {
    address: SocketAddr,
    data: PathBuf,
    truth: PathBuf,
}

impl Crowd {
    fn new(stack: &Stack) -> Self {
        let mut truth = "file,label\n".to_owned();
        for file in ["golden", "exam", "training"].map(controls).concat() {
            let label = file.parent().unwrap().file_name().unwrap();
            let name = file.file_name().unwrap();
            writeln!(truth, "{},{}", name.display(), label.display()).unwrap();
        }
        let path = stack.path("truth.csv");
        fs::write(&path, truth).unwrap();
        let free = TcpListener::bind(own_address()).unwrap();
        Self {
            address: free.local_addr().unwrap(),
            data: stack.crowd.clone(),
            truth: path,
        }
    }

    fn start(&self) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
        command
            .args(["crowd", "--simulate", "20", "--fee", "0.2", "--time-scale"])
            .args([&TIME_SCALE.to_string(), "--listen"])
            .args([&self.address.to_string(), "--data"])
            .args([&self.data, &PathBuf::from("--truth"), &self.truth]);
        Process::start(&mut command)
    }
}

/// A running pipeline. It dies where it waits when this is dropped.
struct Pipeline {
    /// Never read: it ends everything when it is dropped.
    _runtime: Runtime,
    _watcher: Watcher,
    /// Why ticks failed.
    failures: Arc<Mutex<Vec<String>>>,
}

impl Pipeline {
    fn start(stack: &Stack, crowd: &Crowd) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let fee: Decimal = "0.2".parse().unwrap();
        let config = stack::Config {
            data: stack.path(""),
            listen: stack.address,
            clock: Clock::scaled(jiff::Timestamp::now(), TIME_SCALE.into()),
            seed: 1,
            fee,
        };
        let (world, bus) = runtime.block_on(stack::Stack::open(config)).unwrap();
        let client = Client::builder(format!("http://{}", crowd.address))
            .api_key("any")
            .timeout(TIMEOUT)
            .sleep_with(|_| std::future::ready(()))
            .build()
            .unwrap();
        let away = world.with_crowd(Requester::new(client, fee));
        let (watcher, keys) = Watcher::start(&stack.path("uploads")).unwrap();
        let failures = Arc::<Mutex<Vec<String>>>::default();
        runtime.spawn(run(away, keys, bus, Arc::clone(&failures)));
        Self {
            _runtime: runtime,
            _watcher: watcher,
            failures,
        }
    }

    /// Waits until a tick failed for a reason.
    fn wait_for(&self, stack: &mut Stack, process: &mut Process, reason: &str) {
        self.failures.lock().unwrap().clear();
        // There is something to ask for.
        stack.drop_images(1);
        stack.wait(process, |_, _| {
            let failures = self.failures.lock().unwrap();
            failures.iter().any(|failure| failure.contains(reason))
        });
    }
}

/// Takes uploads, ticks and aggregates, one after the other.
async fn run(
    world: stack::Stack,
    mut keys: Receiver<String>,
    mut bus: UnboundedReceiver<Event>,
    failures: Arc<Mutex<Vec<String>>>,
) {
    let mut waiting = vec!["cells/campaign.toml".to_owned()];
    loop {
        while let Ok(key) = keys.try_recv() {
            waiting.push(key);
        }
        let mut failed = Vec::new();
        for some in waiting.chunks(runner::UPLOADS_AT_ONCE) {
            failed.extend(runner::deliver_uploads(&world, some).await.unwrap());
        }
        waiting = failed;
        if let Err(error) = quorate_check_pools::handle(&world, json!({})).await {
            failures.lock().unwrap().push(error.to_string());
        }
        quorate_reconcile::handle(&world, json!({})).await.unwrap();
        runner::deliver_closed(&world, &mut bus).await.unwrap();
        tokio::time::sleep(TICK).await;
    }
}
