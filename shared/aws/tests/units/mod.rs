//! Counts what requests to DynamoDB cost.
//!
//! [`Units`] is an interceptor of the SDK that adds up units by operation. Writes are what DynamoDB
//! tells, which is what AWS charges on demand: 1 for every begun KB of the item, twice that in a
//! transaction, 1 for every entry that changes in an index; the emulator follows the same rules.
//! Reads are computed from what was asked and answered, by [AWS's rules][rules], because the emulator
//! does not count them: 1 for every begun 4 KB, of each item in a batch and of all items of a query
//! together, at least 1 even if there is nothing, and half of that if the answer may lag. Requests
//! that fail are counted, but nobody tells their units.
//!
//! [rules]: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html
//!
//! ```ignore
//! let units = Units::default();
//! let client = units.count(&client);
//! // … use the client …
//! println!("{units}");
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::batch_write_item::{BatchWriteItemInput, BatchWriteItemOutput};
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::transact_write_items::{
    TransactWriteItemsInput, TransactWriteItemsOutput,
};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity, ReturnConsumedCapacity};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextMut, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};

/// Requests of one operation, and what they consumed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    /// Requests.
    pub(crate) requests: u64,
    /// Write request units.
    pub(crate) writes: f64,
    /// Read request units.
    pub(crate) reads: f64,
}

/// What was consumed so far, by operation. A clone counts with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Units(Arc<Mutex<BTreeMap<&'static str, Sum>>>);

impl Units {
    /// The client, counted.
    pub(crate) fn count(&self, client: &Client) -> Client {
        let config = client.config().to_builder().interceptor(self.clone());
        Client::from_conf(config.build())
    }

    /// What was consumed, by operation.
    pub(crate) fn by_operation(&self) -> BTreeMap<&'static str, Sum> {
        self.0.lock().unwrap().clone()
    }

    /// All of it.
    pub(crate) fn total(&self) -> Sum {
        let add = |total: Sum, sum: &Sum| Sum {
            requests: total.requests + sum.requests,
            writes: total.writes + sum.writes,
            reads: total.reads + sum.reads,
        };
        self.by_operation().values().fold(Sum::default(), add)
    }
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, sum: Sum| {
            let Sum {
                requests,
                writes,
                reads,
            } = sum;
            writeln!(f, "{name:20} {requests:8} {writes:10.1} {reads:10.1}")
        };
        for (operation, sum) in self.by_operation() {
            line(operation, sum)?;
        }
        line("total", self.total())
    }
}

/// What a read asked for: the output does not tell it.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    keys: usize,
    consistent: bool,
}

impl Storable for Asked {
    type Storer = StoreReplace<Self>;
}

impl Asked {
    /// Units of reading items of these sizes one by one.
    fn each(self, items: &[Item]) -> f64 {
        let found: f64 = items.iter().map(|item| self.together([item])).sum();
        let missing = self.keys.saturating_sub(items.len());
        found + f64::from(u32::try_from(missing).unwrap()) * self.together([])
    }

    /// Units of reading items in one go.
    fn together<'a>(self, items: impl IntoIterator<Item = &'a Item>) -> f64 {
        let bytes: usize = items.into_iter().map(size).sum();
        let blocks = u32::try_from(bytes.div_ceil(4096).max(1)).unwrap();
        f64::from(blocks) * if self.consistent { 1.0 } else { 0.5 }
    }
}

type Item = HashMap<String, AttributeValue>;

/// Bytes of an item as AWS counts them.
fn size(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + bytes(value))
        .sum()
}

fn bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len() / 2 + 2,
        AttributeValue::B(blob) => blob.as_ref().len(),
        AttributeValue::L(list) => 3 + list.iter().map(|it| 1 + bytes(it)).sum::<usize>(),
        AttributeValue::M(map) => 3 + map.len() + size(map),
        AttributeValue::Bool(_) | AttributeValue::Null(_) => 1,
        other => panic!("the ledger writes no {other:?}"),
    }
}

