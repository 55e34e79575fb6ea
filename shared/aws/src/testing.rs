//! A service on loopback in the place of AWS, for tests of what goes over the wire.

use axum::Router;
use tokio::net::TcpListener;

use crate::config::Account;
use crate::connection::Connection;

/// Serves `router` as all of AWS until the test ends; the connection leads there.
pub(crate) async fn connect(router: Router) -> Connection {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(tokio::spawn(async move {
        axum::serve(listener, router).await.unwrap();
    }));
    Connection::open(Account {
        region: "eu-west-1".to_owned(),
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: "hush".into(),
        session_token: None,
        endpoint: Some(endpoint),
    })
    .unwrap()
}
