//! Memory and tables against what the ports and workers need.
//!
//! Invariant: a configuration that passes can fill every descriptor ring and still has buffers to send with.

use dataplane::settings::data_room_for;

use super::Checker;
use crate::config::Auto;
use crate::config::model::{Config, Hugepages, IdleMode};

/// An mbuf's own header, pool header and padding around the data room (bytes).
const MBUF_OVERHEAD: u64 = 256;
/// What EAL and drivers take besides the pools (MiB), seen with net_tap and net_memif ports.
const EAL_OVERHEAD_MB: u64 = 16;
/// Address space for flows that no process has: processors of today give each 47 bits, and other things need room too.
pub(super) const MOST_ADDRESS_SPACE: u64 = 1 << 46;
/// How much more may be promised to flows than there is memory before it is worth a warning.
pub(super) const OVERCOMMIT: u64 = 8;

pub(super) fn check(checker: &mut Checker<'_>) {
    pools(checker);
    memory(checker);
    address_space(checker);
    packets(checker);
    readers(checker);
    limits(checker);
}

/// The buffers one worker needs when every one of its rings is full.
fn rings(config: &Config) -> (u64, u64) {
    let count = |ring: fn(&crate::config::model::Port) -> u16| {
        config.ports.iter().map(|port| u64::from(ring(port))).sum()
    };
    (count(|port| port.rx_descriptors), count(|port| port.tx_descriptors))
}

fn pools(checker: &mut Checker<'_>) {
    if !checker.usable("mempool") || !checker.usable("ports") {
        return;
    }
    let config = checker.config;
    let (mbufs, cache) = (u64::from(config.mempool.mbufs), u64::from(config.mempool.cache));
    let (rx, tx) = rings(config);
    // The receive rings are filled at start; a cache may hold half as much again as its size.
    let least = rx + cache * 3 / 2 + 64;
    if mbufs < least {
        let what = format!(
            "{mbufs} buffers do not fill the {rx} receive descriptors of a worker and its cache of {cache}"
        );
        let instead =
            format!("write {} or more, or lower `rx_descriptors`", (rx + tx + cache * 2).next_power_of_two());
        checker.error("mempool.mbufs", what, instead);
    } else if mbufs < least + tx {
        let what = format!(
            "with {rx} receive and {tx} transmit descriptors full, a worker runs out of its {mbufs} buffers"
        );
        let instead = format!("write {} or more, or lower the descriptors", (least + tx).next_power_of_two());
        checker.warn("mempool.mbufs", what, instead);
    }
}

fn memory(checker: &mut Checker<'_>) {
    let usable = ["eal", "mempool", "workers", "ports"].iter().all(|path| checker.usable(path));
    if !usable {
        return;
    }
    let config = checker.config;
    let data_room = match config.mempool.data_room {
        Auto::Auto => {
            let largest = config.ports.iter().map(|port| port.mtu).max().unwrap_or(1500);
            u64::from(data_room_for(largest))
        }
        Auto::Fixed(size) => size.bytes(),
    };
    let each = u64::from(config.mempool.mbufs) * (data_room + MBUF_OVERHEAD);
    let pools = (each * config.workers.cpus.len() as u64).div_ceil(1 << 20);
    let needed = pools + EAL_OVERHEAD_MB;
    let given = u64::from(config.eal.memory_mb);
    // Only a warning: the machine that runs it may be another one. `millrace doctor` is asked on that one.
    let there_is = checker.host.memory.filter(|_| checker.host.strict).map(|bytes| bytes >> 20);
    if let Some(there_is) = there_is.filter(|there_is| given > *there_is) {
        let what = format!("{given} MiB are more than this machine has, {there_is} MiB");
        let instead = match needed.next_multiple_of(64) {
            enough if enough <= there_is => format!("write less, `memory_mb: {enough}` is enough"),
            _ => format!("lower `mempool.mbufs`, whose buffers need {pools} MiB, or use a larger machine"),
        };
        checker.warn("eal.memory_mb", what, instead);
    }
    if given < needed {
        let what = format!("the pools need {pools} MiB, with what DPDK itself takes {needed} MiB");
        let instead = format!("write `memory_mb: {}`, or lower `mempool.mbufs`", needed.next_multiple_of(64));
        // With hugepages DPDK takes more as it goes, so a small reservation only costs time.
        if config.eal.hugepages == Hugepages::Off {
            checker.error("eal.memory_mb", format!("{given} MiB is too little: {what}"), instead);
        } else {
            checker.warn("eal.memory_mb", format!("{given} MiB is little: {what}"), instead);
        }
    }
}

