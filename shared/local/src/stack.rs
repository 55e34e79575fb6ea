//! The whole pipeline in one process: folders for the buckets, SQLite for the ledger, the crowd
//! platform on a port of its own, and the links under which workers see images.
//!
//! ```text
//! <data>/uploads/<campaign>/…    what people drop
//! <data>/results/<campaign>/…    what comes back
//! <data>/state/                  ledger, crowd, versions of uploads, events.jsonl, secrets
//! ```

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use futures_util::FutureExt as _;
use quorate_core::campaign;
use quorate_core::event::Event;
use quorate_core::link::{self, LinkSigner};
use quorate_core::ports::{Clock, Ledger as _, PortResult, World};
use quorate_core::state::{Content, Image, Kind};
use quorate_core::time::Timestamp;
use quorate_crowd::simulate::{self, Simulation, Truth};
use quorate_crowd::{Clock as CrowdClock, Config as CrowdConfig, Platform, RequesterKey};
use quorate_requester::Requester;
use quorate_toloka::Client;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::images;
use crate::ledger::SqliteLedger;
use crate::notify::LocalNotify;
use crate::objects::{Folder, TEMP};

/// Password stretching of the platform: its workers sign in from this machine or are simulated.
const PASSWORD_ROUNDS: u32 = 10_000;

/// How a stack is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its folder; made if it is not there.
    pub data: PathBuf,
    /// Where the platform and the images are served. Port 0 takes a free one at the first start
    /// and the same one ever after, because tasks hold links to it.
    pub listen: SocketAddr,
    /// The time of everything in the stack.
    pub clock: CrowdClock,
    /// Where the platform's shuffling comes from.
    pub seed: u64,
    /// The platform's share on rewards.
    pub fee: Decimal,
}

/// What a stack keeps of itself between starts.
#[derive(Serialize, Deserialize)]
struct Kept {
    port: u16,
    /// Keys of image links by id, in hex.
    link_keys: BTreeMap<String, String>,
    requester_key: String,
}

/// The pipeline's world on one machine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stack {
    shared: Arc<Shared>,
    crowd: Arc<Requester>,
    writer: String,
}

#[derive(Debug)]
struct Shared {
    ledger: Arc<SqliteLedger>,
    uploads: Folder,
    results: Folder,
    clock: StackClock,
    notify: LocalNotify,
    links: LinkSigner,
    platform: Platform,
    base_url: String,
    data: PathBuf,
    /// Held as long as the stack lives: one stack a folder.
    _lock: File,
}

/// The platform's clock as the pipeline's.
#[derive(Clone, Debug)]
pub struct StackClock(CrowdClock);

impl Clock for StackClock {
    fn now(&self) -> Timestamp {
        self.0.now().into()
    }
}

impl World for Stack {
    type Ledger = SqliteLedger;
    type Crowd = Requester;
    type Objects = Folder;
    type Clock = StackClock;
    type Notify = LocalNotify;

    fn ledger(&self) -> &SqliteLedger {
        &self.shared.ledger
    }
    fn crowd(&self) -> &Requester {
        &self.crowd
    }
    fn uploads(&self) -> &Folder {
        &self.shared.uploads
    }
    fn results(&self) -> &Folder {
        &self.shared.results
    }
    fn clock(&self) -> &StackClock {
        &self.shared.clock
    }
    fn notify(&self) -> &LocalNotify {
        &self.shared.notify
    }
    async fn links(&self) -> PortResult<LinkSigner> {
        Ok(self.shared.links.clone())
    }
    fn writer(&self) -> &str {
        &self.writer
    }
}

