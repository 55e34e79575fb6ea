//! `quorate crowd`: the crowd platform alone.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use quorate_crowd::simulate::{self, Simulation, Truth};
use quorate_crowd::{Clock, Config, Platform, RequesterKey};
use rust_decimal::Decimal;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{print, say, share, stopped};

/// The account of keys that name none.
const ACCOUNT: &str = "local";
/// Password stretching of a platform whose workers are all on this machine, or simulated.
const LOOPBACK_PASSWORD_ROUNDS: u32 = 10_000;

/// The arguments of `quorate crowd`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Run the crowd platform alone: Toloka's requester API and a page for workers",
    long_about = "Runs a crowd platform on this machine: a server that speaks Toloka's requester API, so that toloka-kit \
        or any other client can drive it, with a page on which people work, and simulated workers if you want them. \
        It runs until Ctrl-C.\n\n\
        When it is ready it prints two lines on stdout: its address, and the link of the workers' page with the \
        invitation in it.",
    after_help = "Examples:\n  \
        quorate crowd --simulate 20 --time-scale 60\n  \
        quorate crowd --data ./crowd --listen 127.0.0.1:9000 --truth truth.csv --simulate 50\n  \
        QUORATE_CROWD_KEYS=team:secret quorate crowd --listen 0.0.0.0:8080 --data ./crowd"
)]
pub struct Args {
    /// Where to serve; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Keep everything in this folder; without it everything is in memory and gone at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Add so many simulated workers
    #[arg(long, value_name = "N", default_value_t = 0)]
    simulate: usize,
    /// Where the chance of the platform and of the simulated workers comes from
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Let time run X times as fast
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = scale)]
    time_scale: f64,
    /// What simulated workers take for true, CSV with the columns file (or task) and label; else the
    /// folder in the path of an input, else its hash
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Let only these keys use the requester API; an account may have several. Without any, every
    /// key opens the one local account. Other users of this machine can read the command line: the
    /// environment variable keeps keys out of it, separated by commas
    #[arg(
        long = "key",
        value_name = "[ACCOUNT:]KEY",
        env = "QUORATE_CROWD_KEYS",
        hide_env_values = true,
        value_delimiter = ',',
        num_args = 1..,
        value_parser = requester_key
    )]
    keys: Vec<RequesterKey>,
    /// What the platform adds to rewards, as a share: 0.2 is 20 %
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    fee: Decimal,
    /// Dollars that an account starts with
    #[arg(long, value_name = "DOLLARS", default_value = "1000000", value_parser = balance)]
    balance: Decimal,
    /// Refuse requests beyond Toloka's documented rates and quotas, as it does. The newest toloka-kit
    /// (1.2.3) crashes when it is refused so
    #[arg(long)]
    rate_limits: bool,
    /// Print one JSON line when ready, instead of two lines for people
    #[arg(long)]
    json: bool,
}

/// What `--json` prints when the platform is ready.
#[derive(Serialize)]
struct Ready {
    listening: String,
    worker_page: String,
}

fn scale(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|scale: &f64| scale.is_finite() && *scale > 0.0)
        .ok_or_else(|| "it must be a number above 0".to_owned())
}

fn balance(text: &str) -> Result<Decimal, String> {
    text.parse()
        .ok()
        .filter(|dollars| *dollars >= Decimal::ZERO)
        .ok_or_else(|| "it must be dollars, e.g. 100.50".to_owned())
}

fn requester_key(text: &str) -> Result<RequesterKey, String> {
    let (account, key) = text.split_once(':').unwrap_or((ACCOUNT, text));
    if account.is_empty() || key.is_empty() {
        return Err("write it as KEY or ACCOUNT:KEY".to_owned());
    }
    Ok(RequesterKey {
        account: account.to_owned(),
        key: key.to_owned(),
    })
}

