//! The ports on AWS: DynamoDB, S3, EventBridge, Secrets Manager; configuration, telemetry, glue.

pub mod http;
pub mod lambda;
pub mod telemetry;
