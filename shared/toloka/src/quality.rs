//! Quality rules: what is counted about a worker's answers, and what happens then.
//!
//! A collector counts; its rules compare the counts and act. Each collector offers only its own
//! counts and settings, so that a rule that the platform would refuse does not compile.
//!
//! ```
//! use quorate_toloka::{
//!     quality::{Action, BanFor, BanScope, GoldenSet, SubmitTime},
//!     types::QualityControl,
//! };
//!
//! let quality = QualityControl::default()
//!     .require_training("1234", 80)
//!     .collect(GoldenSet::collector().history_size(20).rule(
//!         [
//!             GoldenSet::golden_answers_count().at_least(5),
//!             GoldenSet::golden_correct_answers_rate().below(60),
//!         ],
//!         Action::ban(BanScope::Project, BanFor::Days(7), "wrong on control tasks"),
//!     ))
//!     .collect(SubmitTime::collector(15).rule(
//!         [SubmitTime::fast_submitted_count().above(2)],
//!         Action::ban(BanScope::Pool, BanFor::Ever, "too fast"),
//!     ));
//! # assert_eq!(quality.configs.len(), 2);
//! ```
//!
//! A count of another collector is no condition of this one:
//!
//! ```compile_fail
//! use quorate_toloka::quality::{Action, BanFor, BanScope, GoldenSet, Income};
//!
//! let ban = Action::ban(BanScope::Pool, BanFor::Days(1), "rich");
//! GoldenSet::collector().rule([Income::sum_for_last_24_hours().above(20)], ban);
//! ```

use std::marker::PhantomData;

use serde_json::Value;

use crate::{
    filter::{comparisons, number},
    types::{
        self, ActionParameters, ActionType, CollectorConfig, CollectorParameters, CollectorType,
        Decimal, DurationUnit, Operator, QualityConfig, QualityControl, RestrictionScope, Rule,
        RuleCondition, RuleKey, TrainingRequirement, open_enum::open_enum,
    },
};

impl QualityControl {
    /// Adds a collector with its rules.
    #[must_use]
    pub fn collect(mut self, collector: impl Into<QualityConfig>) -> Self {
        self.configs.push(collector.into());
        self
    }

    /// Lets in only workers who have passed a training with this result or better, 0–100.
    #[must_use]
    pub fn require_training(mut self, training_id: impl Into<String>, passing_value: u32) -> Self {
        self.training_requirement = Some(TrainingRequirement {
            training_pool_id: training_id.into(),
            training_passing_skill_value: Some(passing_value),
            ..TrainingRequirement::default()
        });
        self
    }
}

/// A collector of kind `C` with its rules; goes into [`QualityControl::collect`].
#[derive(Clone, Debug)]
#[must_use = "a collector does nothing outside of quality control"]
pub struct Collector<C> {
    config: QualityConfig,
    kind: PhantomData<C>,
}

impl<C> Collector<C> {
    fn new(kind: CollectorType, parameters: Option<CollectorParameters>) -> Self {
        Self {
            config: QualityConfig {
                collector_config: CollectorConfig {
                    kind,
                    parameters,
                    ..CollectorConfig::default()
                },
                ..QualityConfig::default()
            },
            kind: PhantomData,
        }
    }

    /// Adds a rule: when all conditions hold, do the action. Rules do not know of each other.
    pub fn rule(
        mut self,
        conditions: impl IntoIterator<Item = Condition<C>>,
        action: Action<C>,
    ) -> Self {
        let conditions = conditions.into_iter();
        self.config.rules.push(Rule {
            conditions: conditions.map(|one| one.condition).collect(),
            action: action.action,
            ..Rule::default()
        });
        self
    }

    /// Shares its counts with the collectors of other pools that have the same `uuid`, which the
    /// platform gives.
    pub fn sharing_counts_of(mut self, uuid: impl Into<String>) -> Self {
        self.config.collector_config.uuid = Some(uuid.into());
        self
    }
}

