//! Signed, expiring links: workers anywhere see an image although its bucket is private.
//!
//! ```text
//! <base>/images/<campaign>/<image id>/<name>?expires=<unix seconds>&key=<key id>&signature=<hex>
//! ```
//!
//! The signature is HMAC-SHA256 over a version tag, campaign, image id, expiry and key id, each on
//! a line. The name is for people and is not signed; what is served depends only on the image id.
//! Keys rotate: links are signed with the newest key, and verify with any that is kept.
//!
//! Every link lives for [`VALIDITY`], so its expiry also tells when it was signed, and a campaign
//! can end all links that were signed before an instant (`links_since` in its `campaign.toml`).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

use crate::campaign::hex;
use crate::ids::{CampaignName, ImageId};
use crate::time::Timestamp;

/// How long a link opens its image. A change makes links that are out look older or newer than
/// they are to `links_since`, by as much.
pub const VALIDITY: Duration = Duration::from_secs(90 * 86_400);

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

/// A link's parts as they came. Only [`LinkSigner::verify`] says whether to believe them.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    /// The campaign that it names.
    pub campaign: CampaignName,
    /// The image that it names.
    pub image: ImageId,
    /// Until when, in seconds since 1970.
    pub expires: i64,
    key: String,
    signature: String,
}

impl fmt::Debug for Link {
    /// Never shows what opens an image.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("campaign", &self.campaign)
            .field("image", &self.image)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// Takes a link's path and query apart; none if it is not one.
    #[must_use]
    pub fn read(path: &str, query: &str) -> Option<Self> {
        let mut parts = path.strip_prefix("/images/")?.splitn(3, '/');
        let (campaign, image, _name) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            campaign: campaign.parse().ok()?,
            image: image.parse().ok()?,
            expires: value(query, "expires")?.parse().ok()?,
            key: value(query, "key")?.to_owned(),
            signature: value(query, "signature")?.to_owned(),
        })
    }

    /// When it was signed, in seconds since 1970.
    #[must_use]
    pub fn signed(&self) -> i64 {
        let validity = i64::try_from(VALIDITY.as_secs()).unwrap_or(i64::MAX);
        self.expires.saturating_sub(validity)
    }
}

/// The value of a query's only `name`. Nothing in it is encoded: see [`LinkSigner::new`].
fn value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut values = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    values.next().filter(|_| values.next().is_none())
}

impl LinkSigner {
    /// A signer for links under `base` (no `/` at its end). The key with the greatest id signs.
    ///
    /// # Errors
    /// If there is no key, one is shorter than 32 bytes, or the id of one does not go into a link
    /// as it is (letters, digits, `-` and `_` do).
    pub fn new(base: &str, keys: BTreeMap<String, Vec<u8>>) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if let Some(id) = keys
            .keys()
            .find(|id| id.is_empty() || !id.chars().all(plain))
        {
            return Err(format!(
                "{id:?} cannot be the id of a link key: use letters, digits, '-' and '_'"
            ));
        }
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

