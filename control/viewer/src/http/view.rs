//! What of the store is shown, as JSON.
//!
//! Invariant: credentials in headers are masked here, on the server, unless they are to be revealed. Exact times are
//! nanoseconds in strings; `*_ms` are milliseconds as JavaScript has numbers.

use serde::Serialize;

use crate::event::{Close, End};
use crate::mask::masked;
use crate::store::{Exchange, Flow, Message};

/// A line of the list of exchanges.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    id: u64,
    flow: u64,
    number: u64,
    begin_ms: f64,
    method: String,
    host: String,
    path: String,
    status: Option<u16>,
    /// Bytes, heads included.
    request_size: Option<u64>,
    response_size: Option<u64>,
    duration_ms: Option<f64>,
    kind: Option<String>,
    service: String,
    client: String,
    server: String,
    /// No final response so far.
    waiting: bool,
    /// A message broke off.
    incomplete: bool,
    /// Bytes of bodies that were never seen.
    missing: u64,
}

/// The longest target in a line, in characters; the detail has all of it.
const MOST_TARGET: usize = 512;

pub(super) fn milliseconds(nanoseconds: u64) -> f64 {
    // Exact to about a quarter of a microsecond, for this century.
    nanoseconds as f64 / 1e6
}

fn short(text: &str) -> String {
    text.chars().take(MOST_TARGET).collect()
}

impl Row {
    pub(super) fn of(exchange: &Exchange) -> Self {
        let messages = [exchange.request.as_deref(), exchange.response.as_deref()];
        let both = || messages.iter().copied().flatten();
        let response = exchange.response.as_deref();
        Self {
            id: exchange.id,
            flow: exchange.origin.flow,
            number: exchange.number,
            begin_ms: milliseconds(exchange.begin()),
            method: short(exchange.method()),
            host: short(&exchange.host()),
            path: short(exchange.path()),
            status: exchange.status(),
            request_size: exchange.request.as_deref().map(Message::size),
            response_size: response.map(Message::size),
            duration_ms: exchange.duration().map(milliseconds),
            kind: response.and_then(|response| response.http.header("content-type")).map(short),
            service: exchange.origin.service.clone(),
            client: exchange.origin.client.to_string(),
            server: exchange.origin.server.to_string(),
            waiting: response.is_none(),
            incomplete: both().any(|message| !message.http.complete),
            missing: both().map(|message| message.http.body_missing).sum(),
        }
    }
}

/// Everything of an exchange but the bodies.
#[derive(Debug, Serialize)]
pub(super) struct Detail {
    #[serde(flatten)]
    row: Row,
    url: String,
    action: String,
    request: Option<MessageView>,
    response: Option<MessageView>,
    interim: Vec<MessageView>,
}

impl Detail {
    pub(super) fn of(exchange: &Exchange, reveal: bool) -> Self {
        let view = |message: &Message| MessageView::of(message, reveal);
        Self {
            row: Row::of(exchange),
            url: exchange.url(),
            action: exchange.origin.action.clone(),
            request: exchange.request.as_deref().map(view),
            response: exchange.response.as_deref().map(view),
            interim: exchange.interim.iter().map(|message| view(message)).collect(),
        }
    }
}

/// A header: name, value, and whether something of it is masked.
type HeaderView = (String, String, bool);

/// A message without its body.
#[derive(Debug, Serialize)]
struct MessageView {
    version: String,
    method: Option<String>,
    target: Option<String>,
    status: Option<u16>,
    reason: Option<String>,
    headers: Vec<HeaderView>,
    trailers: Vec<HeaderView>,
    framing: String,
    head_length: u64,
    body_length: u64,
    /// Bytes of the body that are kept.
    payload_length: usize,
    body_left_out: u64,
    body_missing: u64,
    holes: Vec<(u64, u64)>,
    complete: bool,
    resync: bool,
    upgrade: bool,
    begin: String,
    end: String,
    begin_ms: f64,
    end_ms: f64,
    offset: u64,
    seq: u64,
}

impl MessageView {
    fn of(message: &Message, reveal: bool) -> Self {
        let http = &message.http;
        let lines = |lines: &[(String, String)]| {
            let show = |(name, value): &(String, String)| match masked(name, value).filter(|_| !reveal) {
                Some(masked) => (name.clone(), masked, true),
                None => (name.clone(), value.clone(), false),
            };
            lines.iter().map(show).collect()
        };
        Self {
            version: http.version.clone(),
            method: http.method.clone(),
            target: http.target.clone(),
            status: http.status,
            reason: http.reason.clone(),
            headers: lines(&http.headers),
            trailers: lines(&http.trailers),
            framing: http.framing.clone(),
            head_length: http.head_length,
            body_length: http.body_length,
            payload_length: message.payload.len(),
            body_left_out: http.body_left_out,
            body_missing: http.body_missing,
            holes: http.holes.clone(),
            complete: http.complete,
            resync: http.resync,
            upgrade: http.upgrade,
            begin: http.begin.to_string(),
            end: message.end.to_string(),
            begin_ms: milliseconds(http.begin),
            end_ms: milliseconds(message.end),
            offset: http.offset,
            seq: message.seq,
        }
    }
}

/// A line of the list of flows.
#[derive(Debug, Serialize)]
pub(super) struct FlowRow {
    id: u64,
    run: String,
    name: String,
    worker: u32,
    service: String,
    action: String,
    ingress: String,
    vlan: u16,
    client: String,
    server: String,
    first_ms: f64,
    last_ms: f64,
    midstream: Option<bool>,
    exchanges: u64,
    /// Of client and server: bytes received as `tcp.data`, gaps, bytes missing, bytes evicted.
    bytes: [u64; 2],
    gaps: [u64; 2],
    missing: [u64; 2],
    evicted: [u64; 2],
    pieces: usize,
    close: Option<Close>,
}

impl FlowRow {
    pub(super) fn of(flow: &Flow) -> Self {
        let origin = flow.origin();
        let text = |end: End| end.to_string();
        Self {
            id: flow.id,
            run: flow.run.clone(),
            name: flow.name.clone(),
            worker: flow.worker,
            service: origin.service.clone(),
            action: origin.action.clone(),
            ingress: flow.ingress.clone(),
            vlan: flow.vlan,
            client: text(origin.client),
            server: text(origin.server),
            first_ms: milliseconds(flow.first),
            last_ms: milliseconds(flow.last),
            midstream: flow.midstream,
            exchanges: flow.exchanges,
            bytes: flow.sides.map(|side| side.bytes),
            gaps: flow.sides.map(|side| side.gaps),
            missing: flow.sides.map(|side| side.missing),
            evicted: flow.sides.map(|side| side.evicted),
            pieces: flow.pieces.len(),
            close: flow.close.as_deref().cloned(),
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Whether one of the words people know a flow by contains `text`, which is in lower case.
    pub(super) fn contains(&self, text: &str) -> bool {
        let reason = self.close.as_ref().map_or("open", |close| close.reason.as_str());
        [&self.client, &self.server, &self.service, &self.ingress, &self.name]
            .into_iter()
            .any(|word| word.to_lowercase().contains(text))
            || reason.contains(text)
    }
}
