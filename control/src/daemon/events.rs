//! Events of observed flows: the exporter, where the configuration asks for one.
//!
//! Invariant: it starts after the data plane and ends after it, so that nothing the workers say is lost for want of it.

use std::sync::Arc;

use dataplane::event::Records;
use dataplane::settings::Services;
use tracing::info;

use crate::config::model::{Config, Export};
use crate::export::{Exporter, Names, Sockets, run_id};

/// Starts it on the CPUs of this thread, which must not be those of workers.
pub(super) fn start(
    config: &Config,
    services: &Services,
    records: Vec<Records>,
) -> Result<Option<Exporter>, String> {
    let Some(export) = &config.export else { return Ok(None) };
    let run = run_id().map_err(|error| {
        format!("cannot read /dev/urandom: {error}; fix: make /dev available to millrace")
    })?;
    let sockets = Sockets::open(export)?;
    info!(run = &*run, push = list(export, true), publish = list(export, false), "exporting events");
    Exporter::start(export, Arc::clone(&run), names(config, services), records, sockets).map(Some)
}

/// The names that go with the numbers in records.
pub(super) fn names(config: &Config, services: &Services) -> Names {
    let services = services.services.iter().map(|service| service.name.as_str());
    Names::new(services, config.ports.iter().map(|port| port.name.as_str()))
}

fn list(export: &Export, push: bool) -> String {
    let endpoints = if push { &export.push } else { &export.publish };
    endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
