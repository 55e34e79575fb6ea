//! A batch of messages: read each, take all uploads in together, name the messages that failed.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use futures_util::FutureExt;
use quorate_core::PortError;
use quorate_core::ingest::Upload;
use quorate_core::ports::PortResult;

use crate::message::{self, Malformed};

/// A message, and the uploads that it tells of.
pub(crate) struct Message {
    id: String,
    uploads: Result<Vec<Upload>, Malformed>,
}

/// Why a message has to come again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Port(#[from] PortError),
    /// What the panic said is on stderr.
    #[error("the program panicked while it took {0:?} in; this is a bug")]
    Panicked(String),
}

/// Reads every message of a batch, each alone.
pub(crate) fn read(event: SqsEvent, bucket: &str) -> Vec<Message> {
    let records = event.records.into_iter();
    records
        .map(|record| Message {
            id: record.message_id.unwrap_or_default(),
            uploads: message::uploads(&record.body.unwrap_or_default(), bucket),
        })
        .collect()
}

/// The uploads of all readable messages, in order.
pub(crate) fn uploads(messages: &[Message]) -> Vec<Upload> {
    let readable = messages.iter().flat_map(|message| &message.uploads);
    readable.flatten().cloned().collect()
}

/// Takes all uploads in at once: one result for each, in order. If that panics, each is tried
/// again alone, so that the one at fault fails alone; trying again changes nothing that is done.
pub(crate) async fn take<'a, F, Fut>(
    uploads: &'a [Upload],
    create_tasks: F,
) -> Vec<Result<(), Failure>>
where
    F: Fn(&'a [Upload]) -> Fut + Send + Sync,
    Fut: Future<Output = Vec<PortResult<()>>> + Send,
{
    let attempt = |some| AssertUnwindSafe(create_tasks(some)).catch_unwind();
    let failures = |taken: Vec<PortResult<()>>| taken.into_iter().map(|one| Ok(one?));
    if let Ok(taken) = attempt(uploads).await {
        return failures(taken).collect();
    }
    let mut results = Vec::with_capacity(uploads.len());
    for one in uploads.chunks(1) {
        match attempt(one).await {
            Ok(taken) => results.extend(failures(taken)),
            Err(_) => results.extend(
                one.iter()
                    .map(|upload| Err(Failure::Panicked(upload.key.clone()))),
            ),
        }
    }
    results
}

/// Names the messages that failed, given what became of their uploads in order.
pub(crate) fn respond(messages: Vec<Message>, taken: Vec<Result<(), Failure>>) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    let mut taken = taken.into_iter();
    for Message { id, uploads } in messages {
        let failure = match uploads {
            Err(malformed) => Some(malformed.into()),
            Ok(uploads) => taken
                .by_ref()
                .take(uploads.len())
                .fold(None, |first, one| first.or(one.err())),
        };
        if let Some(failure) = failure {
            tracing::warn!(message_id = id, reason = %failure, "a message is given back to the queue");
            response.add_failure(id);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BUCKET: &str = "quorate-uploads";

    fn fixture(json: &str) -> SqsEvent {
        serde_json::from_str(json).unwrap()
    }

    /// The ids of the messages that come again if `create_tasks` does what it is told for a key.
    fn failed(
        event: SqsEvent,
        create_tasks: impl Fn(&str) -> PortResult<()> + Send + Sync,
    ) -> Vec<String> {
        let messages = read(event, BUCKET);
        let uploads = uploads(&messages);
        let create_tasks = &create_tasks;
        let taken = take(&uploads, |some| async move {
            some.iter()
                .map(|upload| create_tasks(&upload.key))
                .collect()
        });
        let taken = taken.now_or_never().unwrap();
        let response = respond(messages, taken);
        let failures = response.batch_item_failures.into_iter();
        failures.map(|failure| failure.item_identifier).collect()
    }

    /// Message `m0` tells of `keys[0]`, and so on, in notifications, which may have several keys.
    fn batch(messages: &[&[&str]]) -> SqsEvent {
        let records = messages.iter().enumerate().map(|(at, keys)| {
            let records = keys.iter().map(|key| {
                json!({"eventName": "ObjectCreated:Put",
                       "s3": {"bucket": {"name": BUCKET}, "object": {"key": key}}})
            });
            let body = json!({"Records": records.collect::<Vec<_>>()}).to_string();
            json!({"messageId": format!("m{at}"), "body": body})
        });
        serde_json::from_value(json!({"Records": records.collect::<Vec<_>>()})).unwrap()
    }

    fn refuse_bad(key: &str) -> PortResult<()> {
        if key.contains("bad") {
            return Err(PortError::Unavailable("throttled".to_owned()));
        }
        Ok(())
    }

    #[test]
    fn uploads_of_one_batch_are_taken_in_together() {
        let event = fixture(include_str!("../../../events/sqs-s3-object-created.json"));
        let keys: Vec<String> = uploads(&read(event, BUCKET))
            .into_iter()
            .map(|upload| upload.key)
            .collect();
        assert_eq!(
            keys,
            ["cells/images/0001.jpg", "cells/images/Zelle 1+2 größer.jpg"]
        );
    }

    #[test]
    fn a_message_that_cannot_be_read_comes_again_alone() {
        let event = fixture(include_str!("../../../events/sqs-malformed.json"));
        let messages = read(event, BUCKET);
        let taken = uploads(&messages).iter().map(|_| Ok(())).collect();
        let expected: SqsBatchResponse =
            serde_json::from_str(include_str!("../../../events/sqs-batch-response.json")).unwrap();
        assert_eq!(respond(messages, taken), expected);
        assert_eq!(expected.batch_item_failures.len(), 2);
    }

    #[test]
    fn a_message_comes_again_if_any_of_its_uploads_fails() {
        let event = batch(&[&["a"], &["b", "bad", "c"], &[], &["d"], &["bad"], &["e"]]);
        assert_eq!(failed(event, refuse_bad), ["m1", "m4"]);
    }

    #[test]
    fn an_upload_that_panics_fails_alone() {
        let event = batch(&[&["a"], &["panics"], &["bad"], &["b"]]);
        let panicking = |key: &str| {
            assert_ne!(key, "panics", "asked for by the test");
            refuse_bad(key)
        };
        assert_eq!(failed(event, panicking), ["m1", "m2"]);
    }

    #[test]
    fn a_message_without_an_id_makes_the_whole_batch_come_again() {
        let event = fixture(r#"{"Records": [{"body": "not JSON"}]}"#);
        assert_eq!(failed(event, refuse_bad), [""]);
    }

    #[test]
    fn nothing_to_do_is_no_failure() {
        assert_eq!(failed(batch(&[]), refuse_bad), [""; 0]);
    }
}
