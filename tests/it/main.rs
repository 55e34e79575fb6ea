//! One machine: the real handlers over SQLite and folders, real HTTP to the crowd platform.

mod demo;
mod world;
