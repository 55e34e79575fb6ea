//! A campaign's definition becomes its project, exam, training and pools at the crowd.
//!
//! The crowd has no idempotency key for these. So one writer at a time holds the campaign's lease,
//! each creation is recorded before the next, and each is looked for under its marker before it is
//! made: what a crash left behind is adopted. Nothing here costs money before tasks are in a pool.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::budget;
use crate::campaign::{self, Campaign, CampaignError, hex};
use crate::event::{self, Problem, ProblemKind};
use crate::ids::{BatchId, CampaignName};
use crate::ingest;
use crate::ports::{
    Admitted, Clock, Crowd, Ledger, ObjectMeta, Objects, PoolOpened, PoolSpec, PortError,
    PortResult, World, Write,
};
use crate::state::{Batch, BatchState, CampaignItem, Image, Kind, Lease, Round, RoundPool, Setup};
use sha2::{Digest, Sha256};

/// How long one writer may work on a setup before others may take over.
const LEASE: Duration = Duration::from_secs(60);
/// Control tasks in one request.
const CONTROL_BATCH: usize = 90;
/// A campaign's file is text; more than this is something else.
const MAX_DEFINITION: u64 = 1_000_000;
/// How often a lost race on the campaign is repeated at once.
const TRIES: usize = 5;

/// Reads a campaign's files and makes the ledger follow them; then takes in what its folder holds.
/// A broken definition is told with line and column and changes nothing.
///
/// # Errors
/// If a port fails; the event must come again.
pub async fn configure<W: World>(world: &W, name: &CampaignName) -> PortResult<()> {
    match find(world, name).await? {
        Definition::Missing => Ok(()),
        Definition::Broken(broken) => broken.tell(world, name).await,
        Definition::Known | Definition::New => ingest::sweep(world, name).await,
    }
}

/// What a campaign's files say beside what the ledger says.
pub(crate) enum Definition {
    /// There are none.
    Missing,
    /// They define no campaign.
    Broken(Broken),
    /// The ledger had followed them before.
    Known,
    /// The ledger follows them now.
    New,
}

/// Files that define no campaign, and why.
pub(crate) struct Broken {
    metas: Vec<ObjectMeta>,
    error: CampaignError,
}

/// Makes the ledger follow a campaign's files.
///
/// # Errors
/// If a port fails.
pub(crate) async fn find<W: World>(world: &W, name: &CampaignName) -> PortResult<Definition> {
    for _ in 0..TRIES {
        // Before the files: who has read older ones than somebody else saved must not save them.
        let old = world.ledger().campaign(name).await?;
        let files = read_files(world, name).await?;
        if files.metas.is_empty() {
            return Ok(Definition::Missing);
        }
        let campaign = match files.parse(world.crowd().fee()) {
            Ok(campaign) => campaign,
            Err(error) => {
                let metas = files.metas;
                return Ok(Definition::Broken(Broken { metas, error }));
            }
        };
        if old.as_ref().is_some_and(|item| item.campaign == campaign) {
            return Ok(Definition::Known);
        }
        let item = next_revision(name, old.as_ref(), campaign);
        if world.ledger().save_campaign(&item).await? == Write::Done {
            if let Some(old) = old {
                tell_changed(world, &old, &item).await?;
            }
            return Ok(Definition::New);
        }
    }
    Err(PortError::Unavailable(format!(
        "{name}: others keep changing this campaign"
    )))
}

fn next_revision(
    name: &CampaignName,
    old: Option<&CampaignItem>,
    campaign: Campaign,
) -> CampaignItem {
    match old {
        Some(old) => CampaignItem {
            campaign,
            revision: old.revision + 1,
            ..old.clone()
        },
        None => CampaignItem {
            name: name.clone(),
            campaign,
            revision: 1,
            setups: std::collections::BTreeMap::new(),
            lease: None,
            swept: None,
            round: 0,
            committed: rust_decimal::Decimal::ZERO,
        },
    }
}

/// The texts of a campaign's files that are there.
struct Files {
    metas: Vec<ObjectMeta>,
    texts: [Option<String>; 4],
}

impl Files {
    fn parse(&self, fee: rust_decimal::Decimal) -> Result<Campaign, CampaignError> {
        campaign::of_files(self.texts.each_ref().map(Option::as_deref), fee)
    }
}

