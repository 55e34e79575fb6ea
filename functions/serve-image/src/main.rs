//! The Lambda function `serve-image`: a signed link becomes a short-lived URL of a private image.

use std::process::ExitCode;
use std::time::Duration;

use aws_lambda_events::event::lambda_function_urls::LambdaFunctionUrlResponse;
use futures_util::future::try_join;
use quorate_aws::config::{Account, Links, Storage, environment};
use quorate_aws::connection::Connection;
use quorate_aws::lambda;
use quorate_aws::ledger::DynamoLedger;
use quorate_aws::objects::{Bucket, Presentation};
use quorate_aws::secrets::Secrets;
use quorate_aws::world::{StartError, SystemClock, checked};
use quorate_core::ports::{Clock as _, PortResult};
use quorate_core::serve::Shown;
use quorate_core::state::Image;
use quorate_serve_image::{Presign, handle};
use serde_json::Value;

fn main() -> ExitCode {
    lambda::run("serve-image", connect(), async |images: &Images, event| {
        let answer = images.answer(&event).await?;
        // The keys may have been rotated since they were read.
        if answer.status_code == 403 && images.secrets.forget(&images.links.secret) {
            return Ok(images.answer(&event).await?);
        }
        Ok(answer)
    })
}

/// What the function works with: less than the pipeline's world, as it may do less.
struct Images {
    ledger: DynamoLedger,
    uploads: Uploads,
    secrets: Secrets,
    links: Links,
}

impl Images {
    async fn answer(&self, event: &Value) -> PortResult<LambdaFunctionUrlResponse> {
        let links = self.secrets.links(&self.links).await?;
        let now = SystemClock.now();
        Ok(handle(&self.ledger, &links, &self.uploads, now, event).await)
    }
}

/// Checks at once what a worker would wait for; see [`checked`].
async fn connect() -> Result<Images, StartError> {
    let storage = Storage::from_environment(environment)?;
    let links = Links {
        // Links are opened here and made elsewhere.
        url: String::new(),
        secret: Links::secret_from_environment(environment)?,
    };
    let aws =
        Connection::open(Account::from_environment(environment)?).map_err(StartError::Setup)?;
    let ledger = DynamoLedger::new(aws.dynamodb(), storage.table);
    let secrets = Secrets::new(aws.secretsmanager());
    try_join(checked(ledger.check()), checked(secrets.links(&links))).await?;
    Ok(Images {
        ledger,
        uploads: Uploads(Bucket::new(aws.s3(), storage.uploads)),
        secrets,
        links,
    })
}

struct Uploads(Bucket);

impl Presign for Uploads {
    async fn presign(&self, image: &Image, shown: Shown, validity: Duration) -> PortResult<String> {
        let presentation = Presentation {
            content_type: shown.media_type,
            disposition: shown.disposition,
            cache_control: "private",
        };
        let (key, version) = (&image.key, &image.version);
        self.0.presign(key, version, presentation, validity).await
    }
}
