//! The generator's side of the link.
//!
//! Invariant: the thread that measures is pinned and registered with DPDK before the first packet, and everything DPDK
//! gave is given back before the result is returned.

use crate::args::Args;
use crate::daemon::{Daemon, port};
use crate::link::PortLink;
use crate::load::{Datagrams, Load, Table};
use crate::outbox::Outbox;
use crate::pace::Pace;
use crate::run::Rig;
use crate::scenario::Bench;
use dpdk_ffi::clock::{tsc, tsc_hz};
use dpdk_ffi::eal::{Eal, EalOptions, Hugepages};
use dpdk_ffi::mempool::{Mempool, MempoolOptions};
use dpdk_ffi::port::{Port, PortOptions, Started, find_port};
use std::error::Error;
use std::time::Duration;

/// Makes the link, waits until Millrace answers on it, and measures.
pub(crate) fn with_link<T>(
    args: &Args,
    daemon: &Daemon,
    measure: impl FnOnce(&mut Bench<'_>) -> std::io::Result<T>,
) -> Result<T, Box<dyn Error>> {
    let device = args.client_device()?;
    let upstream = args.upstream_device()?;
    // vhost-user hands each piece of memory over as a file, and takes only a few of them.
    let extra = if args.hugepages { vec!["--single-file-segments".to_owned()] } else { Vec::new() };
    let eal = Eal::init(&EalOptions {
        extra,
        hugepages: if args.hugepages { Hugepages::InMemory } else { Hugepages::None },
        memory_mb: 256,
        vdevs: [Some(device.clone()), upstream.clone()].into_iter().flatten().collect(),
        file_prefix: Some("millrace-load".into()),
        main_cpus: vec![args.client_cpu],
        ..EalOptions::default()
    })?;
    core_affinity::set_for_current(core_affinity::CoreId { id: args.client_cpu });
    let pool =
        Mempool::new(&eal, "load", &MempoolOptions { mbufs: 16383, cache: 512, ..Default::default() })?;
    // The ports live longer than what is made of their queues.
    let mut port = started(&eal, &device, &pool)?;
    let mut back = upstream.map(|device| started(&eal, &device, &pool)).transpose()?;
    let link = queues(&mut port)?;
    let back = back.as_mut().map(queues).transpose()?;
    let _registered = eal.register_thread()?;
    let rig = Rig { link, out: Outbox::new(pool.clone()), hz: tsc_hz() };
    let mut bench = Bench { rig, back, daemon, table: Table::new(), pool, effort: args.effort() };
    await_answer(&mut bench)?;
    Ok(measure(&mut bench)?)
}

fn started(eal: &Eal, device: &str, pool: &Mempool) -> Result<Port<Started>, Box<dyn Error>> {
    let name = device.split(',').next().unwrap_or_default();
    let options = PortOptions::default();
    Ok(Port::configure(eal, find_port(eal, name)?, &options, std::slice::from_ref(pool))?.start()?)
}

fn queues(port: &mut Port<Started>) -> Result<PortLink, Box<dyn Error>> {
    let (Some(rx), Some(tx)) = (port.take_rx_queue(0), port.take_tx_queue(0)) else {
        return Err("the link has no queues".into());
    };
    Ok(PortLink { rx, tx })
}

/// Sends an echo now and then until one comes back.
fn await_answer(bench: &mut Bench<'_>) -> Result<(), Box<dyn Error>> {
    let rig = &mut bench.rig;
    let mut load = Datagrams::new(port::ECHO, true, rig.hz);
    load.set_pace(Some(Pace::new(tsc(), 20.0, rig.hz)));
    if !rig.until(&mut load, Duration::from_secs(10), |load| load.tally().counts.done > 0) {
        return Err("nothing came back over the link within 10 s".into());
    }
    load.set_pace(None);
    rig.drain(&mut load);
    Ok(())
}
