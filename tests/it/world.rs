//! A stack in a folder of its own, on simulated time.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate_core::ids::CampaignName;
use quorate_core::state::Round;
use quorate_crowd::Clock;
use quorate_local::day::{DAWN, Day};
use quorate_local::stack::Config;
use quorate_results::Manifest;
use reqwest::Method;
use rust_decimal::Decimal;
use serde_json::Value;

/// A running stack and its folder.
pub(crate) struct World {
    pub(crate) day: Day,
    folder: tempfile::TempDir,
}

impl World {
    /// A stack with so many simulated workers; `truth` is what they know, by file name.
    pub(crate) async fn new(workers: usize, truth: &[(&str, &str)]) -> Self {
        Self::with_fee(workers, truth, Decimal::ZERO).await
    }

    /// The same with a platform that asks for this share of every reward.
    pub(crate) async fn with_fee(workers: usize, truth: &[(&str, &str)], fee: Decimal) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            data: folder.path().to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock: Clock::manual(DAWN.parse().unwrap()),
            seed: 1,
            fee,
        };
        let truth: BTreeMap<String, String> = truth
            .iter()
            .map(|(file, label)| ((*file).to_owned(), (*label).to_owned()))
            .collect();
        let day = Day::begin(config, workers, &truth).await.unwrap();
        Self { day, folder }
    }

    /// Puts a file into the uploads folder, without telling anybody.
    pub(crate) fn put(&self, key: &str, bytes: impl AsRef<[u8]>) {
        let path = self.upload_path(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Where an upload's file is.
    pub(crate) fn upload_path(&self, key: &str) -> PathBuf {
        self.folder.path().join("uploads").join(key)
    }

    /// Where a file of the stack's state is.
    pub(crate) fn state_path(&self, name: &str) -> PathBuf {
        self.folder.path().join("state").join(name)
    }

    /// Delivers the events of these keys, all in one batch; every record must be taken.
    pub(crate) async fn deliver(&self, keys: &[&str]) {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        assert_eq!(self.day.upload(&keys).await.unwrap(), Vec::<String>::new());
    }

    /// Puts a file and delivers its event.
    pub(crate) async fn drop_file(&self, key: &str, bytes: impl AsRef<[u8]>) {
        self.put(key, bytes);
        self.deliver(&[key]).await;
    }

    /// Works until every round of the campaign is aggregated.
    pub(crate) async fn work(&mut self, campaign: &str) -> Vec<Round> {
        let name: CampaignName = campaign.parse().unwrap();
        self.day.work(&name, |_, _| {}).await.unwrap()
    }

    /// Lets minutes pass, each with a tick before and behind it.
    pub(crate) async fn minutes(&mut self, minutes: u32) {
        for _ in 0..minutes {
            self.day.tick().await.unwrap();
            self.day.pass(Duration::from_secs(60)).await.unwrap();
        }
        self.day.tick().await.unwrap();
    }

    /// The pool of a campaign's newest round.
    pub(crate) async fn pool(&self, campaign: &str) -> String {
        let rounds = self.rounds(campaign).await;
        rounds.last().unwrap().pool.as_ref().unwrap().id.clone()
    }

    /// The real tasks of a pool, as the platform tells its requester.
    pub(crate) async fn tasks(&self, pool: &str) -> Vec<Value> {
        let answer = self
            .requester(Method::GET, &format!("tasks?pool_id={pool}&limit=1000"))
            .await;
        let tasks = answer["items"].as_array().unwrap().clone();
        let real = |task: &Value| task["known_solutions"].as_array().is_none_or(Vec::is_empty);
        tasks.into_iter().filter(real).collect()
    }

    /// The key of the pipeline's account at the platform.
    pub(crate) fn requester_key(&self) -> String {
        let secrets = fs::read(self.state_path("secrets.json")).unwrap();
        let secrets: Value = serde_json::from_slice(&secrets).unwrap();
        secrets["requester_key"].as_str().unwrap().to_owned()
    }

    /// A request that the campaign's owner makes at the platform, past the pipeline.
    pub(crate) async fn requester(&self, method: Method, path: &str) -> Value {
        let key = self.requester_key();
        let url = format!("{}/api/v1/{path}", self.day.stack().base_url());
        let request = quorate_toloka::http_builder()
            .build()
            .unwrap()
            .request(method, url)
            .header("Authorization", format!("ApiKey {key}"));
        let answer = request.send().await.unwrap().error_for_status().unwrap();
        answer.json().await.unwrap()
    }

    pub(crate) async fn rounds(&self, campaign: &str) -> Vec<Round> {
        self.day.rounds(&campaign.parse().unwrap()).await.unwrap()
    }

    /// The rows of a round's `labels.jsonl`.
    pub(crate) fn labels(&self, campaign: &str, round: u32) -> Vec<Value> {
        let text =
            fs::read_to_string(self.result(&format!("{campaign}/round={round}/labels.jsonl")))
                .unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Where a result is.
    pub(crate) fn result(&self, key: &str) -> PathBuf {
        self.folder.path().join("results").join(key)
    }

    /// The manifest of a round.
    pub(crate) fn manifest(&self, campaign: &str, round: u32) -> Manifest {
        let path = self.result(&format!("{campaign}/round={round}/_manifest.json"));
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    /// The rows of a round's `answers.csv`, by column.
    pub(crate) fn answers(&self, campaign: &str, round: u32) -> Vec<BTreeMap<String, String>> {
        let path = self.result(&format!("{campaign}/round={round}/answers.csv"));
        let mut table = csv::Reader::from_path(path).unwrap();
        table.deserialize().map(Result::unwrap).collect()
    }

    /// The records of rejected uploads of a campaign, key and reason, in order.
    pub(crate) fn rejected(&self, campaign: &str) -> Vec<(String, String)> {
        let Ok(entries) = fs::read_dir(self.result(&format!("{campaign}/rejected"))) else {
            return Vec::new();
        };
        let mut records: Vec<(String, String)> = entries
            .map(|entry| {
                let record: Value =
                    serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
                let text = |field: &str| record[field].as_str().unwrap().to_owned();
                (text("key"), text("reason"))
            })
            .collect();
        records.sort();
        records
    }

    /// The messages of the problems of a kind that were told so far.
    pub(crate) fn problems(&self, kind: &str) -> Vec<String> {
        self.events()
            .into_iter()
            .filter(|event| event["detail"]["kind"] == kind)
            .map(|event| event["detail"]["message"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.state_path("events.jsonl")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// The row of `labels.jsonl` that names this key.
pub(crate) fn row<'a>(labels: &'a [Value], key: &str) -> &'a Value {
    let mut rows = labels.iter().filter(|row| row["image"] == key);
    let row = rows.next().unwrap_or_else(|| panic!("no row for {key}"));
    assert!(rows.next().is_none(), "two rows for {key}");
    row
}

/// The status that a link answers with, and the bytes.
pub(crate) async fn get(link: &str) -> (u16, Vec<u8>) {
    let answer = quorate_toloka::http_builder()
        .build()
        .unwrap()
        .get(link)
        .send()
        .await
        .unwrap();
    (
        answer.status().as_u16(),
        answer.bytes().await.unwrap().to_vec(),
    )
}

/// One of the demo's images, by its number.
pub(crate) fn blood_cell(number: usize) -> (String, Vec<u8>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/local/demo/images");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let file = &files[number];
    (
        file.file_name().unwrap().to_str().unwrap().to_owned(),
        fs::read(file).unwrap(),
    )
}

/// A small campaign of two labels.
pub(crate) const CATS: &str = r#"
question = "Cat or dog?"
labels = ["CAT", "DOG"]
overlap = 3
images_per_page = 4
reward_per_page = 0.05
budget = 100
[quality]
min_seconds_per_page = 0
"#;
