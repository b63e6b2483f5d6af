//! The meta of an event: what all topics have, and what each has of its own.
//!
//! Invariant: the keys of a topic tell it apart from every other, so that a meta reads back without its topic.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Close, Message};

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its address.
    pub address: IpAddr,
    /// Its TCP port.
    pub port: u16,
}

impl From<SocketAddr> for Endpoint {
    fn from(at: SocketAddr) -> Self {
        Self { address: at.ip(), port: at.port() }
    }
}

/// The second frame of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// Version of the schema.
    pub v: u32,
    /// Id of the start of the daemon.
    pub run: Arc<str>,
    /// The worker.
    pub worker: u16,
    /// Number of the event on its worker, from 1.
    pub seq: u64,
    /// Events of this worker dropped so far.
    pub dropped: u64,
    /// Nanoseconds since 1970.
    pub time: u64,
    /// Id of the connection.
    pub flow: String,
    /// Name of the service.
    pub service: Arc<str>,
    /// `monitor`, `terminate` or `proxy`.
    pub action: Cow<'static, str>,
    /// Name of the port.
    pub ingress: Arc<str>,
    /// VLAN id; 0 for untagged.
    pub vlan: u16,
    /// `tcp`.
    pub protocol: Cow<'static, str>,
    /// The side that sent the SYN.
    pub client: Endpoint,
    /// The side that answered it.
    pub server: Endpoint,
    /// What the topic has of its own.
    #[serde(flatten)]
    pub what: What,
}

/// What a topic has of its own. From the one with most keys to the one with fewest: the first that fits is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum What {
    /// `http.request`, `http.response`.
    Message(Box<Message>),
    /// `flow.close`.
    Close(Box<Close>),
    /// `gap`.
    Gap(Gap),
    /// `tcp.data`.
    Data(Data),
    /// `flow.open`.
    Open(Open),
}

/// `flow.open`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// No SYN was seen.
    pub midstream: bool,
}

/// `tcp.data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// `client` or `server`.
    pub direction: Cow<'static, str>,
    /// Of the first byte, in its stream.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// `gap`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// `client` or `server`.
    pub direction: Cow<'static, str>,
    /// Of the first byte, in its stream.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// `acked`, `limit`, `age` or `close`.
    pub cause: Cow<'static, str>,
}

/// Bytes as text of which each character is a byte (ISO 8859-1).
#[must_use]
pub fn latin1(bytes: &[u8]) -> String {
    // Headers are ASCII nearly always, and then they are text as they are.
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.is_ascii() => text.to_owned(),
        _ => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PerSide, RequestSeen, Sent};
    use proptest::prelude::*;

    fn what(number: u8, n: u64) -> What {
        let direction = Cow::from(if n.is_multiple_of(2) { "client" } else { "server" });
        let sent = || Sent { packets: n, rtt_min: n.is_multiple_of(3).then_some(n), ..Sent::default() };
        match number {
            0 => What::Open(Open { midstream: n.is_multiple_of(2) }),
            1 => What::Data(Data { direction, offset: n, length: n >> 1 }),
            2 => What::Gap(Gap { direction, offset: n, length: n, cause: "acked".into() }),
            3 => What::Close(Box::new(Close {
                reason: "fin".into(),
                state: PerSide { client: "TIME-WAIT".into(), server: "CLOSED".into() },
                duration: n,
                handshake_rtt: n.is_multiple_of(5).then_some(n),
                sent: PerSide { client: sent(), server: sent() },
            })),
            _ => What::Message(Box::new(Message {
                direction,
                offset: n,
                status: Some(200),
                headers: vec![(latin1(&[b'a', 0xff]), String::new())],
                holes: vec![(n, 1)],
                request: Some(RequestSeen { method: "GET".into(), target: "/".into(), begin: n, end: n }),
                ..Message::default()
            })),
        }
    }

    proptest! {
        #[test]
        fn a_meta_reads_back_as_it_was_written(number in 0..5u8, n: u64) {
            let meta = Meta {
                v: crate::VERSION,
                run: "0123456789abcdef".into(),
                worker: n as u16,
                seq: n,
                dropped: n >> 3,
                time: n.wrapping_mul(3),
                flow: format!("0-{n}"),
                service: "web".into(),
                action: "monitor".into(),
                ingress: "lan".into(),
                vlan: 0,
                protocol: "tcp".into(),
                client: SocketAddr::from(([10, 0, 0, 1], 5)).into(),
                server: SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 80)).into(),
                what: what(number, n),
            };
            let text = serde_json::to_string(&meta).unwrap();
            prop_assert_eq!(serde_json::from_str::<Meta>(&text).unwrap(), meta);
        }

        #[test]
        fn each_byte_is_a_character(bytes: Vec<u8>) {
            let back: Vec<u8> = latin1(&bytes).chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
            prop_assert_eq!(back, bytes);
        }
    }
}
