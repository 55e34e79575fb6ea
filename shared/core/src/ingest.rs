//! Uploads become work: the use case of `create-tasks`.
//!
//! ```text
//! event ──► place(key) ──► definition ──► configure the campaign, then sweep its folder
//!               │
//!               ├──► control image ──► kept for the pools to come
//!               └──► image, rows ──► checked ──► one transaction: BATCH + IMAGEs + counters + money
//! ```
//!
//! An event only says that something happened to a key: what is read is what is there now. Once
//! [`create_tasks`] returns `Ok` for a record, the ledger owns its progress. An upload whose event
//! never comes is found by [`reconcile`](crate::reconcile), which [looks](crate::look) at the bucket.
//!
//! What cannot become a task is told first and recorded under `rejected/` then: what has its record
//! has been told.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

use crate::admission::{self, Place};
use crate::budget;
use crate::campaign::{Campaign, Dedupe, hex};
use crate::event::{self, Problem, ProblemKind};
use crate::ids::{BatchId, CampaignName, ImageId, RoundId};
use crate::ports::{
    Admission, Admitted, Clock, Crowd, Ledger, ObjectMeta, Objects, PortError, PortResult, World,
};
use crate::rows;
use crate::setup::{self, Definition};
use crate::state::{
    Batch, BatchState, CampaignItem, Content, Image, Kind, Round, RoundState, SealReason,
};

/// Images in one transaction: an item each, and with the batch, its members, the round and the
/// campaign's money this stays within DynamoDB's 100 items.
pub const BATCH_MEMBERS: usize = 95;

/// Bytes that the members of a batch have together, about: they are one item of the ledger, which
/// may have 400 kB, and one request to the crowd.
const BATCH_BYTES: usize = 200_000;

/// Objects that are read at the same time.
const READS: usize = 16;

/// How often a transaction that lost a race is built again before the record is given back.
const TRIES: usize = 5;

/// An upload as its event names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upload {
    /// The object's key, decoded.
    pub key: String,
    /// Its version id, else its etag, if the event says it.
    pub version: Option<String>,
}

/// Takes uploads in. The answer is one result for each upload, in order: `Ok` if the event can be
/// forgotten, an error if it must come again.
pub async fn create_tasks<W: World>(world: &W, uploads: &[Upload]) -> Vec<PortResult<()>> {
    let mut results: Vec<PortResult<()>> = vec![Ok(()); uploads.len()];
    let mut set = |at: usize, result| {
        if let Some(slot) = results.get_mut(at) {
            *slot = result;
        }
    };
    let mut waiting = Vec::new();
    for (at, upload) in uploads.iter().enumerate() {
        match admission::place(&upload.key) {
            Ok((_, Place::Ignored)) => {}
            // Before the images that may have come along.
            Ok((campaign, Place::Definition)) => {
                set(at, setup::configure(world, &campaign).await);
            }
            Ok((campaign, place)) => waiting.push((at, upload, campaign, place)),
            Err(reason) => {
                set(
                    at,
                    reject(world, &Rejected::key(&upload.key), &reason).await,
                );
            }
        }
    }
    let mut work: BTreeMap<CampaignName, Vec<(usize, Found)>> = BTreeMap::new();
    let looks = waiting
        .into_iter()
        .map(|(at, upload, campaign, place)| look(world, at, upload, campaign, place));
    for looked in together(looks.collect()).await {
        match looked {
            (at, campaign, Ok(Some(found))) => work.entry(campaign).or_default().push((at, found)),
            (_, _, Ok(None)) => {}
            (at, _, Err(error)) => set(at, Err(error)),
        }
    }
    for (name, found) in work {
        let (places, found): (Vec<usize>, Vec<Found>) = found.into_iter().unzip();
        let outcomes = take_work(world, &name, &found).await;
        for (at, outcome) in places.into_iter().zip(outcomes) {
            set(at, outcome);
        }
    }
    results
}

