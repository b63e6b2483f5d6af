//! The data plane: workers that poll ports and terminate flows, and everything a packet meets on its way.
//!
//! Packets never leave the worker that owns their flow; nothing written on the path is shared.
#![forbid(unsafe_code)]

pub mod appliance;
pub mod application;
pub mod drop;
pub mod event;
pub mod fragment;
pub mod frame;
pub mod icmp;
pub mod mailbox;
pub mod neighbour;
pub mod observe;
pub mod policy;
pub mod prefix;
pub mod proxy;
pub mod report;
pub mod settings;
pub mod steer;
pub(crate) mod worker;
