//! What must be so, whatever happened.
//!
//! | when | what |
//! |---|---|
//! | always | no write counts under a fence that is not the latest; what was paid, and is in workers' hands, is within the budget; requests stay within the platform's limit |
//! | whenever nothing runs | what a queue has forgotten the ledger knows; no image has two tasks, no task is without its IMAGE item; states never go back; a close and a manifest never change |
//! | in the end | every upload has one label or one reason; the ledger's money is what the crowd was paid; every round has one manifest, and its files have the very bytes of a run without faults over the same answers |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::FutureExt as _;
use quorate_core::ids::{BatchId, ImageId, RoundId};
use quorate_core::state::{BatchState, Close, Kind, Outcome, Round, RoundState};
use quorate_results::{FileEntry, Manifest};
use quorate_testkit::sim::Records;
use quorate_testkit::sim::crowd::Pool;
use rust_decimal::Decimal;
use serde_json::Value;

use crate::oracle;
use crate::script::CAMPAIGN;
use crate::site::Site;

/// Requests to the crowd in a second: Toloka's limit.
const REQUESTS_PER_SECOND: u64 = 300;

/// Looks on.
#[derive(Debug, Default)]
pub struct Watch {
    /// The largest budget so far, in dollars.
    budget: Decimal,
    rounds: BTreeMap<RoundId, (RoundState, Option<Close>)>,
    done: BTreeSet<BatchId>,
    manifests: BTreeMap<String, Arc<[u8]>>,
    /// Uploads of which the queue has forgotten, by key: their versions.
    forgotten: BTreeMap<String, String>,
}

fn require(so: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if so { Ok(()) } else { Err(otherwise()) }
}

impl Watch {
    /// The campaign is given this budget, in cents.
    pub fn budget(&mut self, cents: u32) {
        self.budget = self.budget.max(Decimal::new(i64::from(cents), 2));
    }

    /// The queue has forgotten these messages of uploads.
    pub fn forgotten(&mut self, messages: &[String]) {
        for message in messages {
            let message: Value = serde_json::from_str(message).unwrap_or_default();
            let object = &message["detail"]["object"];
            if let (Some(key), Some(version)) =
                (object["key"].as_str(), object["version-id"].as_str())
                && key.starts_with(&format!("{CAMPAIGN}/images/"))
            {
                self.forgotten.insert(key.to_owned(), version.to_owned());
            }
        }
    }

    /// Checks what is so at every moment.
    ///
    /// # Errors
    /// What is not.
    pub fn always(&self, site: &Site) -> Result<(), String> {
        let cost = site.crowd.money().paid_and_held();
        require(cost <= self.budget, || {
            format!(
                "{cost} dollars are paid or promised, the budget is {}",
                self.budget
            )
        })?;
        if let Some(broken) = site.broken_rule() {
            return Err(broken);
        }
        let busiest = site.crowd.busiest_second();
        require(busiest <= REQUESTS_PER_SECOND, || {
            format!("the crowd got {busiest} requests in one second")
        })
    }

    /// Checks what is so whenever no function runs.
    ///
    /// # Errors
    /// What is not.
    pub fn quiet(&mut self, site: &Site) -> Result<(), String> {
        site.ledger.look(|records| {
            self.forward(records)?;
            site.crowd.look(|pools| tasks_are_single(records, pools))
        })?;
        self.manifests_stay(site)?;
        self.nothing_is_forgotten(site)
    }

    /// What a queue has forgotten the ledger knows, or its reason is told.
    fn nothing_is_forgotten(&mut self, site: &Site) -> Result<(), String> {
        if self.forgotten.is_empty() {
            return Ok(());
        }
        let current: BTreeMap<String, ImageId> = uploads(site).into_iter().collect();
        let results = site.results.current();
        for (key, version) in std::mem::take(&mut self.forgotten) {
            let id = ImageId::of_object("uploads", &key, &version);
            if current.get(&key) != Some(&id) {
                continue;
            }
            let record = format!("{CAMPAIGN}/rejected/{id}.json");
            let told = results.contains_key(&record);
            require(
                told || site
                    .ledger
                    .look(|records| admitted(records).any(|it| it == id)),
                || format!("the queue has forgotten {key}, and the ledger does not know it"),
            )?;
        }
        Ok(())
    }

    /// No state goes back, no close changes.
    fn forward(&mut self, records: &Records) -> Result<(), String> {
        for (id, round) in &records.rounds {
            let now = (round.state, round.close.clone());
            if let Some((state, close)) = self.rounds.insert(id.clone(), now) {
                require(round.state >= state, || {
                    format!("round {id} went back from {state:?} to {:?}", round.state)
                })?;
                require(close.is_none() || close == round.close, || {
                    format!(
                        "round {id} was closed twice: {close:?}, then {:?}",
                        round.close
                    )
                })?;
            }
        }
        for id in &self.done {
            let state = records.batches.get(id).map(|batch| batch.state);
            require(state == Some(BatchState::Done), || {
                format!("batch {id} was done and is {state:?}")
            })?;
        }
        let batches = records.batches.values();
        let done = batches.filter(|batch| batch.state == BatchState::Done);
        self.done.extend(done.map(|batch| batch.id));
        Ok(())
    }

