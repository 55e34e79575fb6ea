//! Error codes: the `code` of an error's body, and those of the refused fields within it.
//!
//! toloka-kit knows the same ones. The platform may send others, so a code is text: compare it with
//! these constants, which can be matched on.
//!
//! ```
//! use quorate_toloka::{Error, codes};
//!
//! fn advice(error: &Error) -> &'static str {
//!     match error.code() {
//!         Some(codes::NOT_ENOUGH_BALANCE) => "top up the account",
//!         Some(codes::EMPTY_POOL) => "upload tasks first",
//!         Some(codes::VALIDATION_ERROR) => "see the refused fields",
//!         _ => "see the message",
//!     }
//! }
//! # assert_eq!(advice(&Error::Usage(String::new())), "see the message");
//! ```

/// Defines codes that are spelt like their constants, and a list of them.
macro_rules! codes {
    ($(#[$list_doc:meta])+ $list:ident: $($(#[$doc:meta])+ $code:ident,)+) => {
        $($(#[$doc])+ pub const $code: &str = stringify!($code);)+

        $(#[$list_doc])+
        pub const $list: &[&str] = &[$($code),+];
    };
}

codes! {
    /// Codes of any request.
    COMMON:
    /// The account may not do this.
    ACCESS_DENIED,
    /// The credentials are missing or wrong.
    AUTHENTICATION_ERROR,
    /// The object's state does not allow this.
    CONFLICT_STATE,
    /// No such object.
    DOES_NOT_EXIST,
    /// The platform failed.
    INTERNAL_ERROR,
    /// A part of the platform is down.
    REMOTE_SERVICE_UNAVAILABLE,
    /// A quota or rate is used up; `payload.interval` may name which.
    TOO_MANY_REQUESTS,
    /// The body or a parameter is wrong; `payload` names the fields.
    VALIDATION_ERROR,
}

codes! {
    /// Codes of requests that the state of something does not allow.
    STATE:
    /// The payment account belongs to somebody else.
    ACCOUNT_ALREADY_USED,
    /// The payment account is not identified yet.
    ACCOUNT_MUST_BE_IDENTIFIED,
    /// No such adjuster.
    ADJUSTER_NOT_FOUND,
    /// No assignment is left anywhere.
    ALL_ASSIGNMENTS_EXHAUSTED,
    /// These answers may not be aggregated.
    ASSIGNMENTS_AGGREGATION_DENIED,
    /// The number of assignments does not fit.
    ASSIGNMENTS_COUNT_CONFLICT,
    /// A creation of several objects could not begin.
    BATCH_INITIALIZATION_ERROR,
    /// A creation of several objects was refused as a whole.
    BATCH_REJECTED,
    /// The accounts are not up to date; try again later.
    BILLING_NOT_SYNCHRONIZED,
    /// A captcha must be solved first.
    CAPTCHA_REQUIRED,
    /// The tasks cannot all be removed now.
    DELETE_ALL_TASKS_CONFLICT,
    /// A pool without tasks cannot be opened.
    EMPTY_POOL,
    /// The object's status does not allow this; `payload.appropriate_statuses` names those that do.
    INAPPROPRIATE_STATUS,
    /// The message has no recipients, or unknown ones.
    INCORRECT_RECIPIENTS,
    /// The operation is of another type.
    INVALID_OPERATION_TYPE,
    /// No such referral code.
    INVALID_REFERRAL_CODE,
    /// The worker's status does not allow this.
    INVALID_WORKER_STATUS_ERROR,
    /// Single tasks need a pool with a mixer.
    MIXER_CONFIG_REQUIRED,
    /// The telephone number must be confirmed first.
    NEED_PHONE_CONFIRMATION,
    /// The balance does not cover it.
    NOT_ENOUGH_BALANCE,
    /// The OAuth token is not good.
    OAUTH_AUTHENTICATION_ERROR,
    /// An operation with this id was started before.
    OPERATION_ALREADY_EXISTS,
    /// The operation failed.
    OPERATION_EXECUTION_ERROR,
    /// The log of the operation is no longer kept.
    OPERATION_LOGS_ARCHIVED,
    /// The Payoneer account is not active.
    PAYONEER_ACCOUNT_NOT_ACTIVE,
    /// `PayPal` refused the code.
    PAYPAL_AUTH_CODE_INVALID,
    /// The `PayPal` account is not verified.
    PAYPAL_UNVERIFIED_USER,
    /// The pool has as many assignments as a pool may have.
    POOL_ASSIGNMENTS_COUNT_EXCEEDED,
    /// The pool has no assignment left.
    POOL_ASSIGNMENTS_EXHAUSTED,
    /// The pool's status does not allow this.
    POOL_INAPPROPRIATE_STATUS,
    /// The pool's filter does not go with tasks chosen on a map.
    POOL_INVALID_FILTER_FOR_MAP_ISSUING,
    /// The pool is a training.
    POOL_IS_TRAINING,
    /// Another operation holds the pool.
    POOL_LOCKED_BY_ANOTHER_OPERATION,
    /// The pool has as many tasks as a pool may have.
    POOL_TASKS_COUNT_EXCEEDED,
    /// The pool has as many task suites as a pool may have.
    POOL_TASK_SUITES_COUNT_EXCEEDED,
    /// The pool takes tasks, not task suites, or the other way round.
    POOL_TASK_TYPE_CONFLICT,
    /// The project's status does not allow this.
    PROJECT_INAPPROPRIATE_STATUS,
    /// The results are no longer kept.
    RESULTS_EXPIRED,
    /// The telephone number belongs to somebody else.
    SECURE_PHONE_DUPLICATION,
    /// The account has no telephone number.
    SECURE_PHONE_MISSING,
    /// The telephone number was changed lately.
    SECURE_PHONE_WAS_CHANGED,
    /// The skill belongs to a training.
    SKILL_IS_TRAINING,
    /// The skill is in use.
    SKILL_IS_USED,
    /// Projects use the skill.
    SKILL_IS_USED_BY_PROJECTS,
    /// The skill is removed.
    SKILL_REMOVED,
    /// Submitted assignments wait for review.
    SUBMITTED_ASSIGNMENTS_CONFLICT,
    /// The pool could not be copied.
    SYNC_POOL_CLONE_ERROR,
    /// The platform's own restriction cannot be changed.
    SYSTEM_SCOPE_MODIFICATION,
    /// A task does not fit the project.
    TASK_VALIDATION_ERROR,
    /// A worker still has an assignment.
    THERE_IS_ACTIVE_ASSIGNMENT,
    /// A rejection is too recent.
    THERE_IS_REJECTED_ASSIGNMENT,
    /// The worker holds as many assignments as allowed.
    TOO_MANY_ACTIVE_ASSIGNMENTS,
    /// A training with pools in use cannot be put away.
    TRAINING_ARCHIVE_CONFLICT,
    /// The file could not be stored.
    UNABLE_TO_UPLOAD_FILE,
    /// A project with pools in use cannot be put away.
    UNARCHIVED_POOLS_CONFLICT,
    /// The platform does not aggregate so.
    UNSUPPORTED_ALGORITHM,
    /// The region is not served.
    UNSUPPORTED_REGION,
    /// The user is registered already.
    USER_ALREADY_REGISTERED,
    /// The user has an alias of a mail domain.
    USER_HAS_PDD_ALIAS,
    /// The withdrawal cannot be taken back.
    WITHDRAWAL_TRANSACTION_CANNOT_BE_CANCELLED,
    /// The worker has the skill already.
    WORKER_SKILL_EXISTS,
    /// The file has another format.
    WRONG_FILE_FORMAT,
    /// The object has changed since it was read.
    WRONG_REVISION,
}

codes! {
    /// Codes of one refused field, see [`FieldError::code`](crate::types::FieldError::code).
    FIELDS:
    /// Must be an array.
    ARRAY_EXPECTED,
    /// Has too many elements.
    ARRAY_SIZE_GREATER_THAN_MAX,
    /// Has too few elements.
    ARRAY_SIZE_LESS_THAN_MIN,
    /// Has too few or too many elements.
    ARRAY_SIZE_OUT_OF_BOUNDS,
    /// Must not be blank.
    BLANK_STRING_NOT_ALLOWED,
    /// Must be true or false.
    BOOLEAN_EXPECTED,
    /// Has a character that is not allowed.
    CHARACTER_NOT_ALLOWED,
    /// Is too early or too late.
    DATE_OUT_OF_RANGE,
    /// Has an element twice.
    DUPLICATE_VALUE_IN_ARRAY,
    /// Must not be an empty object.
    EMPTY_OBJECT_NOT_ALLOWED,
    /// Names an object that the account may not use.
    ENTITY_ACCESS_DENIED,
    /// Names an object that does not exist.
    ENTITY_DOES_NOT_EXIST,
    /// Must be a number.
    FLOAT_EXPECTED,
    /// Must be a whole number.
    INTEGER_EXPECTED,
    /// Must be `latitude,longitude`.
    INVALID_COORDINATES_SYNTAX,
    /// Must be a date.
    INVALID_DATE_SYNTAX,
    /// Must be a date and time.
    INVALID_DATE_TIME_SYNTAX,
    /// Must be a regular expression.
    INVALID_REGEX_SYNTAX,
    /// Must be a URL.
    INVALID_URL_SYNTAX,
    /// Is not valid.
    INVALID_VALUE,
    /// Must be JSON.
    JSON_EXPECTED,
    /// Must have one key at most.
    MAX_ONE_PROPERTY_ALLOWED,
    /// Is too short for a name.
    NAME_LENGTH_LESS_THAN_MIN,
    /// The body must not be `null`.
    NOT_NULL_BODY,
    /// Must be an object.
    OBJECT_EXPECTED,
    /// Has too many bytes as JSON.
    OBJECT_SIZE_BYTES_GREATER_THAN_MAX,
    /// Does not match the pattern.
    PATTERN_MISMATCH,
    /// Must be a text, a number or a boolean.
    SIMPLE_VALUE_EXPECTED,
    /// Must be a text.
    STRING_EXPECTED,
    /// Is too long.
    STRING_LENGTH_GREATER_THAN_MAX,
    /// Is too short.
    STRING_LENGTH_LESS_THAN_MIN,
    /// Is too short or too long.
    STRING_LENGTH_OUT_OF_BOUNDS,
    /// Must be one of the known words.
    UNKNOWN_ENUM_VALUE,
    /// Must be a UUID.
    UUID_EXPECTED,
    /// Must have values.
    VALUES_REQUIRED,
    /// Is too great.
    VALUE_GREATER_THAN_MAX,
    /// Is too small.
    VALUE_LESS_THAN_MIN,
    /// Must not be there.
    VALUE_NOT_ALLOWED,
    /// Is too small or too great.
    VALUE_OUT_OF_BOUNDS,
    /// Must be there.
    VALUE_REQUIRED,
}
