//! `millrace read`: what was said in the connections of a capture file.
//!
//! The same code as in a worker follows the connections, and the same as in the exporter makes events.
//!
//! Invariant: nothing of DPDK is started. What a file says before it goes wrong is shown.

mod body;
mod capture;
mod clock;
mod exchange;
mod output;
mod pcap;
mod pcapng;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use dataplane::event::Records;
use dataplane::observe::{Level, ObserveSettings, Offline, OfflineCounters};

use crate::config::Size;
use crate::export::{Assembler, Bounds, Names};
use capture::{Capture, Trouble};
use output::{Mode, Output};

/// Exit code: everything was read.
const EXIT_OK: u8 = 0;
/// Exit code: the file cannot be read, or not to its end.
const EXIT_FILE: u8 = 1;

/// Bytes of the ring for records, which are taken out after every packet. One packet may complete what was held behind a
/// hole: a megabyte, seldom more.
const RING: usize = 32 << 20;
/// Connections that are ended between two looks at the ring.
const ENDED_AT_ONCE: usize = 64;
/// Messages under way, beside those that reach the limit of a body.
const MEMORY: usize = 256 << 20;

/// What to read, and what to print of it.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The capture: pcap or pcapng; `-` for standard input.
    pub file: PathBuf,
    /// One JSON object a line: of each exchange, or with `--flows` of each connection.
    #[arg(long)]
    pub json: bool,
    /// Print each event as the daemon exports it (docs/events.md), one JSON object a line.
    #[arg(long, conflicts_with_all = ["flows", "json"])]
    pub events: bool,
    /// With `--events`: also `tcp.data`, the bytes of the streams.
    #[arg(long, requires = "events")]
    pub data: bool,
    /// Print connections instead of exchanges.
    #[arg(long)]
    pub flows: bool,
    /// Write bodies, decoded, to files in this directory: `FLOW-EXCHANGE-request` and `-response`.
    #[arg(long, value_name = "DIR")]
    pub bodies: Option<PathBuf>,
    /// Longest body that is kept, and longest that is decoded.
    #[arg(long, value_name = "SIZE", default_value = "16MiB")]
    pub body_limit: Size,
    /// Leave out segments with a wrong checksum. Captures of the machine that sent them often have none yet.
    #[arg(long)]
    pub verify_checksums: bool,
}

/// Reads the file that the options name.
///
/// # Errors
/// Where the output cannot be written.
pub fn run(options: &Options, out: &mut dyn Write) -> io::Result<u8> {
    let err = &mut io::stderr();
    if let Some(directory) = &options.bodies
        && let Err(error) = std::fs::create_dir_all(directory)
    {
        return complain(err, directory, &format!("it cannot be created: {error}"));
    }
    if options.file == Path::new("-") {
        return read(options, io::stdin().lock(), out, err);
    }
    match File::open(&options.file) {
        Ok(file) => read(options, file, out, err),
        Err(error) => complain(err, &options.file, &format!("it cannot be read: {error}")),
    }
}

fn complain(err: &mut dyn Write, path: &Path, what: &str) -> io::Result<u8> {
    writeln!(err, "millrace: {}: {what}", path.display())?;
    Ok(EXIT_FILE)
}

/// Reads a capture from wherever it comes. `err` gets what is wrong with it, and the summary where `out` is for programs.
///
/// # Errors
/// Where the output cannot be written.
pub fn read(options: &Options, file: impl Read, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let limit = usize::try_from(options.body_limit.bytes()).unwrap_or(usize::MAX);
    let mode = match options {
        Options { events: true, .. } => Mode::Events,
        Options { flows: true, json, .. } => Mode::Flows { json: *json },
        Options { json, .. } => Mode::Exchanges { json: *json },
    };
    let settings = ObserveSettings {
        body: options.body_limit.bytes(),
        verify_checksums: options.verify_checksums,
        ..ObserveSettings::default()
    };
    let level = if options.data { Level::All } else { Level::Http };
    let (offline, records) = Offline::new(&settings, level, RING);
    let names = Names::new(["read"], [options.file.to_string_lossy().as_ref()]);
    let memory = MEMORY.saturating_add(limit.saturating_mul(4));
    let mut reading = Reading {
        offline,
        records,
        assembler: Assembler::new(Arc::from("0000000000000000"), names, Bounds { body: limit, memory }),
        output: Output::new(out, mode, options.bodies.clone(), limit),
        cut: 0,
        unknown_links: 0,
    };
    let mut capture = match Capture::open(file) {
        Ok(capture) => capture,
        Err(trouble) => return complain(err, &options.file, &trouble.to_string()),
    };
    let trouble = reading.packets(&mut capture)?;
    reading.unknown_links = capture.unknown_links();
    reading.finish()?;
    let summary = reading.summary();
    match mode {
        Mode::Exchanges { json: false } | Mode::Flows { json: false } => reading.output.line(&summary)?,
        // Lines of JSON are for programs.
        _ => writeln!(err, "{summary}")?,
    }
    match trouble {
        Some(trouble) => complain(err, &options.file, &trouble.to_string()),
        None => Ok(EXIT_OK),
    }
}

struct Reading<'a> {
    offline: Offline,
    records: Records,
    assembler: Assembler,
    output: Output<'a>,
    /// Packets of which the capture has only the beginning.
    cut: u64,
    /// Packets of links that are not known here.
    unknown_links: u64,
}

impl Reading<'_> {
    /// Follows all packets; says what is wrong with the file.
    fn packets(&mut self, capture: &mut Capture<impl Read>) -> io::Result<Option<Trouble>> {
        loop {
            match capture.next() {
                Ok(Some(packet)) => {
                    self.cut += u64::from(packet.cut);
                    self.offline.packet(packet.time, packet.link, packet.bytes);
                    self.drain()?;
                }
                Ok(None) => return Ok(None),
                Err(trouble) => return Ok(Some(trouble)),
            }
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        while self.offline.finish(ENDED_AT_ONCE) {
            self.drain()?;
        }
        self.drain()?;
        self.output.flush()
    }

    fn drain(&mut self) -> io::Result<()> {
        while let Some((record, payload)) = self.records.take() {
            if let Some(event) = self.assembler.take(0, &record, payload) {
                self.output.event(event)?;
            }
        }
        Ok(())
    }

    /// One line about all of it.
    fn summary(&self) -> String {
        let OfflineCounters { packets, followed, dropped, observed } = self.offline.counters();
        let http = &observed.http;
        let gaps: u64 = observed.follow.gaps.iter().sum();
        let mut text = format!(
            "{} exchanges, {} connections, {packets} packets, {gaps} gaps ({} bytes), {} times unreadable as HTTP",
            self.output.exchanges,
            observed.follow.opened,
            observed.follow.gap_bytes,
            http.unreadable + http.lost_in_gaps,
        );
        // Writing to a String cannot fail.
        if followed < packets {
            let reasons: Vec<_> = dropped.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
            let _ = write!(text, "; {} packets not followed: {}", packets - followed, reasons.join(", "));
        }
        if self.unknown_links > 0 {
            let _ = write!(text, "; {} packets of other links passed over", self.unknown_links);
        }
        if self.cut > 0 {
            let _ = write!(text, "; {} packets cut by the capture", self.cut);
        }
        let lost: u64 = observed.events.dropped.iter().sum();
        if lost > 0 {
            let _ = write!(text, "; {lost} events lost for want of room");
        }
        text
    }
}
