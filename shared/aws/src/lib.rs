//! The ports on AWS, and what a Lambda function needs around them.
//!
//! ```text
//! main ─► lambda::run ─► AwsWorld::connect ─► use case ──► ledger   DynamoDB, one table
//!            │               │                        ├──► objects  S3, two buckets
//!         telemetry        config                     ├──► bus      EventBridge
//!                          secrets                    └──► crowd    the Toloka client
//!                          connection ─► http: one client, one TLS, for all of these
//! ```
//!
//! [`config`] lists what a function reads from its environment, [`ledger`] how the table is laid out.
//! What is wrong with either, with a secret or a bucket ends the function when it starts, with one
//! line that names it.

pub mod bus;
pub mod config;
pub mod connection;
mod error;
pub mod http;
pub mod lambda;
pub mod ledger;
pub mod objects;
pub mod secrets;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod world;
