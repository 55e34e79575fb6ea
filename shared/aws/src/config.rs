//! What a function reads from its environment: one struct a concern, checked when it starts.
//!
//! Nothing here is secret but the credentials that AWS puts there itself: secrets are named, and
//! read from Secrets Manager ([`crate::secrets`]).
//!
//! | variable | read by | meaning | if it is not set |
//! |---|---|---|---|
//! | `QUORATE_TABLE` | [`Storage`] | name of the DynamoDB table | error |
//! | `QUORATE_UPLOADS_BUCKET` | [`Storage`] | the bucket that people drop files into | error |
//! | `QUORATE_RESULTS_BUCKET` | [`Storage`] | the bucket that results go to | error |
//! | `QUORATE_BUS` | [`Events`] | name of the event bus | error |
//! | `QUORATE_TOLOKA_URL` | [`Crowd`] | the crowd platform, without `/api/v1` | error |
//! | `QUORATE_TOLOKA_FEE` | [`Crowd`] | its share on rewards, 0 to 1 | error |
//! | `QUORATE_TOLOKA_SECRET` | [`Crowd`] | ARN of the secret that holds the API key | error |
//! | `QUORATE_LINKS_URL` | [`Links`] | where workers' links to images lead: the URL of `serve-image` | error |
//! | `QUORATE_LINK_SECRET` | [`Links`] | ARN of the secret that holds the keys of links | error |
//! | `QUORATE_WEBHOOK_URL` | [`Webhooks`] | where the platform tells of events: the URL of `receive-webhook` | it does not tell |
//! | `QUORATE_WEBHOOK_SECRET` | [`Webhooks`] | ARN of the secret that signs what it tells | error, if there is a URL |
//! | `AWS_REGION` | [`Account`] | the region; Lambda sets it | error |
//! | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` | [`Account`] | credentials; Lambda sets them | error |
//! | `AWS_SESSION_TOKEN` | [`Account`] | the third part of credentials of a role | none |
//! | `AWS_ENDPOINT_URL` | [`Account`] | an emulator instead of AWS | AWS |
//!
//! The log has its own, see [`crate::telemetry`]. A value that is not set or wrong is an error of
//! one line, and so a function that ends at its start; an empty value is one that is not set.

use quorate_toloka::Secret;
use reqwest::Url;
use rust_decimal::Decimal;

/// The longest wrong value that is shown whole, in characters.
const SHOWN: usize = 80;

/// A variable that is not set or wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {found}; expected {expected}")]
pub struct ConfigError {
    /// Its name.
    pub variable: &'static str,
    /// What is wrong with it. Never the content of what should name a secret or may hold one.
    pub found: String,
    /// What it should be.
    pub expected: &'static str,
}

/// A variable of this process, if it is set and is text.
#[must_use]
pub fn environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

/// Where the state and the files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// `QUORATE_TABLE`.
    pub table: String,
    /// `QUORATE_UPLOADS_BUCKET`.
    pub uploads: String,
    /// `QUORATE_RESULTS_BUCKET`.
    pub results: String,
}

impl Storage {
    /// Reads it through `lookup`, such as [`environment`].
    ///
    /// # Errors
    /// The first variable that is not set or wrong.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let table = "the name of a DynamoDB table: 3 to 255 letters, digits, `-`, `_` and `.`";
        let bucket = "the name of a bucket: 3 to 63 small letters, digits, `-` and `.`";
        Ok(Self {
            table: required(&lookup, "QUORATE_TABLE", table, |text| {
                name(text, 3..=255, |c| {
                    c.is_ascii_alphanumeric() || "-_.".contains(c)
                })
            })?,
            uploads: required(&lookup, "QUORATE_UPLOADS_BUCKET", bucket, bucket_name)?,
            results: required(&lookup, "QUORATE_RESULTS_BUCKET", bucket, bucket_name)?,
        })
    }
}

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// `QUORATE_BUS`.
    pub bus: String,
}

impl Events {
    /// Reads it through `lookup`, such as [`environment`].
    ///
    /// # Errors
    /// The variable is not set or wrong.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let bus =
            "the name of an event bus: up to 256 letters, digits, `-`, `_`, `.` and `/`, no ARN";
        Ok(Self {
            bus: required(&lookup, "QUORATE_BUS", bus, |text| {
                name(text, 1..=256, |c| {
                    c.is_ascii_alphanumeric() || "-_./".contains(c)
                })
            })?,
        })
    }
}

/// The crowd platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// `QUORATE_TOLOKA_URL`.
    pub url: String,
    /// `QUORATE_TOLOKA_FEE`.
    pub fee: Decimal,
}

