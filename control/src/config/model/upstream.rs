//! Upstreams: groups of servers that proxied sessions go to, and how it is found out which of them are up.
//!
//! Invariant: in a checked configuration each group and each server of a group has a name of its own, and an address
//! at which no port of Millrace is itself.

use std::time::Duration;

use crate::config::section::{choice, section};
use crate::config::spec::{default, required};
use crate::config::units::{millis, seconds};
use crate::config::{ServerAddress, StatusRange};

choice! {
    /// Which server takes the next session.
    pub enum Balance {
        /// In turn, by weight.
        RoundRobin = "round_robin",
        /// The one with the fewest sessions for its weight.
        LeastConnections = "least_connections",
        /// Always the same one for a client's address, as long as it is in service.
        Source = "source",
    }
}

section! {
    /// A server of a group.
    pub struct Server {
        /// Name, used by metrics and `millctl`. Default: the address as text.
        "name" name: Option<String> = default(None).range(1..=64).example("a");
        /// Its address and port.
        "address" address: ServerAddress = required("\"10.64.0.11:80\"");
        /// Its share of the sessions, in proportion to the others'; 0: it takes no new ones.
        "weight" weight: u16 = default(1).range(0..=256);
        /// The most sessions at a time, over all workers: each worker has its share, rounded up.
        "max_connections" max_connections: Option<u32> = default(None).range(1..=16_777_216).example("1000");
    }

    /// A health check that asks for a page: the server is up if the status says so.
    pub struct HttpCheck {
        /// Path of the page.
        "path" path: String = default("/".into()).range(1..=1024).example("/healthz");
        /// The `Host` field. Default: the server's address.
        "host" host: Option<String> = default(None).range(1..=255).example("example.org");
        /// Statuses that count as success: one, or a range.
        "expect" expect: StatusRange = default(StatusRange { first: 200, last: 399 });
    }

    /// How the servers of a group are asked whether they are up.
    pub struct HealthCheck {
        /// Ask for a page over HTTP. Without it a check opens a TCP connection and closes it.
        "http" http: Option<HttpCheck> = default(None);
        /// From the start of one check to the start of the next.
        "interval" interval: Duration = default(Duration::from_secs(2)).range(millis(100)..=seconds(3600));
        /// How long an answer may take.
        "timeout" timeout: Duration = default(Duration::from_secs(1)).range(millis(50)..=seconds(60));
        /// Checks in a row that have to succeed before a server that is down counts as up.
        "rise" rise: u16 = default(2).range(1..=100);
        /// Checks in a row that have to fail before a server that is up counts as down.
        "fall" fall: u16 = default(3).range(1..=100);
    }

    /// When a server that sessions cannot connect to is left out for a while, without a check.
    pub struct Eject {
        /// Attempts in a row, on one worker, that have to fail; 0: it is never left out.
        "failures" failures: u16 = default(5).range(0..=10_000);
        /// For how long it then gets no sessions.
        "time" time: Duration = default(Duration::from_secs(10)).range(seconds(1)..=seconds(3600));
    }

    /// A group of servers that serve the same.
    pub struct Upstream {
        /// Name, used by `proxy.upstream`, metrics and `millctl`.
        "name" name: String = required("web").range(1..=64);
        /// Which server takes the next session: the next in turn, the one with the fewest, or always the same one for a client's address (Maglev hashing).
        "balance" balance: Balance = default(Balance::RoundRobin);
        /// The servers.
        "servers" servers: Vec<Server> = required("[{address: \"10.64.0.11:80\"}]").items(1..=256);
        /// How servers are asked whether they are up. Without it they count as up.
        "health_check" health_check: Option<HealthCheck> = default(None);
        /// When a server that sessions cannot connect to is left out for a while, without a check.
        "eject" eject: Eject = default(Eject::placeholder());
    }
}

impl Server {
    /// What it goes by.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.address.to_string())
    }
}
