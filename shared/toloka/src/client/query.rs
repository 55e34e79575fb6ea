//! What lists can be asked for.
//!
//! Lists have neither offset nor total: page by asking for ids after the last one of the page
//! before, sorted by id. The streams do that.

use std::fmt::Display;

use crate::types::{
    AssignmentStatus, AttachmentType, EventType, Folder, OperationStatus, OperationType,
    PoolStatus, ProjectStatus, RestrictionScope, Time,
};

/// Query parameters.
#[derive(Debug, Default)]
pub(super) struct Pairs(Vec<(&'static str, String)>);

impl Pairs {
    pub(super) fn add(mut self, name: &'static str, value: impl Display) -> Self {
        self.0.push((name, value.to_string()));
        self
    }

    pub(super) fn add_some(self, name: &'static str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.add(name, value),
            None => self,
        }
    }

    /// Words with commas between them, if there are any.
    fn add_list<'a>(self, name: &'static str, words: impl Iterator<Item = &'a str>) -> Self {
        let list = words.collect::<Vec<_>>().join(",");
        self.add_some(name, Some(list).filter(|list| !list.is_empty()))
    }

    /// Comparisons of one field; `names` are those of `gt`, `gte`, `lt` and `lte`.
    fn bounds<T: Display>(self, names: [&'static str; 4], bounds: &Bounds<T>) -> Self {
        let [gt, gte, lt, lte] = names;
        self.add_some(gt, bounds.gt.as_ref())
            .add_some(gte, bounds.gte.as_ref())
            .add_some(lt, bounds.lt.as_ref())
            .add_some(lte, bounds.lte.as_ref())
    }

    pub(super) fn into_vec(self) -> Vec<(&'static str, String)> {
        self.0
    }
}

/// Comparisons with one field; those that are given must all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds<T> {
    /// Greater than.
    pub gt: Option<T>,
    /// Greater than or equal to.
    pub gte: Option<T>,
    /// Less than.
    pub lt: Option<T>,
    /// Less than or equal to.
    pub lte: Option<T>,
}

impl<T> Default for Bounds<T> {
    fn default() -> Self {
        Self {
            gt: None,
            gte: None,
            lt: None,
            lte: None,
        }
    }
}

/// What the four comparisons of a field are called.
macro_rules! names {
    ($field:literal) => {
        [
            concat!($field, "_gt"),
            concat!($field, "_gte"),
            concat!($field, "_lt"),
            concat!($field, "_lte"),
        ]
    };
}

/// What a list is asked for.
pub(super) trait Query: Clone + Send + Sync {
    fn pairs(&self) -> Pairs;
}

/// A query that can ask for the page after a key, which is the id in most lists.
pub(super) trait Paged: Query {
    fn page_after(&mut self, key: Option<String>, default_limit: u32);
}

/// Adds the parameters that every list has, and paging by id.
macro_rules! pages_by_id {
    ($query:ty, $self:ident => $own:block) => {
        impl Query for $query {
            fn pairs(&$self) -> Pairs {
                $own.bounds(names!("id"), &$self.id)
                    .bounds(names!("created"), &$self.created)
                    .add_some("sort", $self.sort.as_ref())
                    .add_some("limit", $self.limit)
            }
        }

        paged!($query, "id" => id);
    };
}

/// Pages by a key: its name and its bounds.
macro_rules! paged {
    ($query:ty, $name:literal => $bounds:ident) => {
        impl Paged for $query {
            fn page_after(&mut self, key: Option<String>, default_limit: u32) {
                self.sort = Some($name.to_owned());
                self.limit.get_or_insert(default_limit);
                if key.is_some() {
                    self.$bounds.gt = key;
                }
            }
        }
    };
}

/// Which projects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectQuery {
    /// In this state.
    pub status: Option<ProjectStatus>,
    /// Of this requester.
    pub owner_id: Option<String>,
    /// Of this company.
    pub owner_company_id: Option<String>,
    /// By id.
    pub id: Bounds<String>,
    /// By creation.
    pub created: Bounds<Time>,
    /// Order: `id`, `created`, `public_name` or `private_comment`, `-` before it turns it round.
    pub sort: Option<String>,
    /// At most so many, up to 300.
    pub limit: Option<u32>,
}

