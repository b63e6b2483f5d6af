//! Where a ZeroMQ socket is bound, or what it connects to.
//!
//! Invariant: a value of this type has no name that would have to be looked up; whether a path is short enough and an
//! address is there is for `validate` and the start to say.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use super::node::shorten;
use super::problem::Wrong;
use super::section::text_value;

/// What stands before an endpoint that is connected to.
const CONNECT: &str = "connect:";

/// An endpoint: bound to, or with `connect:` before it connected to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The socket connects; else it is bound.
    pub connects: bool,
    /// Where.
    pub place: Place,
}

/// Where an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// An address and port; no address stands for all of this machine's.
    Tcp(Option<IpAddr>, u16),
    /// A unix socket.
    Ipc(PathBuf),
}

impl FromStr for Endpoint {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let (connects, rest) = match text.strip_prefix(CONNECT) {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let wrong = |instead: &str| {
            Err(Wrong::new(format!("`{}` is not an endpoint of ZeroMQ", shorten(text)), instead))
        };
        if let Some(path) = rest.strip_prefix("ipc://") {
            return match path.starts_with('/') && !path.ends_with('/') && !path.contains('\0') {
                true => Ok(Self { connects, place: Place::Ipc(path.into()) }),
                false => wrong("write an absolute path: `ipc:///run/millrace/events.sock`"),
            };
        }
        let Some(at) = rest.strip_prefix("tcp://") else {
            return wrong("write `ipc:///run/millrace/events.sock` or \"tcp://127.0.0.1:5557\"");
        };
        let place = match (at.strip_prefix("*:").map(str::parse), at.parse::<SocketAddr>()) {
            (Some(Ok(port)), _) if !connects => Place::Tcp(None, port),
            (Some(_), _) if connects => return wrong("write the address of the consumer"),
            (_, Ok(SocketAddr::V6(at))) if at.scope_id() != 0 => {
                return wrong("write it without the interface, like \"tcp://[::1]:5557\"");
            }
            (_, Ok(at)) => Place::Tcp(Some(at.ip()), at.port()),
            _ => {
                return wrong(
                    "write an IP address and a port like \"tcp://127.0.0.1:5557\": names are not looked up",
                );
            }
        };
        match place {
            Place::Tcp(_, 0) => {
                Err(Wrong::new("there is no port 0", "write a port of 1 to 65535, for example 5557"))
            }
            place => Ok(Self { connects, place }),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.connects {
            f.write_str(CONNECT)?;
        }
        self.place.fmt(f)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(None, port) => write!(f, "tcp://*:{port}"),
            Self::Tcp(Some(address), port) => write!(f, "tcp://{}", SocketAddr::new(*address, *port)),
            Self::Ipc(path) => write!(f, "ipc://{}", path.display()),
        }
    }
}

text_value!(
    Endpoint,
    "endpoint",
    Endpoint { connects: false, place: Place::Tcp(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), 0) }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_they_are_shown() {
        for text in [
            "tcp://127.0.0.1:5557",
            "tcp://[::1]:5557",
            "tcp://*:5557",
            "connect:tcp://10.0.0.9:5557",
            "ipc:///run/millrace/events.sock",
            "connect:ipc:///run/viewer.sock",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        for (text, what, instead) in [
            ("tcp://localhost:5557", "not an endpoint", "names are not looked up"),
            ("tcp://127.0.0.1:0", "no port 0", "5557"),
            ("tcp://127.0.0.1", "not an endpoint", "a port"),
            ("tcp://*:70000", "not an endpoint", "a port"),
            ("connect:tcp://*:5557", "not an endpoint", "address of the consumer"),
            ("ipc://events.sock", "not an endpoint", "absolute"),
            ("ipc:///run/", "not an endpoint", "absolute"),
            ("inproc://x", "not an endpoint", "ipc:///run"),
            ("127.0.0.1:5557", "not an endpoint", "tcp://"),
        ] {
            let wrong = text.parse::<Endpoint>().unwrap_err();
            assert!(wrong.what.contains(what) && wrong.instead.contains(instead), "{text}: {wrong:?}");
        }
    }
}
