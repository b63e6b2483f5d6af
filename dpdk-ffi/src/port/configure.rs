//! From wishes to a configured port.
//!
//! Invariant: everything that can be refused without touching the port is refused first, so a bad request leaves it as it
//! was; after that a failure closes it.

use core::ptr;

use crate::error::{Error, Result, check};
use crate::mempool::Mempool;
use crate::offload::{RxOffloads, TxOffloads};
use crate::text;

use super::options::{Effective, PortOptions, RssEffective};
use super::{PortId, info, spread};

/// What will be set, worked out from what was asked for and what the port offers.
pub(super) struct Plan {
    pub(super) effective: Effective,
    pub(super) name: String,
    driver: String,
    device: dpdk_sys::rte_eth_dev_info,
}

/// Works out the plan.
pub(super) fn plan(id: PortId, options: &PortOptions, rx_pools: &[Mempool]) -> Result<Plan> {
    let name = info::name(id);
    let device = info::device_info(id)?;
    let what = || format!("configuring port {name:?}");
    for (direction, asked, offered) in
        [("rx", options.rx_queues, device.max_rx_queues), ("tx", options.tx_queues, device.max_tx_queues)]
    {
        if asked == 0 || asked > offered {
            return Err(Error::invalid(
                what(),
                format!("{asked} {direction} queues asked for, the port offers {offered}"),
                format!("use 1 to {offered} {direction} queues (one per worker), or give the device more"),
            ));
        }
    }
    if rx_pools.len() != usize::from(options.rx_queues) {
        return Err(Error::invalid(
            what(),
            format!("{} pools for {} rx queues", rx_pools.len(), options.rx_queues),
            "give each rx queue its pool (it may be the same one)",
        ));
    }
    // SAFETY: DPDK leaves a static string or null here.
    let driver = unsafe { text::from_pointer(device.driver_name) };
    let (least, most) = info::mtu_range(&device);
    if options.mtu < least || options.mtu > most {
        return Err(Error::invalid(
            what(),
            format!("MTU {} is out of range, driver {driver} takes {least} to {most}", options.mtu),
            format!("write an `mtu` of {least} to {most}, or use a device that takes longer packets"),
        ));
    }
    let effective = Effective {
        rx_queues: options.rx_queues,
        tx_queues: options.tx_queues,
        rx_descriptors: or_default(options.rx_descriptors, device.default_rxportconf.ring_size),
        tx_descriptors: or_default(options.tx_descriptors, device.default_txportconf.ring_size),
        mtu: options.mtu,
        promiscuous: false,
        all_multicast: false,
        rx_offloads: rx_offloads(options, &device),
        tx_offloads: tx_offloads(options, &device, rx_pools),
        rss: rss(options, &device),
    };
    Ok(Plan { effective, name, driver, device })
}

fn or_default(asked: u16, drivers_choice: u16) -> u16 {
    match (asked, drivers_choice) {
        (0, 0) => 1024,
        (0, choice) => choice,
        (asked, _) => asked,
    }
}

fn rss(options: &PortOptions, device: &dpdk_sys::rte_eth_dev_info) -> Option<RssEffective> {
    let request = options.rss.as_ref()?;
    let types = request.types.intersection(crate::rss::RssTypes::from_bits(device.flow_type_rss_offloads));
    let key = spread::fit_key(&request.key, device.hash_key_size);
    (!types.is_empty()).then_some(RssEffective { types, key, reta: Vec::new(), verified: false })
}

fn rx_offloads(options: &PortOptions, device: &dpdk_sys::rte_eth_dev_info) -> RxOffloads {
    let mut wanted = options.offloads.rx();
    if options.rss.is_some() {
        wanted |= RxOffloads::RSS_HASH;
    }
    wanted.intersection(RxOffloads::from_bits(device.rx_offload_capa))
}

fn tx_offloads(options: &PortOptions, device: &dpdk_sys::rte_eth_dev_info, pools: &[Mempool]) -> TxOffloads {
    let offered = options.offloads.tx().intersection(TxOffloads::from_bits(device.tx_offload_capa));
    let one_pool = pools.windows(2).all(|pair| pair[0] == pair[1]);
    if one_pool && !offered.contains(TxOffloads::MULTI_SEGS) {
        offered
    } else {
        offered.difference(TxOffloads::MBUF_FAST_FREE)
    }
}

