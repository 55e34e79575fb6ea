//! The requester API: the routes under `/api/v1`, `/api/new` and `/api/staging`.
//!
//! Shapes and codes follow Toloka's API reference, so that its clients work unchanged.

mod analytics;
mod assignments;
mod attachments;
mod batch;
mod bonuses;
mod clone;
mod difference;
mod forms;
mod messages;
mod operations;
mod pools;
mod projects;
mod skills;
mod solutions;
mod suites;
mod tasks;
mod tsv;
mod upload;
mod users;
mod webhooks;

use axum::{
    Router,
    routing::{get, patch, post},
};

use crate::platform::Platform;

/// The routes of the requester API.
pub(crate) fn routes() -> Router<Platform> {
    webhooks::routes()
        .route("/api/v1/requester", get(users::requester))
        .route(
            "/api/v1/projects",
            get(projects::list).post(projects::create),
        )
        .route(
            "/api/v1/projects/{id}",
            get(projects::read).put(projects::update),
        )
        .route("/api/v1/projects/{id}/archive", post(projects::archive))
        .route("/api/v1/pools", get(pools::list).post(pools::create))
        .route(
            "/api/v1/pools/{id}",
            get(pools::read).put(pools::update).patch(pools::patch),
        )
        .route("/api/v1/pools/{id}/open", post(pools::open))
        .route("/api/v1/pools/{id}/close", post(pools::close))
        .route(
            "/api/v1/pools/{id}/close-for-update",
            post(pools::close_for_update),
        )
        .route("/api/v1/pools/{id}/archive", post(pools::archive))
        .route("/api/v1/pools/{id}/clone", post(clone::pool))
        .route(
            "/api/v1/trainings",
            get(pools::list_trainings).post(pools::create_training),
        )
        .route(
            "/api/v1/trainings/{id}",
            get(pools::read_training).put(pools::update_training),
        )
        .route("/api/v1/trainings/{id}/open", post(pools::open_training))
        .route("/api/v1/trainings/{id}/close", post(pools::close_training))
        .route(
            "/api/v1/trainings/{id}/close-for-update",
            post(pools::close_training_for_update),
        )
        .route(
            "/api/v1/trainings/{id}/archive",
            post(pools::archive_training),
        )
        .route("/api/v1/trainings/{id}/clone", post(clone::training))
        .route("/api/v1/tasks", get(tasks::list).post(tasks::create))
        .route("/api/v1/tasks/{id}", get(tasks::read).patch(tasks::patch))
        .route(
            "/api/v1/tasks/{id}/set-overlap-or-min",
            patch(tasks::set_overlap),
        )
        .route(
            "/api/v1/task-suites",
            get(suites::list).post(suites::create),
        )
        .route(
            "/api/v1/task-suites/{id}",
            get(suites::read).patch(suites::patch),
        )
        .route(
            "/api/v1/task-suites/{id}/set-overlap-or-min",
            patch(suites::set_overlap),
        )
        .route("/api/v1/assignments", get(assignments::list))
        .route(
            "/api/v1/assignments/{id}",
            get(assignments::read).patch(assignments::patch),
        )
        .route("/api/v1/skills", get(skills::list).post(skills::create))
        .route("/api/v1/skills/{id}", get(skills::read).put(skills::update))
        .route(
            "/api/v1/user-skills",
            get(skills::list_users).put(skills::set_user),
        )
        .route(
            "/api/v1/user-skills/{id}",
            get(skills::read_user).delete(skills::delete_user),
        )
        .route(
            "/api/v1/user-restrictions",
            get(users::restrictions).put(users::restrict),
        )
        .route(
            "/api/v1/user-restrictions/{id}",
            get(users::restriction).delete(users::unrestrict),
        )
        .route("/api/v1/user-metadata/{id}", get(users::metadata))
        .route(
            "/api/v1/aggregated-solutions/aggregate-by-pool",
            post(solutions::by_pool),
        )
        .route(
            "/api/v1/aggregated-solutions/aggregate-by-task",
            post(solutions::by_task),
        )
        .route("/api/v1/aggregated-solutions/{id}", get(solutions::list))
        .route(
            "/api/v1/user-bonuses",
            get(bonuses::list).post(bonuses::create),
        )
        .route("/api/v1/user-bonuses/{id}", get(bonuses::read))
        .route("/api/v1/attachments", get(attachments::list))
        .route("/api/v1/attachments/{id}", get(attachments::read))
        .route(
            "/api/v1/attachments/{id}/download",
            get(attachments::download),
        )
        .route("/api/v1/message-threads", get(messages::list))
        .route("/api/v1/message-threads/compose", post(messages::compose))
        .route("/api/v1/message-threads/{id}/reply", post(messages::reply))
        .route(
            "/api/v1/message-threads/{id}/add-to-folders",
            post(messages::add_to_folders),
        )
        .route(
            "/api/v1/message-threads/{id}/remove-from-folders",
            post(messages::remove_from_folders),
        )
        .route("/api/v1/operations", get(operations::list))
        .route("/api/v1/operations/{id}", get(operations::read))
        .route("/api/v1/operations/{id}/log", get(operations::log))
        .route("/api/staging/analytics-2", post(analytics::create))
        .route("/api/staging/projects/{id}/check", post(difference::check))
        .route(
            "/api/new/requester/pools/{id}/assignments.tsv",
            get(tsv::download),
        )
}
