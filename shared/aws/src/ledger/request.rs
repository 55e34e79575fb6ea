//! The requests to DynamoDB, and what their failures mean.

use std::error::Error;
use std::time::Duration;

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, KeysAndAttributes, PutRequest, ReturnValue,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem, WriteRequest,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use quorate_core::ports::{PortError, PortResult};

use super::DynamoLedger;
use super::change::{Action, Change};
use super::codec::Item;
use super::keys::{Key, PK, SK};
use crate::error::port_error;

/// Keys in one `BatchGetItem`, items in one `BatchWriteItem`: DynamoDB's limits.
pub(super) const GET_KEYS: usize = 100;
const WRITE_ITEMS: usize = 25;
/// The index of work.
const INDEX: &str = "work";
/// Why a transaction or a write did not come to a decision, and may if it is asked again.
const BUSY: [&str; 5] = [
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
];
/// DynamoDB has more requests than it takes.
const THROTTLED: [&str; 4] = [
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
];

/// The changes of a transaction whose conditions failed, each with the item that was there (empty
/// if there was none).
#[derive(Debug)]
pub(super) struct Failed(pub(super) Vec<(Key, Item)>);

impl Failed {
    /// What was under `key`, if that was a reason.
    pub(super) fn at(&self, key: &Key) -> Option<&Item> {
        let failed = self.0.iter().find(|(failed, _)| failed == key);
        failed.map(|(_, old)| old)
    }
}

/// How one attempt ended that wrote nothing.
enum Trouble {
    /// Others were at the same items; this is why.
    Busy(String),
    Port(PortError),
}

impl DynamoLedger {
    /// An item.
    pub(super) async fn get(&self, key: &Key) -> PortResult<Option<Item>> {
        let request = self.client.get_item().table_name(&self.table);
        let answer = request
            .set_key(Some(key.item()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.explain("GetItem", &error))?;
        Ok(answer.item)
    }

    /// Those of `keys` (no two the same) that there are, in any order.
    pub(super) async fn get_all(&self, keys: &[Key], consistent: bool) -> PortResult<Vec<Item>> {
        let mut items = Vec::new();
        for chunk in keys.chunks(GET_KEYS) {
            let mut left = Some(chunk.iter().map(Key::item).collect());
            let mut pauses = pauses();
            while let Some(keys) = left {
                let asked = KeysAndAttributes::builder()
                    .set_keys(Some(keys))
                    .consistent_read(consistent)
                    .build()
                    .map_err(|error| self.unbuilt(&error))?;
                let answer = self
                    .client
                    .batch_get_item()
                    .request_items(&self.table, asked)
                    .send()
                    .await
                    .map_err(|error| self.explain("BatchGetItem", &error))?;
                let found = answer.responses.unwrap_or_default().remove(&self.table);
                items.extend(found.unwrap_or_default());
                let unprocessed = answer.unprocessed_keys.unwrap_or_default();
                left = unprocessed.get(&self.table).map(|left| left.keys.clone());
                if left.is_some() {
                    self.pause(&mut pauses, "BatchGetItem", "unprocessed keys")
                        .await?;
                }
            }
        }
        Ok(items)
    }

    /// Puts items, whatever is under their keys, in any order. If it fails, some may be put.
    pub(super) async fn put_all(&self, items: Vec<Item>) -> PortResult<()> {
        let mut writes = Vec::with_capacity(items.len());
        for item in items {
            let put = PutRequest::builder().set_item(Some(item)).build();
            let put = put.map_err(|error| self.unbuilt(&error))?;
            writes.push(WriteRequest::builder().put_request(put).build());
        }
        for chunk in writes.chunks(WRITE_ITEMS) {
            let mut left = Some(chunk.to_vec());
            let mut pauses = pauses();
            while let Some(writes) = left {
                let answer = self
                    .client
                    .batch_write_item()
                    .request_items(&self.table, writes)
                    .send()
                    .await
                    .map_err(|error| self.explain("BatchWriteItem", &error))?;
                left = answer
                    .unprocessed_items
                    .unwrap_or_default()
                    .remove(&self.table);
                if left.is_some() {
                    self.pause(&mut pauses, "BatchWriteItem", "unprocessed items")
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// A query of the table.
    pub(super) fn query(&self, pk: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
    }

    /// A query of the index of work, which lags behind the table: keys alone.
    pub(super) fn work(&self, work: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .index_name(INDEX)
            .key_condition_expression("#work = :work")
            .expression_attribute_names("#work", "work")
            .expression_attribute_values(":work", AttributeValue::S(work.to_owned()))
    }

    /// At most `limit` items that a query finds, from behind the sort key `after` on.
    pub(super) async fn found(
        &self,
        query: QueryFluentBuilder,
        after: Option<Key>,
        limit: usize,
    ) -> PortResult<Vec<Item>> {
        let mut items: Vec<Item> = Vec::new();
        let mut start = after.map(|key| key.item());
        loop {
            let wanted = limit.saturating_sub(items.len());
            let answer = query
                .clone()
                .set_limit(i32::try_from(wanted).ok())
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| self.explain("Query", &error))?;
            items.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() || items.len() >= limit {
                return Ok(items);
            }
        }
    }

    /// Makes one change, an update: the item after it, or the item as it was (empty if there was
    /// none) if the condition failed.
    pub(super) async fn update(&self, change: &Change) -> PortResult<Result<Item, Item>> {
        let mut pauses = pauses();
        loop {
            let attempt = self.try_update(change).await;
            if let Some(decided) = self.decided(attempt, &mut pauses).await? {
                return Ok(decided);
            }
        }
    }

    async fn try_update(&self, change: &Change) -> Result<Result<Item, Item>, Trouble> {
        let expression = match change.action {
            Action::Update(expression) => Some(expression.to_owned()),
            Action::Put(_) | Action::Delete | Action::Check => None,
        };
        let sent = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(change.key.item()))
            .set_update_expression(expression)
            .set_condition_expression(change.condition.map(str::to_owned))
            .set_expression_attribute_names(change.names())
            .set_expression_attribute_values(change.values())
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(answer) => Ok(Ok(answer.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(Err(failed.item.clone().unwrap_or_default()))
                }
                _ => Err(self.trouble("UpdateItem", &error)),
            },
        }
    }

    /// Makes all of these changes (at most 100, each of another item), or none of them if a
    /// condition fails.
    pub(super) async fn transact(&self, changes: Vec<Change>) -> PortResult<Result<(), Failed>> {
        let parts: Result<Vec<TransactWriteItem>, BuildError> = changes
            .iter()
            .map(|change| change.part(&self.table))
            .collect();
        let parts = parts.map_err(|error| self.unbuilt(&error))?;
        let mut pauses = pauses();
        loop {
            let attempt = self.try_transact(&changes, parts.clone()).await;
            if let Some(decided) = self.decided(attempt, &mut pauses).await? {
                return Ok(decided);
            }
        }
    }

    async fn try_transact(
        &self,
        changes: &[Change],
        parts: Vec<TransactWriteItem>,
    ) -> Result<Result<(), Failed>, Trouble> {
        let request = self.client.transact_write_items();
        let Err(error) = request.set_transact_items(Some(parts)).send().await else {
            return Ok(Ok(()));
        };
        let reasons = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                cancelled.cancellation_reasons()
            }
            _ => return Err(self.trouble("TransactWriteItems", &error)),
        };
        // What others hold may be what decides: their transactions end before an answer is given.
        let code = |reason: &CancellationReason| reason.code.clone().unwrap_or_default();
        if let Some(busy) = reasons.iter().map(code).find(|it| BUSY.contains(&&**it)) {
            return Err(Trouble::Busy(busy));
        }
        let failed: Vec<(Key, Item)> = changes
            .iter()
            .zip(reasons)
            .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"))
            .map(|(change, reason)| (change.key.clone(), reason.item.clone().unwrap_or_default()))
            .collect();
        if failed.is_empty() {
            return Err(Trouble::Port(self.explain("TransactWriteItems", &error)));
        }
        Ok(Err(Failed(failed)))
    }

