//! How values of the core are written in items.
//!
//! An item holds the members of a value as serde names them, so that a person can read it in the
//! console. Money that is counted with is a number (DynamoDB's are decimal), what is absent is left
//! out, and what is large and only carried along is deflated JSON.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};

use aws_sdk_dynamodb::types::AttributeValue;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use quorate_core::ports::{PortError, PortResult};
use rust_decimal::Decimal;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::keys::{Key, PK, SK};

/// An item by its attributes.
pub(super) type Item = HashMap<String, AttributeValue>;

/// Kept in every item as `v`; raised by every change that older code would misread.
const VERSION: &str = "1";
/// Attributes that are money: numbers here, decimal text for serde.
const MONEY: [&str; 2] = ["reserved", "committed"];

/// A value as an attribute.
pub(super) fn attribute(value: &impl Serialize) -> PortResult<AttributeValue> {
    serde_dynamo::to_attribute_value(value)
        .map_err(|error| PortError::Refused(format!("cannot be an attribute of an item: {error}")))
}

/// An amount as an attribute that can be added to.
pub(super) fn money(amount: Decimal) -> AttributeValue {
    AttributeValue::N(amount.to_string())
}

/// The item under `key` that holds the members of `value`.
pub(super) fn encode(key: &Key, value: &impl Serialize) -> PortResult<Item> {
    let mut item: Item = serde_dynamo::to_item(value)
        .map_err(|error| PortError::Refused(format!("{key:?} cannot be an item: {error}")))?;
    item.retain(|_, value| !value.is_null());
    for name in MONEY {
        if let Some(AttributeValue::S(amount)) = item.get(name).cloned() {
            item.insert(name.to_owned(), AttributeValue::N(amount));
        }
    }
    item.extend(bare(key));
    Ok(item)
}

/// An item that says no more than that it is there.
pub(super) fn bare(key: &Key) -> Item {
    let mut item = key.item();
    item.insert("v".to_owned(), AttributeValue::N(VERSION.to_owned()));
    item
}

/// The value in an item.
pub(super) fn decode<T: DeserializeOwned>(mut item: Item) -> PortResult<T> {
    check_version(&item)?;
    for name in MONEY {
        if let Some(AttributeValue::N(amount)) = item.get(name).cloned() {
            item.insert(name.to_owned(), AttributeValue::S(amount));
        }
    }
    let place = place(&item);
    serde_dynamo::from_item(item).map_err(|error| unreadable(&place, error))
}

/// A value as deflated JSON.
pub(super) fn pack(value: &impl Serialize) -> PortResult<AttributeValue> {
    let deflate = || {
        let mut deflated = DeflateEncoder::new(Vec::new(), Compression::default());
        deflated.write_all(&serde_json::to_vec(value)?)?;
        deflated.finish()
    };
    let packed = deflate()
        .map_err(|error: std::io::Error| PortError::Refused(format!("cannot pack: {error}")))?;
    Ok(AttributeValue::B(packed.into()))
}

/// The value that was [packed](pack) in the attribute `name`.
pub(super) fn unpack<T: DeserializeOwned>(item: &Item, name: &str) -> PortResult<T> {
    check_version(item)?;
    let Some(AttributeValue::B(packed)) = item.get(name) else {
        return Err(unreadable(&place(item), format!("it has no {name}")));
    };
    let mut json = Vec::new();
    DeflateDecoder::new(packed.as_ref())
        .read_to_end(&mut json)
        .map_err(serde_json::Error::io)
        .and_then(|_| serde_json::from_slice(&json))
        .map_err(|error| unreadable(&place(item), format!("{name}: {error}")))
}

/// The text in the attribute `name`.
pub(super) fn text<'a>(item: &'a Item, name: &str) -> PortResult<&'a str> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        _ => Err(unreadable(&place(item), format!("it has no {name}"))),
    }
}

fn check_version(item: &Item) -> PortResult<()> {
    match item.get("v") {
        Some(AttributeValue::N(version)) if version == VERSION => Ok(()),
        other => {
            let found = other.and_then(|version| version.as_n().ok());
            let found = found.map_or("none", String::as_str);
            let reason = format!(
                "its format is {found}, this program knows {VERSION}: deploy the version that wrote it"
            );
            Err(unreadable(&place(item), reason))
        }
    }
}

/// An item's key for a message.
fn place(item: &Item) -> String {
    let part = |name| item.get(name).and_then(|part| part.as_s().ok());
    let part = |name| part(name).map_or("?", String::as_str);
    format!("{} {}", part(PK), part(SK))
}

fn unreadable(place: &str, reason: impl std::fmt::Display) -> PortError {
    PortError::Refused(format!("the item {place} cannot be read: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact_and_a_number() {
        #[derive(Debug, PartialEq, serde::Deserialize, Serialize)]
        struct Purse {
            committed: Decimal,
            note: Option<String>,
        }
        let purse = Purse {
            committed: "12345678901234.5678901234".parse().unwrap(),
            note: None,
        };
        let item = encode(&Key::new("a", "b"), &purse).unwrap();
        assert_eq!(item["committed"], money(purse.committed));
        assert!(item["committed"].is_n() && !item.contains_key("note"));
        assert_eq!(decode::<Purse>(item).unwrap(), purse);
    }

    #[test]
    fn an_item_of_another_format_is_refused_by_name() {
        let mut item = bare(&Key::new("IMAGE#1", "IMAGE"));
        item.insert("v".to_owned(), AttributeValue::N("2".to_owned()));
        let error = decode::<HashMap<String, String>>(item).unwrap_err();
        let PortError::Refused(message) = error else {
            panic!("{error:?}");
        };
        assert!(message.contains("IMAGE#1 IMAGE") && message.contains("format is 2"));
    }

    #[test]
    fn what_is_packed_is_small_and_comes_back() {
        let ids: Vec<String> = (0..95).map(|n| format!("0000ab12cd--{n:012}")).collect();
        let packed = pack(&ids).unwrap();
        assert!(packed.as_b().unwrap().as_ref().len() < 1000);
        let mut item = bare(&Key::new("a", "b"));
        item.insert("ids".to_owned(), packed);
        assert_eq!(unpack::<Vec<String>>(&item, "ids").unwrap(), ids);
        assert!(unpack::<Vec<String>>(&item, "others").is_err());
    }
}
