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
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{EncodingType, ObjectVersion};
use percent_encoding::percent_decode_str;
use quorate_core::ports::{ObjectMeta, Objects, Page, PortError, PortResult, Put};
use quorate_core::time::Timestamp;

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
                modified: modified(head.last_modified()),
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
                modified: modified(found.last_modified()),
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

/// In whole seconds: a head has no others, whatever a listing has.
fn modified(at: Option<&DateTime>) -> Timestamp {
    // Without it, as old as can be said: such an object is not taken for new again and again.
    Timestamp(at.map_or(0, DateTime::secs).saturating_mul(1000))
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

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::response::{IntoResponse as _, Response};

    use super::*;
    use crate::testing::{Asked, connect};

    const ETAG: &str = "9e107d9d372bb6826bd81d3542a419d6";
    /// Ids of versions, as AWS and as an emulator makes them.
    const IDS: [&str; 3] = [
        "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo",
        "PHtexPGjH2y.zBgT8LmB7wwLI2mpbz.k",
        "0d0b1a9e-6d7c-4f3e-9f1a-2b3c4d5e6f70",
    ];

    async fn bucket<F>(answer: F) -> Bucket
    where
        F: Fn(Asked) -> Response + Clone + Send + Sync + 'static,
    {
        Bucket::new(connect(answer).await.s3(), "quorate-uploads")
    }

    fn refused(status: u16, code: &str) -> Response {
        let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
        (StatusCode::from_u16(status).unwrap(), body).into_response()
    }

    #[test]
    fn an_id_of_a_version_is_no_etag() {
        assert!(is_etag(ETAG));
        assert!(is_etag(&format!("{ETAG}-12")));
        for id in IDS {
            assert!(!is_etag(id), "{id}");
        }
        assert_eq!(version(Some(IDS[0]), Some("\"x\"")), IDS[0]);
        assert_eq!(version(Some("null"), Some(&format!("\"{ETAG}\""))), ETAG);
        assert_eq!(version(None, Some(&format!("\"{ETAG}\""))), ETAG);
    }

    #[tokio::test]
    async fn a_version_is_asked_for_by_its_id_or_its_etag() {
        let asked_for = |asked: Asked| {
            let query = asked.uri.query().unwrap_or_default().to_owned();
            let etag = asked.headers.get("if-match").map(|it| it.to_str().unwrap());
            let range = asked.headers["range"].to_str().unwrap();
            format!("{query} {} {range}", etag.unwrap_or_default()).into_response()
        };
        let bucket = bucket(asked_for).await;
        let seen = bucket.get("a", IDS[2], 4_000).await.unwrap().unwrap();
        let expected = format!("x-id=GetObject&versionId={}  bytes=0-3999", IDS[2]);
        assert_eq!(String::from_utf8(seen).unwrap(), expected);
        let seen = bucket.get("a", ETAG, 4_000).await.unwrap().unwrap();
        let expected = format!("x-id=GetObject \"{ETAG}\" bytes=0-3999");
        assert_eq!(String::from_utf8(seen).unwrap(), expected);
    }

    #[tokio::test]
    async fn what_is_gone_is_none_and_what_is_empty_is_empty() {
        for (status, code) in [
            (404, "NoSuchKey"),
            (404, "NoSuchVersion"),
            (405, "MethodNotAllowed"),
            (412, "PreconditionFailed"),
            (400, "InvalidArgument"),
        ] {
            let bucket = bucket(move |_| refused(status, code)).await;
            assert_eq!(bucket.get("a", IDS[0], 9).await, Ok(None), "{code}");
        }
        let empty = bucket(|_| refused(416, "InvalidRange")).await;
        assert_eq!(empty.get("a", IDS[0], 9).await, Ok(Some(Vec::new())));
        let nothing = bucket(|_| StatusCode::NOT_FOUND.into_response()).await;
        assert_eq!(nothing.head("a").await, Ok(None));
    }

    #[tokio::test]
    async fn a_failure_says_which_object_and_whether_it_passes() {
        for (status, code, passes) in [
            (403, "AccessDenied", false),
            (404, "NoSuchBucket", false),
            (503, "SlowDown", true),
            (500, "InternalError", true),
            (409, "ConditionalRequestConflict", true),
        ] {
            let bucket = bucket(move |_| refused(status, code)).await;
            let errors = [
                bucket.get("a b", IDS[0], 9).await.map(drop),
                bucket.put("a b", b"x").await,
                bucket.put_if_absent("a b", b"x").await.map(drop),
                bucket.list("a b", None).await.map(drop),
            ];
            for error in errors.map(Result::unwrap_err) {
                assert_eq!(
                    matches!(error, PortError::Unavailable(_)),
                    passes,
                    "{error}"
                );
                let line = error.to_string();
                assert!(line.starts_with("s3://quorate-uploads/a b: "), "{line}");
                assert!(line.contains(code), "{line}");
            }
        }
        let none = bucket(|_| StatusCode::FORBIDDEN.into_response()).await;
        let error = none.head("a/../b").await.unwrap_err();
        assert!(matches!(error, PortError::Refused(_)), "{error:?}");
    }

    #[tokio::test]
    async fn a_listing_is_decoded_and_has_the_newest_versions_alone() {
        let page = move |asked: Asked| {
            let query = asked.uri.query().unwrap();
            assert!(query.contains("encoding-type=url"), "{query}");
            if query.contains("key-marker=a%20b%2B.jpg") {
                return "<ListVersionsResult></ListVersionsResult>".into_response();
            }
            let version = |key: &str, id: &str, latest: bool| {
                format!(
                    "<Version><Key>{key}</Key><VersionId>{id}</VersionId><IsLatest>{latest}</IsLatest>\
                     <ETag>&quot;{ETAG}&quot;</ETag><Size>7</Size>\
                     <LastModified>2026-01-01T00:00:00.000Z</LastModified></Version>"
                )
            };
            format!(
                "<ListVersionsResult><EncodingType>url</EncodingType>\
                 <IsTruncated>true</IsTruncated><NextKeyMarker>a+b%2B.jpg</NextKeyMarker>\
                 {}{}{}</ListVersionsResult>",
                version("a+b%2B.jpg", "v2", true),
                version("a+b%2B.jpg", "v1", false),
                version("gr%C3%B6%C3%9Fe", "null", true),
            )
            .into_response()
        };
        let bucket = bucket(page).await;
        let first = bucket.list("", None).await.unwrap();
        let meta = |key: &str, version: &str| ObjectMeta {
            key: key.to_owned(),
            version: version.to_owned(),
            size: 7,
            modified: Timestamp(1_767_225_600_000),
        };
        assert_eq!(first.items, [meta("a b+.jpg", "v2"), meta("größe", ETAG)]);
        assert_eq!(first.next.as_deref(), Some("a b+.jpg"));
        let last = bucket.list("", first.next.as_deref()).await.unwrap();
        assert_eq!((last.items.len(), last.next), (0, None));
    }

    #[tokio::test]
    async fn a_browser_shows_a_presigned_object_as_we_say() {
        let bucket = bucket(|_| refused(500, "InternalError")).await;
        let presentation = Presentation {
            content_type: "image/png",
            disposition: "inline",
            cache_control: "private, max-age=300",
        };
        let valid = Duration::from_secs(300);
        let signed = bucket.presign("a b.svg", IDS[2], presentation, valid).await;
        let signed = signed.unwrap();
        for part in [
            "/quorate-uploads/a%20b.svg?",
            "response-content-type=image%2Fpng",
            "response-content-disposition=inline",
            "response-cache-control=private%2C%20max-age%3D300",
            &format!("versionId={}", IDS[2]),
            "X-Amz-Expires=300",
            "X-Amz-Signature=",
        ] {
            assert!(signed.contains(part), "{signed}: {part}");
        }
        let etag = bucket
            .presign("a", ETAG, presentation, valid)
            .await
            .unwrap();
        assert!(!etag.contains("versionId"), "{etag}");
    }

    #[tokio::test]
    async fn a_result_has_the_content_type_of_its_name() {
        for (key, expected) in [
            ("labels.csv", "text/csv; charset=utf-8"),
            ("report.html", "text/html; charset=utf-8"),
            ("_manifest.json", "application/json"),
            ("labels.jsonl", "application/jsonl"),
            ("part", "application/octet-stream"),
        ] {
            let check = move |asked: Asked| {
                assert_eq!(asked.headers["content-type"], expected);
                assert_eq!(asked.body, "body");
                StatusCode::OK.into_response()
            };
            assert_eq!(bucket(check).await.put(key, b"body").await, Ok(()), "{key}");
        }
    }

    #[tokio::test]
    async fn a_bucket_that_cannot_be_used_is_named() {
        for (status, says) in [
            (404, "no such bucket"),
            (403, "may not use it"),
            (301, "another region"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let bucket = bucket(move |_| status.into_response()).await;
            let line = bucket.check().await.unwrap_err().to_string();
            assert!(
                line.contains("quorate-uploads") && line.contains(says),
                "{line}"
            );
        }
        assert_eq!(
            bucket(|_| StatusCode::OK.into_response())
                .await
                .check()
                .await,
            Ok(())
        );
    }
}
