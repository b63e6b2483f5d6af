//! `/api/live`: exchanges as they come and change, and the state once a second, as server-sent events.
//!
//! Invariant: a client has at most [`WAITING`] messages waiting. One that reads too slowly misses changes, is told so by
//! `resync`, and holds up nobody.

use core::fmt::Write;
use core::time::Duration;
use std::sync::Arc;

use hyper::StatusCode;
use hyper::body::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::answer::{Answer, Payload, Problem, with};
use super::query::Query;
use super::view::Row;
use super::{Server, state};
use crate::filter::Filter;
use crate::shared::Shared;

/// How often changes are looked for.
const TICK: Duration = Duration::from_millis(200);
/// Ticks between two states.
const STATE_TICKS: u32 = 5;
/// Messages that may wait for a client.
const WAITING: usize = 4;
/// The most changes in one message.
const MOST_CHANGES: usize = 2000;

#[derive(Debug, Serialize)]
struct Rows {
    rows: Vec<Row>,
    /// Exchanges that do not, or no longer, match.
    gone: Vec<u64>,
}

/// Counts a live stream off, however it ends.
struct Seat(Arc<Server>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.shared.counts.live.leave();
    }
}

pub(super) fn open(server: &Arc<Server>, query: &Query) -> Result<Answer, Problem> {
    let filter = Arc::new(Filter::parse(query.text("filter"))?);
    let cursor = query.number("cursor", server.shared.store().changes.end())?;
    if !server.shared.counts.live.enter(server.most_live()) {
        let message = "as many browsers as there may be follow already; see --clients";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, message));
    }
    let seat = Seat(Arc::clone(server));
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        // An error is the client's end.
        let _ = follow(&seat.0, &filter, cursor, &sender).await;
        drop(seat);
    });
    Ok(with(StatusCode::OK, "text/event-stream", Payload::Live(receiver)))
}

async fn follow(
    server: &Server,
    filter: &Arc<Filter>,
    mut cursor: u64,
    sender: &mpsc::Sender<Bytes>,
) -> Result<(), Problem> {
    let gone = |_| Problem::stopping();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = sender.closed() => return Ok(()),
        }
        if count % STATE_TICKS == 0 {
            sender.send(event("state", &state::state(&server.shared))).await.map_err(gone)?;
        }
        count = count.wrapping_add(1);
        let filter = Arc::clone(filter);
        match server.work(move |shared| changes(shared, &filter, cursor)).await? {
            Some((rows, next)) => {
                cursor = next;
                if !rows.rows.is_empty() || !rows.gone.is_empty() {
                    sender.send(event("rows", &rows)).await.map_err(gone)?;
                }
            }
            None => {
                server.shared.counts.resyncs.add();
                cursor = server.shared.store().changes.end();
                sender.send(event("resync", &cursor)).await.map_err(gone)?;
            }
        }
    }
}

/// What changed since `cursor`; `None`: too much to tell.
fn changes(shared: &Shared, filter: &Filter, cursor: u64) -> Option<(Rows, u64)> {
    let changed = shared.store().changed(cursor, MOST_CHANGES);
    let (changed, next) = changed?;
    let mut rows = Rows { rows: Vec::new(), gone: Vec::new() };
    for exchange in &changed {
        if filter.matches(exchange, &shared.limits) {
            rows.rows.push(Row::of(exchange));
        } else {
            rows.gone.push(exchange.id);
        }
    }
    Some((rows, next))
}

/// A server-sent event. JSON has no line ends.
fn event(name: &str, data: &impl Serialize) -> Bytes {
    let mut text = String::new();
    let json = serde_json::to_string(data).unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = write!(text, "event: {name}\ndata: {json}\n\n");
    text.into()
}
