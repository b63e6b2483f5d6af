//! The data plane as control holds it: started as a whole, watched, and stopped as a whole.
//!
//! Invariant: threads stop before queues are dropped, queues before ports, ports before pools, pools before EAL;
//! the order of fields and of `stop` is that order.

mod error;
mod ports;
mod wiring;

pub use error::StartError;

use crate::event::Records;
use crate::mailbox::{Command, Mailbox};
use crate::neighbour::{Mac, NeighbourTable};
use crate::report::{Outlook, Report};
use crate::settings::{self, Network, Settings, Steering};
use crate::worker::{Clock, Worker};
use core::time::Duration;
use dpdk_ffi::eal::Eal;
use dpdk_ffi::mempool::{Mempool, MempoolOptions};
use dpdk_ffi::port::{Effective, Port, PortHandle, Started};
use error::While;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
pub(crate) use wiring::Kit;

/// One worker as control sees it.
pub struct WorkerHandle {
    /// The CPU it runs on.
    pub cpu: usize,
    /// Its reports and heartbeat.
    pub outlook: Arc<Outlook>,
    /// Where commands go.
    pub mailbox: Arc<Mailbox>,
}

/// One port as control sees it.
pub struct PortStatus {
    /// Its name.
    pub name: String,
    /// The DPDK device.
    pub device: String,
    /// The driver.
    pub driver: String,
    /// The MAC address it answers with.
    pub mac: [u8; 6],
    /// Device statistics and link state.
    pub handle: PortHandle,
    /// What is in effect on it.
    pub effective: Effective,
    /// How packets find their owner; never [`Steering::Auto`].
    pub steering: Steering,
    /// Its networks.
    pub networks: Vec<Network>,
}

/// One pool at one moment.
#[derive(Clone, Debug)]
pub struct MempoolStatus {
    /// Its name.
    pub name: String,
    /// Buffers in it.
    pub size: u32,
    /// Free buffers.
    pub available: u32,
    /// Buffers taken: in queues, on their way, or in a worker's stash.
    pub in_use: u32,
}

/// How it all ended.
#[derive(Debug)]
pub struct Summary {
    /// The last report of each worker.
    pub reports: Vec<Report>,
    /// Buffers that were not given back; 0 unless something leaks.
    pub mbufs_in_use: u64,
    /// Buffers there were.
    pub mbufs: u64,
    /// Since the start.
    pub elapsed: Duration,
}

/// The running data plane.
pub struct Dataplane {
    threads: Vec<Option<JoinHandle<Option<Report>>>>,
    workers: Vec<WorkerHandle>,
    ports: Vec<PortStatus>,
    neighbours: Arc<NeighbourTable>,
    clock: Clock,
    records: Vec<Records>,
    open: Vec<Port<Started>>,
    pools: Vec<Mempool>,
    eal: Arc<Eal>,
}

/// How long a worker may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);

