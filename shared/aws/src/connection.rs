//! The way to AWS that all clients of a process share.

use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedCredentialsProvider, StalledStreamProtectionConfig,
};
use aws_types::SdkConfig;

use crate::config::Account;
use crate::http::{self, ReqwestClient};

/// Times a request is sent at most.
const TRIES: u32 = 3;
/// The wait for the head of an answer, of one try, of all tries together: well below the time that
/// a function has, so that it can still say what happened.
const FIRST_BYTE: Duration = Duration::from_secs(5);
const TRY: Duration = Duration::from_secs(10);
const ALL_TRIES: Duration = Duration::from_secs(20);
/// How long a body may stand still.
const STALLED: Duration = Duration::from_secs(5);

/// One HTTP client, credentials, region and limits. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connection {
    http: reqwest::Client,
    sdk: SdkConfig,
}

impl Connection {
    /// A connection with the credentials and region of a function's environment.
    ///
    /// # Errors
    /// One line: what cannot be set up.
    pub fn open(account: Account) -> Result<Self, String> {
        let credentials = Credentials::new(
            account.access_key_id,
            account.secret_access_key.expose(),
            account.session_token.map(|token| token.expose().to_owned()),
            None,
            "environment",
        );
        let mut sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(account.region))
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        sdk.set_endpoint_url(account.endpoint);
        Ok(Self::new(http::client()?, &sdk.build()))
    }

    /// A connection with the credentials, region and endpoint of `sdk`, over `http`.
    #[must_use]
    pub fn new(http: reqwest::Client, sdk: &SdkConfig) -> Self {
        let timeouts = TimeoutConfig::builder()
            .read_timeout(FIRST_BYTE)
            .operation_attempt_timeout(TRY)
            .operation_timeout(ALL_TRIES)
            .build();
        let stalled = StalledStreamProtectionConfig::enabled()
            .grace_period(STALLED)
            .build();
        let sdk = sdk
            .clone()
            .into_builder()
            .http_client(ReqwestClient::shared(http.clone()))
            .retry_config(RetryConfig::standard().with_max_attempts(TRIES))
            .timeout_config(timeouts)
            .stalled_stream_protection(stalled)
            // TLS and S3's own digests keep bytes whole; more cost time and break emulators.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Self { http, sdk }
    }

    /// The same without retries, so that a test of failures waits for nothing.
    #[cfg(test)]
    pub(crate) fn trying_once(mut self) -> Self {
        let once = RetryConfig::disabled();
        self.sdk = self.sdk.into_builder().retry_config(once).build();
        self
    }

    /// The HTTP client below, for services that are not AWS.
    #[must_use]
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// A client of DynamoDB.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.sdk)
    }

    /// A client of S3. Buckets are in the path of an emulator's address and in the host of AWS's.
    #[must_use]
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.sdk)
            .force_path_style(self.sdk.endpoint_url().is_some());
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// A client of EventBridge.
    #[must_use]
    pub fn eventbridge(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(&self.sdk)
    }

    /// A client of Secrets Manager.
    #[must_use]
    pub fn secretsmanager(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.sdk)
    }
}
