//! Copies of pools and trainings: the settings, without tasks and without statistics.

use axum::extract::State;
use serde_json::json;

use super::{
    operations::{self, Done},
    pools,
};
use crate::{
    error::Error,
    http::{Answer, Id, Requester},
    platform::Platform,
};

/// Copies a pool or training, closed, in the same project: 202 with an operation that names the copy.
async fn copy(p: Platform, who: Requester, id: String, training: bool) -> Answer {
    p.write(move |tx| {
        let original = if training {
            pools::training_of(tx, &who.0, &id)?
        } else {
            tx.pool_of(&who.0, &id)?
        };
        let project = tx.project(original.project)?;
        if project.status != "ACTIVE" {
            return Err(Error::conflict(
                "PROJECT_INAPPROPRIATE_STATUS",
                format!("Project {} is archived", project.id),
            ));
        }
        let copy = match original.training {
            // A training has a skill of its own, and so has its copy.
            Some(form) => pools::insert_training(tx, &who.0, &project, &form)?,
            None => {
                let mut form = original.form;
                form.priority = Some(original.priority);
                // Collectors with the same id would share what they count.
                let quality = form.quality_control.iter_mut();
                for config in quality.flat_map(|quality| &mut quality.configs) {
                    config.collector_config.uuid = None;
                }
                pools::insert(tx, &who.0, project.id, &mut form)?
            }
        };
        let (kind, key) = if training {
            ("TRAINING.CLONE", "training_id")
        } else {
            ("POOL.CLONE", "pool_id")
        };
        let operation = operations::record(
            tx,
            &who.0,
            Done {
                id: None,
                kind,
                success: true,
                parameters: json!({ key: id }),
                details: Some(json!({ key: copy.to_string() })),
                log: Vec::new(),
            },
        )?;
        operations::accepted(tx, &who.0, &operation)
    })
    .await
}

pub(super) async fn pool(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    copy(p, who, id, false).await
}

pub(super) async fn training(State(p): State<Platform>, who: Requester, Id(id): Id) -> Answer {
    copy(p, who, id, true).await
}