impl Dataplane {
    /// Starts everything: EAL, pools, ports, workers.
    ///
    /// # Errors
    /// [`StartError`], after everything that was started has been stopped again.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        let (mut dataplane, kits) = Self::prepare(settings)?;
        for kit in kits {
            dataplane.launch(kit)?;
        }
        Ok(dataplane)
    }

    /// Starts everything but the workers; gives what each of their threads is to be given.
    pub(crate) fn prepare(settings: Settings) -> Result<(Self, Vec<Kit>), StartError> {
        check(&settings)?;
        let settings = Arc::new(settings);
        let eal = Arc::new(Eal::init(&settings.eal).during(|| "starting DPDK's EAL".into())?);
        let pools = pools(&eal, &settings)?;
        let mut opened = Vec::new();
        for port in &settings.ports {
            opened.push(ports::open(&eal, port, &pools)?);
        }
        let clock = Clock::new();
        let mut seed = [0; 8];
        seed.copy_from_slice(&settings.secret[..8]);
        let neighbours = Arc::new(NeighbourTable::new(settings.neighbours, u64::from_ne_bytes(seed)));
        for (port, network) in
            settings.ports.iter().enumerate().flat_map(|(i, p)| p.networks.iter().map(move |n| (i, n)))
        {
            for gateway in &network.gateways {
                neighbours.add_gateway(port as u16, network.vlan, *gateway, clock.now().micros());
            }
        }
        let ports: Vec<PortStatus> = settings
            .ports
            .iter()
            .zip(&opened)
            .map(|(port, up)| PortStatus {
                name: port.name.clone(),
                device: port.device.clone(),
                driver: up.info.driver.clone(),
                mac: up.side.mac.0,
                handle: up.port.handle(),
                effective: up.effective.clone(),
                steering: up.steering,
                networks: port.networks.clone(),
            })
            .collect();
        let workers: Vec<WorkerHandle> = settings
            .cpus
            .iter()
            .map(|&cpu| WorkerHandle {
                cpu,
                outlook: Arc::new(Outlook::new(settings.ports.len(), settings.services.services.len())),
                mailbox: Arc::new(Mailbox::default()),
            })
            .collect();
        let (kits, records) =
            wiring::wire(&eal, &settings, &mut opened, &pools, &workers, &neighbours, clock)?;
        let dataplane = Self {
            threads: Vec::new(),
            workers,
            ports,
            neighbours,
            clock,
            records,
            open: opened.into_iter().map(|up| up.port).collect(),
            pools,
            eal,
        };
        Ok((dataplane, kits))
    }

    /// Starts a worker's thread and waits until it is up.
    fn launch(&mut self, kit: Kit) -> Result<(), StartError> {
        let (up, ready) = mpsc::channel();
        let eal = Arc::clone(&self.eal);
        let (cpu, index) = (kit.cpu, kit.index);
        let failed = |why: String| {
            StartError::new(
                format!("worker {index} on CPU {cpu}"),
                why,
                "see `millrace doctor`; use other CPUs under `workers:`",
            )
        };
        let thread = std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || work(kit, &eal, &up))
            .map_err(|error| failed(error.to_string()))?;
        self.threads.push(Some(thread));
        match ready.recv_timeout(PATIENCE) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(failed(why)),
            Err(_) => Err(failed("it did not come up".into())),
        }
    }

    /// The workers, by number.
    #[must_use]
    pub fn workers(&self) -> &[WorkerHandle] {
        &self.workers
    }

    /// What the workers record of what they observe, by number of the worker; empty where no ring was asked for, and the
    /// second time.
    pub fn take_records(&mut self) -> Vec<Records> {
        std::mem::take(&mut self.records)
    }

    /// The ports, by number.
    #[must_use]
    pub fn ports(&self) -> &[PortStatus] {
        &self.ports
    }

    /// The table of neighbours that all workers share.
    #[must_use]
    pub fn neighbours(&self) -> &Arc<NeighbourTable> {
        &self.neighbours
    }

    /// The pools at this moment.
    #[must_use]
    pub fn mempools(&self) -> Vec<MempoolStatus> {
        let status = |pool: &Mempool| MempoolStatus {
            name: pool.name().to_owned(),
            size: pool.size(),
            available: pool.available(),
            in_use: pool.in_use(),
        };
        self.pools.iter().map(status).collect()
    }

    /// Microseconds on the clock that workers use.
    #[must_use]
    pub fn uptime_us(&self) -> u64 {
        self.clock.now().micros()
    }

    /// The command line EAL was started with.
    #[must_use]
    pub fn eal_args(&self) -> &[String] {
        self.eal.args()
    }

    /// A worker whose thread ended without being told to.
    #[must_use]
    pub fn failed_worker(&self) -> Option<u16> {
        let ended = |thread: &Option<JoinHandle<_>>| thread.as_ref().is_some_and(JoinHandle::is_finished);
        self.threads.iter().position(ended).map(|index| index as u16)
    }

    /// Stops the workers, closes the ports and says how it ended.
    #[must_use]
    pub fn stop(mut self) -> Summary {
        let reports = self.halt();
        self.open.clear();
        let mbufs_in_use = self.pools.iter().map(|pool| u64::from(pool.in_use())).sum();
        let mbufs = self.pools.iter().map(|pool| u64::from(pool.size())).sum();
        Summary { reports, mbufs_in_use, mbufs, elapsed: self.clock.elapsed() }
    }

    fn halt(&mut self) -> Vec<Report> {
        for worker in &self.workers {
            let mut command = Command::Stop;
            // The worker empties its mailbox every millisecond; a dead one never does, and is joined at once.
            for _ in 0..1000 {
                match worker.mailbox.send(command) {
                    Ok(()) => break,
                    Err(back) => command = back,
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let threads = self.threads.iter_mut().filter_map(Option::take);
        threads.filter_map(|thread| thread.join().ok().flatten()).collect()
    }
}

impl Drop for Dataplane {
    fn drop(&mut self) {
        self.halt();
    }
}

/// Workers that the redirection table can spread flows over.
const MOST_WORKERS: usize = 128;

/// What need not wait for DPDK to be refused.
fn check(settings: &Settings) -> Result<(), StartError> {
    let count = settings.cpus.len();
    if count == 0 || count > MOST_WORKERS {
        let why = format!("{count} CPUs are named for them");
        return Err(StartError::new(
            "the workers",
            why,
            format!("name 1 to {MOST_WORKERS} under `workers:`"),
        ));
    }
    for (i, port) in settings.ports.iter().enumerate() {
        if let Some(other) = settings.ports[..i].iter().find(|other| other.device == port.device) {
            return Err(StartError::new(
                format!("port `{}`", port.name),
                format!("its device {} is that of port `{}` already", port.device, other.name),
                "give every port a device of its own, or put several networks on one port",
            ));
        }
    }
    buffer_size(settings).map(|_| ())
}

/// Bytes of each packet buffer, headroom included.
fn buffer_size(settings: &Settings) -> Result<u16, StartError> {
    let largest = settings.ports.iter().map(|port| port.mtu).max().unwrap_or(1500);
    let needed = settings::least_data_room(largest);
    match settings.data_room {
        0 => Ok(settings::data_room_for(largest)),
        given if given < needed => Err(StartError::new(
            "packet buffers",
            format!("`mempool.data_room` is {given} bytes, but an MTU of {largest} needs {needed}"),
            "write `data_room: auto`",
        )),
        given => Ok(given),
    }
}

/// One pool per worker, with buffers as long as the largest MTU needs.
fn pools(eal: &Eal, settings: &Settings) -> Result<Vec<Mempool>, StartError> {
    let data_room = buffer_size(settings)?;
    (0..settings.cpus.len())
        .map(|worker| {
            let options =
                MempoolOptions { mbufs: settings.mbufs, cache: settings.mbuf_cache, data_room, socket: None };
            Mempool::new(eal, &format!("worker{worker}"), &options)
                .during(|| format!("the pool of {} buffers of worker {worker}", settings.mbufs))
        })
        .collect()
}

/// A worker's thread.
fn work(kit: Kit, eal: &Eal, up: &mpsc::Sender<Result<(), String>>) -> Option<Report> {
    let pinned = core_affinity::set_for_current(core_affinity::CoreId { id: kit.cpu });
    if !pinned {
        let _ = up.send(Err(format!("CPU {} cannot be used by this process", kit.cpu)));
        return None;
    }
    let guard = match eal.register_thread() {
        Ok(guard) => guard,
        Err(error) => {
            let _ = up.send(Err(error.to_string()));
            return None;
        }
    };
    let report = match kit.build() {
        Ok(parts) => {
            let worker = Worker::new(parts);
            let _ = up.send(Ok(()));
            Some(worker.run())
        }
        Err(why) => {
            let _ = up.send(Err(why));
            None
        }
    };
    drop(guard);
    report
}

/// The MAC address of a port as text.
impl PortStatus {
    /// Its MAC address in the usual form.
    #[must_use]
    pub fn mac_text(&self) -> String {
        Mac(self.mac).to_string()
    }
}
