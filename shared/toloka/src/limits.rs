//! The platform's documented limits, in one place.
//!
//! Source: <https://toloka.ai/docs/api/api-reference/#overview--rate-limiting>; Yandex Tasks lists
//! the same. The client does not enforce them: rates must be shared by everybody who uses the same
//! account, which is the caller's business ([`pace_with`](crate::ClientBuilder::pace_with)).

use crate::types::Decimal;

/// Requests per second and account; above it the platform answers 429.
pub const REQUESTS_PER_SECOND: u32 = 300;

/// How often a method may be called; `None` where no limit is documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Calls, or created objects, within a minute.
    pub per_minute: Option<u32>,
    /// The same within an hour.
    pub per_hour: Option<u32>,
    /// The same within a day.
    pub per_day: Option<u32>,
}

const fn quota(per_minute: u32, per_hour: u32, per_day: u32) -> Quota {
    const fn limit(n: u32) -> Option<u32> {
        if n == 0 { None } else { Some(n) }
    }
    Quota {
        per_minute: limit(per_minute),
        per_hour: limit(per_hour),
        per_day: limit(per_day),
    }
}

/// Projects, pools and trainings created, each kind on its own.
pub const CREATE_CONTAINERS: Quota = quota(20, 0, 100);
/// Pools and trainings cloned, each kind on its own.
pub const CLONE: Quota = quota(20, 0, 100);
/// Skills created.
pub const CREATE_SKILLS: Quota = quota(10, 0, 100);
/// Tasks created (the reference counts requests in one place and tasks in another; tasks is safer).
pub const CREATE_TASKS: Quota = quota(200_000, 0, 4_000_000);
/// Task suites created, counted like tasks.
pub const CREATE_TASK_SUITES: Quota = quota(100_000, 0, 2_000_000);
/// Skills given to workers.
pub const SET_USER_SKILLS: Quota = quota(0, 0, 100_000);
/// Changes of a pool that change its default overlap.
pub const UPDATE_POOL_OVERLAP: Quota = quota(0, 10, 0);
/// Requests that pay bonuses.
pub const CREATE_USER_BONUSES: Quota = quota(0, 0, 10_000);
/// Aggregations of a pool, and requests for their results.
pub const AGGREGATE_BY_POOL: Quota = quota(5, 30, 200);
/// Messages to all workers.
pub const MESSAGE_ALL: Quota = quota(0, 0, 1);
/// Messages to chosen workers.
pub const MESSAGE_CHOSEN: Quota = quota(0, 0, 100_000);

/// The most bytes of all `input_values` of one request, as JSON.
pub const INPUT_VALUES_BYTES: usize = 1_048_576;
/// The most bytes of all output values of one request, as JSON.
pub const OUTPUT_VALUES_BYTES: usize = 4_194_304;
/// The most tasks of one synchronous creation.
pub const TASKS_PER_SYNC_REQUEST: usize = 5_000;
/// The most tasks of one asynchronous creation that the documentation advises.
pub const TASKS_PER_ASYNC_REQUEST: usize = 10_000;
/// The most bonuses of one synchronous request.
pub const BONUSES_PER_SYNC_REQUEST: usize = 100;
/// The smallest bonus, dollars (one old page says 0.01).
pub const MIN_BONUS: Decimal = Decimal::from_parts(5, 0, 0, false, 3);
/// The greatest bonus, dollars.
pub const MAX_BONUS: Decimal = Decimal::from_parts(100, 0, 0, false, 0);
/// The smallest price of a task suite, dollars; nothing is allowed too where no real task is paid.
pub const MIN_REWARD: Decimal = Decimal::from_parts(5, 0, 0, false, 3);
/// The most workers that one message names.
pub const RECIPIENTS_PER_MESSAGE: usize = 100;
/// The most characters of a comment to a worker.
pub const PUBLIC_COMMENT_CHARS: usize = 2_048;
/// The most characters of the comment of a restriction.
pub const RESTRICTION_COMMENT_CHARS: usize = 499;
/// The greatest overlap.
pub const MAX_OVERLAP: u32 = 30_000;
/// The most tasks of a kind on a page.
pub const MAX_TASKS_OF_A_KIND: u32 = 500;
/// The most assignments of one pool; then it closes with
/// [`ASSIGNMENTS_LIMIT_EXCEEDED`](crate::types::CloseReason::AssignmentsLimitExceeded).
pub const ASSIGNMENTS_PER_POOL: u32 = 2_000_000;
/// The most files that the web interface takes a day.
pub const UPLOADED_FILES_PER_DAY: u32 = 1_000;
/// Days that the log of an operation is kept.
pub const OPERATION_LOG_DAYS: u32 = 30;

/// The largest page of tasks, task suites, assignments and aggregated answers; 50 when a request
/// names no limit.
pub const WORK_PAGE: u32 = 100_000;
/// The largest page of projects, pools and trainings.
pub const CONTAINER_PAGE: u32 = 300;
/// The largest page of skills.
pub const SKILL_PAGE: u32 = 100;
/// The largest page of user skills.
pub const USER_SKILL_PAGE: u32 = 1_000;
/// The largest page of operations.
pub const OPERATION_PAGE: u32 = 500;
/// The largest page of user restrictions.
pub const RESTRICTION_PAGE: u32 = 500;
/// The largest page of bonuses.
pub const BONUS_PAGE: u32 = 300;
/// The largest page of attachments.
pub const ATTACHMENT_PAGE: u32 = 100;
/// The largest page of message threads.
pub const MESSAGE_THREAD_PAGE: u32 = 300;
/// The largest page of webhook subscriptions.
pub const WEBHOOK_PAGE: u32 = 300;
