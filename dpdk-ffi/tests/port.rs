//! Ports on virtual devices: bursts, tails, counters, life and death, and errors that say what to do.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use arrayvec::ArrayVec;
use common::{eal, numbered, numbers, pool};
use dpdk_ffi::Error;
use dpdk_ffi::mbuf::Mbuf;
use dpdk_ffi::mempool::Mempool;
use dpdk_ffi::offload::TxOffloads;
use dpdk_ffi::port::{OffloadRequest, Port, PortOptions, RssRequest, Started, find_port, port_info, ports};
use dpdk_ffi::rss::RssTypes;

fn start(device: &str, pool: &Mempool, options: &PortOptions) -> Port<Started> {
    let id = eal().attach_vdev(device).unwrap();
    let pools = vec![pool.clone(); usize::from(options.rx_queues)];
    Port::configure(eal(), id, options, &pools).unwrap().start().unwrap()
}

#[test]
fn a_loop_of_rings_carries_packets_and_returns_the_tail() {
    let pool = pool(4095);
    let mut port = start("net_ring10", &pool, &PortOptions::default());
    let (mut rx, mut tx) = (port.take_rx_queue(0).unwrap(), port.take_tx_queue(0).unwrap());
    assert_eq!((rx.port(), rx.index(), tx.port(), tx.index()), (port.id(), 0, port.id(), 0));
    // net_ring's rings hold 1023 packets.
    let mut out = numbered::<1100>(&pool, 1100);
    assert_eq!(tx.tx_burst(&mut out), 1023);
    assert_eq!(numbers(&out), (1023..1100).collect::<Vec<_>>());
    assert_eq!(tx.tx_burst(&mut out), 0);
    assert_eq!(out.len(), 77);
    let mut seen = Vec::new();
    let mut burst = ArrayVec::<Mbuf, 32>::new();
    while rx.rx_burst(&mut burst) > 0 {
        assert!(burst.len() <= 32);
        seen.extend(numbers(&burst));
        Mbuf::free_bulk(&mut burst);
    }
    assert_eq!(seen, (0..1023).collect::<Vec<_>>());
    assert_eq!(tx.tx_burst(&mut out), 77);
    let stats = port.stats().unwrap();
    assert_eq!((stats.opackets, stats.ipackets), (1100, 1023));
    assert_eq!((rx.rx_burst(&mut out), pool.in_use()), (77, 77));
    assert_eq!(numbers(&out), (1023..1100).collect::<Vec<_>>());
    drop((port, rx, tx, out));
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_burst_fills_only_the_free_places() {
    let pool = pool(255);
    let mut port = start("net_null20,size=60", &pool, &PortOptions::default());
    let mut rx = port.take_rx_queue(0).unwrap();
    let mut burst = ArrayVec::<Mbuf, 32>::new();
    assert_eq!(rx.rx_burst(&mut burst), 32);
    assert_eq!(rx.rx_burst(&mut burst), 0);
    assert!(burst.iter().all(|m| m.len() == 60 && m.port() == port.id().index()));
    burst.truncate(30);
    assert_eq!((rx.rx_burst(&mut burst), burst.len()), (2, 32));
    drop(burst);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn counters_count() {
    let pool = pool(255);
    let mut port = start("net_null21,size=60", &pool, &PortOptions::default());
    let (mut rx, mut tx) = (port.take_rx_queue(0).unwrap(), port.take_tx_queue(0).unwrap());
    let handle = port.handle();
    let mut burst = ArrayVec::<Mbuf, 32>::new();
    for _ in 0..5 {
        rx.rx_burst(&mut burst);
        assert_eq!(tx.tx_burst(&mut burst), 32);
    }
    // From another thread, as the control side does.
    let (stats, xstats, link) =
        std::thread::spawn(move || (handle.stats(), handle.xstats(), handle.link())).join().unwrap();
    let stats = stats.unwrap();
    assert_eq!((stats.ipackets, stats.opackets, stats.imissed, stats.oerrors), (160, 160, 0, 0));
    let xstats = xstats.unwrap();
    let value = |name: &str| xstats.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
    assert_eq!((value("rx_good_packets"), value("tx_good_packets")), (Some(160), Some(160)));
    assert!(link.unwrap().full_duplex);
}

#[test]
fn queues_are_handed_out_once() {
    let pool = pool(255);
    let options = PortOptions { rx_queues: 2, tx_queues: 2, ..Default::default() };
    let mut port = start("net_null22", &pool, &options);
    assert!(port.take_rx_queue(1).is_some() && port.take_tx_queue(1).is_some());
    assert!(port.take_rx_queue(1).is_none() && port.take_tx_queue(1).is_none());
    assert!(port.take_rx_queue(2).is_none() && port.take_tx_queue(2).is_none());
    assert!(port.take_rx_queue(0).is_some() && port.take_tx_queue(0).is_some());
}

#[test]
fn a_port_lives_as_long_as_its_last_queue() {
    let pool = pool(255);
    let mut port = start("net_null23", &pool, &PortOptions::default());
    let (mut rx, tx) = (port.take_rx_queue(0).unwrap(), port.take_tx_queue(0).unwrap());
    let handle = port.handle();
    drop(port);
    drop(tx);
    let mut burst = ArrayVec::<Mbuf, 8>::new();
    assert_eq!(rx.rx_burst(&mut burst), 8);
    assert_eq!(handle.stats().unwrap().ipackets, 8);
    drop(rx);
    assert_eq!(handle.stats(), Err(Error::PortClosed { name: "net_null23".into() }));
    assert!(find_port(eal(), "net_null23").is_err(), "the device is closed");
    assert_eq!(pool.in_use(), 8);
}

#[test]
fn a_port_outlives_queues_that_go_first() {
    let pool = pool(255);
    let mut port = start("net_null24", &pool, &PortOptions::default());
    drop((port.take_rx_queue(0), port.take_tx_queue(0)));
    assert_eq!(port.stats().unwrap().ipackets, 0);
    assert!(find_port(eal(), "net_null24").is_ok());
    drop(port);
    assert!(find_port(eal(), "net_null24").is_err());
}

#[test]
fn a_port_has_one_owner() {
    let pool = pool(255);
    let port = start("net_null25", &pool, &PortOptions::default());
    let error = Port::configure(eal(), port.id(), &PortOptions::default(), &[pool]).unwrap_err();
    assert_eq!(error.errno(), Some(libc::EBUSY));
    assert!(error.hint().contains("configured already"), "{error}");
}

#[test]
fn what_cannot_be_is_refused_and_leaves_the_port_usable() {
    let pool = pool(255);
    let id = eal().attach_vdev("net_null26").unwrap();
    let offered = port_info(eal(), id).unwrap().max_rx_queues;
    let refused = |options: PortOptions, pools: usize| {
        Port::configure(eal(), id, &options, &vec![pool.clone(); pools]).unwrap_err().to_string()
    };
    let text =
        refused(PortOptions { rx_queues: offered + 1, ..Default::default() }, usize::from(offered) + 1);
    assert!(
        text.contains("rx queues asked for, the port offers") && text.contains("fix: use 1 to"),
        "{text}"
    );
    assert!(refused(PortOptions { tx_queues: 0, ..Default::default() }, 1).contains("0 tx queues"));
    assert!(
        refused(PortOptions { rx_queues: 2, ..Default::default() }, 1).contains("1 pools for 2 rx queues")
    );
    let line = refused(PortOptions { mtu: 1, ..Default::default() }, 1);
    assert!(line.contains("MTU 1 is out of range") && line.contains("write an `mtu` of "), "{line}");
    assert!(Port::configure(eal(), id, &PortOptions::default(), std::slice::from_ref(&pool)).is_ok());
}

#[test]
fn ports_are_found_and_described() {
    let id = eal().attach_vdev("net_null27").unwrap();
    assert_eq!(find_port(eal(), "net_null27"), Ok(id));
    assert!(ports(eal()).contains(&id));
    let info = port_info(eal(), id).unwrap();
    assert_eq!((info.driver.as_str(), info.name.as_str()), ("net_null", "net_null27"));
    assert_ne!(info.mac, [0; 6]);
    assert!(info.max_rx_queues >= 1 && info.max_tx_queues >= 1 && info.max_mtu >= 1500);
    assert!(info.rx_offloads.names().len() <= 7);
    let error = find_port(eal(), "net_nul27").unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENODEV));
    assert!(error.hint().contains("net_null27"), "{error}");
}

