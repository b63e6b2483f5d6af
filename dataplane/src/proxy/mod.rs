//! What a worker needs to open the second half of a proxied flow: which upstream server takes it, and from which
//! address and port it is opened.
//!
//! Invariant: everything here belongs to one worker. Only a [`Roster`] is shared, and it never changes; nothing
//! here has heard of packets, configuration or time.

pub mod balance;
pub mod counters;
pub mod header;
pub mod health;
pub mod maglev;
pub mod roster;
pub mod server_set;
mod source_list;
pub mod source_ports;
pub mod spec;
pub mod status;

pub use balance::{Group, NoRoom, State};
pub use counters::{ProxyCounters, ServerCounters, Times};
pub use roster::{Choice, MAX_WEIGHT, Member, Roster, RosterError};
pub use server_set::{Server, ServerSet};
pub use source_ports::{Endpoint, Ownership, SourcePorts, TakeError};
pub use spec::{
    CheckKind, Egress, Eject, HealthCheck, ProxyLimits, ProxySpec, SendHeader, ServerName, ServerSpec,
    Source, Target, Upstream, Upstreams,
};
pub use status::{Admin, Changes, Health, ServerStatus};
