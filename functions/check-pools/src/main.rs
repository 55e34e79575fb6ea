//! The Lambda function `check-pools`: a schedule's tick, or a person's command, moves rounds on.

use std::process::ExitCode;

use quorate_aws::config::environment;
use quorate_aws::lambda::{self, Failure};
use quorate_aws::world::{AwsWorld, Need};
use quorate_check_pools::{Error, handle};

fn main() -> ExitCode {
    let world = AwsWorld::connect(environment, &[Need::Crowd, Need::Links]);
    lambda::run("check-pools", world, async |world: &AwsWorld, tick| {
        handle(world, tick).await.map_err(failure)
    })
}

fn failure(error: Error) -> Failure {
    match &error {
        Error::Command(_) => Failure::NonRetryable(error.to_string()),
        Error::Seal { error: cause, .. } | Error::Check(cause) => Failure::new(cause, &error),
    }
}
