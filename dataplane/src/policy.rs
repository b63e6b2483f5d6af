//! The compiled services: which rule, and so which action, a new flow meets.
//!
//! Invariant: [`Policy::lookup`] returns the first rule, in the order given, that matches; the index only skips
//! rules that cannot match. Nothing here changes after construction: a reload builds a new policy.

use core::ops::RangeInclusive;

use l3l4::{FlowKey, Protocol};

use crate::prefix::Prefix;

/// What happens to the packets of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// An application answers.
    Terminate {
        /// Index of the application.
        application: u16,
    },
    /// Joined with a flow to an upstream: see the service's [`ProxySpec`](crate::proxy::ProxySpec).
    Proxy {
        /// The client's SYN is answered when the upstream leg is established.
        hold: bool,
    },
    /// Followed passively: only on ports that are mirrors.
    Monitor,
    /// Refuse with a reset or an unreachable message.
    Reject,
    /// Discard in silence.
    Drop,
}

/// One service: what it matches and what is done. An empty list or `None` matches anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Index of the service, for its counters.
    pub service: u16,
    /// The port the packet came in on.
    pub ingress: Option<u16>,
    /// The VLAN it came in on; `Some(0)` is untagged.
    pub vlan: Option<u16>,
    /// The IP protocol number.
    pub protocol: Option<u8>,
    /// Prefixes that hold the source address.
    pub source: Vec<Prefix>,
    /// Prefixes that hold the destination address.
    pub destination: Vec<Prefix>,
    /// Ranges that hold the destination port (0 for a protocol without ports).
    pub ports: Vec<RangeInclusive<u16>>,
    /// What to do.
    pub action: Action,
}

impl Rule {
    /// Whether the rule matches the first packet of a flow, seen on port `ingress` in VLAN `vlan`.
    #[must_use]
    pub fn matches(&self, key: &FlowKey, ingress: u16, vlan: u16) -> bool {
        self.protocol.is_none_or(|protocol| protocol == key.protocol.0)
            && self.ingress.is_none_or(|port| port == ingress)
            && self.vlan.is_none_or(|id| id == vlan)
            && (self.ports.is_empty() || self.ports.iter().any(|range| range.contains(&key.local_port)))
            && (self.destination.is_empty() || self.destination.iter().any(|p| p.contains(key.local)))
            && (self.source.is_empty() || self.source.iter().any(|p| p.contains(key.remote)))
    }

    /// The (protocol, port) pairs the rule is limited to, if they are few enough to list. Only TCP and UDP have
    /// ports, so a rule for any protocol with ports is one for these two.
    fn exact(&self) -> Option<Vec<u32>> {
        let few = self.ports.iter().map(ExactSizeIterator::len).sum::<usize>() <= MAX_EXACT_PORTS;
        if self.ports.is_empty() || !few || self.ports.iter().any(|range| range.contains(&0)) {
            return None;
        }
        let protocols = match self.protocol {
            Some(protocol) => vec![protocol],
            None => vec![Protocol::TCP.0, Protocol::UDP.0],
        };
        let ports = || self.ports.iter().cloned().flatten();
        Some(protocols.iter().flat_map(|protocol| ports().map(|port| exact_key(*protocol, port))).collect())
    }
}

/// Rules with more ports than this are scanned rather than listed once per port in the index.
const MAX_EXACT_PORTS: usize = 16;

const fn exact_key(protocol: u8, port: u16) -> u32 {
    (protocol as u32) << 16 | port as u32
}

/// An ordered list of rules with an index by (protocol, destination port).
#[derive(Clone, Debug, Default)]
pub struct Policy {
    rules: Vec<Rule>,
    /// (protocol and port, rule), sorted: the rules limited to few ports.
    exact: Vec<(u32, u32)>,
    /// The other rules, in order: each is tried on every lookup.
    general: Vec<u32>,
    /// A bit for every destination port that a rule in `exact` names, whatever the protocol: most packets that
    /// match nothing are told by one look here.
    named: Vec<u64>,
}

impl Policy {
    /// Compiles rules; the first that matches wins.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let (mut exact, mut general) = (Vec::new(), Vec::new());
        for (index, rule) in (0_u32..).zip(&rules) {
            match rule.exact() {
                Some(keys) => exact.extend(keys.into_iter().map(|key| (key, index))),
                None => general.push(index),
            }
        }
        exact.sort_unstable();
        exact.dedup();
        let mut named = vec![0u64; 65_536 / 64];
        for (key, _) in &exact {
            let port = *key as u16;
            named[usize::from(port) / 64] |= 1 << (port % 64);
        }
        Self { rules, exact, general, named }
    }

    /// The rule for a new flow whose first packet came in on port `ingress` in VLAN `vlan` (0: untagged).
    #[inline]
    #[must_use]
    pub fn lookup(&self, key: &FlowKey, ingress: u16, vlan: u16) -> Option<&Rule> {
        let port = key.local_port;
        let named = self.named.get(usize::from(port) / 64).is_some_and(|word| word >> (port % 64) & 1 != 0);
        if !named && self.general.is_empty() { None } else { self.search(key, ingress, vlan) }
    }

    fn search(&self, key: &FlowKey, ingress: u16, vlan: u16) -> Option<&Rule> {
        let wanted = exact_key(key.protocol.0, key.local_port);
        let from = self.exact.partition_point(|(key, _)| *key < wanted);
        let first = |indices: &mut dyn Iterator<Item = u32>, before: u32| {
            indices.take_while(|index| *index < before).find(|index| {
                self.rules.get(*index as usize).is_some_and(|rule| rule.matches(key, ingress, vlan))
            })
        };
        let listed =
            self.exact.iter().skip(from).take_while(|(key, _)| *key == wanted).map(|(_, index)| *index);
        let exact = first(&mut { listed }, u32::MAX);
        // A general rule wins only where it comes before the exact one.
        let general = first(&mut self.general.iter().copied(), exact.unwrap_or(u32::MAX));
        self.rules.get(general.or(exact)? as usize)
    }

    /// The rules in their order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

#[cfg(test)]
mod tests;
