//! Reading a port's counters and link, from any thread, while workers poll its queues.
//!
//! Invariant: control calls on one port are serialised by its lock; none touches the packet path.

use std::sync::{Arc, Weak};

use crate::error::{Error, Result, check};
use crate::text;

use super::{PortId, PortInner};
use crate::eal::lock;

/// A port's counters since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PortStats {
    /// Packets received.
    pub ipackets: u64,
    /// Packets sent.
    pub opackets: u64,
    /// Bytes received.
    pub ibytes: u64,
    /// Bytes sent.
    pub obytes: u64,
    /// Packets the port dropped because a receive queue was full.
    pub imissed: u64,
    /// Packets received in error.
    pub ierrors: u64,
    /// Packets not sent because of an error.
    pub oerrors: u64,
    /// Packets dropped because no mbuf was free.
    pub rx_nombuf: u64,
}

/// A port's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// Whether it is up.
    pub up: bool,
    /// Megabits per second; 0 for none and `u32::MAX` for unknown.
    pub speed_mbps: u32,
    /// Both directions at once.
    pub full_duplex: bool,
}

/// Reads a port from a control thread. It does not keep the port open; once that is closed every call fails.
#[derive(Debug, Clone)]
pub struct PortHandle {
    port: Weak<PortInner>,
    id: PortId,
    name: String,
}

impl PortHandle {
    pub(super) fn new(port: &Arc<PortInner>) -> Self {
        Self { port: Arc::downgrade(port), id: port.id(), name: port.name().to_owned() }
    }

    /// The port's number.
    #[must_use]
    pub fn id(&self) -> PortId {
        self.id
    }

    /// The port's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port's counters.
    ///
    /// # Errors
    /// When the port is closed or the driver fails.
    pub fn stats(&self) -> Result<PortStats> {
        self.open()?.stats()
    }

    /// The driver's own counters, by name.
    ///
    /// # Errors
    /// When the port is closed or the driver fails.
    pub fn xstats(&self) -> Result<Vec<(String, u64)>> {
        self.open()?.xstats()
    }

    /// The link, as last known: does not wait for it.
    ///
    /// # Errors
    /// When the port is closed or the driver fails.
    pub fn link(&self) -> Result<Link> {
        self.open()?.link()
    }

    /// The Ethernet address.
    ///
    /// # Errors
    /// When the port is closed or the driver fails.
    pub fn mac(&self) -> Result<[u8; 6]> {
        self.open()?.mac()
    }

    /// Receives frames for every address, or not.
    ///
    /// # Errors
    /// When the port is closed or the driver does not offer it.
    pub fn set_promiscuous(&self, on: bool) -> Result<()> {
        self.open()?.set_promiscuous(on)
    }

    fn open(&self) -> Result<Arc<PortInner>> {
        self.port.upgrade().ok_or_else(|| Error::PortClosed { name: self.name.clone() })
    }
}

impl PortInner {
    pub(super) fn stats(&self) -> Result<PortStats> {
        let _control = lock(&self.control);
        // SAFETY: a plain C struct, valid when all zero.
        let mut stats: dpdk_sys::rte_eth_stats = unsafe { core::mem::zeroed() };
        // SAFETY: the port is open and the result has a place.
        let code = unsafe { dpdk_sys::rte_eth_stats_get(self.id().0, &raw mut stats) };
        check(|| format!("reading the counters of port {:?}", self.name()), code)?;
        Ok(PortStats {
            ipackets: stats.ipackets,
            opackets: stats.opackets,
            ibytes: stats.ibytes,
            obytes: stats.obytes,
            imissed: stats.imissed,
            ierrors: stats.ierrors,
            oerrors: stats.oerrors,
            rx_nombuf: stats.rx_nombuf,
        })
    }

    pub(super) fn xstats(&self) -> Result<Vec<(String, u64)>> {
        let _control = lock(&self.control);
        let id = self.id().0;
        let what = || format!("reading the extended counters of port {:?}", self.name());
        // SAFETY: null and 0 ask for the number of counters.
        let count = unsafe { dpdk_sys::rte_eth_xstats_get_names(id, core::ptr::null_mut(), 0) };
        check(what, count)?;
        let mut names = Vec::<dpdk_sys::rte_eth_xstat_name>::with_capacity(count.cast_unsigned() as usize);
        let mut values = Vec::<dpdk_sys::rte_eth_xstat>::with_capacity(count.cast_unsigned() as usize);
        // SAFETY: both arrays have room for `count` entries.
        let (named, valued) = unsafe {
            (
                dpdk_sys::rte_eth_xstats_get_names(id, names.as_mut_ptr(), count.cast_unsigned()),
                dpdk_sys::rte_eth_xstats_get(id, values.as_mut_ptr(), count.cast_unsigned()),
            )
        };
        check(what, named)?;
        check(what, valued)?;
        // A result above the room means that the counters grew meanwhile and nothing was filled in.
        let filled = |n: i32| if n <= count { n.cast_unsigned() as usize } else { 0 };
        // SAFETY: DPDK filled in that many entries.
        unsafe {
            names.set_len(filled(named));
            values.set_len(filled(valued));
        }
        let name_of = |id: u64| names.get(usize::try_from(id).ok()?).map(|name| text::from_array(&name.name));
        Ok(values.iter().filter_map(|stat| Some((name_of(stat.id)?, stat.value))).collect())
    }

    pub(super) fn link(&self) -> Result<Link> {
        let _control = lock(&self.control);
        let mut link = Link::default();
        // SAFETY: the port is open and each result has a place.
        let code = unsafe {
            dpdk_sys::shim_rte_eth_link_get_nowait(
                self.id().0,
                &raw mut link.speed_mbps,
                &raw mut link.up,
                &raw mut link.full_duplex,
            )
        };
        check(|| format!("reading the link of port {:?}", self.name()), code)?;
        Ok(link)
    }

    pub(super) fn mac(&self) -> Result<[u8; 6]> {
        let _control = lock(&self.control);
        let mut mac = dpdk_sys::rte_ether_addr { addr_bytes: [0; 6] };
        // SAFETY: the port is open and the address has a place.
        let code = unsafe { dpdk_sys::rte_eth_macaddr_get(self.id().0, &raw mut mac) };
        check(|| format!("reading the address of port {:?}", self.name()), code)?;
        Ok(mac.addr_bytes)
    }

    pub(super) fn set_promiscuous(&self, on: bool) -> Result<()> {
        let _control = lock(&self.control);
        let id = self.id().0;
        // SAFETY: the port is open.
        let code = unsafe {
            if on {
                dpdk_sys::rte_eth_promiscuous_enable(id)
            } else {
                dpdk_sys::rte_eth_promiscuous_disable(id)
            }
        };
        check(|| format!("setting promiscuous mode of port {:?}", self.name()), code)
    }

    /// Receives every multicast frame; returns whether the port now does.
    pub(super) fn enable_all_multicast(&self) -> bool {
        let _control = lock(&self.control);
        // SAFETY: the port is open.
        unsafe { dpdk_sys::rte_eth_allmulticast_enable(self.id().0) == 0 }
    }
}
