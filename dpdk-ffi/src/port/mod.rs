//! Ethernet ports, from discovery to queues.
//!
//! Invariant: `Port<Configured>` becomes `Port<Started>` and nothing else; queues exist only for started ports. A port is
//! owned once (a second configuration of the same one is refused), and it is stopped and closed when the last of the port
//! and its queues is dropped, in whatever order that happens. It holds its pools, so they outlive its descriptors.

mod configure;
mod info;
mod options;
mod spread;
mod stats;

use core::fmt;
use core::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

pub(crate) use info::port_names;
pub use info::{DescriptorLimits, PortInfo, find_port, port_info, ports};
pub use options::{Effective, OffloadRequest, PortOptions, RssEffective, RssRequest};
pub use stats::{Link, PortHandle, PortStats};

use crate::eal::{Eal, EalInner};
use crate::error::{Error, Result, check};
use crate::mempool::Mempool;
use crate::offload::TxOffloads;
use crate::queue::{RxQueue, TxQueue};

/// DPDK's number of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub(crate) u16);

impl PortId {
    /// The bare number.
    #[must_use]
    pub fn index(self) -> u16 {
        self.0
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The state of a port that has its queues but does not run.
#[derive(Debug)]
pub enum Configured {}

/// The state of a port that runs.
#[derive(Debug)]
pub enum Started {}

/// A port in a state: [`Configured`] or [`Started`].
#[derive(Debug)]
pub struct Port<State> {
    inner: Arc<PortInner>,
    effective: Effective,
    rx_taken: Vec<bool>,
    tx_taken: Vec<bool>,
    _state: PhantomData<State>,
}

/// What the port and its queues share.
#[derive(Debug)]
pub(crate) struct PortInner {
    id: PortId,
    name: String,
    started: AtomicBool,
    /// Serialises control calls, which DPDK does not.
    control: Mutex<()>,
    /// The port's own pool while the driver frees into it without looking.
    fast_free: Option<Mempool>,
    /// Keeps the pools of the receive queues alive until the port is closed.
    _rx_pools: Vec<Mempool>,
    eal: Arc<EalInner>,
}

impl Port<Configured> {
    /// Configures a port: queues, one receive pool per queue, and of the wishes what the port offers.
    ///
    /// # Errors
    /// A request the port cannot meet (queues, MTU), a port that is configured already, or a driver's refusal.
    pub fn configure(eal: &Eal, id: PortId, options: &PortOptions, rx_pools: &[Mempool]) -> Result<Self> {
        let mut plan = configure::plan(id, options, rx_pools)?;
        if !eal.inner.devices().insert(id.0) {
            return Err(Error::dpdk(format!("configuring port {:?}", plan.name), libc::EBUSY)
                .with_hint("it is configured already: drop that port and its queues first"));
        }
        let fast_free = plan.effective.tx_offloads.contains(TxOffloads::MBUF_FAST_FREE);
        let inner = Arc::new(PortInner {
            id,
            name: plan.name.clone(),
            started: AtomicBool::new(false),
            control: Mutex::default(),
            fast_free: rx_pools.first().filter(|_| fast_free).cloned(),
            _rx_pools: rx_pools.to_vec(),
            eal: Arc::clone(&eal.inner),
        });
        configure::apply(id, &mut plan, rx_pools)?;
        let mut effective = plan.effective;
        // DPDK remembers both and sets them again on start. A driver that cannot do it is no reason to stop.
        effective.promiscuous = options.promiscuous && inner.set_promiscuous(true).is_ok();
        effective.all_multicast = options.all_multicast && inner.enable_all_multicast();
        let rx_taken = vec![false; usize::from(effective.rx_queues)];
        let tx_taken = vec![false; usize::from(effective.tx_queues)];
        Ok(Self { inner, effective, rx_taken, tx_taken, _state: PhantomData })
    }

    /// Starts the port.
    ///
    /// # Errors
    /// When the driver fails; the port is closed then.
    pub fn start(self) -> Result<Port<Started>> {
        let Self { inner, mut effective, rx_taken, tx_taken, .. } = self;
        // SAFETY: the port is configured and its queues are set up.
        let code = unsafe { dpdk_sys::rte_eth_dev_start(inner.id.0) };
        check(|| format!("starting port {:?}", inner.name), code)?;
        inner.started.store(true, Ordering::Release);
        if let Some(rss) = &mut effective.rss {
            spread::apply(inner.id, rss, effective.rx_queues);
        }
        effective.mtu = configure::read_mtu(inner.id).unwrap_or(effective.mtu);
        Ok(Port { inner, effective, rx_taken, tx_taken, _state: PhantomData })
    }
}

impl Port<Started> {
    /// Receive queue `queue`: once, then never again.
    pub fn take_rx_queue(&mut self, queue: u16) -> Option<RxQueue> {
        take(&mut self.rx_taken, queue).then(|| RxQueue::new(Arc::clone(&self.inner), queue))
    }

    /// Transmit queue `queue`: once, then never again.
    pub fn take_tx_queue(&mut self, queue: u16) -> Option<TxQueue> {
        take(&mut self.tx_taken, queue).then(|| TxQueue::new(Arc::clone(&self.inner), queue))
    }

    /// For reading counters and link from a control thread.
    #[must_use]
    pub fn handle(&self) -> PortHandle {
        PortHandle::new(&self.inner)
    }

    /// The port's counters.
    ///
    /// # Errors
    /// When the driver fails.
    pub fn stats(&self) -> Result<PortStats> {
        self.inner.stats()
    }

    /// The driver's own counters, by name.
    ///
    /// # Errors
    /// When the driver fails.
    pub fn xstats(&self) -> Result<Vec<(String, u64)>> {
        self.inner.xstats()
    }

    /// The link, as last known: does not wait for it.
    ///
    /// # Errors
    /// When the driver fails.
    pub fn link(&self) -> Result<Link> {
        self.inner.link()
    }

    /// Receives frames for every address, or not.
    ///
    /// # Errors
    /// When the driver does not offer it.
    pub fn set_promiscuous(&self, on: bool) -> Result<()> {
        self.inner.set_promiscuous(on)
    }
}

impl<State> Port<State> {
    /// What is in effect.
    #[must_use]
    pub fn effective(&self) -> &Effective {
        &self.effective
    }

    /// The port's number.
    #[must_use]
    pub fn id(&self) -> PortId {
        self.inner.id
    }

    /// The port's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The Ethernet address.
    ///
    /// # Errors
    /// When the driver fails.
    pub fn mac(&self) -> Result<[u8; 6]> {
        self.inner.mac()
    }
}

impl PortInner {
    pub(crate) fn id(&self) -> PortId {
        self.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn fast_free_pool(&self) -> Option<&Mempool> {
        self.fast_free.as_ref()
    }
}

impl Drop for PortInner {
    fn drop(&mut self) {
        let mut devices = self.eal.devices();
        // SAFETY: port and queues are gone, so nobody polls it. The pools go after this, as fields.
        unsafe {
            if *self.started.get_mut() {
                dpdk_sys::rte_eth_dev_stop(self.id.0);
            }
            dpdk_sys::rte_eth_dev_close(self.id.0);
        }
        devices.remove(&self.id.0);
    }
}

fn take(taken: &mut [bool], queue: u16) -> bool {
    taken.get_mut(usize::from(queue)).is_some_and(|slot| !core::mem::replace(slot, true))
}
