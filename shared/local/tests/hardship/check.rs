//! What must be true of a stack whatever happened to it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use quorate_core::campaign::hex;
use quorate_core::ids::ImageId;
use quorate_core::link;
use rusqlite::Row;
use rust_decimal::Decimal;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::stack::{BALANCE, BUDGET, Stack, controls, files, rows};

/// A round's states, in their order.
const STATES: [&str; 4] = ["OPEN", "SEALED", "CLOSED", "AGGREGATED"];

impl Stack {
    /// What must be true at every moment.
    pub(crate) fn check_so_far(&mut self) {
        self.check_manifests();
        self.check_states();
        self.check_budget();
        self.check_tasks();
    }

    /// What must be true in the end.
    pub(crate) fn check_done(&mut self) {
        self.check_so_far();
        let dropped = usize::try_from(self.dropped).unwrap();
        assert_eq!(self.count("round", "sum(tasks)"), Some(dropped));
        self.check_labels();
        self.check_work();
        self.check_money();
        self.check_leftovers();
    }

    /// A manifest is the last of a round's files: the others are there, as it says.
    pub(crate) fn check_new_manifests(&mut self) {
        for file in self.manifests() {
            if self.seen.contains_key(&file) {
                continue;
            }
            let manifest = read(&file);
            let entries = manifest["files"].as_array().unwrap();
            assert_eq!(entries.len(), 5, "{manifest}");
            for entry in entries {
                let body = fs::read(file.with_file_name(text(&entry["name"]))).unwrap();
                assert_eq!(hex(&Sha256::digest(body)), entry["sha256"], "{entry}");
            }
            self.seen.insert(file, manifest);
        }
    }

    /// A manifest never changes.
    fn check_manifests(&mut self) {
        self.check_new_manifests();
        for (file, manifest) in &self.seen {
            assert_eq!(read(file), *manifest);
        }
    }

