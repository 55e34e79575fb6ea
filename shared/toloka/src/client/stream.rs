//! Lists: one page, or a stream over all pages.

use std::collections::VecDeque;

use futures_util::stream::{self, Stream};
use reqwest::Method;
use serde::de::DeserializeOwned;

use super::{Client, query::Query, transport::Request};
use crate::{Error, error::Call, types::Page};

/// How many objects a stream asks for at a time unless the query says otherwise.
const STREAM_PAGE: u32 = 1_000;

impl Client {
    /// One page of the list `name`.
    pub(super) async fn find<Q: Query, T: DeserializeOwned>(
        &self,
        name: &'static str,
        query: &Q,
    ) -> Result<Page<T>, Error> {
        self.send(Request::get(["v1", name]).query(query.pairs()))
            .await?
            .json()
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
        Q: Query,
        T: DeserializeOwned + Send,
    {
        let walk = Walk {
            client: self.clone(),
            name,
            query,
            last: None,
            items: VecDeque::new(),
            done: false,
        };
        stream::try_unfold(walk, move |mut walk| async move {
            while walk.items.is_empty() && !walk.done {
                walk.query
                    .page_after(walk.last.clone(), largest_page.min(STREAM_PAGE));
                let page = walk.client.find(walk.name, &walk.query).await?;
                walk.take(page, id)?;
            }
            Ok(walk.items.pop_front().map(|item| (item, walk)))
        })
    }
}

/// How far a stream has come.
struct Walk<Q, T> {
    client: Client,
    name: &'static str,
    query: Q,
    last: Option<String>,
    items: VecDeque<T>,
    done: bool,
}

impl<Q, T> Walk<Q, T> {
    /// Takes over a page. A list that does not move on would be asked for for ever.
    fn take(&mut self, page: Page<T>, id: fn(&T) -> &str) -> Result<(), Error> {
        let last = page.items.last().map(|item| id(item).to_owned());
        if page.has_more && (last.is_none() || last == self.last) {
            return Err(Error::Decode {
                call: Call {
                    method: Method::GET,
                    path: format!("/api/v1/{}", self.name),
                },
                at: "has_more".into(),
                reason: "the list has more, but this page does not go beyond the one before".into(),
            });
        }
        self.done = !page.has_more;
        self.last = last;
        self.items = page.items.into();
        Ok(())
    }
}
