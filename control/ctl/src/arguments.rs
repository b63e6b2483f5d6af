//! The arguments of `millctl`.
//!
//! Invariant: what parses here makes a request the daemon understands.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::protocol::{DEFAULT_SOCKET, FlowQuery, MAX_FLOWS, Request, ServerState, SessionQuery, Transport};

/// Shows and controls a running Millrace.
///
/// Exit codes: 0 done, 1 the daemon said no, 2 wrong usage or no daemon answers.
#[derive(Debug, Parser)]
#[command(name = "millctl", version, arg_required_else_help = true)]
pub(super) struct Arguments {
    /// The admin socket of the daemon.
    #[arg(long, global = true, env = "MILLRACE_ADMIN_SOCKET", default_value = DEFAULT_SOCKET, value_name = "PATH")]
    pub(super) socket: PathBuf,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show something of the running daemon.
    Show {
        #[command(subcommand)]
        what: Show,
    },
    /// Read the configuration file again and put in force what can be.
    Reload {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take a server of an upstream out of service, or put it back.
    Upstream {
        #[command(subcommand)]
        what: Upstream,
    },
    /// Reset something that is under way.
    Shutdown {
        #[command(subcommand)]
        what: Shutdown,
    },
    /// Show the versions of millctl and of the daemon.
    Version {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What is said of a server; it holds until another word, or the end of the daemon.
#[derive(Debug, Subcommand)]
pub(super) enum Upstream {
    /// Give it no new sessions, and let it keep those it has.
    Drain(ServerName),
    /// Give it no new sessions, and reset those it has.
    Disable(ServerName),
    /// Give it sessions again.
    Enable(ServerName),
}

/// Which server.
#[derive(Debug, Clone, Args)]
pub(super) struct ServerName {
    /// The names of the upstream and of the server.
    #[arg(value_name = "UPSTREAM/SERVER", value_parser = server_name)]
    server: (String, String),
    /// As JSON.
    #[arg(long)]
    json: bool,
}

fn server_name(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('/').filter(|(upstream, server)| !upstream.is_empty() && !server.is_empty());
    let (upstream, server) = parts.ok_or("write UPSTREAM/SERVER, as `millctl show upstreams` has them")?;
    Ok((upstream.to_owned(), server.to_owned()))
}

impl Upstream {
    /// The request, and whether the answer is wanted as JSON.
    pub(super) fn request(&self) -> (Request, bool) {
        let (name, to) = match self {
            Self::Drain(name) => (name, ServerState::Draining),
            Self::Disable(name) => (name, ServerState::Disabled),
            Self::Enable(name) => (name, ServerState::Enabled),
        };
        let (upstream, server) = name.server.clone();
        (Request::UpstreamSet { upstream, server, to }, name.json)
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Shutdown {
    /// Reset a flow, and with it the other leg of its session.
    Flow {
        /// The flow, as `show flows` and `show sessions` name it.
        #[arg(value_name = "WORKER:ID", value_parser = flow_name)]
        flow: (usize, String),
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

fn flow_name(text: &str) -> Result<(usize, String), String> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = text.split_once(':').and_then(|(worker, id)| Some((worker.parse().ok()?, id)));
    let good = parts.filter(|(_, id)| id.split_once('.').is_some_and(|(a, b)| number(a) && number(b)));
    let (worker, id): (usize, &str) = good.ok_or("write WORKER:ID, like 0:17.3")?;
    Ok((worker, id.to_owned()))
}

#[derive(Debug, Subcommand)]
pub(super) enum Show {
    /// The workers: load, packets, flows, latency.
    Workers(Form),
    /// The ports: link, addresses, packets.
    Ports(Form),
    /// Flows, filtered.
    Flows {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        form: Form,
    },
    /// Proxied sessions, filtered: those of which a leg fits.
    Sessions {
        #[command(flatten)]
        filter: Filter,
        /// The name of an upstream, or of an upstream and a server as UPSTREAM/SERVER.
        #[arg(long)]
        upstream: Option<String>,
        #[command(flatten)]
        form: Form,
    },
    /// The servers of upstreams: state, sessions, checks.
    Upstreams(Form),
    /// The neighbour table (ARP and ND).
    Neighbours(Form),
    /// The packet buffer pools.
    Mempools(Form),
    /// The services and what they did.
    Services(Form),
    /// Dropped packets by reason.
    Drops {
        /// Reasons that dropped nothing, too.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        form: Form,
    },
    /// The configuration in force, each value with its origin.
    Config {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// How something is shown.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Form {
    /// As JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Show it again every so many seconds, with rates, until Ctrl-C [default: 2].
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "2",
        value_parser = seconds)]
    pub(super) watch: Option<f64>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|seconds: &f64| (0.1..=3600.0).contains(seconds));
    number.ok_or_else(|| "write a number of seconds from 0.1 to 3600".to_owned())
}

/// State names as RFC 9293 has them, and UDP's only one.
const STATES: [&str; 12] = [
    "CLOSED",
    "LISTEN",
    "SYN-SENT",
    "SYN-RECEIVED",
    "ESTABLISHED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSE-WAIT",
    "CLOSING",
    "LAST-ACK",
    "TIME-WAIT",
    "UDP",
];

/// Which flows.
#[derive(Debug, Clone, Args)]
pub(super) struct Filter {
    /// An address at either end.
    #[arg(long)]
    address: Option<IpAddr>,
    /// A port number at either end.
    #[arg(long)]
    port: Option<u16>,
    /// The transport protocol.
    #[arg(long, value_enum)]
    protocol: Option<Transport>,
    /// The name of a service.
    #[arg(long)]
    service: Option<String>,
    /// The state, in upper or lower case.
    #[arg(long, ignore_case = true, hide_possible_values = true, value_parser = STATES)]
    state: Option<String>,
    /// At most so many flows.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=MAX_FLOWS as i64))]
    limit: u32,
}

impl Filter {
    fn query(&self) -> FlowQuery {
        FlowQuery {
            address: self.address,
            port: self.port,
            protocol: self.protocol,
            service: self.service.clone(),
            state: self.state.clone(),
            limit: Some(self.limit as usize),
        }
    }
}

impl Show {
    pub(super) fn request(&self) -> Request {
        match self {
            Self::Workers(_) => Request::Workers,
            Self::Ports(_) => Request::Ports,
            Self::Flows { filter, .. } => Request::Flows(filter.query()),
            Self::Sessions { filter, upstream, .. } => {
                Request::Sessions(SessionQuery { leg: filter.query(), upstream: upstream.clone() })
            }
            Self::Upstreams(_) => Request::Upstreams,
            Self::Neighbours(_) => Request::Neighbours,
            Self::Mempools(_) => Request::Mempools,
            Self::Services(_) => Request::Services,
            Self::Drops { .. } => Request::Drops,
            Self::Config { .. } => Request::Config,
        }
    }

    pub(super) fn form(&self) -> Form {
        match self {
            Self::Workers(form)
            | Self::Ports(form)
            | Self::Neighbours(form)
            | Self::Mempools(form)
            | Self::Services(form)
            | Self::Upstreams(form)
            | Self::Flows { form, .. }
            | Self::Sessions { form, .. }
            | Self::Drops { form, .. } => *form,
            Self::Config { json } => Form { json: *json, watch: None },
        }
    }

    /// Whether lines that say nothing are wanted too.
    pub(super) fn all(&self) -> bool {
        matches!(self, Self::Drops { all: true, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::DEFAULT_FLOWS;
    use clap::CommandFactory;

    fn show(line: &str) -> Result<Show, String> {
        let words = ["millctl", "show"].into_iter().chain(line.split(' '));
        match Arguments::try_parse_from(words).map_err(|error| error.to_string())?.command {
            Command::Show { what } => Ok(what),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn filters_become_the_query() {
        let flows = show(
            "flows --address fd00::1 --port 80 --protocol tcp --service web --state time-wait --limit 7",
        );
        let query = FlowQuery {
            address: Some("fd00::1".parse().unwrap()),
            port: Some(80),
            protocol: Some(Transport::Tcp),
            service: Some("web".into()),
            state: Some("time-wait".into()),
            limit: Some(7),
        };
        assert_eq!(flows.unwrap().request(), Request::Flows(query));
        let all = FlowQuery { limit: Some(DEFAULT_FLOWS), ..FlowQuery::default() };
        assert_eq!(show("flows").unwrap().request(), Request::Flows(all));
    }

    fn request(line: &str) -> Result<Request, String> {
        let words = ["millctl"].into_iter().chain(line.split(' '));
        match Arguments::try_parse_from(words).map_err(|error| error.to_string())?.command {
            Command::Upstream { what } => Ok(what.request().0),
            Command::Shutdown { what: Shutdown::Flow { flow: (worker, id), .. } } => {
                Ok(Request::ShutdownFlow { worker, id })
            }
            Command::Show { what } => Ok(what.request()),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn words_about_servers_and_flows_become_requests() {
        let set = |to| Request::UpstreamSet { upstream: "web".into(), server: "10.0.0.1:80".into(), to };
        assert_eq!(request("upstream drain web/10.0.0.1:80"), Ok(set(ServerState::Draining)));
        assert_eq!(request("upstream disable web/10.0.0.1:80 --json"), Ok(set(ServerState::Disabled)));
        assert_eq!(request("upstream enable web/10.0.0.1:80"), Ok(set(ServerState::Enabled)));
        let flow = Request::ShutdownFlow { worker: 1, id: "17.3".into() };
        assert_eq!(request("shutdown flow 1:17.3"), Ok(flow));
        let sessions = SessionQuery {
            leg: FlowQuery { port: Some(80), limit: Some(DEFAULT_FLOWS), ..FlowQuery::default() },
            upstream: Some("web/a".into()),
        };
        assert_eq!(request("show sessions --port 80 --upstream web/a"), Ok(Request::Sessions(sessions)));
        for line in [
            "upstream drain web",
            "upstream drain /a",
            "shutdown flow 17.3",
            "shutdown flow 1:17",
            "shutdown flow a:1.2",
        ] {
            assert!(request(line).is_err(), "{line}");
        }
    }

    #[test]
    fn nonsense_is_refused_before_the_daemon_is_asked() {
        for line in [
            "flows --limit 0",
            "flows --limit 100001",
            "flows --state nonsense",
            "flows --protocol sctp",
            "flows --address here",
            "workers --watch=0",
            "workers --watch=nan",
            "everything",
        ] {
            assert!(show(line).is_err(), "{line}");
        }
    }

    #[test]
    fn watching_takes_seconds_or_none() {
        assert_eq!(show("drops --watch").unwrap().form().watch, Some(2.0));
        assert_eq!(show("drops --watch=0.5").unwrap().form().watch, Some(0.5));
        assert_eq!(show("drops").unwrap().form().watch, None);
    }
}
