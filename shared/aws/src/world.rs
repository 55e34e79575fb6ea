//! The pipeline's world on AWS.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::link::LinkSigner;
use quorate_core::ports::{Clock, PortError, PortResult, World};
use quorate_core::time::Timestamp;
use quorate_requester::Requester;
use quorate_toloka::{Client, Secret};
use uuid::Uuid;

use crate::bus::Bus;
use crate::config::{Account, ConfigError, Crowd, Events, Links, Storage};
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
    /// within a second is taken for usable.
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
        let aws =
            Connection::open(Account::from_environment(lookup)?).map_err(StartError::Setup)?;
        let secrets = Secrets::new(aws.secretsmanager());
        let ledger = DynamoLedger::new(aws.dynamodb(), storage.table);
        let uploads = Bucket::new(aws.s3(), storage.uploads);
        let results = Bucket::new(aws.s3(), storage.results);
        let (key, ..) = tokio::try_join!(
            if_needed(secret.as_deref().map(|arn| secrets.current(arn))),
            if_needed(links.as_ref().map(|links| secrets.links(links))),
            if_needed(needs.contains(&Need::Uploads).then(|| uploads.check())),
            if_needed(needs.contains(&Need::Results).then(|| results.check())),
            checked(ledger.check()),
        )?;
        let bus = Bus::new(aws.eventbridge(), events.bus, ledger.clone());
        let crowd = Requester::new(toloka(&aws, &crowd.url, key, secret, &secrets)?, crowd.fee);
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
pub async fn checked<T>(check: impl Future<Output = PortResult<T>>) -> PortResult<Option<T>> {
    match tokio::time::timeout(START, check).await {
        Ok(Err(error @ PortError::Refused(_))) => Err(error),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not checked");
            Ok(None)
        }
        Ok(Ok(answer)) => Ok(Some(answer)),
        Err(_) => Ok(None),
    }
}

async fn if_needed<T>(check: Option<impl Future<Output = PortResult<T>>>) -> PortResult<Option<T>> {
    match check {
        Some(check) => checked(check).await,
        None => Ok(None),
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
    let mut client = Client::builder(url)
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
