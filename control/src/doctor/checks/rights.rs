//! What the process may do.
//!
//! Invariant: a right is asked for only if a port of the configuration needs it.

use crate::config::Config;
use crate::config::model::{Device, Port};
use crate::doctor::report::Check;
use crate::doctor::system::System;

/// Number of CAP_NET_ADMIN in linux/capability.h.
const NET_ADMIN: u32 = 12;
/// Number of CAP_NET_RAW.
const NET_RAW: u32 = 13;

/// What a port on the kernel's network cannot be opened without.
fn wanted(port: &Port) -> &'static [(u32, &'static str)] {
    let Some(Device::Vdev(vdev)) = port.attachment() else { return &[] };
    match vdev.driver() {
        "net_tap" => &[(NET_ADMIN, "CAP_NET_ADMIN")],
        "net_af_packet" => &[(NET_RAW, "CAP_NET_RAW")],
        "net_af_xdp" => &[(NET_ADMIN, "CAP_NET_ADMIN"), (NET_RAW, "CAP_NET_RAW")],
        // A path that is no device is the socket of a vhost server.
        "net_virtio_user" if vdev.argument("path").is_some_and(|path| path.starts_with("/dev/")) => {
            &[(NET_ADMIN, "CAP_NET_ADMIN")]
        }
        _ => &[],
    }
}

/// The first port that this process has not the rights to open, in one line with what to do. DPDK would say it in many,
/// none of which names the right.
pub(crate) fn refusal(system: &System, config: &Config) -> Option<String> {
    config.ports.iter().find_map(|port| {
        let missing = wanted(port).iter().filter(|(number, _)| system.capable(*number) == Some(false));
        let missing: Vec<_> = missing.map(|(_, name)| *name).collect();
        let (needs, device) = (missing.join(" and "), port.device.as_ref()?);
        (!missing.is_empty()).then(|| {
            format!(
                "port `{}` ({}): no permission: it needs {needs}, which this process does not have; fix: run as \
                 root, or give it {needs} (systemd: `AmbientCapabilities={}`; a container: `--cap-add`)",
                port.name,
                device.name(),
                missing.join(" "),
            )
        })
    })
}

/// Rights on the kernel's network, for the ports that share it.
pub(super) fn privileges(system: &System, config: Option<&Config>) -> Vec<Check> {
    const NAME: &str = "privileges";
    let Some(config) = config else {
        return Vec::new();
    };
    let mut wanted: Vec<_> = config.ports.iter().flat_map(wanted).copied().collect();
    wanted.sort_unstable();
    wanted.dedup();
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
