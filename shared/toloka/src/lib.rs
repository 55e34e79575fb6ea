//! A typed client for the Toloka API.

pub mod types;
