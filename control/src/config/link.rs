//! Ethernet and PCI addresses and transport ports.
//!
//! Invariant: a value of these types is well formed and canonical; whether it makes sense where it stands is for
//! `validate` to say.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value as Json, json};

use super::decoder::Decoder;
use super::node::{Node, shorten};
use super::problem::Wrong;
use super::section::text_value;
use super::spec::{Rule, Shape};
use super::value::{Value, decode_text};

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl FromStr for MacAddress {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let wrong = || {
            Wrong::new(
                format!("`{}` is not an Ethernet address", shorten(text)),
                "write six pairs of hexadecimal digits, for example `02:00:00:00:00:01`",
            )
        };
        let mut bytes = [0; 6];
        let mut pairs = text.split([':', '-']);
        for byte in &mut bytes {
            let pair = pairs.next().filter(|pair| pair.len() == 2).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        match pairs.next() {
            None => Ok(Self(bytes)),
            Some(_) => Err(wrong()),
        }
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

text_value!(MacAddress, "Ethernet address", MacAddress([0; 6]));

/// The address of a PCI function, `domain:bus:device.function`. A missing domain is 0000.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PciAddress(String);

impl PciAddress {
    /// The canonical text, like `0000:3b:00.0`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PciAddress {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let hex =
            |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit());
        let full = if text.matches(':').count() == 1 { format!("0000:{text}") } else { text.to_owned() };
        let well_formed = full.split_once('.').is_some_and(|(place, function)| {
            let parts: Vec<_> = place.split(':').collect();
            matches!(parts[..], [domain, bus, device] if hex(domain, 4) && hex(bus, 2) && hex(device, 2))
                && matches!(function.as_bytes(), [b'0'..=b'7'])
        });
        if well_formed {
            return Ok(Self(full.to_ascii_lowercase()));
        }
        Err(Wrong::new(
            format!("`{}` is not a PCI address", shorten(text)),
            "write it as `lspci -D` shows it, for example \"0000:3b:00.0\"",
        ))
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(PciAddress, "PCI address", PciAddress(String::new()));

/// Ports from `first` to `last`, both included. Written `80` or `8000-8010`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PortRange {
    /// Lowest port.
    pub first: u16,
    /// Highest port.
    pub last: u16,
}

impl FromStr for PortRange {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let port = |text: &str| text.trim().parse::<u16>().ok();
        match (port(first), port(last)) {
            (Some(0), _) | (_, Some(0)) => {
                Err(Wrong::new("there is no port 0", "write a port of 1 to 65535, or leave the key out"))
            }
            (Some(first), Some(last)) if first > last => Err(Wrong::new(
                format!("the port range `{first}-{last}` is empty"),
                format!("write the lower port first: `{last}-{first}`"),
            )),
            (Some(first), Some(last)) => Ok(Self { first, last }),
            _ => Err(Wrong::new(
                format!("`{}` is not a port or a range of ports", shorten(text)),
                "write a port of 1 to 65535 like `80`, or a range like \"8000-8010\"",
            )),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl Value for PortRange {
    fn decode(node: &Node, _rule: &Rule, cx: &mut Decoder<'_>) -> Self {
        decode_text(node, "a port or a range of ports", cx).unwrap_or_else(Self::placeholder)
    }

    fn placeholder() -> Self {
        Self { first: 0, last: 0 }
    }

    fn to_json(&self) -> Json {
        if self.first == self.last { self.first.into() } else { self.to_string().into() }
    }

    fn shape(_rule: &Rule) -> Shape {
        Shape::Plain {
            kind: "port 1 to 65535 or range `a-b`".into(),
            schema: json!({ "anyOf": [
                { "type": "integer", "minimum": 1, "maximum": 65535 },
                { "type": "string", "pattern": "^[0-9]+(-[0-9]+)?$" },
            ] }),
        }
    }
}
