//! The folder of a stack whose process suffers, and what can be seen of it from outside.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Row};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Process, look_again_later};

/// What gets no further for so long has stalled.
const STALLED: Duration = Duration::from_secs(40);
/// How fast time runs: a minute in 100 ms.
pub(crate) const TIME_SCALE: u32 = 600;
/// Dollars that a campaign may cost.
pub(crate) const BUDGET: u32 = 50;
/// What a platform starts with.
pub(crate) const BALANCE: u32 = 1_000_000;

/// The campaign; a round is sealed by the first tick that finds two images in it.
fn campaign() -> String {
    format!(
        r#"
question = "Which cell is it?"
labels = ["NEUTROPHIL", "EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE"]
overlap = 3
images_per_page = 4
reward_per_page = 0.05
minutes_per_page = 120
budget = {BUDGET}
[golden]
per_page = 1
min_accuracy = 20
min_answers = 3
[exam]
tasks_per_page = 6
passing_accuracy = 40
[training]
tasks_per_page = 5
[quality]
min_seconds_per_page = 0
[round]
max_images = 2
idle_minutes = 3
"#
    )
}

/// The data folder of a stack that suffers.
pub(crate) struct Stack {
    folder: TempDir,
    /// Where its process listens.
    pub(crate) address: SocketAddr,
    /// The folder of the platform that it works with.
    pub(crate) crowd: PathBuf,
    /// Images that were dropped.
    pub(crate) dropped: u32,
    /// The manifests that were seen, by their files.
    pub(crate) seen: BTreeMap<PathBuf, Value>,
    /// How far rounds were, by their numbers.
    pub(crate) reached: BTreeMap<i64, usize>,
}

impl Stack {
    /// A folder with a campaign and its control images.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let crowd = folder.path().join("state/crowd");
        let stack = Self {
            folder,
            address: own_address(),
            crowd,
            dropped: 0,
            seen: BTreeMap::new(),
            reached: BTreeMap::new(),
        };
        for kind in ["golden", "exam", "training"] {
            for file in controls(kind) {
                let below = file.strip_prefix(demo()).unwrap();
                let to = stack.path("uploads/cells").join(below);
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(&file, &to).unwrap();
            }
        }
        fs::create_dir_all(stack.path("uploads/cells/images")).unwrap();
        fs::write(stack.path("uploads/cells/campaign.toml"), campaign()).unwrap();
        stack
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub(crate) fn drop_images(&mut self, count: usize) {
        for _ in 0..count {
            self.dropped += 1;
            let name = format!("uploads/cells/images/{}.png", self.dropped);
            // Whole at once: a process that starts just now would find it half written.
            let beside = self.path("dropped.png");
            fs::write(&beside, quorate_testkit::png(self.dropped)).unwrap();
            fs::rename(beside, self.path(&name)).unwrap();
        }
    }

    /// `quorate up` on the folder.
    pub(crate) fn up(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
        command
            .args(["up", "--simulate", "20", "--fee", "0.2", "--time-scale"])
            .args([&TIME_SCALE.to_string(), "--listen"])
            .args([&self.address.to_string(), "--data"])
            .arg(self.folder.path());
        command
    }

    pub(crate) fn start(&self) -> Process {
        Process::start(&mut self.up())
    }

    /// Waits until something is true of the running process.
    pub(crate) fn wait(
        &mut self,
        process: &mut Process,
        mut is_so: impl FnMut(&Self, &Process) -> bool,
    ) {
        let mut reached = 0;
        let mut since = Instant::now();
        while !is_so(self, process) {
            if let Some(status) = process.ended() {
                panic!("it ended by itself, {status}:\n{}", process.log());
            }
            self.check_new_manifests();
            let now = self.progress();
            if now > reached {
                (reached, since) = (now, Instant::now());
            }
            let stalled = since.elapsed() > STALLED;
            if stalled {
                panic!("it gets no further: {}\n{}", self.standing(), process.log());
            }
            look_again_later();
        }
    }