impl Stack {
    /// Opens the stack in `config.data` and serves its platform and images until the process ends.
    /// Events that are for the pipeline itself come out of the receiver.
    ///
    /// # Errors
    /// If another process has the folder, the port is taken, or the state cannot be read.
    pub async fn open(config: Config) -> Result<(Self, mpsc::UnboundedReceiver<Event>)> {
        let data = &config.data;
        let state = data.join("state");
        for folder in ["uploads", "results", "state"] {
            let path = data.join(folder);
            std::fs::create_dir_all(&path)
                .with_context(|| format!("cannot make {}", path.display()))?;
        }
        let lock = lock(&state)?;
        let (listener, kept) = listen(&state, &config).await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let platform = Platform::open(CrowdConfig {
            data: Some(state.join("crowd")),
            clock: config.clock.clone(),
            seed: config.seed,
            keys: vec![RequesterKey {
                account: "quorate".to_owned(),
                key: kept.requester_key.clone(),
            }],
            fee: config.fee,
            password_rounds: password_rounds(&config),
            ..CrowdConfig::default()
        })
        .with_context(|| format!("cannot open the platform in {}", state.display()))?;
        let ledger = SqliteLedger::open(&state.join("ledger.sqlite"))?;
        // A clock that ran fast was ahead of the machine's. The platform remembers only its own part
        // of that, and an upload must not have come in the future: its round would not get idle.
        if let Some(Timestamp(millis)) = ledger.last_upload()? {
            config
                .clock
                .not_before(jiff::Timestamp::from_millisecond(millis)?);
        }
        let (uploads, results) = folders(data, &config.clock)?;
        let events_file = state.join("events.jsonl");
        let client = Client::builder(&base_url)
            .api_key(kept.requester_key.as_str())
            .build()?;
        let (bus, events) = mpsc::unbounded_channel();
        let notify = LocalNotify::open(&events_file, bus)
            .with_context(|| format!("cannot open {}", events_file.display()))?;
        let stack = Self {
            shared: Arc::new(Shared {
                ledger: Arc::new(ledger),
                uploads,
                results,
                clock: StackClock(config.clock),
                notify,
                links: LinkSigner::new(&base_url, kept.link_keys()?).map_err(anyhow::Error::msg)?,
                platform,
                base_url,
                data: data.clone(),
                _lock: lock,
            }),
            crowd: Arc::new(Requester::new(client, config.fee)),
            writer: Uuid::new_v4().to_string(),
        };
        stack.serve(listener);
        Ok((stack, events))
    }

    /// The same world under another name in leases, for work that runs beside this one's.
    #[must_use]
    pub fn as_writer(&self, name: &str) -> Self {
        Self {
            writer: format!("{}/{name}", self.writer),
            ..self.clone()
        }
    }

    /// The same world with another crowd than its own platform, or another way to it.
    #[must_use]
    pub fn with_crowd(&self, crowd: Requester) -> Self {
        Self {
            crowd: Arc::new(crowd),
            ..self.clone()
        }
    }

    /// Where the platform is served.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.shared.base_url
    }

    /// The stack's folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.shared.data
    }

    /// The crowd platform.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.shared.platform
    }

    /// Simulated workers for this stack. What they take for true is the known answer of a control
    /// image or row, else what `truth` says of an upload's key or file name, or of a row's text.
    ///
    /// # Errors
    /// If the simulation cannot be set up.
    pub fn simulation(
        &self,
        workers: usize,
        seed: u64,
        truth: &BTreeMap<String, String>,
    ) -> Result<Simulation> {
        let (world, truth) = (self.clone(), truth.clone());
        let lookup: simulate::Lookup =
            Arc::new(move |input| known(&world, &truth, input).now_or_never()?);
        Ok(Simulation::new(simulate::Config {
            base_url: self.base_url().to_owned(),
            invite: self.platform().invite().to_owned(),
            seed,
            workers,
            truth: Truth::new().with_lookup(lookup),
            clock: self.shared.clock.0.clone(),
        })?)
    }

    /// Serves platform and images on a task of its own.
    fn serve(&self, listener: TcpListener) {
        let images = images::routes(
            Arc::clone(&self.shared.ledger),
            self.shared.uploads.clone(),
            self.shared.links.clone(),
            Arc::new(self.shared.clock.clone()),
        );
        let app = self.platform().router().merge(images);
        tokio::spawn(async move {
            if let Err(error) = axum::serve(quorate_crowd::undelayed(listener), app).await {
                tracing::error!(%error, "the server stopped");
            }
        });
        tokio::spawn(quorate_crowd::keep_up(self.platform().clone()));
    }
}

