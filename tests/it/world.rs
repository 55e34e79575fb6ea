//! A stack in a folder of its own, on simulated time.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use quorate_core::ids::CampaignName;
use quorate_core::state::Round;
use quorate_crowd::Clock;
use quorate_local::day::{DAWN, Day};
use quorate_local::stack::Config;
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
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            data: folder.path().to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock: Clock::manual(DAWN.parse().unwrap()),
            seed: 1,
            fee: Decimal::ZERO,
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

    /// The records of rejected uploads of a campaign, by key, with the reason.
    pub(crate) fn rejected(&self, campaign: &str) -> BTreeMap<String, String> {
        let Ok(entries) = fs::read_dir(self.result(&format!("{campaign}/rejected"))) else {
            return BTreeMap::new();
        };
        entries
            .map(|entry| {
                let record: Value =
                    serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
                let text = |field: &str| record[field].as_str().unwrap().to_owned();
                (text("key"), text("reason"))
            })
            .collect()
    }

    /// The events told so far, problems by kind and message.
    pub(crate) fn problems(&self) -> Vec<(String, String)> {
        self.events()
            .into_iter()
            .filter(|event| event["detail-type"] == "Problem")
            .map(|event| {
                let text = |field: &str| event["detail"][field].as_str().unwrap().to_owned();
                (text("kind"), text("message"))
            })
            .collect()
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("state/events.jsonl")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
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
