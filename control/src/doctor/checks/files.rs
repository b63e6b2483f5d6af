//! Files and sockets of the process: DPDK's drivers, the admin socket, the metrics port.
//!
//! Invariant: nothing is created or opened to find out; rights are read from the directory's mode.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::model::Application;
use crate::config::{Config, Listen};
use crate::doctor::report::Check;
use crate::doctor::system::System;

/// Directories distributions put DPDK's drivers in, below the library directory.
const LIBRARIES: &[&str] = &[
    "usr/lib/x86_64-linux-gnu/dpdk",
    "usr/lib/aarch64-linux-gnu/dpdk",
    "usr/lib64/dpdk",
    "usr/lib/dpdk",
    "usr/local/lib/x86_64-linux-gnu/dpdk",
    "usr/local/lib64/dpdk",
    "usr/local/lib/dpdk",
];

/// Drivers are loaded at start from `pmds-VERSION`; without it there is no device at all.
pub(super) fn drivers(system: &System, config: Option<&Config>) -> Vec<Check> {
    const NAME: &str = "dpdk drivers";
    let found = LIBRARIES.iter().find_map(|library| {
        let pmds = system.list(library).into_iter().find(|name| name.starts_with("pmds-"))?;
        Some(format!("{library}/{pmds}"))
    });
    let Some(directory) = found else {
        let fix =
            "apt install librte-net-tap23 librte-net-memif23 (or all of dpdk), unless DPDK is linked in";
        return vec![Check::warn(NAME, "no pmds directory was found", fix)];
    };
    let files = system.list(&directory);
    let wanted =
        config.into_iter().flat_map(|config| config.ports.iter().filter_map(|port| port.device.as_ref()));
    let missing: Vec<String> = wanted
        .map(|vdev| vdev.driver().to_owned())
        .filter(|driver| {
            let file = match driver.as_str() {
                // One library has both.
                "net_virtio_user" => "librte_net_virtio.so".to_owned(),
                driver => format!("librte_{driver}.so"),
            };
            !files.iter().any(|name| name.starts_with(&file))
        })
        .collect();
    vec![if missing.is_empty() {
        Check::pass(NAME, format!("/{directory}"))
    } else {
        let packages: Vec<_> =
            missing.iter().map(|driver| format!("librte-{}23", driver.replace('_', "-"))).collect();
        Check::fail(
            NAME,
            format!("/{directory} has no {}", missing.join(", ")),
            format!("apt install {}", packages.join(" ")),
        )
    }]
}

/// Whether the directory of the admin socket is there and writable.
pub(super) fn admin_socket(system: &System, config: Option<&Config>) -> Vec<Check> {
    const NAME: &str = "admin socket";
    let Some(config) = config else {
        return Vec::new();
    };
    let socket = &config.admin.socket;
    let directory = socket.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The daemon makes the last directory itself: a fresh machine has no /run/millrace.
    let above = directory.parent().filter(|_| !system.exists(directory)).unwrap_or(directory);
    let Ok(metadata) = std::fs::metadata(system.path(above)) else {
        let fix = format!("mkdir -p {}", directory.display());
        let check = Check::fail(NAME, format!("there is no directory {}", directory.display()), fix);
        return vec![check.then("under systemd: RuntimeDirectory=millrace")];
    };
    let ids = |key| -> Vec<u32> {
        let text = system.field(&system.process("status"), key).unwrap_or_default();
        text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
    };
    // The second number of Uid and Gid is the effective one.
    let user = ids("Uid").get(1).copied();
    let groups: Vec<u32> = ids("Gid").get(1).copied().into_iter().chain(ids("Groups")).collect();
    let mode = metadata.mode();
    let writable = match user {
        Some(0) => true,
        Some(user) if user == metadata.uid() => mode & 0o200 != 0,
        _ if groups.contains(&metadata.gid()) => mode & 0o020 != 0,
        _ => mode & 0o002 != 0,
    };
    vec![if !metadata.is_dir() {
        let found = format!("{} is not a directory", above.display());
        Check::fail(NAME, found, "write another path to `admin.socket`")
    } else if writable {
        let state = if above == directory { "is writable" } else { "is made at start" };
        Check::pass(NAME, format!("{} {state}", directory.display()))
    } else {
        let owner = user.map_or("USER".into(), |user| user.to_string());
        let fix = format!("mkdir -p {0} && chown {owner} {0}", directory.display());
        Check::fail(NAME, format!("{} is not writable", above.display()), fix)
    }]
}