impl Crowd {
    /// Reads it through `lookup`, such as [`environment`].
    ///
    /// # Errors
    /// The first variable that is not set or wrong.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Ok(Self {
            url: url(&lookup, "QUORATE_TOLOKA_URL")?,
            fee: required(
                &lookup,
                "QUORATE_TOLOKA_FEE",
                "a share from 0 to 1, such as 0.2",
                |text| {
                    text.parse::<Decimal>()
                        .ok()
                        .filter(|fee| (Decimal::ZERO..=Decimal::ONE).contains(fee))
                },
            )?,
        })
    }

    /// Reads `QUORATE_TOLOKA_SECRET`, which a function that only counts money does without.
    ///
    /// # Errors
    /// The variable is not set or wrong.
    pub fn secret_from_environment(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<String, ConfigError> {
        secret_arn(&lookup, "QUORATE_TOLOKA_SECRET")
    }
}

/// The links under which workers see images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// `QUORATE_LINKS_URL`, without a `/` at its end.
    pub url: String,
    /// `QUORATE_LINK_SECRET`.
    pub secret: String,
}

impl Links {
    /// Reads it through `lookup`, such as [`environment`].
    ///
    /// # Errors
    /// The first variable that is not set or wrong.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Ok(Self {
            url: url(&lookup, "QUORATE_LINKS_URL")?,
            secret: Self::secret_from_environment(lookup)?,
        })
    }

    /// Reads `QUORATE_LINK_SECRET` alone: all that who opens links needs, which cannot know its own
    /// URL before it is created.
    ///
    /// # Errors
    /// The variable is not set or wrong.
    pub fn secret_from_environment(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<String, ConfigError> {
        secret_arn(&lookup, "QUORATE_LINK_SECRET")
    }
}

/// How the platform tells of events by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhooks {
    /// `QUORATE_WEBHOOK_URL`, without a `/` at its end.
    pub url: String,
    /// `QUORATE_WEBHOOK_SECRET`.
    pub secret: String,
}

impl Webhooks {
    /// Reads it through `lookup`, such as [`environment`]. None if there is no URL.
    ///
    /// # Errors
    /// The first variable that is wrong; the secret's is not set although the URL's is.
    pub fn from_environment(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, ConfigError> {
        if value(&lookup, "QUORATE_WEBHOOK_URL").is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            url: url(&lookup, "QUORATE_WEBHOOK_URL")?,
            secret: Self::secret_from_environment(lookup)?,
        }))
    }

    /// Reads `QUORATE_WEBHOOK_SECRET` alone: all that the receiver needs, which cannot know its own
    /// URL before it is created.
    ///
    /// # Errors
    /// The variable is not set or wrong.
    pub fn secret_from_environment(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<String, ConfigError> {
        secret_arn(&lookup, "QUORATE_WEBHOOK_SECRET")
    }
}

/// The AWS account that a function works in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: Secret,
    /// `AWS_SESSION_TOKEN`.
    pub session_token: Option<Secret>,
    /// `AWS_ENDPOINT_URL`.
    pub endpoint: Option<String>,
}

impl Account {
    /// Reads it through `lookup`, such as [`environment`].
    ///
    /// # Errors
    /// The first variable that is not set or wrong.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let region = "the name of a region, such as eu-west-1";
        let credentials = "credentials of a role or user; Lambda sets them";
        let region = required(&lookup, "AWS_REGION", region, |text| {
            name(text, 1..=64, |c| c.is_ascii_alphanumeric() || c == '-')
        })?;
        let credential =
            |variable| required(&lookup, variable, credentials, |text| Some(text.to_owned()));
        let endpoint = match value(&lookup, "AWS_ENDPOINT_URL") {
            Some(_) => Some(url(&lookup, "AWS_ENDPOINT_URL")?),
            None => None,
        };
        Ok(Self {
            region,
            access_key_id: credential("AWS_ACCESS_KEY_ID")?,
            secret_access_key: credential("AWS_SECRET_ACCESS_KEY")?.into(),
            session_token: value(&lookup, "AWS_SESSION_TOKEN").map(Into::into),
            endpoint,
        })
    }
}

/// A variable's text without white space around it, if there is any.
fn value(lookup: impl Fn(&str) -> Option<String>, variable: &str) -> Option<String> {
    let text = lookup(variable)?.trim().to_owned();
    Some(text).filter(|text| !text.is_empty())
}

