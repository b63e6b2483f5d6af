//! Values about the machine itself: paths, permissions, listening addresses; and `auto`.
//!
//! Invariant: a relative path has been resolved against the configuration file's directory.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::{Value as Json, json};

use super::decoder::Decoder;
use super::node::{Node, Yaml, shorten};
use super::problem::Wrong;
use super::section::text_value;
use super::spec::{Rule, Shape};
use super::value::{Value, decode_text};

/// A file path. Relative ones are taken from the directory of the configuration file.
impl Value for PathBuf {
    fn decode(node: &Node, rule: &Rule, cx: &mut Decoder<'_>) -> Self {
        let text = String::decode(node, rule, cx);
        if text.is_empty() || text.contains('\0') {
            cx.report(
                node.at,
                Wrong::new("the path is empty", "write a path like `/run/millrace/admin.sock`"),
            );
        }
        cx.host.base.join(text)
    }

    fn placeholder() -> Self {
        Self::new()
    }

    fn to_json(&self) -> Json {
        self.to_string_lossy().into()
    }

    fn shape(_rule: &Rule) -> Shape {
        Shape::Plain { kind: "path".into(), schema: json!({ "type": "string", "minLength": 1 }) }
    }
}

/// Where to listen, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// Do not listen.
    Off,
    /// An address and port of the machine itself (not of a Millrace port).
    At(SocketAddr),
}

impl FromStr for Listen {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let wrong = |instead: String| {
            Err(Wrong::new(format!("`{}` is not an address and port", shorten(text)), instead))
        };
        match text.parse::<SocketAddr>() {
            Ok(at) if at.port() == 0 => Err(Wrong::new(
                "port 0 would be a different port at each start",
                format!("write a port, for example \"{}:9464\"", at.ip()),
            )),
            Ok(at) => Ok(Self::At(at)),
            Err(_) => match text.parse::<IpAddr>() {
                Ok(IpAddr::V6(address)) => wrong(format!("write the port too: \"[{address}]:9464\"")),
                Ok(address) => wrong(format!("write the port too: \"{address}:9464\"")),
                Err(_) => wrong(
                    "write an address and port like \"127.0.0.1:9464\" or \"[::1]:9464\", or `off`".into(),
                ),
            },
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(at) => write!(f, "{at}"),
        }
    }
}

text_value!(Listen, "address:port or `off`", Listen::Off);

/// Permission bits of a file, written in octal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(pub u32);

impl FromStr for FileMode {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        match u32::from_str_radix(digits, 8) {
            Ok(mode) if mode <= 0o777 => Ok(Self(mode)),
            _ => Err(Wrong::new(
                format!("`{}` is not a file mode", shorten(text)),
                "write three octal digits like `0660`",
            )),
        }
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Value for FileMode {
    fn decode(node: &Node, _rule: &Rule, cx: &mut Decoder<'_>) -> Self {
        decode_text(node, "a file mode", cx).unwrap_or_else(Self::placeholder)
    }

    fn placeholder() -> Self {
        Self(0)
    }

    fn to_json(&self) -> Json {
        self.to_string().into()
    }

    fn shape(_rule: &Rule) -> Shape {
        Shape::Plain {
            kind: "octal file mode".into(),
            schema: json!({ "anyOf": [
                { "type": "string", "pattern": "^(0o)?[0-7]{1,4}$" },
                { "type": "integer", "minimum": 0, "maximum": 777 },
            ] }),
        }
    }
}

/// A value that is worked out at start unless it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auto<T> {
    /// Worked out at start.
    Auto,
    /// As given.
    Fixed(T),
}

impl<T: Value> Value for Auto<T> {
    fn decode(node: &Node, rule: &Rule, cx: &mut Decoder<'_>) -> Self {
        match &node.yaml {
            Yaml::Scalar { text, .. } if text == "auto" => Self::Auto,
            _ => Self::Fixed(T::decode(node, rule, cx)),
        }
    }

    fn placeholder() -> Self {
        Self::Auto
    }

    fn to_json(&self) -> Json {
        match self {
            Self::Auto => "auto".into(),
            Self::Fixed(value) => value.to_json(),
        }
    }

    fn shape(rule: &Rule) -> Shape {
        Shape::Union(vec![
            Shape::Plain { kind: "`auto`".into(), schema: json!({ "const": "auto" }) },
            T::shape(rule),
        ])
    }
}
