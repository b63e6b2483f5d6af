//! Who gets what: queues, rings and pools dealt out to the workers.
//!
//! Invariant: worker *i* has receive queue *i* and transmit queue *i* of every port that has so many; for the rest
//! it has a ring to or from a worker that does.

use crate::appliance::WorkerHandle;
use crate::appliance::error::{StartError, While};
use crate::appliance::ports::OpenPort;
use crate::event::{Recorder, Records};
use crate::fragment::Reassembler;
use crate::mailbox::Mailbox;
use crate::neighbour::NeighbourTable;
use crate::observe;
use crate::report::Outlook;
use crate::settings::{Settings, Steering};
use crate::steer::{Reta, SYMMETRIC_KEY, Toeplitz};
use crate::worker::{
    Clock, Context, Exit, Idle, Inlet, Means, Observer, Outbox, Parts, Proxies, Relay, RingEnds, Side,
};
use dpdk_ffi::eal::Eal;
use dpdk_ffi::mempool::Mempool;
use dpdk_ffi::queue::RxQueue;
use dpdk_ffi::ring::{Producers, mbuf_ring};
use l3l4::{Builder, Link, TxChecksum};
use std::sync::Arc;

/// What a worker's thread is given. The engine is not among it: it is built where it runs, because its memory
/// belongs to that thread.
pub(crate) struct Kit {
    pub(crate) cpu: usize,
    pub(crate) index: u16,
    settings: Arc<Settings>,
    clock: Clock,
    queues: Vec<(usize, RxQueue)>,
    exits: Vec<Exit>,
    rings: RingEnds,
    sides: Vec<Side>,
    pool: Mempool,
    toeplitz: Arc<Toeplitz>,
    neighbours: Arc<NeighbourTable>,
    outlook: Arc<Outlook>,
    mailbox: Arc<Mailbox>,
    recorder: Option<Recorder>,
}

/// Deals everything out; the records are the other ends of what the workers tell by.
pub(crate) fn wire(
    eal: &Eal,
    settings: &Arc<Settings>,
    ports: &mut [OpenPort],
    pools: &[Mempool],
    handles: &[WorkerHandle],
    neighbours: &Arc<NeighbourTable>,
    clock: Clock,
) -> Result<(Vec<Kit>, Vec<Records>), StartError> {
    let workers = settings.cpus.len();
    let toeplitz = Toeplitz::new(&SYMMETRIC_KEY)
        .map_err(|why| StartError::new("software RSS", why.to_string(), "report this as a defect"))?;
    let toeplitz = Arc::new(toeplitz);
    let mut rings = rings(eal, settings, ports, workers)?;
    let mut exits = exits(eal, settings, ports, workers, &mut rings)?;
    let sides: Vec<Side> = ports.iter().map(|port| port.side.clone()).collect();
    let (mut kits, mut records) = (Vec::new(), Vec::new());
    for (index, handle) in handles.iter().enumerate() {
        let queues = ports
            .iter_mut()
            .enumerate()
            .filter_map(|(number, up)| Some((number, up.port.take_rx_queue(index as u16)?)))
            .collect();
        let (recorder, taken) = observe::ring(&settings.observe);
        records.extend(taken);
        kits.push(Kit {
            cpu: handle.cpu,
            index: index as u16,
            settings: Arc::clone(settings),
            clock,
            queues,
            exits: std::mem::take(&mut exits[index]),
            rings: std::mem::take(&mut rings[index]),
            sides: sides.clone(),
            pool: pools[index].clone(),
            toeplitz: Arc::clone(&toeplitz),
            neighbours: Arc::clone(neighbours),
            outlook: Arc::clone(&handle.outlook),
            mailbox: Arc::clone(&handle.mailbox),
            recorder,
        });
    }
    Ok((kits, records))
}

/// The rings by which packets reach the worker that owns their flow.
fn rings(
    eal: &Eal,
    settings: &Settings,
    ports: &[OpenPort],
    workers: usize,
) -> Result<Vec<RingEnds>, StartError> {
    let mut all: Vec<RingEnds> = (0..workers).map(|_| RingEnds::default()).collect();
    if workers < 2 {
        return Ok(all);
    }
    let what = || "the rings between workers".to_owned();
    let size = settings.steering_ring;
    // Also where RSS is in force: a packet reassembled at one worker may belong to another.
    if ports.iter().any(|port| port.steering != Steering::Queue) {
        for to in 0..workers {
            let (sender, ring) =
                mbuf_ring(eal, &format!("steer_{to}"), size, Producers::Multi).during(what)?;
            all[to].inlets.push(Inlet { asked: u16::MAX, ring });
            for (from, rings) in all.iter_mut().enumerate() {
                let outlet = if from == to { None } else { sender.try_clone() };
                rings.owners.push(outlet);
            }
        }
    }
    if ports.iter().any(|port| port.steering == Steering::Queue) || settings.services.are_transparent() {
        for from in 0..workers {
            let to = (from + 1) % workers;
            for asked in 0..workers as u16 - 1 {
                let name = format!("ask_{from}_{asked}");
                let (sender, ring) = mbuf_ring(eal, &name, size, Producers::Single).during(what)?;
                all[from].next.push(sender);
                all[to].inlets.push(Inlet { asked: asked + 1, ring });
            }
        }
    }
    Ok(all)
}