async fn read_files<W: World>(world: &W, name: &CampaignName) -> PortResult<Files> {
    let mut files = Files {
        metas: Vec::new(),
        texts: [const { None }; 4],
    };
    for (file, text) in campaign::FILES.iter().zip(&mut files.texts) {
        let key = format!("{name}/{file}");
        let Some(meta) = world.uploads().head(&key).await? else {
            continue;
        };
        let bytes = world
            .uploads()
            .get(&key, &meta.version, MAX_DEFINITION)
            .await?;
        *text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        files.metas.push(meta);
    }
    Ok(files)
}

impl Broken {
    /// Tells what is wrong with the files, with line and column, and records it.
    ///
    /// # Errors
    /// If a port fails.
    pub(crate) async fn tell<W: World>(&self, world: &W, name: &CampaignName) -> PortResult<()> {
        let message = self.error.to_string();
        let file = self.error.problems.first().map(|problem| &problem.file);
        let is_wrong = |meta: &&ObjectMeta| {
            let name = meta.key.rsplit('/').next();
            name == file.map(String::as_str)
        };
        let Some(meta) = self.metas.iter().find(is_wrong).or(self.metas.first()) else {
            return Ok(());
        };
        let problem = Problem {
            kind: ProblemKind::CampaignInvalid,
            campaign: name.to_string(),
            round: None,
            key: Some(meta.key.clone()),
            message: format!(
                "campaign {name} is not as it should be; nothing was changed:\n{message}"
            ),
        };
        let occasion = hex(&Sha256::digest(format!("{}{message}", meta.version)));
        event::tell(world, problem, &occasion).await?;
        ingest::reject_definition(world, &self.metas, meta, &message).await
    }

    /// Whether that was done.
    ///
    /// # Errors
    /// If a port fails.
    pub(crate) async fn was_told<W: World>(&self, world: &W) -> PortResult<bool> {
        ingest::definition_was_rejected(world, &self.metas).await
    }
}

/// Tells that a round that is under way goes on as it was.
async fn tell_changed<W: World>(
    world: &W,
    old: &CampaignItem,
    new: &CampaignItem,
) -> PortResult<()> {
    let unfinished = world.ledger().unfinished_rounds().await?;
    let bound = unfinished
        .into_iter()
        .filter(|round| round.campaign == old.name);
    for id in bound {
        let has_pool = world
            .ledger()
            .round(&id)
            .await?
            .is_some_and(|round| round.pool.is_some());
        if !has_pool {
            continue;
        }
        let problem = Problem {
            kind: ProblemKind::CampaignChanged,
            campaign: old.name.to_string(),
            round: Some(id.number),
            key: None,
            message: format!(
                "campaign {} was changed while round {} is under way: the round goes on as it was, the \
                 change serves from the next one (`budget` and `links_since` at once)",
                old.name, id.number
            ),
        };
        let occasion = new.revision.to_string();
        event::tell(world, problem, &occasion).await?;
    }
    Ok(())
}

/// Gives a round its pool, with everything that the pool needs first. Returns whether it has one
/// now; `false` if somebody else is at it or something is missing, which has been told then.
pub(crate) async fn prepare<W: World>(world: &W, round: &Round) -> PortResult<bool> {
    let Some(item) = take_lease(world, &round.id.campaign).await? else {
        return Ok(false);
    };
    let controls = Controls::load(world, &item).await?;
    let prepared = match missing_training(&item, &controls) {
        Some(message) => {
            tell_missing(world, round, message).await?;
            Ok(false)
        }
        None => prepare_under_lease(world, item, round, &controls).await,
    };
    release_lease(world, &round.id.campaign).await?;
    prepared
}

async fn take_lease<W: World>(world: &W, name: &CampaignName) -> PortResult<Option<CampaignItem>> {
    let now = world.clock().now();
    let Some(item) = world.ledger().campaign(name).await? else {
        return Ok(None);
    };
    if item
        .lease
        .as_ref()
        .is_some_and(|lease| lease.until > now && lease.writer != world.writer())
    {
        return Ok(None);
    }
    let lease = Some(Lease {
        writer: world.writer().to_owned(),
        until: now.plus(LEASE),
    });
    let item = CampaignItem {
        lease,
        revision: item.revision + 1,
        ..item
    };
    Ok((world.ledger().save_campaign(&item).await? == Write::Done).then_some(item))
}

