//! Packets in, data out; data in, packets out.
//!
pub mod checksum;
pub mod drop;
pub mod extension;
pub mod key;
pub mod martian;
pub mod packet;
pub mod table;
pub mod tcp_options;
pub mod time;
pub mod wheel;
pub use key::{Addr, FlowId, FlowKey, Protocol};
pub use time::Instant;
