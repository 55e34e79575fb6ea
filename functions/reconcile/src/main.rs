//! The Lambda function `reconcile`: a schedule's tick finishes what was left half done.

use std::process::ExitCode;

use quorate_aws::config::environment;
use quorate_aws::lambda;
use quorate_aws::world::{AwsWorld, Need};

fn main() -> ExitCode {
    let world = AwsWorld::connect(
        environment,
        &[Need::Uploads, Need::Results, Need::Crowd, Need::Links],
    );
    lambda::run("reconcile", world, async |world: &AwsWorld, tick| {
        Ok(quorate_reconcile::handle(world, tick).await?)
    })
}
