//! What DPDK is started with, and the command line made of it.
//!
//! Invariant: PCI devices are touched only by name. With none listed, `--no-pci` is on the command line, so a machine's
//! own NIC is never taken by surprise.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// Where packet memory comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Hugepages {
    /// Ordinary pages (`--no-huge`): for trying things and for tests; needs no preparation.
    #[default]
    None,
    /// Hugepages without a file system behind them (`--in-memory`); no second DPDK process can attach.
    InMemory,
    /// Hugepages from this hugetlbfs mount (`--huge-dir`).
    Dir(PathBuf),
}

/// How much DPDK's own log says (on stderr).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// Failures only.
    Error,
    /// And things that look wrong.
    #[default]
    Warning,
    /// And noteworthy normal events.
    Notice,
    /// And progress.
    Info,
    /// Everything.
    Debug,
}

impl LogLevel {
    fn name(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warning => "warning",
            LogLevel::Notice => "notice",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
        }
    }
}

/// Options of [`Eal::init`](super::Eal::init).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EalOptions {
    /// Where packet memory comes from.
    pub hugepages: Hugepages,
    /// Packet memory in MiB, reserved at the start. 0 lets DPDK decide (64 without hugepages, on demand with them).
    pub memory_mb: u32,
    /// PCI addresses DPDK may use (`-a`), and no others. Empty: none at all (`--no-pci`).
    pub pci: Vec<String>,
    /// Virtual devices (`--vdev`), each `driverN,option=value,...`.
    pub vdevs: Vec<String>,
    /// Names the run-time files (`--file-prefix`); two DPDK processes need different ones.
    pub file_prefix: Option<String>,
    /// The cpus the calling thread may run on afterwards. Empty: those it may run on now.
    pub main_cpus: Vec<usize>,
    /// How much DPDK's log says.
    pub log_level: LogLevel,
    /// Keep DPDK's telemetry socket.
    pub telemetry: bool,
    /// More EAL arguments, passed as they are.
    pub extra: Vec<String>,
}

impl Default for EalOptions {
    fn default() -> Self {
        Self {
            hugepages: Hugepages::None,
            memory_mb: 512,
            pci: Vec::new(),
            vdevs: Vec::new(),
            file_prefix: None,
            main_cpus: Vec::new(),
            log_level: LogLevel::Warning,
            telemetry: false,
            extra: Vec::new(),
        }
    }
}

impl EalOptions {
    /// The EAL command line, program name first.
    pub(super) fn arguments(&self, default_cpus: &[usize]) -> Result<Vec<String>> {
        let mut args = vec!["millrace".to_owned()];
        match &self.hugepages {
            // Nothing outlives the process without hugepages, so there is nothing to share either.
            Hugepages::None => args.extend(["--no-huge".to_owned(), "--no-shconf".to_owned()]),
            Hugepages::InMemory => args.push("--in-memory".to_owned()),
            Hugepages::Dir(dir) => args.push(format!("--huge-dir={}", dir.display())),
        }
        if self.memory_mb > 0 {
            args.extend(["-m".to_owned(), self.memory_mb.to_string()]);
        }
        if let Some(prefix) = &self.file_prefix {
            args.push(format!("--file-prefix={prefix}"));
        }
        if self.pci.is_empty() {
            args.push("--no-pci".to_owned());
        }
        for address in &self.pci {
            args.extend(["-a".to_owned(), address.clone()]);
        }
        for (i, vdev) in self.vdevs.iter().enumerate() {
            if self.vdevs[..i].iter().any(|earlier| device_name(earlier) == device_name(vdev)) {
                let name = device_name(vdev);
                return Err(Error::invalid(
                    format!("vdev {name:?}"),
                    "is listed twice",
                    "give each device its own number",
                ));
            }
            args.push(format!("--vdev={vdev}"));
        }
        let cpus = if self.main_cpus.is_empty() { default_cpus } else { &self.main_cpus };
        if cpus.is_empty() {
            return Err(Error::invalid("main_cpus", "is empty", "name at least one cpu"));
        }
        // One lcore floating over all these cpus: a plain `-l` would pin the calling thread to a single one.
        let list: Vec<String> = cpus.iter().map(usize::to_string).collect();
        args.push(format!("--lcores=0@({})", list.join(",")));
        args.push(format!("--log-level={}", self.log_level.name()));
        if !self.telemetry {
            args.push("--no-telemetry".to_owned());
        }
        args.extend(self.extra.iter().cloned());
        Ok(args)
    }
}

/// `net_tap0` of `net_tap0,iface=x`.
pub(super) fn device_name(devargs: &str) -> &str {
    devargs.split(',').next().unwrap_or(devargs).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pci_unless_listed() {
        let none = EalOptions::default().arguments(&[0]).unwrap();
        assert!(none.contains(&"--no-pci".to_owned()));
        let options =
            EalOptions { pci: vec!["0000:03:00.0".into(), "0000:03:00.1".into()], ..Default::default() };
        let some = options.arguments(&[0]).unwrap();
        assert!(!some.contains(&"--no-pci".to_owned()));
        assert_eq!(some.iter().filter(|a| *a == "-a").count(), 2);
    }

    #[test]
    fn no_huge_never_with_in_memory() {
        let none = EalOptions::default().arguments(&[0]).unwrap();
        assert!(none.contains(&"--no-huge".to_owned()) && !none.contains(&"--in-memory".to_owned()));
        let options = EalOptions { hugepages: Hugepages::InMemory, ..Default::default() };
        let memory = options.arguments(&[0]).unwrap();
        assert!(!memory.contains(&"--no-huge".to_owned()) && memory.contains(&"--in-memory".to_owned()));
    }

    #[test]
    fn main_thread_floats_over_the_cpus_asked_for() {
        let options = EalOptions { main_cpus: vec![1, 3], ..Default::default() };
        assert!(options.arguments(&[0]).unwrap().contains(&"--lcores=0@(1,3)".to_owned()));
        assert!(EalOptions::default().arguments(&[0, 1]).unwrap().contains(&"--lcores=0@(0,1)".to_owned()));
        assert!(EalOptions::default().arguments(&[]).is_err());
    }

    #[test]
    fn a_vdev_listed_twice_is_refused() {
        let options =
            EalOptions { vdevs: vec!["net_null0".into(), "net_null0,size=64".into()], ..Default::default() };
        assert!(options.arguments(&[0]).unwrap_err().to_string().contains("listed twice"));
    }
}
