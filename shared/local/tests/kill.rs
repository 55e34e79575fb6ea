//! `quorate up` dies without warning, again and again, while images come in and a crowd works.
//! Whenever it died, every image ends with one label and nothing is done or paid twice.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test, a panic is a failure"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use quorate_core::ids::ImageId;
use quorate_core::link;
use rusqlite::{Connection, OpenFlags, Row};
use rust_decimal::Decimal;
use serde_json::Value;
use tempfile::TempDir;

const IMAGES: usize = 60;
const KILLS: usize = 10;
/// What the moments of death are drawn from.
const SEED: u64 = 20;
/// A start that gets no further for so long has stalled.
const STALLED: Duration = Duration::from_secs(40);
/// Between two looks at a running process.
const LOOK: Duration = Duration::from_millis(2);

const CAMPAIGN: &str = r#"
question = "Which cell is it?"
labels = ["NEUTROPHIL", "EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE"]
overlap = 3
images_per_page = 4
reward_per_page = 0.05
minutes_per_page = 120
budget = 50
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
idle_minutes = 3
"#;

#[cfg(unix)]
#[test]
fn killed_at_any_moment_nothing_is_lost_done_or_paid_twice() {
    let mut stack = Stack::new();
    let mut chance = Chance(SEED);
    stack.drop_campaign();
    for kill in 0..KILLS {
        // Some images come while it is down, some while it runs.
        stack.drop_images(chance.below(6));
        let mut process = stack.start();
        stack.drop_images(chance.below(6));
        // At first it hardly gets up, later it gets far.
        let target = stack.progress() + chance.below(40 << (kill / 2));
        stack.wait(&mut process, |stack| {
            stack.progress() >= target || stack.is_done()
        });
        process.kill();
    }
    stack.drop_images(IMAGES);
    let mut process = stack.start();
    stack.wait(&mut process, |stack| stack.is_done());
    process.kill();
    stack.check_labels();
    stack.check_tasks();
    stack.check_work();
    stack.check_money();
    stack.check_leftovers();
}

/// A sequence of numbers that looks random, made as `SplitMix64` does.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// The data folder of a stack that dies.
struct Stack {
    folder: TempDir,
    /// Images that were not dropped yet.
    waiting: Vec<PathBuf>,
}

/// A running `quorate up`.
struct Process {
    child: Child,
    /// What it says.
    log: PathBuf,
}