impl<C: HasHistory> Collector<C> {
    /// Counts over so many last answers only; over all when it is not called.
    pub fn history_size(mut self, answers: u32) -> Self {
        let parameters = &mut self.config.collector_config.parameters;
        parameters.get_or_insert_default().history_size = Some(answers);
        self
    }
}

impl<C> From<Collector<C>> for QualityConfig {
    fn from(collector: Collector<C>) -> Self {
        collector.config
    }
}

/// One condition over the counts of a collector of kind `C`.
#[derive(Clone, Debug)]
#[must_use = "a condition does nothing outside of a rule"]
pub struct Condition<C> {
    condition: RuleCondition,
    kind: PhantomData<C>,
}

impl<C> Condition<C> {
    fn new(key: RuleKey, operator: Operator, value: impl Into<Value>) -> Self {
        Self {
            condition: RuleCondition {
                key,
                operator,
                value: value.into(),
                ..RuleCondition::default()
            },
            kind: PhantomData,
        }
    }
}

/// A count or percentage of a collector of kind `C`.
#[derive(Clone, Debug)]
#[must_use = "compare it"]
pub struct Count<C> {
    key: RuleKey,
    kind: PhantomData<C>,
}

impl<C> Count<C> {
    fn new(key: RuleKey) -> Self {
        let kind = PhantomData;
        Self { key, kind }
    }

    fn compare(self, operator: Operator, value: Value) -> Condition<C> {
        Condition::new(self.key, operator, value)
    }

    comparisons!(Condition<C>);
}

/// What happened, in a word, to a collector of kind `C`.
#[derive(Clone, Debug)]
#[must_use = "compare it"]
pub struct Word<C, V> {
    key: RuleKey,
    kind: PhantomData<(C, V)>,
}

impl<C, V: Into<Value>> Word<C, V> {
    fn new(key: RuleKey) -> Self {
        let kind = PhantomData;
        Self { key, kind }
    }

    /// It is this.
    pub fn is(self, value: impl Into<V>) -> Condition<C> {
        Condition::new(self.key, Operator::Eq, value.into())
    }

    /// It is not this.
    pub fn is_not(self, value: impl Into<V>) -> Condition<C> {
        Condition::new(self.key, Operator::Ne, value.into())
    }
}

/// A collector that can count over the last answers only.
pub trait HasHistory: sealed::Sealed {}

/// A collector whose rules can ask more workers about the task suites that it is about.
pub trait AsksAgain: sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
}

