//! The pipeline's world on AWS.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use quorate_core::link::LinkSigner;
use quorate_core::ports::{Clock, PortError, PortResult, World};
use quorate_core::time::Timestamp;
use quorate_requester::{Requester, pace};
use quorate_toloka::{Client, Secret};
use uuid::Uuid;

use crate::bus::Bus;
use crate::config::{Account, ConfigError, Crowd, Events, Links, Storage, Webhooks};
use crate::connection::Connection;
use crate::ledger::DynamoLedger;
use crate::objects::Bucket;
use crate::secrets::Secrets;

/// How long the start waits for what it needs to answer. Lambda gives a start 10 s.
const START: Duration = Duration::from_secs(1);

/// The API key until the secret answers. The platform refuses it, and then the secret is asked.
const NO_KEY: &str = "none";

/// Something that a function uses beside the table and the bus. Each must be there, and ours to
/// use, when the function starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To list the uploads bucket.
    Uploads,
    /// To list the results bucket.
    Results,
    /// To speak to the crowd: the API key.
    Crowd,
    /// To make links to images: the link keys.
    Links,
}

/// Why a function cannot start, on one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// A variable is not set or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something that it needs is not there, not set, or denied.
    #[error(transparent)]
    Refused(#[from] PortError),
    /// A client cannot be set up.
    #[error("{0}")]
    Setup(String),
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        jiff::Timestamp::now().into()
    }
}

/// The pipeline's world on AWS. Cheap to clone; clones share clients and what these have cached.
#[derive(Clone, Debug)]
pub struct AwsWorld {
    shared: Arc<Shared>,
    writer: String,
}

#[derive(Debug)]
struct Shared {
    ledger: DynamoLedger,
    crowd: Requester,
    uploads: Bucket,
    results: Bucket,
    bus: Bus,
    secrets: Secrets,
    links: Option<Links>,
}

impl AwsWorld {
    /// Builds the clients from the variables that `lookup` finds ([`crate::config::environment`]), and asks
    /// the table and everything of `needs` at once whether they can be used. What does not answer
    /// within a second is taken for usable. With `QUORATE_WEBHOOK_URL` the platform is asked to
    /// tell it of what happens in pools that are opened.
    ///
    /// # Errors
    /// The first thing that is not set, wrong, missing or denied.
    pub async fn connect(
        lookup: impl Fn(&str) -> Option<String>,
        needs: &[Need],
    ) -> Result<Self, StartError> {
        let lookup = &lookup;
        let storage = Storage::from_environment(lookup)?;
        let events = Events::from_environment(lookup)?;
        let crowd = Crowd::from_environment(lookup)?;
        let secret = if needs.contains(&Need::Crowd) {
            Some(Crowd::secret_from_environment(lookup)?)
        } else {
            None
        };
        let links = if needs.contains(&Need::Links) {
            Some(Links::from_environment(lookup)?)
        } else {
            None
        };
        let webhooks = Webhooks::from_environment(lookup)?;
        let aws =
            Connection::open(Account::from_environment(lookup)?).map_err(StartError::Setup)?;
        let secrets = Secrets::new(aws.secretsmanager());
        let ledger = DynamoLedger::new(aws.dynamodb(), storage.table);
        let uploads = Bucket::new(aws.s3(), storage.uploads);
        let results = Bucket::new(aws.s3(), storage.results);
        let (key, signed_with, ..) = tokio::try_join!(
            if_needed(secret.as_deref().map(|arn| secrets.current(arn))),
            if_needed(webhooks.as_ref().map(|it| secrets.current(&it.secret))),
            if_needed(links.as_ref().map(|links| secrets.links(links))),
            if_needed(needs.contains(&Need::Uploads).then(|| uploads.check())),
            if_needed(needs.contains(&Need::Results).then(|| results.check())),
            checked(ledger.check()),
        )?;
        let bus = Bus::new(aws.eventbridge(), events.bus, ledger.clone());
        let mut crowd = Requester::new(toloka(&aws, &crowd.url, key, secret, &secrets)?, crowd.fee);
        // Webhooks only hasten what ticks do: without the secret there are none until the next start.
        if let Some((webhooks, signed_with)) = webhooks.zip(signed_with) {
            crowd = crowd.with_webhook(webhooks.url, signed_with);
        }
        Ok(Self {
            shared: Arc::new(Shared {
                ledger,
                crowd,
                uploads,
                results,
                bus,
                secrets,
                links,
            }),
            writer: Uuid::new_v4().to_string(),
        })
    }

    /// What reads secrets.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.shared.secrets
    }
}

impl World for AwsWorld {
    type Ledger = DynamoLedger;
    type Crowd = Requester;
    type Objects = Bucket;
    type Clock = SystemClock;
    type Notify = Bus;