async fn release_lease<W: World>(world: &W, name: &CampaignName) -> PortResult<()> {
    if let Some(item) = world.ledger().campaign(name).await?
        && item
            .lease
            .as_ref()
            .is_some_and(|lease| lease.writer == world.writer())
    {
        let item = CampaignItem {
            lease: None,
            revision: item.revision + 1,
            ..item
        };
        world.ledger().save_campaign(&item).await?;
    }
    Ok(())
}

/// The control images of a campaign.
struct Controls {
    golden: Vec<Image>,
    exam: Vec<Image>,
    training: Vec<Image>,
}

impl Controls {
    async fn load<W: World>(world: &W, item: &CampaignItem) -> PortResult<Self> {
        let (name, campaign) = (&item.name, &item.campaign);
        Ok(Self {
            golden: controls(world, name, campaign, Kind::Golden).await?,
            exam: controls(world, name, campaign, Kind::Exam).await?,
            training: controls(world, name, campaign, Kind::Training).await?,
        })
    }

    /// Names the exam and training that these images make.
    fn digest(&self) -> String {
        let ids = self
            .exam
            .iter()
            .chain(&self.training)
            .map(|image| image.id.to_string());
        hex(&Sha256::digest(ids.collect::<Vec<_>>().join(" ")))[..16].to_owned()
    }
}

/// The control images of a kind whose answer is still one of the campaign's labels: no worker could
/// be right about others.
async fn controls<W: World>(
    world: &W,
    name: &CampaignName,
    campaign: &Campaign,
    kind: Kind,
) -> PortResult<Vec<Image>> {
    let mut images = world.ledger().controls(name, kind).await?;
    images.retain(|image| {
        let known = image.known.as_ref();
        known.is_some_and(|known| campaign.labels.contains(known))
    });
    Ok(images)
}

/// A pool.json that requires a training can admit nobody while there are no training tasks.
fn missing_training(item: &CampaignItem, controls: &Controls) -> Option<&'static str> {
    (item.campaign.requires_training() && controls.training.is_empty()).then_some(
        "pool.json requires a training, but training/ has no tasks, so nobody could be admitted: drop \
         tasks into training/<LABEL>/ (or rows with a label into training/), or remove training_requirement",
    )
}

async fn tell_missing<W: World>(world: &W, round: &Round, message: &str) -> PortResult<()> {
    let problem = Problem {
        kind: ProblemKind::TrainingWithoutTasks,
        campaign: round.id.campaign.to_string(),
        round: Some(round.id.number),
        key: None,
        message: message.to_owned(),
    };
    event::tell(world, problem, &round.id.to_string()).await
}

async fn prepare_under_lease<W: World>(
    world: &W,
    item: CampaignItem,
    round: &Round,
    controls: &Controls,
) -> PortResult<bool> {
    let campaign = item.campaign.clone();
    let key = format!("{}-{}", campaign.interface_digest(), controls.digest());
    let mut builder = Builder {
        world,
        item,
        key,
        campaign: &campaign,
    };
    let Some(setup) = builder.setup(controls).await? else {
        return Ok(false);
    };
    send_controls(
        world,
        &round.id.campaign,
        Kind::Exam,
        setup.exam_pool.as_deref(),
        &controls.exam,
    )
    .await?;
    send_controls(
        world,
        &round.id.campaign,
        Kind::Training,
        setup.training.as_deref(),
        &controls.training,
    )
    .await?;
    let golden = !controls.golden.is_empty() && campaign.golden.per_page > 0;
    let Some(project) = setup.project.clone() else {
        return Ok(false);
    };
    let spec = PoolSpec {
        campaign: &campaign,
        marker: format!("quorate round {}", round.id),
        project: &project,
        kind: Kind::Real,
        golden,
        exam_skill: setup.exam_pool.as_ref().and(setup.exam_skill.as_deref()),
        quality_skill: setup.quality_skill.as_deref(),
        training: setup.training.as_deref(),
        tasks: 0,
        now: world.clock().now(),
    };
    // Before the round has its pool: whoever finds one without control tasks would not add them.
    if golden {
        send_golden(world, round, &controls.golden).await?;
    }
    let id = find_or_create_pool(world, &spec).await?;
    let pool = RoundPool {
        id,
        project,
        golden,
        campaign: campaign.clone(),
        exam_pool: setup.exam_pool.clone(),
        training: setup.training.clone(),
    };
    if world.ledger().set_pool(&round.id, &pool).await? == Write::Done {
        reserve_tail(world, round, &campaign).await?;
    }
    Ok(true)
}

