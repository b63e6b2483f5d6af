//! What is kept of the events, in memory: flows, streams and exchanges, the oldest event going first.
//!
//! Invariant: events and bytes stay within [`Bounds`] after every insertion, everything found here belongs to an event
//! that is still kept, and every eviction is counted.

mod changes;
mod exchange;
mod flow;
mod loss;
mod rates;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::event::{Body, Event, Http, TOPICS};
use changes::Changes;
pub(crate) use exchange::{Exchange, Message};
pub(crate) use flow::{Flow, Piece, PieceKind};
pub(crate) use loss::Losses;
pub(crate) use rates::{Rates, Sample};

/// What an event costs besides its meta and its payload, in bytes: about what the tables hold for it.
const OVERHEAD: usize = 400;

/// What a header costs besides its bytes: two strings of their own.
const HEADER_OVERHEAD: usize = 96;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Events.
    pub(crate) events: usize,
    /// Bytes of them: payload, meta and what the tables need.
    pub(crate) bytes: usize,
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    /// Events by topic.
    pub(crate) received: [u64; TOPICS.len()],
    /// Bytes of payload.
    pub(crate) payload: u64,
    /// Events evicted.
    pub(crate) evicted: u64,
    /// What they held, in bytes.
    pub(crate) evicted_bytes: u64,
    /// Exchanges begun.
    pub(crate) exchanges: u64,
    /// Gaps, and bytes missing in them.
    pub(crate) gaps: u64,
    /// Bytes missing.
    pub(crate) missing: u64,
}

/// An event in the order of arrival, as far as its eviction needs it.
struct Entry {
    flow: u64,
    what: What,
    cost: usize,
}

enum What {
    /// Nothing but the flow's count of events.
    Mark,
    Piece,
    Request(u64),
    Response(u64),
    Interim(u64),
}

/// The store.
pub(crate) struct Store {
    pub(crate) bounds: Bounds,
    entries: VecDeque<Entry>,
    bytes: usize,
    next_flow: u64,
    next_exchange: u64,
    flows: BTreeMap<u64, Flow>,
    /// By run and id.
    flow_ids: HashMap<(String, String), u64>,
    exchanges: BTreeMap<u64, Arc<Exchange>>,
    /// The exchange that a response belongs to, by flow and number.
    joins: HashMap<(u64, u64), u64>,
    pub(crate) changes: Changes,
    pub(crate) losses: Losses,
    pub(crate) rates: Rates,
    pub(crate) totals: Totals,
}

