//! What single scenarios say beyond their row: numbers for programs, lines for people.
//!
//! Invariant: every requirement is printed beside the number it is about, met or not.

mod flood;
mod million;
mod proxy;

pub(crate) use flood::{Clients, Flood, Round};
pub(crate) use million::{Cost, Million};
pub(crate) use proxy::Proxy;

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Beyond the row.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Detail {
    Flood(Flood),
    Million(Million),
    Proxy(Proxy),
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flood(flood) => flood.fmt(f),
            Self::Million(million) => million.fmt(f),
            Self::Proxy(proxy) => proxy.fmt(f),
        }
    }
}

/// Names and numbers in a line.
fn list(map: &BTreeMap<String, f64>) -> String {
    let each: Vec<_> = map.iter().map(|(name, n)| format!("{name} {n:.0}")).collect();
    if each.is_empty() { "none".into() } else { each.join(", ") }
}

#[allow(clippy::cast_precision_loss)]
fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}
