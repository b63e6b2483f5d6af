//! Fuzz targets: everything that reads what strangers or operators write, and the TCP engine under a script.
//!
//! Each target is a module with a function `run` from bytes to nothing, which panics where something is wrong. The
//! programs in `fuzz_targets` give it to libFuzzer; `tests/random.rs` calls it with some thousand random inputs, so
//! that targets cannot rot.
//!
//! Invariant: what a target does depends on its input alone, so that a finding can be repeated.

pub mod admin;
pub mod config;
pub mod engine;
pub mod monitor;
pub mod packets;
pub mod two_peers;

/// The world of the engine's own tests.
#[path = "../../dataplane/l3l4/tests/common/mod.rs"]
pub(crate) mod common;