/// Has a write tell its units; keeps what a read asks for.
fn ask(context: &mut BeforeSerializationInterceptorContextMut<'_>) -> Asked {
    let all = Some(ReturnConsumedCapacity::Indexes);
    let input = context.input_mut();
    if let Some(input) = input.downcast_mut::<TransactWriteItemsInput>() {
        input.return_consumed_capacity = all;
    } else if let Some(input) = input.downcast_mut::<UpdateItemInput>() {
        input.return_consumed_capacity = all;
    } else if let Some(input) = input.downcast_mut::<BatchWriteItemInput>() {
        input.return_consumed_capacity = all;
    } else if let Some(input) = input.downcast_ref::<GetItemInput>() {
        let consistent = input.consistent_read == Some(true);
        return Asked {
            keys: 1,
            consistent,
        };
    } else if let Some(input) = input.downcast_ref::<QueryInput>() {
        let consistent = input.consistent_read == Some(true);
        return Asked {
            keys: 0,
            consistent,
        };
    } else if let Some(input) = input.downcast_ref::<BatchGetItemInput>() {
        let asked = input.request_items.iter().flatten();
        let mut asked = asked.map(|(_, it)| (it.keys.len(), it.consistent_read == Some(true)));
        let (keys, consistent) = asked.next().unwrap();
        return Asked { keys, consistent };
    } else {
        panic!("an operation of DynamoDB that is not counted: {input:?}");
    }
    Asked::default()
}

/// What a request consumed. The input is gone by now: the output tells the operation.
fn consumed(context: &FinalizerInterceptorContextRef<'_>, asked: Asked) -> (&'static str, Sum) {
    let write = |writes: f64| Sum {
        requests: 1,
        writes,
        reads: 0.0,
    };
    let read = |reads: f64| Sum {
        requests: 1,
        writes: 0.0,
        reads,
    };
    let Some(Ok(output)) = context.output_or_error() else {
        return ("(failed)", read(0.0));
    };
    let of_tables = |told: &Option<Vec<ConsumedCapacity>>| told.iter().flatten().map(units).sum();
    if let Some(output) = output.downcast_ref::<TransactWriteItemsOutput>() {
        (
            "TransactWriteItems",
            write(of_tables(&output.consumed_capacity)),
        )
    } else if let Some(output) = output.downcast_ref::<UpdateItemOutput>() {
        (
            "UpdateItem",
            write(output.consumed_capacity.as_ref().map_or(0.0, units)),
        )
    } else if let Some(output) = output.downcast_ref::<BatchWriteItemOutput>() {
        (
            "BatchWriteItem",
            write(of_tables(&output.consumed_capacity)),
        )
    } else if let Some(output) = output.downcast_ref::<GetItemOutput>() {
        ("GetItem", read(asked.together(&output.item)))
    } else if let Some(output) = output.downcast_ref::<QueryOutput>() {
        ("Query", read(asked.together(output.items.iter().flatten())))
    } else if let Some(output) = output.downcast_ref::<BatchGetItemOutput>() {
        let tables = output.responses.iter().flatten();
        let items: Vec<Item> = tables.flat_map(|(_, items)| items.clone()).collect();
        ("BatchGetItem", read(asked.each(&items)))
    } else {
        panic!("an operation of DynamoDB that is not counted: {output:?}");
    }
}

fn units(told: &ConsumedCapacity) -> f64 {
    told.capacity_units.unwrap_or_default()
}

impl Intercept for Units {
    fn name(&self) -> &'static str {
        "Units"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(ask(context));
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let asked = config.load::<Asked>().copied().unwrap_or_default();
        let (operation, more) = consumed(context, asked);
        let mut sums = self.0.lock().unwrap();
        let sum = sums.entry(operation).or_default();
        sum.requests += more.requests;
        sum.writes += more.writes;
        sum.reads += more.reads;
        Ok(())
    }
}
