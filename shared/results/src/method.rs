//! The campaign's methods, run with the settings that suit any crowd.

use quorate_aggregate::{
    Aggregated, Answers, DawidSkene, Glad, Gold, GoldMajorityVote, HierarchicalDawidSkene, Mace,
    Method as Named, MethodError, Mmsr, Mode, OneCoinDawidSkene, Setting, Settings, ZeroBasedSkill,
    gold_majority_vote,
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
    let method = match method {
        // By name it demands known labels; a round may have none.
        Method::GoldMajorityVote => {
            let settings = GoldMajorityVote {
                gold,
                ..Default::default()
            };
            return gold_majority_vote(answers, &settings);
        }
        Method::HierarchicalDawidSkene => Named::HierarchicalDawidSkene,
        Method::MajorityVote => Named::MajorityVote,
        Method::Wawa => Named::Wawa,
        Method::ZeroBasedSkill => Named::ZeroBasedSkill,
        Method::DawidSkene => Named::DawidSkene,
        Method::OneCoinDawidSkene => Named::OneCoinDawidSkene,
        Method::Glad => Named::Glad,
        Method::Mace => Named::Mace,
        Method::Mmsr => Named::Mmsr,
    };
    let uses_gold = method.uses(Setting::Gold, Mode::Default);
    let settings = Settings {
        gold: if uses_gold { gold } else { Gold::new() },
        ..Settings::default()
    };
    quorate_aggregate::aggregate(answers, method, &settings)
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
