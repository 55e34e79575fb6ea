//! The whole, tested from outside. The tests are in `it/`.