/// Takes in everything that is in a campaign's folder: what came before its definition, and what
/// was dropped while nobody listened.
///
/// # Errors
/// The first failure, after everything had its turn.
pub async fn sweep<W: World>(world: &W, name: &CampaignName) -> PortResult<()> {
    let prefix = format!("{name}/");
    let mut after: Option<String> = None;
    let mut taken = Ok(());
    loop {
        let page = world.uploads().list(&prefix, after.as_deref()).await?;
        let found: Vec<Found> = page
            .items
            .into_iter()
            .filter_map(|meta| match admission::place(&meta.key) {
                Ok((_, Place::Definition | Place::Ignored)) => None,
                Ok((_, place)) => Some(Found { meta, place }),
                // Its own event tells of it.
                Err(_) => None,
            })
            .collect();
        taken = taken.and(take_all(world, name, &found).await);
        match page.next {
            Some(next) => after = Some(next),
            None => return taken,
        }
    }
}

/// Takes in what was found without an event. One that fails does not keep the others waiting.
async fn take_all<W: World>(world: &W, name: &CampaignName, found: &[Found]) -> PortResult<()> {
    let mut results = Vec::new();
    // Full batches: what is left over in each chunk would be a batch of its own.
    for chunk in found.chunks(BATCH_MEMBERS) {
        results.extend(take_work(world, name, chunk).await);
    }
    results.into_iter().collect()
}

/// Takes in those of `found` that have been neither taken in nor rejected.
///
/// # Errors
/// The first failure, after all had their turn.
pub(crate) async fn take_lost<W: World>(
    world: &W,
    name: &CampaignName,
    found: Vec<Found>,
) -> PortResult<()> {
    let bucket = world.uploads().bucket();
    let ids: Vec<ImageId> = found.iter().map(|found| found.id(bucket)).collect();
    let known = known(world, &ids).await?;
    let unknown: Vec<Found> = found
        .into_iter()
        .filter(|found| !known.contains(&found.id(bucket)))
        .collect();
    let rejected = unknown.iter().map(async |found| {
        let who = Rejected::object(bucket, &found.meta);
        was_rejected(world, &who).await
    });
    let rejected = together(rejected.collect()).await;
    let mut lost = Vec::new();
    for (found, rejected) in unknown.into_iter().zip(rejected) {
        if !rejected? {
            lost.push(found);
        }
    }
    if !lost.is_empty() {
        tracing::warn!(campaign = %name, lost = lost.len(), "uploads were found whose events did not come");
    }
    take_all(world, name, &lost).await
}

/// Rejects an upload whose key says nothing, unless that has been done.
///
/// # Errors
/// If a port fails.
pub(crate) async fn reject_misplaced<W: World>(
    world: &W,
    key: &str,
    reason: &str,
) -> PortResult<()> {
    let who = Rejected::key(key);
    if was_rejected(world, &who).await? {
        return Ok(());
    }
    reject(world, &who, reason).await
}

/// An object that is there, and what its key says it is.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) meta: ObjectMeta,
    pub(crate) place: Place,
}

impl Found {
    /// Its identity in `bucket`.
    fn id(&self, bucket: &str) -> ImageId {
        ImageId::of_object(bucket, &self.meta.key, &self.meta.version)
    }
}

/// Waits for all of them, of which some run at the same time; what they give, in order.
async fn together<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    stream::iter(futures).buffered(READS).collect().await
}

/// The object of upload number `at`; none if it is gone.
async fn look<W: World>(
    world: &W,
    at: usize,
    upload: &Upload,
    campaign: CampaignName,
    place: Place,
) -> (usize, CampaignName, PortResult<Option<Found>>) {
    let found = match world.uploads().head(&upload.key).await {
        Ok(Some(meta)) => Ok(Some(Found { meta, place })),
        Ok(None) => reject_deleted(world, upload, &campaign)
            .await
            .map(|()| None),
        Err(error) => Err(error),
    };
    (at, campaign, found)
}

/// Tells of an upload that is gone, unless it was taken in before.
async fn reject_deleted<W: World>(
    world: &W,
    upload: &Upload,
    campaign: &CampaignName,
) -> PortResult<()> {
    if was_taken(world, upload, campaign).await? {
        return Ok(());
    }
    let reason = "it was deleted before it could be read";
    reject(world, &Rejected::key(&upload.key), reason).await
}

