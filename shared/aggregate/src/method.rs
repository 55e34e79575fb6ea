//! The methods by name: one entry for whoever lets a user choose.

use std::fmt;
use std::str::FromStr;

use crate::{
    Aggregated, Answers, DawidSkene, Glad, Gold, GoldMajorityVote, HierarchicalDawidSkene, Kos,
    Mace, MethodError, Mmsr, Mode, OneCoinDawidSkene, Progress, ZeroBasedSkill, dawid_skene, glad,
    gold_majority_vote, hierarchical_dawid_skene, kos, mace, majority_vote, mmsr,
    one_coin_dawid_skene, wawa, zero_based_skill,
};

/// A method that makes labels of answers. Its name is in kebab case: `majority-vote`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// [`hierarchical_dawid_skene()`].
    #[default]
    HierarchicalDawidSkene,
    /// [`majority_vote()`].
    MajorityVote,
    /// [`gold_majority_vote()`].
    GoldMajorityVote,
    /// [`wawa()`].
    Wawa,
    /// [`zero_based_skill()`].
    ZeroBasedSkill,
    /// [`dawid_skene()`].
    DawidSkene,
    /// [`one_coin_dawid_skene()`].
    OneCoinDawidSkene,
    /// [`glad()`].
    Glad,
    /// [`mace()`].
    Mace,
    /// [`kos()`].
    Kos,
    /// [`mmsr()`].
    Mmsr,
}

/// There is no method of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no method {name:?}, but {}", list(Method::ALL))]
pub struct UnknownMethod {
    /// The name.
    pub name: String,
}

/// Settings of [`aggregate()`]: what is not given is as the method has it by default.
///
/// Not every method uses every setting: see [`Method::uses`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// The rules to follow.
    pub mode: Mode,
    /// At most so many iterations.
    pub iterations: Option<usize>,
    /// Stop when an iteration gains less than this.
    pub tolerance: Option<f64>,
    /// Known labels; none if empty.
    pub gold: Gold,
    /// The seed of random numbers.
    pub seed: Option<u32>,
    /// Who is told of every iteration.
    pub progress: Progress,
}

/// A setting that not every method uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// [`Settings::iterations`].
    Iterations,
    /// [`Settings::tolerance`].
    Tolerance,
    /// [`Settings::gold`].
    Gold,
    /// [`Settings::seed`].
    Seed,
}

impl Method {
    /// All methods, the default first.
    pub const ALL: [Self; 11] = [
        Self::HierarchicalDawidSkene,
        Self::MajorityVote,
        Self::GoldMajorityVote,
        Self::Wawa,
        Self::ZeroBasedSkill,
        Self::DawidSkene,
        Self::OneCoinDawidSkene,
        Self::Glad,
        Self::Mace,
        Self::Kos,
        Self::Mmsr,
    ];

    /// The name in kebab case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HierarchicalDawidSkene => "hierarchical-dawid-skene",
            Self::MajorityVote => "majority-vote",
            Self::GoldMajorityVote => "gold-majority-vote",
            Self::Wawa => "wawa",
            Self::ZeroBasedSkill => "zero-based-skill",
            Self::DawidSkene => "dawid-skene",
            Self::OneCoinDawidSkene => "one-coin-dawid-skene",
            Self::Glad => "glad",
            Self::Mace => "mace",
            Self::Kos => "kos",
            Self::Mmsr => "mmsr",
        }
    }

    /// What it is, in a line.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::HierarchicalDawidSkene => {
                "The safe default: how each worker errs, learned with the crowd's help; leans on votes where answers \
                 are few, and is calibrated on known labels"
            }
            Self::MajorityVote => "The label that most workers chose",
            Self::GoldMajorityVote => "Votes that weigh by how workers did on known labels",
            Self::Wawa => "Votes that weigh by how often workers agree with the majority",
            Self::ZeroBasedSkill => "The same again and again, until the weights are at rest",
            Self::DawidSkene => "Each worker mistakes labels in its own way: a confusion matrix",
            Self::OneCoinDawidSkene => "Each worker is right so often, whatever the label",
            Self::Glad => "Workers differ in ability, and tasks in difficulty",
            Self::Mace => "Workers know the label, or spam, each by its own habit",
            Self::Kos => "Tasks and workers send each other messages; for two labels",
            Self::Mmsr => {
                "Skills from how often pairs of workers agree; withstands a minority of liars"
            }
        }
    }

    /// Whether it has these rules. The majority vote and Wawa are the same in both modes; what crowd-kit lacks, or what
    /// rests on more than its rules, has only the default ones.
    #[must_use]
    pub fn has(self, mode: Mode) -> bool {
        mode == Mode::Default || !matches!(self, Self::HierarchicalDawidSkene | Self::Mmsr)
    }

    /// Whether a setting makes a difference to it under these rules.
    #[must_use]
    pub fn uses(self, setting: Setting, mode: Mode) -> bool {
        let like_crowd_kit = mode == Mode::CrowdKit;
        match (self, setting) {
            (Self::MajorityVote | Self::Wawa, _) => false,
            (Self::GoldMajorityVote, setting) => setting == Setting::Gold,
            (_, Setting::Iterations) => true,
            // What crowd-kit's mode does to the end, nothing stops.
            (Self::Mace | Self::ZeroBasedSkill, Setting::Tolerance) => !like_crowd_kit,
            (method, Setting::Tolerance) => method != Self::Kos,
            (Self::Glad | Self::Mace, Setting::Gold) => !like_crowd_kit,
            (method, Setting::Gold) => matches!(
                method,
                Self::DawidSkene | Self::OneCoinDawidSkene | Self::HierarchicalDawidSkene
            ),
            (Self::Kos, Setting::Seed) => like_crowd_kit,
            (method, Setting::Seed) => method == Self::Mace,
        }
    }

    /// Whether it tells how each worker errs: [`Aggregated::worker_confusion`].
    #[must_use]
    pub fn finds_confusion(self) -> bool {
        matches!(
            self,
            Self::HierarchicalDawidSkene | Self::DawidSkene | Self::OneCoinDawidSkene | Self::Mace
        )
    }
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(name: &str) -> Result<Self, UnknownMethod> {
        let found = Self::ALL.into_iter().find(|method| method.name() == name);
        found.ok_or_else(|| UnknownMethod {
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Iterations => "iterations",
            Self::Tolerance => "tolerance",
            Self::Gold => "gold",
            Self::Seed => "seed",
        })
    }
}