    fn ledger(&self) -> &DynamoLedger {
        &self.shared.ledger
    }
    fn crowd(&self) -> &Requester {
        &self.shared.crowd
    }
    fn uploads(&self) -> &Bucket {
        &self.shared.uploads
    }
    fn results(&self) -> &Bucket {
        &self.shared.results
    }
    fn clock(&self) -> &SystemClock {
        &SystemClock
    }
    fn notify(&self) -> &Bus {
        &self.shared.bus
    }
    /// Reads the keys again every few minutes, so that new links are signed with a rotated one.
    async fn links(&self) -> PortResult<LinkSigner> {
        let Some(links) = &self.shared.links else {
            let reason = "this function was started without the need to make links";
            return Err(PortError::Refused(reason.to_owned()));
        };
        self.shared.secrets.links(links).await
    }
    fn writer(&self) -> &str {
        &self.writer
    }
}

/// Waits for the answer to a check, but no longer than a start may take.
///
/// # Errors
/// The refusal. That something is unavailable is no reason not to start: it may be back when it is
/// used, and then the use tells better.
pub fn checked<'a, T>(
    check: impl Future<Output = PortResult<T>> + Send + 'a,
) -> BoxFuture<'a, PortResult<Option<T>>> {
    // The SDK's futures are large, and there are several of them at a start.
    Box::pin(async {
        match tokio::time::timeout(START, check).await {
            Ok(Err(error @ PortError::Refused(_))) => Err(error),
            Ok(Err(error)) => {
                tracing::warn!(%error, "not checked");
                Ok(None)
            }
            Ok(Ok(answer)) => Ok(Some(answer)),
            Err(_) => Ok(None),
        }
    })
}

fn if_needed<'a, T: Send + 'a>(
    check: Option<impl Future<Output = PortResult<T>> + Send + 'a>,
) -> BoxFuture<'a, PortResult<Option<T>>> {
    match check {
        Some(check) => checked(check),
        None => Box::pin(std::future::ready(Ok(None))),
    }
}