    /// How the rounds stand and what keeps batches, for a person.
    fn standing(&self) -> String {
        let Some(ledger) = self.ledger() else {
            return "no ledger".to_owned();
        };
        let query = "SELECT json_object('number', number, 'state', state, 'images', images,
            'batches', batches, 'done', batches_done, 'tasks', tasks, 'pool', json_extract(pool, '$.id'), 'opened_with',
            opened_with, 'due', due, 'attempts', attempts) FROM round WHERE state <> 'AGGREGATED'";
        let rounds = rows(&ledger, query, |row| row.get::<_, String>(0));
        let admitted = self.count("round", "sum(images)");
        format!(
            "{} dropped, {admitted:?} admitted, {rounds:#?}",
            self.dropped
        )
    }

    /// Waits until so much more has happened, or everything.
    pub(crate) fn wait_for(&mut self, process: &mut Process, more: usize) {
        let target = self.progress() + more;
        self.wait(process, |stack, _| {
            stack.progress() >= target || stack.is_done()
        });
    }

    pub(crate) fn wait_until_done(&mut self, process: &mut Process) {
        self.wait(process, |stack, _| stack.is_done());
    }

    /// Waits until no round takes images any more.
    pub(crate) fn wait_until_sealed(&mut self, process: &mut Process) {
        self.wait(process, |stack, _| {
            let admitted = stack.count("round WHERE state <> 'OPEN'", "sum(images)");
            admitted == usize::try_from(stack.dropped).ok()
        });
    }

    pub(crate) fn ledger(&self) -> Option<Connection> {
        open(&self.path("state/ledger.sqlite"))
    }

    pub(crate) fn platform(&self) -> Option<Connection> {
        open(&self.crowd.join("crowd.sqlite"))
    }

    /// A number that the ledger computes; none while there is no ledger.
    pub(crate) fn count(&self, table: &str, number: &str) -> Option<usize> {
        number_in(&self.ledger()?, table, number)
    }

    /// A number that grows with everything that happens.
    pub(crate) fn progress(&self) -> usize {
        let count = |database: Option<Connection>, tables: &[&str]| -> usize {
            let Some(database) = database else {
                return 0;
            };
            let size = |table: &&str| {
                // A table that is not there yet has nothing in it.
                number_in(&database, table, "count(*)").unwrap_or(0)
            };
            tables.iter().map(size).sum()
        };
        count(self.ledger(), &["image", "batch", "round"])
            + count(
                self.platform(),
                &["pools", "tasks", "workers", "assignments", "scores"],
            )
            + files(&self.path("results")).len()
    }

    /// The manifests of the rounds that are aggregated.
    pub(crate) fn manifests(&self) -> Vec<PathBuf> {
        let files = files(&self.path("results"));
        let manifests = files.into_iter();
        manifests
            .filter(|file| file.ends_with("_manifest.json"))
            .collect()
    }

    /// The problems that a person was told of.
    pub(crate) fn problems(&self) -> Vec<String> {
        let events = fs::read_to_string(self.path("state/events.jsonl")).unwrap_or_default();
        let whole = events
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        whole
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|event| event["detail-type"] == "Problem")
            .map(|event| event["detail"]["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Rounds that have images.
    pub(crate) fn rounds(&self) -> usize {
        self.count("round WHERE images > 0", "count(*)")
            .unwrap_or(0)
    }

    /// Whether every image that was dropped is in a round, and every round is aggregated that has
    /// images.
    pub(crate) fn is_done(&self) -> bool {
        let unfinished = "round WHERE state <> 'AGGREGATED' AND images > 0";
        let unfinished = self.count(unfinished, "count(*)");
        unfinished == Some(0)
            && self.count("round", "sum(images)") == usize::try_from(self.dropped).ok()
    }
}

/// A loopback address of this stack's own, and a free port. On the common address a port that waits
/// for its process to start again may be taken for a connection meanwhile.
pub(crate) fn own_address() -> SocketAddr {
    static STACKS: AtomicU8 = AtomicU8::new(1);
    let mut ip = Ipv4Addr::LOCALHOST;
    // Other systems have only one.
    if cfg!(target_os = "linux") {
        let [_, _, high, low] = std::process::id().to_be_bytes();
        ip = Ipv4Addr::new(127, STACKS.fetch_add(1, Ordering::Relaxed), high, low);
    }
    SocketAddr::new(IpAddr::V4(ip), 0)
}

/// The demo's folder.
fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("demo")
}

/// Control images of a kind, two of each label.
pub(crate) fn controls(kind: &str) -> Vec<PathBuf> {
    let mut files = files(&demo().join(kind));
    files.dedup_by_key(|file| file.parent().map(Path::to_owned));
    let folders = files.iter().filter_map(|file| file.parent());
    folders
        .flat_map(|folder| self::files(folder).into_iter().take(2))
        .collect()
}

/// Every file below a folder, in order; none if there is no such folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = fs::read_dir(next) else {
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A database that has its tables.
fn open(file: &Path) -> Option<Connection> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .ok()?;
    (version > 0).then_some(connection)
}

fn number_in(database: &Connection, table: &str, number: &str) -> Option<usize> {
    let query = format!("SELECT {number} FROM {table}");
    let number: Option<i64> = database.query_row(&query, [], |row| row.get(0)).ok()?;
    usize::try_from(number.unwrap_or(0)).ok()
}

pub(crate) fn rows<T>(
    database: &Connection,
    query: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Vec<T> {
    let mut statement = database.prepare(query).unwrap();
    let found = statement.query_map([], |row| read(row)).unwrap();
    found.map(Result::unwrap).collect()
}
