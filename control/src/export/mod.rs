//! Events on their way out: from the workers' records to messages on ZeroMQ.
//!
//! A thread of its own takes the records out of the workers' rings, puts messages of HTTP together and sends events.
//!
//! Invariant: no worker ever waits for this, nor this for a consumer. For every worker, events produced = sent +
//! dropped + on the way.

mod assemble;
mod encode;
mod exporter;
mod head;
mod ipc;
mod names;
mod numbers;
mod pieces;
mod requests;
mod sockets;

pub use assemble::{Assembler, Bounds, Event};
pub use encode::{encode, run_id};
pub use exporter::Exporter;
pub use ipc::LONGEST_IPC;
pub use names::{Names, SharedNames};
pub use numbers::{ByTopic, ExportNumbers, WorkerNumbers};
pub use pieces::Losses;
pub use sockets::Sockets;

/// A worker, and a flow of it.
type FlowKey = (u16, u64);