#[test]
fn unknown_and_broken_devices_say_what_to_do() {
    let error = eal().attach_vdev("net_nosuch0").unwrap_err();
    assert!(error.errno().is_some(), "{error}");
    assert!(error.to_string().contains("net_nosuch0") && error.hint().contains("known drivers"), "{error}");
    let error = eal().attach_vdev("net_pcap30,rx_pcap=/nonexistent/file.pcap").unwrap_err();
    assert!(error.hint().contains("rx_pcap= must name a readable capture"), "{error}");
    let error = eal().attach_vdev("net_af_packet30,iface=no-such-iface").unwrap_err();
    assert_eq!(
        error.errno(),
        Some(libc::ENODEV),
        "not the -1 the driver returns, which reads as EPERM: {error}"
    );
    let error = eal().attach_vdev("net_null\0").unwrap_err();
    assert!(error.to_string().contains("NUL"), "{error}");
}

#[test]
fn rss_is_masked_set_and_read_back() {
    let pool = pool(255);
    let id = eal().attach_vdev("net_null28").unwrap();
    let info = port_info(eal(), id).unwrap();
    let wanted = RssTypes::IPV4 | RssTypes::TCP4 | RssTypes::UDP4 | RssTypes::from_bits(1 << 49);
    let rss = Some(RssRequest { key: vec![0x6d, 0x5a], types: wanted });
    let options = PortOptions { rx_queues: 3, rss, ..Default::default() };
    let port = Port::configure(eal(), id, &options, &vec![pool.clone(); 3]).unwrap();
    assert!(!port.effective().rss.as_ref().unwrap().verified, "only a started port can be asked");
    let port = port.start().unwrap();
    let rss = port.effective().rss.as_ref().unwrap();
    assert_eq!(rss.types, wanted.intersection(info.rss_types));
    assert_eq!(rss.key, [0x6d, 0x5a].repeat(20));
    assert_eq!(rss.reta, (0..info.reta_size).map(|i| i % 3).collect::<Vec<_>>());
    assert!(rss.verified, "{rss:?}");
}

#[test]
fn a_port_without_rss_or_offloads_works_without_them() {
    let pool = pool(255);
    let all = OffloadRequest {
        rx_checksum: true,
        tx_checksum: true,
        vlan_strip: true,
        vlan_insert: true,
        scatter: true,
        tso: true,
        multi_segs: true,
        mbuf_fast_free: true,
    };
    let rss = Some(RssRequest { key: vec![1; 40], types: RssTypes::all() });
    let options =
        PortOptions { rss, offloads: all, promiscuous: true, all_multicast: true, ..Default::default() };
    let id = eal().attach_vdev("net_ring11").unwrap();
    let info = port_info(eal(), id).unwrap();
    let port = Port::configure(eal(), id, &options, &[pool]).unwrap().start().unwrap();
    let effective = port.effective();
    assert_eq!(effective.rss, None);
    assert!(
        info.rx_offloads.contains(effective.rx_offloads) && info.tx_offloads.contains(effective.tx_offloads)
    );
    assert!(!effective.tx_offloads.contains(TxOffloads::TCP_TSO | TxOffloads::MBUF_FAST_FREE));
}
