//! Whose rules a method follows.

/// Whose rules a method follows, where crowd-kit's are flawed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// The method as its paper means it, made safe for small crowds: a true log-likelihood, which no iteration makes
    /// worse. Each method says what differs.
    #[default]
    Default,
    /// The same numbers as crowd-kit 1.4, its flaws included. Each method says how close.
    CrowdKit,
}