    fn manifests_stay(&mut self, site: &Site) -> Result<(), String> {
        let current = site.results.current();
        for (key, body) in &current {
            if !key.ends_with("_manifest.json") {
                continue;
            }
            let before = self.manifests.insert(key.clone(), Arc::clone(body));
            require(before.is_none_or(|before| before == *body), || {
                format!("{key} was written twice")
            })?;
        }
        let gone = self
            .manifests
            .keys()
            .find(|key| !current.contains_key(*key));
        require(gone.is_none(), || format!("{gone:?} is gone"))
    }

    /// What is not finished yet.
    #[must_use]
    pub fn missing(&self, site: &Site) -> Option<String> {
        let unfinished = site.ledger.look(|records| {
            let mut rounds = records.rounds.values();
            let unfinished =
                rounds.find(|it| it.state != RoundState::Aggregated && it.counts.images > 0);
            if let Some(round) = unfinished {
                return Some(format!("round {}", told(round, site)));
            }
            let mut batches = records.batches.values();
            let waits = batches.find(|it| it.state != BatchState::Done && it.kind == Kind::Real);
            waits.map(|batch| format!("batch {} is {:?}", batch.id, batch.state))
        });
        unfinished.or_else(|| {
            let ends = ends(site).ok()?;
            let uploads = uploads(site).into_iter();
            let mut lost = uploads.filter(|(_, id)| !ends.contains_key(id));
            lost.next()
                .map(|(key, _)| format!("{key} has neither label nor reason"))
        })
    }

    /// Checks what must be so in the end.
    ///
    /// # Errors
    /// What is not.
    pub fn end(&mut self, site: &Site) -> Result<(), String> {
        let ends = ends(site)?;
        for (key, id) in uploads(site) {
            let found = ends.get(&id).map_or(0, Vec::len);
            require(found == 1, || {
                format!(
                    "{key} ({id}) has {found} labels or reasons: {:?}",
                    ends.get(&id)
                )
            })?;
        }
        for (id, found) in &ends {
            require(found.len() == 1, || {
                format!(
                    "image {id} has {} labels or reasons: {found:?}",
                    found.len()
                )
            })?;
        }
        site.ledger
            .look(|records| admitted_have_ends(records, &ends))?;
        money_adds_up(site)?;
        secrets_are_kept(site)?;
        for round in rounds(site) {
            if round.state == RoundState::Aggregated {
                results_are_whole(site, &round.id)?;
                oracle::same_without_faults(site, &round.id)?;
            }
        }
        Ok(())
    }
}

/// How a round stands, for a person who wants to know why it is not over.
fn told(round: &Round, site: &Site) -> String {
    let pool = site.crowd.look(|pools| {
        let pool = pools.get(&round.pool.as_ref()?.id)?;
        let answers: Vec<u32> = pool.tasks.iter().map(|task| task.done).collect();
        Some(format!(
            "open {}, last closed {:?}, at least {} images a page, answers {answers:?}",
            pool.open,
            pool.close_reason,
            pool.least_images()
        ))
    });
    format!(
        "{} is {:?} with {:?}, opened with {} batches, {} dollars reserved; its pool: {}",
        round.id,
        round.state,
        round.counts,
        round.opened_with,
        round.reserved,
        pool.unwrap_or_default()
    )
}

fn rounds(site: &Site) -> Vec<Round> {
    site.ledger
        .look(|records| records.rounds.values().cloned().collect())
}

/// Every image that was taken in.
fn admitted(records: &Records) -> impl Iterator<Item = ImageId> {
    let real = records.batches.values().filter(|it| it.kind == Kind::Real);
    let members = real.flat_map(|it| it.members.iter().map(|image| image.id));
    members.chain(records.aliases.values().flat_map(|it| it.keys().copied()))
}

/// No image has two tasks, and no task is without its IMAGE item.
fn tasks_are_single(records: &Records, pools: &BTreeMap<String, Pool>) -> Result<(), String> {
    let mut tasks: BTreeMap<ImageId, &str> = BTreeMap::new();
    for pool in pools.values() {
        let mut here = BTreeSet::new();
        for task in &pool.tasks {
            require(here.insert(task.image), || {
                format!("pool {} has two tasks of image {}", pool.id, task.image)
            })?;
            if task.known.is_some() {
                continue;
            }
            let other = tasks.insert(task.image, &task.id);
            require(other.is_none(), || {
                format!(
                    "image {} has two tasks: {other:?} and {}",
                    task.image, task.id
                )
            })?;
            require(records.images.contains_key(&task.image), || {
                format!(
                    "task {} has an image {} that is no IMAGE item",
                    task.id, task.image
                )
            })?;
        }
    }
    Ok(())
}

