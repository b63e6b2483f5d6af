//! Workers and the start of DPDK.
//!
//! Invariant: nothing here can be changed while Millrace runs.

use std::path::PathBuf;

use serde_json::{Value as Json, json};

use crate::config::decoder::Decoder;
use crate::config::node::{Node, Yaml};
use crate::config::problem::Wrong;
use crate::config::section::{choice, section};
use crate::config::spec::{Rule, Section, Shape, default, required};
use crate::config::value::Value;

/// The CPUs of the workers, in worker order: worker *i* runs on `cpus[i]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workers {
    /// CPU numbers, without duplicates. `{count: n}` has been turned into numbers.
    pub cpus: Vec<u32>,
}

/// The most workers there can be; queues and mailboxes are counted in bytes of this size.
const MOST_WORKERS: usize = 128;

section! {
    /// Workers by number only.
    pub(crate) struct WorkerCount {
        /// How many workers. They take the highest online CPUs.
        "count" count: u32 = required("2").range(1..=128);
    }
}

impl Value for Workers {
    fn decode(node: &Node, rule: &Rule, cx: &mut Decoder<'_>) -> Self {
        match &node.yaml {
            Yaml::List(_) => {
                let rule = Rule { range: Some((0, 4095)), items: Some((1, MOST_WORKERS)), or_one: false };
                Self { cpus: Vec::decode(node, &rule, cx) }
            }
            Yaml::Map(_) => {
                let count = WorkerCount::decode(node, rule, cx).count;
                let cpus = cx.host.pick(count);
                if cpus.len() < count as usize {
                    let what = format!("{count} workers do not fit on {} online CPUs", cpus.len());
                    cx.report(node.at, Wrong::new(what, format!("write `count: {}` or less", cpus.len())));
                }
                Self { cpus }
            }
            _ => {
                let instead = "write the CPU numbers like `[1, 2]`, or `{count: 2}`";
                cx.mismatch(node, "a list of CPU numbers", instead);
                Self::placeholder()
            }
        }
    }

    fn placeholder() -> Self {
        Self { cpus: Vec::new() }
    }

    fn to_json(&self) -> Json {
        self.cpus.to_json()
    }

    fn shape(rule: &Rule) -> Shape {
        let list = Rule { range: Some((0, 4095)), items: Some((1, MOST_WORKERS)), or_one: false };
        Shape::Union(vec![Vec::<u32>::shape(&list), WorkerCount::shape(rule)])
    }
}

/// Where packet memory comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hugepages {
    /// Ordinary pages: works everywhere, slower.
    Off,
    /// Hugepages straight from the kernel: private to this process, no hugetlbfs mount needed.
    On,
    /// Hugepages of one mount.
    Dir(PathBuf),
}

section! {
    /// Hugepages of one mount.
    pub(crate) struct HugepageDir {
        /// A hugetlbfs mount, for peers that share the memory.
        "dir" dir: PathBuf = required("/dev/hugepages");
    }
}

impl Value for Hugepages {
    fn decode(node: &Node, rule: &Rule, cx: &mut Decoder<'_>) -> Self {
        match &node.yaml {
            Yaml::Map(_) => Self::Dir(HugepageDir::decode(node, rule, cx).dir),
            _ if bool::decode(node, rule, cx) => Self::On,
            _ => Self::Off,
        }
    }

    fn placeholder() -> Self {
        Self::Off
    }

    fn to_json(&self) -> Json {
        match self {
            Self::Off => false.into(),
            Self::On => true.into(),
            Self::Dir(dir) => json!({ "dir": dir.to_json() }),
        }
    }

    fn shape(rule: &Rule) -> Shape {
        let dir: Section = match HugepageDir::shape(rule) {
            Shape::Section(section) => section,
            other => return other,
        };
        Shape::Union(vec![bool::shape(rule), Shape::Section(dir)])
    }
}

choice! {
    /// How much DPDK itself logs.
    pub enum EalLogLevel {
        /// Only what stops the process.
        Critical = "critical",
        /// Failures.
        Error = "error",
        /// Failures and surprises.
        Warning = "warning",
        /// What is unusual.
        Notice = "notice",
        /// What happens at start.
        Info = "info",
        /// Everything.
        Debug = "debug",
    }
}

section! {
    /// How DPDK is started. Without a PCI port it is always started with `--no-pci`.
    pub struct Eal {
        /// Take packet memory from hugepages: `true` (private, no mount needed), `false`, or `{dir: mount}`.
        "hugepages" hugepages: Hugepages = default(Hugepages::Off);
        /// Memory reserved for DPDK, in MiB.
        "memory_mb" memory_mb: u32 = default(512).range(64..=1_048_576);
        /// Name that keeps the files of several DPDK processes apart.
        "file_prefix" file_prefix: String = default("millrace".into()).range(1..=32);
        /// CPUs of the main thread and everything that is not a worker. Empty: any CPU without a worker.
        "main_cpus" main_cpus: Vec<u32> = default(Vec::new()).range(0..=4095).items(0..=4096);
        /// How much DPDK itself logs. Left out, net_tap is kept quieter still: it logs errors at every start that mean nothing.
        "log_level" log_level: EalLogLevel = default(EalLogLevel::Warning);
        /// Further EAL arguments. Devices, cores, memory and the file prefix are set by their own keys and refused here.
        "extra_args" extra_args: Vec<String> = default(Vec::new()).items(0..=64);
    }
}
