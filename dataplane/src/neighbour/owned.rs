//! Which addresses of one (port, VLAN) are ours, which are on its link, and which groups it listens to.
//!
//! Invariant: an address configured in full is always ours. With `any_ip` every other address of the port's subnets
//! is ours too, except network and broadcast addresses, the gateways and the `except` prefixes; and we answer a
//! neighbour question for such an address only if no other station is known to hold it, so that a real host on
//! the subnet keeps its address.

use l3l4::Addr;

use super::Mac;
use crate::prefix::{Prefix, PrefixError};

const LINK_LOCAL_NETWORK: u128 = 0xfe80 << 112;
/// `ff02::1:ff00:0`, of which the low 24 bits are those of the address solicited (RFC 4291, section 2.7.1).
const SOLICITED_NODE: u128 = 0xff02_0000_0000_0000_0000_0001_ff00_0000;
const ALL_HOSTS_V4: Addr = Addr::v4([224, 0, 0, 1]);
const ALL_NODES_LINK: Addr = Addr(0xff02 << 112 | 1);
const ALL_NODES_INTERFACE: Addr = Addr(0xff01 << 112 | 1);

/// The group in which the holders of an IPv6 address hear solicitations for it.
#[must_use]
pub const fn solicited_node(addr: Addr) -> Addr {
    Addr(SOLICITED_NODE | addr.0 & 0xff_ffff)
}

/// The MAC address of an IP group (RFC 1112, section 6.4; RFC 2464, section 7).
#[must_use]
pub const fn group_mac(group: Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    Mac(if group.is_v4() { [0x01, 0x00, 0x5e, b & 0x7f, c, d] } else { [0x33, 0x33, a, b, c, d] })
}

/// The addresses of one (port, VLAN).
#[derive(Clone, Debug, Default)]
pub struct Owned {
    /// Sorted.
    addresses: Vec<Addr>,
    /// The subnet of each address, in the order given, and the address.
    subnets: Vec<(Prefix, Addr)>,
    any_ip: bool,
    gateways: Vec<Addr>,
    except: Vec<Prefix>,
    has_v6: bool,
}

impl Owned {
    /// `addresses` with the lengths of their subnets (IPv4: at most 32, IPv6: at most 128).
    pub fn new(
        addresses: Vec<(Addr, u8)>,
        any_ip: bool,
        gateways: Vec<Addr>,
        except: Vec<Prefix>,
    ) -> Result<Self, PrefixError> {
        let subnets = addresses.iter().map(|(addr, length)| Ok((Prefix::new(*addr, *length)?, *addr)));
        let subnets = subnets.collect::<Result<Vec<_>, _>>()?;
        let mut addresses: Vec<Addr> = addresses.into_iter().map(|(addr, _)| addr).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let has_v6 = addresses.iter().any(|addr| !addr.is_v4());
        Ok(Self { addresses, subnets, any_ip, gateways, except, has_v6 })
    }

    /// The addresses configured as ours, sorted.
    #[must_use]
    pub fn addresses(&self) -> &[Addr] {
        &self.addresses
    }

    /// Whether the address is configured as ours.
    #[inline]
    #[must_use]
    pub fn is_exact(&self, addr: Addr) -> bool {
        self.addresses.binary_search(&addr).is_ok()
    }

    /// Whether a packet for the address is for us.
    #[inline]
    #[must_use]
    pub fn owns(&self, addr: Addr) -> bool {
        self.is_exact(addr) || (self.any_ip && self.is_any_ip(addr))
    }

    fn is_any_ip(&self, addr: Addr) -> bool {
        let host = |subnet: &Prefix| {
            let edge = addr == subnet.first() || (subnet.is_v4() && addr == subnet.last());
            // In subnets of two addresses or one all are hosts (RFC 3021, RFC 6164).
            subnet.contains(addr) && (subnet.host_bits() < 2 || !edge)
        };
        self.subnets.iter().any(|(subnet, _)| host(subnet))
            && !self.is_broadcast(addr)
            && !addr.ip().is_multicast()
            && !addr.ip().is_unspecified()
            && !self.gateways.contains(&addr)
            && !self.except.iter().any(|prefix| prefix.contains(addr))
    }