/// The directories HTTP services serve.
pub(super) fn directories(system: &System, config: Option<&Config>) -> Vec<Check> {
    let services = config.into_iter().flat_map(|config| &config.services);
    services
        .filter_map(|service| {
            let Some(Application::Http(http)) = &service.application else {
                return None;
            };
            let directory = http.directory.as_ref()?;
            let name = format!("directory {}", service.name);
            // A relative one is seen from where the command was given.
            let place = std::path::absolute(directory).unwrap_or_else(|_| directory.clone());
            Some(if system.path(place).is_dir() {
                Check::pass(name, directory.display().to_string())
            } else {
                let found = format!("there is no directory {}", directory.display());
                Check::fail(name, found, format!("mkdir -p {}", directory.display()))
            })
        })
        .collect()
}

/// Whether something listens on the metrics port already.
pub(super) fn metrics_port(system: &System, config: Option<&Config>) -> Vec<Check> {
    const NAME: &str = "metrics port";
    let Some(config) = config else {
        return Vec::new();
    };
    let Listen::At(wanted) = config.metrics.listen else {
        return vec![Check::not_applicable(NAME, "`metrics.listen` is off")];
    };
    let tables: Vec<_> =
        ["net/tcp", "net/tcp6"].iter().filter_map(|file| system.read(system.process(file))).collect();
    if tables.is_empty() {
        return vec![Check::warn(NAME, "cannot read the list of listening sockets", "check with `ss -ltn`")];
    }
    let taken = tables.iter().flat_map(|table| table.lines().skip(1)).filter_map(listener).any(|other| {
        let same = other.ip() == wanted.ip() || other.ip().is_unspecified() || wanted.ip().is_unspecified();
        other.port() == wanted.port() && same
    });
    let mut checks = vec![if taken {
        let fix = format!(
            "find it with `ss -ltnp 'sport = :{}'`; stop it, or write another port to `metrics.listen`",
            wanted.port()
        );
        Check::fail(NAME, format!("something listens on {wanted} already"), fix)
    } else {
        Check::pass(NAME, format!("{wanted} is free"))
    }];
    if !wanted.ip().is_loopback() {
        let fix = "write a loopback address to `metrics.listen`, or keep strangers out with a firewall";
        checks.push(Check::warn(
            "metrics access",
            format!("{wanted} is reachable from outside, without authentication"),
            fix,
        ));
    }
    checks
}

/// The local address of a line of /proc/net/tcp or tcp6, if it is a listener.
fn listener(line: &str) -> Option<SocketAddr> {
    /// TCP_LISTEN of the kernel's net/tcp_states.h.
    const LISTEN: &str = "0A";
    let mut words = line.split_whitespace().skip(1);
    let (local, _, state) = (words.next()?, words.next()?, words.next()?);
    let (address, port) = local.split_once(':')?;
    if state != LISTEN {
        return None;
    }
    // Addresses are in words of four bytes, each in the byte order of the machine.
    let bytes: Vec<u8> = (0..address.len() / 8)
        .filter_map(|i| u32::from_str_radix(address.get(i * 8..i * 8 + 8)?, 16).ok())
        .flat_map(u32::to_ne_bytes)
        .collect();
    let address: IpAddr = match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok()?.into(),
        _ => <[u8; 16]>::try_from(bytes).ok()?.into(),
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}
