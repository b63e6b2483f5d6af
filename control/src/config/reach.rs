//! By which port and VLAN a destination is reached, told from the configuration alone.
//!
//! Invariant: the answer is the one the data plane gives (`dataplane::worker::proxy::route`): the longest subnet that
//! holds the destination, else the first gateway of its family; never an address of ours.

use std::net::IpAddr;

use super::InterfaceAddress;
use super::model::Port;

/// One place addresses can be at: a port's untagged side or one of its VLANs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network<'a> {
    /// Number of the port.
    pub(crate) port: usize,
    /// VLAN id; 0: untagged.
    pub(crate) vlan: u16,
    pub(crate) addresses: &'a [InterfaceAddress],
    pub(crate) gateways: &'a [IpAddr],
}

/// The only networks that legs of a service may leave by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Only {
    pub(crate) port: usize,
    /// `None`: any of the port's.
    pub(crate) vlan: Option<u16>,
}

/// Every network, in the order of the file; the untagged side of a port comes first.
pub(crate) fn networks(ports: &[Port]) -> impl Iterator<Item = Network<'_>> {
    ports.iter().enumerate().flat_map(|(number, port)| {
        let untagged = Network { port: number, vlan: 0, addresses: &port.addresses, gateways: &port.gateway };
        let tagged = port.vlans.iter().map(move |vlan| Network {
            port: number,
            vlan: vlan.id,
            addresses: &vlan.addresses,
            gateways: &vlan.gateway,
        });
        std::iter::once(untagged).chain(tagged)
    })
}

/// The networks that are left where only some may be used.
pub(crate) fn open(ports: &[Port], only: Option<Only>) -> impl Iterator<Item = Network<'_>> {
    networks(ports).filter(move |network| {
        only.is_none_or(|only| only.port == network.port && only.vlan.is_none_or(|vlan| vlan == network.vlan))
    })
}

/// The network that leads to `to`.
pub(crate) fn way(ports: &[Port], to: IpAddr, only: Option<Only>) -> Option<Network<'_>> {
    if is_own(ports, to) {
        return None;
    }
    let held = |network: &Network<'_>| {
        let holding = network.addresses.iter().filter(|own| own.network().contains(to));
        holding.map(|own| own.length).max()
    };
    let near = open(ports, only).filter_map(|network| Some((held(&network)?, network)));
    // Of equals the last, as the data plane takes it; subnets of different networks do not overlap anyway.
    let longest = near.max_by_key(|(length, _)| *length).map(|(_, network)| network);
    longest.or_else(|| {
        open(ports, only).find(|network| {
            // Without an address of the family there is nothing to come from.
            let own = network.addresses.iter().any(|own| own.address.is_ipv4() == to.is_ipv4());
            own && network.gateways.iter().any(|gateway| gateway.is_ipv4() == to.is_ipv4())
        })
    })
}

/// Whether a port has this address.
pub(crate) fn is_own(ports: &[Port], address: IpAddr) -> bool {
    networks(ports).any(|network| network.addresses.iter().any(|own| own.address == address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn ports() -> Vec<Port> {
        let text = "workers: [1]\nports:\n  \
             - {name: a, device: net_null0, addresses: [10.1.0.2/24, \"fd01::2/64\"], gateway: [10.1.0.1]}\n  \
             - {name: b, device: net_null1, addresses: [10.2.0.2/24], gateway: [10.2.0.1], \
             vlans: [{id: 7, addresses: [10.3.0.2/24, \"fd02::2/64\"], gateway: [\"fd02::1\"]}]}\n";
        parse("t", text).unwrap_or_else(|problems| panic!("{problems}")).config.ports
    }

    fn to(to: &str, only: Option<Only>) -> Option<(usize, u16)> {
        way(&ports(), to.parse().unwrap(), only).map(|network| (network.port, network.vlan))
    }

    #[test]
    fn a_subnet_leads_and_then_a_gateway_of_the_family() {
        assert_eq!(to("10.1.0.9", None), Some((0, 0)));
        assert_eq!(to("10.3.0.9", None), Some((1, 7)));
        assert_eq!(to("192.0.2.1", None), Some((0, 0)));
        assert_eq!(to("2001:db8::1", None), Some((1, 7)));
        assert_eq!(to("10.3.0.2", None), None, "our own");
    }

    #[test]
    fn an_egress_leaves_no_other_choice() {
        let only = |port, vlan| Some(Only { port, vlan });
        assert_eq!(to("192.0.2.1", only(1, None)), Some((1, 0)));
        assert_eq!(to("192.0.2.1", only(1, Some(7))), None, "no IPv4 gateway there");
        assert_eq!(to("fd02::9", only(1, Some(0))), None);
        assert_eq!(to("2001:db8::1", only(1, None)), Some((1, 7)));
    }
}