/// The last pages of a pool are not full; reserve for them if the budget still has it.
async fn reserve_tail<W: World>(world: &W, round: &Round, campaign: &Campaign) -> PortResult<()> {
    let tail = budget::tail(campaign, world.crowd().fee());
    if let Admitted::OverBudget { .. } = world
        .ledger()
        .reserve(&round.id, tail, campaign.budget)
        .await?
    {
        tracing::info!(round = %round.id, "no money left for pages that are not full");
    }
    Ok(())
}

/// Creates what a campaign needs once, and records each creation.
struct Builder<'a, W> {
    world: &'a W,
    item: CampaignItem,
    key: String,
    campaign: &'a Campaign,
}

impl<W: World> Builder<'_, W> {
    /// The campaign's setup, whole; `None` if the campaign changed meanwhile.
    async fn setup(&mut self, controls: &Controls) -> PortResult<Option<Setup>> {
        let mut setup = self.item.setups.get(&self.key).cloned().unwrap_or_default();
        if setup.project.is_none() {
            setup.project = Some(self.project().await?);
            if !self.save(&setup).await? {
                return Ok(None);
            }
        }
        if setup.quality_skill.is_none() && !controls.golden.is_empty() {
            setup.quality_skill = Some(
                self.skill("quality", &self.campaign.interface_digest())
                    .await?,
            );
            if !self.save(&setup).await? {
                return Ok(None);
            }
        }
        if setup.training.is_none() && !controls.training.is_empty() {
            setup.training = Some(
                self.pool(&setup, Kind::Training, controls.training.len())
                    .await?,
            );
            if !self.save(&setup).await? {
                return Ok(None);
            }
        }
        if setup.exam_pool.is_none() && !controls.exam.is_empty() {
            let key = self.key.clone();
            setup.exam_skill = Some(self.skill("exam", &key).await?);
            setup.exam_pool = Some(self.pool(&setup, Kind::Exam, controls.exam.len()).await?);
            if !self.save(&setup).await? {
                return Ok(None);
            }
        }
        Ok(Some(setup))
    }

    async fn save(&mut self, setup: &Setup) -> PortResult<bool> {
        self.item.setups.insert(self.key.clone(), setup.clone());
        self.item.revision += 1;
        Ok(self.world.ledger().save_campaign(&self.item).await? == Write::Done)
    }

    async fn project(&self) -> PortResult<String> {
        let marker = format!(
            "quorate {} {}",
            self.item.name,
            self.campaign.interface_digest()
        );
        match self.world.crowd().find_project(&marker).await? {
            Some(id) => Ok(id),
            None => {
                self.world
                    .crowd()
                    .create_project(self.campaign, &marker)
                    .await
            }
        }
    }

    async fn skill(&self, purpose: &str, digest: &str) -> PortResult<String> {
        let name = format!("quorate {} {purpose} {digest}", self.item.name);
        match self.world.crowd().find_skill(&name).await? {
            Some(id) => Ok(id),
            None => self.world.crowd().create_skill(&name).await,
        }
    }

    async fn pool(&self, setup: &Setup, kind: Kind, tasks: usize) -> PortResult<String> {
        let spec = PoolSpec {
            campaign: self.campaign,
            marker: format!("quorate {} {} {}", self.item.name, kind.as_str(), self.key),
            project: setup.project.as_deref().unwrap_or_default(),
            kind,
            golden: false,
            exam_skill: setup.exam_skill.as_deref(),
            quality_skill: None,
            training: setup.training.as_deref(),
            tasks,
            now: self.world.clock().now(),
        };
        find_or_create_pool(self.world, &spec).await
    }
}

async fn find_or_create_pool<W: World>(world: &W, spec: &PoolSpec<'_>) -> PortResult<String> {
    match world
        .crowd()
        .find_pool(spec.project, spec.kind, &spec.marker)
        .await?
    {
        Some(id) => Ok(id),
        None => world.crowd().create_pool(spec).await,
    }
}

