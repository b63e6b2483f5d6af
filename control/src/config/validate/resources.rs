//! Memory and tables against what the ports and workers need.
//!
//! Invariant: a configuration that passes can fill every descriptor ring and still has buffers to send with.

use super::Checker;
use crate::config::Auto;
use crate::config::model::{Config, Hugepages, IdleMode};

/// An mbuf's own header, pool header and padding around the data room (bytes).
const MBUF_OVERHEAD: u64 = 256;
/// Data room of `auto`: the headroom of 128 bytes and 2 KiB of packet.
const AUTO_DATA_ROOM: u64 = 2176;
/// What EAL and drivers take besides the pools (MiB), seen with net_tap and net_memif ports.
const EAL_OVERHEAD_MB: u64 = 16;

pub(super) fn check(checker: &mut Checker<'_>) {
    pools(checker);
    memory(checker);
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
    let usable = ["eal", "mempool", "workers"].iter().all(|path| checker.usable(path));
    if !usable {
        return;
    }
    let config = checker.config;
    let data_room = match config.mempool.data_room {
        Auto::Auto => AUTO_DATA_ROOM,
        Auto::Fixed(size) => size.bytes(),
    };
    let each = u64::from(config.mempool.mbufs) * (data_room + MBUF_OVERHEAD);
    let pools = (each * config.workers.cpus.len() as u64).div_ceil(1 << 20);
    let needed = pools + EAL_OVERHEAD_MB;
    let given = u64::from(config.eal.memory_mb);
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

fn limits(checker: &mut Checker<'_>) {
    let limits = &checker.config.limits;
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