/// A variable that must be there, read by `parse`; one that is wrong is shown.
fn required<T>(
    lookup: impl Fn(&str) -> Option<String>,
    variable: &'static str,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, ConfigError> {
    let wrong = |found| ConfigError {
        variable,
        found,
        expected,
    };
    let text = value(lookup, variable).ok_or_else(|| wrong("is not set".to_owned()))?;
    parse(&text).ok_or_else(|| wrong(format!("is {}", shown(&text))))
}

/// A wrong value, on one line.
fn shown(text: &str) -> String {
    let head: String = text.chars().take(SHOWN).collect();
    let more = if head.len() < text.len() { "…" } else { "" };
    format!("{head:?}{more}")
}

fn name(
    text: &str,
    lengths: std::ops::RangeInclusive<usize>,
    allowed: impl Fn(char) -> bool,
) -> Option<String> {
    (lengths.contains(&text.len()) && text.chars().all(allowed)).then(|| text.to_owned())
}

fn bucket_name(text: &str) -> Option<String> {
    name(text, 3..=63, |c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c)
    })
}

/// The address of a service: what is sent there stays between it and us. A wrong one is not shown,
/// it may hold a password.
fn url(
    lookup: impl Fn(&str) -> Option<String>,
    variable: &'static str,
) -> Result<String, ConfigError> {
    let expected = "a URL such as https://example.com; `http:` is for this machine only";
    let wrong = |found: &str| ConfigError {
        variable,
        found: found.to_owned(),
        expected,
    };
    let text = value(lookup, variable).ok_or_else(|| wrong("is not set"))?;
    let url = Url::parse(&text).map_err(|_| wrong("is not a URL"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(wrong("is a URL without encryption")),
        _ => return Err(wrong("is a URL that does not begin with `https:`")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("is a URL with a user or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("is a URL with a query or fragment"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The ARN of a secret. A wrong one is not shown: it may be the secret itself.
fn secret_arn(
    lookup: impl Fn(&str) -> Option<String>,
    variable: &'static str,
) -> Result<String, ConfigError> {
    let wrong = |found: &str| ConfigError {
        variable,
        found: found.to_owned(),
        expected: "the ARN of a secret (arn:aws:secretsmanager:<region>:<account>:secret:<name>), \
                   not its content",
    };
    let text = value(lookup, variable).ok_or_else(|| wrong("is not set"))?;
    let parts: Vec<&str> = text.splitn(7, ':').collect();
    match parts.as_slice() {
        [
            "arn",
            partition,
            "secretsmanager",
            region,
            account,
            "secret",
            name,
        ] if ![partition, region, account, name]
            .iter()
            .any(|part| part.is_empty()) =>
        {
            Ok(text)
        }
        _ => Err(wrong("is not an ARN of Secrets Manager")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:quorate/toloka-Ab12Cd";

    /// An environment where everything is right.
    fn right(variable: &str) -> Option<String> {
        let value = match variable {
            "QUORATE_TABLE" => "quorate",
            "QUORATE_UPLOADS_BUCKET" => "quorate-uploads",
            "QUORATE_RESULTS_BUCKET" => "quorate-results",
            "QUORATE_BUS" => "quorate",
            "QUORATE_TOLOKA_URL" => "https://toloka.dev",
            "QUORATE_TOLOKA_FEE" => "0.2",
            "QUORATE_TOLOKA_SECRET" | "QUORATE_LINK_SECRET" | "QUORATE_WEBHOOK_SECRET" => ARN,
            "QUORATE_LINKS_URL" => "https://abc.lambda-url.eu-west-1.on.aws/",
            "QUORATE_WEBHOOK_URL" => "https://def.lambda-url.eu-west-1.on.aws",
            "AWS_REGION" => "eu-west-1",
            "AWS_ACCESS_KEY_ID" => "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY" => "hush",
            "AWS_SESSION_TOKEN" => "hush, too",
            _ => return None,
        };
        Some(value.to_owned())
    }

    /// The line of a start in that environment, but for one variable.
    fn start(variable: &str, value: Option<&str>) -> Result<(), String> {
        let lookup = |asked: &str| {
            if asked == variable {
                value.map(str::to_owned)
            } else {
                right(asked)
            }
        };
        let all = || {
            Storage::from_environment(lookup)?;
            Events::from_environment(lookup)?;
            Crowd::from_environment(lookup)?;
            Crowd::secret_from_environment(lookup)?;
            Links::from_environment(lookup)?;
            Webhooks::from_environment(lookup)?;
            Account::from_environment(lookup)?;
            Ok(())
        };
        all().map_err(|error: ConfigError| error.to_string())
    }

    #[test]
    fn a_right_environment_is_read() {
        assert_eq!(start("", None), Ok(()));
        let crowd = Crowd::from_environment(right).unwrap();
        assert_eq!(crowd.fee, Decimal::new(2, 1));
        assert_eq!(Crowd::secret_from_environment(right).unwrap(), ARN);
        let links = Links::from_environment(right).unwrap();
        assert_eq!(links.url, "https://abc.lambda-url.eu-west-1.on.aws");
        let local = |_: &str| Some("http://127.0.0.1:4566/".to_owned());
        assert_eq!(url(local, "X").unwrap(), "http://127.0.0.1:4566");
    }

    #[test]
    fn what_is_optional_may_be_absent_or_empty() {
        for value in [None, Some(""), Some(" ")] {
            assert_eq!(start("AWS_SESSION_TOKEN", value), Ok(()));
            assert_eq!(start("AWS_ENDPOINT_URL", value), Ok(()));
            assert_eq!(start("QUORATE_WEBHOOK_URL", value), Ok(()));
        }
        let nobody = Webhooks::from_environment(|_| None);
        assert_eq!(nobody, Ok(None));
    }

    #[test]
    fn a_variable_that_is_not_set_is_named_on_one_line() {
        for variable in [
            "QUORATE_TABLE",
            "QUORATE_UPLOADS_BUCKET",
            "QUORATE_RESULTS_BUCKET",
            "QUORATE_BUS",
            "QUORATE_TOLOKA_URL",
            "QUORATE_TOLOKA_FEE",
            "QUORATE_TOLOKA_SECRET",
            "QUORATE_LINKS_URL",
            "QUORATE_LINK_SECRET",
            "QUORATE_WEBHOOK_SECRET",
            "AWS_REGION",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
        ] {
            for value in [None, Some(""), Some(" \n")] {
                let line = start(variable, value).unwrap_err();
                let beginning = format!("{variable} is not set; expected ");
                assert!(line.starts_with(&beginning), "{line}");
                assert!(!line.contains('\n'), "{line}");
            }
        }
    }

    #[test]
    fn a_wrong_value_is_shown_on_one_line() {
        let long = "x".repeat(5_000);
        for (variable, value, found) in [
            ("QUORATE_TABLE", "my table", "is \"my table\";"),
            ("QUORATE_TABLE", "a\nb", "is \"a\\nb\";"),
            (
                "QUORATE_UPLOADS_BUCKET",
                "s3://uploads",
                "is \"s3://uploads\";",
            ),
            ("QUORATE_RESULTS_BUCKET", "Results", "is \"Results\";"),
            ("QUORATE_BUS", "arn:aws:events:x:1:event-bus/q", "no ARN"),
            (
                "QUORATE_TOLOKA_FEE",
                "20",
                "is \"20\"; expected a share from 0 to 1",
            ),
            ("QUORATE_TOLOKA_FEE", "-0.1", "is \"-0.1\";"),
            ("QUORATE_TOLOKA_FEE", "0,2", "is \"0,2\";"),
            ("QUORATE_TOLOKA_URL", "toloka.dev", "is not a URL;"),
            ("QUORATE_TOLOKA_URL", "ftp://toloka.dev", "`https:`"),
            (
                "QUORATE_TOLOKA_URL",
                "http://toloka.dev",
                "without encryption",
            ),
            ("QUORATE_LINKS_URL", "https://x.example/?a=b", "a query"),
            (
                "QUORATE_WEBHOOK_URL",
                "http://10.0.0.1",
                "without encryption",
            ),
            (
                "AWS_ENDPOINT_URL",
                "http://aws.example",
                "without encryption",
            ),
            ("AWS_REGION", "eu west", "is \"eu west\";"),
            ("QUORATE_TABLE", &long, "…;"),
        ] {
            let line = start(variable, Some(value)).unwrap_err();
            assert!(line.starts_with(variable) && line.contains(found), "{line}");
            assert!(!line.contains('\n') && line.len() < 300, "{line}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for (variable, value) in [
            ("QUORATE_TOLOKA_SECRET", "hunter2"),
            ("QUORATE_LINK_SECRET", "{\"k1\":\"hunter2\"}"),
            ("QUORATE_WEBHOOK_SECRET", "arn:aws:s3:::hunter2"),
            ("QUORATE_TOLOKA_URL", "https://me:hunter2@toloka.dev"),
            ("QUORATE_LINKS_URL", "https://x.example/?key=hunter2"),
        ] {
            let line = start(variable, Some(value)).unwrap_err();
            assert!(
                line.starts_with(variable) && !line.contains("hunter2"),
                "{line}"
            );
        }
        let account = format!("{:?}", Account::from_environment(right).unwrap());
        assert!(!account.contains("hush"), "{account}");
    }
}