/// Names of methods, for a message.
pub(crate) fn list(methods: impl IntoIterator<Item = Method>) -> String {
    let names: Vec<_> = methods.into_iter().map(Method::name).collect();
    names.join(", ")
}

impl Settings {
    /// Finds out whether they suit a method, before any work is done.
    ///
    /// # Errors
    /// [`MethodError::NoSuchMode`] and [`MethodError::Unused`] for what the method does not have or use,
    /// [`MethodError::NeedsGold`] where it rests on known labels and there are none.
    pub fn check(&self, method: Method) -> Result<(), MethodError> {
        if !method.has(self.mode) {
            return Err(MethodError::NoSuchMode { method });
        }
        let given = [
            (Setting::Iterations, self.iterations.is_some()),
            (Setting::Tolerance, self.tolerance.is_some()),
            (Setting::Gold, !self.gold.is_empty()),
            (Setting::Seed, self.seed.is_some()),
        ];
        for (setting, given) in given {
            if given && !method.uses(setting, self.mode) {
                return Err(MethodError::Unused {
                    method,
                    setting,
                    mode: self.mode,
                });
            }
        }
        if method == Method::GoldMajorityVote && self.gold.is_empty() {
            return Err(MethodError::NeedsGold { method });
        }
        Ok(())
    }
}

/// Makes labels of answers by any method.
///
/// # Errors
/// Those of [`Settings::check`] and of the method.
pub fn aggregate(
    answers: &Answers,
    method: Method,
    settings: &Settings,
) -> Result<Aggregated, MethodError> {
    settings.check(method)?;
    let iterations = |default: usize| settings.iterations.unwrap_or(default);
    let tolerance = |default: f64| settings.tolerance.unwrap_or(default);
    let (mode, seed) = (settings.mode, settings.seed.unwrap_or_default());
    let gold = || settings.gold.clone();
    let progress = settings.progress.clone();
    match method {
        Method::MajorityVote => Ok(majority_vote(answers)),
        Method::Wawa => Ok(wawa(answers)),
        Method::GoldMajorityVote => {
            gold_majority_vote(answers, &GoldMajorityVote { gold: gold(), mode })
        }
        Method::ZeroBasedSkill => {
            let default = ZeroBasedSkill::default();
            zero_based_skill(
                answers,
                &ZeroBasedSkill {
                    iterations: iterations(default.iterations),
                    tolerance: tolerance(default.tolerance),
                    mode,
                    progress,
                },
            )
        }
        Method::DawidSkene => {
            let default = DawidSkene::default();
            dawid_skene(
                answers,
                &DawidSkene {
                    iterations: iterations(default.iterations),
                    tolerance: tolerance(default.tolerance),
                    mode,
                    gold: gold(),
                    progress,
                    ..default
                },
            )
        }
        Method::OneCoinDawidSkene => {
            let default = OneCoinDawidSkene::default();
            one_coin_dawid_skene(
                answers,
                &OneCoinDawidSkene {
                    iterations: iterations(default.iterations),
                    tolerance: tolerance(default.tolerance),
                    mode,
                    gold: gold(),
                    progress,
                    ..default
                },
            )
        }
        Method::Glad => {
            let default = Glad::default();
            glad(
                answers,
                &Glad {
                    iterations: iterations(default.iterations),
                    tolerance: tolerance(default.tolerance),
                    mode,
                    gold: gold(),
                    progress,
                },
            )
        }
        Method::Mace => {
            let default = Mace::default();
            mace(
                answers,
                &Mace {
                    iterations: iterations(default.iterations),
                    tolerance: tolerance(default.tolerance),
                    seed,
                    mode,
                    gold: gold(),
                    progress,
                    ..default
                },
            )
        }
        Method::Kos => kos(
            answers,
            &Kos {
                iterations: settings.iterations,
                seed,
                mode,
                progress,
            },
        ),
        Method::Mmsr => {
            let default = Mmsr::default();
            mmsr(
                answers,
                &Mmsr {
                    iterations: iterations(default.iterations),
                    tolerance: tolerance(default.tolerance),
                    progress,
                },
            )
        }
        Method::HierarchicalDawidSkene => {
            let default = HierarchicalDawidSkene::default();
            hierarchical_dawid_skene(
                answers,
                &HierarchicalDawidSkene {
                    iterations: iterations(default.iterations),
                    tolerance: tolerance(default.tolerance),
                    gold: gold(),
                    progress,
                },
            )
        }
    }
}