/// Whether an upload that is gone was taken in before: its event came again. An image that was not
/// sent to the crowd yet is known by its content alone, and a version can still be read.
async fn was_taken<W: World>(
    world: &W,
    upload: &Upload,
    campaign: &CampaignName,
) -> PortResult<bool> {
    let (ledger, uploads) = (world.ledger(), world.uploads());
    let Some(version) = &upload.version else {
        return Ok(false);
    };
    let id = ImageId::of_object(uploads.bucket(), &upload.key, version);
    if ledger.image(id).await?.is_some() {
        return Ok(true);
    }
    let Some(item) = ledger.campaign(campaign).await? else {
        return Ok(false);
    };
    let limit = item.campaign.images.max_megabytes.saturating_mul(1_000_000);
    let Some(bytes) = uploads.get(&upload.key, version, limit).await? else {
        return Ok(false);
    };
    let sha256 = hex(&Sha256::digest(bytes));
    let claimed = ledger
        .originals(campaign, std::slice::from_ref(&sha256))
        .await?;
    Ok(claimed.get(&sha256) == Some(&id))
}

/// Takes in a campaign's images, rows and control images.
async fn take_work<W: World>(
    world: &W,
    name: &CampaignName,
    found: &[Found],
) -> Vec<PortResult<()>> {
    let item = match campaign(world, name, found).await {
        Ok(Some(item)) => item,
        Ok(None) => return found.iter().map(|_| Ok(())).collect(),
        Err(error) => return found.iter().map(|_| Err(error.clone())).collect(),
    };
    let bucket = world.uploads().bucket();
    let named: Vec<ImageId> = found.iter().map(|found| found.id(bucket)).collect();
    let known = match known(world, &named).await {
        Ok(known) => known,
        Err(error) => return found.iter().map(|_| Err(error.clone())).collect(),
    };
    let reads = found
        .iter()
        .map(|found| read_new(world, &item, found, &known));
    let mut results = Vec::with_capacity(found.len());
    let mut images: Vec<(usize, Image)> = Vec::new();
    for (at, read) in together(reads.collect()).await.into_iter().enumerate() {
        results.push(match read {
            Ok(read) => keep_controls(world, read)
                .await
                .map(|new| images.extend(new.into_iter().map(|image| (at, image)))),
            Err(error) => Err(error),
        });
    }
    // An upload that is told of twice fails in both places.
    let places = images.iter().map(|(at, image)| (image.id, *at));
    let places: Vec<(ImageId, usize)> = places.collect();
    let mut seen = BTreeSet::new();
    images.retain(|(_, image)| seen.insert(image.id));
    let images: Vec<Image> = images.into_iter().map(|(_, image)| image).collect();
    for chunk in images.chunks(BATCH_MEMBERS) {
        if let Err(error) = admit(world, &item, chunk.to_vec()).await {
            let failed: BTreeSet<ImageId> = ids(chunk).collect();
            for (_, at) in places.iter().filter(|(id, _)| failed.contains(id)) {
                if let Some(result) = results.get_mut(*at) {
                    *result = Err(error.clone());
                }
            }
        }
    }
    results
}

/// The campaign that uploads belong to. Its definition may be in the bucket before its event is
/// here; if it is not, that is told: images for a campaign that does not exist are not lost,
/// configuring it sweeps its folder.
async fn campaign<W: World>(
    world: &W,
    name: &CampaignName,
    found: &[Found],
) -> PortResult<Option<CampaignItem>> {
    let item = world.ledger().campaign(name).await?;
    if item.is_some() {
        return Ok(item);
    }
    match setup::find(world, name).await? {
        Definition::Known | Definition::New => world.ledger().campaign(name).await,
        Definition::Broken(broken) => broken.tell(world, name).await.map(|()| None),
        Definition::Missing => unknown_campaign(world, name, found).await.map(|()| None),
    }
}

/// Which of `ids` were taken in before.
async fn known<W: World>(world: &W, ids: &[ImageId]) -> PortResult<BTreeSet<ImageId>> {
    let mut known = BTreeSet::new();
    for chunk in ids.chunks(100) {
        known.extend(world.ledger().known_images(chunk).await?);
    }
    Ok(known)
}

