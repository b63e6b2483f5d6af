//! IP addresses, subnets and prefixes.
//!
//! Invariant: a value of these types is well formed and canonical; whether it makes sense where it stands is for
//! `validate` to say.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde_json::{Value as Json, json};

use super::decoder::Decoder;
use super::node::{Node, shorten};
use super::problem::Wrong;
use super::section::text_value;
use super::spec::{Rule, Shape};
use super::value::{Value, decode_text};

const NOWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

/// The bits of an address as one number, and how many there are.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    }
}

fn from_bits(bits: u128, width: u8) -> IpAddr {
    match u32::try_from(bits) {
        Ok(small) if width == 32 => IpAddr::V4(small.into()),
        _ => IpAddr::V6(bits.into()),
    }
}

/// The host part of an address under a prefix length, as a mask.
fn host_mask(length: u8, width: u8) -> u128 {
    let host_bits = u32::from(width.saturating_sub(length));
    match host_bits {
        128 => u128::MAX,
        n => (1 << n) - 1,
    }
}

/// Splits `address/length`; `bare` says what a missing length means.
fn address_and_length(text: &str, bare: Option<u8>) -> Result<(IpAddr, u8), Wrong> {
    let example = "write an address like `10.64.0.2/24` or `fd00:64::2/64`";
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return Err(Wrong::new(format!("`{}` is not an IP address", shorten(address)), example));
    };
    let width = bits(address).1;
    let length = match (length, bare) {
        (Some(length), _) => {
            length.parse::<u8>().ok().filter(|length| *length <= width).ok_or_else(|| {
                Wrong::new(
                    format!("`/{}` is not a prefix length", shorten(length)),
                    format!(
                        "write a length of 0 to {width}, for example `{address}/{}`",
                        if width == 32 { 24 } else { 64 }
                    ),
                )
            })?
        }
        (None, Some(_)) => width,
        (None, None) => {
            return Err(Wrong::new(
                "the prefix length is missing",
                format!("write it after a slash: `{address}/{}`", if width == 32 { 24 } else { 64 }),
            ));
        }
    };
    Ok((address, length))
}

/// A set of addresses: all that share the first `length` bits. Written `10.0.0.0/8`, or an address alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    /// The lowest address of the set.
    pub network: IpAddr,
    /// How many leading bits are fixed.
    pub length: u8,
}

impl Prefix {
    /// Whether `address` is in the set. An IPv4 address is never in an IPv6 prefix.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let ((network, width), (address, other)) = (bits(self.network), bits(address));
        width == other && network == address & !host_mask(self.length, width)
    }

    /// Whether every address of `other` is in this set.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.length <= other.length && self.contains(other.network)
    }

    /// Whether the two sets share an address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }
}

impl FromStr for Prefix {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let (address, length) = address_and_length(text, Some(0))?;
        let network = InterfaceAddress { address, length }.network();
        if network.network != address {
            return Err(Wrong::new(
                format!("`{text}` has bits set after its first {length}"),
                format!("write the network `{network}`, or `{address}` for that address alone"),
            ));
        }
        Ok(network)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

text_value!(Prefix, "prefix", Prefix { network: NOWHERE, length: 0 });

/// An address of an interface together with its subnet, like `10.64.0.2/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InterfaceAddress {
    /// The interface's own address.
    pub address: IpAddr,
    /// Prefix length of the subnet it is in.
    pub length: u8,
}

impl InterfaceAddress {
    /// The subnet.
    #[must_use]
    pub fn network(&self) -> Prefix {
        let (number, width) = bits(self.address);
        Prefix { network: from_bits(number & !host_mask(self.length, width), width), length: self.length }
    }

    /// The subnet's last address (for IPv4 the broadcast address, where the subnet has one).
    #[must_use]
    pub fn last(&self) -> IpAddr {
        let (number, width) = bits(self.address);
        from_bits(number | host_mask(self.length, width), width)
    }
}

impl FromStr for InterfaceAddress {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let (address, length) = address_and_length(text, None)?;
        Ok(Self { address, length })
    }
}

impl fmt::Display for InterfaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

text_value!(InterfaceAddress, "address with prefix length", InterfaceAddress { address: NOWHERE, length: 0 });

/// An IP address alone.
impl Value for IpAddr {
    fn decode(node: &Node, _rule: &Rule, cx: &mut Decoder<'_>) -> Self {
        decode_text::<Bare>(node, "address", cx).map_or(NOWHERE, |bare| bare.0)
    }

    fn placeholder() -> Self {
        NOWHERE
    }

    fn to_json(&self) -> Json {
        self.to_string().into()
    }

    fn shape(_rule: &Rule) -> Shape {
        Shape::Plain { kind: "address".into(), schema: json!({ "type": "string" }) }
    }
}

struct Bare(IpAddr);

impl FromStr for Bare {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        text.parse().map(Bare).map_err(|_| {
            let address = text.split('/').next().unwrap_or_default();
            let instead = match address.parse::<IpAddr>() {
                Ok(address) => format!("write the address alone: `{address}`"),
                Err(_) => "write an address like `10.64.0.1` or `fd00:64::1`".into(),
            };
            Wrong::new(format!("`{}` is not an IP address", shorten(text)), instead)
        })
    }
}
