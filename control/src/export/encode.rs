//! The frames of an event, and the id of a start of the daemon.
//!
//! Invariant: the meta is one JSON object in one line.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use events::Meta;

/// Writes the second frame over what was in the buffer.
///
/// # Errors
/// None: text and numbers are always JSON.
pub fn encode(meta: &Meta, into: &mut Vec<u8>) -> serde_json::Result<()> {
    into.clear();
    serde_json::to_writer(into, meta)
}

/// 16 hexadecimal digits, different for each start.
///
/// # Errors
/// Where `/dev/urandom` cannot be read.
pub fn run_id() -> io::Result<Arc<str>> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)).into())
}