/// Reads an object that was not taken in before.
async fn read_new<W: World>(
    world: &W,
    item: &CampaignItem,
    found: &Found,
    known: &BTreeSet<ImageId>,
) -> PortResult<Vec<Image>> {
    if known.contains(&found.id(world.uploads().bucket())) {
        return Ok(Vec::new());
    }
    let images = read(world, &item.campaign, &item.name, found).await?;
    new_rows(world, images).await
}

/// Leaves out rows that were taken in before: their file is known only by them.
async fn new_rows<W: World>(world: &W, mut images: Vec<Image>) -> PortResult<Vec<Image>> {
    let rows = images.iter().filter(|image| image.row.is_some());
    let known = known(world, &rows.map(|image| image.id).collect::<Vec<_>>()).await?;
    images.retain(|image| !known.contains(&image.id));
    Ok(images)
}

async fn unknown_campaign<W: World>(
    world: &W,
    name: &CampaignName,
    found: &[Found],
) -> PortResult<()> {
    let problem = Problem {
        kind: ProblemKind::CampaignInvalid,
        campaign: name.to_string(),
        round: None,
        key: found.first().map(|found| found.meta.key.clone()),
        message: format!(
            "{name} has uploads but no campaign yet: upload {name}/campaign.toml; what is in its folder is then taken in"
        ),
    };
    event::tell(world, problem, "unknown").await
}

/// Reads and checks an object: the images in it.
async fn read<W: World>(
    world: &W,
    campaign: &Campaign,
    name: &CampaignName,
    found: &Found,
) -> PortResult<Vec<Image>> {
    let who = Rejected::object(world.uploads().bucket(), &found.meta);
    let fits = match &found.place {
        Place::Image | Place::Control { .. } if campaign.takes_rows() => {
            Err("this campaign labels rows: put them into rows/*.csv or rows/*.jsonl".to_owned())
        }
        Place::Rows | Place::ControlRows { .. } if !campaign.takes_rows() => Err(
            "this campaign labels images: for rows, name their `fields` in campaign.toml"
                .to_owned(),
        ),
        Place::Control { label, .. }
        | Place::ControlRows {
            label: Some(label), ..
        } => admission::check_label(campaign, label),
        _ => Ok(()),
    };
    if let Err(reason) =
        fits.and_then(|()| admission::check_size(found.meta.size, &campaign.images))
    {
        reject(world, &who, &reason).await?;
        return Ok(Vec::new());
    }
    let limit = found.meta.size.saturating_add(1);
    let Some(bytes) = world
        .uploads()
        .get(&found.meta.key, &found.meta.version, limit)
        .await?
    else {
        reject(
            world,
            &who,
            "it was deleted or replaced before it could be read",
        )
        .await?;
        return Ok(Vec::new());
    };
    match &found.place {
        Place::Image => picture(world, campaign, name, found, &bytes, Kind::Real, None).await,
        Place::Control { kind, label } => {
            picture(world, campaign, name, found, &bytes, *kind, Some(label)).await
        }
        Place::Rows => table(world, campaign, name, found, &bytes, Kind::Real, None).await,
        Place::ControlRows { kind, label } => {
            let label = label.as_deref();
            table(world, campaign, name, found, &bytes, *kind, label).await
        }
        Place::Definition | Place::Ignored => Ok(Vec::new()),
    }
}

/// The image that an object is; none if its bytes are no image.
async fn picture<W: World>(
    world: &W,
    campaign: &Campaign,
    name: &CampaignName,
    found: &Found,
    bytes: &[u8],
    kind: Kind,
    known: Option<&str>,
) -> PortResult<Vec<Image>> {
    let ObjectMeta { key, version, .. } = &found.meta;
    let bucket = world.uploads().bucket();
    let id = ImageId::of_object(bucket, key, version);
    let facts = match admission::check_image(key, bytes, &campaign.images) {
        Ok(facts) => facts,
        Err(reason) => {
            reject(world, &Rejected::object(bucket, &found.meta), &reason).await?;
            return Ok(Vec::new());
        }
    };
    if facts.misnamed {
        let problem = Problem {
            kind: ProblemKind::UploadMisnamed,
            campaign: name.to_string(),
            round: None,
            key: Some(key.clone()),
            message: format!(
                "{key} is {} whatever its name says; it is taken as that",
                facts.media_type
            ),
        };
        event::tell(world, problem, &id.to_string()).await?;
    }
    Ok(vec![Image {
        id,
        campaign: name.clone(),
        key: key.clone(),
        version: version.clone(),
        row: None,
        kind,
        content: Content::Picture,
        known: known.map(str::to_owned),
        sha256: hex(&Sha256::digest(bytes)),
        media_type: facts.media_type.to_owned(),
        same_as: None,
    }])
}