impl Process {
    /// SIGKILL.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, unless the test fails.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Stack {
    fn new() -> Self {
        let mut waiting = files(&demo().join("images"));
        waiting.truncate(IMAGES);
        assert_eq!(waiting.len(), IMAGES);
        Self {
            folder: tempfile::tempdir().unwrap(),
            waiting,
        }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn drop_campaign(&self) {
        for folder in ["golden", "exam", "training"] {
            for file in files(&demo().join(folder)) {
                let to = self
                    .path("uploads/cells")
                    .join(file.strip_prefix(demo()).unwrap());
                copy(&file, &to);
            }
        }
        fs::write(self.path("uploads/cells/campaign.toml"), CAMPAIGN).unwrap();
    }

    fn drop_images(&mut self, count: usize) {
        let left = self.waiting.len().saturating_sub(count);
        for file in self.waiting.split_off(left) {
            let name = file.file_name().unwrap();
            copy(&file, &self.path("uploads/cells/images").join(name));
        }
    }

    fn start(&self) -> Process {
        let log = self.path("log");
        let child = Command::new(env!("CARGO_BIN_EXE_quorate"))
            .args(["up", "--listen", "127.0.0.1:0", "--simulate", "20"])
            .args(["--time-scale", "600", "--fee", "0.2", "--data"])
            .arg(self.folder.path())
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(
                fs::File::options()
                    .create(true)
                    .append(true)
                    .open(&log)
                    .unwrap(),
            )
            .spawn()
            .unwrap();
        Process { child, log }
    }

    /// Waits until something is true of the running process.
    fn wait(&self, process: &mut Process, is_so: impl Fn(&Self) -> bool) {
        let mut reached = 0;
        let mut since = Instant::now();
        while !is_so(self) {
            let log = || fs::read_to_string(&process.log).unwrap();
            if let Some(status) = process.child.try_wait().unwrap() {
                panic!("it ended by itself, {status}:\n{}", log());
            }
            let now = self.progress();
            if now > reached {
                (reached, since) = (now, Instant::now());
            }
            assert!(since.elapsed() < STALLED, "it gets no further:\n{}", log());
            std::thread::sleep(LOOK);
        }
    }

    fn ledger(&self) -> Option<Connection> {
        open(&self.path("state/ledger.sqlite"))
    }

    fn crowd(&self) -> Option<Connection> {
        open(&self.path("state/crowd/crowd.sqlite"))
    }

    /// A number that grows with everything that happens.
    fn progress(&self) -> usize {
        let count = |database: Option<Connection>, tables: &[&str]| -> usize {
            let Some(database) = database else {
                return 0;
            };
            let size = |table: &&str| {
                // A table that is not there yet has nothing in it.
                count_in(&database, table).unwrap_or(0)
            };
            tables.iter().map(size).sum()
        };
        count(self.ledger(), &["image", "batch", "round"])
            + count(
                self.crowd(),
                &["pools", "tasks", "workers", "assignments", "scores"],
            )
            + files(&self.path("results")).len()
    }

    /// The manifests of the rounds that are aggregated, by their folders.
    fn manifests(&self) -> BTreeMap<PathBuf, Value> {
        let files = files(&self.path("results/cells"));
        let manifests = files.iter().filter(|file| file.ends_with("_manifest.json"));
        manifests
            .map(|file| {
                let manifest = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
                (file.parent().unwrap().to_owned(), manifest)
            })
            .collect()
    }

    /// The rows of all rounds' `labels.jsonl`.
    fn labels(&self) -> Vec<Value> {
        let rows = |folder: &PathBuf| {
            let text = fs::read_to_string(folder.join("labels.jsonl")).unwrap();
            let rows: Vec<Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            rows
        };
        self.manifests().keys().flat_map(rows).collect()
    }

    fn is_done(&self) -> bool {
        let dropped = IMAGES - self.waiting.len();
        let unfinished = self
            .ledger()
            .and_then(|ledger| count_in(&ledger, "round WHERE state <> 'AGGREGATED'"));
        unfinished == Some(0) && self.labels().len() >= dropped
    }

    /// Every image has exactly one label, from as many people as were asked for.
    fn check_labels(&self) {
        let labels = self.labels();
        let names: BTreeSet<&str> = labels.iter().map(|row| text(&row["image"])).collect();
        assert_eq!((labels.len(), names.len()), (IMAGES, IMAGES));
        for row in &labels {
            assert!(row["label"].is_string(), "{row}");
            assert_eq!(row["answers"], 3, "{row}");
        }
    }

    /// The platform has one task for each image, and one for each control image in a pool.
    fn check_tasks(&self) {
        let crowd = self.crowd().unwrap();
        let tasks = rows(&crowd, "SELECT kind, pool, body FROM tasks", |row| {
            let (kind, pool): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok((kind, pool, image_in(&row.get::<_, String>(2)?)))
        });
        let real = || tasks.iter().filter(|(kind, _, _)| *kind == 0);
        let images: BTreeSet<ImageId> = real().map(|(_, _, image)| *image).collect();
        assert_eq!((real().count(), images.len()), (IMAGES, IMAGES));
        let distinct: BTreeSet<_> = tasks.iter().collect();
        assert_eq!(distinct.len(), tasks.len(), "a control image came twice");
        let controls = |kind: i64| {
            let of_kind = tasks.iter().filter(|(found, _, _)| *found == kind);
            of_kind
                .map(|(_, _, image)| *image)
                .collect::<BTreeSet<_>>()
                .len()
        };
        let (exam, golden) = (files(&demo().join("exam")), files(&demo().join("golden")));
        assert_eq!(controls(1), exam.len() + golden.len());
        assert_eq!(controls(2), files(&demo().join("training")).len());
    }

    /// Nobody answered a task twice, and the results hold every answer that was accepted.
    fn check_work(&self) {
        let crowd = self.crowd().unwrap();
        let twice =
            "SELECT a.worker, x.task FROM answers x JOIN assignments a ON a.n = x.assignment
             WHERE x.answer IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1";
        let twice = rows(&crowd, twice, |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        });
        assert_eq!(twice, []);
        let accepted: i64 = crowd
            .query_row(
                "SELECT count(*) FROM answers x JOIN assignments a ON a.n = x.assignment
                 JOIN pools p ON p.id = a.pool JOIN tasks t ON t.n = x.task
                 WHERE a.status = 'ACCEPTED' AND a.cost <> '0' AND t.kind = 0",
                [],
                |row| row.get(0),
            )
            .unwrap();
        let counted: i64 = self
            .manifests()
            .values()
            .map(|manifest| manifest["counts"]["answers"].as_i64().unwrap())
            .sum();
        assert_eq!(counted, accepted);
    }

