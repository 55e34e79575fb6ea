//! Secrets in Secrets Manager, read when they are needed and kept for some minutes.
//!
//! A secret is rotated by putting a new value into it: AWS labels that `AWSCURRENT` and the one
//! before `AWSPREVIOUS`. Both count while the change makes its way, so that nothing stops working:
//!
//! | secret | content | during a rotation |
//! |---|---|---|
//! | Toloka | the API key as plain text | a refused key is read again; the one before is tried too |
//! | links | a JSON object of key id → text of at least 32 bytes, as `{"k1": "…"}` | the greatest id of the current version signs; the keys of the one before still verify |
//! | webhook | plain text | what either of both signed is taken |
//!
//! A secret that nobody has set holds [`REPLACE_ME`].

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use quorate_core::link::LinkSigner;
use quorate_core::ports::{PortError, PortResult};
use quorate_toloka::Secret;
use tokio::time::Instant;

use crate::config::Links;
use crate::error;

/// What a secret holds that is created before its content is known.
pub const REPLACE_ME: &str = "REPLACE_ME";

/// How long a value is taken for the current one without asking.
const KEPT: Duration = Duration::from_secs(300);
/// How long it is good if there is a reason to doubt it.
const DOUBTED: Duration = Duration::from_secs(10);

/// A version of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Current,
    Previous,
}

impl Stage {
    /// AWS's label.
    fn label(self) -> &'static str {
        match self {
            Self::Current => "AWSCURRENT",
            Self::Previous => "AWSPREVIOUS",
        }
    }
}

/// A value (none: there is no such version), and when it was read.
type Kept = (Instant, Option<Secret>);

/// Reads secrets. Cheap to clone; clones share what they have read.
#[derive(Clone)]
pub struct Secrets {
    client: Client,
    kept: Arc<Mutex<HashMap<(String, Stage), Kept>>>,
}

