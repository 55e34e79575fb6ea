//! Tests of the whole: real handlers, real HTTP, real processes.
