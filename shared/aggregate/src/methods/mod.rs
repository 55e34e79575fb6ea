//! The methods: one file each, which takes [`Answers`](crate::Answers) and gives an
//! [`Aggregated`](crate::Aggregated).

mod ascent;
pub(crate) mod binary_relevance;
mod blocks;
mod calibration;
pub(crate) mod common;
pub(crate) mod confusion;
pub(crate) mod dawid_skene;
pub(crate) mod em;
pub(crate) mod glad;
pub(crate) mod gold_majority_vote;
pub(crate) mod hierarchical_dawid_skene;
pub(crate) mod kos;
mod line_search;
pub(crate) mod mace;
pub(crate) mod majority_vote;
pub(crate) mod mmsr;
pub(crate) mod one_coin_dawid_skene;
mod posterior;
mod summary;
pub(crate) mod wawa;
pub(crate) mod zero_based_skill;
