//! A signed link becomes a short-lived URL of a private image.
//!
//! The uploads bucket is private, and workers anywhere see its images: a task's link points here,
//! and who opens it is redirected to a presigned URL of that one version of that one object.
//!
//! ```text
//! GET /images/<campaign>/<image id>/<name>?expires=…&key=…&signature=…
//!     302 location: the presigned URL, good for five minutes
//!     403, 404, 410, 503: see `quorate_core::serve::Denied`
//! ```
//!
//! As what the image is shown, its media type and disposition, is part of the presigned URL, so
//! that nobody chooses it but we. `HEAD` gets the same redirect, whose URL opens by `GET` only.
//!
//! The answer is never to be kept by a cache: a link that its campaign has ended (`links_since` in
//! `campaign.toml`) shows nothing from then on, but to who holds a presigned URL of the last five
//! minutes.
//!
//! The log never has a link, nor a part of its signature.

use std::time::Duration;

use aws_lambda_events::event::lambda_function_urls::LambdaFunctionUrlResponse;
use quorate_core::link::LinkSigner;
use quorate_core::ports::{Ledger, PortResult};
use quorate_core::serve::{self, Denied, Shown};
use quorate_core::state::Image;
use quorate_core::time::Timestamp;
use serde_json::Value;

/// How long a presigned URL is good: a slow worker's browser follows a redirect within seconds.
pub const VALIDITY: Duration = Duration::from_secs(300);

/// Makes presigned URLs.
pub trait Presign: Sync {
    /// A URL that shows this version of an image as `shown`, to anybody, for `validity`.
    fn presign(
        &self,
        image: &Image,
        shown: Shown,
        validity: Duration,
    ) -> impl Future<Output = PortResult<String>> + Send;
}

/// Answers a request to the function URL (an event in payload format 2.0).
///
/// An event that is no request at all is answered like a link that is not valid.
pub async fn handle<L: Ledger, P: Presign>(
    ledger: &L,
    links: &LinkSigner,
    uploads: &P,
    now: Timestamp,
    event: &Value,
) -> LambdaFunctionUrlResponse {
    if !matches!(text(event, "/requestContext/http/method"), "GET" | "HEAD") {
        let refused = respond(405, "Only GET and HEAD.\n");
        return with_header(refused, "allow", "GET, HEAD");
    }
    match url(ledger, links, uploads, now, event).await {
        Ok(url) => with_header(respond(302, ""), "location", &url),
        Err(denied) => {
            let (status, message) = denied.answer();
            respond(status, message)
        }
    }
}

/// The presigned URL of the image that the requested link opens.
async fn url<L: Ledger, P: Presign>(
    ledger: &L,
    links: &LinkSigner,
    uploads: &P,
    now: Timestamp,
    event: &Value,
) -> Result<String, Denied> {
    let (path, query) = (text(event, "/rawPath"), text(event, "/rawQueryString"));
    let image = serve::open(ledger, links, now, path, query).await?;
    Ok(uploads.presign(&image, Shown::of(&image), VALIDITY).await?)
}

/// A text of the event; empty if it has none there.
fn text<'a>(event: &'a Value, pointer: &str) -> &'a str {
    event.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

fn respond(status: u16, message: &str) -> LambdaFunctionUrlResponse {
    let mut response = LambdaFunctionUrlResponse::default();
    response.status_code = status.into();
    response.body = Some(message.to_owned());
    [
        ("cache-control", "no-store"),
        ("content-type", "text/plain; charset=utf-8"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ]
    .into_iter()
    .fold(response, |response, (name, value)| {
        with_header(response, name, value)
    })
}

fn with_header(
    mut response: LambdaFunctionUrlResponse,
    name: &'static str,
    value: &str,
) -> LambdaFunctionUrlResponse {
    // All names and values are ours and plain ASCII, presigned URLs too.
    if let Ok(value) = value.parse() {
        response.headers.insert(name, value);
    }
    response
}
