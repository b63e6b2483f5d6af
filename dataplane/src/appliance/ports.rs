//! Bringing up one port: queues for the workers, RSS, offloads, and the choice of how packets find their owner.
//!
//! Invariant: what is not offered is done in software; only a device that is not there, or a demand in so many
//! words (`steering: rss`) that cannot be met, stops the start.

use crate::appliance::error::{StartError, While};
use crate::neighbour::{Mac, Owned};
use crate::settings::{PortSettings, Steering};
use crate::steer::{SYMMETRIC_KEY, SYMMETRIC_KEY_52};
use crate::worker::{Segment, Side};
use dpdk_ffi::eal::Eal;
use dpdk_ffi::mempool::Mempool;
use dpdk_ffi::offload::TxOffloads;
use dpdk_ffi::port::{
    Effective, OffloadRequest, Port, PortInfo, PortOptions, RssRequest, Started, find_port, port_info,
};
use dpdk_ffi::rss::RssTypes;

/// Drivers that say they hash and do not.
const NO_REAL_RSS: &[&str] = &["net_tap", "net_null"];
/// Drivers whose kernel side has the device's own MAC address, so that ours must differ.
const SHARED_MAC: &[&str] = &["net_tap"];

/// A port that is up.
pub(crate) struct OpenPort {
    pub(crate) port: Port<Started>,
    pub(crate) info: PortInfo,
    pub(crate) effective: Effective,
    pub(crate) steering: Steering,
    pub(crate) side: Side,
}

/// Configures and starts a port; queue `i` takes its buffers from `pools[i]`.
pub(crate) fn open(eal: &Eal, settings: &PortSettings, pools: &[Mempool]) -> Result<OpenPort, StartError> {
    let what = || format!("port `{}` ({})", settings.name, settings.device);
    let id = find_port(eal, &settings.device).during(what)?;
    let info = port_info(eal, id).during(what)?;
    let workers = pools.len() as u16;
    let wanted = settings.rx_queues.unwrap_or(workers).clamp(1, workers);
    let rx_queues = wanted.min(info.max_rx_queues.max(1));
    let tx_queues = workers.min(info.max_tx_queues.max(1));
    let spread = rx_queues == workers && workers > 1 && settings.steering != Steering::Software;
    let key = if info.hash_key_size == 52 { &SYMMETRIC_KEY_52[..] } else { &SYMMETRIC_KEY[..] };
    let options = PortOptions {
        rx_queues,
        tx_queues,
        rx_descriptors: settings.rx_descriptors,
        tx_descriptors: settings.tx_descriptors,
        mtu: settings.mtu,
        promiscuous: settings.promiscuous
            || settings.mirror
            || settings.mac.is_some_and(|mac| mac != info.mac),
        // Neighbour discovery goes to groups; with any_ip, to any of them.
        all_multicast: true,
        rss: spread.then(|| RssRequest { key: key.to_vec(), types: RssTypes::all() }),
        offloads: OffloadRequest {
            rx_checksum: settings.checksum_offload,
            tx_checksum: settings.checksum_offload,
            vlan_strip: settings.vlan_offload,
            vlan_insert: settings.vlan_offload,
            scatter: settings.scatter,
            multi_segs: settings.scatter,
            ..OffloadRequest::default()
        },
    };
    let port = Port::configure(eal, id, &options, &pools[..usize::from(rx_queues)]).during(what)?;
    let port = port.start().during(what)?;
    let effective = port.effective().clone();
    let steering = choose(settings, &info, &effective, workers)?;
    let side = side(settings, &info, &effective, steering)?;
    Ok(OpenPort { port, info, effective, steering, side })
}

/// How packets of this port find their owner.
fn choose(
    settings: &PortSettings,
    info: &PortInfo,
    effective: &Effective,
    workers: u16,
) -> Result<Steering, StartError> {
    let each = effective.rx_queues == workers;
    let needed = RssTypes::TCP4 | RssTypes::TCP6;
    let hashed = effective
        .rss
        .as_ref()
        .is_some_and(|rss| rss.verified && rss.types.contains(needed) && !rss.reta.is_empty());
    let rss = each && hashed && !NO_REAL_RSS.contains(&info.driver.as_str());
    Ok(match settings.steering {
        // With one worker every packet is its own.
        _ if workers == 1 => Steering::Queue,
        Steering::Rss if !rss => {
            return Err(StartError::new(
                format!("port `{}`", settings.name),
                format!(
                    "`steering: rss` is asked for, but {} offers no usable RSS over {workers} queues",
                    info.driver
                ),
                "write `steering: auto`, or fewer workers",
            ));
        }
        Steering::Queue if !each => {
            return Err(StartError::new(
                format!("port `{}`", settings.name),
                format!(
                    "`steering: queue` needs a queue for each of {workers} workers; there are {}",
                    effective.rx_queues
                ),
                "write `steering: software`, or give the device more queues",
            ));
        }
        Steering::Auto if rss => Steering::Rss,
        // Both directions of a connection have to meet, and nobody can be asked for one that is not known yet.
        Steering::Auto if settings.mirror => Steering::Software,
        Steering::Auto if each => Steering::Queue,
        Steering::Auto => Steering::Software,
        asked => asked,
    })
}

fn side(
    settings: &PortSettings,
    info: &PortInfo,
    effective: &Effective,
    steering: Steering,
) -> Result<Side, StartError> {
    let mut mac = info.mac;
    if SHARED_MAC.contains(&info.driver.as_str()) {
        // Locally administered, and not the kernel's.
        mac[0] = mac[0] & 0xfe | 2;
        mac[5] ^= 1;
    }
    let mac = Mac(settings.mac.unwrap_or(mac));
    if !mac.is_unicast() {
        return Err(StartError::new(
            format!("port `{}`", settings.name),
            format!("{mac} is not the MAC address of a station"),
            "give the port one with `mac:`",
        ));
    }
    let mut segments = Vec::new();
    for network in &settings.networks {
        // Those of a pool are ours, too, but say nothing of what is on the link.
        let pool = network.pool.iter().map(|own| (*own, if own.is_v4() { 32 } else { 128 }));
        let owned = Owned::new(
            network.addresses.iter().copied().chain(pool).collect(),
            network.any_ip,
            network.gateways.clone(),
            network.except.clone(),
        )
        .map_err(|why| {
            StartError::new(format!("port `{}`", settings.name), why.to_string(), "correct the prefix length")
        })?;
        segments.push(Segment { vlan: network.vlan, owned, any_ip: network.any_ip });
    }
    let all = TxOffloads::IPV4_CHECKSUM | TxOffloads::TCP_CHECKSUM | TxOffloads::UDP_CHECKSUM;
    Ok(Side {
        mac,
        steering,
        mirror: settings.mirror,
        segments,
        checksum_offload: settings.checksum_offload && effective.tx_offloads.contains(all),
        vlan_insert: effective.tx_offloads.contains(TxOffloads::VLAN_INSERT),
    })
}