    /// What the platform took, what the pages cost, what the manifests state and what the ledger
    /// has committed is one sum.
    fn check_money(&self) {
        let crowd = self.crowd().unwrap();
        let accounts = rows(&crowd, "SELECT balance, held FROM requesters", |row| {
            Ok((money(row, 0)?, money(row, 1)?))
        });
        let [(balance, held)] = accounts[..] else {
            panic!("{accounts:?}")
        };
        assert_eq!(held, Decimal::ZERO);
        let paid = Decimal::from(1_000_000) - balance;
        let costs = rows(
            &crowd,
            "SELECT reward, cost FROM assignments WHERE status = 'ACCEPTED' AND cost <> '0'",
            |row| Ok((money(row, 0)?, money(row, 1)?)),
        );
        let page: (Decimal, Decimal) = ("0.05".parse().unwrap(), "0.06".parse().unwrap());
        let paid_pages: Vec<_> = costs
            .iter()
            .filter(|(reward, _)| !reward.is_zero())
            .collect();
        assert!(paid_pages.iter().all(|found| **found == page), "{costs:?}");
        assert_eq!(paid, page.1 * Decimal::from(paid_pages.len()));
        let stated: Decimal = self
            .manifests()
            .values()
            .map(|manifest| manifest["cost"].to_string().parse::<Decimal>().unwrap())
            .sum();
        assert_eq!(stated, paid);
        let ledger = self.ledger().unwrap();
        let committed = rows(&ledger, "SELECT committed FROM campaign", |row| {
            money(row, 0)
        });
        assert_eq!(committed, [paid]);
    }

    /// Every event is a whole line, told once; no half-written file is left.
    fn check_leftovers(&self) {
        let events = BufReader::new(fs::File::open(self.path("state/events.jsonl")).unwrap());
        let mut told = BTreeSet::new();
        for line in events.lines() {
            let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
            assert!(told.insert(text(&event["id"]).to_owned()), "{event}");
            assert_ne!(event["detail-type"], "Problem", "{event}");
        }
        let hidden: Vec<PathBuf> = files(self.folder.path())
            .into_iter()
            .filter(|file| text_of(file).starts_with('.'))
            .collect();
        assert_eq!(hidden, Vec::<PathBuf>::new());
    }
}

/// The demo's folder: real images, and control images with known answers.
fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("demo")
}

/// Every file below a folder, in order; none if there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
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

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}

fn open(file: &Path) -> Option<Connection> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    Some(connection)
}

fn count_in(database: &Connection, table: &str) -> Option<usize> {
    let query = format!("SELECT count(*) FROM {table}");
    let count: i64 = database.query_row(&query, [], |row| row.get(0)).ok()?;
    usize::try_from(count).ok()
}

fn rows<T>(
    database: &Connection,
    query: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Vec<T> {
    let mut statement = database.prepare(query).unwrap();
    let found = statement.query_map([], |row| read(row)).unwrap();
    found.map(Result::unwrap).collect()
}

/// The image that a task shows.
fn image_in(body: &str) -> ImageId {
    let body: Value = serde_json::from_str(body).unwrap();
    link::image_of(text(&body["input_values"]["image"])).unwrap()
}

fn money(row: &Row<'_>, at: usize) -> rusqlite::Result<Decimal> {
    Ok(row.get::<_, String>(at)?.parse().unwrap())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn text_of(file: &Path) -> &str {
    file.file_name().unwrap().to_str().unwrap()
}
