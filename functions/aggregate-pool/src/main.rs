//! The Lambda function `aggregate-pool`: closed pools that a queue tells of become labels.

use std::process::ExitCode;

use quorate_aws::config::environment;
use quorate_aws::lambda;
use quorate_aws::world::{AwsWorld, Need};

fn main() -> ExitCode {
    let world = AwsWorld::connect(environment, &[Need::Results, Need::Crowd]);
    lambda::run("aggregate-pool", world, async |world: &AwsWorld, batch| {
        Ok(Box::pin(quorate_aggregate_pool::handle(world, batch)).await)
    })
}
