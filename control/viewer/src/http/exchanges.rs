//! `/api/exchanges`: the list, filtered, and one of them.
//!
//! Invariant: a search ends after [`PATIENCE`], saying how far it came; the store is locked for one page at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde::Serialize;

use super::Server;
use super::answer::{Answer, Problem, json};
use super::query::Query;
use super::view::{Detail, Row};
use crate::filter::Filter;
use crate::shared::Shared;
use crate::store::Exchange;

/// How long one search may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Exchanges looked at between looks at the clock.
const PAGE: usize = 256;
/// The most lines in one answer.
const MOST_ROWS: usize = 2000;

/// A part of the list, newest first.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    rows: Vec<Row>,
    /// Ask for what is before this for more; `null`: there is nothing older.
    next: Option<u64>,
    /// Whether it ended for lack of time rather than because there were enough.
    unfinished: bool,
    /// Where to begin following live so that nothing is missed.
    cursor: u64,
}

pub(super) async fn list(server: &Server, query: &Query) -> Result<Answer, Problem> {
    let filter = Filter::parse(query.text("filter"))?;
    let before = query.number("before", u64::MAX)?;
    let limit = query.limit("limit", 200, MOST_ROWS)?;
    let page = server.work(move |shared| search(shared, &filter, before, limit)).await?;
    Ok(json(StatusCode::OK, &page))
}

pub(super) fn search(shared: &Shared, filter: &Filter, mut before: u64, limit: usize) -> Page {
    let deadline = Instant::now() + PATIENCE;
    let cursor = shared.store().changes.end();
    let mut rows = Vec::new();
    loop {
        let page = shared.store().exchanges(before, PAGE);
        if page.is_empty() {
            return Page { rows, next: None, unfinished: false, cursor };
        }
        for exchange in &page {
            before = exchange.id;
            if filter.matches(exchange, &shared.limits) {
                rows.push(Row::of(exchange));
            }
            let late = Instant::now() >= deadline;
            if rows.len() >= limit || late {
                return Page { rows, next: Some(before), unfinished: late, cursor };
            }
        }
    }
}

/// The exchange of this id.
pub(super) fn find(server: &Server, id: &str) -> Result<Arc<Exchange>, Problem> {
    let id = id.parse().map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the id must be a number"))?;
    server.shared.store().exchange(id).ok_or_else(Problem::gone)
}

pub(super) fn one(server: &Server, id: &str, query: &Query) -> Result<Answer, Problem> {
    let exchange = find(server, id)?;
    Ok(json(StatusCode::OK, &Detail::of(&exchange, query.is_set("reveal"))))
}