pages_by_id!(ProjectQuery, self => {
    Pairs::default()
        .add_some("status", self.status.as_ref())
        .add_some("owner_id", self.owner_id.as_ref())
        .add_some("owner_company_id", self.owner_company_id.as_ref())
});

/// Which pools, or which trainings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolQuery {
    /// In this state.
    pub status: Option<PoolStatus>,
    /// Of this project.
    pub project_id: Option<String>,
    /// Of this requester.
    pub owner_id: Option<String>,
    /// Of this company.
    pub owner_company_id: Option<String>,
    /// By id.
    pub id: Bounds<String>,
    /// By creation.
    pub created: Bounds<Time>,
    /// By the last opening.
    pub last_started: Bounds<Time>,
    /// Order: `id`, `created` or `last_started`, `-` before it turns it round.
    pub sort: Option<String>,
    /// At most so many, up to 300.
    pub limit: Option<u32>,
}

pages_by_id!(PoolQuery, self => {
    Pairs::default()
        .add_some("status", self.status.as_ref())
        .add_some("project_id", self.project_id.as_ref())
        .add_some("owner_id", self.owner_id.as_ref())
        .add_some("owner_company_id", self.owner_company_id.as_ref())
        .bounds(names!("last_started"), &self.last_started)
});

/// Which skills.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkillQuery {
    /// With exactly this name.
    pub name: Option<String>,
    /// Only the platform's own, or only others.
    pub global: Option<bool>,
    /// By id.
    pub id: Bounds<String>,
    /// By creation.
    pub created: Bounds<Time>,
    /// Order: `id` or `created`, `-` before it turns it round.
    pub sort: Option<String>,
    /// At most so many, up to 100.
    pub limit: Option<u32>,
}

pages_by_id!(SkillQuery, self => {
    Pairs::default()
        .add_some("name", self.name.as_ref())
        .add_some("global", self.global)
});

/// Which skills of which workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserSkillQuery {
    /// Of this worker.
    pub user_id: Option<String>,
    /// Of this skill.
    pub skill_id: Option<String>,
    /// By id.
    pub id: Bounds<String>,
    /// By creation.
    pub created: Bounds<Time>,
    /// By the last change.
    pub modified: Bounds<Time>,
    /// Order: `id`, `created` or `modified`, `-` before it turns it round.
    pub sort: Option<String>,
    /// At most so many, up to 1,000.
    pub limit: Option<u32>,
}

pages_by_id!(UserSkillQuery, self => {
    Pairs::default()
        .add_some("user_id", self.user_id.as_ref())
        .add_some("skill_id", self.skill_id.as_ref())
        .bounds(names!("modified"), &self.modified)
});

/// Which tasks, or which task suites.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskQuery {
    /// Of this pool or training. Required for tasks.
    pub pool_id: Option<String>,
    /// Task suites only: those with this task.
    pub task_id: Option<String>,
    /// With exactly this overlap.
    pub overlap: Option<u32>,
    /// By overlap.
    pub overlaps: Bounds<u32>,
    /// By id.
    pub id: Bounds<String>,
    /// By creation.
    pub created: Bounds<Time>,
    /// Order: `id` or `created`, `-` before it turns it round.
    pub sort: Option<String>,
    /// At most so many, up to 100,000; 50 when absent.
    pub limit: Option<u32>,
}

pages_by_id!(TaskQuery, self => {
    Pairs::default()
        .add_some("pool_id", self.pool_id.as_ref())
        .add_some("task_id", self.task_id.as_ref())
        .add_some("overlap", self.overlap)
        .bounds(names!("overlap"), &self.overlaps)
});

impl TaskQuery {
    /// All tasks or task suites of a pool.
    pub fn pool(pool_id: impl Into<String>) -> Self {
        Self {
            pool_id: Some(pool_id.into()),
            ..Self::default()
        }
    }
}

