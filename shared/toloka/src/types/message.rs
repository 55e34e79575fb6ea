//! Message threads: what the requester and workers write to each other.

use serde::{Deserialize, Serialize};

use super::{Filter, LocalizedText, Time, Values, open_enum::open_enum};

/// A conversation with one worker, or one message to many.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MessageThread {
    /// The thread.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// The thread that was sent to many workers, of which this one is a worker's copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// What it is about.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub topic: LocalizedText,
    /// Whether `interlocutors` names all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interlocutors_inlined: Option<bool>,
    /// Who takes part, by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interlocutors: Option<Vec<Interlocutor>>,
    /// Whether `messages` holds all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_inlined: Option<bool>,
    /// The messages, new ones first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<Message>>,
    /// Threads that the requester began: to whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compose_details: Option<ComposeDetails>,
    /// The work that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<MessageMeta>,
    /// The folders that it lies in.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub folders: Vec<Folder>,
    /// Whether workers may answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answerable: Option<bool>,
    /// When it was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// Who takes part in a thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interlocutor {
    /// The worker or requester.
    #[serde(
        default,
        deserialize_with = "super::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub id: String,
    /// In which role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<InterlocutorRole>,
    /// Whether that is the requester who asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub myself: Option<bool>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// The role of somebody in a thread.
    InterlocutorRole {
        /// A worker.
        User = "USER",
        /// A requester.
        Requester = "REQUESTER",
        /// The platform's staff.
        Administrator = "ADMINISTRATOR",
        /// The platform itself.
        System = "SYSTEM",
    }
}

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The text.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub text: LocalizedText,
    /// Who wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Interlocutor>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// To whom a thread was sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ComposeDetails {
    /// How the workers were chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients_select_type: Option<RecipientsSelectType>,
    /// The workers, with `DIRECT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients_ids: Option<Vec<String>>,
    /// Which workers, with `FILTER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients_filter: Option<Filter>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// The work that a thread is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MessageMeta {
    /// The pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_id: Option<String>,
    /// The project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The assignment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignment_id: Option<String>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

open_enum! {
    /// A folder of message threads.
    Folder {
        /// Written by workers.
        Inbox = "INBOX",
        /// Written by the requester.
        Outbox = "OUTBOX",
        /// Written by the platform.
        AutomaticNotification = "AUTOMATIC_NOTIFICATION",
        /// Marked by the requester.
        Important = "IMPORTANT",
        /// Not read yet.
        Unread = "UNREAD",
    }
}

open_enum! {
    /// How the workers are chosen who get a message.
    RecipientsSelectType {
        /// By name, up to 100.
        Direct = "DIRECT",
        /// By a filter.
        Filter = "FILTER",
        /// Everybody who ever worked for the requester.
        All = "ALL",
    }
}

/// Begins a thread. [`ComposeMessage::direct`], [`ComposeMessage::filtered`] and
/// [`ComposeMessage::to_all`] choose the workers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ComposeMessage {
    /// What it is about.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub topic: LocalizedText,
    /// The message.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub text: LocalizedText,
    /// Whether workers may answer; true when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answerable: Option<bool>,
    /// How the workers are chosen. Required by the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients_select_type: Option<RecipientsSelectType>,
    /// The workers, with `DIRECT`; up to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients_ids: Option<Vec<String>>,
    /// Which workers, with `FILTER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients_filter: Option<Filter>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

impl ComposeMessage {
    /// A message to these workers, up to 100.
    pub fn direct<S: Into<String>>(
        topic: LocalizedText,
        text: LocalizedText,
        user_ids: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            recipients_ids: Some(user_ids.into_iter().map(Into::into).collect()),
            ..Self::new(topic, text, RecipientsSelectType::Direct)
        }
    }

    /// A message to the workers who pass a filter.
    #[must_use]
    pub fn filtered(topic: LocalizedText, text: LocalizedText, filter: Filter) -> Self {
        Self {
            recipients_filter: Some(filter),
            ..Self::new(topic, text, RecipientsSelectType::Filter)
        }
    }

    /// A message to everybody who ever worked for the requester; one a day.
    #[must_use]
    pub fn to_all(topic: LocalizedText, text: LocalizedText) -> Self {
        Self::new(topic, text, RecipientsSelectType::All)
    }

    fn new(topic: LocalizedText, text: LocalizedText, select: RecipientsSelectType) -> Self {
        Self {
            topic,
            text,
            recipients_select_type: Some(select),
            ..Self::default()
        }
    }
}

/// Answers in a thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplyMessage {
    /// The message.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub text: LocalizedText,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}

/// Folders that a thread is put into or taken out of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MessageFolders {
    /// The folders.
    #[serde(default, deserialize_with = "super::null_as_default")]
    pub folders: Vec<Folder>,
    /// Fields that this version does not know, kept as they came.
    #[serde(flatten)]
    pub other: Values,
}
