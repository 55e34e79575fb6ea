//! Counts what requests to DynamoDB cost.
//!
//! [`Units`] is an interceptor of the SDK: put into a client's configuration, it asks DynamoDB to tell
//! the units that each request consumes, and adds them up by operation. What AWS tells is what it
//! charges on demand; the emulator follows the documented rules (a write: 1 per begun KB of the item,
//! twice that in a transaction, 1 for every entry that changes in an index; a read: 1 per begun 4 KB,
//! half of that if it may lag). Requests that fail are counted, but nobody tells their units.
//!
//! ```ignore
//! let units = Units::default();
//! let client = units.count(&client);
//! // … use the client …
//! println!("{units}");
//! ```

use std::collections::BTreeMap;
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
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextMut, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

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

/// For each operation that the ledger uses: how its input asks for units and its output tells them.
macro_rules! operations {
    ($($name:literal $input:ident $output:ident $write:literal),* $(,)?) => {
        fn ask(context: &mut BeforeSerializationInterceptorContextMut<'_>) {
            let all = Some(ReturnConsumedCapacity::Indexes);
            $(
                if let Some(input) = context.input_mut().downcast_mut::<$input>() {
                    input.return_consumed_capacity = all;
                    return;
                }
            )*
            panic!("an operation of DynamoDB that is not counted: {:?}", context.input());
        }

        /// The input is gone by now: the output tells the operation.
        fn told(context: &FinalizerInterceptorContextRef<'_>) -> (&'static str, Sum) {
            let output = context.output_or_error().and_then(Result::ok);
            $(
                if let Some(output) = output.and_then(|it| it.downcast_ref::<$output>()) {
                    let units = units(&output.consumed_capacity);
                    let (writes, reads) = if $write { (units, 0.0) } else { (0.0, units) };
                    return ($name, Sum { requests: 1, writes, reads });
                }
            )*
            ("(failed)", Sum { requests: 1, ..Sum::default() })
        }
    };
}

operations!(
    "BatchGetItem" BatchGetItemInput BatchGetItemOutput false,
    "BatchWriteItem" BatchWriteItemInput BatchWriteItemOutput true,
    "GetItem" GetItemInput GetItemOutput false,
    "Query" QueryInput QueryOutput false,
    "TransactWriteItems" TransactWriteItemsInput TransactWriteItemsOutput true,
    "UpdateItem" UpdateItemInput UpdateItemOutput true,
);

/// The units that an output tells: of one table or of several.
fn units<'a>(told: impl IntoIterator<Item = &'a (impl Tells + 'a)>) -> f64 {
    told.into_iter().map(Tells::units).sum()
}

/// Something of an output that tells units.
trait Tells {
    fn units(&self) -> f64;
}

impl Tells for ConsumedCapacity {
    fn units(&self) -> f64 {
        self.capacity_units.unwrap_or_default()
    }
}

impl Tells for Vec<ConsumedCapacity> {
    fn units(&self) -> f64 {
        self.iter().map(Tells::units).sum()
    }
}

impl Intercept for Units {
    fn name(&self) -> &'static str {
        "Units"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        ask(context);
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (operation, more) = told(context);
        let mut sums = self.0.lock().unwrap();
        let sum = sums.entry(operation).or_default();
        sum.requests += more.requests;
        sum.writes += more.writes;
        sum.reads += more.reads;
        Ok(())
    }
}
