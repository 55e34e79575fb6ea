//! A typed client for the Toloka API.
//!
//! One client for every host that speaks the API: Toloka, its sandbox, Yandex Tasks, or a server
//! of your own on loopback. Its parts can be used alone:
//!
//! * [`Client`] sends requests: one method a request, [streams](Client::assignments) over lists,
//!   lists that are [followed](Follow) as they grow, downloads that are read while they arrive,
//!   [operations](Client::operation_states) that are waited for. Errors are sorted by what a caller
//!   does about them ([`Error`]) and have the platform's [`codes`]; retries are data
//!   ([`RetryPolicy`]), and so are the platform's [`limits`].
//! * [`types`] are the wire types, lossless in both directions; a server can use them too.
//! * [`filter`] builds the audience of a pool, [`quality`] its rules, [`template`] the pages that
//!   workers see: what the platform would refuse does not compile.
//! * [`webhook`] tells the platform's deliveries from forged ones.
//!
//! ```no_run
//! use futures_util::TryStreamExt as _;
//! use quorate_toloka::{AssignmentQuery, Client, CreateOptions, TOLOKA_SANDBOX, WaitPolicy, types::Task};
//!
//! # async fn example(tasks: Vec<Task>) -> Result<(), quorate_toloka::Error> {
//! let client = Client::builder(TOLOKA_SANDBOX).api_key("my key").build()?;
//! let pool = client.get_pool("36502086").await?;
//!
//! // The id makes sure that the tasks are created once, however often this runs.
//! let options = CreateOptions::new(uuid::Uuid::from_u128(1));
//! let operation = client.create_tasks(&tasks, &options).await?;
//! client.complete_operation(&operation.id, WaitPolicy::default()).await?;
//! client.open_pool(&pool.id).await?;
//!
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
