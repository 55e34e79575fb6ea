//! The methods: one file each, which takes [`Answers`](crate::Answers) and gives an
//! [`Aggregated`](crate::Aggregated).

pub(crate) mod binary_relevance;
pub(crate) mod dawid_skene;
mod em;
pub(crate) mod gold_majority_vote;
pub(crate) mod majority_vote;
pub(crate) mod mmsr;
pub(crate) mod wawa;
pub(crate) mod zero_based_skill;