    /// What an attempt came to; none, after a pause, if it is to be made again.
    async fn decided<T>(
        &self,
        attempt: Result<T, Trouble>,
        pauses: &mut impl Iterator<Item = Duration>,
    ) -> PortResult<Option<T>> {
        match attempt {
            Ok(answer) => Ok(Some(answer)),
            Err(Trouble::Port(error)) => Err(error),
            Err(Trouble::Busy(why)) => self.pause(pauses, "a write", &why).await.map(|()| None),
        }
    }

    /// Waits before the next attempt, if there is to be one.
    async fn pause(
        &self,
        pauses: &mut impl Iterator<Item = Duration>,
        operation: &str,
        why: &str,
    ) -> PortResult<()> {
        let Some(pause) = pauses.next() else {
            let message = format!("{}: {why}, again and again", self.place(operation));
            tracing::warn!(metric.throttles = 1, "{message}");
            return Err(PortError::Unavailable(message));
        };
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn trouble<E>(&self, operation: &str, error: &SdkError<E, HttpResponse>) -> Trouble
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        match error.code() {
            Some(code) if BUSY.contains(&code) => Trouble::Busy(code.to_owned()),
            _ => Trouble::Port(self.explain(operation, error)),
        }
    }

    /// What a failed request means to the caller of a port.
    fn explain<E>(&self, operation: &str, error: &SdkError<E, HttpResponse>) -> PortError
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let explained = port_error(self.place(operation), error);
        if !error.code().is_some_and(|code| THROTTLED.contains(&code)) {
            return explained;
        }
        tracing::warn!(metric.throttles = 1, "{explained}");
        PortError::Unavailable(explained.to_string())
    }

    fn unbuilt(&self, error: &BuildError) -> PortError {
        PortError::Refused(format!("{}: {error}", self.place("a request")))
    }

    fn place(&self, operation: &str) -> String {
        format!("{operation} on the DynamoDB table {}", self.table)
    }
}

/// Pauses between attempts, each at random up to twice as long as the one before: who collided
/// does not collide again. About 1.3 s in all.
fn pauses() -> impl Iterator<Item = Duration> {
    (0..7).map(|attempt| Duration::from_millis(fastrand::u64(1..=20 << attempt)))
}

/// The part of an item's sort key behind `prefix`.
pub(super) fn behind<'a>(item: &'a Item, prefix: &str) -> Option<&'a str> {
    item.get(SK)?.as_s().ok()?.strip_prefix(prefix)
}

/// The part of an item's partition key behind `prefix`.
pub(super) fn of<'a>(item: &'a Item, prefix: &str) -> Option<&'a str> {
    item.get(PK)?.as_s().ok()?.strip_prefix(prefix)
}
