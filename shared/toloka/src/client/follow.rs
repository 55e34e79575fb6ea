//! Following a list: what is new since the last look.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    time::Duration,
};

use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    AssignmentQuery, AttachmentQuery, Bounds, Client, MessageThreadQuery, OperationQuery,
    UserBonusQuery, UserRestrictionQuery, UserSkillQuery, WebhookQuery,
    query::{Pairs, Query as _},
    stream::{STREAM_PAGE, stuck},
};
use crate::{
    Error, limits,
    types::{
        Assignment, Attachment, MessageThread, Operation, Page, Time, UserBonus, UserRestriction,
        UserSkill, WebhookSubscription,
    },
};

/// How long a list may lag behind, unless [`Follow::window`] says otherwise: toloka-kit allows the
/// same.
pub const WINDOW: Duration = Duration::from_secs(60);

/// How far a list has been followed. Holds what was handed out of the window, and so grows with the
/// number of objects within it, not with the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The latest time of an object that was handed out; none before the first one.
    pub until: Option<Time>,
    /// The objects within the window that were handed out: their times and ids.
    #[serde(default)]
    pub seen: BTreeSet<(Time, String)>,
}

impl Cursor {
    /// Begins at a time, in place of the beginning of the list.
    #[must_use]
    pub fn since(time: Time) -> Self {
        Self {
            until: Some(time),
            seen: BTreeSet::new(),
        }
    }

    /// The time from which the list is asked for again.
    fn from(&self, window: Duration) -> Option<Time> {
        let from = self.until?.timestamp().checked_sub(window).ok()?;
        Some(from.into())
    }

    /// Notes that an object was handed out, and forgets what has left the window.
    fn note(&mut self, time: Time, id: String, window: Duration) {
        self.until = self.until.max(Some(time));
        self.seen.insert((time, id));
        let Some(from) = self.from(window) else {
            return;
        };
        while self.seen.first().is_some_and(|(time, _)| *time < from) {
            self.seen.pop_first();
        }
    }
}

/// A time by which the list of `Q` can be followed, such as [`AssignmentQuery::SUBMITTED`].
pub struct TimeKey<Q, T> {
    list: &'static str,
    name: &'static str,
    largest_page: u32,
    /// The query's bounds of this time.
    bounds: fn(&mut Q) -> &mut Bounds<Time>,
    /// The query's order and length of a page.
    page: fn(&mut Q) -> (&mut Option<String>, &mut Option<u32>),
    pairs: fn(&Q) -> Pairs,
    id: fn(&T) -> &str,
    time: fn(&T) -> Option<Time>,
}

impl<Q, T> fmt::Debug for TimeKey<Q, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.list, self.name)
    }
}

