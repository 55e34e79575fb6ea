//! Answers in, labels out: deterministic label aggregation.