    /// Whether to answer `requester`'s question for `target`, of which the table knows the holder `known`.
    ///
    /// A requester without an address (an ARP or duplicate address probe) is about to take the target; only an
    /// address configured in full is defended against it.
    #[must_use]
    pub fn answers(&self, target: Addr, requester: Option<Addr>, known: Option<Mac>) -> bool {
        match requester {
            Some(requester) if requester == target => false,
            _ if self.is_exact(target) => true,
            Some(_) => known.is_none() && self.owns(target),
            None => false,
        }
    }

    /// Whether the address is reached without a gateway.
    #[inline]
    #[must_use]
    pub fn on_link(&self, addr: Addr) -> bool {
        let link_local = self.has_v6 && addr.0 >> 118 == LINK_LOCAL_NETWORK >> 118;
        link_local || self.subnets.iter().any(|(subnet, _)| subnet.contains(addr))
    }

    /// The length of the longest prefix of ours that holds the address; `None`: a gateway is needed.
    #[must_use]
    pub fn prefix_of(&self, addr: Addr) -> Option<u32> {
        let width = if addr.is_v4() { 32 } else { 128 };
        let held = self.subnets.iter().filter(|(subnet, _)| subnet.contains(addr));
        let longest = held.map(|(subnet, _)| width - u32::from(subnet.host_bits())).max();
        longest.or_else(|| self.on_link(addr).then_some(10))
    }

    /// Whether the address is the directed broadcast of a subnet of ours (or its all-zero form).
    #[inline]
    #[must_use]
    pub fn is_subnet_broadcast(&self, addr: Addr) -> bool {
        addr.is_v4()
            && !self.is_exact(addr)
            && self.subnets.iter().any(|(subnet, _)| {
                subnet.is_v4() && subnet.host_bits() >= 2 && (addr == subnet.last() || addr == subnet.first())
            })
    }

    /// Whether the address is a broadcast of any kind.
    #[inline]
    #[must_use]
    pub fn is_broadcast(&self, addr: Addr) -> bool {
        addr == Addr::v4([255; 4]) || self.is_subnet_broadcast(addr)
    }

    /// Whether the port listens to a group: all hosts, all nodes, and the solicited nodes of its addresses.
    #[must_use]
    pub fn listens_to(&self, group: Addr) -> bool {
        let solicited = group.0 & !0xff_ffff == SOLICITED_NODE;
        group == ALL_HOSTS_V4
            || (self.has_v6
                && (group == ALL_NODES_LINK
                    || group == ALL_NODES_INTERFACE
                    || solicited && (self.any_ip || self.v6().any(|addr| solicited_node(addr) == group))))
    }

    /// The group MAC addresses the port must let in; None: all of them, for `any_ip` answers in any group.
    #[must_use]
    pub fn group_macs(&self) -> Option<Vec<Mac>> {
        if self.any_ip && self.has_v6 {
            return None;
        }
        let v6 = self.v6().map(solicited_node).chain(self.has_v6.then_some(ALL_NODES_LINK));
        let mut macs: Vec<Mac> = v6.chain([ALL_HOSTS_V4]).map(group_mac).collect();
        macs.sort_unstable();
        macs.dedup();
        Some(macs)
    }

    /// The address to ask for (or talk to) an on-link neighbour with: ours in its subnet, else the first of its
    /// family.
    #[must_use]
    pub fn source_for(&self, neighbour: Addr) -> Option<Addr> {
        let near = self.subnets.iter().find(|(subnet, _)| subnet.contains(neighbour));
        let family = || self.subnets.iter().find(|(_, addr)| addr.is_v4() == neighbour.is_v4());
        near.or_else(family).map(|(_, addr)| *addr)
    }

    /// The configured gateways.
    #[must_use]
    pub fn gateways(&self) -> &[Addr] {
        &self.gateways
    }

    fn v6(&self) -> impl Iterator<Item = Addr> {
        self.addresses.iter().copied().filter(|addr| !addr.is_v4())
    }
}

#[cfg(test)]
mod tests;
