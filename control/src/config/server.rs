//! Where a server is, and which answers of it count.
//!
//! Invariant: a value of these types is well formed; whether it makes sense where it stands is for `validate` to say.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde_json::{Value as Json, json};

use super::decoder::Decoder;
use super::node::{Node, shorten};
use super::problem::Wrong;
use super::section::text_value;
use super::spec::{Rule, Shape};
use super::value::{Value, decode_text};

/// The address and port of a server, like `10.2.0.11:80` or `[fd00:2::11]:80`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServerAddress(pub SocketAddr);

impl FromStr for ServerAddress {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let wrong = |instead: String| {
            Err(Wrong::new(format!("`{}` is not a server's address and port", shorten(text)), instead))
        };
        match text.parse::<SocketAddr>() {
            Ok(SocketAddr::V6(at)) if at.scope_id() != 0 => {
                wrong(format!("write it without the interface: \"[{}]:{}\"", at.ip(), at.port()))
            }
            Ok(at) if at.port() == 0 => Err(Wrong::new(
                "there is no port 0",
                format!("write the port the server listens on, for example \"{}\"", at_port(at.ip(), 80)),
            )),
            Ok(at) => Ok(Self(at)),
            Err(_) => match (text.parse::<IpAddr>(), text.rsplit_once(':')) {
                (Ok(address), _) => wrong(format!("write the port too: \"{}\"", at_port(address, 80))),
                (_, Some((host, port))) if port.parse::<u16>().is_ok() && is_host_name(host) => {
                    wrong("write its IP address: names are not looked up".into())
                }
                _ => wrong("write an address and port like \"10.2.0.11:80\" or \"[fd00:2::11]:80\"".into()),
            },
        }
    }
}

fn at_port(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}

fn is_host_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_value!(ServerAddress, "address:port", ServerAddress(SocketAddr::new(IpAddr::V4([0; 4].into()), 0)));

/// HTTP statuses from `first` to `last`, both included. Written `204` or `200-399`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatusRange {
    /// Lowest status.
    pub first: u16,
    /// Highest status.
    pub last: u16,
}

impl FromStr for StatusRange {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let status = |text: &str| text.trim().parse::<u16>().ok().filter(|n| (100..=599).contains(n));
        match (status(first), status(last)) {
            (Some(first), Some(last)) if first > last => Err(Wrong::new(
                format!("the range of statuses `{first}-{last}` is empty"),
                format!("write the lower status first: `{last}-{first}`"),
            )),
            (Some(first), Some(last)) => Ok(Self { first, last }),
            _ => Err(Wrong::new(
                format!("`{}` is not an HTTP status or a range of them", shorten(text)),
                "write a status of 100 to 599 like `200`, or a range like \"200-399\"",
            )),
        }
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl Value for StatusRange {
    fn decode(node: &Node, _rule: &Rule, cx: &mut Decoder<'_>) -> Self {
        decode_text(node, "an HTTP status or a range of them", cx).unwrap_or_else(Self::placeholder)
    }

    fn placeholder() -> Self {
        Self { first: 0, last: 0 }
    }

    fn to_json(&self) -> Json {
        if self.first == self.last { self.first.into() } else { self.to_string().into() }
    }

    fn shape(_rule: &Rule) -> Shape {
        Shape::Plain {
            kind: "HTTP status 100 to 599 or range `a-b`".into(),
            schema: json!({ "anyOf": [
                { "type": "integer", "minimum": 100, "maximum": 599 },
                { "type": "string", "pattern": "^[0-9]+(-[0-9]+)?$" },
            ] }),
        }
    }
}
