//! Copying a project with everything in it but its tasks.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;

use super::{Client, PoolQuery};
use crate::{
    Error,
    types::{Pool, PoolStatus, Project, QualityControl, Training},
};

/// What [`Client::clone_project`] has made. Pools and trainings are by the ids of the originals.
#[derive(Clone, Debug, PartialEq)]
pub struct ClonedProject {
    /// The new project.
    pub project: Project,
    /// The new trainings.
    pub trainings: BTreeMap<String, Training>,
    /// The new pools.
    pub pools: BTreeMap<String, Pool>,
}

impl Client {
    /// Copies a project with its trainings and pools, but those that are put away, without tasks.
    /// Pools of the copy ask for the trainings of the copy.
    ///
    /// With `share_counts` the collectors of the copy keep the `uuid` of the originals, and count
    /// together with them: who was wrong there is wrong here too. Otherwise they begin anew.
    ///
    /// The platform has no request for this, so it is several, and not one transaction: when one
    /// fails, what was made before is there.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such project; else see [`Error`].
    pub async fn clone_project(
        &self,
        project_id: &str,
        share_counts: bool,
    ) -> Result<ClonedProject, Error> {
        let mut project = self.get_project(project_id).await?;
        let query = PoolQuery {
            project_id: Some(project_id.to_owned()),
            ..PoolQuery::default()
        };
        let trainings: Vec<_> = self.trainings(query.clone()).try_collect().await?;
        let pools: Vec<_> = self.pools(query).try_collect().await?;
        let kept = |status: &Option<PoolStatus>| *status != Some(PoolStatus::Archived);

        project.id.clear();
        (project.status, project.created, project.owner) = (None, None, None);
        unshare(project.quality_control.as_mut(), share_counts);
        let project = self.create_project(&project).await?;

        let mut new_trainings = BTreeMap::new();
        for training in trainings.into_iter().filter(|one| kept(&one.status)) {
            let (old, training) = (training.id.clone(), training_form(training, &project.id));
            new_trainings.insert(old, self.create_training(&training).await?);
        }

        let mut new_pools = BTreeMap::new();
        for pool in pools.into_iter().filter(|one| kept(&one.status)) {
            // Trainings are listed among the pools, too.
            if pool.training == Some(true) || new_trainings.contains_key(&pool.id) {
                continue;
            }
            let (old, mut pool) = (pool.id.clone(), pool_form(pool, &project.id));
            unshare(pool.quality_control.as_mut(), share_counts);
            let quality = pool.quality_control.as_mut();
            if let Some(required) =
                quality.and_then(|quality| quality.training_requirement.as_mut())
                && let Some(training) = new_trainings.get(&required.training_pool_id)
            {
                required.training_pool_id.clone_from(&training.id);
            }
            new_pools.insert(old, self.create_pool(&pool).await?);
        }
        Ok(ClonedProject {
            project,
            trainings: new_trainings,
            pools: new_pools,
        })
    }
}

/// Takes the identity off the collectors, unless their counts are shared.
fn unshare(quality: Option<&mut QualityControl>, share_counts: bool) {
    if share_counts {
        return;
    }
    for config in quality.into_iter().flat_map(|quality| &mut quality.configs) {
        config.collector_config.uuid = None;
    }
}

/// A training of another project, without what the platform gives.
fn training_form(training: Training, project_id: &str) -> Training {
    Training {
        id: String::new(),
        project_id: project_id.to_owned(),
        status: None,
        last_close_reason: None,
        created: None,
        last_started: None,
        last_stopped: None,
        owner: None,
        ..training
    }
}

/// A pool of another project, without what the platform gives.
fn pool_form(pool: Pool, project_id: &str) -> Pool {
    Pool {
        id: String::new(),
        project_id: project_id.to_owned(),
        kind: None,
        training: None,
        status: None,
        last_close_reason: None,
        created: None,
        last_started: None,
        last_stopped: None,
        owner: None,
        ..pool
    }
}
