//! What the client signs in with, and where it gets another key from when that is refused.

use std::sync::{PoisonError, RwLock};

use futures_util::future::BoxFuture;
use reqwest::header::HeaderValue;

use super::builder::header;
use crate::{Error, Secret};

/// Answers a refused secret with another one, if there is another one.
pub(super) type Renew = Box<dyn Fn(Secret) -> BoxFuture<'static, Option<Secret>> + Send + Sync>;

pub(super) struct Credentials {
    scheme: &'static str,
    current: RwLock<Secret>,
    renew: Option<Renew>,
}

impl Credentials {
    pub(super) fn new(
        scheme: &'static str,
        secret: Secret,
        renew: Option<Renew>,
    ) -> Result<Self, Error> {
        let credentials = Self {
            scheme,
            current: RwLock::new(secret.clone()),
            renew,
        };
        credentials.header(&secret)?;
        Ok(credentials)
    }

    pub(super) fn current(&self) -> Secret {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The value of the `Authorization` header.
    pub(super) fn header(&self, secret: &Secret) -> Result<HeaderValue, Error> {
        let (scheme, secret) = (self.scheme, secret.expose().trim());
        if secret.is_empty() {
            return Err(Error::Usage(format!("the {scheme} is empty")));
        }
        let mut value = header("credentials", &format!("{scheme} {secret}"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Another secret than the `refused` one, from now on the current one.
    pub(super) async fn other_than(&self, refused: &Secret) -> Option<Secret> {
        let current = self.current();
        if current != *refused {
            // Another request was refused before this one and has asked already.
            return Some(current);
        }
        let renew = self.renew.as_ref()?;
        let other = renew(current).await.filter(|other| other != refused)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = other.clone();
        Some(other)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn requests_that_are_refused_with_the_same_key_ask_once() {
        let asked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&asked);
        let renew: Renew = Box::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::ready(Some("new".into())))
        });
        let old = Secret::from("old");
        let credentials = Credentials::new("ApiKey", old.clone(), Some(renew)).unwrap();
        assert_eq!(credentials.other_than(&old).await, Some("new".into()));
        assert_eq!(credentials.other_than(&old).await, Some("new".into()));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}
