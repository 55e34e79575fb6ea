//! The keys of items: see the [table](super).

use aws_sdk_dynamodb::types::AttributeValue;
use quorate_core::ids::{BatchId, CampaignName, ImageId, RoundId};
use uuid::Uuid;

use super::codec::Item;

/// The key attributes.
pub(super) const PK: &str = "pk";
pub(super) const SK: &str = "sk";
/// How the sort keys of a round's pointers to batches and of its aliases begin.
pub(super) const BATCHES: &str = "BATCH#";
pub(super) const ALIASES: &str = "ALIAS#";
/// The partitions of pointers.
pub(super) const CAMPAIGNS: &str = "CAMPAIGNS";
pub(super) const UNFINISHED: &str = "UNFINISHED";
/// Sort keys that are told from others of their partition.
pub(super) const TOTALS: &str = "TOTALS";
pub(super) const MEMBERS: &str = "MEMBERS";
pub(super) const POOL: &str = "POOL";
pub(super) const ROUND: &str = "ROUND";

/// Where an item is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) pk: String,
    pub(super) sk: String,
}

impl Key {
    pub(super) fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        let (pk, sk) = (pk.into(), sk.into());
        Self { pk, sk }
    }

    /// The key as the attributes of its item.
    pub(super) fn item(&self) -> Item {
        let text = |text: &String| AttributeValue::S(text.clone());
        Item::from([
            (PK.to_owned(), text(&self.pk)),
            (SK.to_owned(), text(&self.sk)),
        ])
    }
}

pub(super) fn in_campaign(name: &CampaignName) -> String {
    format!("CAMPAIGN#{name}")
}

pub(super) fn definition(name: &CampaignName) -> Key {
    Key::new(in_campaign(name), "DEFINITION")
}

pub(super) fn totals(name: &CampaignName) -> Key {
    Key::new(in_campaign(name), TOTALS)
}

pub(super) fn listed(name: &CampaignName) -> Key {
    Key::new(CAMPAIGNS, name.as_str())
}

pub(super) fn in_round(id: &RoundId) -> String {
    format!("ROUND#{id}")
}

pub(super) fn round(id: &RoundId) -> Key {
    Key::new(in_round(id), ROUND)
}

pub(super) fn pool(id: &RoundId) -> Key {
    Key::new(in_round(id), POOL)
}

pub(super) fn pointer(round: &RoundId, batch: BatchId) -> Key {
    Key::new(in_round(round), format!("{BATCHES}{batch}"))
}

pub(super) fn alias(round: &RoundId, image: ImageId) -> Key {
    Key::new(in_round(round), format!("{ALIASES}{image}"))
}

pub(super) fn unfinished(id: &RoundId) -> Key {
    Key::new(UNFINISHED, id.to_string())
}

pub(super) fn in_batch(id: BatchId) -> String {
    format!("BATCH#{id}")
}

pub(super) fn batch(id: BatchId) -> Key {
    Key::new(in_batch(id), "BATCH")
}

pub(super) fn members(id: BatchId) -> Key {
    Key::new(in_batch(id), MEMBERS)
}

pub(super) fn image(id: ImageId) -> Key {
    Key::new(format!("IMAGE#{id}"), "IMAGE")
}

pub(super) fn content(campaign: &CampaignName, sha256: &str) -> Key {
    Key::new(format!("CONTENT#{campaign}#{sha256}"), "CONTENT")
}

pub(super) fn in_controls(campaign: &CampaignName) -> String {
    format!("CONTROLS#{campaign}")
}

pub(super) fn control(campaign: &CampaignName, sha256: &str) -> Key {
    Key::new(in_controls(campaign), sha256)
}

pub(super) fn told(event: Uuid) -> Key {
    Key::new(format!("TOLD#{event}"), "TOLD")
}
