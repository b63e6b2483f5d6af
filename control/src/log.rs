//! The daemon's own log: standard error, as text or JSON lines, with a level that a reload can change.
//!
//! Invariant: a log line is written by the control thread only, never by a packet worker.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

use crate::config::model::{Log, LogFormat, LogLevel};

/// Changes the level of the log.
#[derive(Clone, Debug)]
pub struct LogControl(Option<Handle<LevelFilter, Registry>>);

impl LogControl {
    /// A control of no log, for where none was started.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Logs this much from now on.
    pub fn set(&self, level: LogLevel) {
        if let Some(handle) = &self.0
            && let Err(error) = handle.reload(filter(level))
        {
            tracing::warn!(%error, "the log level could not be changed");
        }
    }
}

/// Starts the log. Only the first call of a process has an effect.
pub fn init(log: &Log) -> LogControl {
    let (level, handle) = reload::Layer::new(filter(log.level));
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = match log.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    match tracing_subscriber::registry().with(level).with(lines).try_init() {
        Ok(()) => LogControl(Some(handle)),
        Err(_) => LogControl::none(),
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
