//! Signed deliveries, after the example of Toloka's documentation.

use proptest::prelude::*;
use quorate_toloka::{
    Secret,
    types::{CloseReason, Delivery, EventType},
    webhook::{self, Refused, TOLERANCE},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::data;

/// The published example; see `tests/data/README.md`.
#[derive(Deserialize)]
struct Example {
    secret_key: String,
    ts: i64,
    body: String,
    header: String,
}

fn example() -> Example {
    data::read("webhook-signature.json")
}

impl Example {
    fn secrets(&self) -> [Secret; 1] {
        [Secret::from(self.secret_key.as_str())]
    }

    fn open(&self, header: &str, body: &[u8]) -> Result<Delivery, Refused> {
        webhook::open(Some(header), body, &self.secrets(), self.ts)
    }
}

#[test]
fn the_documented_delivery_is_believed_and_read() {
    let example = example();
    let delivery = example
        .open(&example.header, example.body.as_bytes())
        .unwrap();
    let [event] = delivery.events.as_slice() else {
        panic!("{delivery:?}");
    };
    assert_eq!(event.kind, EventType::AssignmentApproved);
    assert_eq!(event.pool_id.as_deref(), Some("pool-1"));
    assert_eq!(event.assignment_id.as_deref(), Some("assignment-1"));
}

#[test]
fn who_plays_the_platform_signs_as_it_does() {
    let example = example();
    let [secret] = example.secrets();
    let header = webhook::sign(&secret, example.ts, example.body.as_bytes());
    assert_eq!(header, example.header);
}

#[test]
fn while_secrets_rotate_both_are_good() {
    let example = example();
    let (new, [old]) = (Secret::from("new"), example.secrets());
    for secrets in [vec![new.clone(), old.clone()], vec![old, new.clone()]] {
        webhook::open(
            Some(&example.header),
            example.body.as_bytes(),
            &secrets,
            example.ts,
        )
        .unwrap();
    }
    for secrets in [vec![new], vec![]] {
        let refused = webhook::open(
            Some(&example.header),
            example.body.as_bytes(),
            &secrets,
            example.ts,
        );
        assert!(matches!(refused, Err(Refused::Forged)), "{refused:?}");
    }
}

#[test]
fn a_secret_that_is_empty_signs_nothing() {
    let header = webhook::sign(&Secret::from(""), 0, b"{}");
    let empty = [Secret::from("")];
    assert!(webhook::open(Some(&header), b"{}", &empty, 0).is_err());
    // HMAC-SHA256 of `0.1.{}` with no key, which anybody can compute.
    let sign = "1ba53e6c90351a32bd8d582c4a941d15e548139c2ebc9059ace3a8d26216cc8c";
    let header = format!("{{v=1, ts=0, sign={sign}}}");
    assert!(webhook::open(Some(&header), b"{}", &empty, 0).is_err());
}

#[test]
fn a_header_of_another_form_is_no_signature() {
    let example = example();
    let good = &example.header;
    let sign = good.split_once("sign=").unwrap().1;
    for bad in [
        String::new(),
        "{}".to_owned(),
        sign.to_owned(),
        good.replace("v=1", "v=2"),
        good.replace("v=1, ", ""),
        good.replace("v=1", "v=1, v=1"),
        good.replace("ts=", "ts=x"),
        good.replace("ts=", "ts=9999999999999999999"),
        good.replace("sign=", "sign=0"),
        good.replace("sign=60", "sign=é"),
        good.replace("sign=60", "sign=xy"),
        good[..good.len() - 3].to_owned(),
        good[1..].to_owned(),
    ] {
        let refused = example.open(&bad, example.body.as_bytes());
        assert!(
            matches!(refused, Err(Refused::Unsigned)),
            "{bad}: {refused:?}"
        );
    }
    let none = webhook::open(
        None,
        example.body.as_bytes(),
        &example.secrets(),
        example.ts,
    );
    assert!(matches!(none, Err(Refused::Unsigned)));
}

#[test]
fn an_old_delivery_is_refused_whoever_sends_it_again() {
    let example = example();
    let tolerance = i64::try_from(TOLERANCE.as_millis()).unwrap();
    let open = |off: i64| {
        let (header, body) = (Some(example.header.as_str()), example.body.as_bytes());
        webhook::open(header, body, &example.secrets(), example.ts + off)
    };
    for off in [-tolerance, 0, tolerance] {
        open(off).unwrap();
    }
    for off in [-tolerance - 1, tolerance + 1, 86_400_000] {
        let refused = open(off);
        assert!(matches!(refused, Err(Refused::OutOfTime(_))), "{refused:?}");
    }
    // The signature covers its time.
    let later = example.header.replace("ts=946728", "ts=946729");
    let refused = example.open(&later, example.body.as_bytes());
    assert!(matches!(refused, Err(Refused::Forged)), "{refused:?}");
}

#[test]
fn what_is_new_to_us_is_kept_and_does_not_disturb() {
    let [secret] = example().secrets();
    let body = br#"{"events":[
        {"type":"POOL_RESTED","uuid":"1","since":7},
        {"type":"POOL_CLOSED","uuid":"2","pool_id":"5","close_reason":"TIRED"}
    ],"batch":1}"#;
    let header = webhook::sign(&secret, 0, body);
    let delivery = webhook::open(Some(&header), body, &[secret], 0).unwrap();
    assert_eq!(
        delivery.events[0].kind,
        EventType::Unknown("POOL_RESTED".to_owned())
    );
    assert_eq!(delivery.events[0].other["since"], 7);
    assert_eq!(delivery.events[1].kind, EventType::PoolClosed);
}