/// The rows in an object's bytes; bad ones are rejected one by one.
async fn table<W: World>(
    world: &W,
    campaign: &Campaign,
    name: &CampaignName,
    found: &Found,
    bytes: &[u8],
    kind: Kind,
    folder_label: Option<&str>,
) -> PortResult<Vec<Image>> {
    let ObjectMeta { key, version, .. } = &found.meta;
    let bucket = world.uploads().bucket();
    let columns = ["label", campaign.answer_field.as_str()];
    let label_columns: &[&str] = if kind == Kind::Real || folder_label.is_some() {
        &[]
    } else {
        &columns
    };
    let rows = match rows::read(key, bytes, &campaign.fields, label_columns) {
        Ok(rows) => rows,
        Err(reason) => {
            reject(world, &Rejected::object(bucket, &found.meta), &reason).await?;
            return Ok(Vec::new());
        }
    };
    let mut images = Vec::new();
    let mut bad: Vec<(u64, String)> = Vec::new();
    for row in rows {
        let checked = row.content.and_then(|(fields, label)| {
            let label = label.or_else(|| folder_label.map(str::to_owned));
            label
                .as_deref()
                .map_or(Ok(()), |label| admission::check_label(campaign, label))?;
            Ok((fields, label))
        });
        match checked {
            Err(reason) => bad.push((row.number, format!("line {}: {reason}", row.line))),
            Ok((fields, known)) => images.push(Image {
                id: ImageId::of_row(bucket, key, version, row.number),
                campaign: name.clone(),
                key: key.clone(),
                version: version.clone(),
                row: Some(row.number),
                kind,
                sha256: hex(&Sha256::digest(serde_json::json!(fields).to_string())),
                content: Content::Row(fields),
                known,
                media_type: String::new(),
                same_as: None,
            }),
        }
    }
    reject_rows(world, &found.meta, &bad).await?;
    Ok(images)
}

/// Keeps the control images among `images`, one after the other: of two with the same bytes the
/// first is kept. What is left is work.
async fn keep_controls<W: World>(world: &W, images: Vec<Image>) -> PortResult<Vec<Image>> {
    let (work, controls): (Vec<Image>, Vec<Image>) = images
        .into_iter()
        .partition(|image| image.kind == Kind::Real);
    for image in controls {
        keep_control(world, &image).await?;
    }
    Ok(work)
}

/// Keeps a control image for the pools to come, unless its bytes are a control image already.
async fn keep_control<W: World>(world: &W, image: &Image) -> PortResult<()> {
    let kept = world.ledger().add_control(image).await?;
    if kept.id == image.id {
        return Ok(());
    }
    let reason = if kept.kind == image.kind && kept.known == image.known {
        format!("it has the same content as {}", kept.name())
    } else if kept.kind == image.kind {
        format!(
            "it has the same content as {}, which has another label",
            kept.name()
        )
    } else {
        format!(
            "it leaks: it has the same content as {}; a worker would meet it in both places",
            kept.name()
        )
    };
    reject(world, &Rejected::image(image), &reason).await
}

