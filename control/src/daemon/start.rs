//! The start: sockets first, then the data plane, then the kernel's side of taps.
//!
//! Invariant: when it fails, everything that was started has been stopped again.

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dataplane::appliance::Dataplane;
use tracing::{debug, info, warn};

use super::run::Failure;
use super::state::Daemon;
use super::{events, kernel, progress};
use crate::admin::AdminSocket;
use crate::config::{Listen, Loaded};
use crate::doctor;
use crate::export::Sockets;
use crate::log::LogControl;
use crate::metrics::http;
use crate::plan;

/// Where operators come in.
pub(super) struct Doors {
    pub(super) admin: AdminSocket,
    pub(super) metrics: Option<TcpListener>,
}

/// Says what is about to run, in short.
pub(super) fn announce(loaded: &Loaded) {
    for warning in &loaded.warnings {
        warn!("{}", warning.unmarked());
    }
    let config = &loaded.config;
    let ports: Vec<_> = config.ports.iter().map(|port| port.name.as_str()).collect();
    let services: Vec<_> = config.services.iter().map(|service| service.name.as_str()).collect();
    // Ports and services are named already; of the rest a key stands for the section it is in.
    let whole = |key: &String| loaded.given.iter().any(|other| other.starts_with(&format!("{key}.")));
    let named = |key: &String| ["ports", "services", "workers"].iter().any(|list| key.starts_with(list));
    let keys: Vec<_> =
        loaded.given.iter().filter(|key| !whole(key) && !named(key)).map(String::as_str).collect();
    info!(
        source = %loaded.source.display(),
        workers = ?config.workers.cpus,
        ports = ports.join(","),
        services = services.join(","),
        given = keys.join(","),
        "configuration (everything: --show-config, millctl show config)"
    );
}

pub(super) fn start(
    loaded: Loaded,
    log: LogControl,
    reload_limit: Duration,
) -> Result<(Rc<Daemon>, Doors), Failure> {
    let started = SystemTime::now();
    let secret = plan::secret().map_err(|error| {
        Failure::Start(format!("cannot read /dev/urandom: {error}; fix: make /dev available to millrace"))
    })?;
    let fixed = plan::Fixed::new(&loaded.config, &secret);
    let settings = plan::settings(&loaded, secret).map_err(Failure::Config)?;
    // Before the sockets: without rights they fail as well, and say less about it.
    if let Some(line) = doctor::no_rights(&loaded.config) {
        return Err(Failure::Start(line));
    }
    let admin = AdminSocket::bind(&loaded.config.admin).map_err(|error| Failure::Start(error.to_string()))?;
    let metrics = match loaded.config.metrics.listen {
        Listen::Off => None,
        Listen::At(at) => Some(http::bind(at).map_err(Failure::Start)?),
    };
    if let Some(export) = &loaded.config.export {
        Sockets::check(export).map_err(Failure::Start)?;
    }
    // After the sockets: a second start of the same configuration should hear that the first one runs.
    kernel::refuse_taken_taps(&loaded.config.ports).map_err(Failure::Start)?;
    let services = Arc::clone(&settings.services);
    let what = format!(
        "starting DPDK: {} workers, {} ports, {} packet buffers",
        settings.cpus.len(),
        settings.ports.len(),
        settings.cpus.len() as u64 * u64::from(settings.mbufs)
    );
    let mut dataplane = progress::shown(what, || Dataplane::start(settings))
        .map_err(|error| Failure::Start(error.to_string()))?;
    let steering: Vec<_> = dataplane.ports().iter().map(|port| port.steering).collect();
    let fixed = fixed.running(loaded.config.workers.cpus.len(), &steering, &services);
    debug!(arguments = ?dataplane.eal_args(), "EAL");
    for port in dataplane.ports() {
        info!(
            port = port.name,
            device = port.device,
            driver = port.driver,
            mac = port.mac_text(),
            mtu = port.effective.mtu,
            queues = port.effective.rx_queues,
            steering = port.steering.name(),
            "port started"
        );
    }
    for port in &loaded.config.ports {
        kernel::set_addresses(port).map_err(Failure::Start)?;
    }
    // After DPDK, which has brought this thread to the CPUs that no worker has: the exporter's threads stay on these.
    let exporter =
        events::start(&loaded.config, &services, dataplane.take_records()).map_err(Failure::Start)?;
    let mut daemon = Daemon::new(dataplane, services, fixed, loaded, log, reload_limit, started);
    daemon.exporter = exporter;
    Ok((Rc::new(daemon), Doors { admin, metrics }))
}
