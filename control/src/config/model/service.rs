//! Services: which flows, and what is done with them.
//!
//! Invariant: a checked service has an application exactly when its action is `terminate`, and says how it proxies
//! exactly when it is `proxy`.

use super::application::Application;
use super::monitor::Observe;
use super::proxy::ServiceProxy;
use crate::config::section::{choice, section};
use crate::config::spec::{default, required};
use crate::config::{PortRange, Prefix};

choice! {
    /// What is done with a flow.
    pub enum Action {
        /// An application answers.
        Terminate = "terminate",
        /// Joined with a flow that Millrace opens to a server.
        Proxy = "proxy",
        /// Followed passively: on ports with `mirror: true` only.
        Monitor = "monitor",
        /// Refused: TCP gets a reset, UDP an ICMP error.
        Reject = "reject",
        /// Ignored.
        Drop = "drop",
    }
    refuse ["host", "forward", "punt"] "use terminate, proxy, monitor, reject or drop"
}

choice! {
    /// The transport protocol of a flow.
    pub enum Protocol {
        /// TCP and UDP.
        Any = "any",
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
    }
}

section! {
    /// Which flows: every key that is given must fit. `{}` fits every flow.
    pub struct Match {
        /// Name of the port the flow came in on.
        "ingress" ingress: Option<String> = default(None).range(1..=32).example("lan");
        /// VLAN id the flow came in with.
        "vlan" vlan: Option<u16> = default(None).range(1..=4094).example("100");
        /// Transport protocol.
        "protocol" protocol: Protocol = default(Protocol::Any).example("tcp");
        /// Prefixes of the peer's address. Empty: any.
        "source" source: Vec<Prefix> = default(Vec::new()).or_one().items(0..=1024).example("[10.65.0.0/24]");
        /// Prefixes of the address the flow came to. Empty: any.
        "destination" destination: Vec<Prefix> = default(Vec::new()).or_one().items(0..=1024).example("[10.65.0.2]");
        /// Destination ports. Empty: any.
        "port" port: Vec<PortRange> = default(Vec::new()).or_one().items(0..=1024).example("[80, \"8000-8010\"]");
    }

    /// A rule: which flows, and what is done with them.
    pub struct Service {
        /// Name, used by metrics and logs.
        "name" name: String = required("web").range(1..=64);
        /// Which flows.
        "match" matches: Match = required("{protocol: tcp, port: 80}");
        /// What is done with them.
        "action" action: Action = required("terminate").shown("proxy");
        /// What answers. Only with `terminate`.
        "application" application: Option<Application> = default(None).example("echo").alternative();
        /// How it is proxied. Only with `proxy`.
        "proxy" proxy: Option<ServiceProxy> = default(None).example("{upstream: web}");
        /// What of its flows is told as events: `http` with `monitor`, `none` with other actions, if not given. See `export`.
        "observe" observe: Option<Observe> = default(None).example("http");
    }
}