/// Gets new images of a campaign into open rounds, or parks them if the budget is used up.
async fn admit<W: World>(world: &W, item: &CampaignItem, mut left: Vec<Image>) -> PortResult<()> {
    let (mut lost, mut most) = (0, usize::MAX);
    while !left.is_empty() && lost < TRIES {
        let round = open_round(world, &item.name).await?;
        let room = item
            .campaign
            .round
            .max_images
            .saturating_sub(round.counts.images)
            .max(1);
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(most);
        let arrivals = sort(world, item, left.iter().take(room)).await?;
        let mut taken: BTreeSet<ImageId> = ids(&arrivals.admitted).collect();
        if arrivals.members.len() + arrivals.aliases.len() > 0 {
            let new: Vec<ImageId> = ids(&arrivals.members)
                .chain(ids(&arrivals.aliases))
                .collect();
            match admit_into(world, item, &round, arrivals).await? {
                Admitted::Done { .. } => {
                    taken.extend(new);
                    (lost, most) = (0, usize::MAX);
                }
                Admitted::OverBudget { committed } => {
                    most = covered(world, item, &round, committed);
                    lost += 1;
                }
                Admitted::Known => {
                    // One by one: asked for together they may still be missing.
                    for image in &left {
                        if world.ledger().image(image.id).await?.is_some() {
                            taken.insert(image.id);
                        }
                    }
                    lost += 1;
                }
                Admitted::Sealed => lost += 1,
            }
        }
        left.retain(|image| !taken.contains(&image.id));
    }
    if left.is_empty() {
        return Ok(());
    }
    Err(PortError::Unavailable(format!(
        "{}: too many writers at once; the upload comes again",
        item.name
    )))
}

/// One transaction: new images into a round that has room for them, or aside. If the budget covers
/// some of them, nothing is done: the caller comes again with those.
async fn admit_into<W: World>(
    world: &W,
    item: &CampaignItem,
    round: &Round,
    arrivals: Arrivals,
) -> PortResult<Admitted> {
    let ledger = world.ledger();
    let mut admission = admission_of(world, item, round, arrivals);
    let mut admitted = ledger.admit(&admission).await?;
    if let Admitted::OverBudget { committed } = admitted {
        let wanted = admission.batch.as_ref().map_or(0, |it| it.members.len());
        if (1..wanted).contains(&covered(world, item, round, committed)) {
            return Ok(admitted);
        }
        budget_reached(world, item, committed, admission.batch.as_ref()).await?;
        if let Some(batch) = &mut admission.batch {
            // It goes into a round to come, of which nothing is known.
            let fee = world.crowd().fee();
            batch.reserved = budget::whole_pages(&item.campaign, wanted as u64, fee);
        }
        admitted = ledger.park(&admission).await?;
    }
    if let Admitted::Done { images } = admitted {
        let new = admission.batch.as_ref().map_or(0, |it| it.members.len());
        tracing::info!(round = %round.id, aliases = admission.aliases.len(), metric.images = new, "images taken in");
        if images >= item.campaign.round.max_images {
            ledger.seal_round(&round.id, SealReason::Size).await?;
        }
    }
    Ok(admitted)
}

/// How many more images of `round` the budget covers.
fn covered<W: World>(world: &W, item: &CampaignItem, round: &Round, committed: Decimal) -> usize {
    budget::covered(
        &item.campaign,
        round.counts.originals(),
        committed,
        world.crowd().fee(),
    )
}

/// The campaign's open round; opens the next one if there is none.
pub(crate) async fn open_round<W: World>(world: &W, name: &CampaignName) -> PortResult<Round> {
    let ledger = world.ledger();
    for _ in 0..TRIES {
        let number = ledger.campaign(name).await?.map_or(0, |item| item.round);
        let newest = RoundId {
            campaign: name.clone(),
            number,
        };
        if number > 0
            && let Some(round) = ledger.round(&newest).await?
            && round.state == RoundState::Open
        {
            return Ok(round);
        }
        let next = RoundId {
            campaign: name.clone(),
            number: number + 1,
        };
        ledger.open_round(&next, world.clock().now()).await?;
    }
    Err(PortError::Unavailable(format!(
        "{name}: rounds open and close too fast"
    )))
}

fn ids(images: &[Image]) -> impl Iterator<Item = ImageId> {
    images.iter().map(|image| image.id)
}

/// New images by what the ledger says of their content.
#[derive(Default)]
struct Arrivals {
    /// Nobody has claimed their content.
    members: Vec<Image>,
    /// They have the content of another image.
    aliases: Vec<Image>,
    /// They have claimed their content themselves: they were admitted before.
    admitted: Vec<Image>,
}

