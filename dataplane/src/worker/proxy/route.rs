//! Where a leg leaves: by which port and VLAN, to which station, and under which address of ours.
//!
//! Invariant: a way leads to a network that holds the destination, the longest prefix first, else to a gateway of its
//! family; never to an address of ours, which would be a loop.

use crate::proxy::Egress;
use crate::worker::network::{Segment, Side};
use l3l4::Addr;

/// A way to a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Way {
    /// Port and VLAN, as in [`l3l4::FlowKey::link`].
    pub(crate) link: u32,
    /// Whose MAC address is needed.
    pub(crate) next_hop: Addr,
    /// Our address there.
    pub(crate) own: Addr,
}

/// The way to `to`, by the egress named, if one is.
pub(crate) fn way(sides: &[Side], to: Addr, egress: Option<Egress>) -> Option<Way> {
    let segments = || {
        (0_u16..).zip(sides).flat_map(|(port, side)| side.segments.iter().map(move |segment| (port, segment)))
    };
    if segments().any(|(_, segment)| segment.owned.is_exact(to)) {
        return None;
    }
    let open = || {
        segments().filter(|(port, segment)| {
            egress.is_none_or(|egress| {
                egress.port == *port && egress.vlan.is_none_or(|vlan| vlan == segment.vlan)
            })
        })
    };
    let near = open().filter_map(|(port, segment)| Some((segment.owned.prefix_of(to)?, port, segment)));
    if let Some((_, port, segment)) = near.max_by_key(|(length, _, _)| *length) {
        return found(port, segment, to);
    }
    open().find_map(|(port, segment)| {
        let gateway = segment.owned.gateways().iter().find(|gateway| gateway.is_v4() == to.is_v4())?;
        found(port, segment, *gateway)
    })
}

fn found(port: u16, segment: &Segment, next_hop: Addr) -> Option<Way> {
    let own = segment.owned.source_for(next_hop)?;
    Some(Way { link: u32::from(port) | u32::from(segment.vlan) << 16, next_hop, own })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neighbour::{Mac, Owned};
    use crate::settings::Steering;

    fn addr(text: &str) -> Addr {
        text.parse::<core::net::IpAddr>().unwrap().into()
    }

    fn segment(vlan: u16, own: &[(&str, u8)], gateways: &[&str]) -> Segment {
        let own = own.iter().map(|(own, length)| (addr(own), *length)).collect();
        let gateways = gateways.iter().map(|gateway| addr(gateway)).collect();
        Segment { vlan, owned: Owned::new(own, false, gateways, vec![]).unwrap(), any_ip: false }
    }

    fn side(segments: Vec<Segment>) -> Side {
        Side {
            mac: Mac::default(),
            steering: Steering::Queue,
            mirror: false,
            segments,
            checksum_offload: false,
            vlan_insert: false,
        }
    }

    fn sides() -> Vec<Side> {
        vec![
            side(vec![segment(0, &[("10.1.0.2", 24), ("fd01::2", 64)], &["10.1.0.1"])]),
            side(vec![
                segment(0, &[("10.2.0.2", 16)], &["10.2.0.1"]),
                segment(7, &[("10.2.7.2", 24), ("fd02::2", 64)], &["fd02::1"]),
            ]),
        ]
    }

    fn to(to: &str, egress: Option<Egress>) -> Option<(u32, Addr, Addr)> {
        way(&sides(), addr(to), egress).map(|way| (way.link, way.next_hop, way.own))
    }

    #[test]
    fn the_longest_prefix_leads_and_then_a_gateway_of_the_family() {
        assert_eq!(to("10.1.0.9", None), Some((0, addr("10.1.0.9"), addr("10.1.0.2"))));
        assert_eq!(to("10.2.3.9", None), Some((1, addr("10.2.3.9"), addr("10.2.0.2"))));
        assert_eq!(to("10.2.7.9", None), Some((1 | 7 << 16, addr("10.2.7.9"), addr("10.2.7.2"))));
        assert_eq!(to("192.0.2.1", None), Some((0, addr("10.1.0.1"), addr("10.1.0.2"))));
        assert_eq!(to("2001:db8::1", None), Some((1 | 7 << 16, addr("fd02::1"), addr("fd02::2"))));
    }

    #[test]
    fn an_egress_leaves_no_other_choice() {
        let by = |port, vlan| Some(Egress { port, vlan });
        assert_eq!(to("192.0.2.1", by(1, None)), Some((1, addr("10.2.0.1"), addr("10.2.0.2"))));
        assert_eq!(to("192.0.2.1", by(1, Some(7))), None, "no IPv4 gateway there");
        assert_eq!(to("10.1.0.9", by(1, Some(0))), Some((1, addr("10.2.0.1"), addr("10.2.0.2"))));
    }

    #[test]
    fn nothing_leads_to_ourselves() {
        for own in ["10.1.0.2", "10.2.7.2", "fd02::2"] {
            assert_eq!(to(own, None), None, "{own}");
        }
    }
}
