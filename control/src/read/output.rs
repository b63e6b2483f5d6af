//! What `millrace read` prints: exchanges, connections or events; tables or JSON.
//!
//! Invariant: what is held to align a table is bounded; nothing from the wire brings control characters to the terminal.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ctl::table::{Cell, Row, Table, render};
use dataplane::event::Topic;
use events::{Close, Meta, What};

use super::body::{facts, sha256};
use super::clock;
use super::exchange::{Exchange, Exchanges};
use crate::export::Event;

/// Rows that are aligned with each other, under titles of their own.
const ROWS: usize = 1000;
/// Characters of a path, a host or a type in a table; JSON has all of them.
const LONGEST_CELL: usize = 80;

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Exchanges { json: bool },
    Flows { json: bool },
    Events,
}

/// Takes events and prints.
pub(super) struct Output<'a> {
    out: &'a mut dyn Write,
    mode: Mode,
    /// Bodies are written to this directory.
    bodies: Option<PathBuf>,
    body_limit: usize,
    waiting: Exchanges,
    /// When connections were seen first; those that are open.
    opened: HashMap<String, u64>,
    /// Rows of a table, and the times they are sorted by.
    rows: Vec<(u64, Row)>,
    pub(super) exchanges: u64,
}

impl<'a> Output<'a> {
    pub(super) fn new(
        out: &'a mut dyn Write,
        mode: Mode,
        bodies: Option<PathBuf>,
        body_limit: usize,
    ) -> Self {
        let (waiting, opened) = (Exchanges::default(), HashMap::new());
        Self { out, mode, bodies, body_limit, waiting, opened, rows: Vec::new(), exchanges: 0 }
    }

    pub(super) fn event(&mut self, event: Event<'_>) -> io::Result<()> {
        let Event { topic, meta, payload } = event;
        if self.mode == Mode::Events {
            self.print_event(topic, &meta, &payload)?;
        }
        match &meta.what {
            What::Message(message) => {
                let (facts, body) = facts(message, &payload, self.body_limit);
                if let Some(directory) = self.bodies.as_deref().filter(|_| !body.is_empty()) {
                    save(directory, &meta, message, &body)?;
                }
                let over = self.waiting.message(&meta, (**message).clone(), facts);
                over.map_or(Ok(()), |exchange| self.exchange(&exchange))
            }
            What::Close(close) => {
                for exchange in self.waiting.close(&meta.flow) {
                    self.exchange(&exchange)?;
                }
                let opened = self.opened.remove(&meta.flow).unwrap_or(meta.time);
                if let Mode::Flows { json } = self.mode {
                    self.flow(&meta, close, opened, json)
                } else {
                    Ok(())
                }
            }
            What::Open(_) => {
                self.opened.insert(meta.flow.clone(), meta.time);
                Ok(())
            }
            What::Data(_) | What::Gap(_) => Ok(()),
        }
    }

    /// Prints what waits to be aligned.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if !self.rows.is_empty() {
            let titles: &[&str] = match self.mode {
                Mode::Flows { .. } => &FLOW_TITLES,
                Mode::Exchanges { .. } | Mode::Events => &EXCHANGE_TITLES,
            };
            let mut rows = std::mem::take(&mut self.rows);
            rows.sort_by_key(|(time, _)| *time);
            let table = Table {
                titles: titles.iter().map(|title| (*title).to_owned()).collect(),
                rows: rows.into_iter().map(|(_, row)| row).collect(),
                notes: Vec::new(),
            };
            writeln!(self.out, "{}", render(&[table], None).trim_end())?;
        }
        self.out.flush()
    }

    /// A line that stands under everything.
    pub(super) fn line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{line}")
    }

    fn print_event(&mut self, topic: Topic, meta: &Meta, payload: &[u8]) -> io::Result<()> {
        let mut line = serde_json::to_value(meta)?;
        line["topic"] = topic.name().into();
        // As the example consumer has it.
        line["length_of_payload"] = payload.len().into();
        line["sha256"] = sha256(payload).into();
        writeln!(self.out, "{line}")
    }

    fn exchange(&mut self, exchange: &Exchange) -> io::Result<()> {
        self.exchanges += 1;
        match self.mode {
            Mode::Exchanges { json: true } => writeln!(self.out, "{}", serde_json::to_string(exchange)?),
            Mode::Exchanges { json: false } => self.row(exchange.begin(), exchange_cells(exchange)),
            Mode::Flows { .. } | Mode::Events => Ok(()),
        }
    }

    fn flow(&mut self, meta: &Meta, close: &Close, opened: u64, json: bool) -> io::Result<()> {
        if !json {
            return self.row(opened, flow_cells(meta, close, opened));
        }
        let mut line = serde_json::to_value(close)?;
        line["flow"] = meta.flow.as_str().into();
        line["begin"] = opened.into();
        line["vlan"] = meta.vlan.into();
        line["client"] = serde_json::to_value(meta.client)?;
        line["server"] = serde_json::to_value(meta.server)?;
        writeln!(self.out, "{line}")
    }

    fn row(&mut self, time: u64, cells: Vec<Cell>) -> io::Result<()> {
        self.rows.push((time, Row { name: String::new(), cells }));
        if self.rows.len() == ROWS { self.flush() } else { Ok(()) }
    }
}

