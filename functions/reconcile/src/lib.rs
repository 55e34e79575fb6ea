//! A tick finishes what was left half done.
