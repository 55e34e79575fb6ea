//! The Lambda function `create-tasks`: uploads that a queue tells of become tasks.

use std::process::ExitCode;

use quorate_aws::config::environment;
use quorate_aws::lambda;
use quorate_aws::world::{AwsWorld, Need};

fn main() -> ExitCode {
    let world = AwsWorld::connect(environment, &[Need::Uploads]);
    lambda::run("create-tasks", world, async |world: &AwsWorld, batch| {
        Ok(quorate_create_tasks::handle(world, batch).await)
    })
}
