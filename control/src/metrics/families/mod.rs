//! The catalogue, by subject.
//!
//! Invariant: one family, one entry, in one file.

mod daemon;
mod event;
mod flow;
mod monitor;
mod port;
pub(crate) mod proxy;
mod service;
mod worker;

use super::family::Family;

pub(super) const ALL: &[(&str, &[Family])] = &[
    ("Ports", port::FAMILIES),
    ("Workers", worker::FAMILIES),
    ("Packets and flows", flow::FAMILIES),
    ("Services", service::FAMILIES),
    ("Proxies", proxy::FAMILIES),
    ("Observation", monitor::FAMILIES),
    ("Events", event::FAMILIES),
    ("Daemon", daemon::FAMILIES),
];

/// Writes an entry of the catalogue.
macro_rules! family {
    ($kind:ident $name:literal [$($label:literal),*] $unit:literal, $help:literal, $read:expr) => {
        crate::metrics::family::Family {
            name: concat!("millrace_", $name),
            kind: crate::metrics::family::Kind::$kind,
            labels: &[$($label),*],
            unit: $unit,
            help: $help,
            read: $read,
        }
    };
}
pub(super) use family;
