//! Files that workers upload.

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use reqwest::{Response, header::CONTENT_TYPE};

use super::{
    AttachmentQuery, Client,
    transport::{Request, transport_error},
};
use crate::{
    Error,
    error::Call,
    limits,
    types::{Attachment, Page},
};

impl Client {
    /// Reads what the platform knows about a file.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn get_attachment(&self, attachment_id: &str) -> Result<Attachment, Error> {
        self.send(Request::get(["v1", "attachments", attachment_id]))
            .await?
            .json()
    }

    /// One page of files.
    ///
    /// # Errors
    /// [`Error::Validation`] when the query names neither pool nor assignment.
    pub async fn find_attachments(
        &self,
        query: &AttachmentQuery,
    ) -> Result<Page<Attachment>, Error> {
        self.find("attachments", query).await
    }

    /// All files that match, page by page, by id.
    pub fn attachments(
        &self,
        query: AttachmentQuery,
    ) -> impl Stream<Item = Result<Attachment, Error>> + Send + use<> {
        self.stream(
            "attachments",
            limits::ATTACHMENT_PAGE,
            query,
            |item: &Attachment| &item.id,
        )
    }

    /// Downloads a file, which is never in memory as a whole. A worker made it: trust neither its
    /// name nor its type nor what is in it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn download_attachment(&self, attachment_id: &str) -> Result<Download, Error> {
        let path = ["v1", "attachments", attachment_id, "download"];
        let (call, response) = self.download(Request::get(path)).await?;
        Ok(Download { call, response })
    }
}

/// A file that is being downloaded.
#[derive(Debug)]
pub struct Download {
    call: Call,
    response: Response,
}

impl Download {
    /// The media type that the platform says.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.response.headers().get(CONTENT_TYPE)?.to_str().ok()
    }

    /// The length in bytes, when the platform says it.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next piece; `None` after the last one.
    ///
    /// # Errors
    /// [`Error::Transport`] when the download breaks off; start again.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let chunk = self.response.chunk().await;
        chunk.map_err(|source| transport_error(self.call.clone(), source))
    }

    /// The pieces as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        stream::try_unfold(self, |mut download| async move {
            Ok(download.next_chunk().await?.map(|chunk| (chunk, download)))
        })
    }
}
