//! Buckets of S3.
//!
//! A bucket with versioning keeps every version readable, and a version is named by its id. Without
//! versioning the etag stands for it: then only the newest one can be read.

use std::borrow::Cow;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{EncodingType, ObjectVersion};
use percent_encoding::percent_decode_str;
use quorate_core::ports::{ObjectMeta, Objects, Page, PortError, PortResult, Put};

use crate::error::{port_error, refusal};

/// A bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
}

/// How a presigned address presents its object, whatever the object says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Presentation<'a> {
    /// The content type.
    pub content_type: &'a str,
    /// `inline` or `attachment`.
    pub disposition: &'a str,
    /// What caches may do, such as `private, max-age=300`.
    pub cache_control: &'a str,
}

impl Bucket {
    /// The bucket `name`.
    #[must_use]
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self {
            client,
            name: name.into(),
        }
    }

    /// Asks whether the bucket is there and ours to use.
    ///
    /// # Errors
    /// `Refused` if it is not.
    pub async fn check(&self) -> PortResult<()> {
        let asked = self.client.head_bucket().bucket(&self.name).send().await;
        asked.map(drop).map_err(|error| {
            let what = match refusal(&error) {
                Some((404, _)) => "there is no such bucket",
                Some((403, _)) => "this function may not use it",
                Some((301, _)) => "it is in another region",
                _ => "it does not answer",
            };
            port_error(format_args!("bucket {}: {what}", self.name), &error)
        })
    }

    /// An address under which anybody reads `version` of `key` for `valid`. Nothing is asked.
    ///
    /// # Errors
    /// `Refused` if it cannot be signed.
    pub async fn presign(
        &self,
        key: &str,
        version: &str,
        presentation: Presentation<'_>,
        valid: Duration,
    ) -> PortResult<String> {
        let unsigned = |error: &dyn std::error::Error| {
            PortError::Refused(format!("{}: cannot be signed: {error}", self.path(key)))
        };
        let valid = PresigningConfig::expires_in(valid).map_err(|error| unsigned(&error))?;
        // An etag is no version: what is there now is shown.
        let version = Some(version).filter(|version| !is_etag(version));
        let signed = self
            .client
            .get_object()
            .bucket(&self.name)
            .key(key)
            .set_version_id(version.map(str::to_owned))
            .response_content_type(presentation.content_type)
            .response_content_disposition(presentation.disposition)
            .response_cache_control(presentation.cache_control)
            .presigned(valid)
            .await
            .map_err(|error| unsigned(&error))?;
        Ok(signed.uri().to_owned())
    }

    /// The beginning of a version, named by its id or by its etag.
    async fn read(
        &self,
        key: &str,
        limit: u64,
        id: Option<&str>,
        etag: Option<&str>,
    ) -> Result<GetObjectOutput, SdkError<GetObjectError>> {
        self.client
            .get_object()
            .bucket(&self.name)
            .key(key)
            .range(format!("bytes=0-{}", limit.saturating_sub(1)))
            .set_version_id(id.map(str::to_owned))
            .set_if_match(etag.map(|etag| format!("\"{etag}\"")))
            .send()
            .await
    }

    /// What error messages call an object.
    fn path(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }
}

impl Objects for Bucket {
    fn bucket(&self) -> &str {
        &self.name
    }

    async fn head(&self, key: &str) -> PortResult<Option<ObjectMeta>> {
        let request = self.client.head_object().bucket(&self.name).key(key);
        match request.send().await {
            Ok(head) => Ok(Some(ObjectMeta {
                key: key.to_owned(),
                version: version(head.version_id(), head.e_tag()),
                size: size(head.content_length()),
            })),
            Err(error) if matches!(refusal(&error), Some((404, _))) => Ok(None),
            Err(error) => Err(port_error(self.path(key), &error)),
        }
    }

