//! Workers and EAL.
//!
//! Invariant: an EAL argument never takes a device, a core or memory behind the configuration's back.

use std::collections::BTreeMap;

use super::Checker;
use crate::config::model::Hugepages;

pub(super) fn check(checker: &mut Checker<'_>) {
    workers(checker);
    main_cpus(checker);
    eal(checker);
    extra_args(checker);
}

fn workers(checker: &mut Checker<'_>) {
    let mut seen = BTreeMap::new();
    for (index, cpu) in checker.config.workers.cpus.iter().enumerate() {
        let path = format!("workers[{index}]");
        if let Some(first) = seen.insert(*cpu, index) {
            let what = format!("CPU {cpu} has a worker already, the one at workers[{first}]");
            checker.error(&path, what, "give each worker a CPU of its own");
        }
        offline(checker, &path, *cpu);
    }
}

fn offline(checker: &mut Checker<'_>, path: &str, cpu: u32) {
    let Some(cpus) = checker.host.cpus.as_ref().filter(|_| checker.host.strict) else {
        return;
    };
    if !cpus.contains(&cpu) {
        let known: Vec<_> = cpus.iter().take(64).map(ToString::to_string).collect();
        let instead = format!("write one of the online CPUs: {}", known.join(", "));
        checker.error(path, format!("this machine has no online CPU {cpu}"), instead);
    }
}

fn main_cpus(checker: &mut Checker<'_>) {
    for (index, cpu) in checker.config.eal.main_cpus.iter().enumerate() {
        let path = format!("eal.main_cpus[{index}]");
        offline(checker, &path, *cpu);
        if checker.config.workers.cpus.contains(cpu) && checker.usable("workers") {
            let what = format!("CPU {cpu} also has a worker, which the main thread would slow down");
            checker.warn(&path, what, "name CPUs that are not in `workers`");
        }
    }
}

fn eal(checker: &mut Checker<'_>) {
    let eal = &checker.config.eal;
    if eal.file_prefix.chars().any(|c| !(c.is_ascii_alphanumeric() || "-_".contains(c))) {
        checker.error(
            "eal.file_prefix",
            "the prefix becomes part of file names",
            "use letters, digits, `-` and `_`",
        );
    }
    if let Hugepages::Dir(dir) = &eal.hugepages
        && checker.host.strict
        && !dir.is_dir()
    {
        let what = format!("there is no directory {}", dir.display());
        let instead = format!(
            "mount one with `mkdir -p {0} && mount -t hugetlbfs none {0}`, or write `hugepages: true`",
            dir.display()
        );
        checker.error("eal.hugepages.dir", what, instead);
    }
    let pci = checker.config.ports.iter().any(|port| port.pci.is_some());
    if pci && eal.hugepages == Hugepages::Off {
        checker.warn(
            "eal.hugepages",
            "a NIC is much slower without hugepages",
            "write `hugepages: true` (`millrace doctor` shows how to reserve them)",
        );
    }
}

/// EAL options with a key of their own, and that key.
const OWNED: &[(&str, &str)] = &[
    ("--no-pci", "it is set when no port names a `pci` address"),
    ("-a", "name the NIC in a port's `pci`"),
    ("--allow", "name the NIC in a port's `pci`"),
    ("-b", "only the NICs named in `pci` are used, so there is nothing to block"),
    ("--block", "only the NICs named in `pci` are used, so there is nothing to block"),
    ("--vdev", "name the device in a port's `device`"),
    ("-l", "use `workers` and `eal.main_cpus`"),
    ("-c", "use `workers` and `eal.main_cpus`"),
    ("-s", "service cores are not used"),
    ("-S", "service cores are not used"),
    ("--lcores", "use `workers` and `eal.main_cpus`"),
    ("--main-lcore", "use `eal.main_cpus`"),
    ("-m", "use `eal.memory_mb`"),
    ("--socket-mem", "use `eal.memory_mb`"),
    ("--no-huge", "use `eal.hugepages`"),
    ("--huge-dir", "use `eal.hugepages: {dir: ...}`"),
    ("--file-prefix", "use `eal.file_prefix`"),
    ("--log-level", "use `eal.log_level`"),
    ("--proc-type", "millrace is always the primary process"),
    ("-h", "it would print help and exit"),
    ("--help", "it would print help and exit"),
    ("-v", "the version is in the log at start"),
    ("--version", "the version is in the log at start"),
];

/// Whether getopt takes `name` for `option`: short options take their value without a blank (`-a0000:3b:00.0`), long
/// ones may be cut short (`--vd`).
fn stands_for(name: &str, option: &str) -> bool {
    match name.strip_prefix("--") {
        Some(rest) => !rest.is_empty() && option.starts_with(name),
        None => !option.starts_with("--") && name.starts_with(option),
    }
}

fn extra_args(checker: &mut Checker<'_>) {
    for (index, argument) in checker.config.eal.extra_args.iter().enumerate() {
        let path = format!("eal.extra_args[{index}]");
        let name = argument.split(['=', ' ']).next().unwrap_or_default();
        let owned = OWNED.iter().find(|(option, _)| stands_for(name, option));
        if let Some((option, key)) = owned {
            checker.error(&path, format!("`{option}` is not allowed here"), format!("remove it: {key}"));
        } else if argument == "--" || argument.is_empty() || argument.contains(['\0', '\n']) {
            checker.error(
                &path,
                "this is not an EAL argument",
                "write one argument for each item, like `--iova-mode=va`",
            );
        }
    }
}
