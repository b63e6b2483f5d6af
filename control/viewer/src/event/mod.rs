//! Events as they come off the wire (docs/events.md, version 1 of the schema).
//!
//! Invariant: what is not such an event is refused with a reason that is counted; nothing is guessed.

mod meta;

use hyper::body::Bytes;
use serde::de::DeserializeOwned;

pub(crate) use meta::{Close, Common, Direction, End, Gap, Http, Open, Piece};

/// The version of the schema that is understood.
pub(crate) const VERSION: u64 = 1;
/// The longest meta that is read, in bytes.
pub(crate) const MOST_META: usize = 4 << 20;

/// The topics, in the order in which they are counted.
pub(crate) const TOPICS: [&str; 6] =
    ["flow.open", "tcp.data", "gap", "http.request", "http.response", "flow.close"];

/// One event.
#[derive(Debug)]
pub(crate) struct Event {
    /// The index of its topic in [`TOPICS`].
    pub(crate) topic: usize,
    /// The keys of every event.
    pub(crate) common: Common,
    /// Those of its topic.
    pub(crate) body: Body,
    /// Bytes of the meta, for the account of what is kept.
    pub(crate) meta_bytes: usize,
}

/// What an event says besides the keys of every event.
#[derive(Debug)]
pub(crate) enum Body {
    /// `flow.open`
    Open(Open),
    /// `tcp.data`
    Data(Piece, Bytes),
    /// `gap`
    Gap(Gap),
    /// `http.request`
    Request(Box<Http>, Bytes),
    /// `http.response`
    Response(Box<Http>, Bytes),
    /// `flow.close`
    Close(Box<Close>),
}

/// Why a message is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not three frames.
    Frames,
    /// A topic that version 1 does not have.
    Topic,
    /// Another version of the schema.
    Version,
    /// The meta is no JSON, lacks a key, or has one of another type.
    Meta,
}

impl Refusal {
    /// All of them, in the order in which they are counted.
    pub(crate) const ALL: [Self; 4] = [Self::Frames, Self::Topic, Self::Version, Self::Meta];

    /// Its name among the metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Topic => "topic",
            Self::Version => "version",
            Self::Meta => "meta",
        }
    }
}

impl Event {
    /// Reads the frames of one message.
    ///
    /// # Errors
    /// Why it is no event of version 1.
    pub(crate) fn read(frames: &[zmq::Message]) -> Result<Self, Refusal> {
        let [topic, meta, payload] = frames else { return Err(Refusal::Frames) };
        Self::parse(topic, meta, || Bytes::copy_from_slice(payload))
    }

    pub(crate) fn parse(topic: &[u8], meta: &[u8], payload: impl FnOnce() -> Bytes) -> Result<Self, Refusal> {
        if meta.len() > MOST_META {
            return Err(Refusal::Meta);
        }
        let common: Common = match serde_json::from_slice::<Common>(meta) {
            Ok(common) if common.v == VERSION => common,
            Ok(_) => return Err(Refusal::Version),
            Err(_) => {
                let other = serde_json::from_slice::<meta::Version>(meta).is_ok_and(|meta| meta.v != VERSION);
                return Err(if other { Refusal::Version } else { Refusal::Meta });
            }
        };
        let index = TOPICS.iter().position(|known| known.as_bytes() == topic).ok_or(Refusal::Topic)?;
        let body = match TOPICS[index] {
            "flow.open" => Body::Open(rest(meta)?),
            "tcp.data" => Body::Data(rest(meta)?, payload()),
            "gap" => Body::Gap(rest(meta)?),
            "http.request" => Body::Request(rest(meta)?, payload()),
            "http.response" => Body::Response(rest(meta)?, payload()),
            _ => Body::Close(rest(meta)?),
        };
        Ok(Self { topic: index, common, body, meta_bytes: meta.len() })
    }
}

fn rest<T: DeserializeOwned>(meta: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(meta).map_err(|_| Refusal::Meta)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The meta of an event of flow `flow`, with more keys from `more`.
    pub(crate) fn meta(seq: u64, flow: &str, more: Value) -> Value {
        let mut meta = json!({
            "v": 1, "run": "00112233445566aa", "worker": 0, "seq": seq, "dropped": 0,
            "time": 1_700_000_000_000_000_000_u64 + seq * 1000, "flow": flow, "service": "web",
            "action": "monitor", "ingress": "lan", "vlan": 0, "protocol": "tcp",
            "client": {"address": "10.0.0.1", "port": 4242}, "server": {"address": "10.0.0.2", "port": 80},
        });
        if let (Value::Object(meta), Value::Object(more)) = (&mut meta, more) {
            meta.extend(more);
        }
        meta
    }

    /// The meta of a message without a body.
    pub(crate) fn message(seq: u64, flow: &str, exchange: u64, more: Value) -> Value {
        let mut base = json!({
            "direction": "client", "exchange": exchange, "offset": 0,
            "begin": 1_700_000_000_000_000_000_u64 + seq * 1000 - 500,
            "version": "1.1", "headers": [["Host", "example.org"]], "trailers": [], "framing": "none",
            "head_length": 40, "body_length": 0, "body_left_out": 0, "body_missing": 0, "holes": [],
            "complete": true, "resync": false,
        });
        if let (Value::Object(base), Value::Object(more)) = (&mut base, more) {
            base.extend(more);
        }
        meta(seq, flow, base)
    }

    pub(crate) fn event(topic: &str, meta: &Value, payload: &[u8]) -> Event {
        let payload = Bytes::copy_from_slice(payload);
        Event::parse(topic.as_bytes(), meta.to_string().as_bytes(), || payload).unwrap()
    }

    fn refused(topic: &str, meta: &Value) -> Refusal {
        Event::parse(topic.as_bytes(), meta.to_string().as_bytes(), Bytes::new).unwrap_err()
    }

    #[test]
    fn times_keep_their_nanoseconds() {
        let exact = 1_764_275_105_123_456_789_u64;
        let event = event("flow.open", &meta(1, "a", json!({"time": exact, "midstream": true})), b"");
        assert_eq!(event.common.time, exact);
        assert!(matches!(event.body, Body::Open(Open { midstream: true })));
    }

    #[test]
    fn keys_that_are_not_known_do_no_harm() {
        let event = event("flow.open", &meta(1, "a", json!({"midstream": false, "later": [1]})), b"");
        assert_eq!(event.common.seq, 1);
    }

    #[test]
    fn what_is_no_event_is_refused_with_its_reason() {
        assert_eq!(refused("flow.open", &meta(1, "a", json!({"v": 2}))), Refusal::Version);
        assert_eq!(refused("flow.open", &json!({"v": 2})), Refusal::Version);
        assert_eq!(refused("flow.open", &json!({"v": 1})), Refusal::Meta);
        assert_eq!(refused("udp.data", &meta(1, "a", json!({}))), Refusal::Topic);
        assert_eq!(refused("tcp.data", &meta(1, "a", json!({"direction": "client"}))), Refusal::Meta);
        assert_eq!(refused("flow.open", &meta(1, "a", json!({"seq": -1}))), Refusal::Meta);
        let long = meta(1, "a", json!({"midstream": false, "x": "y".repeat(MOST_META)}));
        assert_eq!(refused("flow.open", &long), Refusal::Meta);
        assert_eq!(Event::read(&[]).unwrap_err(), Refusal::Frames);
    }
}
