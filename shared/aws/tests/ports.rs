//! Secrets and the bus, in Secrets Manager and on EventBridge.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod emulator;

use std::time::Duration;

use aws_sdk_dynamodb::client::Waiters as _;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use quorate_aws::bus::Bus;
use quorate_aws::connection::Connection;
use quorate_aws::ledger::DynamoLedger;
use quorate_aws::secrets::Secrets;
use quorate_core::PortError;
use quorate_core::event::{Event, Problem, ProblemKind};
use quorate_core::ports::Notify as _;
use quorate_core::time::Timestamp;
use uuid::Uuid;

#[test]
#[ignore = "needs an emulator: ./test starts one"]
fn a_rotated_secret_has_two_versions_that_count() {
    emulator::block_on(async {
        let client = emulator::connection().secretsmanager();
        let name = format!("quorate-test/{}", Uuid::new_v4());
        let created = client.create_secret().name(&name).secret_string("one");
        let arn = created.send().await.unwrap().arn.unwrap();
        let secrets = Secrets::new(client.clone());
        let one = secrets.current(&arn).await.unwrap();
        assert_eq!(one.expose(), "one");
        assert_eq!(secrets.previous(&arn).await, Ok(None));

        let put = client.put_secret_value().secret_id(&arn);
        put.secret_string("two").send().await.unwrap();
        assert_eq!(secrets.current(&arn).await, Ok(one.clone()));
        let two = secrets.other_than(&arn, &one).await.unwrap();
        assert_eq!(two.expose(), "two");
        assert_eq!(secrets.other_than(&arn, &two).await, Some(one.clone()));
        let fresh = Secrets::new(client.clone());
        assert_eq!(fresh.webhook(&arn).await, Ok(vec![two, one]));

        let deleted = client.delete_secret().secret_id(&arn);
        deleted
            .force_delete_without_recovery(true)
            .send()
            .await
            .unwrap();
        let error = Secrets::new(client).current(&arn).await.unwrap_err();
        let PortError::Refused(line) = error else {
            panic!("{error:?}")
        };
        assert!(line.contains(&arn), "{line}");
    });
}

/// What comes out of the bus is tested with the deployed stack.
#[test]
#[ignore = "needs an emulator: ./test starts one"]
fn a_problem_that_the_bus_took_is_remembered() {
    emulator::block_on(async {
        let aws = emulator::connection();
        let name = format!("quorate-test-{}", Uuid::new_v4());
        let events = aws.eventbridge();
        events.create_event_bus().name(&name).send().await.unwrap();
        create_table(&aws, &name).await;
        let ledger = DynamoLedger::new(aws.dynamodb(), &name);
        let bus = Bus::new(events.clone(), &name, ledger.clone());
        let problem = Problem {
            kind: ProblemKind::Stuck,
            campaign: "cells".to_owned(),
            round: Some(1),
            key: None,
            message: "no".to_owned(),
        };
        let event = Event::problem(problem, "1", Timestamp(0));
        assert_eq!(ledger.told(event.id).await, Ok(false));
        for _ in 0..2 {
            assert_eq!(bus.notify(&event).await, Ok(()));
            assert_eq!(ledger.told(event.id).await, Ok(true));
        }
        let table = aws.dynamodb().delete_table().table_name(&name);
        table.send().await.unwrap();
        events.delete_event_bus().name(&name).send().await.unwrap();
    });
}

/// A table with the ledger's key, without its index.
async fn create_table(aws: &Connection, name: &str) {
    let mut table = aws.dynamodb().create_table().table_name(name);
    for (attribute, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let definition = AttributeDefinition::builder()
            .attribute_name(attribute)
            .attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder()
            .attribute_name(attribute)
            .key_type(kind);
        table = table
            .attribute_definitions(definition.build().unwrap())
            .key_schema(key.build().unwrap());
    }
    let table = table.billing_mode(BillingMode::PayPerRequest);
    table.send().await.unwrap();
    let created = aws.dynamodb();
    let created = created.wait_until_table_exists().table_name(name);
    created.wait(Duration::from_secs(60)).await.unwrap();
}
