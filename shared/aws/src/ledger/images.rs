//! Images: `IMAGE`, the claims of their bytes, control images and aliases.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{CampaignName, ImageId, RoundId};
use quorate_core::ports::{Admission, Page, PortError, PortResult};
use quorate_core::state::{Image, Kind};

use super::change::Change;
use super::codec::{Item, decode, encode};
use super::keys::{self, Key};
use super::request::{GET_KEYS, of};
use super::{DynamoLedger, page};

/// Aliases in a page.
const PAGE: usize = 1000;

pub(super) async fn get(ledger: &DynamoLedger, id: ImageId) -> PortResult<Option<Image>> {
    let item = ledger.get(&keys::image(id)).await?;
    item.map(decode).transpose()
}

pub(super) async fn known(ledger: &DynamoLedger, ids: &[ImageId]) -> PortResult<BTreeSet<ImageId>> {
    at_most_keys(ids.len())?;
    let wanted: BTreeSet<ImageId> = ids.iter().copied().collect();
    let keys: Vec<Key> = wanted.into_iter().map(keys::image).collect();
    let items = ledger.get_all(&keys, false).await?;
    let id = |item: &Item| of(item, "IMAGE#")?.parse().ok();
    Ok(items.iter().filter_map(id).collect())
}

pub(super) async fn originals(
    ledger: &DynamoLedger,
    campaign: &CampaignName,
    sha256: &[String],
) -> PortResult<BTreeMap<String, ImageId>> {
    at_most_keys(sha256.len())?;
    let wanted: BTreeSet<&String> = sha256.iter().collect();
    let keys: Vec<Key> = wanted
        .into_iter()
        .map(|sha256| keys::content(campaign, sha256))
        .collect();
    let prefix = keys::content(campaign, "").pk;
    let items = ledger.get_all(&keys, true).await?;
    let mut originals = BTreeMap::new();
    for item in items {
        let claim: Claim = decode(item.clone())?;
        if let Some(sha256) = of(&item, &prefix) {
            originals.insert(sha256.to_owned(), claim.image);
        }
    }
    Ok(originals)
}

/// A CONTENT item.
#[derive(Debug, serde::Deserialize, serde::Serialize)]
struct Claim {
    /// The image that claimed these bytes.
    image: ImageId,
}

/// Keeps the images of an admission from being admitted again.
pub(super) fn admit(admission: &Admission) -> PortResult<Vec<Change>> {
    let mut changes = Vec::new();
    for image in admission.batch.iter().flat_map(|batch| &batch.members) {
        changes.push(if admission.claim_content {
            let key = keys::content(&image.campaign, &image.sha256);
            let claim = encode(&key, &Claim { image: image.id })?;
            Change::create(key, claim)
        } else {
            create(keys::image(image.id), image)?
        });
    }
    for alias in &admission.aliases {
        changes.push(create(keys::image(alias.id), alias)?);
        let key = keys::alias(&admission.round, alias.id);
        changes.push(Change::put(key.clone(), encode(&key, alias)?));
    }
    Ok(changes)
}

fn create(key: Key, image: &Image) -> PortResult<Change> {
    let item = encode(&key, image)?;
    Ok(Change::create(key, item))
}

pub(super) async fn put_all(ledger: &DynamoLedger, images: &[Image]) -> PortResult<()> {
    let items: PortResult<Vec<Item>> = images
        .iter()
        .map(|image| encode(&keys::image(image.id), image))
        .collect();
    ledger.put_all(items?).await
}

pub(super) async fn add_control(ledger: &DynamoLedger, image: &Image) -> PortResult<Image> {
    if image.kind == Kind::Real {
        return Err(PortError::Refused(format!(
            "{} is to be labelled, it is not a control image",
            image.name()
        )));
    }
    let (by_id, by_bytes) = (
        keys::image(image.id),
        keys::control(&image.campaign, &image.sha256),
    );
    let changes = vec![
        create(by_id.clone(), image)?,
        create(by_bytes.clone(), image)?,
    ];
    match ledger.transact(changes).await? {
        Ok(()) => Ok(image.clone()),
        Err(failed) => {
            let kept = failed.at(&by_id).or_else(|| failed.at(&by_bytes));
            decode(kept.cloned().unwrap_or_default())
        }
    }
}

pub(super) async fn controls(
    ledger: &DynamoLedger,
    campaign: &CampaignName,
    kind: Kind,
) -> PortResult<Vec<Image>> {
    let query = ledger.query(&keys::in_controls(campaign));
    let items = ledger.found(query, None, usize::MAX).await?;
    let images: PortResult<Vec<Image>> = items.into_iter().map(decode).collect();
    let mut images = images?;
    images.retain(|image| image.kind == kind);
    images.sort_by(|a, b| (&a.key, a.id).cmp(&(&b.key, b.id)));
    Ok(images)
}

pub(super) async fn aliases(
    ledger: &DynamoLedger,
    round: &RoundId,
    after: Option<&str>,
) -> PortResult<Page<Image>> {
    let items = ledger
        .in_round(round, keys::ALIASES, after, PAGE + 1)
        .await?;
    let images: PortResult<Vec<Image>> = items.into_iter().map(decode).collect();
    Ok(page(images?, PAGE, |image| image.id.to_string()))
}

fn at_most_keys(count: usize) -> PortResult<()> {
    if count > GET_KEYS {
        return Err(PortError::Refused(format!(
            "{count} keys in one request to the ledger: at most {GET_KEYS}"
        )));
    }
    Ok(())
}
