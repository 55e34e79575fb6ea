//! What a message about an object says.
//!
//! S3 tells of a new object in two formats, which differ in how they write its key:
//!
//! | format | a new object | `a b+c.jpg` is written |
//! |---|---|---|
//! | [event of EventBridge][bus] | `detail-type` is `Object Created` | `a b+c.jpg`, as it is |
//! | [S3 notification][notification] | `eventName` begins with `ObjectCreated:` | `a+b%2Bc.jpg`, URL-encoded like a form |
//!
//! Decoding a key of the first kind would make `a+b.jpg` and `50%25.jpg` other keys, so the
//! format, never the look of the key, decides.
//!
//! [bus]: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
//! [notification]: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use percent_encoding::percent_decode_str;
use quorate_core::ingest::Upload;
use serde::Deserialize;
use serde_json::Value;

/// A message that does not say which object is new.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// Its body is not JSON.
    #[error("its body is not JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    /// It looks like an event, but a field is missing or has another type.
    #[error("its body is not {format} as S3 sends it: {error}")]
    Incomplete {
        /// The format that it looks like.
        format: &'static str,
        /// What is wrong.
        #[source]
        error: serde_json::Error,
    },
    /// A decoded key is not UTF-8.
    #[error("the key {0:?} is not UTF-8 when its URL encoding is taken off")]
    Key(String),
    /// It is JSON of another kind.
    #[error(
        "its body is neither an event of EventBridge (`detail-type`) nor an S3 notification \
         (`Records`): send S3's events to this queue without an input transformer"
    )]
    Unknown,
}

/// The uploads to `bucket` that a message's body tells of: none if it is about something else.
///
/// # Errors
/// If the body tells of something that cannot be read. A notification with several records is
/// taken or refused as a whole, like the message that it is.
pub fn uploads(body: &str, bucket: &str) -> Result<Vec<Upload>, Malformed> {
    let body: Value = serde_json::from_str(body).map_err(Malformed::NotJson)?;
    if body.get("detail-type").is_some() {
        bus_event(body, bucket)
    } else if body.get("Records").is_some() {
        notification(body, bucket)
    } else if body.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        // S3 sends it once, when a notification is configured.
        Ok(Vec::new())
    } else {
        Err(Malformed::Unknown)
    }
}

/// An object in a bucket, in both formats.
#[derive(Deserialize)]
struct Place {
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct Object {
    key: String,
    #[serde(rename = "version-id", alias = "versionId")]
    version: Option<String>,
    #[serde(alias = "eTag")]
    etag: Option<String>,
}

impl Object {
    fn upload(self, key: String) -> Upload {
        let version = self.version.or(self.etag);
        Upload { key, version }
    }
}

fn bus_event(body: Value, bucket: &str) -> Result<Vec<Upload>, Malformed> {
    let incomplete = |error| Malformed::Incomplete {
        format: "an event of EventBridge",
        error,
    };
    let event: EventBridgeEvent = serde_json::from_value(body).map_err(incomplete)?;
    if (event.source.as_str(), event.detail_type.as_str()) != ("aws.s3", "Object Created") {
        return Ok(Vec::new());
    }
    let place: Place = serde_json::from_value(event.detail).map_err(incomplete)?;
    let ours = place.bucket.name == bucket;
    let key = place.object.key.clone();
    let upload = place.object.upload(key);
    Ok(ours.then_some(upload).into_iter().collect())
}

/// A notification; everything that is not asked for here may be missing, as with S3's imitations.
#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "eventName")]
    event_name: String,
    s3: Place,
}

impl Record {
    fn is_upload(&self, bucket: &str) -> bool {
        // Imitations of S3 prefix `s3:`, as the names in a bucket's configuration are written.
        let name = self.event_name.as_str();
        let name = name.strip_prefix("s3:").unwrap_or(name);
        name.starts_with("ObjectCreated:") && self.s3.bucket.name == bucket
    }
}

fn notification(body: Value, bucket: &str) -> Result<Vec<Upload>, Malformed> {
    let notification: Notification =
        serde_json::from_value(body).map_err(|error| Malformed::Incomplete {
            format: "an S3 notification",
            error,
        })?;
    let ours = notification.records.into_iter();
    ours.filter(|record| record.is_upload(bucket))
        .map(|record| record.s3.object)
        .map(|object| decoded(object.key.clone()).map(|key| object.upload(key)))
        .collect()
}

