//! Error codes that a caller may act on: the `code` of an error's body.

/// The credentials are missing or wrong.
pub const AUTHENTICATION_ERROR: &str = "AUTHENTICATION_ERROR";
/// The account may not do this.
pub const ACCESS_DENIED: &str = "ACCESS_DENIED";
/// No such object.
pub const DOES_NOT_EXIST: &str = "DOES_NOT_EXIST";
/// The body or a parameter is wrong; `payload` names the fields.
pub const VALIDATION_ERROR: &str = "VALIDATION_ERROR";
/// A quota or rate is used up; `payload.interval` may name which.
pub const TOO_MANY_REQUESTS: &str = "TOO_MANY_REQUESTS";
/// The platform failed.
pub const INTERNAL_ERROR: &str = "INTERNAL_ERROR";
/// A part of the platform is down.
pub const REMOTE_SERVICE_UNAVAILABLE: &str = "REMOTE_SERVICE_UNAVAILABLE";
/// The object's state does not allow this.
pub const CONFLICT_STATE: &str = "CONFLICT_STATE";
/// The object's status does not allow this; `payload.appropriate_statuses` names those that do.
pub const INAPPROPRIATE_STATUS: &str = "INAPPROPRIATE_STATUS";
/// An operation with this id was started before.
pub const OPERATION_ALREADY_EXISTS: &str = "OPERATION_ALREADY_EXISTS";
/// A pool without tasks cannot be opened.
pub const EMPTY_POOL: &str = "EMPTY_POOL";
/// The balance does not cover the pool.
pub const NOT_ENOUGH_BALANCE: &str = "NOT_ENOUGH_BALANCE";
/// Single tasks need a pool with a mixer.
pub const MIXER_CONFIG_REQUIRED: &str = "MIXER_CONFIG_REQUIRED";
/// Another operation holds the pool.
pub const POOL_LOCKED_BY_ANOTHER_OPERATION: &str = "POOL_LOCKED_BY_ANOTHER_OPERATION";
/// A project with pools in use cannot be put away.
pub const UNARCHIVED_POOLS_CONFLICT: &str = "UNARCHIVED_POOLS_CONFLICT";
/// A training with pools in use cannot be put away.
pub const TRAINING_ARCHIVE_CONFLICT: &str = "TRAINING_ARCHIVE_CONFLICT";
/// A worker still has an assignment.
pub const THERE_IS_ACTIVE_ASSIGNMENT: &str = "THERE_IS_ACTIVE_ASSIGNMENT";
/// A rejection is too recent.
pub const THERE_IS_REJECTED_ASSIGNMENT: &str = "THERE_IS_REJECTED_ASSIGNMENT";
/// The skill is in use.
pub const SKILL_IS_USED: &str = "SKILL_IS_USED";
/// The log of the operation is no longer kept.
pub const OPERATION_LOGS_ARCHIVED: &str = "OPERATION_LOGS_ARCHIVED";
