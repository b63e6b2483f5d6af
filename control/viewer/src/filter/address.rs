//! Addresses in filters: `10.0.0.1`, `10.0.0.0/8`, `10.0.0.1:80`, `[fd00::1]:80`, `:80`.
//!
//! Invariant: IPv4 prefixes hold no IPv6 addresses, and the other way round.

use std::net::IpAddr;

use crate::event::End;

/// A prefix, a port, or both.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    prefix: Option<(IpAddr, u8)>,
    port: Option<u16>,
}

impl Address {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(port) = text.strip_prefix(':')
            && let Ok(port) = port.parse()
        {
            return Some(Self { prefix: None, port: Some(port) });
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (inside, port) = rest.split_once(']')?;
            let port = match port.strip_prefix(':') {
                Some(port) => Some(port.parse().ok()?),
                None if port.is_empty() => None,
                None => return None,
            };
            return Some(Self { prefix: Some(prefix(inside)?), port });
        }
        // With more than one colon it is an IPv6 address without a port.
        match text.split_once(':') {
            Some((address, port)) if !port.contains(':') => {
                Some(Self { prefix: Some(prefix(address)?), port: Some(port.parse().ok()?) })
            }
            _ => Some(Self { prefix: Some(prefix(text)?), port: None }),
        }
    }

    pub(super) fn holds(&self, end: End) -> bool {
        let inside = |(network, length): (IpAddr, u8)| match (network, end.address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(length);
                (network.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or_default() == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(length);
                (network.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or_default() == 0
            }
            _ => false,
        };
        self.prefix.is_none_or(inside) && self.port.is_none_or(|port| port == end.port)
    }
}

fn prefix(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    Some((address, length.unwrap_or(longest))).filter(|(_, length)| *length <= longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str, address: &str, port: u16) -> bool {
        Address::parse(text).unwrap().holds(End { address: address.parse().unwrap(), port })
    }

    #[test]
    fn addresses_prefixes_and_ports() {
        assert!(holds("10.0.0.1", "10.0.0.1", 5) && !holds("10.0.0.1", "10.0.0.2", 5));
        assert!(holds("10.0.0.1:5", "10.0.0.1", 5) && !holds("10.0.0.1:6", "10.0.0.1", 5));
        assert!(holds("10.0.0.0/8", "10.9.9.9", 5) && !holds("10.0.0.0/8", "11.0.0.0", 5));
        assert!(holds("0.0.0.0/0", "1.2.3.4", 5) && !holds("0.0.0.0/0", "::1", 5));
        assert!(holds("fd00::1", "fd00::1", 5) && holds("[fd00::/16]:5", "fd00:1::", 5));
        assert!(holds(":80", "::1", 80) && !holds(":80", "::1", 81));
    }

    #[test]
    fn what_is_no_address_is_told() {
        for wrong in
            ["", ":", "x", "10.0.0.1:", "10.0.0.1:x", "10.0.0.0/33", "[fd00::1", "[fd00::1]x", "1.2.3"]
        {
            assert_eq!(Address::parse(wrong), None, "{wrong}");
        }
    }
}