/// Names are made of numbers alone: nothing from the wire says where a file goes.
fn save(directory: &Path, meta: &Meta, message: &events::Message, body: &[u8]) -> io::Result<()> {
    let kind = if message.status.is_some() { "response" } else { "request" };
    let path = directory.join(format!("{}-{}-{kind}", meta.flow, message.exchange));
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    File::create(&path).and_then(|mut file| file.write_all(body)).map_err(named)
}

const EXCHANGE_TITLES: [&str; 11] = [
    "time", "client", "server", "method", "host", "path", "status", "request", "response", "type", "duration",
];

fn exchange_cells(exchange: &Exchange) -> Vec<Cell> {
    let none = || Cell::text("-");
    let request = exchange.request.as_ref();
    let asked = request.map(|half| &half.message);
    let response = exchange.response.as_ref();
    let answered = response.map(|half| &half.message);
    let seen = answered.and_then(|message| message.request.as_ref());
    let method = asked.and_then(|m| m.method.as_deref()).or(seen.map(|seen| seen.method.as_str()));
    let target = asked.and_then(|m| m.target.as_deref()).or(seen.map(|seen| seen.target.as_str()));
    let some =
        |text: Option<&str>| text.filter(|text| !text.is_empty()).map_or_else(none, |t| Cell::text(short(t)));
    let content = answered.and_then(|message| message.header("content-type"));
    vec![
        Cell::text(clock::text(exchange.begin())),
        endpoint(exchange.client),
        endpoint(exchange.server),
        some(method),
        some(asked.and_then(|message| message.header("host"))),
        some(target),
        answered
            .and_then(|message| message.status)
            .map_or_else(none, |status| Cell::Number(status.to_string())),
        request.map_or_else(none, |half| Cell::Number(half.body.text())),
        response.map_or_else(none, |half| Cell::Number(half.body.text())),
        some(content.and_then(|value| value.split(';').next()).map(str::trim)),
        exchange.duration.map_or_else(none, |duration| Cell::Number(clock::span(duration))),
    ]
}

const FLOW_TITLES: [&str; 12] = [
    "time",
    "client",
    "server",
    "end",
    "states",
    "duration",
    "handshake",
    "packets",
    "bytes",
    "sent again",
    "gaps",
    "missing",
];

/// Figures of both directions, the client's first.
fn flow_cells(meta: &Meta, close: &Close, opened: u64) -> Vec<Cell> {
    let (client, server) = (&close.sent.client, &close.sent.server);
    let both = |one: u64, other: u64| Cell::Number(format!("{one} / {other}"));
    vec![
        Cell::text(clock::text(opened)),
        endpoint(meta.client),
        endpoint(meta.server),
        Cell::text(&close.reason),
        Cell::text(format!("{} / {}", close.state.client, close.state.server)),
        Cell::Number(clock::span(close.duration)),
        Cell::Number(close.handshake_rtt.map_or_else(|| "-".to_owned(), clock::span)),
        both(client.packets, server.packets),
        both(client.bytes, server.bytes),
        both(client.retransmitted, server.retransmitted),
        both(client.gaps, server.gaps),
        both(client.missing, server.missing),
    ]
}

fn endpoint(at: events::Endpoint) -> Cell {
    Cell::text(std::net::SocketAddr::new(at.address, at.port))
}

fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST_CELL) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}
