//! What every request has in common: who asks, the body, the parameters, the answer.

use std::net::IpAddr;

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{StatusCode, header, request::Parts, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, Result},
    ids,
    list::Params,
    model::WorkerRow,
    platform::Platform,
    store::Db,
};

/// The largest body that is read.
pub(crate) const MOST_BODY_BYTES: usize = 32 * 1024 * 1024;

/// The largest body that describes one object, and the most JSON values in it. It is read again
/// whenever the object is used.
const FORM: Most = Most {
    bytes: 2 * 1024 * 1024,
    values: 100_000,
};

/// The same of a body that holds many objects or answers. A few bytes become a value of hundreds.
const BATCH: Most = Most {
    bytes: MOST_BODY_BYTES,
    values: 500_000,
};

/// How deep values may be within each other. Texts of 128 levels can be read, and what is stored is
/// read again inside of other values, such as the log of an operation.
const MOST_LEVELS: usize = 100;

/// How large a body may be.
struct Most {
    bytes: usize,
    values: usize,
}

/// The longest path and query together, far above what any client of the API sends.
const MOST_URI_BYTES: usize = 16 * 1024;

/// What a handler returns.
pub(crate) type Answer = Result<Response>;

/// Refuses addresses that are too long to be any.
pub(crate) async fn bound_uri(request: Request, next: Next) -> Response {
    let uri = request.uri();
    if uri.path().len() + uri.query().map_or(0, str::len) > MOST_URI_BYTES {
        return Error::uri_too_long(MOST_URI_BYTES).into_response();
    }
    next.run(request).await
}

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, body: impl Serialize) -> Response {
    (status, Json(body)).into_response()
}

/// 200 with a JSON body.
pub(crate) fn ok(body: impl Serialize) -> Response {
    json(StatusCode::OK, body)
}

/// The account of the requester who asks.
#[derive(Clone, Debug)]
pub(crate) struct Requester(pub(crate) String);

impl FromRequestParts<Platform> for Requester {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, platform: &Platform) -> Result<Self> {
        let (scheme, key) = credentials(parts)?;
        if !scheme.eq_ignore_ascii_case("ApiKey") && !scheme.eq_ignore_ascii_case("OAuth") {
            return Err(Error::authentication(
                "Send `Authorization: ApiKey <key>` or `OAuth <token>`",
            ));
        }
        if !platform.settings().has_keys() && !is_for_this_machine(parts) {
            return Err(Error::authentication(
                "Without configured keys the requester API answers only to this machine's own name",
            ));
        }
        platform
            .settings()
            .account(key)
            .map(Self)
            .ok_or_else(|| Error::authentication("No account has this key"))
    }
}

/// Who may read the platform's metrics: a requester, or without keys anybody on this machine.
pub(crate) struct Watcher;

impl FromRequestParts<Platform> for Watcher {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, platform: &Platform) -> Result<Self> {
        if platform.settings().has_keys() || !is_for_this_machine(parts) {
            Requester::from_request_parts(parts, platform).await?;
        }
        Ok(Self)
    }
}

/// Whether the request was sent to a loopback name. A web page that makes its own name point here
/// (DNS rebinding) sends that name.
fn is_for_this_machine(parts: &Parts) -> bool {
    let host = parts
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .and_then(|host| host.parse::<Authority>().ok());
    host.is_some_and(|host| {
        let name = host.host();
        let name = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
            .unwrap_or(name);
        name.eq_ignore_ascii_case("localhost")
            || name
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}

/// A worker's token, not looked at yet.
#[derive(Clone)]
pub(crate) struct WorkerToken(String);

impl FromRequestParts<Platform> for WorkerToken {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &Platform) -> Result<Self> {
        match credentials(parts)? {
            (scheme, token) if scheme.eq_ignore_ascii_case("Worker") => Ok(Self(token.to_owned())),
            _ => Err(Error::authentication(
                "Send `Authorization: Worker <token>`; sign in for a token",
            )),
        }
    }
}

impl WorkerToken {
    /// The worker who signed in with this token.
    pub(crate) fn worker(&self, db: &Db<'_>) -> Result<WorkerRow> {
        let wrong = || Error::authentication("The token is not valid; sign in again");
        let (id, _) = self.0.split_once('.').ok_or_else(wrong)?;
        let worker = db.find_worker(id)?.ok_or_else(wrong)?;
        let token = ids::token(&db.settings.secret, &worker.id, &worker.salt);
        if ids::same_secret(&token, &self.0) {
            Ok(worker)
        } else {
            Err(wrong())
        }
    }
}

/// Scheme and secret of the `Authorization` header.
fn credentials(parts: &Parts) -> Result<(&str, &str)> {
    parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.trim().split_once(' '))
        .map(|(scheme, secret)| (scheme, secret.trim()))
        .filter(|(_, secret)| !secret.is_empty())
        .ok_or_else(|| Error::authentication("The Authorization header is missing or empty"))
}