impl fmt::Debug for Secrets {
    /// Never shows a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// Reads through `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            kept: Arc::default(),
        }
    }

    /// The current value of the secret `arn`, as it was within the last five minutes.
    ///
    /// # Errors
    /// `Refused` if there is none, it is not set yet, or may not be read.
    pub async fn current(&self, arn: &str) -> PortResult<Secret> {
        let value = self.kept(arn, Stage::Current).await?;
        set(arn, value)
    }

    /// The current value of the secret `arn` as it is now.
    ///
    /// # Errors
    /// As [`Secrets::current`].
    pub async fn refresh(&self, arn: &str) -> PortResult<Secret> {
        let value = self.read(arn, Stage::Current).await?;
        set(arn, value)
    }

    /// The value before the current one, as it was within the last five minutes; none if there is
    /// none or it was never set.
    ///
    /// # Errors
    /// `Refused` if it may not be read.
    pub async fn previous(&self, arn: &str) -> PortResult<Option<Secret>> {
        let value = self.kept(arn, Stage::Previous).await?;
        Ok(value.filter(is_set))
    }

    /// Another API key than the `refused` one: the current one if it has changed, else the one
    /// before it, which counts while a new one is not valid yet. What [the Toloka client] asks for.
    ///
    /// [the Toloka client]: quorate_toloka::ClientBuilder::renew_with
    pub async fn other_than(&self, arn: &str, refused: &Secret) -> Option<Secret> {
        let other = async {
            let current = self.refresh(arn).await?;
            if current != *refused {
                return Ok(Some(current));
            }
            let previous = self.read(arn, Stage::Previous).await?;
            Ok(previous.filter(|previous| is_set(previous) && previous != refused))
        };
        let other: PortResult<_> = other.await;
        other.unwrap_or_else(|error| {
            tracing::warn!(%error, "the API key was refused, and there is no other");
            None
        })
    }

    /// What signs and verifies links.
    ///
    /// # Errors
    /// `Refused` if the secret does not hold keys.
    pub async fn links(&self, links: &Links) -> PortResult<LinkSigner> {
        let arn = &links.secret;
        let signer = |keys: &Secret| {
            let keys = link_keys(keys)?;
            LinkSigner::new(&links.url, keys)
        };
        let (current, previous) = tokio::try_join!(self.current(arn), self.previous(arn))?;
        let current = signer(&current).map_err(|reason| wrong_keys(arn, &reason))?;
        // What could not sign links when it was the current version has none to verify.
        Ok(match previous.and_then(|keys| signer(&keys).ok()) {
            Some(previous) => current.also_verifying(previous),
            None => current,
        })
    }

    /// The secrets that a webhook may be signed with: the current one, and the one before.
    ///
    /// # Errors
    /// As [`Secrets::current`].
    pub async fn webhook(&self, arn: &str) -> PortResult<Vec<Secret>> {
        let (current, previous) = tokio::try_join!(self.current(arn), self.previous(arn))?;
        Ok([current].into_iter().chain(previous).collect())
    }

    /// Forgets what was read of the secret `arn` more than ten seconds ago, so that it is read again
    /// now; whether there was something to forget. For who meets a key that is not known yet: it
    /// may be newer than what was read, or made up, and then nobody is to be kept busy reading.
    #[must_use]
    pub fn forget(&self, arn: &str) -> bool {
        let mut kept = self.lock();
        let before = kept.len();
        kept.retain(|(secret, _), (read, _)| secret != arn || read.elapsed() < DOUBTED);
        kept.len() < before
    }

    async fn kept(&self, arn: &str, stage: Stage) -> PortResult<Option<Secret>> {
        let key = (arn.to_owned(), stage);
        let kept = self.lock().get(&key).cloned();
        match kept {
            Some((read, value)) if read.elapsed() < KEPT => Ok(value),
            _ => self.read(arn, stage).await,
        }
    }

    /// Reads a version and keeps it.
    async fn read(&self, arn: &str, stage: Stage) -> PortResult<Option<Secret>> {
        let request = self.client.get_secret_value().secret_id(arn);
        let value = match request.version_stage(stage.label()).send().await {
            Ok(answer) => {
                let text = answer.secret_string().ok_or_else(|| {
                    PortError::Refused(format!("the secret {arn} is binary; it must be text"))
                })?;
                Some(Secret::new(text.trim()))
            }
            Err(error) if is_missing(&error) && stage == Stage::Previous => None,
            Err(error) => return Err(explain(arn, &error)),
        };
        let kept = (Instant::now(), value.clone());
        self.lock().insert((arn.to_owned(), stage), kept);
        Ok(value)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, Stage), Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type ReadError = aws_sdk_secretsmanager::error::SdkError<
    aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError,
>;

fn is_missing(error: &ReadError) -> bool {
    error
        .as_service_error()
        .is_some_and(|error| error.is_resource_not_found_exception())
}

fn explain(arn: &str, error: &ReadError) -> PortError {
    if is_missing(error) {
        return PortError::Refused(format!(
            "there is no secret {arn} with a value: deploy the stack again, or correct the ARN"
        ));
    }
    error::port_error(format_args!("cannot read the secret {arn}"), error)
}

fn is_set(secret: &Secret) -> bool {
    !matches!(secret.expose(), "" | REPLACE_ME)
}

fn set(arn: &str, value: Option<Secret>) -> PortResult<Secret> {
    value.filter(is_set).ok_or_else(|| {
        PortError::Refused(format!(
            "the secret {arn} is not set yet: put its text (for Toloka your API key) into a file \
             and run `aws secretsmanager put-secret-value --secret-id {arn} --secret-string \
             file://<file>`"
        ))
    })
}

