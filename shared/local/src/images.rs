//! Images for workers: what a signed link opens.
//!
//! A link names an image of the ledger and carries a signature and an expiry; see
//! [`quorate_core::link`]. What is served is the version that was admitted, whatever has become of
//! the file since. The bytes were uploaded by strangers: they are shown as one of four image types
//! or not at all, never as something that a browser would run.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use quorate_core::ids::{CampaignName, ImageId};
use quorate_core::link::{LinkError, LinkSigner};
use quorate_core::ports::{Clock, Ledger, PortError};
use serde::Deserialize;

use crate::objects::Folder;

/// Bytes that are read at a time.
const CHUNK: usize = 64 * 1024;

/// What the route needs.
struct Images<L, C> {
    ledger: Arc<L>,
    uploads: Folder,
    links: LinkSigner,
    clock: Arc<C>,
}

#[derive(Deserialize)]
struct Signature {
    expires: i64,
    key: String,
    signature: String,
}

/// Why an image is not served.
#[derive(Debug)]
enum Denied {
    Invalid,
    Expired,
    Unknown,
    Gone,
    Failed(String),
}

/// The route `/images/{campaign}/{image}/{name}?expires=…&key=…&signature=…`. `uploads` must be a
/// folder that keeps versions.
///
/// Answers: 200 with the image; 403 for a link that is not valid; 410 for one that has expired, or
/// whose image is gone from the uploads; 404 for an image that the ledger does not know; 503 if the
/// ledger or the folder cannot be read.
pub fn routes<L, C>(ledger: Arc<L>, uploads: Folder, links: LinkSigner, clock: Arc<C>) -> Router
where
    L: Ledger + 'static,
    C: Clock + 'static,
{
    let images = Images {
        ledger,
        uploads,
        links,
        clock,
    };
    Router::new()
        .route("/images/{campaign}/{image}/{name}", get(serve::<L, C>))
        .with_state(Arc::new(images))
}

async fn serve<L: Ledger, C: Clock>(
    State(images): State<Arc<Images<L, C>>>,
    path: Result<Path<(String, String, String)>, PathRejection>,
    query: Result<Query<Signature>, QueryRejection>,
) -> Result<Response, Denied> {
    let (Path((campaign, image, _name)), Query(signature)) =
        path.ok().zip(query.ok()).ok_or(Denied::Invalid)?;
    let campaign: CampaignName = campaign.parse().map_err(|_| Denied::Invalid)?;
    let id: ImageId = image.parse().map_err(|_| Denied::Invalid)?;
    images.links.verify(
        &campaign,
        id,
        signature.expires,
        &signature.key,
        &signature.signature,
        images.clock.now(),
    )?;
    let image = images.ledger.image(id).await?;
    let image = image
        .filter(|image| image.campaign == campaign && image.row.is_none())
        .ok_or(Denied::Unknown)?;
    let file = images.uploads.open(&image.key, &image.version).await?;
    let file = file.ok_or(Denied::Gone)?;
    Ok(show(file, &image.media_type)?)
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

impl From<io::Error> for Denied {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Invalid => (StatusCode::FORBIDDEN, "This link is not valid.\n"),
            Self::Expired => (StatusCode::GONE, "This link has expired.\n"),
            Self::Unknown => (StatusCode::NOT_FOUND, "There is no such image.\n"),
            Self::Gone => (StatusCode::GONE, "This image is gone.\n"),
            Self::Failed(error) => {
                tracing::error!(%error, "an image cannot be served");
                let message = "The image cannot be read now. Try again later.\n";
                (StatusCode::SERVICE_UNAVAILABLE, message)
            }
        };
        (status, [(header::CACHE_CONTROL, "no-store")], message).into_response()
    }
}

/// The media type to state and a file name that says nothing about the upload.
fn shown_as(media_type: &str) -> (&'static str, &'static str) {
    match media_type {
        "image/jpeg" => ("image/jpeg", "inline; filename=\"image.jpg\""),
        "image/png" => ("image/png", "inline; filename=\"image.png\""),
        "image/gif" => ("image/gif", "inline; filename=\"image.gif\""),
        "image/webp" => ("image/webp", "inline; filename=\"image.webp\""),
        _ => ("application/octet-stream", "inline; filename=\"image.bin\""),
    }
}

