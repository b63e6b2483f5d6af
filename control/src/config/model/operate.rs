//! What operators see of the daemon: metrics, admin socket, log, shutdown.
//!
//! Invariant: nothing here is read by a packet worker.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::config::section::{choice, section};
use crate::config::spec::default;
use crate::config::units::seconds;
use crate::config::{FileMode, Listen};

const METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

choice! {
    /// How much the daemon logs.
    pub enum LogLevel {
        /// Failures.
        Error = "error",
        /// Failures and surprises.
        Warn = "warn",
        /// What an operator wants to know later.
        Info = "info",
        /// What a developer wants to know.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

choice! {
    /// The form of a log line.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

section! {
    /// The Prometheus endpoint.
    pub struct Metrics {
        /// Address and port of this machine on which `/metrics` is served, or `off`. It has no authentication.
        "listen" listen: Listen = default(Listen::At(METRICS));
    }

    /// The socket `millctl` talks to.
    pub struct Admin {
        /// Path of the unix socket.
        "socket" socket: PathBuf = default("/run/millrace/admin.sock".into());
        /// Permissions of the socket, octal. Whoever may write to it controls the daemon.
        "mode" mode: FileMode = default(FileMode(0o660));
        /// Group that owns the socket.
        "group" group: Option<String> = default(None).range(1..=32).example("millrace");
    }

    /// The daemon's own log, on standard error.
    pub struct Log {
        /// How much is logged.
        "level" level: LogLevel = default(LogLevel::Info).live();
        /// The form of a log line.
        "format" format: LogFormat = default(LogFormat::Text);
    }

    /// How the daemon stops.
    pub struct Shutdown {
        /// How long open flows may finish before they are aborted.
        "drain" drain: Duration = default(Duration::from_secs(5)).range(0..=seconds(3600)).live();
    }
}
