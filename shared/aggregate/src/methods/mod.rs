//! The methods: one file each, which takes [`Answers`](crate::Answers) and gives an
//! [`Aggregated`](crate::Aggregated).

mod ascent;
mod blocks;
pub(crate) mod dawid_skene;
mod em;
pub(crate) mod glad;
pub(crate) mod kos;
mod line_search;
pub(crate) mod mace;
pub(crate) mod majority_vote;
mod posterior;
mod summary;