/// Takes off the encoding of `application/x-www-form-urlencoded`: `+` is a space, and only then are
/// the bytes after `%` decoded, so that `%2B` becomes a plus.
fn decoded(key: String) -> Result<String, Malformed> {
    let spaced = key.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(plain) => Ok(plain.into_owned()),
        Err(_) => Err(Malformed::Key(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;
    use serde_json::json;

    const BUCKET: &str = "quorate-uploads";
    const CREATED: &str = include_str!("../../../events/s3-object-created.json");
    const NOTIFICATION: &str = include_str!("../../../events/s3-notification.json");

    fn keys(body: &str) -> Vec<String> {
        let uploads = uploads(body, BUCKET).unwrap();
        uploads.into_iter().map(|upload| upload.key).collect()
    }

    fn edited(body: &str, pointer: &str, value: Value) -> String {
        let mut body: Value = serde_json::from_str(body).unwrap();
        *body.pointer_mut(pointer).unwrap() = value;
        body.to_string()
    }

    /// As S3 does: a form's encoding, but for the slashes.
    fn form_encoded(key: &str) -> String {
        const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.');
        let encoded = utf8_percent_encode(key, ENCODED).to_string();
        encoded.replace("%20", "+")
    }

    #[test]
    fn both_formats_name_the_same_object() {
        assert_eq!(keys(CREATED), ["cells/images/0001.jpg"]);
        assert_eq!(keys(NOTIFICATION), ["cells/images/Zelle 1+2 größer.jpg"]);
    }

    #[test]
    fn a_key_on_the_bus_is_taken_as_it_is() {
        for key in ["c/images/a+b.jpg", "c/images/50%25.jpg", "c/images/é 1.jpg"] {
            let body = edited(CREATED, "/detail/object/key", json!(key));
            assert_eq!(keys(&body), [key]);
        }
    }

    #[test]
    fn one_notification_may_tell_of_several_uploads() {
        let mut body: Value = serde_json::from_str(NOTIFICATION).unwrap();
        let records = body["Records"].as_array_mut().unwrap();
        let mut second = records[0].clone();
        second["s3"]["object"]["key"] = json!("cells/images/2.jpg");
        records.push(second);
        assert_eq!(keys(&body.to_string()).len(), 2);
    }

    #[test]
    fn what_is_not_an_upload_is_done_with() {
        let test_event = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}"#;
        for body in [
            edited(CREATED, "/detail-type", json!("Object Deleted")),
            edited(CREATED, "/source", json!("someone.else")),
            edited(CREATED, "/detail/bucket/name", json!("another")),
            edited(
                NOTIFICATION,
                "/Records/0/eventName",
                json!("ObjectRemoved:Delete"),
            ),
            edited(NOTIFICATION, "/Records/0/s3/bucket/name", json!("another")),
            edited(NOTIFICATION, "/Records", json!([])),
            test_event.to_owned(),
        ] {
            assert_eq!(keys(&body), [""; 0], "{body}");
        }
    }

    #[test]
    fn minio_prefixes_the_names_of_events() {
        let body = edited(
            NOTIFICATION,
            "/Records/0/eventName",
            json!("s3:ObjectCreated:Put"),
        );
        assert_eq!(keys(&body).len(), 1);
    }

    #[test]
    fn the_reason_of_a_failure_tells_what_to_look_at() {
        let no_key = edited(CREATED, "/detail/object", json!({"size": 1}));
        let bad_key = edited(
            NOTIFICATION,
            "/Records/0/s3/object/key",
            json!("c/images/%FF.jpg"),
        );
        for (body, reason) in [
            ("", "its body is not JSON: EOF"),
            ("hello", "its body is not JSON: expected value"),
            ("[]", "neither an event of EventBridge"),
            (
                r#"{"detail-type":7}"#,
                "not an event of EventBridge as S3 sends it: invalid type",
            ),
            (
                r#"{"Records":{}}"#,
                "not an S3 notification as S3 sends it: invalid type",
            ),
            (&no_key, "missing field `key`"),
            (&bad_key, r#"the key "c/images/%FF.jpg" is not UTF-8"#),
        ] {
            let error = uploads(body, BUCKET).unwrap_err().to_string();
            assert!(error.contains(reason), "{body}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_key_comes_through_both_formats(key in "\\PC{1,40}") {
            let on_the_bus = edited(CREATED, "/detail/object/key", json!(key));
            prop_assert_eq!(keys(&on_the_bus), [key.clone()]);
            let encoded = json!(form_encoded(&key));
            let notified = edited(NOTIFICATION, "/Records/0/s3/object/key", encoded);
            prop_assert_eq!(keys(&notified), [key]);
        }

        #[test]
        fn no_body_panics(body in "\\PC*") {
            drop(uploads(&body, BUCKET));
        }
    }
}