/// Every live flow a worker may have gets a receive and a send buffer at the start, as address space: pages cost memory once
/// they are touched.
fn address_space(checker: &mut Checker<'_>) {
    if !["limits.flows", "limits.live", "tcp.buffer_size", "workers"].iter().all(|path| checker.usable(path))
    {
        return;
    }
    let config = checker.config;
    let (workers, flows) = (config.workers.cpus.len() as u64, u64::from(config.limits.live));
    let buffer = config.tcp.buffer_size.bytes();
    // At most 2^7 * 2^20 * 2 * 2^24: fits.
    let sum = workers * flows * 2 * buffer;
    let memory = checker.host.memory.filter(|_| checker.host.strict);
    let given =
        ["limits.live", "limits.flows", "tcp.buffer_size"].into_iter().find(|path| checker.given(path));
    let at = given.unwrap_or("limits.live");
    let what =
        format!("{workers} x {flows} live flows with two buffers of {buffer} bytes reserve {}", gib(sum));
    let fits = |most: u64| {
        let flows = most / (workers * 2 * buffer);
        format!("write `live: {}` or less, or a smaller `tcp.buffer_size`", flows.max(16))
    };
    if sum > MOST_ADDRESS_SPACE {
        let what = format!("{what} of address space, a process has {}", gib(MOST_ADDRESS_SPACE));
        checker.error(at, what, fits(MOST_ADDRESS_SPACE));
    } else if let Some(memory) = memory.filter(|memory| sum > memory.saturating_mul(OVERCOMMIT)) {
        let what = format!("{what}, this machine has {}: busy flows could use up its memory", gib(memory));
        checker.warn(at, what, fits(memory * OVERCOMMIT));
    }
}

/// The longest packet of any port must fit a connection's buffers.
fn packets(checker: &mut Checker<'_>) {
    if !checker.usable("tcp.buffer_size") || !checker.usable("ports") {
        return;
    }
    let size = checker.config.tcp.buffer_size.bytes();
    let largest = checker.config.ports.iter().map(|port| u64::from(port.mtu)).max().unwrap_or(0);
    if size < largest {
        let what = format!("{size} bytes do not hold one packet of the largest MTU, {largest}");
        let instead = format!("write {}KiB or more, or lower `mtu`", largest.div_ceil(1024));
        checker.error("tcp.buffer_size", what, instead);
    }
}

/// More than a flow's buffer holds never waits at once.
fn readers(checker: &mut Checker<'_>) {
    if !checker.usable("tcp.buffer_size") || !checker.usable("tcp.slow_reader_bytes") {
        return;
    }
    let (least, size) =
        (checker.config.tcp.slow_reader_bytes.bytes(), checker.config.tcp.buffer_size.bytes());
    if least > size {
        let what = format!("{least} bytes are more than wait at once: `buffer_size` is {size}");
        checker.error("tcp.slow_reader_bytes", what, format!("write {size}B or less"));
    }
}

/// For people.
pub(super) fn gib(bytes: u64) -> String {
    if bytes < 1 << 30 { format!("{} MiB", bytes >> 20) } else { format!("{} GiB", bytes >> 30) }
}

fn limits(checker: &mut Checker<'_>) {
    let limits = &checker.config.limits;
    if limits.live > limits.flows && checker.usable("limits") {
        let what = format!("{} flows with a stack, but only {} flows", limits.live, limits.flows);
        let instead = format!("write {} or less, or raise `limits.flows`", limits.flows);
        checker.error("limits.live", what, instead);
    }
    if limits.half_open > limits.flows && checker.usable("limits") {
        let what = format!("{} half-open flows, but only {} flows", limits.half_open, limits.flows);
        let instead = format!("write {} or less, or raise `limits.flows`", limits.flows);
        checker.error("limits.half_open", what, instead);
    }
    if !limits.steering_ring.is_power_of_two() && checker.usable("limits.steering_ring") {
        let what = format!("{} is not a power of two", limits.steering_ring);
        checker.error(
            "limits.steering_ring",
            what,
            format!("write {}", limits.steering_ring.next_power_of_two()),
        );
    }
    let idle = &checker.config.idle;
    if idle.mode == IdleMode::Busy && checker.usable("idle") {
        for key in ["idle.spin_turns", "idle.max_sleep"] {
            if checker.given(key) {
                checker.warn(
                    key,
                    "a busy worker never sleeps, so this is not used",
                    "remove it, or write `mode: adaptive`",
                );
            }
        }
    }
}
