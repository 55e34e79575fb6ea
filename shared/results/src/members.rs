//! What is in a round: images, control images, and images that take another one's label.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ports::{Ledger, Objects, World};
use quorate_core::state::{Batch, Image, Kind, Outcome, Round, RoundState};
use quorate_core::{ImageId, RoundId};

use crate::error::Error;
use crate::results::Decision;
use crate::tables::Line;

/// An image, and what the crowd made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The image.
    pub image: Image,
    /// Its task or refusal; none while its batch is not done.
    pub outcome: Option<Outcome>,
}

/// Everything that is in a round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members {
    /// The images that went to the crowd.
    pub images: Vec<Member>,
    /// The control images.
    pub golden: Vec<Member>,
    /// The images that take the label of another one.
    pub aliases: Vec<Image>,
    /// Decisions of earlier rounds that aliases take over, by original.
    pub earlier: BTreeMap<ImageId, Decision>,
}

impl Members {
    /// Adds the members of a batch; those of exams and trainings are in no round.
    pub fn add_batch(&mut self, batch: Batch) {
        let mut outcomes = batch.outcomes.into_iter();
        let members = batch.members.into_iter().map(|image| Member {
            image,
            outcome: outcomes.next(),
        });
        match batch.kind {
            Kind::Real => self.images.extend(members),
            Kind::Golden => self.golden.extend(members),
            Kind::Exam | Kind::Training => {}
        }
    }

    /// The originals of aliases that are not images of this round.
    fn originals_elsewhere(&self) -> BTreeSet<ImageId> {
        let here: BTreeSet<ImageId> = self.images.iter().map(|member| member.image.id).collect();
        let originals = self.aliases.iter().filter_map(|alias| alias.same_as);
        originals.filter(|id| !here.contains(id)).collect()
    }
}

/// Reads what is in `round`, and the decisions of earlier rounds that it needs.
///
/// # Errors
/// [`Error::NotYet`] if such a decision is not made yet; [`Error::Port`].
pub(crate) async fn read<W: World>(world: &W, round: &Round) -> Result<Members, Error> {
    let ledger = world.ledger();
    let mut members = Members::default();
    let mut after = None;
    loop {
        let page = ledger.round_batches(&round.id, after.as_deref()).await?;
        page.items
            .into_iter()
            .for_each(|batch| members.add_batch(batch));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    loop {
        let page = ledger.round_aliases(&round.id, after.as_deref()).await?;
        members.aliases.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let wanted = members.originals_elsewhere();
    members.earlier = earlier_decisions(world, &round.id, wanted).await?;
    Ok(members)
}

/// The decisions on `wanted` in the rounds before `round`, the newest first. An image that is in
/// none of them is left out: it may be in a batch that waits for the budget.
async fn earlier_decisions<W: World>(
    world: &W,
    round: &RoundId,
    mut wanted: BTreeSet<ImageId>,
) -> Result<BTreeMap<ImageId, Decision>, Error> {
    let mut found = BTreeMap::new();
    let mut waits_for = None;
    for number in (1..round.number).rev() {
        if wanted.is_empty() {
            return Ok(found);
        }
        let id = RoundId {
            campaign: round.campaign.clone(),
            number,
        };
        match world.ledger().round(&id).await? {
            Some(earlier) if earlier.state == RoundState::Aggregated => {
                for (image, decision) in decisions_of(world, &id, &wanted).await? {
                    wanted.remove(&image);
                    found.insert(image, decision);
                }
            }
            Some(_) => waits_for = Some(id),
            None => {}
        }
    }
    match waits_for {
        Some(earlier) if !wanted.is_empty() => Err(Error::NotYet(earlier)),
        _ => Ok(found),
    }
}

/// What the committed results of `round` say about `wanted`.
async fn decisions_of<W: World>(
    world: &W,
    round: &RoundId,
    wanted: &BTreeSet<ImageId>,
) -> Result<Vec<(ImageId, Decision)>, Error> {
    let key = format!("{}labels.jsonl", round.results_prefix());
    let damaged = |reason: String| Error::Damaged {
        what: key.clone(),
        reason,
    };
    let Some(body) = read_object(world.results(), &key).await? else {
        return Err(damaged("is gone, although its round is aggregated".into()));
    };
    let mut decisions = Vec::new();
    for line in body.split(|&byte| byte == b'\n').filter(|l| !l.is_empty()) {
        let line: Line = serde_json::from_slice(line)
            .map_err(|error| damaged(format!("is not a file of labels: {error}")))?;
        if wanted.contains(&line.image_id) {
            decisions.push((line.image_id, line.decision()));
        }
    }
    Ok(decisions)
}

/// The newest version of an object of ours, whole.
pub(crate) async fn read_object<O: Objects>(
    objects: &O,
    key: &str,
) -> Result<Option<Vec<u8>>, Error> {
    match objects.head(key).await? {
        Some(meta) => Ok(objects.get(key, &meta.version, meta.size).await?),
        None => Ok(None),
    }
}
