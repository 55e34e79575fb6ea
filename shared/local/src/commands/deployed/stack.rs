//! A deployed stack, found through the outputs of its template.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use anyhow::{Context as _, anyhow};
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudformation::config::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_cloudformation::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use quorate_aws::http::{self, ReqwestClient};
use quorate_aws::ledger::DynamoLedger;

use super::OnAws;

/// What AWS says of credentials that it does not take.
const STALE: [&str; 6] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// A stack on AWS, and the clients to reach it with.
#[derive(Debug)]
pub(in crate::commands) struct Deployed {
    pub(in crate::commands) ledger: DynamoLedger,
    pub(in crate::commands) s3: aws_sdk_s3::Client,
    /// The bucket that people drop files into.
    pub(in crate::commands) uploads: String,
    /// Where results are: an `s3://` address.
    pub(in crate::commands) results: String,
}

impl OnAws {
    /// The stack that these arguments name, if they name one.
    ///
    /// # Errors
    /// If there is no such stack of Quorate's, or AWS does not let us see it.
    pub(in crate::commands) async fn find(&self) -> anyhow::Result<Option<Deployed>> {
        let Some(name) = &self.stack else {
            return Ok(None);
        };
        let config = self.configuration().await?;
        let region = config.region().map(Region::as_ref).unwrap_or_default();
        let outputs = outputs(&config, name)
            .await
            .with_context(|| format!("cannot find the stack {name} in {region}"))?;
        let output = |key: &str| {
            let found = outputs.get(key).cloned();
            found.with_context(|| {
                format!(
                    "{name} is not a stack of Quorate's: it has no output {key}. Name the one that \
                     `sam deploy` made of infra/"
                )
            })
        };
        Ok(Some(Deployed {
            ledger: DynamoLedger::new(aws_sdk_dynamodb::Client::new(&config), output("Table")?),
            s3: s3(&config),
            uploads: output("UploadsBucket")?,
            results: format!("s3://{}", output("ResultsBucket")?),
        }))
    }

    /// Credentials and region as the AWS CLI finds them.
    async fn configuration(&self) -> anyhow::Result<SdkConfig> {
        // An upload may take long before it is answered; the SDK watches that it does not stall.
        let client = http::builder()
            .and_then(|builder| builder.build().map_err(|error| error.to_string()))
            .map_err(anyhow::Error::msg)?;
        let client = ReqwestClient::shared(client);
        let mut loader =
            aws_config::defaults(BehaviorVersion::latest()).http_client(client.clone());
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        let mut config = loader.load().await;
        let region = config
            .region()
            .cloned()
            .context("no AWS region is set: name the stack's with --region, or set AWS_REGION")?;
        // A profile that is named goes before credentials of the environment.
        if let Some(profile) = &self.profile {
            let settings = ProviderConfig::without_region()
                .with_region(Some(region))
                .with_http_client(client);
            let credentials = ProfileFileCredentialsProvider::builder()
                .profile_name(profile)
                .configure(&settings)
                .build();
            let credentials = SharedCredentialsProvider::new(credentials);
            config = config
                .into_builder()
                .credentials_provider(credentials)
                .build();
        }
        if let Some(provider) = config.credentials_provider() {
            let credentials = provider.provide_credentials().await;
            credentials.with_context(|| self.no_credentials())?;
        }
        Ok(config)
    }

    fn no_credentials(&self) -> String {
        match &self.profile {
            Some(profile) => format!(
                "the AWS profile {profile} gives no credentials: `aws configure list-profiles` lists \
                 those that there are; sign in with `aws sso login --profile {profile}`"
            ),
            None => {
                "there are no AWS credentials to use: name a profile with --profile, or sign in \
                     to yours with `aws sso login` (`aws configure sso` makes one)"
                    .to_owned()
            }
        }
    }
}

/// A client of S3. Buckets are in the path of an emulator's address and in the host of AWS's.
fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    let config =
        aws_sdk_s3::config::Builder::from(config).force_path_style(config.endpoint_url().is_some());
    aws_sdk_s3::Client::from_conf(config.build())
}

/// What a stack tells of itself.
async fn outputs(config: &SdkConfig, name: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let found = aws_sdk_cloudformation::Client::new(config)
        .describe_stacks()
        .stack_name(name)
        .send()
        .await
        .map_err(|error| explain(&error, "cloudformation:DescribeStacks"))?;
    let outputs = found.stacks().iter().flat_map(|stack| stack.outputs());
    let pair = |output: &aws_sdk_cloudformation::types::Output| {
        Some((
            output.output_key()?.to_owned(),
            output.output_value()?.to_owned(),
        ))
    };
    Ok(outputs.filter_map(pair).collect())
}

/// A failed request as people read it; `action` is what must be allowed for it.
pub(in crate::commands) fn explain<E, R>(error: &SdkError<E, R>, action: &str) -> anyhow::Error
where
    E: Error + ProvideErrorMetadata + 'static,
    R: fmt::Debug,
{
    let SdkError::ServiceError(refusal) = error else {
        return anyhow!("{}", DisplayErrorContext(error));
    };
    let code = refusal.err().code().unwrap_or("refused");
    let message = refusal.err().message().unwrap_or("no reason was given");
    let advice = if STALE.contains(&code) {
        "\nsign in again (`aws sso login`), or name another profile with --profile".to_owned()
    } else if code.starts_with("AccessDenied") {
        format!("\nthe AWS profile must be allowed {action}")
    } else if message.contains("does not exist") {
        "\nname it as it was deployed; it may be in another account (--profile) or region (--region)"
            .to_owned()
    } else {
        String::new()
    };
    anyhow!("{code}: {message}{advice}")
}
