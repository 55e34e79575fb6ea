//! A typed client for the Toloka API.
//!
//! One client for every host that speaks the API: Toloka, its sandbox, Yandex Tasks, or a server
//! of your own on loopback. Its parts can be used alone:
//!
//! * [`Client`] sends requests: one method a request, streams over lists, a download that is read
//!   while it arrives. Errors are sorted by what a caller does about them ([`Error`]), and retries
//!   are data ([`RetryPolicy`]).
//! * [`types`] are the wire types, lossless in both directions; a server can use them too.
//! * [`template`] builds the pages that workers see, [`types::Filter`] has builders for the audience,
//!   [`limits`] lists the platform's limits.
//! * [`webhook`] tells the platform's deliveries from forged ones.
//!
//! ```no_run
//! use futures_util::TryStreamExt as _;
//! use quorate_toloka::{AssignmentQuery, Client, TOLOKA_SANDBOX};
//!
//! # async fn example() -> Result<(), quorate_toloka::Error> {
//! let client = Client::builder(TOLOKA_SANDBOX).api_key("my key").build()?;
//! let pool = client.get_pool("36502086").await?;
//! let mut assignments = std::pin::pin!(client.assignments(AssignmentQuery::pool(pool.id)));
//! while let Some(assignment) = assignments.try_next().await? {
//!     println!("{} by {}", assignment.id, assignment.user_id);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The `tls` feature (on by default) adds HTTPS; without it the client speaks plain HTTP only.

mod client;
pub mod codes;
mod error;
pub mod filter;
mod http;
pub mod limits;
pub mod quality;
mod retry;
mod secret;
pub mod template;
pub mod types;
pub mod webhook;

pub use self::{client::*, error::*, http::http_builder, retry::RetryPolicy, secret::Secret};
