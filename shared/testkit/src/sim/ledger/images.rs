//! IMAGE items, the claims of their bytes, control images and aliases.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use quorate_core::ids::{CampaignName, ImageId, RoundId};
use quorate_core::ports::{Admission, Page, PortError, PortResult};
use quorate_core::state::{Image, Kind};

use super::{Omission, State, behind, page};

/// Aliases in a page.
const PAGE: usize = 1000;
/// DynamoDB's limits: keys that are asked for in one request, items in one transaction, items that
/// are put in one request.
const GET_KEYS: usize = 100;
const TRANSACTION: usize = 100;
const WRITE_ITEMS: usize = 25;

impl State {
    pub(super) fn known_images(&self, ids: &[ImageId]) -> PortResult<BTreeSet<ImageId>> {
        at_most_keys(ids.len())?;
        let unseen = |id: &ImageId| self.lag.as_ref().is_some_and(|lag| lag.unseen.contains(id));
        let seen = |id: &ImageId| self.records.images.contains_key(id) && !unseen(id);
        Ok(ids.iter().copied().filter(seen).collect())
    }

    pub(super) fn originals(
        &self,
        campaign: &CampaignName,
        sha256: &[String],
    ) -> PortResult<BTreeMap<String, ImageId>> {
        at_most_keys(sha256.len())?;
        let Some(claims) = self.records.contents.get(campaign) else {
            return Ok(BTreeMap::new());
        };
        let claim = |digest: &String| Some((digest.clone(), *claims.get(digest)?));
        Ok(sha256.iter().filter_map(claim).collect())
    }

    /// In chunks, of which those before the first that is refused are written.
    pub(super) fn put_images(&mut self, images: &[Image]) -> PortResult<()> {
        for chunk in images.chunks(WRITE_ITEMS) {
            let ids: BTreeSet<ImageId> = chunk.iter().map(|image| image.id).collect();
            if ids.len() != chunk.len() {
                return Err(twice());
            }
            for image in chunk {
                self.put_image(image);
            }
        }
        Ok(())
    }

    fn put_image(&mut self, image: &Image) {
        let before = self.records.images.insert(image.id, image.clone());
        if let Some(lag) = &mut self.lag
            && before.is_none()
        {
            lag.unseen.insert(image.id);
        }
    }

    /// Whether an image of an admission, or its bytes, were admitted before.
    pub(super) fn has_images_of(&self, admission: &Admission) -> bool {
        if self.omits(Omission::ImageCondition) {
            return false;
        }
        let exists = |image: &Image| self.records.images.contains_key(&image.id);
        let claimed = |image: &Image| {
            let claims = self.records.contents.get(&image.campaign);
            claims.is_some_and(|claims| claims.contains_key(&image.sha256))
        };
        let mut members = admission.batch.iter().flat_map(|batch| &batch.members);
        let known = match admission.claim_content {
            true => members.any(claimed),
            false => members.any(exists),
        };
        known || admission.aliases.iter().any(exists)
    }

    /// Keeps the images of an admission from being admitted again.
    pub(super) fn admit_images(&mut self, admission: &Admission) {
        for image in admission.batch.iter().flat_map(|batch| &batch.members) {
            if admission.claim_content {
                let claims = self.records.contents.entry(image.campaign.clone());
                let digest = image.sha256.clone();
                claims.or_default().insert(digest, image.id);
            } else {
                self.put_image(image);
            }
        }
        for alias in &admission.aliases {
            self.put_image(alias);
            let aliases = self.records.aliases.entry(admission.round.clone());
            aliases.or_default().insert(alias.id, alias.clone());
        }
    }

    pub(super) fn add_control(&mut self, image: &Image) -> PortResult<Image> {
        if image.kind == Kind::Real {
            return Err(PortError::Refused(format!(
                "{} is to be labelled, it is not a control image",
                image.name()
            )));
        }
        if let Some(same) = self.records.images.get(&image.id) {
            return Ok(same.clone());
        }
        let controls = self.records.controls.entry(image.campaign.clone());
        let controls = controls.or_default();
        if let Some(same_bytes) = controls.get(&image.sha256) {
            return Ok(same_bytes.clone());
        }
        controls.insert(image.sha256.clone(), image.clone());
        self.put_image(image);
        Ok(image.clone())
    }

    pub(super) fn controls(&self, campaign: &CampaignName, kind: Kind) -> Vec<Image> {
        let controls = self.records.controls.get(campaign);
        let mut images: Vec<Image> = controls
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter(|image| image.kind == kind)
            .cloned()
            .collect();
        images.sort_by(|a, b| (&a.key, a.id).cmp(&(&b.key, b.id)));
        images
    }

    pub(super) fn round_aliases(
        &self,
        id: &RoundId,
        after: Option<&str>,
    ) -> PortResult<Page<Image>> {
        let from = behind::<ImageId>(after)?;
        let aliases = self.records.aliases.get(id).into_iter();
        let aliases = aliases.flat_map(|aliases| aliases.range((from, Bound::Unbounded)));
        Ok(page(aliases.map(|(_, image)| image), PAGE, |image| {
            image.id.to_string()
        }))
    }
}

/// Whether an admission with `others` items beside those of its images can be one transaction: it
/// has not too many items and none of them twice.
pub(super) fn is_transaction(admission: &Admission, others: usize) -> PortResult<()> {
    let members = admission.batch.iter().flat_map(|batch| &batch.members);
    let by_id = |image: &Image| (None, Some(image.id));
    let mut keys: Vec<(Option<&str>, Option<ImageId>)> = members
        .map(|image| match admission.claim_content {
            true => (Some(image.sha256.as_str()), None),
            false => by_id(image),
        })
        .collect();
    // An alias is two items: itself, and that it is in the round.
    let items = keys.len() + 2 * admission.aliases.len() + others;
    if items > TRANSACTION {
        return Err(PortError::Refused(format!(
            "{items} items in one transaction: at most {TRANSACTION}"
        )));
    }
    keys.extend(admission.aliases.iter().map(by_id));
    let all = keys.len();
    keys.sort_unstable();
    keys.dedup();
    if keys.len() == all {
        Ok(())
    } else {
        Err(twice())
    }
}

fn twice() -> PortError {
    PortError::Refused("the same item twice in one request to the ledger".to_owned())
}

fn at_most_keys(count: usize) -> PortResult<()> {
    if count > GET_KEYS {
        return Err(PortError::Refused(format!(
            "{count} keys in one request to the ledger: at most {GET_KEYS}"
        )));
    }
    Ok(())
}