/// The times of a list: query, objects, name, largest page, and each time with its field.
macro_rules! time_keys {
    ($query:ident, $item:ident, $list:literal, $largest_page:expr; $($(#[$doc:meta])+ $key:ident = $field:ident),+ $(,)?) => {
        impl $query {
            $($(#[$doc])+
            pub const $key: TimeKey<Self, $item> = TimeKey {
                list: $list,
                name: stringify!($field),
                largest_page: $largest_page,
                bounds: |query| &mut query.$field,
                page: |query| (&mut query.sort, &mut query.limit),
                pairs: |query| query.pairs(),
                id: |item| &item.id,
                time: |item| item.$field,
            };)+
        }
    };
}

time_keys! { AssignmentQuery, Assignment, "assignments", limits::WORK_PAGE;
    /// Assignments as workers take them.
    CREATED = created,
    /// Assignments as workers submit them.
    SUBMITTED = submitted,
    /// Assignments as they are accepted.
    ACCEPTED = accepted,
    /// Assignments as they are rejected.
    REJECTED = rejected,
    /// Assignments as workers skip them.
    SKIPPED = skipped,
    /// Assignments as they run out of time.
    EXPIRED = expired,
}

time_keys! { UserSkillQuery, UserSkill, "user-skills", limits::USER_SKILL_PAGE;
    /// Workers' skills as they are set first.
    CREATED = created,
    /// Workers' skills as they change; each change counts.
    MODIFIED = modified,
}

time_keys! { UserRestrictionQuery, UserRestriction, "user-restrictions", limits::RESTRICTION_PAGE;
    /// Restrictions as they are made.
    CREATED = created,
}

time_keys! { UserBonusQuery, UserBonus, "user-bonuses", limits::BONUS_PAGE;
    /// Bonuses as they are paid.
    CREATED = created,
}

time_keys! { AttachmentQuery, Attachment, "attachments", limits::ATTACHMENT_PAGE;
    /// Files as workers upload them.
    CREATED = created,
}

time_keys! { MessageThreadQuery, MessageThread, "message-threads", limits::MESSAGE_THREAD_PAGE;
    /// Message threads as they begin.
    CREATED = created,
}

time_keys! { OperationQuery, Operation, "operations", limits::OPERATION_PAGE;
    /// Operations as they are asked for.
    SUBMITTED = submitted,
    /// Operations as they end.
    FINISHED = finished,
}

time_keys! { WebhookQuery, WebhookSubscription, "webhook-subscriptions", limits::WEBHOOK_PAGE;
    /// Subscriptions as they are made.
    CREATED = created,
}

impl Client {
    /// Follows a list by a time, from `cursor` on. See [`Follow`].
    pub fn follow<Q, T>(&self, query: Q, key: TimeKey<Q, T>, cursor: Cursor) -> Follow<Q, T> {
        Follow {
            client: self.clone(),
            query,
            key,
            window: WINDOW,
            cursor,
            items: VecDeque::new(),
            look: Some(Look::default()),
        }
    }
}

/// A list that is followed: what is new since the last look, each object once.
///
/// The platform's lists lag behind: an object can show up in a list after others that happened
/// later. Whoever asks only for what is newer than the newest object seen so far loses it. This
/// therefore asks again for a while before that time, the *window*, and drops what it has handed
/// out already.
///
/// How far it has come is a [`Cursor`], which can be stored and taken up by another process, so
/// that a function that runs once a minute follows a list as well as a program that stays. Store it
/// after the objects are dealt with: an object is then handed out again rather than lost when the
/// process dies in between.
///
/// ```no_run
/// use quorate_toloka::{AssignmentQuery, Client, Cursor};
///
/// # async fn example(client: Client, stored: Cursor) -> Result<Cursor, quorate_toloka::Error> {
/// let query = AssignmentQuery::pool("36502086");
/// let mut submitted = client.follow(query, AssignmentQuery::SUBMITTED, stored);
/// while let Some(assignment) = submitted.next().await? {
///     println!("{} is new", assignment.id);
/// }
/// // Nothing more for now. Store the cursor, or wait a while and ask `next` again.
/// # Ok(submitted.into_cursor())
/// # }
/// ```
///
/// Objects come in the order of the time, those that show up late after the others; what shows up
/// later than the window is missed. A request is sent when nothing is left to hand out, and nothing
/// ever waits.
#[derive(Debug)]
#[must_use = "it does nothing until it is asked for the next object"]
pub struct Follow<Q, T> {
    client: Client,
    query: Q,
    key: TimeKey<Q, T>,
    window: Duration,
    cursor: Cursor,
    /// Objects of the page that are new, with their times.
    items: VecDeque<(Time, T)>,
    /// The page to ask for; none when the list has ended.
    look: Option<Look>,
}

/// The page to ask for.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    /// From this time on; by the cursor when there is none.
    from: Option<Time>,
    /// So many objects, when the usual number is too small.
    limit: Option<u32>,
}

impl<Q: Clone, T: DeserializeOwned> Follow<Q, T> {
    /// How far back to ask again; [`WINDOW`] unless it is called.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// The next new object; `None` when there is none for now. Asking again after that looks again,
    /// from the window before the last object on.
    ///
    /// # Errors
    /// See [`Error`]. Nothing is lost by it: ask again, or go on from the cursor.
    pub async fn next(&mut self) -> Result<Option<T>, Error> {
        loop {
            if let Some((time, item)) = self.items.pop_front() {
                let id = (self.key.id)(&item).to_owned();
                self.cursor.note(time, id, self.window);
                return Ok(Some(item));
            }
            let Some(look) = self.look else {
                self.look = Some(Look::default());
                return Ok(None);
            };
            self.ask(look).await?;
        }
    }

    /// What is new for now, as a stream; it ends where [`Follow::next`] says `None`.
    pub fn stream(&mut self) -> impl Stream<Item = Result<T, Error>> {
        stream::try_unfold(self, |follow| async move {
            Ok(follow.next().await?.map(|item| (item, follow)))
        })
    }

    /// How far it has come: everything that was handed out, and nothing else.
    #[must_use]
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// How far it has come.
    #[must_use]
    pub fn into_cursor(self) -> Cursor {
        self.cursor
    }

    /// Asks for one page and says what to ask for next.
    async fn ask(&mut self, look: Look) -> Result<(), Error> {
        let key = &self.key;
        let from = look.from.or_else(|| self.cursor.from(self.window));
        let mut query = self.query.clone();
        let bound = &mut (key.bounds)(&mut query).gte;
        *bound = (*bound).max(from);
        let (sort, limit) = (key.page)(&mut query);
        *sort = Some(key.name.to_owned());
        let limit = match look.limit {
            Some(wider) => limit.insert(wider),
            None => limit.get_or_insert(STREAM_PAGE.min(key.largest_page)),
        };
        let limit = *limit;

        let page: Page<T> = self
            .client
            .find_in(&["v1", key.list], (key.pairs)(&query))
            .await?;
        let mut items = VecDeque::with_capacity(page.items.len());
        for item in page.items {
            let time = (key.time)(&item).ok_or_else(|| self.without_time())?;
            items.push_back((time, item));
        }
        let last = items.back().map(|(time, _)| *time);
        self.look = match last {
            _ if !page.has_more => None,
            Some(last) if Some(last) > from => Some(Look {
                from: Some(last),
                limit: None,
            }),
            // All of the page happened within one millisecond: only a longer one goes beyond it.
            Some(_) if limit < key.largest_page => Some(Look {
                from,
                limit: Some(limit.saturating_mul(2).min(key.largest_page)),
            }),
            _ => return Err(stuck(&format!("v1/{}", key.list))),
        };
        let seen = &self.cursor.seen;
        items.retain(|(time, item)| !seen.contains(&(*time, (key.id)(item).to_owned())));
        self.items = items;
        Ok(())
    }

    fn without_time(&self) -> Error {
        Error::Decode {
            call: crate::Call {
                method: reqwest::Method::GET,
                path: format!("/api/v1/{}", self.key.list),
            },
            at: "items".into(),
            reason: format!("an object has no `{}`", self.key.name),
        }
    }
}