/// Each worker's way out of each port.
fn exits(
    eal: &Eal,
    settings: &Settings,
    ports: &mut [OpenPort],
    workers: usize,
    rings: &mut [RingEnds],
) -> Result<Vec<Vec<Exit>>, StartError> {
    let mut exits: Vec<Vec<Exit>> = (0..workers).map(|_| Vec::new()).collect();
    for (number, up) in ports.iter_mut().enumerate() {
        let what = || format!("the transmit queues of port `{}`", settings.ports[number].name);
        let queues = usize::from(up.effective.tx_queues);
        let mut senders = Vec::new();
        for (worker, exits) in exits.iter_mut().enumerate() {
            if worker < queues {
                let Some(queue) = up.port.take_tx_queue(worker as u16) else {
                    return Err(StartError::new(
                        what(),
                        format!("queue {worker} is missing"),
                        "report this as a defect",
                    ));
                };
                exits.push(Exit::Queue(queue));
                if queues < workers {
                    let name = format!("relay_{number}_{worker}");
                    let (sender, ring) =
                        mbuf_ring(eal, &name, settings.steering_ring, Producers::Multi).during(what)?;
                    rings[worker].relays.push(Relay { port: number, ring });
                    senders.push(sender);
                }
            } else {
                let sender = senders.get(worker % queues.max(1)).and_then(|sender| sender.try_clone());
                let Some(sender) = sender else {
                    return Err(StartError::new(what(), "there are none", "use another device"));
                };
                exits.push(Exit::Ring(sender));
            }
        }
    }
    Ok(exits)
}

impl Kit {
    /// Puts a worker's parts together, on its own thread.
    pub(crate) fn build(self) -> Result<Parts, String> {
        let s = &self.settings;
        let mut builder = Builder::new(s.secret)
            .tcp_buffer_size(s.tcp_buffer_size)
            .tcp_idle_timeout(s.tcp_idle_timeout)
            .tcp_halfopen_idle_timeout(s.tcp_halfopen_idle_timeout)
            .tcp_user_timeout(s.tcp_user_timeout)
            .tcp_slow_reader_timeout(s.tcp_slow_reader_timeout)
            .tcp_slow_reader_bytes(s.tcp_slow_reader_bytes)
            .tcp_fin_wait_timeout(s.tcp_fin_wait_timeout)
            .tcp_time_wait(s.tcp_time_wait)
            .tcp_keepalive(s.tcp_keepalive)
            .tcp_keepalive_interval(s.tcp_keepalive_interval)
            .tcp_keepalive_probes(s.tcp_keepalive_probes)
            .tcp_synack_retries(s.tcp_synack_retries)
            .tcp_min_mss(s.tcp_min_mss)
            .tcp_path_mtu_discovery(s.tcp_path_mtu_discovery)
            .tcp_min_path_mtu(s.tcp_min_path_mtu)
            .udp_idle_timeout(s.udp_idle_timeout)
            .congestion(s.congestion)
            .direct(s.tcp_direct)
            .tcp_sleep_after(s.tcp_sleep_after)
            .syn_cookies(s.syn_cookies)
            .limits(s.limits)
            .start(self.clock.now());
        for (port, side) in s.ports.iter().zip(&self.sides) {
            let tx_checksum = if side.checksum_offload { TxChecksum::Offload } else { TxChecksum::Software };
            builder = builder.link(Link { mtu: usize::from(port.mtu), tx_checksum });
        }
        let engine = builder.build().map_err(|why| why.to_string())?;
        let outboxes = self
            .exits
            .into_iter()
            .zip(&self.sides)
            .map(|(exit, side)| Outbox::new(exit, side.checksum_offload || side.vlan_insert))
            .collect();
        let reassembler = (s.fragments > 0)
            .then(|| Reassembler::new(s.fragments, s.fragment_timeout.as_micros() as u64, 65_535));
        let workers = s.cpus.len() as u16;
        let reta = Reta::spread(workers);
        let means = Means {
            limits: s.proxy.clone(),
            neighbours: Arc::clone(&self.neighbours),
            toeplitz: Arc::clone(&self.toeplitz),
            reta: Arc::new(reta.clone()),
            worker: self.index,
            workers,
            passes: self.rings.passes(),
        };
        let proxies = Proxies::new(means, &self.sides, &s.services);
        let services = Arc::clone(&s.services);
        let follows = s.ports.iter().any(|port| port.mirror);
        let mut observer = Observer::new(&s.observe, follows, self.recorder, &s.secret);
        observer.set_clock(self.clock.nanos(self.clock.read().wrapping_sub(self.clock.start())));
        Ok(Parts {
            index: self.index,
            workers,
            clock: self.clock,
            queues: self.queues,
            rings: self.rings.build(),
            engine,
            cx: Context::new(self.sides, outboxes, self.pool, services, proxies, observer, s.limits.flows),
            reassembler,
            toeplitz: self.toeplitz,
            reta,
            neighbours: self.neighbours,
            outlook: self.outlook,
            mailbox: self.mailbox,
            mtus: s.ports.iter().map(|port| port.mtu).collect(),
            idle: Idle { spin_turns: s.spin_turns, max_sleep: s.max_sleep },
        })
    }
}
