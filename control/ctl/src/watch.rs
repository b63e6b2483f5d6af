//! `--watch`: the same again and again, with rates, until Ctrl-C.
//!
//! Invariant: between two answers nothing is asked; a daemon that goes away ends the watch with its error.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::arguments::Show;
use crate::client::ask;
use crate::run::Failure;
use crate::{table, views};

/// Cursor to the top left, and everything below away.
const CLEAR: &str = "\x1b[H\x1b[2J";

pub(super) fn run(
    socket: &Path,
    what: &Show,
    json: bool,
    seconds: f64,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(rounds(socket, what, json, Duration::from_secs_f64(seconds), out))
}

async fn rounds(
    socket: &Path,
    what: &Show,
    json: bool,
    pause: Duration,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let clear = io::stdout().is_terminal() && !json;
    // Listening from now on: a Ctrl-C during a question counts after it.
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    let mut before: Option<(Vec<table::Table>, Instant)> = None;
    loop {
        let answer = ask(socket, what.request())?;
        let now = Instant::now();
        if json {
            serde_json::to_writer(&mut *out, &views::json(&answer)).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            let tables = views::tables(&answer, what.all());
            let since = before.as_ref().map(|(old, then)| (old.as_slice(), now.duration_since(*then)));
            let text = table::render(&tables, since);
            let lead = if clear {
                CLEAR
            } else if before.is_some() {
                "\n"
            } else {
                ""
            };
            write!(out, "{lead}{text}")?;
            before = Some((tables, now));
        }
        out.flush()?;
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}
