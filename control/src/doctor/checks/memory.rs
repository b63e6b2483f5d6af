//! Memory, hugepages and the limit on locked memory.
//!
//! Invariant: the commands shown reserve what this configuration needs, not a guess.

use crate::config::Config;
use crate::config::model::Hugepages;
use crate::doctor::report::Check;
use crate::doctor::system::System;

/// The number of KiB, or of pages, of a line of /proc/meminfo.
fn meminfo(system: &System, key: &str) -> Option<u64> {
    let text = system.field("proc/meminfo", key)?;
    text.split_whitespace().next()?.parse().ok()
}

/// Whether there is as much memory as DPDK is to take at the start. With hugepages it takes those.
pub(super) fn memory(system: &System, config: Option<&Config>) -> Vec<Check> {
    const NAME: &str = "memory";
    let Some(config) = config else { return Vec::new() };
    if config.eal.hugepages != Hugepages::Off {
        return vec![Check::not_applicable(NAME, "packet memory comes from hugepages")];
    }
    let mib = |key| meminfo(system, key).map(|kib| kib >> 10);
    let wanted = u64::from(config.eal.memory_mb);
    let fix = "lower `eal.memory_mb` (`millrace check` says how much the buffers need) and `mempool.mbufs`";
    vec![match (mib("MemTotal"), mib("MemAvailable")) {
        (Some(total), _) if wanted > total => {
            let found = format!("`eal.memory_mb: {wanted}` is more than this machine has, {total} MiB");
            Check::fail(NAME, found, fix)
        }
        (Some(total), Some(free)) if wanted > free => {
            let found = format!("`eal.memory_mb: {wanted}`, but of {total} MiB only {free} are available");
            Check::warn(NAME, found, fix)
                .then("or stop what uses the memory: `ps -eo rss,comm --sort=-rss | head`")
        }
        (Some(total), _) => Check::pass(NAME, format!("{wanted} of {total} MiB")),
        (None, _) => Check::warn(NAME, "cannot read the size of the memory", "check with `free -m`"),
    }]
}

/// Whether the hugepages asked for are reserved and, where they come from a mount, mounted.
pub(super) fn hugepages(system: &System, config: Option<&Config>) -> Vec<Check> {
    const NAME: &str = "hugepages";
    let meminfo = |key| meminfo(system, key);
    let (total, free) = (meminfo("HugePages_Total").unwrap_or(0), meminfo("HugePages_Free").unwrap_or(0));
    let page_kb = meminfo("Hugepagesize").unwrap_or(2048).max(1);
    let state = format!("{free} of {total} pages of {page_kb} KiB free");
    let Some(config) = config else {
        return vec![Check::pass(NAME, state)];
    };
    let mount = match &config.eal.hugepages {
        Hugepages::Off => {
            return vec![Check::not_applicable(NAME, format!("`eal.hugepages` is off; {state}"))];
        }
        // Taken from the kernel without a file system.
        Hugepages::On => None,
        Hugepages::Dir(dir) => Some(dir.to_string_lossy().into_owned()),
    };
    let pages = (u64::from(config.eal.memory_mb) * 1024).div_ceil(page_kb);
    let mut checks = Vec::new();
    checks.push(if free < pages {
        let found = format!("{state}; `eal.memory_mb: {}` needs {pages}", config.eal.memory_mb);
        let fix = format!("echo {} > /proc/sys/vm/nr_hugepages", total + pages - free);
        Check::fail(NAME, found, fix)
            .then("to keep them over a reboot: the same number in /etc/sysctl.d as vm.nr_hugepages")
    } else {
        Check::pass(NAME, format!("{state}, {pages} needed"))
    });
    if let Some(dir) = mount {
        checks.push(if mounts(system).contains(&dir) {
            Check::pass("hugetlbfs", format!("mounted at {dir}"))
        } else {
            let fix = format!("mkdir -p {dir} && mount -t hugetlbfs none {dir}");
            Check::fail("hugetlbfs", format!("not mounted at {dir}"), fix)
                .then("or write `hugepages: true`, which needs no mount")
        });
    }
    checks
}

fn mounts(system: &System) -> Vec<String> {
    let text = system.read(system.process("mounts")).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (_, place, kind) = (words.next()?, words.next()?, words.next()?);
            (kind == "hugetlbfs").then(|| place.to_owned())
        })
        .collect()
}

/// VFIO pins the memory a NIC may reach; the limit counts against it.
pub(super) fn memlock(system: &System, config: Option<&Config>) -> Vec<Check> {
    /// Number of CAP_IPC_LOCK in linux/capability.h; it lifts the limit.
    const IPC_LOCK: u32 = 14;
    const NAME: &str = "memlock";
    let Some(config) = config.filter(|config| super::pci_ports(config).next().is_some()) else {
        return vec![Check::not_applicable(NAME, "no port names a PCI device")];
    };
    let limits = system.read(system.process("limits")).unwrap_or_default();
    let soft = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max locked memory"))
        .and_then(|rest| rest.split_whitespace().next());
    let needed = u64::from(config.eal.memory_mb) << 20;
    let check = match (soft, soft.and_then(|text| text.parse::<u64>().ok())) {
        (Some("unlimited"), _) => Check::pass(NAME, "unlimited"),
        _ if system.capable(IPC_LOCK) == Some(true) => Check::pass(NAME, "the process may lock any amount"),
        (_, Some(bytes)) if bytes >= needed => Check::pass(NAME, format!("{} MiB", bytes >> 20)),
        (_, Some(bytes)) => Check::fail(
            NAME,
            format!("{} MiB may be locked, {} MiB are needed", bytes >> 20, config.eal.memory_mb),
            "LimitMEMLOCK=infinity in the systemd unit, or `ulimit -l unlimited` before the start",
        ),
        (_, None) => Check::warn(NAME, "cannot read the limit", "check `ulimit -l`"),
    };
    vec![check]
}