/// The parser's own message is left out: it may quote what it found.
fn link_keys(secret: &Secret) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let keys: BTreeMap<String, String> =
        serde_json::from_str(secret.expose()).map_err(|_| "it is not a JSON object of texts")?;
    let keys = keys.into_iter().map(|(id, key)| (id, key.into_bytes()));
    Ok(keys.collect())
}

fn wrong_keys(arn: &str, reason: &str) -> PortError {
    PortError::Refused(format!(
        "the secret {arn} does not hold keys of links: {reason}; expected a JSON object of key id \
         to a text of at least 32 bytes, such as {{\"k1\": \"…\"}}"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::response::Response;
    use quorate_core::ids::ImageId;
    use quorate_core::link::Link;
    use quorate_core::time::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{connect, json_answer, json_refusal};

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:quorate/s-Ab12Cd";

    /// Secrets Manager with one secret: its versions by label, and how often it was read.
    #[derive(Clone, Default)]
    struct Vault {
        versions: Arc<Mutex<BTreeMap<String, String>>>,
        reads: Arc<AtomicU32>,
    }

    impl Vault {
        fn new(current: &str, previous: Option<&str>) -> Self {
            let vault = Self::default();
            vault.put(current, previous);
            vault
        }

        fn put(&self, current: &str, previous: Option<&str>) {
            let mut versions = self.versions.lock().unwrap();
            versions.insert("AWSCURRENT".to_owned(), current.to_owned());
            if let Some(previous) = previous {
                versions.insert("AWSPREVIOUS".to_owned(), previous.to_owned());
            }
        }

        fn answer(&self, asked: &Value) -> Response {
            assert_eq!(asked["SecretId"], ARN);
            self.reads.fetch_add(1, Ordering::Relaxed);
            let stage = asked["VersionStage"].as_str().unwrap();
            match self.versions.lock().unwrap().get(stage).map(String::as_str) {
                Some("(binary)") => json_answer(&json!({"SecretBinary": "AAEC"})),
                Some("(denied)") => json_refusal("AccessDeniedException"),
                Some(text) => json_answer(&json!({"SecretString": text})),
                None => json_refusal("ResourceNotFoundException"),
            }
        }

        async fn secrets(&self) -> Secrets {
            let vault = self.clone();
            let aws = connect(move |asked| vault.answer(&asked.json())).await;
            Secrets::new(aws.secretsmanager())
        }
    }

    fn texts(secrets: &[Secret]) -> Vec<&str> {
        secrets.iter().map(Secret::expose).collect()
    }

    #[tokio::test]
    async fn a_secret_is_read_once_in_five_minutes_or_when_it_is_asked_for() {
        let vault = Vault::new("one\n", None);
        let secrets = vault.secrets().await;
        for _ in 0..3 {
            assert_eq!(secrets.current(ARN).await.unwrap().expose(), "one");
        }
        assert_eq!(vault.reads.load(Ordering::Relaxed), 1);
        vault.put("two", Some("one"));
        assert_eq!(secrets.current(ARN).await.unwrap().expose(), "one");
        assert_eq!(secrets.refresh(ARN).await.unwrap().expose(), "two");
        assert_eq!(secrets.current(ARN).await.unwrap().expose(), "two");
        vault.put("three", Some("two"));
        tokio::time::pause();
        tokio::time::advance(KEPT).await;
        tokio::time::resume();
        assert_eq!(secrets.current(ARN).await.unwrap().expose(), "three");
    }

    #[tokio::test]
    async fn what_is_doubted_is_read_again_but_not_every_time() {
        let vault = Vault::new("one", None);
        let secrets = vault.secrets().await;
        secrets.current(ARN).await.unwrap();
        vault.put("two", Some("one"));
        assert!(!secrets.forget(ARN));
        assert_eq!(secrets.current(ARN).await.unwrap().expose(), "one");
        tokio::time::pause();
        tokio::time::advance(DOUBTED).await;
        tokio::time::resume();
        assert!(!secrets.forget("another") && secrets.forget(ARN));
        assert_eq!(secrets.current(ARN).await.unwrap().expose(), "two");
    }

    #[tokio::test]
    async fn a_refused_key_gives_way_to_the_new_one_then_to_the_one_before() {
        let vault = Vault::new("one", None);
        let secrets = vault.secrets().await;
        let one = secrets.current(ARN).await.unwrap();
        assert_eq!(secrets.other_than(ARN, &one).await, None);
        vault.put("two", Some("one"));
        let two = secrets.other_than(ARN, &one).await.unwrap();
        assert_eq!(two.expose(), "two");
        // The platform does not know the new one yet.
        assert_eq!(secrets.other_than(ARN, &two).await, Some(one));
        vault.put(REPLACE_ME, Some(REPLACE_ME));
        assert_eq!(secrets.other_than(ARN, &two).await, None);
    }

    #[tokio::test]
    async fn links_are_signed_with_the_current_keys_and_verified_with_those_before() {
        let (old, new) = ("o".repeat(32), "n".repeat(32));
        let before = json!({"k9": old}).to_string();
        let vault = Vault::new(&before, None);
        let secrets = vault.secrets().await;
        let links = Links {
            url: "https://links.example".to_owned(),
            secret: ARN.to_owned(),
        };
        let (campaign, image) = ("cells".parse().unwrap(), ImageId(uuid::Uuid::nil()));
        let sign = |signer: &LinkSigner| signer.link(&campaign, image, "a.png", Timestamp(9_000));
        let link = sign(&secrets.links(&links).await.unwrap());

        vault.put(&json!({"k10": new}).to_string(), Some(&before));
        let rotated = vault.secrets().await.links(&links).await.unwrap();
        let (path, query) = link["https://links.example".len()..]
            .split_once('?')
            .unwrap();
        let link = Link::read(path, query).unwrap();
        assert_eq!(rotated.verify(&link, Timestamp(0)), Ok(()));
        assert!(sign(&rotated).contains("key=k10&"));
    }

    #[tokio::test]
    async fn a_webhook_may_be_signed_with_either_version() {
        let vault = Vault::new("two", Some("one"));
        let secrets = vault.secrets().await.webhook(ARN).await.unwrap();
        assert_eq!(texts(&secrets), ["two", "one"]);
        let vault = Vault::new("two", Some(REPLACE_ME));
        let secrets = vault.secrets().await.webhook(ARN).await.unwrap();
        assert_eq!(texts(&secrets), ["two"]);
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_used_is_named_with_what_to_do() {
        for (content, says) in [
            (REPLACE_ME, "put-secret-value"),
            ("  ", "put-secret-value"),
            ("(binary)", "it must be text"),
            ("(denied)", "AccessDeniedException"),
        ] {
            let secrets = Vault::new(content, None).secrets().await;
            let error = secrets.current(ARN).await.unwrap_err();
            let PortError::Refused(line) = error else {
                panic!("{error:?}")
            };
            assert!(line.contains(ARN) && line.contains(says), "{line}");
            assert!(!line.contains('\n'), "{line}");
        }
        let nothing = Vault::default().secrets().await;
        let error = nothing.current(ARN).await.unwrap_err();
        assert!(
            matches!(&error, PortError::Refused(line) if line.contains(ARN)),
            "{error}"
        );
    }

    #[tokio::test]
    async fn wrong_link_keys_are_explained_without_showing_them() {
        let links = Links {
            url: "https://links.example".to_owned(),
            secret: ARN.to_owned(),
        };
        for content in ["hunter2", "{}", "{\"k1\": \"hunter2\"}", "[\"hunter2\"]"] {
            let secrets = Vault::new(content, None).secrets().await;
            let error = secrets.links(&links).await.unwrap_err().to_string();
            assert!(error.contains(ARN) && error.contains("32 bytes"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
            assert!(!format!("{secrets:?}").contains("hunter2"));
        }
    }
}
