//! Message threads with workers.

use futures_util::Stream;

use super::{Client, MessageThreadQuery, transport::Request};
use crate::{
    Error, limits,
    types::{
        ComposeMessage, Folder, LocalizedText, MessageFolders, MessageThread, Page, ReplyMessage,
    },
};

impl Client {
    /// Begins a thread. Not repeated after a lost answer: workers would get it twice.
    ///
    /// # Errors
    /// [`Error::Validation`] names the fields that the platform refuses;
    /// [`INCORRECT_RECIPIENTS`](crate::codes::INCORRECT_RECIPIENTS) when it knows none of the
    /// workers.
    pub async fn compose_message_thread(
        &self,
        message: &ComposeMessage,
    ) -> Result<MessageThread, Error> {
        self.send(Request::post(["v1", "message-threads", "compose"]).json(message)?)
            .await?
            .json()
    }

    /// Answers in a thread. Not repeated after a lost answer.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such thread.
    pub async fn reply_message_thread(
        &self,
        thread_id: &str,
        text: LocalizedText,
    ) -> Result<MessageThread, Error> {
        let reply = ReplyMessage {
            text,
            ..ReplyMessage::default()
        };
        self.send(Request::post(["v1", "message-threads", thread_id, "reply"]).json(&reply)?)
            .await?
            .json()
    }

    /// Puts a thread into folders, beside those that it lies in.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such thread.
    pub async fn add_message_thread_to_folders(
        &self,
        thread_id: &str,
        folders: &[Folder],
    ) -> Result<MessageThread, Error> {
        self.file_thread(thread_id, "add-to-folders", folders).await
    }

    /// Takes a thread out of folders.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such thread.
    pub async fn remove_message_thread_from_folders(
        &self,
        thread_id: &str,
        folders: &[Folder],
    ) -> Result<MessageThread, Error> {
        self.file_thread(thread_id, "remove-from-folders", folders)
            .await
    }

    /// Files a thread, which may be done twice.
    async fn file_thread(
        &self,
        thread_id: &str,
        action: &str,
        folders: &[Folder],
    ) -> Result<MessageThread, Error> {
        let folders = MessageFolders {
            folders: folders.to_vec(),
            ..MessageFolders::default()
        };
        let request = Request::post(["v1", "message-threads", thread_id, action]).repeatable();
        self.send(request.json(&folders)?).await?.json()
    }

    /// One page of message threads.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn find_message_threads(
        &self,
        query: &MessageThreadQuery,
    ) -> Result<Page<MessageThread>, Error> {
        self.find("message-threads", query).await
    }

    /// All message threads that match, page by page, by id.
    pub fn message_threads(
        &self,
        query: MessageThreadQuery,
    ) -> impl Stream<Item = Result<MessageThread, Error>> + Send + use<> {
        self.stream(
            "message-threads",
            limits::MESSAGE_THREAD_PAGE,
            query,
            |item: &MessageThread| &item.id,
        )
    }
}
