//! Metrics: the catalogue of families, their encoding at scrape time, and the HTTP endpoint that serves them.
//!
//! Invariant: nothing is kept between scrapes and nothing runs on the packet path; a scrape reads the newest reports
//! of the workers. Every family stands once in [`catalogue`], which is also what docs/metrics.md is made from.

mod document;
mod families;
pub(crate) use families::proxy::{Counter as ProxyCounter, REFUSED};
mod family;
pub mod http;

use prometheus::TextEncoder;

use crate::snapshot::Snapshot;

pub use document::document;
pub use family::{Family, Kind, LATENCY_BOUNDS};

/// Every family, in the order of the document.
pub fn catalogue() -> impl Iterator<Item = &'static Family> {
    families::ALL.iter().flat_map(|(_, families)| families.iter())
}

/// The families by subject.
fn subjects() -> &'static [(&'static str, &'static [Family])] {
    families::ALL
}

/// Encodes a snapshot in the Prometheus text format, version 0.0.4.
///
/// # Errors
/// Where the encoder refuses a family; none of the catalogue is.
pub fn encode(snapshot: &Snapshot<'_>) -> Result<String, prometheus::Error> {
    // A family without a sample (no service configured, no port) has no place in the format.
    let families: Vec<_> = catalogue().filter_map(|family| family.collect(snapshot)).collect();
    TextEncoder::new().encode_to_string(&families)
}
