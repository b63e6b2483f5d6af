//! The control room: everything around the packet workers. Configuration, start, reload, metrics, the admin socket.
//!
//! Invariant: nothing here runs per packet, and nothing here touches a packet.
#![forbid(unsafe_code)]

pub mod admin;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod doctor;
pub mod export;
pub mod log;
pub mod metrics;
pub mod plan;
pub mod read;
pub mod snapshot;
pub mod tally;

pub use ctl::protocol;
