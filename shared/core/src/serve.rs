//! What a signed link opens: the use case of `serve-image`, and of its like on one machine.
//!
//! A link names an image of the ledger and carries a signature and an expiry; see [`crate::link`].
//! What is shown is the version that was admitted, whatever has become of the object since. The
//! bytes were uploaded by strangers: they are shown as one of four image types or not at all, never
//! as something that a browser would run.

use futures_util::future::try_join;

use crate::link::{Link, LinkError, LinkSigner};
use crate::ports::{Ledger, PortError};
use crate::state::Image;
use crate::time::Timestamp;

/// Why a link shows no image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It is not one of ours, or not whole.
    Invalid,
    /// It was valid once: its time is over, or its campaign has ended it.
    Expired,
    /// It is valid, and the ledger does not know its image.
    Unknown,
    /// The image's bytes are gone from the uploads.
    Gone,
    /// They cannot be read now, and why.
    Failed(String),
}

impl Denied {
    /// The HTTP status and the message for who holds the link. The reason of a failure is for the
    /// log alone, and is written to it here.
    #[must_use]
    pub fn answer(&self) -> (u16, &'static str) {
        match self {
            Self::Invalid => (403, "This link is not valid.\n"),
            Self::Expired => (410, "This link has expired.\n"),
            Self::Unknown => (404, "There is no such image.\n"),
            Self::Gone => (410, "This image is gone.\n"),
            Self::Failed(error) => {
                tracing::error!(%error, "an image cannot be served");
                (503, "The image cannot be read now. Try again later.\n")
            }
        }
    }
}

impl From<LinkError> for Denied {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Invalid => Self::Invalid,
            LinkError::Expired => Self::Expired,
        }
    }
}

impl From<PortError> for Denied {
    fn from(error: PortError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// As what an image is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The media type to state.
    pub media_type: &'static str,
    /// `Content-Disposition`, with a file name that says nothing about the upload.
    pub disposition: &'static str,
}

impl Shown {
    /// As what an image of this media type is shown.
    #[must_use]
    pub fn of(image: &Image) -> Self {
        let (media_type, disposition) = match image.media_type.as_str() {
            "image/jpeg" => ("image/jpeg", "inline; filename=\"image.jpg\""),
            "image/png" => ("image/png", "inline; filename=\"image.png\""),
            "image/gif" => ("image/gif", "inline; filename=\"image.gif\""),
            "image/webp" => ("image/webp", "inline; filename=\"image.webp\""),
            _ => ("application/octet-stream", "inline; filename=\"image.bin\""),
        };
        Self {
            media_type,
            disposition,
        }
    }
}

/// The image that the link with this path and query opens now: two reads of the ledger, side by
/// side, and none for a link that was not signed by us.
///
/// # Errors
/// [`Denied`]; never [`Denied::Gone`], which only who reads the bytes can tell.
pub async fn open<L: Ledger>(
    ledger: &L,
    links: &LinkSigner,
    now: Timestamp,
    path: &str,
    query: &str,
) -> Result<Image, Denied> {
    let link = Link::read(path, query).ok_or(Denied::Invalid)?;
    links.verify(&link, now)?;
    let (image, item) = try_join(ledger.image(link.image), ledger.campaign(&link.campaign)).await?;
    let image = image.filter(|image| image.campaign == link.campaign && image.row.is_none());
    let (image, item) = image.zip(item).ok_or(Denied::Unknown)?;
    let since = item.campaign.links_since.map(Timestamp::seconds);
    if since.is_some_and(|since| link.signed() < since) {
        return Err(Denied::Expired);
    }
    Ok(image)
}
