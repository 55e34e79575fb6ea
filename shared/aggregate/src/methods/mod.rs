//! The methods: one file each, which takes [`Answers`](crate::Answers) and gives an
//! [`Aggregated`](crate::Aggregated).

mod ascent;
mod blocks;
pub(crate) mod confusion;
pub(crate) mod dawid_skene;
pub(crate) mod em;
pub(crate) mod glad;
pub(crate) mod kos;
mod line_search;
pub(crate) mod mace;
pub(crate) mod majority_vote;
pub(crate) mod one_coin_dawid_skene;
mod posterior;
mod summary;