/// The batches that carry control images to `pool`, in order.
fn control_batches(
    campaign: &CampaignName,
    kind: Kind,
    pool: &str,
    images: &[Image],
    at: crate::time::Timestamp,
) -> Vec<Batch> {
    images
        .chunks(CONTROL_BATCH)
        .map(|members| Batch {
            id: BatchId::of(pool, members.iter().map(|image| image.id)),
            campaign: campaign.clone(),
            round: None,
            kind,
            pool: Some(pool.to_owned()),
            members: members.to_vec(),
            state: BatchState::Ready,
            reserved: rust_decimal::Decimal::ZERO,
            created: at,
            first_sent: None,
            fence: 0,
            writer: String::new(),
            due: at,
            attempts: 0,
            last_error: None,
            outcomes: Vec::new(),
        })
        .collect()
}

/// Writes the batches of an exam or a training.
async fn send_controls<W: World>(
    world: &W,
    campaign: &CampaignName,
    kind: Kind,
    pool: Option<&str>,
    images: &[Image],
) -> PortResult<()> {
    let Some(pool) = pool else {
        return Ok(());
    };
    for batch in control_batches(campaign, kind, pool, images, world.clock().now()) {
        world.ledger().add_control_batch(&batch).await?;
    }
    Ok(())
}

/// Writes the batches of a round's control tasks: the round counts them. An attempt before this one
/// may have written some of them.
async fn send_golden<W: World>(world: &W, round: &Round, images: &[Image]) -> PortResult<()> {
    let mut sent = BTreeSet::new();
    let mut after: Option<String> = None;
    loop {
        let page = world
            .ledger()
            .round_batches(&round.id, after.as_deref())
            .await?;
        let golden = page
            .items
            .into_iter()
            .filter(|batch| batch.kind == Kind::Golden);
        sent.extend(golden.flat_map(|batch| batch.members).map(|image| image.id));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let missing: Vec<Image> = images
        .iter()
        .filter(|image| !sent.contains(&image.id))
        .cloned()
        .collect();
    let target = format!("golden {}", round.id);
    let at = world.clock().now();
    for batch in control_batches(&round.id.campaign, Kind::Golden, &target, &missing, at) {
        let batch = Batch {
            round: Some(round.id.clone()),
            pool: None,
            ..batch
        };
        world.ledger().add_control_batch(&batch).await?;
    }
    Ok(())
}

/// Opens training and exam of a round to workers once all their tasks are there. Whether they are
/// open (or not needed).
pub(crate) async fn open_admission<W: World>(
    world: &W,
    pool: &RoundPool,
    campaign: &CampaignName,
) -> PortResult<bool> {
    let Some(item) = world.ledger().campaign(campaign).await? else {
        return Ok(false);
    };
    let setup = item
        .setups
        .iter()
        .find(|(_, setup)| setup.training == pool.training && setup.exam_pool == pool.exam_pool);
    let Some((key, setup)) = setup else {
        return Ok(false);
    };
    let wanted = [
        (Kind::Training, setup.training.clone(), setup.training_open),
        (Kind::Exam, setup.exam_pool.clone(), setup.exam_open),
    ];
    let defined = &pool.campaign;
    let mut opened = setup.clone();
    for (kind, pool, open) in wanted {
        let Some(pool) = pool.filter(|_| !open) else {
            continue;
        };
        let images = controls(world, campaign, defined, kind).await?;
        for batch in control_batches(campaign, kind, &pool, &images, world.clock().now()) {
            let state = world
                .ledger()
                .batch(batch.id)
                .await?
                .map(|batch| batch.state);
            if state.is_some_and(|state| state != BatchState::Done) {
                return Ok(false);
            }
        }
        let came = world.crowd().open_pool(&pool).await?;
        if came == PoolOpened::Empty {
            let reason = format!(
                "the crowd made no task of {}/, so nobody could be admitted: see the log for what it refused",
                kind.as_str()
            );
            event::tell_stuck(world, campaign, None, &PortError::Refused(reason)).await?;
        }
        if came != PoolOpened::Opened {
            return Ok(false);
        }
        match kind {
            Kind::Training => opened.training_open = true,
            _ => opened.exam_open = true,
        }
    }
    if opened == *setup {
        return Ok(true);
    }
    let mut item = CampaignItem {
        revision: item.revision + 1,
        ..item.clone()
    };
    item.setups.insert(key.clone(), opened);
    Ok(world.ledger().save_campaign(&item).await? == Write::Done)
}
