//! A table as the template describes it, for one test.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::client::Waiters as _;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use uuid::Uuid;

/// Creates a table of its own name; the name, once it can be used.
pub(crate) async fn create(client: &Client) -> String {
    let name = format!("quorate-test-{}", Uuid::new_v4());
    let attribute = |name, kind| {
        let attribute = AttributeDefinition::builder().attribute_name(name);
        attribute.attribute_type(kind).build().unwrap()
    };
    let key = |hash, range| {
        [(hash, KeyType::Hash), (range, KeyType::Range)].map(|(name, kind)| {
            let key = KeySchemaElement::builder().attribute_name(name);
            key.key_type(kind).build().unwrap()
        })
    };
    let keys_only = Projection::builder().projection_type(ProjectionType::KeysOnly);
    let work = GlobalSecondaryIndex::builder()
        .index_name("work")
        .set_key_schema(Some(key("work", "due").to_vec()))
        .projection(keys_only.build());
    client
        .create_table()
        .table_name(&name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk", ScalarAttributeType::S))
        .attribute_definitions(attribute("sk", ScalarAttributeType::S))
        .attribute_definitions(attribute("work", ScalarAttributeType::S))
        .attribute_definitions(attribute("due", ScalarAttributeType::N))
        .set_key_schema(Some(key("pk", "sk").to_vec()))
        .global_secondary_indexes(work.build().unwrap())
        .send()
        .await
        .unwrap();
    let minute = std::time::Duration::from_secs(60);
    let active = client.wait_until_table_exists().table_name(&name);
    active.wait(minute).await.unwrap();
    name
}

/// Deletes a table.
pub(crate) async fn delete(client: &Client, name: &str) {
    client.delete_table().table_name(name).send().await.unwrap();
}
