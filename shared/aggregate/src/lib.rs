//! Answers in, labels out: deterministic label aggregation.
//!
//! A crowd gives several *answers* to every *task*; this crate turns them into one *label* a task, with a
//! probability for every label and a skill for every worker. It reads, computes and writes; it knows no network and
//! no clock, random numbers come from a given seed, and everything is summed in the order of sorted ids, so the same
//! answers give the same bytes whatever order they came in, on one thread as on many.
//!
//! ```
//! use quorate_aggregate::{Answers, Format, HierarchicalDawidSkene, hierarchical_dawid_skene, majority_vote};
//!
//! let csv = "task,worker,label\n1.jpg,ann,cat\n1.jpg,bob,cat\n1.jpg,eve,dog\n2.jpg,ann,dog\n2.jpg,bob,dog\n";
//! let answers = Answers::read(csv.as_bytes(), Format::Csv)?;
//! let labels = hierarchical_dawid_skene(&answers, &HierarchicalDawidSkene::default())?;
//! assert_eq!(labels.label(0), Some("cat"));
//! assert_eq!(majority_vote(&answers).confidence(0), Some(2.0 / 3.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which method
//!
//! [`hierarchical_dawid_skene()`], if you do not want to choose: it learns how each worker errs, leans on votes where
//! answers are few, and is calibrated on known labels. [`majority_vote()`] needs nothing and explains itself.
//! [`dawid_skene()`] learns how each worker errs and weighs answers accordingly; its default mode is made for small
//! crowds, see the [`DawidSkene`] type for what was measured.
//! [`mace()`] learns who spams and how, and [`glad()`] how able workers and how easy tasks are: both have one or two
//! numbers a worker, and cost the same however many labels there are. [`kos()`] is for two labels.
//!
//! [`wawa()`] and [`zero_based_skill()`] weigh votes by how often workers agree with the outcome, and
//! [`gold_majority_vote()`] by how they did on known labels. [`mmsr()`] withstands a minority of liars.
//! [`binary_relevance()`] makes any of them decide on sets of labels. [`metrics`] tell how good the outcome is.
//!
//! Every method is one file that takes [`Answers`] and gives an [`Aggregated`]; [`aggregate()`] calls any of them by name.

mod aggregated;
mod answers;
mod error;
mod gamma;
mod gold;
mod method;
mod methods;
pub mod metrics;
mod mode;
mod progress;
mod random;
mod read;
mod size;

pub use aggregated::{Aggregated, Calibration, Separator, StopReason, Warning};
pub use answers::{Answers, AnswersBuilder, AnswersError, Ids, IdsIter};
pub use error::MethodError;
pub use gold::{Gold, GoldTally, UnknownGoldLabel, gold_tallies};
pub use method::{Method, Setting, Settings, UnknownMethod, aggregate};
pub use methods::binary_relevance::{
    LabelSetError, LabelSets, LabelSetsBuilder, LabelSetsError, MultiLabel, binary_relevance,
};
pub use methods::dawid_skene::{DawidSkene, ErrorRows, InitialErrors, Prior, dawid_skene};
pub use methods::glad::{Glad, glad};
pub use methods::gold_majority_vote::{GoldMajorityVote, gold_majority_vote};
pub use methods::hierarchical_dawid_skene::{HierarchicalDawidSkene, hierarchical_dawid_skene};
pub use methods::kos::{Kos, kos};
pub use methods::mace::{Mace, MaceLearning, mace};
pub use methods::majority_vote::{
    MissingSkill, Skills, WeightedMajorityVote, majority_vote, weighted_majority_vote,
};
pub use methods::mmsr::{Mmsr, mmsr};
pub use methods::one_coin_dawid_skene::{OneCoinDawidSkene, one_coin_dawid_skene};
pub use methods::wawa::wawa;
pub use methods::zero_based_skill::{ZeroBasedSkill, zero_based_skill};
pub use mode::Mode;
pub use progress::{Iteration, Progress};
pub use read::{
    BadRow, Format, HeaderError, InvalidRows, Place, ReadError, ReadReport, RowProblem,
};
pub use size::TooLarge;
