//! Lists: one page, or a stream over all pages.

use std::collections::VecDeque;

use futures_util::stream::{self, Stream};
use reqwest::Method;
use serde::de::DeserializeOwned;

use super::{
    Client,
    query::{Paged, Pairs, Query},
    transport::Request,
};
use crate::{Error, error::Call, types::Page};

/// How many objects a stream asks for at a time unless the query says otherwise.
pub(super) const STREAM_PAGE: u32 = 1_000;

impl Client {
    /// One page of the list `name`.
    pub(super) async fn find<Q: Query, T: DeserializeOwned>(
        &self,
        name: &'static str,
        query: &Q,
    ) -> Result<Page<T>, Error> {
        self.find_in(&["v1", name], query.pairs()).await
    }

    /// One page of the list at `path`.
    pub(super) async fn find_in<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: Pairs,
    ) -> Result<Page<T>, Error> {
        let request = Request::get(path.iter().copied()).query(query);
        self.send(request).await?.json()
    }

    /// All pages of the list `name`, by id; `largest_page` is the most that the platform gives.
    pub(super) fn stream<Q, T>(
        &self,
        name: &'static str,
        largest_page: u32,
        query: Q,
        id: fn(&T) -> &str,
    ) -> impl Stream<Item = Result<T, Error>> + Send + use<Q, T>
    where
        Q: Paged,
        T: DeserializeOwned + Send,
    {
        self.stream_in(
            vec!["v1".to_owned(), name.to_owned()],
            largest_page,
            query,
            id,
        )
    }

    /// All pages of the list at `path`, by the key that `key` reads.
    pub(super) fn stream_in<Q, T>(
        &self,
        path: Vec<String>,
        largest_page: u32,
        query: Q,
        key: fn(&T) -> &str,
    ) -> impl Stream<Item = Result<T, Error>> + Send + use<Q, T>
    where
        Q: Paged,
        T: DeserializeOwned + Send,
    {
        let walk = Walk {
            client: self.clone(),
            path,
            query,
            last: None,
            items: VecDeque::new(),
            done: false,
        };
        stream::try_unfold(walk, move |mut walk| async move {
            while walk.items.is_empty() && !walk.done {
                walk.query
                    .page_after(walk.last.clone(), largest_page.min(STREAM_PAGE));
                let path: Vec<_> = walk.path.iter().map(String::as_str).collect();
                let page = walk.client.find_in(&path, walk.query.pairs()).await?;
                walk.take(page, key)?;
            }
            Ok(walk.items.pop_front().map(|item| (item, walk)))
        })
    }
}

/// How far a stream has come.
struct Walk<Q, T> {
    client: Client,
    path: Vec<String>,
    query: Q,
    last: Option<String>,
    items: VecDeque<T>,
    done: bool,
}

impl<Q, T> Walk<Q, T> {
    /// Takes over a page. A list that does not move on would be asked for for ever.
    fn take(&mut self, page: Page<T>, key: fn(&T) -> &str) -> Result<(), Error> {
        let last = page.items.last().map(|item| key(item).to_owned());
        if page.has_more && (last.is_none() || last == self.last) {
            return Err(stuck(&self.path.join("/")));
        }
        self.done = !page.has_more;
        self.last = last;
        self.items = page.items.into();
        Ok(())
    }
}

/// A list that says that it has more, and gives the same page again.
pub(super) fn stuck(path: &str) -> Error {
    Error::Decode {
        call: Call {
            method: Method::GET,
            path: format!("/api/{path}"),
        },
        at: "has_more".into(),
        reason: "the list has more, but this page does not go beyond the one before".into(),
    }
}
