//! Identifiers in the forms that clients know, and the secrets of workers.
//!
//! Tasks, suites and assignments are `<10 hex digits of the pool>--<24 hex digits>`, where the last
//! part grows with time: seconds, then a counter that never repeats. Workers are 32 hex digits.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The first decimal id, high enough that string order is number order for millions of objects.
pub(crate) const FIRST_DECIMAL: i64 = 1_000_000;

/// The id of a task, suite or assignment of `pool`, made at `millis` with the never repeating `counter`.
pub(crate) fn object(pool: i64, millis: i64, counter: i64) -> String {
    let seconds =
        u32::try_from(millis.div_euclid(1000)).unwrap_or(if millis < 0 { 0 } else { u32::MAX });
    format!("{pool:010x}--{seconds:08x}{counter:016x}")
}

/// The id of an operation or collector whose id no client chose.
pub(crate) fn uuid(seed: u64, kind: &str, counter: i64) -> String {
    Uuid::new_v5(
        &Uuid::from_u64_pair(seed, 0x5175_6f72_6174_6521),
        format!("{kind}:{counter}").as_bytes(),
    )
    .to_string()
}

/// A worker's id, derived from the login; a requester's from the account's name.
pub(crate) fn account(kind: &str, name: &str) -> String {
    let digest = Sha256::digest(format!("{kind}:{name}").as_bytes());
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// 32 random bytes as hex.
pub(crate) fn random_secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// The token of a worker: the id and its keyed digest, so that it needs no storage and survives a
/// restart. `salt` changes with the password, which ends old tokens.
pub(crate) fn token(secret: &str, worker: &str, salt: &str) -> String {
    format!("{worker}.{}", sign(secret, &format!("{worker}.{salt}")))
}

/// HMAC-SHA256 as hex.
fn sign(secret: &str, message: &str) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key length");
    mac.update(message.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// A password, salted and stretched (PBKDF2-HMAC-SHA256), as hex.
pub(crate) fn stretch(password: &str, salt: &str, rounds: u32) -> String {
    let mut key = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(
        password.as_bytes(),
        salt.as_bytes(),
        rounds.max(1),
        &mut key,
    );
    hex(&key)
}

/// Whether two secrets are equal, in a time that does not tell where they differ.
pub(crate) fn same_secret(a: &str, b: &str) -> bool {
    let (a, b) = (Sha256::digest(a.as_bytes()), Sha256::digest(b.as_bytes()));
    a.iter()
        .zip(b.iter())
        .fold(0, |diff, (x, y)| diff | (x ^ y))
        == 0
}

/// SHA-256 as hex.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Spreads a counter over all numbers: the order in which a pool gives out equal tasks.
pub(crate) fn scatter(seed: u64, counter: i64) -> i64 {
    // SplitMix64 (Steele, Lea, Flood 2014).
    let mut z = seed.wrapping_add(counter.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_ids_have_the_documented_form_and_sort_by_creation() {
        let first = object(36_502_086, 1_600_000_000_000, 1);
        assert_eq!(first, "00022cfa46--5f5e10000000000000000001");
        assert!(first < object(36_502_086, 1_600_000_000_000, 2));
        assert!(first < object(36_502_086, 1_600_000_001_000, 0));
    }

    #[test]
    fn tokens_and_passwords_depend_on_every_part() {
        let token = token("s", "w", "salt");
        assert!(token.starts_with("w."));
        assert_ne!(token, super::token("t", "w", "salt"));
        assert_ne!(token, super::token("s", "w", "other"));
        // RFC 7914, section 11: PBKDF2-HMAC-SHA256 (P="passwd", S="salt", c=1).
        assert!(stretch("passwd", "salt", 1).starts_with("55ac046e56e3089fec1691c22544b605"));
        assert!(same_secret("a", "a") && !same_secret("a", "b") && !same_secret("a", "aa"));
        assert_eq!(account("worker", "sim-001").len(), 32);
    }
}
