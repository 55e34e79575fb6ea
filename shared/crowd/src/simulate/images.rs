//! Opening the images that a task shows, as a browser would.

use std::collections::HashSet;
use std::net::IpAddr;

use reqwest::{Client, Url};
use serde_json::{Map, Value};

/// Most bytes read of one image: enough for any photograph, and no endless stream holds the crowd up.
const MAX_BYTES: usize = 32 << 20;

/// The images seen so far.
#[derive(Debug)]
pub(super) struct Images {
    http: Client,
    opened: HashSet<String>,
}

impl Images {
    pub(super) fn new(http: Client) -> Self {
        Self {
            http,
            opened: HashSet::new(),
        }
    }

    /// Opens every loopback URL among the input values; the statuses of those that did not open (0: no answer).
    /// Other hosts are never contacted: a simulation must not knock on the doors of strangers.
    pub(super) async fn open(&mut self, input: &Map<String, Value>) -> Vec<u16> {
        let mut failures = Vec::new();
        for text in input.values().filter_map(Value::as_str) {
            let Some(url) = Url::parse(text).ok().filter(is_loopback) else {
                continue;
            };
            if self.opened.contains(text) {
                continue;
            }
            match self.fetch(url).await {
                200 => drop(self.opened.insert(text.to_owned())),
                status => failures.push(status),
            }
        }
        failures
    }

    async fn fetch(&self, url: Url) -> u16 {
        let Ok(mut reply) = self.http.get(url).send().await else {
            return 0;
        };
        let mut bytes_left = MAX_BYTES;
        loop {
            match reply.chunk().await {
                Ok(Some(chunk)) if chunk.len() <= bytes_left => bytes_left -= chunk.len(),
                Ok(_) => return reply.status().as_u16(),
                Err(_) => return 0,
            }
        }
    }
}

/// An HTTP client that never leaves this machine by itself: no proxy, and redirects only to loopback addresses.
/// A redirect to elsewhere is not followed, so its status is the outcome.
pub(super) fn client() -> Result<Client, reqwest::Error> {
    let redirects = reqwest::redirect::Policy::custom(|attempt| {
        if attempt.previous().len() > 3 || !is_loopback(attempt.url()) {
            attempt.stop()
        } else {
            attempt.follow()
        }
    });
    let timeout = std::time::Duration::from_secs(30);
    quorate_toloka::http_builder()
        .no_proxy()
        .redirect(redirects)
        .timeout(timeout)
        .build()
}

/// Whether an address is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    url.scheme().starts_with("http")
        && (host == "localhost" || address.is_ok_and(|ip| ip.is_loopback()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::response::Redirect;
    use axum::routing::get;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn an_image_is_opened_once_and_failures_are_told_by_status() {
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        let image = get(move || async move {
            counter.fetch_add(1, Ordering::SeqCst);
            "pixels"
        });
        let elsewhere = get(|| async { Redirect::temporary("http://example.com/image") });
        let moved = get(|| async { Redirect::temporary("/image") });
        let routes = Router::new()
            .route("/image", image)
            .route("/elsewhere", elsewhere)
            .route("/moved", moved);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, routes).await });

        let mut images = Images::new(client().unwrap());
        let input =
            |path: &str| json!({"image": format!("http://{address}{path}"), "note": "a headline"});
        for (path, failures) in [
            ("/image", &[][..]),
            ("/missing", &[404]),
            ("/elsewhere", &[307]),
            ("/image", &[]),
        ] {
            assert_eq!(
                images.open(input(path).as_object().unwrap()).await,
                failures,
                "{path}"
            );
        }
        assert_eq!(requests.load(Ordering::SeqCst), 1);
        assert!(
            images
                .open(input("/moved").as_object().unwrap())
                .await
                .is_empty()
        );
        assert_eq!(
            requests.load(Ordering::SeqCst),
            2,
            "a redirect on this machine is followed"
        );
        server.abort();
        let _stopped = server.await;
        assert_eq!(images.open(input("/late").as_object().unwrap()).await, [0]);
    }

    #[test]
    fn only_loopback_addresses_are_opened() {
        let loopback = |text: &str| is_loopback(&Url::parse(text).unwrap());
        for yes in [
            "http://127.0.0.1:8080/a",
            "https://localhost/a",
            "http://[::1]:1/a",
            "http://127.9.9.9/",
        ] {
            assert!(loopback(yes), "{yes}");
        }
        for no in [
            "http://example.com/127.0.0.1",
            "http://127.0.0.1.example.com/",
            "http://localhost.example.com/",
            "ftp://127.0.0.1/",
            "http://10.0.0.1/",
            "http://127.0.0.1@example.com/",
        ] {
            assert!(!loopback(no), "{no}");
        }
    }
}
