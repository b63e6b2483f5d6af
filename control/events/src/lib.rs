//! Events as consumers see them: the schema of `docs/events.md`, version 1, and the decoding of bodies.
//!
//! Shared by whoever makes events and whoever shows them; nothing of DPDK, nothing of ZeroMQ.
//!
//! Invariant: what is written as JSON here reads back the same, and has the keys of the document and no others.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod close;
mod decode;
mod message;
mod meta;

pub use close::{Close, PerSide, Sent};
pub use decode::{Body, Decoded, Trouble, decode};
pub use message::{Message, Pair, RequestSeen};
pub use meta::{Data, Endpoint, Gap, Meta, Open, What, latin1};

/// Version of the schema.
pub const VERSION: u32 = 1;
