//! The requester API: the routes under `/api/v1`, `/api/new` and `/api/staging`.
//!
//! Shapes and codes follow Toloka's API reference, so that its clients work unchanged.

mod analytics;
mod assignments;
mod batch;
mod operations;
mod pools;
mod projects;
mod skills;
mod tasks;
mod tsv;
mod users;

use axum::{
    Router,
    routing::{get, patch, post},
};

use crate::platform::Platform;

/// The routes of the requester API.
pub(crate) fn routes() -> Router<Platform> {
    Router::new()
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
        .route("/api/v1/tasks", get(tasks::list).post(tasks::create))
        .route("/api/v1/tasks/{id}", get(tasks::read).patch(tasks::patch))
        .route(
            "/api/v1/tasks/{id}/set-overlap-or-min",
            patch(tasks::set_overlap),
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
        .route("/api/v1/operations", get(operations::list))
        .route("/api/v1/operations/{id}", get(operations::read))
        .route("/api/v1/operations/{id}/log", get(operations::log))
        .route("/api/staging/analytics-2", post(analytics::create))
        .route(
            "/api/new/requester/pools/{id}/assignments.tsv",
            get(tsv::download),
        )
}
