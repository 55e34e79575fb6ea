//! The campaign's methods, run with the settings that suit any crowd.

use quorate_aggregate::{
    Aggregated, Answers, DawidSkene, Glad, Gold, GoldMajorityVote, HierarchicalDawidSkene, Mace,
    MethodError, Mmsr, OneCoinDawidSkene, ZeroBasedSkill, dawid_skene, glad, gold_majority_vote,
    hierarchical_dawid_skene, mace, majority_vote, mmsr, one_coin_dawid_skene, wawa,
    zero_based_skill,
};
use quorate_core::campaign::Method;
use serde_json::{Value, json};

/// What a method makes of the answers. Methods that can learn from known labels get `gold`; the
/// others take its tasks as tasks like any.
pub(crate) fn aggregate(
    answers: &Answers,
    method: Method,
    gold: Gold,
) -> Result<Aggregated, MethodError> {
    match method {
        Method::HierarchicalDawidSkene => {
            let settings = HierarchicalDawidSkene {
                gold,
                ..Default::default()
            };
            hierarchical_dawid_skene(answers, &settings)
        }
        Method::MajorityVote => Ok(majority_vote(answers)),
        Method::GoldMajorityVote => {
            let settings = GoldMajorityVote {
                gold,
                ..Default::default()
            };
            gold_majority_vote(answers, &settings)
        }
        Method::Wawa => Ok(wawa(answers)),
        Method::ZeroBasedSkill => zero_based_skill(answers, &ZeroBasedSkill::default()),
        Method::DawidSkene => {
            let settings = DawidSkene {
                gold,
                ..Default::default()
            };
            dawid_skene(answers, &settings)
        }
        Method::OneCoinDawidSkene => {
            let settings = OneCoinDawidSkene {
                gold,
                ..Default::default()
            };
            one_coin_dawid_skene(answers, &settings)
        }
        Method::Glad => {
            let settings = Glad {
                gold,
                ..Default::default()
            };
            glad(answers, &settings)
        }
        Method::Mace => {
            let settings = Mace {
                gold,
                ..Default::default()
            };
            mace(answers, &settings)
        }
        Method::Mmsr => mmsr(answers, &Mmsr::default()),
    }
}

/// The settings that [`aggregate`] uses, as the manifest names them; an empty object if the method
/// has none.
pub(crate) fn parameters(method: Method) -> Value {
    match method {
        Method::MajorityVote | Method::GoldMajorityVote | Method::Wawa => json!({}),
        Method::HierarchicalDawidSkene => {
            let settings = HierarchicalDawidSkene::default();
            json!({"max_iterations": settings.iterations, "tolerance": settings.tolerance})
        }
        Method::ZeroBasedSkill => {
            let settings = ZeroBasedSkill::default();
            json!({"max_iterations": settings.iterations, "tolerance": settings.tolerance})
        }
        Method::DawidSkene => {
            let settings = DawidSkene::default();
            json!({
                "max_iterations": settings.iterations,
                "tolerance": settings.tolerance,
                "prior_strength": settings.prior.strength,
                "prior_right": settings.prior.right,
                "prior_wrong": settings.prior.wrong,
            })
        }
        Method::OneCoinDawidSkene => {
            let settings = OneCoinDawidSkene::default();
            json!({
                "max_iterations": settings.iterations,
                "tolerance": settings.tolerance,
                "prior_right": settings.right,
                "prior_wrong": settings.wrong,
            })
        }
        Method::Glad => {
            let settings = Glad::default();
            json!({"max_iterations": settings.iterations, "tolerance": settings.tolerance})
        }
        Method::Mace => {
            let settings = Mace::default();
            json!({
                "max_iterations": settings.iterations,
                "tolerance": settings.tolerance,
                "restarts": settings.restarts,
                "seed": settings.seed,
            })
        }
        Method::Mmsr => {
            let settings = Mmsr::default();
            json!({"max_iterations": settings.iterations, "tolerance": settings.tolerance})
        }
    }
}
