//! What requests asked for, until their responses have come.
//!
//! Invariant: at most [`MOST_OF_FLOW`] requests of a flow and [`MOST_FLOWS`] flows are kept, within a number of bytes;
//! the flow whose requests were touched longest ago goes first.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::FlowKey;

/// Requests of a flow.
pub(super) const MOST_OF_FLOW: usize = 64;
/// Flows.
pub(super) const MOST_FLOWS: usize = 65_536;
/// What a request takes beside its texts, roughly.
const OVERHEAD: usize = 128;

/// A request whose response has not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) exchange: u32,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) begin: u64,
    /// Time of what was seen of it last.
    pub(super) end: u64,
}

impl Pending {
    fn size(&self) -> usize {
        OVERHEAD + self.method.len() + self.target.len()
    }
}

struct Flow {
    touched: u64,
    pending: VecDeque<Pending>,
}

/// Those of all flows.
pub(super) struct Requests {
    flows: HashMap<FlowKey, Flow>,
    /// By when they were touched.
    order: BTreeMap<u64, FlowKey>,
    clock: u64,
    bytes: usize,
    most_bytes: usize,
}

impl Requests {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { flows: HashMap::new(), order: BTreeMap::new(), clock: 0, bytes: 0, most_bytes }
    }

    /// Bytes kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A request has begun.
    pub(super) fn begin(&mut self, key: FlowKey, request: Pending) {
        self.clock += 1;
        let flow =
            self.flows.entry(key).or_insert_with(|| Flow { touched: 0, pending: VecDeque::with_capacity(1) });
        self.order.remove(&flow.touched);
        flow.touched = self.clock;
        self.order.insert(self.clock, key);
        if flow.pending.len() == MOST_OF_FLOW {
            self.bytes -= flow.pending.pop_front().map_or(0, |oldest| oldest.size());
        }
        self.bytes += request.size();
        flow.pending.push_back(request);
        while self.bytes > self.most_bytes || self.flows.len() > MOST_FLOWS {
            let Some((_, oldest)) = self.order.first_key_value() else { return };
            self.forget(*oldest);
        }
    }

    /// The request that came last was still coming at `time`.
    pub(super) fn goes_on(&mut self, key: FlowKey, time: u64) {
        if let Some(request) = self.flows.get_mut(&key).and_then(|flow| flow.pending.back_mut()) {
            request.end = request.end.max(time);
        }
    }

    /// What this response answers; after a final one, it and what came before it are kept no longer.
    pub(super) fn answered(&mut self, key: FlowKey, exchange: u32, is_final: bool) -> Option<Pending> {
        let flow = self.flows.get_mut(&key)?;
        if !is_final {
            return flow.pending.iter().find(|request| request.exchange == exchange).cloned();
        }
        let mut found = None;
        while flow.pending.front().is_some_and(|request| request.exchange <= exchange) {
            let Some(request) = flow.pending.pop_front() else { break };
            self.bytes -= request.size();
            found = (request.exchange == exchange).then_some(request).or(found);
        }
        if flow.pending.is_empty() {
            self.forget(key);
        }
        found
    }

    /// The flow is over.
    pub(super) fn forget(&mut self, key: FlowKey) {
        if let Some(flow) = self.flows.remove(&key) {
            self.order.remove(&flow.touched);
            self.bytes -= flow.pending.iter().map(Pending::size).sum::<usize>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(exchange: u32) -> Pending {
        let target = format!("/{exchange}");
        Pending { exchange, method: "GET".into(), target, begin: 1, end: 2 }
    }

    #[test]
    fn responses_find_their_requests() {
        let mut requests = Requests::new(1 << 20);
        let key = (0, 7);
        (0..4).for_each(|exchange| requests.begin(key, request(exchange)));
        requests.goes_on(key, 9);
        let target = |found: Option<Pending>| found.map(|request| request.target);
        assert_eq!(target(requests.answered(key, 0, false)).as_deref(), Some("/0"), "100 Continue");
        assert_eq!(target(requests.answered(key, 0, true)).as_deref(), Some("/0"));
        assert_eq!(target(requests.answered(key, 0, true)), None);
        assert_eq!(target(requests.answered(key, 2, true)).as_deref(), Some("/2"), "1 got no answer");
        assert_eq!(target(requests.answered((1, 7), 3, true)), None, "another worker's flow");
        let last = requests.answered(key, 3, true).expect("the last");
        assert_eq!((last.end, requests.bytes(), requests.order.len()), (9, 0, 0));
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_goes() {
        let mut requests = Requests::new(10 * request(0).size());
        (0..100).for_each(|flow| requests.begin((0, flow), request(0)));
        assert_eq!((requests.flows.len(), requests.order.len()), (10, 10));
        assert!(
            requests.answered((0, 89), 0, true).is_none() && requests.answered((0, 90), 0, true).is_some()
        );
        let mut requests = Requests::new(1 << 20);
        (0..1000).for_each(|exchange| requests.begin((0, 1), request(exchange)));
        assert_eq!(requests.flows[&(0, 1)].pending.len(), MOST_OF_FLOW);
        requests.forget((0, 1));
        assert_eq!((requests.bytes(), requests.order.len()), (0, 0));
    }
}
