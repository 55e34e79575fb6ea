//! A crowd platform of our own: the Toloka requester API, a worker API and page, simulated workers.
//!
//! A real multi-user service in one process: projects, pools, trainings and tasks of requesters;
//! pages made by the mixer; overlap, skills, filters and quality rules; the answers of workers. Its
//! state is one SQLite file that survives the process being killed at any moment. Any client of the
//! Toloka API can drive it.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use quorate_crowd::{Config, Platform, serve};
//!
//! let platform = Platform::open(Config { data: Some("crowd-data".into()), ..Config::default() })?;
//! println!("workers sign up with the invite key {}", platform.invite());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! serve(listener, platform, async {}).await?;
//! # Ok(()) }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `platform`, `store`, `model` | the platform as a value; transactions; rows and their wire types |
//! | `requester`, `worker` | the routes for requesters and for workers |
//! | `access`, `mixer`, `filter` | who may work in a pool, and which tasks make a page |
//! | `work`, `money` | a page from taking to paying |
//! | `attachments`, `messages` | files in answers; what requesters and workers write to each other |
//! | `quality`, `rules` | what collectors count, and what rules do |
//! | `consensus` | which answer the platform takes for right: dynamic overlap, aggregation |
//! | `webhooks`, `courier` | who is told of what, and how it is brought to them |
//! | `limits`, `metrics` | how often a requester may ask; how the platform fares |
//! | `lifecycle`, `clock` | what happens by itself, and platform time |
//! | `page`, `simulate` | the page for people, and workers that are none |

mod access;
mod attachments;
mod clock;
mod consensus;
mod courier;
mod error;
mod filter;
mod http;
mod ids;
mod lifecycle;
mod limits;
mod list;
mod messages;
mod metrics;
mod mixer;
mod model;
mod money;
pub mod page;
mod platform;
mod quality;
mod requester;
mod rules;
pub mod simulate;
mod store;
mod validate;
mod webhooks;
mod work;
mod worker;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, Uri},
    middleware::{from_fn, from_fn_with_state},
};

use crate::error::Error;
pub use crate::{
    clock::Clock,
    platform::{Config, Platform, RequesterKey, TickError, keep_up, serve, undelayed},
    store::OpenError,
};

impl Platform {
    /// The platform as routes: the requester API, the worker API, the page for workers,
    /// and `/metrics`.
    pub fn router(&self) -> Router {
        limits::guard(self, requester::routes())
            .merge(worker::routes())
            .merge(metrics::routes())
            .with_state(self.clone())
            .merge(page::routes())
            .fallback(|method: Method, uri: Uri| async move {
                Error::no_route(method.as_str(), uri.path())
            })
            .method_not_allowed_fallback(|method: Method, uri: Uri| async move {
                Error::no_method(method.as_str(), uri.path())
            })
            .layer(DefaultBodyLimit::max(http::MOST_BODY_BYTES))
            .layer(from_fn(http::bound_uri))
            .layer(from_fn_with_state(self.clone(), metrics::measure))
    }
}