/// The platform's client: over the connections of `aws`, and with another key from the secret when
/// its own is refused.
fn toloka(
    aws: &Connection,
    url: &str,
    key: Option<Secret>,
    secret: Option<String>,
    secrets: &Secrets,
) -> Result<Client, StartError> {
    let mut client = pace::paced(Client::builder(url))
        .http_client(aws.http().clone())
        .api_key(key.unwrap_or_else(|| NO_KEY.into()));
    if let Some(arn) = secret {
        let secrets = secrets.clone();
        client = client.renew_with(move |refused| {
            let (secrets, arn) = (secrets.clone(), arn.clone());
            async move { secrets.other_than(&arn, &refused).await }
        });
    }
    let client = client.build();
    client.map_err(|error| StartError::Setup(format!("QUORATE_TOLOKA_URL or the API key: {error}")))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::http::StatusCode;
    use axum::response::{IntoResponse as _, Response};
    use quorate_core::ports::Crowd as _;
    use serde_json::json;

    use super::*;
    use crate::testing::{Asked, json_answer, json_refusal, serve};

    const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:quorate/key-Ab12Cd";
    const KEYS: &str = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:quorate/links-Ab12Cd";
    const NEEDS: [Need; 4] = [Need::Uploads, Need::Results, Need::Crowd, Need::Links];

    /// An account where everything is there; and the platform, which takes one key.
    #[derive(Clone)]
    struct Aws {
        key: Arc<Mutex<&'static str>>,
        /// What the platform was asked to tell of.
        subscriptions: Arc<Mutex<Vec<serde_json::Value>>>,
        /// What is asked for and is not there: an operation or a path.
        missing: &'static str,
    }

    impl Aws {
        fn without(missing: &'static str) -> Self {
            let key = Arc::new(Mutex::new("one"));
            let subscriptions = Arc::default();
            Self {
                key,
                subscriptions,
                missing,
            }
        }

        fn answer(&self, asked: &Asked) -> Response {
            let path = asked.uri.path();
            let missing = !self.missing.is_empty()
                && (asked.operation.ends_with(self.missing) || path.contains(self.missing));
            match asked.operation.as_str() {
                "DynamoDB_20120810.GetItem" if missing => json_refusal("ResourceNotFoundException"),
                "DynamoDB_20120810.GetItem" => json_answer(&json!({})),
                "secretsmanager.GetSecretValue" => self.secret(asked),
                "HEAD" if missing => StatusCode::NOT_FOUND.into_response(),
                "HEAD" => StatusCode::OK.into_response(),
                "GET" if asked.headers["authorization"] == format!("ApiKey {}", self.now()) => {
                    json_answer(&json!({"id": "1", "status": "OPEN"}))
                }
                "GET" => StatusCode::UNAUTHORIZED.into_response(),
                "PUT" if path.ends_with("/webhook-subscriptions") => {
                    self.subscriptions.lock().unwrap().push(asked.json());
                    json_answer(&json!({"items": {}, "validation_errors": {}}))
                }
                "POST" if path.ends_with("/open") => StatusCode::NO_CONTENT.into_response(),
                other => panic!("{other} {path}"),
            }
        }

        fn secret(&self, asked: &Asked) -> Response {
            let asked = asked.json();
            let text = match (asked["SecretId"].as_str(), asked["VersionStage"].as_str()) {
                (Some(arn), _) if !self.missing.is_empty() && arn.contains(self.missing) => {
                    "REPLACE_ME".to_owned()
                }
                (_, Some("AWSPREVIOUS")) => return json_refusal("ResourceNotFoundException"),
                (Some(KEYS), _) => json!({"k1": "x".repeat(32)}).to_string(),
                _ => self.now().to_owned(),
            };
            json_answer(&json!({"SecretString": text}))
        }

        fn now(&self) -> &'static str {
            *self.key.lock().unwrap()
        }

        async fn start(&self, needs: &[Need]) -> Result<AwsWorld, StartError> {
            let aws = self.clone();
            let endpoint = serve(move |asked| aws.answer(&asked)).await;
            AwsWorld::connect(environment(endpoint), needs).await
        }
    }

    fn environment(endpoint: String) -> impl Fn(&str) -> Option<String> {
        move |variable| {
            let value = match variable {
                "QUORATE_TABLE" => "quorate-table",
                "QUORATE_UPLOADS_BUCKET" => "quorate-uploads",
                "QUORATE_RESULTS_BUCKET" => "quorate-results",
                "QUORATE_BUS" => "quorate",
                "QUORATE_TOLOKA_FEE" => "0.2",
                "QUORATE_TOLOKA_SECRET" => SECRET,
                "QUORATE_LINK_SECRET" => KEYS,
                "QUORATE_LINKS_URL" => "https://links.example",
                "AWS_ENDPOINT_URL" | "QUORATE_TOLOKA_URL" => &endpoint,
                "AWS_REGION" => "eu-west-1",
                "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => "x",
                _ => return None,
            };
            Some(value.to_owned())
        }
    }

    #[tokio::test]
    async fn a_world_starts_when_everything_is_there() {
        let world = Aws::without("").start(&NEEDS).await.unwrap();
        assert!(world.crowd().pool("1").await.unwrap().open);
        let image = quorate_core::ids::ImageId(Uuid::nil());
        let links = world.links().await.unwrap();
        let link = links.link(&"cells".parse().unwrap(), image, "a", Timestamp(0));
        assert!(
            link.starts_with("https://links.example/images/cells/"),
            "{link}"
        );
        let other = Aws::without("").start(&[]).await.unwrap();
        assert_ne!(world.writer(), other.writer());
    }

    #[tokio::test]
    async fn the_platform_is_asked_to_tell_of_pools_if_there_is_where_to() {
        let aws = Aws::without("");
        let server = aws.clone();
        let endpoint = serve(move |asked| server.answer(&asked)).await;
        for receiver in [None, Some("https://told.example")] {
            let others = environment(endpoint.clone());
            let lookup = |variable: &str| match variable {
                "QUORATE_WEBHOOK_URL" => receiver.map(str::to_owned),
                "QUORATE_WEBHOOK_SECRET" => Some(SECRET.to_owned()),
                _ => others(variable),
            };
            let world = AwsWorld::connect(lookup, &NEEDS).await.unwrap();
            world.crowd().open_pool("1").await.unwrap();
        }
        let told = aws.subscriptions.lock().unwrap();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0][0]["webhook_url"], "https://told.example");
        assert_eq!(told[0][0]["secret_key"], "one");
    }

    #[tokio::test]
    async fn what_is_missing_ends_the_start_with_a_line_that_names_it() {
        for (missing, named) in [
            ("GetItem", "quorate-table"),
            ("quorate-uploads", "quorate-uploads"),
            ("quorate-results", "quorate-results"),
            ("quorate/key", SECRET),
            ("quorate/links", KEYS),
        ] {
            let line = Aws::without(missing).start(&NEEDS).await.unwrap_err();
            let line = line.to_string();
            assert!(
                line.contains(named) && !line.contains('\n'),
                "{missing}: {line}"
            );
        }
        let line = AwsWorld::connect(|_| None, &NEEDS).await.unwrap_err();
        assert!(
            line.to_string().starts_with("QUORATE_TABLE is not set"),
            "{line}"
        );
    }

    #[tokio::test]
    async fn what_is_not_needed_is_not_asked_for() {
        for missing in [
            "quorate-uploads",
            "quorate-results",
            "quorate/key",
            "quorate/links",
        ] {
            let world = Aws::without(missing).start(&[]).await.unwrap();
            assert_eq!(world.crowd().fee(), rust_decimal::Decimal::new(2, 1));
            let error = world.links().await.unwrap_err();
            assert!(matches!(error, PortError::Refused(_)), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_rotated_key_is_taken_while_the_world_lives() {
        let aws = Aws::without("");
        let world = aws.start(&NEEDS).await.unwrap();
        assert!(world.crowd().pool("1").await.is_ok());
        *aws.key.lock().unwrap() = "two";
        assert!(world.crowd().pool("1").await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_takes_too_long_does_not_hold_up_the_start() {
        let never = std::future::pending::<PortResult<()>>();
        assert_eq!(checked(never).await, Ok(None));
        let down = PortError::Unavailable("down".to_owned());
        assert_eq!(checked(async { Err::<(), _>(down) }).await, Ok(None));
        let gone = PortError::Refused("gone".to_owned());
        assert_eq!(
            checked(async { Err::<(), _>(gone.clone()) }).await,
            Err(gone)
        );
    }
}
