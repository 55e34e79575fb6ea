//! Where these tests run: an emulator of AWS, or AWS.

use quorate_aws::config::{Account, environment};
use quorate_aws::connection::Connection;

/// A connection to the emulator whose address `QUORATE_TEST_AWS` holds; if that is `aws`, to AWS
/// with the credentials of the environment, in us-east-1.
pub(crate) fn connection() -> Connection {
    let endpoint = environment("QUORATE_TEST_AWS")
        .expect("QUORATE_TEST_AWS: the address of an emulator, or `aws`");
    let lookup = |variable: &str| match variable {
        "AWS_REGION" => Some("us-east-1".to_owned()),
        _ if endpoint == "aws" => environment(variable),
        "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
        _ => None,
    };
    Connection::open(Account::from_environment(lookup).unwrap()).unwrap()
}

/// Runs a test.
pub(crate) fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(test);
}