    /// Verifies links that `other` made, too; signs as before. A key of both is this one's.
    #[must_use]
    pub fn also_verifying(mut self, other: Self) -> Self {
        for (id, key) in other.keys {
            self.keys.entry(id).or_insert(key);
        }
        self
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

    /// Checks a link; compares in constant time.
    ///
    /// # Errors
    /// [`LinkError::Invalid`] before [`LinkError::Expired`]: only who holds a once valid link
    /// learns that it expired.
    pub fn verify(&self, link: &Link, now: Timestamp) -> Result<(), LinkError> {
        let mac = self
            .mac(&link.key, &link.campaign, link.image, link.expires)
            .ok_or(LinkError::Invalid)?;
        let signature = unhex(&link.signature).ok_or(LinkError::Invalid)?;
        mac.verify_slice(&signature)
            .map_err(|_| LinkError::Invalid)?;
        if now.seconds() >= link.expires {
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

    fn read(link: &str) -> Option<Link> {
        let (path, query) = link.strip_prefix("http://127.0.0.1:1")?.split_once('?')?;
        Link::read(path, query)
    }

    fn verify(signer: &LinkSigner, link: &str, now: i64) -> Result<(), LinkError> {
        let link = read(link).ok_or(LinkError::Invalid)?;
        signer.verify(&link, Timestamp(now))
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
        assert_eq!(verify(&signer, &link, 9_999), Ok(()));
        assert_eq!(verify(&signer, &link, 10_000), Err(LinkError::Expired));
        // The name in it is for people; what others append is not ours.
        let renamed = format!("{}&utm=1", link.replace("%C3%BC%25.jpg", "a/../b"));
        assert_eq!(verify(&signer, &renamed, 0), Ok(()));
        let other = ImageId(Uuid::from_u128(8)).to_string();
        let (path, query) = link.split_once('?').unwrap();
        for bad in [
            path.to_owned(),
            format!("{path}?"),
            link.replace("expires=10", "expires=11"),
            link.replace("expires=10", "expires=x"),
            link.replace("expires=10", "expires=99999999999999999999"),
            format!("{link}&expires=10"),
            link.replace("key=a", "key=b"),
            link.replace("key=a", "key="),
            link.replace("signature=", "signature=00"),
            link.replace("signature=", "signature=é"),
            link.replace("signature=", "signature=z"),
            link[..link.len() - 2].to_owned(),
            link[..link.len() - 1].to_owned(),
            link.replace(&image.to_string(), &other),
            link.replace("/cells/", "/birds/"),
            link.replace("/cells/", "/CELLS/"),
            link.replace("/images/", "/image/"),
            format!("http://127.0.0.1:1/images/cells/{image}?{query}"),
        ] {
            assert_eq!(verify(&signer, &bad, 0), Err(LinkError::Invalid), "{bad}");
        }
    }

    #[test]
    fn old_keys_verify_while_they_are_kept() {
        let (campaign, image) = ("cells".parse().unwrap(), ImageId(Uuid::from_u128(7)));
        let link = signer(&["k1"]).link(&campaign, image, "x", Timestamp(10_000));
        let rotated = signer(&["k1", "k2"]);
        assert_eq!(verify(&rotated, &link, 0), Ok(()));
        let newer = rotated.link(&campaign, image, "x", Timestamp(1));
        assert!(newer.contains("key=k2"));
        let forgotten = verify(&signer(&["k2"]), &link, 0);
        assert_eq!(forgotten, Err(LinkError::Invalid));
    }

    #[test]
    fn a_link_tells_when_it_was_signed() {
        let (campaign, image) = ("cells".parse().unwrap(), ImageId(Uuid::from_u128(7)));
        let signed = Timestamp(1_767_268_800_900);
        let link = signer(&["k1"]).link(&campaign, image, "x", signed.plus(VALIDITY));
        assert_eq!(read(&link).unwrap().signed(), 1_767_268_800);
    }

    #[test]
    fn a_key_that_would_not_go_into_a_link_is_refused() {
        for (id, length) in [("", 32), ("a&b", 32), ("é", 32), ("k1", 31)] {
            let keys = BTreeMap::from([(id.to_owned(), vec![0; length])]);
            assert!(LinkSigner::new("http://x", keys).is_err(), "{id} {length}");
        }
        assert!(LinkSigner::new("http://x", BTreeMap::new()).is_err());
    }

    #[test]
    fn what_another_signer_made_can_be_verified_without_signing_like_it() {
        let (campaign, image) = ("cells".parse().unwrap(), ImageId(Uuid::from_u128(7)));
        // The other's id is the greater one, and still does not sign.
        let (old, new) = (signer(&["k9"]), signer(&["k10"]));
        let both = new.also_verifying(old.clone());
        let link = old.link(&campaign, image, "x", Timestamp(10_000));
        assert_eq!(verify(&both, &link, 0), Ok(()));
        let mine = both.link(&campaign, image, "x", Timestamp(10_000));
        assert!(mine.contains("key=k10&"), "{mine}");
    }

    #[test]
    fn keys_are_never_shown() {
        assert!(!format!("{:?}", signer(&["secret"])).contains("secretsecret"));
    }
}
