//! What the pipeline tells the outside and itself: a round's end, every problem a person must know
//! of, and that the crowd moved.
//!
//! Events are delivered at least once. Their `id` is derived from what happened, so whoever keeps
//! ids tells a repeat; a bus that gives ids of its own leaves campaign and round for that. The JSON
//! schema of each is in the project's `events/`.

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{CampaignName, RoundId, event_id};
use crate::ports::{Clock as _, Notify as _, PortError, PortResult, World};
use crate::time::Timestamp;

/// An event as it goes over the bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Derived from what happened.
    pub id: Uuid,
    /// When it was told, RFC 3339.
    pub time: String,
    /// What happened: `detail-type` and `detail` on the bus.
    #[serde(flatten)]
    pub detail: Detail,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "detail-type", content = "detail")]
pub enum Detail {
    /// Every answer of a round is in: `aggregate-pool` is to work on it.
    PoolClosed(PoolClosed),
    /// A round's results are committed.
    RoundAggregated(RoundAggregated),
    /// Something that a person must know of.
    Problem(Problem),
    /// The crowd says that pools moved: `check-pools` need not wait for its tick.
    CrowdMoved(CrowdMoved),
}

/// Every answer of a round is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolClosed {
    /// The campaign.
    pub campaign: CampaignName,
    /// The round's number.
    pub round: u32,
}

/// A round's results are committed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundAggregated {
    /// The campaign.
    pub campaign: CampaignName,
    /// The round's number.
    pub round: u32,
    /// Where the results are in the results bucket: the manifest's key.
    pub manifest: String,
    /// Images with a label.
    pub labelled: u64,
    /// Images without one; `labels.csv` says why.
    pub unlabelled: u64,
    /// Money spent in the round, fee included, in dollars.
    #[serde(with = "rust_decimal::serde::float")]
    pub cost: Decimal,
    /// Share of right answers to control tasks, 0 to 1, if there were any.
    pub golden_accuracy: Option<f64>,
}

/// What kind of problem a person must know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// A campaign's files do not define a campaign.
    CampaignInvalid,
    /// A campaign was changed while a round was open; the round goes on as it was.
    CampaignChanged,
    /// An upload cannot become a task.
    UploadRejected,
    /// An image's name has another format's extension; it is taken as what it is.
    UploadMisnamed,
    /// A key got new content after its first was sent to the crowd: both are labelled.
    UploadOverwritten,
    /// The budget does not cover more images; they wait.
    BudgetReached,
    /// A pool asks for a training that has no tasks: nobody could be admitted.
    TrainingWithoutTasks,
    /// The account's balance does not cover a pool.
    NotEnoughBalance,
    /// A pool was closed before its work was done.
    PoolClosedEarly,
    /// Work fails again and again.
    Stuck,
}

/// Something that a person must know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind.
    pub kind: ProblemKind,
    /// The campaign's folder name, as uploaded.
    pub campaign: String,
    /// The round it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// The key of the object it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What happened and what to do.
    pub message: String,
}

/// The crowd says that pools moved. A hint: what is so is asked of the crowd itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrowdMoved {
    /// The crowd's ids of the pools.
    pub pools: BTreeSet<String>,
    /// What happened there, in the crowd's words, e.g. `POOL_CLOSED`.
    pub kinds: BTreeSet<String>,
}

impl Event {
    /// The crowd says that pools moved. `occasions` are the ids of what it told.
    #[must_use]
    pub fn crowd_moved(detail: CrowdMoved, occasions: &[&str], now: Timestamp) -> Self {
        let occasion = occasions.join(" ");
        Self {
            id: event_id(&["CrowdMoved", &occasion]),
            time: now.to_string(),
            detail: Detail::CrowdMoved(detail),
        }
    }

    /// Every answer of `round` is in.
    #[must_use]
    pub fn pool_closed(round: &RoundId, now: Timestamp) -> Self {
        Self {
            id: event_id(&["PoolClosed", &round.to_string()]),
            time: now.to_string(),
            detail: Detail::PoolClosed(PoolClosed {
                campaign: round.campaign.clone(),
                round: round.number,
            }),
        }
    }

    /// The results of a round are committed.
    #[must_use]
    pub fn round_aggregated(detail: RoundAggregated, now: Timestamp) -> Self {
        let round = format!("{}/{}", detail.campaign, detail.round);
        Self {
            id: event_id(&["RoundAggregated", &round]),
            time: now.to_string(),
            detail: Detail::RoundAggregated(detail),
        }
    }

    /// A problem. `occasion` tells repeats of the same problem from a new one (an image id, a
    /// revision, a round): what is told for the same occasion has the same id.
    #[must_use]
    pub fn problem(problem: Problem, occasion: &str, now: Timestamp) -> Self {
        let kind = format!("{:?}", problem.kind);
        Self {
            id: event_id(&["Problem", &kind, &problem.campaign, occasion]),
            time: now.to_string(),
            detail: Detail::Problem(problem),
        }
    }
}

/// Tells a person of a problem, once for each `occasion` (see [`Event::problem`]).
///
/// # Errors
/// If the event cannot be delivered.
pub async fn tell<W: World>(world: &W, problem: Problem, occasion: &str) -> PortResult<()> {
    let event = Event::problem(problem, occasion, world.clock().now());
    world.notify().notify(&event).await
}

/// Tells a person, once a day, that a campaign's work does not go on because of the crowd or the
/// cloud. It goes on by itself when the cause is gone.
///
/// # Errors
/// If the event cannot be delivered.
pub async fn tell_stuck<W: World>(
    world: &W,
    campaign: &CampaignName,
    round: Option<u32>,
    error: &PortError,
) -> PortResult<()> {
    let (cause, hint) = match error {
        PortError::Unavailable(_) => ("unavailable", "it is tried again every few minutes"),
        PortError::Blocked { .. } => ("blocked", "it waits until the quota renews"),
        PortError::Refused(_) => (
            "refused",
            "mend the cause (the token, its rights, the campaign); it is tried again every few minutes",
        ),
    };
    let problem = Problem {
        kind: ProblemKind::Stuck,
        campaign: campaign.to_string(),
        round,
        key: None,
        message: format!("work does not go on: {error}; nothing is lost, {hint}"),
    };
    let now = world.clock().now().to_string();
    let day = now.split_once('T').map_or(now.as_str(), |(day, _)| day);
    tell(world, problem, &format!("{cause}/{day}")).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_as_the_bus_writes_it() {
        let round = RoundId {
            campaign: "cells".parse().unwrap(),
            number: 2,
        };
        let event = Event::pool_closed(&round, Timestamp(0));
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["detail-type"], "PoolClosed");
        assert_eq!(
            json["detail"],
            serde_json::json!({"campaign": "cells", "round": 2})
        );
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
    }
}
