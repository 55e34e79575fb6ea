//! The page on which people work: one HTML file with its style and script inside, which speaks the worker API.
//!
//! Whatever a requester wrote (titles, instructions, view configs, inputs) is hostile to the worker who reads it. The
//! page builds every element itself, copies requester HTML through a list of harmless tags, and is served with a
//! content security policy that runs no script but its own, whose nonce is new for every reply, and that lets it talk
//! only to this server. Images may come from any host: that is what requesters ask people to look at.

use axum::Router;
use axum::http::header::{self, HeaderName};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use uuid::Uuid;

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The worker's page at `/` and `/work`; needs no state. An invitation may follow in the fragment
/// (`/#invite=CODE`): browsers do not send it, so that it stays out of logs.
pub fn routes() -> Router {
    Router::new()
        .route("/", get(page))
        .route("/work", get(page))
}

async fn page() -> impl IntoResponse {
    let nonce = Uuid::new_v4().simple().to_string();
    let headers: [(HeaderName, String); 6] = [
        (header::CONTENT_SECURITY_POLICY, policy(&nonce)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin".to_owned(),
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=()".to_owned(),
        ),
    ];
    (headers, Html(document(&nonce)))
}

fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src http: https: data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

fn document(nonce: &str) -> String {
    // The nonce goes in first, so that nothing in style or script can ask for it.
    HTML.replace("{{nonce}}", nonce)
        .replace("{{style}}", STYLE)
        .replace("{{script}}", SCRIPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fetch(path: &str) -> (String, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, routes()).await });
        let reply = quorate_toloka::http_builder()
            .build()
            .unwrap()
            .get(format!("http://{address}{path}"))
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
        let policy = reply.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .to_owned();
        let text = reply.text().await.unwrap();
        server.abort();
        (policy, text)
    }

    #[tokio::test]
    async fn the_policy_admits_the_script_of_this_reply_only() {
        let (policy, text) = fetch("/").await;
        let nonce = policy
            .split("script-src 'nonce-")
            .nth(1)
            .unwrap()
            .split('\'')
            .next()
            .unwrap()
            .to_owned();
        assert_eq!(
            text.matches(&format!("<script nonce=\"{nonce}\">")).count(),
            1
        );
        assert_eq!(text.matches("<script").count(), 1);
        assert_eq!(
            text.matches(&format!("<style nonce=\"{nonce}\">")).count(),
            1
        );
        assert!(!policy.contains("unsafe") && !policy.contains('*'));
        let (second, _) = fetch("/work").await;
        assert!(!second.contains(&nonce), "a nonce is used once");
    }

    #[test]
    fn the_page_is_complete_in_itself() {
        let page = document("n");
        assert!(!page.contains("{{"), "every placeholder is filled");
        for outside in [
            "src=\"http",
            "href=\"http",
            "@import",
            "url(",
            " onclick=",
            " onsubmit=",
            " style=\"",
        ] {
            assert!(!page.contains(outside), "{outside}");
        }
        // Text becomes markup nowhere: elements are made one by one.
        for parser in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "srcdoc",
        ] {
            assert!(!SCRIPT.contains(parser), "{parser}");
        }
    }
}
