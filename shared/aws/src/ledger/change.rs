//! One item's part in a write: what is done to it, under which condition.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update,
};
use quorate_core::ports::PortResult;
use rust_decimal::Decimal;
use serde::Serialize;

use super::codec::{Item, attribute, money};
use super::keys::Key;

/// What is done to one item. In expressions `#name` is the attribute `name`, always so written
/// because DynamoDB reserves hundreds of words, and `:name` is a value given by
/// [`with`](Change::with).
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) key: Key,
    pub(super) action: Action,
    pub(super) condition: Option<&'static str>,
    pub(super) values: Item,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    Put(Item),
    Update(&'static str),
    Delete,
    Check,
}

impl Change {
    fn new(key: Key, action: Action) -> Self {
        Self {
            key,
            action,
            condition: None,
            values: Item::new(),
        }
    }

    /// Writes `item`, which is under `key`, whatever is there.
    pub(super) fn put(key: Key, item: Item) -> Self {
        Self::new(key, Action::Put(item))
    }

    /// Writes `item` if there is none under its key.
    pub(super) fn create(key: Key, item: Item) -> Self {
        Self::put(key, item).when("attribute_not_exists(#pk)")
    }

    /// Changes an item by an update expression.
    pub(super) fn update(key: Key, expression: &'static str) -> Self {
        Self::new(key, Action::Update(expression))
    }

    /// Deletes an item if it is there.
    pub(super) fn delete(key: Key) -> Self {
        Self::new(key, Action::Delete)
    }

    /// Only looks at an item.
    pub(super) fn check(key: Key) -> Self {
        Self::new(key, Action::Check)
    }

    /// Only if the item is so.
    pub(super) fn when(self, condition: &'static str) -> Self {
        let condition = Some(condition);
        Self { condition, ..self }
    }

    /// What `:name` stands for.
    pub(super) fn with(mut self, name: &str, value: &impl Serialize) -> PortResult<Self> {
        self.values.insert(name.to_owned(), attribute(value)?);
        Ok(self)
    }

    /// What `:name` stands for: something large.
    pub(super) fn with_packed(mut self, name: &str, packed: AttributeValue) -> Self {
        self.values.insert(name.to_owned(), packed);
        self
    }

    /// What `:name` stands for: an amount.
    pub(super) fn with_money(mut self, name: &str, amount: Decimal) -> Self {
        self.values.insert(name.to_owned(), money(amount));
        self
    }

    /// The attribute names of its expressions; none if there are none, as DynamoDB wants it.
    pub(super) fn names(&self) -> Option<HashMap<String, String>> {
        let update = match self.action {
            Action::Update(expression) => expression,
            Action::Put(_) | Action::Delete | Action::Check => "",
        };
        let names: HashMap<String, String> = [update, self.condition.unwrap_or_default()]
            .into_iter()
            .flat_map(|expression| expression.split('#').skip(1))
            .map(|rest| {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
            })
            .map(|name| (format!("#{name}"), name.to_owned()))
            .collect();
        (!names.is_empty()).then_some(names)
    }

    /// The values of its expressions; none if there are none.
    pub(super) fn values(&self) -> Option<Item> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }

    /// The change as a part of a transaction on `table`.
    pub(super) fn part(&self, table: &str) -> Result<TransactWriteItem, BuildError> {
        let old = ReturnValuesOnConditionCheckFailure::AllOld;
        let condition = self.condition.map(str::to_owned);
        let part = TransactWriteItem::builder();
        let part = match &self.action {
            Action::Put(item) => part.put(
                Put::builder()
                    .table_name(table)
                    .set_item(Some(item.clone()))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(self.names())
                    .set_expression_attribute_values(self.values())
                    .return_values_on_condition_check_failure(old)
                    .build()?,
            ),
            Action::Update(expression) => part.update(
                Update::builder()
                    .table_name(table)
                    .set_key(Some(self.key.item()))
                    .update_expression(*expression)
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(self.names())
                    .set_expression_attribute_values(self.values())
                    .return_values_on_condition_check_failure(old)
                    .build()?,
            ),
            Action::Delete => part.delete(
                Delete::builder()
                    .table_name(table)
                    .set_key(Some(self.key.item()))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(self.names())
                    .set_expression_attribute_values(self.values())
                    .return_values_on_condition_check_failure(old)
                    .build()?,
            ),
            Action::Check => part.condition_check(
                ConditionCheck::builder()
                    .table_name(table)
                    .set_key(Some(self.key.item()))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(self.names())
                    .set_expression_attribute_values(self.values())
                    .return_values_on_condition_check_failure(old)
                    .build()?,
            ),
        };
        Ok(part.build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_in_its_expressions_are_told() {
        let change = Change::update(Key::new("a", "b"), "SET #counts.#images = :n, #due=:due")
            .when("#first_sent <= :due");
        let mut names: Vec<String> = change.names().unwrap().into_values().collect();
        names.sort();
        assert_eq!(names, ["counts", "due", "first_sent", "images"]);
        assert_eq!(Change::delete(Key::new("a", "b")).names(), None);
    }
}