/// Which assignments. One of `pool_id`, `task_suite_id` and `task_id` is required.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssignmentQuery {
    /// Of this pool.
    pub pool_id: Option<String>,
    /// Of this task suite.
    pub task_suite_id: Option<String>,
    /// With this task.
    pub task_id: Option<String>,
    /// Of this worker.
    pub user_id: Option<String>,
    /// In one of these states; in any when empty.
    pub status: Vec<AssignmentStatus>,
    /// By id.
    pub id: Bounds<String>,
    /// By the time when it was taken.
    pub created: Bounds<Time>,
    /// By the time when it was submitted.
    pub submitted: Bounds<Time>,
    /// By the time when it was accepted.
    pub accepted: Bounds<Time>,
    /// By the time when it was rejected.
    pub rejected: Bounds<Time>,
    /// By the time when it was skipped.
    pub skipped: Bounds<Time>,
    /// By the time when it ran out.
    pub expired: Bounds<Time>,
    /// Order: `id` or one of the times, `-` before it turns it round.
    pub sort: Option<String>,
    /// At most so many, up to 100,000; 50 when absent.
    pub limit: Option<u32>,
}

pages_by_id!(AssignmentQuery, self => {
    Pairs::default()
        .add_list("status", self.status.iter().map(AssignmentStatus::as_str))
        .add_some("pool_id", self.pool_id.as_ref())
        .add_some("task_suite_id", self.task_suite_id.as_ref())
        .add_some("task_id", self.task_id.as_ref())
        .add_some("user_id", self.user_id.as_ref())
        .bounds(names!("submitted"), &self.submitted)
        .bounds(names!("accepted"), &self.accepted)
        .bounds(names!("rejected"), &self.rejected)
        .bounds(names!("skipped"), &self.skipped)
        .bounds(names!("expired"), &self.expired)
});

impl AssignmentQuery {
    /// All assignments of a pool.
    pub fn pool(pool_id: impl Into<String>) -> Self {
        Self {
            pool_id: Some(pool_id.into()),
            ..Self::default()
        }
    }
}

/// Which restrictions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserRestrictionQuery {
    /// With this scope.
    pub scope: Option<RestrictionScope>,
    /// Of this worker.
    pub user_id: Option<String>,
    /// Of this project.
    pub project_id: Option<String>,
    /// Of this pool.
    pub pool_id: Option<String>,
    /// By id.
    pub id: Bounds<String>,
    /// By creation.
    pub created: Bounds<Time>,
    /// Order: `id` or `created`, `-` before it turns it round.
    pub sort: Option<String>,
    /// At most so many, up to 500.
    pub limit: Option<u32>,
}

pages_by_id!(UserRestrictionQuery, self => {
    Pairs::default()
        .add_some("scope", self.scope.as_ref())
        .add_some("user_id", self.user_id.as_ref())
        .add_some("project_id", self.project_id.as_ref())
        .add_some("pool_id", self.pool_id.as_ref())
});

/// Which bonuses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserBonusQuery {
    /// Of this worker.
    pub user_id: Option<String>,
    /// For this assignment.
    pub assignment_id: Option<String>,
    /// With exactly this note.
    pub private_comment: Option<String>,
    /// By id.
    pub id: Bounds<String>,
    /// By creation.
    pub created: Bounds<Time>,
    /// Order: `id` or `created`, `-` before it turns it round.
    pub sort: Option<String>,
    /// At most so many, up to 300.
    pub limit: Option<u32>,
}

pages_by_id!(UserBonusQuery, self => {
    Pairs::default()
        .add_some("user_id", self.user_id.as_ref())
        .add_some("assignment_id", self.assignment_id.as_ref())
        .add_some("private_comment", self.private_comment.as_ref())
});

/// Which files. One of `pool_id` and `assignment_id` is required.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachmentQuery {
    /// With exactly this name.
    pub name: Option<String>,
    /// Of this kind.
    pub kind: Option<AttachmentType>,
    /// Of this worker.
    pub user_id: Option<String>,
    /// Of this assignment.
    pub assignment_id: Option<String>,
    /// Of this pool.
    pub pool_id: Option<String>,
    /// Of this requester.
    pub owner_id: Option<String>,
    /// Of this company.
    pub owner_company_id: Option<String>,
    /// By id.
    pub id: Bounds<String>,
    /// By the time of the upload.
    pub created: Bounds<Time>,
    /// Order: `id` or `created`, `-` before it turns it round.
    pub sort: Option<String>,
    /// At most so many, up to 100.
    pub limit: Option<u32>,
}

