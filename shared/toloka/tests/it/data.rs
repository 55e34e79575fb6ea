//! The recorded exchanges, see `tests/data/README.md`.

use std::{fs, path::Path};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// One request of toloka-kit and its answer.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) kit_method: String,
    pub(crate) method: String,
    pub(crate) route: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Value,
    pub(crate) status: u16,
    pub(crate) response: Value,
}

/// The requests of one published example.
#[derive(Debug, Deserialize)]
pub(crate) struct Flow {
    pub(crate) flow: String,
    pub(crate) requests: Vec<FlowRequest>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct FlowRequest {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Value,
}

pub(crate) fn read<T: DeserializeOwned>(file: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(file);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// All but one in which the authors wrote a project's id as a number; ids are strings.
pub(crate) fn exchanges() -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = read("exchanges.json");
    let all = exchanges.len();
    exchanges.retain(|exchange| !exchange.response["id"].is_number());
    assert_eq!(all - exchanges.len(), 1);
    exchanges
}
