//! Images for workers: [`quorate_core::serve`] over HTTP, with the bytes themselves.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use quorate_core::link::LinkSigner;
use quorate_core::ports::{Clock, Ledger};
use quorate_core::serve::{self, Denied, Shown};

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

/// The route `/images/{campaign}/{image}/{name}?expires=…&key=…&signature=…`. `uploads` must be a
/// folder that keeps versions.
///
/// Answers: 200 with the image, else what [`Denied::answer`] says.
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

/// A refusal on its way out.
struct Refusal(Denied);

async fn serve<L: Ledger, C: Clock>(
    State(images): State<Arc<Images<L, C>>>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let now = images.clock.now();
    let query = uri.query().unwrap_or_default();
    let image = serve::open(&*images.ledger, &images.links, now, uri.path(), query).await?;
    let file = images.uploads.open(&image.key, &image.version).await;
    let file = file.map_err(Denied::from)?.ok_or(Denied::Gone)?;
    Ok(show(file, Shown::of(&image))?)
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self(denied)
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self(Denied::Failed(error.to_string()))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, message) = self.0.answer();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CACHE_CONTROL, "no-store")], message).into_response()
    }
}

fn show(file: File, shown: Shown) -> io::Result<Response> {
    let length = HeaderValue::from(file.metadata()?.len());
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static(shown.media_type),
        ),
        (header::CONTENT_LENGTH, length),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static(shown.disposition),
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

    use quorate_core::campaign;
    use quorate_core::ids::{CampaignName, ImageId};
    use quorate_core::link;
    use quorate_core::ports::Objects as _;
    use quorate_core::state::{CampaignItem, Content, Image, Kind};
    use quorate_core::time::Timestamp;
    use rust_decimal::Decimal;

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
        let (root, kept) = (base.join("up"), base.join("kept"));
        let uploads =
            Folder::keeping("uploads", &root, &kept, quorate_crowd::Clock::real()).unwrap();
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
        server.define(1, "").await;
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
        /// Saves the campaign with `more` in its file.
        async fn define(&self, revision: u64, more: &str) {
            let text = format!("{more}\n{}", campaign::TEMPLATE);
            let texts = [Some(text.as_str()), None, None, None];
            let item = CampaignItem {
                name: cells(),
                campaign: campaign::of_files(texts, Decimal::ZERO).unwrap(),
                revision,
                setups: BTreeMap::new(),
                lease: None,
                swept: None,
                round: 0,
                committed: Decimal::ZERO,
            };
            self.ledger.save_campaign(&item).await.unwrap();
        }

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
    async fn a_campaign_ends_the_links_that_were_signed_before_an_instant() {
        let server = server().await;
        let signed = |signed: Timestamp| {
            let expires = signed.plus(link::VALIDITY);
            server.path(&server.links.link(&cells(), server.image.id, KEY, expires))
        };
        let (before, since) = (signed(Timestamp(NOW.0 - 1000)), signed(NOW));
        assert_eq!(server.get(&before).await.status, 200);
        // NOW.
        server.define(2, "links_since = 2026-01-01T12:00:00Z").await;
        let ended = server.get(&before).await;
        assert_eq!(
            (ended.status, ended.body.as_slice()),
            (410, &b"This link has expired.\n"[..])
        );
        assert_eq!(server.get(&since).await.status, 200);
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
