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

/// The recorded exchanges. Three hold what the API cannot: a project's id that is a number, and
/// twice an operation's id that is no UUID; it is put right here.
pub(crate) fn exchanges() -> Vec<Exchange> {
    const UUID: &str = "00000000-0000-4000-8000-000000000001";
    let mut exchanges: Vec<Exchange> = read("exchanges.json");
    let mut repaired = 0;
    for exchange in &mut exchanges {
        if let Some(id) = exchange.response["id"].as_u64() {
            exchange.response["id"] = id.to_string().into();
            repaired += 1;
        }
        for (name, value) in &mut exchange.query {
            if name == "operation_id" && value.parse::<uuid::Uuid>().is_err() {
                UUID.clone_into(value);
                repaired += 1;
            }
        }
    }
    assert_eq!(repaired, 3);
    exchanges
}