/// Runs the platform until Ctrl-C or SIGTERM.
///
/// # Errors
/// If the address is taken, open to the network without keys, or the data cannot be opened.
pub async fn run(args: Args) -> anyhow::Result<()> {
    ensure!(
        args.listen.ip().is_loopback() || !args.keys.is_empty(),
        "{} can be reached from other machines, and without a key anybody there could use every account: \
         give keys (--key or QUORATE_CROWD_KEYS), or listen on 127.0.0.1",
        args.listen
    );
    let truth = match &args.truth {
        Some(path) => File::open(path)
            .map_err(anyhow::Error::from)
            .and_then(|file| Ok(Truth::from_csv(file)?))
            .with_context(|| format!("cannot read {}", path.display()))?,
        None => Truth::new(),
    };
    let clock = if (args.time_scale - 1.0).abs() < f64::EPSILON {
        Clock::real()
    } else {
        Clock::scaled(Timestamp::now(), args.time_scale)
    };
    let defaults = Config::default();
    let platform = Platform::open(Config {
        data: args.data.clone(),
        clock,
        seed: args.seed,
        keys: args.keys.clone(),
        fee: args.fee,
        balance: args.balance,
        rate_limits: args.rate_limits,
        password_rounds: if args.listen.ip().is_loopback() {
            LOOPBACK_PASSWORD_ROUNDS
        } else {
            defaults.password_rounds
        },
        ..defaults
    })
    .with_context(|| match &args.data {
        Some(folder) => format!("cannot open the platform in {}", folder.display()),
        None => "cannot open a platform in memory".to_owned(),
    })?;
    let listener = TcpListener::bind(args.listen).await.with_context(|| {
        format!(
            "cannot listen on {}; name another address with --listen",
            args.listen
        )
    })?;
    let base_url = format!("http://{}", listener.local_addr()?);
    if args.data.is_none() {
        say("note: everything is in memory and gone at the end; --data DIR keeps it");
    }
    // Connections wait in the listener's queue from here on, so this is no promise too early.
    announce(&base_url, &platform, args.json)?;
    serve(listener, platform, &base_url, &args, truth).await
}

/// Tells whoever started this that it can be used.
fn announce(base_url: &str, platform: &Platform, json: bool) -> anyhow::Result<()> {
    let ready = Ready {
        listening: base_url.to_owned(),
        worker_page: format!("{base_url}/#invite={}", platform.invite()),
    };
    if json {
        print(format!("{}\n", serde_json::to_string(&ready)?))
    } else {
        print(format!(
            "listening on {}\nworkers sign in at {}\n",
            ready.listening, ready.worker_page
        ))
    }
}

/// Serves, with simulated workers if any, until the process is told to stop.
async fn serve(
    listener: TcpListener,
    platform: Platform,
    base_url: &str,
    args: &Args,
    truth: Truth,
) -> anyhow::Result<()> {
    let (stop, stopping) = watch::channel(false);
    let simulated = (args.simulate > 0)
        .then(|| {
            Simulation::new(simulate::Config {
                base_url: base_url.to_owned(),
                invite: platform.invite().to_owned(),
                seed: args.seed,
                workers: args.simulate,
                truth,
                clock: platform.clock().clone(),
            })
        })
        .transpose()?;
    if let Some(simulation) = simulated {
        tokio::spawn(simulate(simulation, stopping.clone()));
    }
    let mut server = tokio::spawn(quorate_crowd::serve(listener, platform, wait(stopping)));
    tokio::select! {
        told = stopped() => told?,
        ended = &mut server => return ended?.context("the server failed"),
    }
    stop.send_replace(true);
    server.await?.context("the server failed")?;
    say("stopped");
    Ok(())
}

async fn simulate(mut simulation: Simulation, stopping: watch::Receiver<bool>) {
    let started = tokio::select! {
        () = wait(stopping.clone()) => return,
        started = simulation.start() => started,
    };
    match started {
        Ok(()) => simulation.run(wait(stopping)).await,
        Err(error) => {
            let cause = std::error::Error::source(&error)
                .map(ToString::to_string)
                .unwrap_or_default();
            tracing::error!(%error, %cause, "the simulated workers cannot start");
        }
    }
}

async fn wait(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is the end too.
    drop(stopping.wait_for(|stop| *stop).await);
}