/// What is known of a task: by its image if it shows one, else by its row.
async fn known(
    world: &Stack,
    truth: &BTreeMap<String, String>,
    input: &Map<String, Value>,
) -> Option<String> {
    let values = || input.values().filter_map(Value::as_str);
    if let Some(id) = values().find_map(link::image_of) {
        let image = world.ledger().image(id).await.ok()??;
        let name = image.key.rsplit('/').next().unwrap_or(&image.key);
        return image
            .known
            .or_else(|| truth.get(&image.key).or_else(|| truth.get(name)).cloned());
    }
    for campaign in world.ledger().campaigns().await.ok()? {
        for kind in [Kind::Golden, Kind::Exam, Kind::Training] {
            let controls = world.ledger().controls(&campaign, kind).await.ok()?;
            let same = |image: &Image| match &image.content {
                Content::Row(fields) => fields
                    .iter()
                    .all(|(field, value)| input.get(field).and_then(Value::as_str) == Some(value)),
                Content::Picture => false,
            };
            if let Some(image) = controls.into_iter().find(same) {
                return image.known;
            }
        }
    }
    values().find_map(|value| truth.get(value).cloned())
}

/// The buckets in the stack's folder, without what a killed process left half written in those that
/// only the stack writes: people write into `uploads/`.
fn folders(data: &Path, clock: &CrowdClock) -> Result<(Folder, Folder)> {
    let versions = data.join("state/versions");
    let root = data.join("uploads");
    let uploads = Folder::keeping("uploads", &root, &versions, clock.clone())?;
    let results = Folder::new("results", &data.join("results"))?;
    for folder in [&results, &Folder::new("state", &data.join("state"))?] {
        let root = folder.root().display();
        folder
            .remove_unfinished()
            .with_context(|| format!("cannot clean up {root}"))?;
    }
    Ok((uploads, results))
}

/// Takes the folder for this process.
fn lock(state: &Path) -> Result<File> {
    let path = state.join("lock");
    let file = File::options().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "another quorate runs on {}; stop it, or name another folder",
                state.display()
            )
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Binds the stack's address, and reads or makes what the stack keeps of itself.
async fn listen(state: &Path, config: &Config) -> Result<(TcpListener, Kept)> {
    let mut address = config.listen;
    let path = state.join("secrets.json");
    let mut kept: Option<Kept> = match std::fs::read(&path) {
        Ok(bytes) => Some(
            serde_json::from_slice(&bytes)
                .with_context(|| format!("cannot read {}", path.display()))?,
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    if let (0, Some(kept)) = (address.port(), &kept) {
        address.set_port(kept.port);
    }
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; name another with --listen"))?;
    let kept = match kept.take() {
        Some(kept) => kept,
        None => {
            let kept = Kept {
                port: listener.local_addr()?.port(),
                link_keys: BTreeMap::from([("k1".to_owned(), secret(config, "link"))]),
                requester_key: secret(config, "requester"),
            };
            write_private(&path, &serde_json::to_vec_pretty(&kept)?)
                .with_context(|| format!("cannot write {}", path.display()))?;
            kept
        }
    };
    Ok((listener, kept))
}

impl Kept {
    fn link_keys(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        let decode = |(id, key): (&String, &String)| Ok((id.clone(), key.as_bytes().to_vec()));
        self.link_keys.iter().map(decode).collect()
    }
}

/// On simulated time there are only simulated workers, whose passwords come from the seed: stretching
/// them protects nothing and makes a day of many workers slow.
fn password_rounds(config: &Config) -> u32 {
    if config.clock.is_manual() {
        1
    } else {
        PASSWORD_ROUNDS
    }
}

/// 32 secret bytes in hex. On simulated time they come from the seed: links are part of tasks, and
/// simulated workers, who answer by what a task holds, must answer the same in every run.
fn secret(config: &Config, purpose: &str) -> String {
    if config.clock.is_manual() {
        let seeded = format!("quorate simulated {purpose} {}", config.seed);
        return campaign::hex(&Sha256::digest(seeded));
    }
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// Writes a file that only its owner can read; whole or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    // A temporary file is made for its owner alone.
    let mut file = tempfile::Builder::new().prefix(TEMP).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
