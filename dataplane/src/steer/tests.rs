//! Microsoft's published RSS verification vectors, symmetry, and ports that come home.

use core::net::IpAddr;

use proptest::prelude::*;

use super::*;

/// The key of those vectors; both directions of a flow hash differently under it.
pub(crate) const MICROSOFT: [u8; 40] = [
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0,
    0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42,
    0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
];

fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

#[test]
fn microsoft_vectors() {
    let toeplitz = Toeplitz::new(&MICROSOFT).unwrap();
    for (destination, local_port, source, remote_port, addresses, ports) in [
        ("161.142.100.80", 1766, "66.9.149.187", 2794, 0x323e_8fc2, 0x51cc_c178),
        ("65.69.140.83", 4739, "199.92.111.2", 14230, 0xd718_262a, 0xc626_b0ea),
        ("12.22.207.184", 38024, "24.19.198.95", 12898, 0xd2d0_a5de, 0x5c2b_394a),
        ("209.142.163.6", 2217, "38.27.205.30", 48228, 0x8298_9176, 0xafc7_327f),
        ("202.188.127.2", 1303, "153.39.163.191", 44251, 0x5d18_09c5, 0x10e8_28a2),
        ("3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2cc1_8cd5, 0x4020_7d3d),
        ("ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0f0c_461c, 0xdde5_1bbf),
        (
            "fe80::200:f8ff:fe21:67cf",
            38024,
            "3ffe:1900:4545:3:200:f8ff:fe21:67cf",
            44251,
            0x4b61_e985,
            0x02d1_feef,
        ),
    ] {
        let (remote, local) = (addr(source), addr(destination));
        let key = FlowKey { remote, local, remote_port, local_port, protocol: Protocol::TCP, link: 7 };
        assert_eq!(toeplitz.hash(&key), ports, "{key}");
        assert_eq!(toeplitz.hash(&FlowKey { protocol: Protocol::UDP, ..key }), ports, "{key}");
        assert_eq!(toeplitz.hash(&FlowKey { protocol: Protocol::ICMP, ..key }), addresses, "{key}");
        assert_eq!(toeplitz.hash_addresses(remote, local), addresses, "{key}");
    }
}

#[test]
fn a_short_key_is_refused_and_a_long_one_is_cut() {
    assert_eq!(Toeplitz::new(&MICROSOFT[..39]).err(), Some(KeyTooShort(39)));
    assert_eq!(SYMMETRIC_KEY[..], SYMMETRIC_KEY_52[..40]);
    assert_eq!(SYMMETRIC_KEY_52[50..], [0x6d, 0x5a]);
}

#[test]
fn entries_are_spread_evenly() {
    for workers in 1..=128 {
        let reta = Reta::spread(workers);
        let share = |worker| reta.table.iter().filter(|entry| **entry == worker).count();
        let (least, most) = ((0..workers).map(share).min().unwrap(), (0..workers).map(share).max().unwrap());
        assert!(least >= 1 && most - least <= 1, "{workers}: {least}..{most}");
        assert_eq!(reta.entry(128 + 5), reta.table[5]);
    }
    assert_eq!(Reta { table: [9; 128] }.owner(3, 4), 1);
}

fn any_key() -> impl Strategy<Value = FlowKey> {
    let v4 = (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(a, b)| (Addr::v4(a), Addr::v4(b)));
    let v6 = (any::<u128>(), any::<u128>()).prop_map(|(a, b)| (Addr(a), Addr(b)));
    let protocol = prop_oneof![Just(Protocol::TCP), Just(Protocol::UDP), Just(Protocol::ICMP)];
    (prop_oneof![v4, v6], any::<u16>(), any::<u16>(), protocol).prop_map(
        |((remote, local), remote_port, local_port, protocol)| FlowKey {
            remote,
            local,
            remote_port,
            local_port,
            protocol,
            link: 0,
        },
    )
}

proptest! {
    #[test]
    fn the_symmetric_key_hashes_both_directions_alike(key in any_key()) {
        let toeplitz = Toeplitz::new(&SYMMETRIC_KEY).unwrap();
        let back = FlowKey {
            remote: key.local,
            local: key.remote,
            remote_port: key.local_port,
            local_port: key.remote_port,
            ..key
        };
        prop_assert_eq!(toeplitz.hash(&key), toeplitz.hash(&back));
    }

    #[test]
    fn a_chosen_port_leads_home(
        key in any_key().prop_map(|key| FlowKey { protocol: Protocol::TCP, ..key }),
        workers in 1_u16..9,
        worker in 0_u16..8,
        start in any::<u16>(),
        first in 1024_u16..60000,
        count in 0_u16..200,
        taken in proptest::collection::hash_set(any::<u16>(), 0..50),
    ) {
        let worker = worker % workers;
        let toeplitz = Toeplitz::new(&MICROSOFT).unwrap();
        let reta = Reta::spread(workers);
        let home = Home { toeplitz: &toeplitz, reta: &reta, workers, worker };
        let range = first..=first + count;
        let fits = |port: u16| {
            let hash = toeplitz.hash(&FlowKey { local_port: port, ..key });
            reta.owner(hash, workers) == worker && !taken.contains(&port)
        };
        match home.choose_source_port(&key, range.clone(), start, |port| taken.contains(&port)) {
            Some(port) => prop_assert!(range.contains(&port) && fits(port)),
            None => prop_assert!(!range.clone().any(fits)),
        }
    }
}

#[test]
fn an_empty_or_full_range_is_searched_without_fault() {
    let toeplitz = Toeplitz::new(&SYMMETRIC_KEY).unwrap();
    let home = Home { toeplitz: &toeplitz, reta: &Reta::spread(1), workers: 1, worker: 0 };
    let key = FlowKey { remote: addr("10.0.0.1"), local: addr("10.0.0.2"), ..FlowKey::default() };
    let empty = RangeInclusive::new(2, 1);
    assert_eq!(home.choose_source_port(&key, empty, 9, |_| false), None);
    assert_eq!(home.choose_source_port(&key, 0..=65535, 65535, |_| false), Some(65535));
    assert_eq!(home.choose_source_port(&key, 0..=65535, 65535, |port| port != 3), Some(3));
}