pages_by_id!(AttachmentQuery, self => {
    Pairs::default()
        .add_some("name", self.name.as_ref())
        .add_some("type", self.kind.as_ref())
        .add_some("user_id", self.user_id.as_ref())
        .add_some("assignment_id", self.assignment_id.as_ref())
        .add_some("pool_id", self.pool_id.as_ref())
        .add_some("owner_id", self.owner_id.as_ref())
        .add_some("owner_company_id", self.owner_company_id.as_ref())
});

impl AttachmentQuery {
    /// All files of a pool.
    pub fn pool(pool_id: impl Into<String>) -> Self {
        Self {
            pool_id: Some(pool_id.into()),
            ..Self::default()
        }
    }
}

/// Which message threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageThreadQuery {
    /// In all of these folders.
    pub folder: Vec<Folder>,
    /// In none of these folders.
    pub folder_ne: Vec<Folder>,
    /// By id.
    pub id: Bounds<String>,
    /// By creation.
    pub created: Bounds<Time>,
    /// Order: `id` or `created`, `-` before it turns it round.
    pub sort: Option<String>,
    /// At most so many, up to 300.
    pub limit: Option<u32>,
}

pages_by_id!(MessageThreadQuery, self => {
    Pairs::default()
        .add_list("folder", self.folder.iter().map(Folder::as_str))
        .add_list("folder_ne", self.folder_ne.iter().map(Folder::as_str))
});

/// Which aggregated answers of an operation. They page by task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AggregatedSolutionQuery {
    /// By task.
    pub task_id: Bounds<String>,
    /// Order: `task_id`, `-` before it turns it round.
    pub sort: Option<String>,
    /// At most so many, up to 100,000; 50 when absent.
    pub limit: Option<u32>,
}

impl Query for AggregatedSolutionQuery {
    fn pairs(&self) -> Pairs {
        Pairs::default()
            .bounds(names!("task_id"), &self.task_id)
            .add_some("sort", self.sort.as_ref())
            .add_some("limit", self.limit)
    }
}

paged!(AggregatedSolutionQuery, "task_id" => task_id);

/// Which webhook subscriptions. They page by time of creation, not by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookQuery {
    /// To this kind of event.
    pub event_type: Option<EventType>,
    /// Of this pool.
    pub pool_id: Option<String>,
    /// By creation.
    pub created: Bounds<Time>,
    /// Order: `created`, `-` before it turns it round.
    pub sort: Option<String>,
    /// At most so many, up to 300.
    pub limit: Option<u32>,
}

impl Query for WebhookQuery {
    fn pairs(&self) -> Pairs {
        Pairs::default()
            .add_some("event_type", self.event_type.as_ref())
            .add_some("pool_id", self.pool_id.as_ref())
            .bounds(names!("created"), &self.created)
            .add_some("sort", self.sort.as_ref())
            .add_some("limit", self.limit)
    }
}

/// Which operations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperationQuery {
    /// Of this type.
    pub kind: Option<OperationType>,
    /// In this state.
    pub status: Option<OperationStatus>,
    /// By id.
    pub id: Bounds<String>,
    /// By the time when it was asked for.
    pub submitted: Bounds<Time>,
    /// By the time when it ended.
    pub finished: Bounds<Time>,
    /// Order: `id`, `submitted` or `finished`, `-` before it turns it round.
    pub sort: Option<String>,
    /// At most so many, up to 500.
    pub limit: Option<u32>,
}

impl Query for OperationQuery {
    fn pairs(&self) -> Pairs {
        Pairs::default()
            .add_some("type", self.kind.as_ref())
            .add_some("status", self.status.as_ref())
            .bounds(names!("id"), &self.id)
            .bounds(names!("submitted"), &self.submitted)
            .bounds(names!("finished"), &self.finished)
            .add_some("sort", self.sort.as_ref())
            .add_some("limit", self.limit)
    }
}

paged!(OperationQuery, "id" => id);