impl Store {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            entries: VecDeque::new(),
            bytes: 0,
            next_flow: 1,
            next_exchange: 1,
            flows: BTreeMap::new(),
            flow_ids: HashMap::new(),
            exchanges: BTreeMap::new(),
            joins: HashMap::new(),
            changes: Changes::default(),
            losses: Losses::default(),
            rates: Rates::default(),
            totals: Totals::default(),
        }
    }

    /// Takes in an event at `second`, in seconds of any clock that only goes forward.
    pub(crate) fn insert(&mut self, event: Event, second: u64) {
        let Event { topic, common, body, meta_bytes } = event;
        self.totals.received[topic] += 1;
        self.losses.seen(&common);
        let headers = match &body {
            Body::Request(http, _) | Body::Response(http, _) => http.headers.len() + http.trailers.len(),
            _ => 0,
        };
        let payload = match &body {
            Body::Data(_, bytes) | Body::Request(_, bytes) | Body::Response(_, bytes) => bytes.len(),
            Body::Open(_) | Body::Gap(_) | Body::Close(_) => 0,
        };
        self.totals.payload += payload as u64;
        let sample = self.rates.now(second);
        sample.events += 1;
        sample.bytes += payload as u64;
        let id = self.flow_id(&common.run, &common.flow);
        let flow = self.flows.entry(id).or_insert_with(|| Flow::new(id, &common));
        flow.entries += 1;
        flow.last = flow.last.max(common.time);
        let what = match body {
            Body::Open(open) => {
                flow.open(open, common.time);
                What::Mark
            }
            Body::Close(close) => {
                flow.close = Some(close);
                What::Mark
            }
            Body::Data(piece, bytes) => {
                flow.data(piece, bytes, common.time);
                What::Piece
            }
            Body::Gap(gap) => {
                self.totals.gaps += 1;
                self.totals.missing = self.totals.missing.saturating_add(gap.length);
                flow.gap(gap, common.time);
                What::Piece
            }
            Body::Request(http, bytes) => {
                let message = Message::new(http, bytes, common.time, common.seq);
                self.request(id, message, second)
            }
            Body::Response(http, bytes) => {
                let message = Message::new(http, bytes, common.time, common.seq);
                self.response(id, message, second)
            }
        };
        let cost = OVERHEAD + HEADER_OVERHEAD * headers + meta_bytes + payload;
        self.bytes += cost;
        self.entries.push_back(Entry { flow: id, what, cost });
        while self.entries.len() > self.bounds.events || self.bytes > self.bounds.bytes {
            self.evict();
        }
    }

    fn flow_id(&mut self, run: &str, flow: &str) -> u64 {
        let next = &mut self.next_flow;
        *self.flow_ids.entry((run.to_owned(), flow.to_owned())).or_insert_with(|| {
            let id = *next;
            *next += 1;
            id
        })
    }

    fn request(&mut self, flow: u64, message: Message, second: u64) -> What {
        let number = message.http.exchange;
        let joined = self.joins.get(&(flow, number)).copied();
        // The response to a long request may come first; two requests of one number are two exchanges.
        let id =
            joined.filter(|id| self.exchanges.get(id).is_some_and(|exchange| exchange.request.is_none()));
        let id = id.unwrap_or_else(|| self.begin(flow, &message.http, second));
        self.change(id, |exchange| exchange.request = Some(Arc::new(message)));
        What::Request(id)
    }

    fn response(&mut self, flow: u64, message: Message, second: u64) -> What {
        let number = message.http.exchange;
        let interim = message.is_interim();
        let joined = self.joins.get(&(flow, number)).copied();
        let id =
            joined.filter(|id| self.exchanges.get(id).is_some_and(|exchange| exchange.response.is_none()));
        let id = id.unwrap_or_else(|| self.begin(flow, &message.http, second));
        if interim {
            self.change(id, |exchange| exchange.interim.push_back(Arc::new(message)));
            return What::Interim(id);
        }
        if message.is_error() {
            self.rates.now(second).errors += 1;
        }
        self.change(id, |exchange| exchange.response = Some(Arc::new(message)));
        What::Response(id)
    }

    /// A new exchange of a flow that is there.
    fn begin(&mut self, flow: u64, http: &Http, second: u64) -> u64 {
        let id = self.next_exchange;
        self.next_exchange += 1;
        self.totals.exchanges += 1;
        self.rates.now(second).exchanges += 1;
        if let Some(flow) = self.flows.get_mut(&flow) {
            flow.exchanges += 1;
            self.exchanges.insert(id, Arc::new(Exchange::new(id, flow.origin(), http.exchange)));
        }
        self.joins.insert((flow, http.exchange), id);
        id
    }

    fn change(&mut self, id: u64, change: impl FnOnce(&mut Exchange)) {
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            // Readers that hold the old one keep it; what is copied is a few pointers.
            change(Arc::make_mut(exchange));
            self.changes.add(id);
        }
    }

    fn evict(&mut self) {
        let Some(entry) = self.entries.pop_front() else { return };
        self.bytes -= entry.cost;
        self.totals.evicted += 1;
        self.totals.evicted_bytes += entry.cost as u64;
        match entry.what {
            What::Mark => {}
            What::Piece => {
                if let Some(flow) = self.flows.get_mut(&entry.flow) {
                    flow.evict_piece();
                }
            }
            What::Request(id) => self.forget(id, |exchange| exchange.request = None),
            What::Response(id) => self.forget(id, |exchange| exchange.response = None),
            What::Interim(id) => self.forget(id, |exchange| {
                exchange.interim.pop_front();
            }),
        }
        if let Some(flow) = self.flows.get_mut(&entry.flow) {
            flow.entries -= 1;
            if flow.entries == 0
                && let Some(flow) = self.flows.remove(&entry.flow)
            {
                self.flow_ids.remove(&flow.key());
            }
        }
    }

    fn forget(&mut self, id: u64, forget: impl FnOnce(&mut Exchange)) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let exchange = Arc::make_mut(exchange);
        forget(exchange);
        if exchange.request.is_none() && exchange.response.is_none() && exchange.interim.is_empty() {
            let key = (exchange.origin.flow, exchange.number);
            if self.joins.get(&key) == Some(&id) {
                self.joins.remove(&key);
            }
            self.exchanges.remove(&id);
        }
    }

    /// Events kept.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes kept.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Flows and exchanges kept.
    pub(crate) fn objects(&self) -> (usize, usize) {
        (self.flows.len(), self.exchanges.len())
    }

    /// The lowest number among the exchanges kept.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.exchanges.keys().next().copied()
    }

    pub(crate) fn exchange(&self, id: u64) -> Option<Arc<Exchange>> {
        self.exchanges.get(&id).cloned()
    }

    /// The newest `limit` exchanges below `before`, newest first.
    pub(crate) fn exchanges(&self, before: u64, limit: usize) -> Vec<Arc<Exchange>> {
        self.exchanges.range(..before).rev().take(limit).map(|(_, exchange)| Arc::clone(exchange)).collect()
    }

    /// Those that changed since `cursor`, at most `limit`, and the next cursor. `None`: too long ago to know.
    pub(crate) fn changed(&self, cursor: u64, limit: usize) -> Option<(Vec<Arc<Exchange>>, u64)> {
        let (ids, cursor) = self.changes.since(cursor, limit)?;
        Some((ids.iter().filter_map(|id| self.exchange(*id)).collect(), cursor))
    }

    pub(crate) fn flow(&self, id: u64) -> Option<&Flow> {
        self.flows.get(&id)
    }

    /// The newest flows below `before`, newest first.
    pub(crate) fn flows(&self, before: u64) -> impl Iterator<Item = &Flow> {
        self.flows.range(..before).rev().map(|(_, flow)| flow)
    }
}
