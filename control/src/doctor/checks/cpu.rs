//! CPU features, the workers' CPUs, the clock.
//!
//! Invariant: a CPU is only called isolated if the kernel says so.

use crate::config::{Config, parse_cpu_list};
use crate::doctor::report::Check;
use crate::doctor::system::System;

const CPUS: &str = "sys/devices/system/cpu";

/// What DPDK's x86 build cannot run without, and what its clock should have.
pub(super) fn flags(system: &System, _config: Option<&Config>) -> Vec<Check> {
    let Some(flags) = system.field("proc/cpuinfo", "flags") else {
        return vec![Check::not_applicable("cpu flags", "no x86 flags in /proc/cpuinfo")];
    };
    let missing = |wanted: &[&str]| -> Vec<String> {
        let has = |flag: &str| flags.split_whitespace().any(|word| word == flag);
        wanted.iter().filter(|flag| !has(flag)).map(|flag| (*flag).to_owned()).collect()
    };
    let required = missing(&["sse4_2", "ssse3", "popcnt"]);
    let advised = missing(&["rdtscp", "constant_tsc", "nonstop_tsc"]);
    let check = if !required.is_empty() {
        let found = format!("missing {}: DPDK stops at start", required.join(", "));
        Check::fail("cpu flags", found, "run on another CPU; in a virtual machine use `-cpu host`")
    } else if !advised.is_empty() {
        let found = format!("missing {}: time stamps may drift or be slow", advised.join(", "));
        Check::warn("cpu flags", found, "in a virtual machine use `-cpu host,+invtsc`")
    } else {
        Check::pass("cpu flags", "sse4_2, ssse3, popcnt, rdtscp, constant_tsc, nonstop_tsc")
    };
    vec![check]
}

/// Whether the workers' CPUs are there and theirs alone.
pub(super) fn cores(system: &System, config: Option<&Config>) -> Vec<Check> {
    let cpus = |file: &str| system.read(format!("{CPUS}/{file}")).as_deref().and_then(parse_cpu_list);
    let Some(online) = cpus("online") else {
        let fix = "mount sysfs: `mount -t sysfs sysfs /sys`";
        return vec![Check::warn("cores", "cannot read the list of online CPUs", fix)];
    };
    let Some(config) = config else {
        return vec![Check::pass("cores", format!("{} online", online.len()))];
    };
    let workers = &config.workers.cpus;
    let offline: Vec<_> = workers.iter().filter(|cpu| !online.contains(cpu)).collect();
    if let Some(first) = offline.first() {
        let present = cpus("present").unwrap_or_default().contains(first);
        let fix = match present {
            true => format!("echo 1 > /{CPUS}/cpu{first}/online"),
            false => format!("name CPUs of this machine in `workers`: {}", join(&online)),
        };
        return vec![Check::fail("cores", format!("worker CPU {} is not online", join(&offline)), fix)];
    }
    let isolated = cpus("isolated").unwrap_or_default();
    let shared: Vec<_> = workers.iter().filter(|cpu| !isolated.contains(cpu)).collect();
    let others = online.iter().any(|cpu| !workers.contains(cpu));
    let mut checks = vec![if shared.is_empty() {
        Check::pass("cores", format!("workers on CPU {}, isolated", join(workers)))
    } else {
        let found = format!("worker CPU {} is shared with the rest of the system", join(&shared));
        let fix =
            format!("boot with `isolcpus={0} nohz_full={0} rcu_nocbs={0}` for steady latency", join(workers));
        Check::warn("cores", found, fix)
    }];
    checks.push(main_thread(config, others));
    checks
}

fn main_thread(config: &Config, others: bool) -> Check {
    let on_worker: Vec<_> =
        config.eal.main_cpus.iter().filter(|cpu| config.workers.cpus.contains(cpu)).collect();
    if !on_worker.is_empty() {
        let found = format!("the main thread may run on worker CPU {}", join(&on_worker));
        Check::warn("main thread", found, "name other CPUs in `eal.main_cpus`")
    } else if others {
        Check::pass("main thread", "has a CPU without a worker")
    } else {
        let fix = "leave one CPU out of `workers`, or accept slower metrics and admin answers";
        Check::warn("main thread", "every online CPU has a worker", fix)
    }
}

/// Worker time comes from the TSC; a kernel that does not trust it has a reason.
pub(super) fn clock(system: &System, _config: Option<&Config>) -> Vec<Check> {
    let directory = "sys/devices/system/clocksource/clocksource0";
    let check = match system.read(format!("{directory}/current_clocksource")).as_deref() {
        Some("tsc") => Check::pass("clock", "tsc"),
        Some(other) => {
            let available = system.read(format!("{directory}/available_clocksource")).unwrap_or_default();
            let found = format!("the kernel uses {other}, so it may not trust the TSC");
            let fix = if available.split_whitespace().any(|name| name == "tsc") {
                format!("echo tsc > /{directory}/current_clocksource")
            } else {
                "look for `tsc: Marking TSC unstable` in `dmesg`; in a virtual machine use `-cpu host,+invtsc`".into()
            };
            Check::warn("clock", found, fix)
        }
        None => Check::not_applicable("clock", "the kernel shows no clock source"),
    };
    vec![check]
}

fn join<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
