//! IMAGE items.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{CampaignName, ImageId, RoundId};
use quorate_core::ports::Page;
use quorate_core::state::{Image, Kind};
use rusqlite::{OptionalExtension, Transaction, params};

use super::batches::count;
use super::codec::{Count, Json, Word};
use super::{Failure, Step, at_most_keys, page};

/// Aliases in a page.
const PAGE: usize = 1000;

pub(super) fn get(tx: &Transaction<'_>, id: ImageId) -> Step<Option<Image>> {
    let image = tx
        .prepare_cached("SELECT image FROM image WHERE id = ?1")?
        .query_row([Word(id)], |row| row.get(0).map(|Json(image)| image))
        .optional()?;
    Ok(image)
}

pub(super) fn known(tx: &Transaction<'_>, ids: &[ImageId]) -> Step<BTreeSet<ImageId>> {
    at_most_keys(ids.len())?;
    let mut known = BTreeSet::new();
    for id in ids {
        if exists(tx, *id)? {
            known.insert(*id);
        }
    }
    Ok(known)
}

pub(super) fn exists(tx: &Transaction<'_>, id: ImageId) -> Step<bool> {
    let exists = tx
        .prepare_cached("SELECT 1 FROM image WHERE id = ?1")?
        .exists([Word(id)])?;
    Ok(exists)
}

pub(super) fn originals(
    tx: &Transaction<'_>,
    campaign: &CampaignName,
    sha256: &[String],
) -> Step<BTreeMap<String, ImageId>> {
    at_most_keys(sha256.len())?;
    let mut originals = BTreeMap::new();
    for digest in sha256 {
        if let Some(id) = original(tx, campaign, digest)? {
            originals.insert(digest.clone(), id);
        }
    }
    Ok(originals)
}

/// The image that claimed these bytes.
pub(super) fn original(
    tx: &Transaction<'_>,
    campaign: &CampaignName,
    sha256: &str,
) -> Step<Option<ImageId>> {
    let id = tx
        .prepare_cached("SELECT image FROM content WHERE campaign = ?1 AND sha256 = ?2")?
        .query_row([campaign.as_str(), sha256], |row| row.get(0))
        .optional()?;
    Ok(id.map(|Word(id)| id))
}

/// Claims an image's bytes, which nobody has claimed.
pub(super) fn claim_content(tx: &Transaction<'_>, image: &Image) -> Step<()> {
    tx.prepare_cached("INSERT INTO content (campaign, sha256, image) VALUES (?1, ?2, ?3)")?
        .execute(params![
            image.campaign.as_str(),
            image.sha256,
            Word(image.id)
        ])?;
    Ok(())
}

/// Writes those images that do not exist.
pub(super) fn put_all(tx: &Transaction<'_>, images: &[Image]) -> Step<()> {
    for image in images {
        if !exists(tx, image.id)? {
            put(tx, image, None)?;
        }
    }
    Ok(())
}

/// Writes an image that does not exist. `round` is that of an alias.
pub(super) fn put(tx: &Transaction<'_>, image: &Image, round: Option<&RoundId>) -> Step<()> {
    tx.prepare_cached(
        "INSERT INTO image (id, campaign, kind, key, sha256, round, image)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        Word(image.id),
        image.campaign.as_str(),
        Word(image.kind),
        image.key,
        image.sha256,
        round.map(|round| round.number),
        Json(image),
    ])?;
    Ok(())
}

pub(super) fn add_control(tx: &Transaction<'_>, image: &Image) -> Step<Image> {
    if image.kind == Kind::Real {
        return Err(Failure::Refused(format!(
            "{} is to be labelled, it is not a control image",
            image.name()
        )));
    }
    if let Some(same) = get(tx, image.id)? {
        return Ok(same);
    }
    let same_bytes = tx
        .prepare_cached(
            "SELECT image FROM image WHERE campaign = ?1 AND sha256 = ?2 AND kind <> 'real'",
        )?
        .query_row([image.campaign.as_str(), &image.sha256], |row| row.get(0))
        .optional()?;
    if let Some(Json(other)) = same_bytes {
        return Ok(other);
    }
    put(tx, image, None)?;
    Ok(image.clone())
}

pub(super) fn controls(
    tx: &Transaction<'_>,
    campaign: &CampaignName,
    kind: Kind,
) -> Step<Vec<Image>> {
    let images = tx
        .prepare_cached(
            "SELECT image FROM image WHERE campaign = ?1 AND kind = ?2 AND kind <> 'real'
             ORDER BY key, id",
        )?
        .query_map(params![campaign.as_str(), Word(kind)], |row| {
            row.get(0).map(|Json(image)| image)
        })?
        .collect::<Result<_, _>>()?;
    Ok(images)
}

pub(super) fn aliases(
    tx: &Transaction<'_>,
    round: &RoundId,
    after: Option<&str>,
) -> Step<Page<Image>> {
    let images = tx
        .prepare_cached(
            "SELECT image FROM image WHERE campaign = ?1 AND round = ?2 AND id > ?3
             ORDER BY id LIMIT ?4",
        )?
        .query_map(
            params![
                round.campaign.as_str(),
                round.number,
                after.unwrap_or_default(),
                Count(count(PAGE + 1)),
            ],
            |row| row.get(0).map(|Json(image)| image),
        )?
        .collect::<Result<_, _>>()?;
    Ok(page(images, PAGE, |image: &Image| image.id.to_string()))
}
