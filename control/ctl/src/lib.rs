//! `millctl`: asks the running daemon over its admin socket and shows the answer to people or programs. The messages
//! are in [`protocol`], which the daemon shares.
//!
//! Invariant: nothing of DPDK is among the dependencies, so that millctl runs where DPDK is not installed whatever the
//! linker does; the daemon is changed by `reload` only.
#![forbid(unsafe_code)]

mod arguments;
mod client;
pub mod protocol;
mod run;
pub mod table;
pub mod text;
pub mod views;
mod watch;

pub use run::main;

/// Exit code: done.
pub const EXIT_OK: u8 = 0;
/// Exit code: the daemon said no.
pub const EXIT_REFUSED: u8 = 1;
/// Exit code: wrong usage, or no daemon answers.
pub const EXIT_NO_DAEMON: u8 = 2;
