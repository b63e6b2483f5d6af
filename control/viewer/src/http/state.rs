//! `/api/state` and `/api/timeline`: what came, what is kept, what was lost.
//!
//! Invariant: losses are told by worker, so that one can look for the cause.

use hyper::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json as value};

use super::answer::{Answer, json};
use crate::event::{Refusal, TOPICS};
use crate::shared::Shared;
use crate::store::Sample;

/// All of `/api/state`.
pub(super) fn state(shared: &Shared) -> Value {
    let second = shared.second();
    let mut store = shared.store();
    let totals = store.totals;
    let (flows, exchanges) = store.objects();
    let (_, samples) = store.rates.list(second);
    let last = samples.last().copied().unwrap_or_default();
    let workers: Vec<Value> = store
        .losses
        .list()
        .into_iter()
        .map(|(run, worker, loss)| {
            value!({
                "run": run, "worker": worker, "received": loss.received, "missing": loss.missing,
                "dropped_before": loss.dropped_before, "dropped": loss.dropped, "lost": loss.lost(),
            })
        })
        .collect();
    let received: Map<String, Value> = TOPICS
        .iter()
        .zip(totals.received)
        .map(|(topic, count)| ((*topic).to_owned(), count.into()))
        .collect();
    let refused: Map<String, Value> = Refusal::ALL
        .iter()
        .zip(&shared.counts.refused)
        .map(|(refusal, count)| (refusal.name().to_owned(), count.get().into()))
        .collect();
    value!({
        "version": env!("CARGO_PKG_VERSION"),
        "endpoints": shared.endpoints,
        "second": second,
        "received": received,
        "payload_bytes": totals.payload,
        "refused": refused,
        "exchanges": totals.exchanges,
        "gaps": totals.gaps,
        "missing_bytes": totals.missing,
        "last_second": last,
        "store": {
            "events": store.len(), "most_events": store.bounds.events,
            "bytes": store.bytes(), "most_bytes": store.bounds.bytes,
            "flows": flows, "exchanges": exchanges, "oldest": store.oldest(),
            "evicted": totals.evicted, "evicted_bytes": totals.evicted_bytes,
        },
        "lost": {
            "total": store.losses.total(), "earlier": store.losses.earlier, "workers": workers,
        },
        "clients": shared.counts.clients.get(),
        "decode_limit": shared.limits.decoded,
        "decode_limit_hits": shared.limits.hits(),
    })
}

#[derive(Debug, Serialize)]
struct Timeline {
    /// The second of the first sample, since the viewer's start.
    begin: u64,
    /// The second that is not over.
    second: u64,
    samples: Vec<Sample>,
}

/// `/api/timeline`
pub(super) fn timeline(shared: &Shared) -> Answer {
    let second = shared.second();
    let (begin, samples) = shared.store().rates.list(second);
    json(StatusCode::OK, &Timeline { begin, second, samples })
}
