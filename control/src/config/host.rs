//! The machine a configuration is meant for, as far as checking it needs to know.
//!
//! Invariant: a check that the machine cannot answer (another machine's file, a made-up host in a test) is skipped,
//! never guessed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The groups of this machine.
pub(crate) const GROUPS: &str = "/etc/group";

/// What is known of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// CPUs that are online, ascending; `None` when not known. `workers: {count: n}` takes its CPUs from these.
    pub cpus: Option<Vec<u32>>,
    /// Bytes of memory; `None` when not known.
    pub memory: Option<u64>,
    /// Names of the groups; `None` when not known.
    pub groups: Option<BTreeSet<String>>,
    /// Directory that relative paths of the file are resolved against.
    pub base: PathBuf,
    /// Whether the CPUs, paths and groups the file names must exist, and its sizes suit the memory.
    pub strict: bool,
}

impl Host {
    /// No machine in particular: nothing is checked against it.
    #[must_use]
    pub fn unknown() -> Self {
        Self { cpus: None, memory: None, groups: None, base: PathBuf::from("."), strict: false }
    }

    /// This machine, with relative paths resolved against the directory of `file`.
    #[must_use]
    pub fn current(file: &Path) -> Self {
        let base = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let online = std::fs::read_to_string("/sys/devices/system/cpu/online").ok();
        let memory = std::fs::read_to_string("/proc/meminfo").ok();
        let groups = std::fs::read_to_string(GROUPS).ok();
        Self {
            cpus: online.as_deref().and_then(parse_cpu_list),
            memory: memory.as_deref().and_then(parse_memory),
            groups: groups.map(|text| group_ids(&text).map(|(name, _)| name.to_owned()).collect()),
            base,
            strict: true,
        }
    }

    /// This machine, without insisting on the CPUs, paths and groups the file names.
    #[must_use]
    pub fn lenient(file: &Path) -> Self {
        Self { strict: false, ..Self::current(file) }
    }

    /// The CPUs `count` workers get: the highest ones, so that CPU 0 is left to the system while that is possible.
    pub(crate) fn pick(&self, count: u32) -> Vec<u32> {
        match &self.cpus {
            Some(cpus) if self.strict || cpus.len() >= count as usize => {
                let skip = cpus.len().saturating_sub(count as usize);
                cpus[skip..].to_vec()
            }
            _ => (1..=count).collect(),
        }
    }
}

/// The memory there is, in bytes, from /proc/meminfo.
fn parse_memory(text: &str) -> Option<u64> {
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The names and numbers in a text like [`GROUPS`].
pub(crate) fn group_ids(text: &str) -> impl Iterator<Item = (&str, u32)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        Some((name, number.parse().ok()?))
    })
}

/// The kernel's list format: `0-3,8,10-11`.
#[must_use]
pub fn parse_cpu_list(text: &str) -> Option<Vec<u32>> {
    const MOST: u32 = 4096;
    let mut cpus = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= MOST {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}
