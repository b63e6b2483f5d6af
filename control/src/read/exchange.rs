//! Requests and the responses to them, put beside each other.
//!
//! Invariant: every message is in exactly one exchange; what waits is bounded, and ends with its connection.

use std::collections::{BTreeMap, HashMap};

use events::{Message, Meta};
use serde::Serialize;

use super::body::BodyFacts;

/// Exchanges of a connection that wait for their other half: more than pipelining may have under way.
const MOST_WAITING: usize = 1024;
/// Interim responses that are listed of an exchange.
const MOST_INTERIM: usize = 16;

/// A message, and what is said of its body.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Half {
    /// Time of its last byte, nanoseconds since 1970.
    pub(super) end: u64,
    #[serde(flatten)]
    pub(super) message: Message,
    pub(super) body: BodyFacts,
}

/// A request and its response.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Exchange {
    pub(super) flow: String,
    pub(super) client: events::Endpoint,
    pub(super) server: events::Endpoint,
    pub(super) exchange: u32,
    /// Nanoseconds from the first byte of the request to the last of the response, where both are there.
    pub(super) duration: Option<u64>,
    pub(super) request: Option<Half>,
    pub(super) response: Option<Half>,
    /// Statuses of interim responses.
    pub(super) interim: Vec<u16>,
}

impl Exchange {
    fn new(meta: &Meta, exchange: u32) -> Self {
        Self {
            flow: meta.flow.clone(),
            client: meta.client,
            server: meta.server,
            exchange,
            duration: None,
            request: None,
            response: None,
            interim: Vec::new(),
        }
    }

    /// Time of its first byte.
    pub(super) fn begin(&self) -> u64 {
        self.request.as_ref().or(self.response.as_ref()).map_or(0, |half| half.message.begin)
    }

    /// Whether nothing more is to come.
    fn is_over(&self) -> bool {
        match (&self.request, &self.response) {
            (Some(_), Some(_)) => true,
            // The end of the request may come behind its response.
            (None, Some(response)) => response.message.request.is_none(),
            (_, None) => false,
        }
    }

    fn closed(mut self) -> Self {
        if let (Some(request), Some(response)) = (&self.request, &self.response) {
            self.duration = Some(response.end.saturating_sub(request.message.begin));
        }
        self
    }
}

/// Those of all connections that are not over.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    flows: HashMap<String, BTreeMap<u32, Exchange>>,
}

impl Exchanges {
    /// Takes a message; gives the exchange that is over with it.
    pub(super) fn message(&mut self, meta: &Meta, message: Message, body: BodyFacts) -> Option<Exchange> {
        let number = message.exchange;
        let flow = self.flows.entry(meta.flow.clone()).or_default();
        let exchange = flow.entry(number).or_insert_with(|| Exchange::new(meta, number));
        match message.status {
            Some(status @ (100 | 102..200)) => {
                if exchange.interim.len() < MOST_INTERIM {
                    exchange.interim.push(status);
                }
            }
            Some(_) => exchange.response = Some(Half { end: meta.time, message, body }),
            None => exchange.request = Some(Half { end: meta.time, message, body }),
        }
        let over = if exchange.is_over() {
            flow.remove(&number)
        } else if flow.len() > MOST_WAITING {
            flow.pop_first().map(|(_, oldest)| oldest)
        } else {
            None
        };
        if flow.is_empty() {
            self.flows.remove(&meta.flow);
        }
        over.map(Exchange::closed)
    }

    /// The connection is over: what is left of it.
    pub(super) fn close(&mut self, flow: &str) -> impl Iterator<Item = Exchange> + use<> {
        self.flows.remove(flow).unwrap_or_default().into_values().map(Exchange::closed)
    }
}
