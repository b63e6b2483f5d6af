//! `/api/flows`: the list, the streams of one, and its capture file.
//!
//! Invariant: credentials in streams are masked unless they are to be revealed, also where an answer begins in the
//! middle; an answer has a bound.

use std::collections::VecDeque;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use serde::Serialize;

use super::Server;
use super::answer::{Answer, Payload, Problem, file, json};
use super::query::Query;
use super::view::{FlowRow, milliseconds};
use crate::event::Direction;
use crate::mask::Lines;
use crate::pcap::Capture;
use crate::shared::Shared;
use crate::store::{Flow, Piece, PieceKind};

/// The most lines in one answer.
const MOST_ROWS: usize = 2000;
/// Flows looked at while the store is locked.
const PAGE: usize = 256;
/// The most pieces of a stream in one answer.
const MOST_PIECES: usize = 4000;
/// The most bytes of a stream in one answer, the last piece not counted.
const MOST_BYTES: usize = 1 << 20;

#[derive(Debug, Serialize)]
struct Page {
    rows: Vec<FlowRow>,
    next: Option<u64>,
}

pub(super) async fn list(server: &Server, query: &Query) -> Result<Answer, Problem> {
    let before = query.number("before", u64::MAX)?;
    let limit = query.limit("limit", 200, MOST_ROWS)?;
    let find = query.text("find").to_lowercase();
    let page = server.work(move |shared| search(shared, &find, before, limit)).await?;
    Ok(json(StatusCode::OK, &page))
}

fn search(shared: &Shared, find: &str, mut before: u64, limit: usize) -> Page {
    let mut rows = Vec::new();
    loop {
        let page: Vec<_> = shared.store().flows(before).take(PAGE).map(FlowRow::of).collect();
        let Some(last) = page.last() else { return Page { rows, next: None } };
        before = last.id();
        for row in page {
            let id = row.id();
            if row.contains(find) {
                rows.push(row);
            }
            if rows.len() >= limit {
                return Page { rows, next: Some(id) };
            }
        }
    }
}

/// `/api/flows/ID`
pub(super) fn one(server: &Server, id: &str) -> Result<Answer, Problem> {
    Ok(json(StatusCode::OK, &look(server, id, FlowRow::of)?))
}

/// What of a stream is shown.
#[derive(Debug, Serialize)]
struct Stream {
    flow: FlowRow,
    /// The number of the first piece that is kept.
    first: u64,
    pieces: Vec<PieceView>,
    /// Ask for what comes from this piece on for more.
    next: u64,
    more: bool,
}

#[derive(Debug, Serialize)]
struct PieceView {
    n: u64,
    direction: Direction,
    offset: u64,
    length: u64,
    time_ms: f64,
    /// Why bytes are missing here, where they are.
    gap: Option<String>,
    /// In base64.
    data: String,
}

pub(super) async fn stream(server: &Server, id: &str, query: &Query) -> Result<Answer, Problem> {
    let from = query.number("from", 0)?;
    let bytes = query.limit("bytes", 256 << 10, MOST_BYTES)?;
    let reveal = query.is_set("reveal");
    let (row, first, pieces) =
        look(server, id, |flow| (FlowRow::of(flow), flow.first_piece, flow.pieces.clone()))?;
    let show = move |_: &_| {
        let skipped = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX).min(pieces.len());
        let begin = first + skipped as u64;
        let shown = show(&pieces, skipped, begin, bytes, reveal);
        let next = begin + shown.len() as u64;
        Stream { flow: row, first, more: next < first + pieces.len() as u64, pieces: shown, next }
    };
    Ok(json(StatusCode::OK, &server.work(show).await?))
}

fn show(pieces: &VecDeque<Piece>, skipped: usize, begin: u64, bytes: usize, reveal: bool) -> Vec<PieceView> {
    let mut masks = <[Lines; 2]>::default();
    if !reveal {
        for piece in pieces.range(..skipped) {
            match &piece.kind {
                PieceKind::Data(bytes) => masks[piece.direction.index()].skip(bytes),
                PieceKind::Gap(..) => masks[piece.direction.index()].gap(),
            }
        }
    }
    let mut sum = 0;
    let mut shown = Vec::new();
    for piece in pieces.range(skipped..).take(MOST_PIECES) {
        if sum >= bytes {
            break;
        }
        let lines = &mut masks[piece.direction.index()];
        let (gap, data) = match &piece.kind {
            PieceKind::Gap(_, cause) => {
                lines.gap();
                (Some(cause.clone()), String::new())
            }
            PieceKind::Data(bytes) if reveal => (None, STANDARD.encode(bytes)),
            PieceKind::Data(bytes) => {
                let mut copy = bytes.to_vec();
                lines.mask(&mut copy);
                (None, STANDARD.encode(copy))
            }
        };
        if gap.is_none() {
            sum += piece.length() as usize;
        }
        shown.push(PieceView {
            n: begin + shown.len() as u64,
            direction: piece.direction,
            offset: piece.offset,
            length: piece.length(),
            time_ms: milliseconds(piece.time),
            gap,
            data,
        });
    }
    shown
}

pub(super) fn capture(server: &Server, id: &str, query: &Query) -> Result<Answer, Problem> {
    let busy = || {
        let message = "as many exports as there may be are under way: try again when one is done";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, message)
    };
    let permit = std::sync::Arc::clone(&server.exports).try_acquire_owned().map_err(|_| busy())?;
    let reveal = query.is_set("reveal");
    let (id, capture) = look(server, id, |flow| (flow.id, Capture::new(flow, reveal)))?;
    let payload = Payload::Chunks { chunks: Box::new(capture), _permit: permit };
    Ok(file(&format!("flow-{id}.pcap"), "application/vnd.tcpdump.pcap", payload))
}

fn look<T>(server: &Server, id: &str, look: impl FnOnce(&Flow) -> T) -> Result<T, Problem> {
    let id = id.parse().map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the id must be a number"))?;
    server.shared.store().flow(id).map(look).ok_or_else(Problem::gone)
}
