//! The methods: one file each, which takes [`Answers`](crate::Answers) and gives an
//! [`Aggregated`](crate::Aggregated).

mod calibration;
pub(crate) mod common;
pub(crate) mod confusion;
pub(crate) mod dawid_skene;
pub(crate) mod em;
pub(crate) mod hierarchical_dawid_skene;
pub(crate) mod majority_vote;
pub(crate) mod one_coin_dawid_skene;