/// Sorts the first of `images`, as many as fit in one transaction.
async fn sort<'a, W: World>(
    world: &W,
    item: &CampaignItem,
    images: impl Iterator<Item = &'a Image> + Clone,
) -> PortResult<Arrivals> {
    let mut arrivals = Arrivals::default();
    let by_content = item.campaign.dedupe == Dedupe::Content;
    let hashes = images
        .clone()
        .take(BATCH_MEMBERS)
        .map(|image| image.sha256.clone());
    let hashes: Vec<String> = hashes.collect();
    let mut claimed = world.ledger().originals(&item.name, &hashes).await?;
    let mut bytes = 0;
    for image in images.take(BATCH_MEMBERS) {
        let original = claimed.get(&image.sha256);
        match original {
            Some(original) if *original == image.id => arrivals.admitted.push(image.clone()),
            Some(original) if by_content => arrivals.aliases.push(Image {
                same_as: Some(*original),
                ..image.clone()
            }),
            _ => {
                bytes += weight(image);
                if bytes > BATCH_BYTES && !arrivals.members.is_empty() {
                    break;
                }
                if by_content {
                    claimed.insert(image.sha256.clone(), image.id);
                }
                arrivals.members.push(image.clone());
            }
        }
    }
    // An alias is two items: the image, and its place in the round.
    arrivals
        .aliases
        .truncate((BATCH_MEMBERS - arrivals.members.len()) / 2);
    Ok(arrivals)
}

/// Bytes of an image in its batch, about.
fn weight(image: &Image) -> usize {
    let fields = match &image.content {
        Content::Picture => 0,
        Content::Row(fields) => fields
            .iter()
            .map(|(name, text)| name.len() + text.len())
            .sum(),
    };
    400 + image.key.len() + fields
}

fn admission_of<W: World>(
    world: &W,
    item: &CampaignItem,
    round: &Round,
    arrivals: Arrivals,
) -> Admission {
    let Arrivals {
        members, aliases, ..
    } = arrivals;
    let at = world.clock().now();
    let fee = world.crowd().fee();
    let new = members.len() as u64;
    let cap = budget::cap(&item.campaign, round.counts.originals() + new, fee);
    let batch = (!members.is_empty()).then(|| Batch {
        id: BatchId::of(item.name.as_str(), members.iter().map(|image| image.id)),
        campaign: item.name.clone(),
        round: Some(round.id.clone()),
        kind: Kind::Real,
        pool: None,
        state: BatchState::Ready,
        reserved: budget::share(&item.campaign, new, fee),
        members,
        created: at,
        first_sent: None,
        fence: 0,
        writer: String::new(),
        due: at,
        attempts: 0,
        last_error: None,
        outcomes: Vec::new(),
    });
    Admission {
        batch,
        aliases,
        round: round.id.clone(),
        claim_content: item.campaign.dedupe == Dedupe::Content,
        // Aliases alone cost nothing.
        budget: cap.filter(|_| new > 0),
        at,
    }
}

async fn budget_reached<W: World>(
    world: &W,
    item: &CampaignItem,
    committed: Decimal,
    batch: Option<&Batch>,
) -> PortResult<()> {
    let budget = item.campaign.budget.unwrap_or_default();
    let waiting = batch.map_or(0, |batch| batch.members.len());
    let occasion = format!("{}/{budget}", item.round);
    let problem = Problem {
        kind: ProblemKind::BudgetReached,
        campaign: item.name.to_string(),
        round: None,
        key: None,
        message: format!(
            "the budget of {budget} dollars is reached ({committed} are spent or reserved): {waiting} images wait, \
             and so does what comes; raise `budget` in campaign.toml to go on"
        ),
    };
    event::tell(world, problem, &occasion).await
}

/// Who is rejected.
#[derive(Clone, Debug)]
struct Rejected {
    key: String,
    version: Option<String>,
    row: Option<u64>,
    id: ImageId,
}

