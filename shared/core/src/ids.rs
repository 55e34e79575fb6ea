//! Identities. They are derived from what they name, never random, so that a repeated event
//! finds the work that its first delivery left.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The namespace of every derived id of this project.
const NAMESPACE: Uuid = Uuid::from_u128(0x0f1c_6f3e_5a0d_5c3b_9b1e_7a54_3c52_11aa);

/// `uuid5` over parts, each preceded by its length so that no two lists of parts run together.
fn derive(kind: &str, parts: &[&str]) -> Uuid {
    let mut name = String::from(kind);
    for part in parts {
        name.push_str(&format!("\u{0}{}:", part.len()));
        name.push_str(part);
    }
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// One upload: a version of an object, or a row of one.
    ImageId
);
uuid_id!(
    /// The images that go to the crowd in one request.
    BatchId
);
uuid_id!(
    /// The crowd's idempotency key of a batch: sending it again creates nothing again.
    OperationId
);

impl ImageId {
    /// The image in `bucket` under `key` as of `version` (the version id, else the etag).
    #[must_use]
    pub fn of_object(bucket: &str, key: &str, version: &str) -> Self {
        Self(derive("image", &[bucket, key, version]))
    }

    /// Row `number` (from 1) of the rows file in `bucket` under `key` as of `version`.
    #[must_use]
    pub fn of_row(bucket: &str, key: &str, version: &str, number: u64) -> Self {
        Self(derive("row", &[bucket, key, version, &number.to_string()]))
    }
}

impl BatchId {
    /// The batch that sends `members`, in this order, to the destination `target`.
    ///
    /// `target` is the campaign for images (they may wait for the next round) and the pool for
    /// control tasks (which are sent once to every pool).
    #[must_use]
    pub fn of(target: &str, members: impl IntoIterator<Item = ImageId>) -> Self {
        let ids: Vec<String> = members.into_iter().map(|id| id.to_string()).collect();
        let mut parts = vec![target];
        parts.extend(ids.iter().map(String::as_str));
        Self(derive("batch", &parts))
    }

    /// The operation id under which this batch is sent, however often.
    #[must_use]
    pub fn operation(self) -> OperationId {
        OperationId(derive("operation", &[&self.to_string()]))
    }
}

/// A derived id for an event, so that its consumers can drop repeats.
#[must_use]
pub fn event_id(parts: &[&str]) -> Uuid {
    derive("event", parts)
}

/// The name of a campaign: the first folder of its keys.
///
/// Lower-case letters, digits, `-`, `_` and `.`; starts with a letter or digit; at most 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct CampaignName(String);

/// A folder name that cannot be a campaign's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} cannot name a campaign: use 1 to 64 lower-case letters, digits, '-', '_' or '.', \
     starting with a letter or digit"
)]
pub struct BadCampaignName(String);

impl FromStr for CampaignName {
    type Err = BadCampaignName;
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        if starts_well && name.len() <= 64 && name.chars().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            Err(BadCampaignName(name.to_owned()))
        }
    }
}

impl<'de> Deserialize<'de> for CampaignName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

impl CampaignName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CampaignName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One intake window of a campaign, written `campaign/7`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoundId {
    /// Whose round.
    pub campaign: CampaignName,
    /// Its number, from 1.
    pub number: u32,
}

impl RoundId {
    /// Where this round's results are: `<campaign>/round=<n>/`.
    #[must_use]
    pub fn results_prefix(&self) -> String {
        format!("{}/round={}/", self.campaign, self.number)
    }
}

impl fmt::Display for RoundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.campaign, self.number)
    }
}

impl FromStr for RoundId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || format!("{text:?} is not a round: write campaign/number, e.g. cells/1");
        let (campaign, number) = text.rsplit_once('/').ok_or_else(bad)?;
        Ok(Self {
            campaign: campaign.parse().map_err(|_| bad())?,
            number: number.parse().map_err(|_| bad())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_every_time_and_parts_never_run_together() {
        let id = ImageId::of_object("b", "cells/images/1.jpg", "v");
        assert_eq!(id, ImageId::of_object("b", "cells/images/1.jpg", "v"));
        assert_ne!(
            ImageId::of_object("a", "bc", "v"),
            ImageId::of_object("ab", "c", "v")
        );
        assert_ne!(BatchId::of("t", [id]), BatchId::of("t", [id, id]));
        // The crowd dedupes by it: sent again, a batch has the operation id that it had.
        assert_eq!(
            BatchId::of("t", [id]).operation(),
            BatchId::of("t", [id]).operation()
        );
        assert_ne!(
            BatchId::of("t", [id]).operation(),
            BatchId::of("u", [id]).operation()
        );
    }

    #[test]
    fn campaign_names_are_safe_path_segments() {
        for good in ["cells", "cells-2026", "a.b_c", "7"] {
            assert!(good.parse::<CampaignName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            ".hidden",
            "Cells",
            "a/b",
            "a b",
            "é",
            &"x".repeat(65),
        ] {
            assert!(bad.parse::<CampaignName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_round_is_read_back_as_written() {
        let round = RoundId {
            campaign: "cells".parse().unwrap(),
            number: 3,
        };
        assert_eq!(round.to_string().parse::<RoundId>().unwrap(), round);
        assert_eq!(round.results_prefix(), "cells/round=3/");
    }
}
