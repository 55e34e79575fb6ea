//! Deliveries to a webhook: is it the platform that speaks, and what does it say?
//!
//! A subscription with a `secret_key` has its deliveries signed:
//!
//! ```text
//! Toloka-Signature: {v=1, ts=<unix milliseconds>, sign=<hex>}
//! sign = HMAC-SHA256(secret_key, "<ts>.<v>.<body>")
//! ```
//!
//! The signature is over the bytes of the body as they came: decoding and encoding JSON again
//! breaks it. The platform promises no order and no single delivery, and nothing but `ts` tells a
//! delivery from a copy of it, so one that is older than [`TOLERANCE`] is refused.
//!
//! ```
//! use quorate_toloka::{Secret, types::EventType, webhook};
//!
//! /// Answers a request to the webhook: the status, and who finished work.
//! fn receive(header: Option<&str>, body: &[u8], secret: Secret, now: i64) -> (u16, Vec<String>) {
//!     let Ok(delivery) = webhook::open(header, body, &[secret], now) else {
//!         return (403, Vec::new());
//!     };
//!     let events = delivery.events.into_iter();
//!     let submitted = events.filter(|event| event.kind == EventType::AssignmentSubmitted);
//!     (200, submitted.filter_map(|event| event.assignment_id).collect())
//! }
//!
//! let body = br#"{"events":[{"type":"ASSIGNMENT_SUBMITTED","uuid":"1","assignment_id":"a"}]}"#;
//! let header = webhook::sign(&Secret::from("key"), 1_000, body);
//! let taken = receive(Some(&header), body, Secret::from("key"), 1_500);
//! assert_eq!(taken, (200, vec!["a".to_owned()]));
//! let forged = receive(Some(&header), body, Secret::from("another key"), 1_500);
//! assert_eq!(forged, (403, vec![]));
//! ```
//!
//! A subscription without a `secret_key` has deliveries without the header, which anybody can send:
//! [`read`] them, and believe them no more than a hint.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{Secret, types::Delivery};

/// The header that carries the signature.
pub const SIGNATURE: &str = "Toloka-Signature";

/// How far a delivery's time may be from ours, either way: what a slow network and two clocks may
/// take. Within it a copy of a delivery is taken as well; events are known by their `uuid`.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// Why a delivery is not believed or not understood.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The header is missing or has another form.
    #[error("it carries no signature of a known form")]
    Unsigned,
    /// None of the secrets gives this signature for this body.
    #[error("its signature is not made with our secret")]
    Forged,
    /// It is signed, and its time is not ours.
    #[error("it was signed {0} s before or after now")]
    OutOfTime(u64),
    /// It is no JSON of a delivery.
    #[error("it cannot be read: {0}")]
    Unreadable(#[source] serde_json::Error),
}

/// Reads a delivery that one of `secrets` signed; several are good while they rotate. `header` is
/// the value of [`SIGNATURE`], `now` is in milliseconds since 1970. Compares in constant time.
///
/// Kinds of events and fields that this version does not know are kept as they came.
///
/// # Errors
/// See [`Refused`].
pub fn open(
    header: Option<&str>,
    body: &[u8],
    secrets: &[Secret],
    now: i64,
) -> Result<Delivery, Refused> {
    let signature = header.and_then(Signature::read).ok_or(Refused::Unsigned)?;
    let signed = |secret: &Secret| {
        mac(secret, signature.ts, body).is_some_and(|mac| mac.verify_slice(&signature.sign).is_ok())
    };
    if !secrets.iter().any(signed) {
        return Err(Refused::Forged);
    }
    let off = Duration::from_millis(now.abs_diff(signature.ts));
    if off > TOLERANCE {
        return Err(Refused::OutOfTime(off.as_secs()));
    }
    read(body)
}

/// Reads a delivery of a subscription without a secret. Anybody may have sent it.
///
/// # Errors
/// [`Refused::Unreadable`].
pub fn read(body: &[u8]) -> Result<Delivery, Refused> {
    serde_json::from_slice(body).map_err(Refused::Unreadable)
}

/// The value of [`SIGNATURE`] for a body that is sent at `ts`, in milliseconds since 1970. For who
/// plays the platform.
#[must_use]
pub fn sign(secret: &Secret, ts: i64, body: &[u8]) -> String {
    let sign = mac(secret, ts, body).map(|mac| mac.finalize().into_bytes());
    let sign: String = sign
        .iter()
        .flatten()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{{v=1, ts={ts}, sign={sign}}}")
}

/// The parts of a signature of version 1, the only one there is.
struct Signature {
    ts: i64,
    sign: [u8; 32],
}

impl Signature {
    fn read(header: &str) -> Option<Self> {
        let (mut version, mut ts, mut sign) = (None, None, None);
        let parts = header.trim().strip_prefix('{')?.strip_suffix('}')?;
        for part in parts.split(',') {
            let (name, value) = part.trim().split_once('=')?;
            let place = match name {
                "v" => &mut version,
                "ts" => &mut ts,
                "sign" => &mut sign,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        Some(Self {
            ts: ts?.parse().ok()?,
            sign: unhex(sign?)?,
        })
        .filter(|_| version == Some("1"))
    }
}

/// None for an empty secret: everybody knows it.
fn mac(secret: &Secret, ts: i64, body: &[u8]) -> Option<Hmac<Sha256>> {
    let secret = Some(secret.expose()).filter(|secret| !secret.is_empty())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(format!("{ts}.1.").as_bytes());
    mac.update(body);
    Some(mac)
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}