/// The uploads that are there now and ask for a label, each with the identity of its image.
fn uploads(site: &Site) -> Vec<(String, ImageId)> {
    let prefix = format!("{CAMPAIGN}/images/");
    let now = |key: &String| {
        use quorate_core::ports::Objects as _;
        let meta = site.uploads.head(key).now_or_never()?.ok()??;
        Some((
            key.clone(),
            ImageId::of_object("uploads", key, &meta.version),
        ))
    };
    let current = site.uploads.current();
    let keys = current.keys().filter(|key| key.starts_with(&prefix));
    keys.filter_map(now).collect()
}

/// How every image ended that has an end: the rows of all committed results, and the reasons of
/// uploads that could not become tasks.
fn ends(site: &Site) -> Result<BTreeMap<ImageId, Vec<String>>, String> {
    let mut ends: BTreeMap<ImageId, Vec<String>> = BTreeMap::new();
    let objects = site.results.current();
    for (key, body) in &objects {
        let rows: Vec<Value> = if key.contains("/rejected/") {
            vec![read(key, body)?]
        } else if let Some(folder) = key.strip_suffix("labels.jsonl")
            && objects.contains_key(&format!("{folder}_manifest.json"))
        {
            let lines = body
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty());
            lines
                .map(|line| read(key, line))
                .collect::<Result<_, _>>()?
        } else {
            continue;
        };
        for row in rows {
            let id = row["image_id"]
                .as_str()
                .unwrap_or_default()
                .parse::<ImageId>();
            let id = id.map_err(|_| format!("{key}: a row without an image: {row}"))?;
            let end = row["label"].as_str().or(row["reason"].as_str());
            let end = end.ok_or_else(|| format!("{key}: neither label nor reason: {row}"))?;
            ends.entry(id).or_default().push(format!("{key}: {end}"));
        }
    }
    Ok(ends)
}

fn read(key: &str, bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("{key}: {error}"))
}

/// Whatever was admitted has an end, also if its upload is gone since; and what became a task has
/// a row.
fn admitted_have_ends(
    records: &Records,
    ends: &BTreeMap<ImageId, Vec<String>>,
) -> Result<(), String> {
    for id in admitted(records) {
        require(ends.contains_key(&id), || {
            format!("image {id} was admitted and has no end")
        })?;
    }
    for round in records.rounds.values() {
        let of_round = |it: &&quorate_core::state::Batch| it.round.as_ref() == Some(&round.id);
        let batches: Vec<_> = records.batches.values().filter(of_round).collect();
        let tasks = batches
            .iter()
            .filter(|it| it.kind == Kind::Real)
            .flat_map(|it| &it.outcomes)
            .filter(|it| matches!(it, Outcome::Task(_)))
            .count() as u64;
        let counts = round.counts;
        require(
            counts.tasks == tasks && counts.batches == batches.len() as u64,
            || {
                format!(
                    "round {} counts {counts:?}, and has {} batches with {tasks} tasks",
                    round.id,
                    batches.len()
                )
            },
        )?;
    }
    Ok(())
}

/// In the end the ledger's money is what the crowd was paid: nothing is reserved any more.
fn money_adds_up(site: &Site) -> Result<(), String> {
    let money = site.crowd.money();
    let (committed, spent) = site.ledger.look(|records| {
        let committed: Decimal = records.campaigns.values().map(|it| it.committed).sum();
        let closes = records.rounds.values().filter_map(|it| it.close.as_ref());
        let open: Decimal = records
            .rounds
            .values()
            .filter(|it| it.close.is_none())
            .map(|it| it.reserved)
            .sum();
        (committed, closes.map(|it| it.spent).sum::<Decimal>() + open)
    });
    require(
        committed == spent && money.held.is_zero() && money.paid == spent,
        || {
            format!(
                "{committed} dollars are committed, rounds cost {spent}, the crowd got {money:?}"
            )
        },
    )
}

/// Nobody is told the key of links.
fn secrets_are_kept(site: &Site) -> Result<(), String> {
    let secret = String::from_utf8_lossy(crate::site::SECRET).into_owned();
    let hex = quorate_core::campaign::hex(crate::site::SECRET);
    let tells = |text: &str| text.contains(&secret) || text.contains(&hex);
    let told = site.told().into_iter().map(|event| format!("{event:?}"));
    let files = site.results.current().into_values();
    let mut texts = told.chain(files.map(|body| String::from_utf8_lossy(&body).into_owned()));
    require(!texts.any(|text| tells(&text)), || {
        "a secret was told".to_owned()
    })
}

/// Every file of a round is as its manifest says.
fn results_are_whole(site: &Site, round: &RoundId) -> Result<(), String> {
    let objects = site.results.current();
    let key = Manifest::key(round);
    let body = objects
        .get(&key)
        .ok_or_else(|| format!("round {round} is aggregated and has no manifest"))?;
    let manifest: Manifest =
        serde_json::from_slice(body).map_err(|error| format!("{key}: {error}"))?;
    for FileEntry { name, sha256, .. } in &manifest.files {
        use sha2::{Digest as _, Sha256};
        let file = format!("{}{name}", round.results_prefix());
        let digest = objects
            .get(&file)
            .map(|body| quorate_core::campaign::hex(&Sha256::digest(body)));
        require(digest.as_ref() == Some(sha256), || {
            format!("{file} is not what its manifest says")
        })?;
    }
    Ok(())
}