/// Sets the plan on the port; the port is this caller's.
pub(super) fn apply(id: PortId, plan: &mut Plan, rx_pools: &[Mempool]) -> Result<()> {
    let what = format!("configuring port {:?} (driver {})", plan.name, plan.driver);
    if let Err(error) = set_device(id, plan, &what) {
        // Some drivers offer RSS and then refuse it; a port without RSS still works.
        if plan.effective.rss.take().is_none() {
            return Err(error);
        }
        set_device(id, plan, &what)?;
    }
    let Effective { rx_descriptors, tx_descriptors, .. } = &mut plan.effective;
    // SAFETY: both numbers have a place.
    check(|| format!("{what}: descriptors"), unsafe {
        dpdk_sys::rte_eth_dev_adjust_nb_rx_tx_desc(id.0, rx_descriptors, tx_descriptors)
    })?;
    set_queues(id, plan, rx_pools, &what)?;
    set_mtu(id, &mut plan.effective, &what)
}

fn set_device(id: PortId, plan: &mut Plan, what: &str) -> Result<()> {
    // SAFETY: a plain C struct, valid when all zero.
    let mut conf: dpdk_sys::rte_eth_conf = unsafe { core::mem::zeroed() };
    let effective = &mut plan.effective;
    conf.rxmode.mtu = u32::from(effective.mtu);
    conf.rxmode.offloads = effective.rx_offloads.bits();
    conf.txmode.offloads = effective.tx_offloads.bits();
    if let Some(rss) = &mut effective.rss {
        conf.rxmode.mq_mode = dpdk_sys::RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf = rss.types.bits();
        // A driver that names no key length takes the key after the start, if at all.
        if !rss.key.is_empty() && plan.device.hash_key_size > 0 {
            conf.rx_adv_conf.rss_conf.rss_key = rss.key.as_mut_ptr();
            conf.rx_adv_conf.rss_conf.rss_key_len = plan.device.hash_key_size;
        }
    } else {
        conf.rxmode.offloads &= !RxOffloads::RSS_HASH.bits();
        effective.rx_offloads = effective.rx_offloads.difference(RxOffloads::RSS_HASH);
    }
    // SAFETY: conf is complete and outlives the call. DPDK copies it; drivers copy the key, and the key's vector lives in
    // the port's Effective all the same.
    check(|| what.to_owned(), unsafe {
        dpdk_sys::rte_eth_dev_configure(id.0, effective.rx_queues, effective.tx_queues, &raw const conf)
    })
}

fn set_queues(id: PortId, plan: &Plan, rx_pools: &[Mempool], what: &str) -> Result<()> {
    let effective = &plan.effective;
    // Memory from any NUMA socket when the port does not say where it is (SOCKET_ID_ANY is -1).
    let socket = info::socket(id).unwrap_or(-1).cast_unsigned();
    for (queue, pool) in (0..).zip(rx_pools) {
        let conf = &raw const plan.device.default_rxconf;
        // SAFETY: the port keeps a handle on each of its pools for as long as it is open; conf outlives the call.
        let code = unsafe {
            dpdk_sys::rte_eth_rx_queue_setup(
                id.0,
                queue,
                effective.rx_descriptors,
                socket,
                conf,
                pool.as_ptr(),
            )
        };
        check(|| format!("{what}: rx queue {queue}"), code).map_err(|error| match error.errno() {
            Some(libc::EINVAL) => error.with_hint(format!(
                "the pool's data room ({} bytes, headroom included) may be too small for MTU {}: enlarge it or ask for scatter",
                pool.data_room(),
                effective.mtu
            )),
            _ => error,
        })?;
    }
    for queue in 0..effective.tx_queues {
        let conf = &raw const plan.device.default_txconf;
        // SAFETY: conf outlives the call.
        let code =
            unsafe { dpdk_sys::rte_eth_tx_queue_setup(id.0, queue, effective.tx_descriptors, socket, conf) };
        check(|| format!("{what}: tx queue {queue}"), code)?;
    }
    Ok(())
}

fn set_mtu(id: PortId, effective: &mut Effective, what: &str) -> Result<()> {
    // SAFETY: DPDK checks the port's number.
    let code = unsafe { dpdk_sys::rte_eth_dev_set_mtu(id.0, effective.mtu) };
    // A driver without this call took the MTU with the configuration.
    if code != -libc::ENOTSUP {
        check(|| format!("{what}: MTU {}", effective.mtu), code)?;
    }
    effective.mtu = read_mtu(id).unwrap_or(effective.mtu);
    Ok(())
}

/// The MTU as the port reports it.
pub(super) fn read_mtu(id: PortId) -> Option<u16> {
    let mut mtu = 0;
    // SAFETY: the result has a place.
    (unsafe { dpdk_sys::rte_eth_dev_get_mtu(id.0, ptr::from_mut(&mut mtu)) } == 0).then_some(mtu)
}
