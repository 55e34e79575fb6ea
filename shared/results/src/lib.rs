//! A closed round becomes labels: answers read, aggregated, written, committed.
