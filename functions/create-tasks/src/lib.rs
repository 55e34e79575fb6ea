//! Uploads become tasks.