/// Kinds of collectors with their counts; those in `()` are markers that the kind has.
macro_rules! collectors {
    ($(
        $(#[$doc:meta])+
        $name:ident($($marker:ident),*) {
            $($(#[$count_doc:meta])+ $count:ident: $key:ident => $shape:ident$(<$value:ty>)?;)+
        }
    )+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl $name {
            $($(#[$count_doc])+
            pub fn $count() -> $shape<Self $(, $value)?> {
                $shape::new(RuleKey::$key)
            })+
        }

        impl sealed::Sealed for $name {}
        $(impl $marker for $name {})*
    )+};
}

collectors! {
    /// Answers to tasks whose solution is known. The counts without `golden` count training tasks,
    /// too.
    GoldenSet(HasHistory) {
        /// Answers to control and training tasks.
        total_answers_count: TotalAnswersCount => Count;
        /// Percent of them that are right.
        correct_answers_rate: CorrectAnswersRate => Count;
        /// Percent of them that are wrong.
        incorrect_answers_rate: IncorrectAnswersRate => Count;
        /// Answers to control tasks.
        golden_answers_count: GoldenSetAnswersCount => Count;
        /// Percent of them that are right.
        golden_correct_answers_rate: GoldenSetCorrectAnswersRate => Count;
        /// Percent of them that are wrong.
        golden_incorrect_answers_rate: GoldenSetIncorrectAnswersRate => Count;
    }

    /// Agreement with the majority.
    MajorityVote(HasHistory) {
        /// Votes that were counted.
        total_answers_count: TotalAnswersCount => Count;
        /// Percent of them that agree with the majority.
        correct_answers_rate: CorrectAnswersRate => Count;
        /// Percent of them that do not.
        incorrect_answers_rate: IncorrectAnswersRate => Count;
    }

    /// Captchas; the platform no longer shows them.
    Captcha(HasHistory) {
        /// Captchas shown.
        stored_results_count: StoredResultsCount => Count;
        /// Percent of them solved.
        success_rate: SuccessRate => Count;
        /// Percent of them failed.
        fail_rate: FailRate => Count;
    }

    /// Money earned in the pool.
    Income() {
        /// Dollars within the last 24 hours.
        sum_for_last_24_hours: IncomeSumForLast24Hours => Count;
    }

    /// Task suites skipped in a row.
    SkippedInRow() {
        /// How many.
        skipped_in_row_count: SkippedInRowCount => Count;
    }

    /// Accepted task suites.
    AnswerCount() {
        /// How many.
        assignments_accepted_count: AssignmentsAcceptedCount => Count;
    }

    /// Answers that came too fast.
    SubmitTime(HasHistory) {
        /// Submitted task suites.
        total_submitted_count: TotalSubmittedCount => Count;
        /// Those of them that came too fast.
        fast_submitted_count: FastSubmittedCount => Count;
    }

    /// Reviewed task suites.
    AcceptanceRate(HasHistory) {
        /// How many.
        total_assignments_count: TotalAssignmentsCount => Count;
        /// Percent of them that were accepted.
        accepted_assignments_rate: AcceptedAssignmentsRate => Count;
        /// Percent of them that were rejected.
        rejected_assignments_rate: RejectedAssignmentsRate => Count;
    }

    /// The review of one task suite.
    AssignmentsAssessment(AsksAgain) {
        /// Assignments of the task suite that wait for review.
        pending_assignments_count: PendingAssignmentsCount => Count;
        /// Those that were accepted.
        accepted_assignments_count: AcceptedAssignmentsCount => Count;
        /// Those that were rejected.
        rejected_assignments_count: RejectedAssignmentsCount => Count;
        /// What a review decided.
        assessment_event: AssessmentEvent => Word<AssessmentEvent>;
    }

    /// A worker who lost access to the pool.
    UsersAssessment(AsksAgain) {
        /// Why.
        pool_access_revoked_reason: PoolAccessRevokedReason => Word<RevokedReason>;
        /// The skill that changed, by its id.
        skill_id: SkillId => Word<String>;
    }
}

/// Collectors without settings that must be given.
macro_rules! plain {
    ($($name:ident = $kind:ident),+ $(,)?) => {$(
        impl $name {
            /// The collector; add rules to it.
            pub fn collector() -> Collector<Self> {
                Collector::new(CollectorType::$kind, None)
            }
        }
    )+};
}

plain! {
    GoldenSet = GoldenSet,
    Captcha = Captcha,
    Income = Income,
    SkippedInRow = SkippedInRowAssignments,
    AnswerCount = AnswerCount,
    AcceptanceRate = AcceptanceRate,
    AssignmentsAssessment = AssignmentsAssessment,
    UsersAssessment = UsersAssessment,
}

impl MajorityVote {
    /// The collector; add rules to it. So many equal answers are a majority.
    pub fn collector(answer_threshold: u32) -> Collector<Self> {
        let parameters = CollectorParameters {
            answer_threshold: Some(answer_threshold),
            ..CollectorParameters::default()
        };
        Collector::new(CollectorType::MajorityVote, Some(parameters))
    }
}

impl SubmitTime {
    /// The collector; add rules to it. What takes less than so many seconds is too fast.
    pub fn collector(fast_submit_threshold_seconds: u32) -> Collector<Self> {
        let parameters = CollectorParameters {
            fast_submit_threshold_seconds: Some(fast_submit_threshold_seconds),
            ..CollectorParameters::default()
        };
        Collector::new(CollectorType::AssignmentSubmitTime, Some(parameters))
    }
}

open_enum! {
    /// What a review decided.
    AssessmentEvent {
        /// It was accepted.
        Accept = "ACCEPT",
        /// It was rejected, and then accepted.
        AcceptAfterReject = "ACCEPT_AFTER_REJECT",
        /// It was rejected.
        Reject = "REJECT",
    }
}

open_enum! {
    /// Why a worker lost access to a pool.
    RevokedReason {
        /// A skill changed.
        SkillChange = "SKILL_CHANGE",
        /// A ban.
        Restriction = "RESTRICTION",
    }
}

/// Where a banned worker may not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BanScope {
    /// In the pool.
    Pool,
    /// In the project.
    Project,
    /// In all projects of the requester.
    AllProjects,
}

/// How long a worker is banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BanFor {
    /// So many minutes.
    Minutes(u32),
    /// So many hours.
    Hours(u32),
    /// So many days.
    Days(u32),
    /// For good.
    Ever,
}

/// What a rule of a collector of kind `C` does.
#[derive(Clone, Debug)]
#[must_use = "an action does nothing outside of a rule"]
pub struct Action<C> {
    action: types::Action,
    kind: PhantomData<C>,
}

impl<C> Action<C> {
    fn new(kind: ActionType, parameters: Option<ActionParameters>) -> Self {
        Self {
            action: types::Action {
                kind,
                parameters,
                ..types::Action::default()
            },
            kind: PhantomData,
        }
    }

    /// Keeps the worker out; the comment is for the requester only.
    pub fn ban(scope: BanScope, time: BanFor, private_comment: impl Into<String>) -> Self {
        let (unit, duration) = match time {
            BanFor::Minutes(minutes) => (DurationUnit::Minutes, Some(minutes)),
            BanFor::Hours(hours) => (DurationUnit::Hours, Some(hours)),
            BanFor::Days(days) => (DurationUnit::Days, Some(days)),
            BanFor::Ever => (DurationUnit::Permanent, None),
        };
        let parameters = ActionParameters {
            scope: Some(match scope {
                BanScope::Pool => RestrictionScope::Pool,
                BanScope::Project => RestrictionScope::Project,
                BanScope::AllProjects => RestrictionScope::AllProjects,
            }),
            duration_unit: Some(unit),
            duration,
            private_comment: Some(private_comment.into()),
            ..ActionParameters::default()
        };
        Self::new(ActionType::RestrictionV2, Some(parameters))
    }

    /// Gives the worker a value of a skill, 0–100.
    pub fn set_skill(skill_id: impl Into<String>, value: u32) -> Self {
        let parameters = ActionParameters {
            skill_id: Some(skill_id.into()),
            skill_value: Some(value),
            ..ActionParameters::default()
        };
        Self::new(ActionType::SetSkill, Some(parameters))
    }

    /// Gives the worker a skill with the value of a percentage of this collector.
    pub fn set_skill_from(skill_id: impl Into<String>, rate: Count<C>) -> Self {
        let parameters = ActionParameters {
            skill_id: Some(skill_id.into()),
            from_field: Some(rate.key),
            ..ActionParameters::default()
        };
        Self::new(ActionType::SetSkillFromOutputField, Some(parameters))
    }

    /// Accepts everything of the worker that waits for review.
    pub fn approve_all_assignments() -> Self {
        Self::new(ActionType::ApproveAllAssignments, None)
    }

    /// Rejects everything of the worker that waits for review, with a comment to the worker.
    pub fn reject_all_assignments(public_comment: impl Into<String>) -> Self {
        let parameters = ActionParameters {
            public_comment: Some(public_comment.into()),
            ..ActionParameters::default()
        };
        Self::new(ActionType::RejectAllAssignments, Some(parameters))
    }
}

impl<C: AsksAgain> Action<C> {
    /// Asks so many more workers about the task suite; `open_pool` opens a pool that has closed.
    pub fn change_overlap(delta: i32, open_pool: bool) -> Self {
        let parameters = ActionParameters {
            delta: Some(delta),
            open_pool: Some(open_pool),
            ..ActionParameters::default()
        };
        Self::new(ActionType::ChangeOverlap, Some(parameters))
    }
}
