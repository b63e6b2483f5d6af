//! What a port is and offers.
//!
//! Invariant: nothing here changes the port.

use crate::eal::Eal;
use crate::error::{Error, Result, check};
use crate::offload::{RxOffloads, TxOffloads};
use crate::rss::RssTypes;
use crate::text;

use super::PortId;

/// The length of a port name with its NUL, in DPDK.
#[allow(clippy::cast_possible_truncation)]
const NAME_SIZE: usize = dpdk_sys::RTE_ETH_NAME_MAX_LEN as usize;

/// Limits on the number of descriptors of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DescriptorLimits {
    /// Fewest.
    pub min: u16,
    /// Most.
    pub max: u16,
    /// The number is a multiple of this.
    pub align: u16,
}

/// What a port is and offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortInfo {
    /// The driver, as in `net_tap`.
    pub driver: String,
    /// The port's name: a PCI address or a vdev's name.
    pub name: String,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// Receive queues it can have.
    pub max_rx_queues: u16,
    /// Transmit queues it can have.
    pub max_tx_queues: u16,
    /// Receive offloads it offers.
    pub rx_offloads: RxOffloads,
    /// Transmit offloads it offers.
    pub tx_offloads: TxOffloads,
    /// RSS types it offers.
    pub rss_types: RssTypes,
    /// Entries of its RSS redirection table; 0 without one.
    pub reta_size: u16,
    /// Bytes of its RSS key; 0 without one.
    pub hash_key_size: u8,
    /// Smallest MTU.
    pub min_mtu: u16,
    /// Largest MTU.
    pub max_mtu: u16,
    /// The NUMA socket, if it has one.
    pub socket: Option<i32>,
    /// Limits on receive descriptors.
    pub rx_descriptors: DescriptorLimits,
    /// Limits on transmit descriptors.
    pub tx_descriptors: DescriptorLimits,
}

/// The port with this name: a vdev's name, or a PCI address with or without its `0000:` domain.
///
/// # Errors
/// [`Error::UnknownPort`], whose hint lists the ports there are.
pub fn find_port(_eal: &Eal, name: &str) -> Result<PortId> {
    for candidate in [name.to_owned(), format!("0000:{name}")] {
        let c_name = text::c_string("port name", &candidate)?;
        let mut id = 0;
        // SAFETY: DPDK is initialised; the name lives through the call and the result has a place.
        if unsafe { dpdk_sys::rte_eth_dev_get_port_by_name(c_name.as_ptr(), &raw mut id) } == 0 {
            return Ok(PortId(id));
        }
    }
    let known = port_names();
    let hint = if known.is_empty() {
        "there is no port at all: name a vdev or a PCI address when starting DPDK".to_owned()
    } else {
        format!("the ports are {}", known.join(", "))
    };
    Err(Error::UnknownPort { name: name.to_owned(), hint })
}

/// The ids of all ports, in order.
#[must_use]
pub fn ports(_eal: &Eal) -> Vec<PortId> {
    all()
}

/// What the port is and offers.
///
/// # Errors
/// When the port is gone.
pub fn port_info(_eal: &Eal, id: PortId) -> Result<PortInfo> {
    let name = name(id);
    let device = device_info(id)?;
    let mut mac = dpdk_sys::rte_ether_addr { addr_bytes: [0; 6] };
    // SAFETY: the address has a place; DPDK checks the port's number.
    check(|| format!("reading the address of port {name:?}"), unsafe {
        dpdk_sys::rte_eth_macaddr_get(id.0, &raw mut mac)
    })?;
    let limits = |limit: &dpdk_sys::rte_eth_desc_lim| DescriptorLimits {
        min: limit.nb_min,
        max: limit.nb_max,
        align: limit.nb_align,
    };
    Ok(PortInfo {
        // SAFETY: DPDK leaves a static string or null here.
        driver: unsafe { text::from_pointer(device.driver_name) },
        name,
        mac: mac.addr_bytes,
        max_rx_queues: device.max_rx_queues,
        max_tx_queues: device.max_tx_queues,
        rx_offloads: RxOffloads::from_bits(device.rx_offload_capa),
        tx_offloads: TxOffloads::from_bits(device.tx_offload_capa),
        rss_types: RssTypes::from_bits(device.flow_type_rss_offloads),
        reta_size: device.reta_size,
        hash_key_size: device.hash_key_size,
        min_mtu: mtu_range(&device).0,
        max_mtu: mtu_range(&device).1,
        socket: socket(id),
        rx_descriptors: limits(&device.rx_desc_lim),
        tx_descriptors: limits(&device.tx_desc_lim),
    })
}

/// The MTUs a port takes. A driver may leave its largest MTU open and name the longest frame instead (net_tap does);
/// DPDK then refuses by that frame, counting an Ethernet header and checksum around the packet.
pub(super) fn mtu_range(device: &dpdk_sys::rte_eth_dev_info) -> (u16, u16) {
    const AROUND: u64 = dpdk_sys::RTE_ETHER_HDR_LEN + dpdk_sys::RTE_ETHER_CRC_LEN;
    let frame = u64::from(device.max_rx_pktlen);
    let by_frame = if device.max_mtu == u16::MAX && frame > AROUND {
        u16::try_from(frame - AROUND).unwrap_or(u16::MAX)
    } else {
        u16::MAX
    };
    (device.min_mtu, device.max_mtu.min(by_frame))
}

pub(super) fn device_info(id: PortId) -> Result<dpdk_sys::rte_eth_dev_info> {
    // SAFETY: a plain C struct, valid when all zero.
    let mut device: dpdk_sys::rte_eth_dev_info = unsafe { core::mem::zeroed() };
    // SAFETY: the result has a place; DPDK checks the port's number.
    let code = unsafe { dpdk_sys::rte_eth_dev_info_get(id.0, &raw mut device) };
    check(|| format!("asking port {:?} what it offers", name(id)), code)?;
    Ok(device)
}

pub(super) fn socket(id: PortId) -> Option<i32> {
    // SAFETY: DPDK checks the port's number.
    let socket = unsafe { dpdk_sys::rte_eth_dev_socket_id(id.0) };
    (socket >= 0).then_some(socket)
}

/// The port's name; `port N` when it has none (any more).
pub(super) fn name(id: PortId) -> String {
    let mut buffer = [0; NAME_SIZE];
    // SAFETY: DPDK writes at most RTE_ETH_NAME_MAX_LEN bytes, which is the buffer's size.
    if unsafe { dpdk_sys::rte_eth_dev_get_name_by_port(id.0, buffer.as_mut_ptr()) } == 0 {
        text::from_array(&buffer)
    } else {
        format!("port {}", id.0)
    }
}

/// The names of all ports.
pub(crate) fn port_names() -> Vec<String> {
    all().into_iter().map(name).collect()
}

fn all() -> Vec<PortId> {
    let mut found = Vec::new();
    let mut next = 0;
    loop {
        // SAFETY: takes any number; returns RTE_MAX_ETHPORTS after the last port.
        let id = unsafe { dpdk_sys::rte_eth_find_next(next) };
        if u64::from(id) >= dpdk_sys::RTE_MAX_ETHPORTS {
            return found;
        }
        found.push(PortId(id));
        next = id + 1;
    }
}