/// The body of a request.
pub(crate) struct Body(Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        Bytes::from_request(request, state)
            .await
            .map(Self)
            .map_err(|rejection| {
                if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                    Error::too_large("The body is larger than anything that is sent here")
                } else {
                    Error::body("The body could not be read")
                }
            })
    }
}

impl Body {
    /// The body as it came.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The body as it came.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads the body, which describes one object, as JSON; an error names the field.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        self.read(&FORM)
    }

    /// Reads the body, which holds many objects, as JSON; an error names the field.
    pub(crate) fn parse_batch<T: DeserializeOwned>(&self) -> Result<T> {
        self.read(&BATCH)
    }

    fn read<T: DeserializeOwned>(&self, most: &Most) -> Result<T> {
        if self.0.len() > most.bytes {
            let message = format!("The body is larger than {} bytes", most.bytes);
            return Err(Error::too_large(message));
        }
        let (values, levels) = count(&self.0);
        if values > most.values {
            let message = format!("The body holds more than {} values", most.values);
            return Err(Error::too_large(message));
        }
        if levels > MOST_LEVELS {
            let message = format!("The body has values more than {MOST_LEVELS} levels deep");
            return Err(Error::body(message));
        }
        let mut json = serde_json::Deserializer::from_slice(&self.0);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            if path == "." {
                Error::body(format!(
                    "The body is not what was expected: {}",
                    error.inner()
                ))
            } else {
                Error::field(&path, "INVALID_VALUE", error.inner().to_string())
            }
        })?;
        json.end()
            .map_err(|_| Error::body("Something follows the JSON value in the body"))?;
        Ok(value)
    }
}

/// About how many values JSON text holds (each begins it, an array or object, or follows a comma),
/// and how many levels of arrays and objects.
fn count(json: &[u8]) -> (usize, usize) {
    let (mut values, mut level, mut levels) = (1, 0_usize, 0);
    let (mut within_text, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = within_text,
            b'"' => within_text = !within_text,
            _ if within_text => {}
            b',' => values += 1,
            b'[' | b'{' => {
                values += 1;
                level += 1;
                levels = levels.max(level);
            }
            b']' | b'}' => level = level.saturating_sub(1),
            _ => {}
        }
    }
    (values, levels)
}

/// The id in a request's path.
pub(crate) struct Id(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        axum::extract::Path::<String>::from_request_parts(parts, state)
            .await
            .map(|path| Self(path.0))
            .map_err(|_| Error::body("The id in the path is not valid text"))
    }
}

/// The query parameters; of a repeated one the last counts.
pub(crate) struct Query(pub(crate) Params);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|query: axum::extract::Query<Params>| Self(query.0))
            .map_err(|_| Error::body("The query parameters could not be read"))
    }
}

impl Query {
    /// A flag; false when absent.
    pub(crate) fn flag(&self, name: &str) -> Result<bool> {
        match self
            .0
            .get(name)
            .map(|value| value.to_ascii_lowercase())
            .as_deref()
        {
            None | Some("" | "false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Error::field(
                name,
                "BOOLEAN_EXPECTED",
                format!("{name} must be true or false"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn values_and_levels_are_counted_and_texts_are_one_value() {
        for (json, values, levels) in [
            ("1", 1, 0),
            ("[1, 2, 3]", 4, 1),
            ("[[], [[]], []]", 8, 3),
            (r#"{"a": [1, {"b": 2}], "c": "[,{"}"#, 6, 3),
            (r#"["\"[,", "\\\\", 3]"#, 4, 1),
            ("]]}}[", 2, 1),
        ] {
            assert_eq!(count(json.as_bytes()), (values, levels), "{json}");
        }
    }
}