    /// A round never goes back, and an aggregated one has its manifest.
    fn check_states(&mut self) {
        let Some(ledger) = self.ledger() else {
            return;
        };
        let rounds = rows(&ledger, "SELECT number, state FROM round", |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        });
        for (number, state) in rounds {
            let state = STATES.iter().position(|known| **known == state).unwrap();
            let before = self.reached.insert(number, state).unwrap_or(0);
            assert!(before <= state, "round {number} went back");
            let manifest = format!("results/cells/round={number}/_manifest.json");
            assert!(
                state < 3 || self.path(&manifest).is_file(),
                "round {number}"
            );
        }
    }

    /// What is committed and what was paid are within the budget.
    fn check_budget(&self) {
        let Some(ledger) = self.ledger() else {
            return;
        };
        let committed = rows(&ledger, "SELECT committed FROM campaign", |row| {
            money(row, 0)
        });
        let budget = Decimal::from(BUDGET);
        assert!(committed.iter().all(|sum| *sum <= budget), "{committed:?}");
        assert!(self.paid() <= budget);
    }

    /// No image has two tasks, no control image two in a pool.
    fn check_tasks(&self) {
        let Some(platform) = self.platform() else {
            return;
        };
        let tasks = rows(&platform, "SELECT kind, pool, body FROM tasks", |row| {
            let (kind, pool): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok((kind, pool, image_in(&row.get::<_, String>(2)?)))
        });
        let distinct: BTreeSet<_> = tasks.iter().collect();
        assert_eq!(distinct.len(), tasks.len(), "a control image came twice");
        let of_kind = |kind: i64| tasks.iter().filter(move |(found, _, _)| *found == kind);
        let images = |kind: i64| -> BTreeSet<ImageId> {
            of_kind(kind).map(|(_, _, image)| *image).collect()
        };
        assert_eq!(
            of_kind(0).count(),
            images(0).len(),
            "an image has two tasks"
        );
        assert!(images(1).len() <= controls("exam").len() + controls("golden").len());
        assert!(images(2).len() <= controls("training").len());
    }

    /// Every image has exactly one label, from as many people as were asked for.
    fn check_labels(&self) {
        let labels = self.labels();
        let names: BTreeSet<&str> = labels.iter().map(|row| text(&row["image"])).collect();
        let dropped = usize::try_from(self.dropped).unwrap();
        assert_eq!((labels.len(), names.len()), (dropped, dropped));
        for row in &labels {
            assert!(row["label"].is_string(), "{row}");
            assert_eq!(row["answers"], 3, "{row}");
        }
    }

    /// The rows of all rounds' `labels.jsonl`.
    fn labels(&self) -> Vec<Value> {
        let rows = |manifest: &PathBuf| {
            let text = fs::read_to_string(manifest.with_file_name("labels.jsonl")).unwrap();
            let rows: Vec<Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            rows
        };
        self.seen.keys().flat_map(rows).collect()
    }

    /// Nobody answered a task twice, and the results hold every answer that was accepted.
    fn check_work(&self) {
        let platform = self.platform().unwrap();
        let twice =
            "SELECT a.worker, x.task FROM answers x JOIN assignments a ON a.n = x.assignment
             WHERE x.answer IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1";
        let twice = rows(&platform, twice, |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        });
        assert_eq!(twice, []);
        let accepted: i64 = platform
            .query_row(
                "SELECT count(*) FROM answers x JOIN assignments a ON a.n = x.assignment
                 JOIN pools p ON p.id = a.pool JOIN tasks t ON t.n = x.task
                 WHERE a.status = 'ACCEPTED' AND a.cost <> '0' AND t.kind = 0",
                [],
                |row| row.get(0),
            )
            .unwrap();
        let counted: i64 = self
            .seen
            .values()
            .map(|manifest| manifest["counts"]["answers"].as_i64().unwrap())
            .sum();
        assert_eq!(counted, accepted);
    }

    /// What the platform took, what the pages cost, what the manifests state and what the ledger
    /// has committed is one sum.
    fn check_money(&self) {
        let platform = self.platform().unwrap();
        let held = rows(&platform, "SELECT held FROM requesters", |row| {
            money(row, 0)
        });
        assert_eq!(held, [Decimal::ZERO]);
        let costs = rows(
            &platform,
            "SELECT reward, cost FROM assignments WHERE status = 'ACCEPTED' AND cost <> '0'",
            |row| Ok((money(row, 0)?, money(row, 1)?)),
        );
        let page: (Decimal, Decimal) = ("0.05".parse().unwrap(), "0.06".parse().unwrap());
        let paid_pages: Vec<_> = costs
            .iter()
            .filter(|(reward, _)| !reward.is_zero())
            .collect();
        assert!(paid_pages.iter().all(|found| **found == page), "{costs:?}");
        let paid = self.paid();
        assert_eq!(paid, page.1 * Decimal::from(paid_pages.len()));
        let stated: Decimal = self
            .seen
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

    /// What the platform took from the requester.
    fn paid(&self) -> Decimal {
        let Some(platform) = self.platform() else {
            return Decimal::ZERO;
        };
        let balance = rows(&platform, "SELECT balance FROM requesters", |row| {
            money(row, 0)
        });
        balance
            .iter()
            .map(|left| Decimal::from(BALANCE) - left)
            .sum()
    }

    /// Every event is a whole line, told once; every round was told of; no half-written file is
    /// left.
    fn check_leftovers(&self) {
        let events = BufReader::new(fs::File::open(self.path("state/events.jsonl")).unwrap());
        let mut told = BTreeSet::new();
        let mut aggregated = 0;
        for line in events.lines() {
            let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
            assert!(told.insert(text(&event["id"]).to_owned()), "{event}");
            aggregated += usize::from(event["detail-type"] == "RoundAggregated");
        }
        assert_eq!(aggregated, self.seen.len());
        let hidden: Vec<PathBuf> = files(&self.path(""))
            .into_iter()
            .filter(|file| name_of(file).starts_with('.'))
            .collect();
        assert_eq!(hidden, Vec::<PathBuf>::new());
    }
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
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

fn name_of(file: &Path) -> &str {
    file.file_name().unwrap().to_str().unwrap()
}