/// Every kind of event, with what it tells, as the documentation describes it.
#[test]
fn every_kind_of_event_is_read_with_what_it_tells() {
    let event = |kind: &str, more: Value| {
        let mut event = json!({
            "type": kind, "uuid": "1", "event_time": "2026-01-31T09:00:00.000", "project_id": "1",
            "pool_id": "2", "webhook_subscription_id": "3",
        });
        let more = more.as_object().unwrap().clone();
        event.as_object_mut().unwrap().extend(more);
        event
    };
    let assignment = json!({ "task_suite_id": "4", "assignment_id": "5" });
    let kinds = [
        ("POOL_CLOSED", json!({ "close_reason": "COMPLETED" })),
        (
            "DYNAMIC_OVERLAP_COMPLETED",
            json!({
                "task_id": "6", "confidence": 0.977, "assignment_ids": ["5"],
                "output_values": { "out": "OK" },
            }),
        ),
        ("ASSIGNMENT_CREATED", assignment.clone()),
        ("ASSIGNMENT_SUBMITTED", assignment.clone()),
        ("ASSIGNMENT_SKIPPED", assignment.clone()),
        ("ASSIGNMENT_EXPIRED", assignment.clone()),
        ("ASSIGNMENT_APPROVED", assignment.clone()),
        ("ASSIGNMENT_REJECTED", assignment),
        ("TEST_EVENT", json!({})),
    ];
    let events: Vec<_> = kinds
        .iter()
        .map(|(kind, more)| event(kind, more.clone()))
        .collect();
    let body = json!({ "events": events });
    // A subscription without a secret.
    let delivery = webhook::read(body.to_string().as_bytes()).unwrap();
    for event in &delivery.events {
        assert!(!matches!(event.kind, EventType::Unknown(_)), "{event:?}");
        assert!(event.other.is_empty(), "{event:?}");
    }
    assert_eq!(
        delivery.events[0].close_reason,
        Some(CloseReason::Completed)
    );
    assert_eq!(
        delivery.events[1].confidence,
        Some("0.977".parse().unwrap())
    );
    assert_eq!(serde_json::to_value(&delivery).unwrap(), body);
}

#[test]
fn what_is_no_delivery_says_where() {
    let [secret] = example().secrets();
    for body in ["", "[]", "{\"events\":[{}]}", "\u{feff}{}"] {
        let header = webhook::sign(&secret, 0, body.as_bytes());
        let refused = webhook::open(
            Some(&header),
            body.as_bytes(),
            std::slice::from_ref(&secret),
            0,
        );
        assert!(
            matches!(refused, Err(Refused::Unreadable(_))),
            "{body}: {refused:?}"
        );
        let unsigned = webhook::read(body.as_bytes());
        assert!(matches!(unsigned, Err(Refused::Unreadable(_))), "{body}");
    }
}

proptest! {
    #[test]
    fn one_changed_byte_of_the_body_is_found(at in 0_usize..273, change in 1_u8..) {
        let example = example();
        let mut body = example.body.clone().into_bytes();
        body[at] ^= change;
        let refused = example.open(&example.header, &body);
        prop_assert!(matches!(refused, Err(Refused::Forged)));
    }

    #[test]
    fn a_cut_off_body_is_found(length in 0_usize..273) {
        let example = example();
        let refused = example.open(&example.header, &example.body.as_bytes()[..length]);
        prop_assert!(matches!(refused, Err(Refused::Forged)));
    }

    #[test]
    fn any_header_is_answered(header in ".*") {
        let refused = example().open(&header, b"{}");
        prop_assert!(refused.is_err());
    }
}
