//! The control room: everything around the packet workers. Configuration, start, reload, metrics, the admin socket.
//!
//! Invariant: nothing here runs per packet, and nothing here touches a packet.
#![forbid(unsafe_code)]

pub mod config;
pub mod doctor;
