//! Signed, expiring links: workers anywhere see an image although its bucket is private.
//!
//! ```text
//! <base>/images/<campaign>/<image id>/<name>?expires=<unix seconds>&key=<key id>&signature=<hex>
//! ```
//!
//! The signature is HMAC-SHA256 over a version tag, campaign, image id, expiry and key id, each on
//! a line. The name is for people and is not signed; what is served depends only on the image id.
//! Keys rotate: links are signed with the newest key, and verify with any that is kept.

use std::collections::BTreeMap;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

use crate::campaign::hex;
use crate::ids::{CampaignName, ImageId};
use crate::time::Timestamp;

/// What stays readable in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Signs and verifies links.
#[derive(Clone)]
pub struct LinkSigner {
    base: String,
    keys: BTreeMap<String, Vec<u8>>,
    newest: String,
}

impl fmt::Debug for LinkSigner {
    /// Never shows a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkSigner")
            .field("base", &self.base)
            .field("newest", &self.newest)
            .finish_non_exhaustive()
    }
}

/// Why a link opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Unknown key, wrong signature, or a part that does not parse.
    #[error("this link is not valid")]
    Invalid,
    /// It was valid once.
    #[error("this link has expired")]
    Expired,
}

impl LinkSigner {
    /// A signer for links under `base` (no `/` at its end). The key with the greatest id signs.
    ///
    /// # Errors
    /// If there is no key, or one is shorter than 32 bytes.
    pub fn new(base: &str, keys: BTreeMap<String, Vec<u8>>) -> Result<Self, String> {
        if keys.values().any(|key| key.len() < 32) {
            return Err("a link key must have at least 32 bytes".to_owned());
        }
        let newest = keys
            .keys()
            .next_back()
            .ok_or("at least one link key is needed")?
            .clone();
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            keys,
            newest,
        })
    }

    /// The link to `image`, valid until `expires`. `key` is the object's key: its last segment
    /// ends the path.
    #[must_use]
    pub fn link(
        &self,
        campaign: &CampaignName,
        image: ImageId,
        key: &str,
        expires: Timestamp,
    ) -> String {
        let name = key.rsplit('/').next().unwrap_or(key);
        let name = utf8_percent_encode(name, SEGMENT);
        let seconds = expires.seconds();
        let signature = self
            .mac(&self.newest, campaign, image, seconds)
            .map(|mac| hex(&mac.finalize().into_bytes()))
            .unwrap_or_default();
        let (base, id) = (&self.base, &self.newest);
        format!(
            "{base}/images/{campaign}/{image}/{name}?expires={seconds}&key={id}&signature={signature}"
        )
    }

    /// Checks a link's parts; compares in constant time.
    ///
    /// # Errors
    /// [`LinkError::Invalid`] before [`LinkError::Expired`]: only who holds a once valid link
    /// learns that it expired.
    pub fn verify(
        &self,
        campaign: &CampaignName,
        image: ImageId,
        expires: i64,
        key: &str,
        signature: &str,
        now: Timestamp,
    ) -> Result<(), LinkError> {
        let mac = self
            .mac(key, campaign, image, expires)
            .ok_or(LinkError::Invalid)?;
        let signature = unhex(signature).ok_or(LinkError::Invalid)?;
        mac.verify_slice(&signature)
            .map_err(|_| LinkError::Invalid)?;
        if now.seconds() >= expires {
            Err(LinkError::Expired)
        } else {
            Ok(())
        }
    }

    fn mac(
        &self,
        key: &str,
        campaign: &CampaignName,
        image: ImageId,
        expires: i64,
    ) -> Option<Hmac<Sha256>> {
        let secret = self.keys.get(key)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
        mac.update(format!("quorate-link-1\n{campaign}\n{image}\n{expires}\n{key}").as_bytes());
        Some(mac)
    }
}

/// The image that a link names, whoever signed it and whether or not it still opens.
#[must_use]
pub fn image_of(link: &str) -> Option<ImageId> {
    let (path, _) = link.split_once('?')?;
    let mut parts = path.rsplit('/');
    let (_name, image, _campaign, images) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    image.parse().ok().filter(|_| images == "images")
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn signer(ids: &[&str]) -> LinkSigner {
        let keys = ids
            .iter()
            .map(|id| ((*id).to_owned(), id.repeat(32).into_bytes()))
            .collect();
        LinkSigner::new("http://127.0.0.1:1/", keys).unwrap()
    }

    fn parts(link: &str) -> (i64, String, String) {
        let query = link.split_once('?').unwrap().1;
        let mut values = query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap().1.to_owned());
        (
            values.next().unwrap().parse().unwrap(),
            values.next().unwrap(),
            values.next().unwrap(),
        )
    }

    #[test]
    fn a_link_opens_until_it_expires_and_only_what_it_names() {
        let signer = signer(&["a"]);
        let (campaign, image) = ("cells".parse().unwrap(), ImageId(Uuid::from_u128(7)));
        let link = signer.link(
            &campaign,
            image,
            "cells/images/a b/ü%.jpg",
            Timestamp(10_000),
        );
        assert!(
            link.starts_with(&format!(
                "http://127.0.0.1:1/images/cells/{image}/%C3%BC%25.jpg?expires=10&key=a&signature="
            )),
            "{link}"
        );
        let (expires, key, signature) = parts(&link);
        let verify = |image, expires, key: &str, signature: &str, now| {
            signer.verify(&campaign, image, expires, key, signature, Timestamp(now))
        };
        assert_eq!(verify(image, expires, &key, &signature, 9_999), Ok(()));
        assert_eq!(
            verify(image, expires, &key, &signature, 10_000),
            Err(LinkError::Expired)
        );
        assert_eq!(
            verify(image, expires + 1, &key, &signature, 0),
            Err(LinkError::Invalid)
        );
        assert_eq!(
            verify(ImageId(Uuid::from_u128(8)), expires, &key, &signature, 0),
            Err(LinkError::Invalid)
        );
        assert_eq!(
            verify(image, expires, "b", &signature, 0),
            Err(LinkError::Invalid)
        );
        for bad in ["", "zz", "é", &signature[2..]] {
            assert_eq!(
                verify(image, expires, &key, bad, 0),
                Err(LinkError::Invalid)
            );
        }
    }

    #[test]
    fn old_keys_verify_while_they_are_kept() {
        let (campaign, image) = ("cells".parse().unwrap(), ImageId(Uuid::from_u128(7)));
        let link = signer(&["k1"]).link(&campaign, image, "x", Timestamp(10_000));
        let (expires, key, signature) = parts(&link);
        let rotated = signer(&["k1", "k2"]);
        assert_eq!(
            rotated.verify(&campaign, image, expires, &key, &signature, Timestamp(0)),
            Ok(())
        );
        assert!(
            rotated
                .link(&campaign, image, "x", Timestamp(1))
                .contains("key=k2")
        );
        assert_eq!(
            signer(&["k2"]).verify(&campaign, image, expires, &key, &signature, Timestamp(0)),
            Err(LinkError::Invalid)
        );
    }

    #[test]
    fn keys_are_never_shown() {
        assert!(!format!("{:?}", signer(&["secret"])).contains("secretsecret"));
    }
}