impl Rejected {
    /// An upload of which only the key is known.
    fn key(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            version: None,
            row: None,
            id: ImageId::of_object("", key, ""),
        }
    }

    fn object(bucket: &str, meta: &ObjectMeta) -> Self {
        let id = ImageId::of_object(bucket, &meta.key, &meta.version);
        Self {
            key: meta.key.clone(),
            version: Some(meta.version.clone()),
            row: None,
            id,
        }
    }

    /// The files that define a campaign, together: what is wrong with one may be mended in another.
    fn definition(bucket: &str, metas: &[ObjectMeta]) -> Self {
        let key = metas
            .first()
            .map(|meta| meta.key.as_str())
            .unwrap_or_default();
        let versions: Vec<&str> = metas.iter().map(|meta| meta.version.as_str()).collect();
        Self {
            key: key.to_owned(),
            version: None,
            row: None,
            id: ImageId::of_object(bucket, key, &versions.join(" ")),
        }
    }

    fn image(image: &Image) -> Self {
        Self {
            key: image.key.clone(),
            version: Some(image.version.clone()),
            row: image.row,
            id: image.id,
        }
    }

    /// Where the record is kept. Keys that name no campaign get a folder that cannot be one.
    fn record(&self) -> (String, String) {
        let folder = self
            .key
            .split_once('/')
            .and_then(|(folder, _)| folder.parse::<CampaignName>().ok());
        let folder = folder.map_or_else(|| "_unsorted".to_owned(), |name| name.to_string());
        let record = format!("{folder}/rejected/{}.json", self.id);
        (folder, record)
    }
}

/// Tells of an upload that cannot become a task and writes its `rejected/` record. Doing so again
/// changes nothing.
async fn reject<W: World>(world: &W, who: &Rejected, reason: &str) -> PortResult<()> {
    let (campaign, record) = who.record();
    let problem = Problem {
        kind: ProblemKind::UploadRejected,
        campaign,
        round: None,
        key: Some(who.key.clone()),
        message: format!("{}: {reason} (see {record})", who.key),
    };
    let occasion = format!("{}/{reason}", who.id);
    event::tell(world, problem, &occasion).await?;
    write_rejection(world, who, reason).await
}

/// Whether an upload was told to be rejected.
async fn was_rejected<W: World>(world: &W, who: &Rejected) -> PortResult<bool> {
    let (_, record) = who.record();
    Ok(world.results().head(&record).await?.is_some())
}

async fn write_rejection<W: World>(world: &W, who: &Rejected, reason: &str) -> PortResult<()> {
    let (_, record) = who.record();
    tracing::info!(
        record,
        reason,
        metric.rejected = 1,
        "an upload cannot become a task"
    );
    let body = serde_json::json!({
        "key": who.key,
        "version": who.version,
        "row": who.row,
        "image_id": who.id,
        "reason": reason,
    });
    world
        .results()
        .put_if_absent(&record, format!("{body:#}\n").as_bytes())
        .await
        .map(|_| ())
}

/// Rejects the bad rows of a file: one event for all, a record for each.
async fn reject_rows<W: World>(
    world: &W,
    meta: &ObjectMeta,
    bad: &[(u64, String)],
) -> PortResult<()> {
    let Some((_, first)) = bad.first() else {
        return Ok(());
    };
    let (bucket, key) = (world.uploads().bucket(), &meta.key);
    let who = Rejected::object(bucket, meta);
    let problem = Problem {
        kind: ProblemKind::UploadRejected,
        campaign: who.record().0,
        round: None,
        key: Some(key.clone()),
        message: format!(
            "{key}: {} rows cannot become tasks; the first: {first}",
            bad.len()
        ),
    };
    event::tell(world, problem, &who.id.to_string()).await?;
    for (number, reason) in bad {
        let id = ImageId::of_row(bucket, key, &meta.version, *number);
        let who = Rejected {
            row: Some(*number),
            id,
            ..Rejected::object(bucket, meta)
        };
        write_rejection(world, &who, reason).await?;
    }
    Ok(())
}

/// Records that a campaign's files define no campaign, because of the one that is `meta`.
pub(crate) async fn reject_definition<W: World>(
    world: &W,
    metas: &[ObjectMeta],
    meta: &ObjectMeta,
    reason: &str,
) -> PortResult<()> {
    let who = Rejected {
        key: meta.key.clone(),
        version: Some(meta.version.clone()),
        ..Rejected::definition(world.uploads().bucket(), metas)
    };
    write_rejection(world, &who, reason).await
}

/// Whether it was told that a campaign's files, as they are, define no campaign.
pub(crate) async fn definition_was_rejected<W: World>(
    world: &W,
    metas: &[ObjectMeta],
) -> PortResult<bool> {
    let who = Rejected::definition(world.uploads().bucket(), metas);
    was_rejected(world, &who).await
}
