//! A closed pool becomes labels.
