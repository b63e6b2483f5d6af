//! Where events go.
//!
//! Invariant: a checked export has at least one socket, and room for at least one body.

use crate::config::Endpoint;
use crate::config::section::section;
use crate::config::spec::default;
use crate::config::units::{Size, kib, mib};

section! {
    /// Where events go, over ZeroMQ.
    pub struct Export {
        /// Endpoints of the PUSH socket: its consumers share the events among themselves. Bound, or with `connect:` before it connected to. A unix socket is made with mode 0660, and its directory, if missing, with 0750.
        "push" push: Vec<Endpoint> = default(Vec::new()).items(0..=16).or_one().example("[\"ipc:///run/millrace/events.sock\"]");
        /// Endpoints of the PUB socket: every subscriber gets all events it has subscribed to.
        "publish" publish: Vec<Endpoint> = default(Vec::new()).items(0..=16).or_one().example("[\"tcp://127.0.0.1:5558\"]");
        /// Events that wait for each consumer. What is more is dropped and counted. A slow consumer may keep the memory of so many events.
        "high_water_mark" high_water_mark: u32 = default(10_000).range(1..=10_000_000);
        /// Bytes of the ring from each worker to the exporter. What finds no room is dropped and counted.
        "ring" ring: Size = default(Size::from_bytes(mib(8))).range(mib(1)..=mib(1024));
        /// Bytes of an HTTP body that an event carries. What is more is left out and counted.
        "body" body: Size = default(Size::from_bytes(mib(1))).range(0..=mib(256));
        /// Bytes of HTTP messages that are under way, all together. Where they would be more, the oldest bodies are left out and counted.
        "assembly" assembly: Size = default(Size::from_bytes(mib(64))).range(kib(256)..=mib(16_384));
    }
}
