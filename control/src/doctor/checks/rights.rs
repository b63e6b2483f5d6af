//! What the process may do.
//!
//! Invariant: a right is asked for only if a port of the configuration needs it.

use crate::config::Config;
use crate::doctor::report::Check;
use crate::doctor::system::System;

/// Number of CAP_NET_ADMIN in linux/capability.h.
const NET_ADMIN: u32 = 12;
/// Number of CAP_NET_RAW.
const NET_RAW: u32 = 13;

/// Rights on the kernel's network, for the ports that share it.
pub(super) fn privileges(system: &System, config: Option<&Config>) -> Vec<Check> {
    const NAME: &str = "privileges";
    let Some(config) = config else {
        return Vec::new();
    };
    let uses = |drivers: &[&str]| super::vdev_ports(config, drivers).next().is_some();
    let mut wanted = Vec::new();
    if uses(&["net_tap", "net_af_xdp", "net_virtio_user"]) {
        wanted.push((NET_ADMIN, "CAP_NET_ADMIN"));
    }
    if uses(&["net_af_packet", "net_af_xdp"]) {
        wanted.push((NET_RAW, "CAP_NET_RAW"));
    }
    if wanted.is_empty() {
        return vec![Check::not_applicable(NAME, "no port shares the kernel's network")];
    }
    let names = |list: &[(u32, &str)]| list.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(" ");
    let missing: Vec<_> =
        wanted.iter().copied().filter(|(cap, _)| system.capable(*cap) == Some(false)).collect();
    let unknown = wanted.iter().any(|(cap, _)| system.capable(*cap).is_none());
    vec![if unknown {
        Check::warn(NAME, "cannot read the process's capabilities", "run as root")
    } else if missing.is_empty() {
        Check::pass(NAME, names(&wanted))
    } else {
        let fix = format!("run as root, or AmbientCapabilities={} in the systemd unit", names(&missing));
        Check::fail(NAME, format!("missing {}", names(&missing)), fix)
    }]
}