    async fn get(&self, key: &str, version: &str, limit: u64) -> PortResult<Option<Vec<u8>>> {
        let read = if is_etag(version) {
            self.read(key, limit, None, Some(version)).await
        } else {
            self.read(key, limit, Some(version), None).await
        };
        let body = match read {
            Ok(object) => object.body,
            Err(error) => {
                return match refusal(&error) {
                    // An empty object has no first byte.
                    Some((416, _)) => Ok(Some(Vec::new())),
                    // Of deleted versions, replaced etags, and ids that never were.
                    Some((404, "NoSuchKey" | "NoSuchVersion") | (405 | 412, _)) => Ok(None),
                    Some((400, "InvalidArgument")) => Ok(None),
                    _ => Err(port_error(self.path(key), &error)),
                };
            }
        };
        let bytes = body.collect().await.map_err(|error| {
            PortError::Unavailable(format!("{}: it broke off: {error}", self.path(key)))
        })?;
        let mut bytes = bytes.to_vec();
        bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(Some(bytes))
    }

    /// One page of *all* versions, of which only the newest ones are given: it may have less than
    /// 1000 items, even none, before there are no more.
    async fn list(&self, prefix: &str, after: Option<&str>) -> PortResult<Page<ObjectMeta>> {
        let listing = self
            .client
            .list_object_versions()
            .bucket(&self.name)
            .prefix(prefix)
            // Keys may have characters that XML has not.
            .encoding_type(EncodingType::Url)
            // Without a marker of versions it goes on after the last key, of which the newest
            // version was the first that came.
            .set_key_marker(after.map(str::to_owned))
            .send()
            .await
            .map_err(|error| port_error(self.path(prefix), &error))?;
        let encoded = listing.encoding_type() == Some(&EncodingType::Url);
        let decode = |key: &str| match encoded {
            true => decoded(key),
            false => Ok(key.to_owned()),
        };
        let newest = listing
            .versions()
            .iter()
            .filter(|v| v.is_latest() == Some(true));
        let items = newest.map(|found: &ObjectVersion| {
            Ok(ObjectMeta {
                key: decode(found.key().unwrap_or_default())?,
                version: version(found.version_id(), found.e_tag()),
                size: size(found.size()),
            })
        });
        let more = listing.is_truncated() == Some(true);
        let next = listing.next_key_marker().filter(|_| more);
        Ok(Page {
            items: items.collect::<PortResult<_>>()?,
            next: next.map(decode).transpose()?,
        })
    }

    async fn put(&self, key: &str, body: &[u8]) -> PortResult<()> {
        self.client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .content_type(content_type(key))
            .body(ByteStream::from(body.to_vec()))
            .send()
            .await
            .map(drop)
            .map_err(|error| port_error(self.path(key), &error))
    }

    async fn put_if_absent(&self, key: &str, body: &[u8]) -> PortResult<Put> {
        let put = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .content_type(content_type(key))
            .body(ByteStream::from(body.to_vec()))
            .if_none_match("*")
            .send()
            .await;
        match put {
            Ok(_) => Ok(Put::Created),
            Err(error) if matches!(refusal(&error), Some((412, _))) => Ok(Put::Existed),
            Err(error) => Err(port_error(self.path(key), &error)),
        }
    }
}

/// The version's id, else its etag without quotes. `null` names what was put without versioning:
/// it can be overwritten, so it is no name of a version.
fn version(id: Option<&str>, etag: Option<&str>) -> String {
    match id {
        Some(id) if id != "null" => id.to_owned(),
        _ => etag.unwrap_or_default().trim_matches('"').to_owned(),
    }
}

/// Whether a version is an etag: the digits of an MD5, and for an upload in parts their number.
/// Ids of versions are longer or have other characters.
fn is_etag(version: &str) -> bool {
    let (digest, parts) = version.split_once('-').unwrap_or((version, "1"));
    digest.len() == 32
        && digest
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        && parts.parse::<u32>().is_ok()
}

fn size(length: Option<i64>) -> u64 {
    length
        .and_then(|length| u64::try_from(length).ok())
        .unwrap_or_default()
}

/// A key as a listing encodes it: like a form, a space is a plus.
fn decoded(key: &str) -> PortResult<String> {
    let spaced = key.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(Cow::into_owned)
        .map_err(|_| PortError::Refused(format!("{key}: a key that is not UTF-8")))
}

/// What a result is, for who opens it in a browser.
fn content_type(key: &str) -> &'static str {
    match key.rsplit_once('.').map(|(_, extension)| extension) {
        Some("csv") => "text/csv; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("json") => "application/json",
        Some("jsonl") => "application/jsonl",
        _ => "application/octet-stream",
    }
}
