//! Events: what a worker saw in a flow, on its way to the exporter.
//!
//! A worker writes [`Record`]s into a ring of bytes with a [`Recorder`]; the exporter takes them out of [`Records`] and
//! makes events of them. Most events are one record. A message of HTTP may be several: a head, pieces of its body, an end.
//!
//! Invariant: each event is counted as produced once, where it is complete, and takes the next number of its worker;
//! what finds no room in the ring is counted as dropped. Nothing here waits or allocates.

mod code;
mod record;
mod recorder;

pub use record::{Flow, Framing, Message, Origin, Part, Record};
pub use recorder::{EventCounters, Recorder, Records, TOPICS, Topic, channel};
