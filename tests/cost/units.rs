//! The units that a request to DynamoDB takes.
//!
//! Writes are as the emulator computes them, from the items as AWS does: a unit for each kilobyte
//! of the larger of the item before and after, twice that in a transaction, and index entries. Its
//! reads are not: it knows neither sizes nor that a read which finds nothing is paid as well. They
//! are computed here.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// The field of a request that asks for its units.
const CAPACITY: &str = "ReturnConsumedCapacity";
/// What a unit reads.
const BLOCK: usize = 4096;

/// Units of writing and of reading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Units {
    pub(crate) writes: f64,
    pub(crate) reads: f64,
}

/// Has the answer to a request tell its units.
pub(crate) fn ask(request: &mut Value) {
    request[CAPACITY] = json!("TOTAL");
}

/// The units that a request took which was answered.
pub(crate) fn taken(operation: &str, request: &Value, answer: &Value) -> Units {
    let reads = match operation {
        "GetItem" => share(request) * blocks(size(&answer["Item"])),
        "Query" => share(request) * blocks(list(&answer["Items"]).iter().map(size).sum()),
        "BatchGetItem" => batch(request, answer),
        _ => {
            let writes = told(&answer["ConsumedCapacity"]);
            return Units { writes, reads: 0.0 };
        }
    };
    Units { writes: 0.0, reads }
}

/// Every key that is asked for is a read of its own.
fn batch(request: &Value, answer: &Value) -> f64 {
    let tables = request["RequestItems"].as_object().into_iter().flatten();
    let units = tables.map(|(table, asked)| {
        let found = list(&answer["Responses"][table]);
        let missing = list(&asked["Keys"]).len() - found.len();
        let read: f64 = found.iter().map(|item| blocks(size(item))).sum();
        share(asked) * (read + missing as f64)
    });
    units.sum()
}

/// What a consistent read costs more than one that may lag.
fn share(request: &Value) -> f64 {
    if request["ConsistentRead"] == json!(true) {
        1.0
    } else {
        0.5
    }
}

fn blocks(bytes: usize) -> f64 {
    bytes.div_ceil(BLOCK).max(1) as f64
}

/// The units that an answer tells of: of one table, or a list of them.
fn told(consumed: &Value) -> f64 {
    let tables = match consumed {
        Value::Array(tables) => tables.iter().collect(),
        table => vec![table],
    };
    let units = tables
        .iter()
        .filter_map(|table| table["CapacityUnits"].as_f64());
    units.sum()
}

/// The bytes of an item, as DynamoDB counts them.
fn size(item: &Value) -> usize {
    let attributes = item.as_object().into_iter().flatten();
    attributes
        .map(|(name, value)| name.len() + size_of_value(value))
        .sum()
}

/// The bytes of an attribute's value, which is an object of its type and itself.
fn size_of_value(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|value| value.iter().next()) else {
        return 0;
    };
    let text = value.as_str().unwrap_or_default();
    match kind.as_str() {
        "S" => text.len(),
        "N" => text.len().div_ceil(2) + 1,
        "B" => BASE64_STANDARD.decode(text).map_or(0, |bytes| bytes.len()),
        "L" => {
            3 + list(value)
                .iter()
                .map(|one| 1 + size_of_value(one))
                .sum::<usize>()
        }
        "M" => 3 + value.as_object().map_or(0, |members| members.len()) + size(value),
        _ => 1,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(reads: f64) -> Units {
        Units { writes: 0.0, reads }
    }

    #[test]
    fn a_read_that_finds_nothing_is_paid() {
        let request = json!({"RequestItems": {"t": {"Keys": [{}, {}, {}]}}});
        let answer = json!({"Responses": {"t": [{"pk": {"S": "a".repeat(5000)}}]}});
        assert_eq!(taken("BatchGetItem", &request, &answer), reads(2.0));
        let request = json!({"ConsistentRead": true});
        assert_eq!(taken("GetItem", &request, &json!({})), reads(1.0));
    }

    #[test]
    fn a_query_is_paid_by_the_sum_of_its_items() {
        let item = json!({"pk": {"S": "x".repeat(98)}, "v": {"N": "1"}});
        assert_eq!(size(&item), 2 + 98 + 1 + 2);
        let answer = json!({"Items": vec![item; 40]});
        assert_eq!(taken("Query", &json!({}), &answer), reads(1.0));
        assert_eq!(
            size(&json!({"m": {"M": {"a": {"L": [{"BOOL": true}]}}}})),
            1 + 3 + 1 + 1 + 3 + 2
        );
    }

    #[test]
    fn a_write_is_paid_as_the_answer_tells() {
        let answer = json!({"ConsumedCapacity": [{"CapacityUnits": 3.0}, {"CapacityUnits": 1.0}]});
        let expected = Units {
            writes: 4.0,
            reads: 0.0,
        };
        assert_eq!(taken("TransactWriteItems", &json!({}), &answer), expected);
    }
}