fn show(file: File, media_type: &str) -> io::Result<Response> {
    let length = HeaderValue::from(file.metadata()?.len());
    let (media_type, disposition) = shown_as(media_type);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CONTENT_LENGTH, length),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static(disposition),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("private")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; sandbox"),
        ),
    ];
    let chunks = stream::try_unfold(file, |file| async move {
        tokio::task::spawn_blocking(move || next_chunk(file)).await?
    });
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// The next bytes of a file; none at its end.
fn next_chunk(mut file: File) -> io::Result<Option<(Bytes, File)>> {
    let mut chunk = Vec::with_capacity(CHUNK);
    (&mut file).take(CHUNK as u64).read_to_end(&mut chunk)?;
    Ok((!chunk.is_empty()).then(|| (chunk.into(), file)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::io::Write as _;
    use std::net::{SocketAddr, TcpStream};

    use quorate_core::ports::Objects as _;
    use quorate_core::state::{Content, Image, Kind};
    use quorate_core::time::Timestamp;

    use super::*;
    use crate::ledger::SqliteLedger;

    const NOW: Timestamp = Timestamp(1_767_268_800_000);
    const KEY: &str = "cells/golden/cat/a b+%.jpg";

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            NOW
        }
    }

    /// A server with one image, and the file that the image was.
    struct Server {
        folder: tempfile::TempDir,
        address: SocketAddr,
        ledger: Arc<SqliteLedger>,
        uploads: Folder,
        links: LinkSigner,
        image: Image,
        bytes: Vec<u8>,
    }

    fn cells() -> CampaignName {
        "cells".parse().unwrap()
    }

    async fn server() -> Server {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        let uploads = Folder::keeping("uploads", &base.join("up"), &base.join("kept")).unwrap();
        let bytes: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        uploads.put(KEY, &bytes).await.unwrap();
        let version = uploads.head(KEY).await.unwrap().unwrap().version;
        uploads.get(KEY, &version, u64::MAX).await.unwrap().unwrap();

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let keys = BTreeMap::from([("k1".to_owned(), vec![7; 32])]);
        let links = LinkSigner::new(&format!("http://{address}"), keys).unwrap();
        let ledger = Arc::new(SqliteLedger::in_memory().unwrap());
        let app = routes(
            Arc::clone(&ledger),
            uploads.clone(),
            links.clone(),
            Arc::new(Stopped),
        );
        tokio::spawn(async move { axum::serve(listener, app).await });
        let mut server = Server {
            folder,
            address,
            ledger,
            uploads,
            links,
            image: image(&version, "image/png"),
            bytes,
        };
        server.image = server.ledger.add_control(&server.image).await.unwrap();
        server
    }

    fn image(version: &str, media_type: &str) -> Image {
        Image {
            id: ImageId::of_object("uploads", KEY, version),
            campaign: cells(),
            key: KEY.to_owned(),
            version: version.to_owned(),
            row: None,
            kind: Kind::Golden,
            content: Content::Picture,
            known: Some("cat".to_owned()),
            sha256: media_type.to_owned(),
            media_type: media_type.to_owned(),
            same_as: None,
        }
    }

    struct Answer {
        status: u16,
        head: String,
        body: Vec<u8>,
    }

    impl Server {
        /// The path and query of a link to an image for a minute from now on.
        fn link(&self, image: ImageId) -> String {
            let expires = Timestamp(NOW.0 + 60_000);
            self.path(&self.links.link(&cells(), image, KEY, expires))
        }

        fn path(&self, link: &str) -> String {
            let base = format!("http://{}", self.address);
            link.strip_prefix(&base).unwrap().to_owned()
        }

        async fn get(&self, path: &str) -> Answer {
            self.ask("GET", path).await
        }

        async fn ask(&self, method: &str, path: &str) -> Answer {
            let address = self.address;
            let request =
                format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let answer = tokio::task::spawn_blocking(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(request.as_bytes()).unwrap();
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).unwrap();
                answer
            });
            let answer = answer.await.unwrap();
            let end = answer
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
                .unwrap();
            let head = String::from_utf8(answer[..end].to_vec()).unwrap();
            Answer {
                status: head[9..12].parse().unwrap(),
                head: head.to_ascii_lowercase(),
                body: answer[end + 4..].to_vec(),
            }
        }
    }

    #[tokio::test]
    async fn a_link_shows_its_image_and_nothing_else_can_be_made_of_it() {
        let server = server().await;
        let answer = server.get(&server.link(server.image.id)).await;
        assert_eq!(answer.status, 200, "{}", answer.head);
        assert_eq!(answer.body, server.bytes);
        for header in [
            "content-type: image/png",
            "content-length: 200000",
            "content-disposition: inline; filename=\"image.png\"",
            "x-content-type-options: nosniff",
            "cache-control: private",
            "content-security-policy: default-src 'none'; sandbox",
        ] {
            assert!(answer.head.contains(header), "{header} in {}", answer.head);
        }
        let head = server.ask("HEAD", &server.link(server.image.id)).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
    }

    #[tokio::test]
    async fn what_was_admitted_is_shown_after_the_file_changed() {
        let server = server().await;
        let link = server.link(server.image.id);
        server.uploads.put(KEY, b"<script>").await.unwrap();
        assert_eq!(server.get(&link).await.body, server.bytes);
        fs::remove_dir_all(server.folder.path().join("up")).unwrap();
        assert_eq!(server.get(&link).await.body, server.bytes);
        fs::remove_dir_all(server.folder.path().join("kept")).unwrap();
        assert_eq!(server.get(&link).await.status, 410);
    }

    #[tokio::test]
    async fn only_a_valid_link_opens_an_image() {
        let server = server().await;
        let id = server.image.id;
        let link = server.link(id);
        let other = ImageId::of_object("uploads", "other", "v");
        let (path, query) = link.split_once('?').unwrap();
        for bad in [
            path.to_owned(),
            format!("{path}?{}", query.replace("key=k1", "key=k2")),
            format!("{path}?{}", query.replace("expires=1", "expires=2")),
            format!("{path}?{}", query.replace("signature=", "signature=00")),
            link.replace("/images/cells/", "/images/birds/"),
            link.replace("/images/cells/", "/images/CELLS/"),
            link.replace(&id.to_string(), &other.to_string()),
            link.replace(&id.to_string(), "..%2f..%2fsecret"),
        ] {
            let answer = server.get(&bad).await;
            assert_eq!(answer.status, 403, "{bad}");
            assert_eq!(answer.body, b"This link is not valid.\n");
        }
        // The name in it is for people.
        let renamed = link.replace("a%20b", "%2F..");
        assert_eq!(server.get(&renamed).await.body, server.bytes);
    }

    #[tokio::test]
    async fn expired_links_and_unknown_images_say_so() {
        let server = server().await;
        let expired = server.links.link(&cells(), server.image.id, KEY, NOW);
        assert_eq!(server.get(&server.path(&expired)).await.status, 410);
        let unknown = ImageId::of_object("uploads", "unknown", "v");
        assert_eq!(server.get(&server.link(unknown)).await.status, 404);
        // A link that is signed for one campaign shows no image of another.
        let birds: CampaignName = "birds".parse().unwrap();
        let expires = Timestamp(NOW.0 + 60_000);
        let link = server.links.link(&birds, server.image.id, KEY, expires);
        assert_eq!(server.get(&server.path(&link)).await.status, 404);
    }

    #[tokio::test]
    async fn what_is_no_image_type_is_not_shown_as_one() {
        let server = server().await;
        let version = &server.image.version;
        let html = Image {
            id: ImageId::of_object("uploads", "html", version),
            ..image(version, "text/html")
        };
        server.ledger.add_control(&html).await.unwrap();
        let answer = server.get(&server.link(html.id)).await;
        assert_eq!(answer.status, 200);
        assert!(
            answer
                .head
                .contains("content-type: application/octet-stream")
        );
    }
}
