//! How control talks to a worker: commands in a bounded queue, looked at between turns.
//!
//! Invariant: a worker never waits for control. A command is carried out in bounded steps, and an answer that
//! nobody takes is dropped.

use crate::settings::Services;
use core::time::Duration;
use crossbeam_queue::ArrayQueue;
use l3l4::{FlowId, FlowKey, Limits};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// Commands that may wait at a worker.
pub(crate) const WAITING: usize = 64;

/// A flow as a worker reports it.
#[derive(Clone, Debug)]
pub struct FlowView {
    /// The worker that owns it.
    pub worker: u16,
    /// Its handle on that worker; one of no flow where it is only followed.
    pub id: FlowId,
    /// The number by which events know it, where it is only followed: the engine has no such flow.
    pub followed: Option<u64>,
    /// Its five-tuple; the port number is in it.
    pub key: FlowKey,
    /// RFC 9293 state name, or `UDP`; the client's where it is only followed.
    pub state: &'static str,
    /// Its stack was given up until there is something to do.
    pub asleep: bool,
    /// Number of its service.
    pub service: u16,
    /// Since its first packet.
    pub age: Duration,
    /// Since its last packet from the peer.
    pub idle: Duration,
    /// Payload bytes from the peer.
    pub bytes_in: u64,
    /// Payload bytes to the peer.
    pub bytes_out: u64,
}

/// Which flows to list; `None` fits all.
#[derive(Clone, Debug, Default)]
pub struct FlowFilter {
    /// An address at either end.
    pub address: Option<l3l4::Addr>,
    /// A port number at either end.
    pub port: Option<u16>,
    /// TCP or UDP.
    pub protocol: Option<l3l4::Protocol>,
    /// Number of the service.
    pub service: Option<u16>,
    /// RFC 9293 state name, or `UDP`.
    pub state: Option<String>,
}

impl FlowFilter {
    /// Whether a flow fits.
    #[must_use]
    pub fn fits(&self, flow: &FlowView) -> bool {
        let key = &flow.key;
        self.address.is_none_or(|a| a == key.remote || a == key.local)
            && self.port.is_none_or(|p| p == key.remote_port || p == key.local_port)
            && self.protocol.is_none_or(|p| p == key.protocol)
            && self.service.is_none_or(|s| s == flow.service)
            && self.state.as_deref().is_none_or(|s| s.eq_ignore_ascii_case(flow.state))
    }
}

/// A proxied session as a worker reports it.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// The worker that owns both legs.
    pub worker: u16,
    /// Number of its service.
    pub service: u16,
    /// Number of its server; `None` while there is none, and for original destinations.
    pub server: Option<u16>,
    /// `header`, `waiting`, `resolving`, `connecting`, `relaying` or `closing`.
    pub phase: &'static str,
    /// The client leg, as long as it is there.
    pub client: Option<FlowView>,
    /// The upstream leg, as long as it is there.
    pub upstream: Option<FlowView>,
    /// The workers to which the ports bring the legs' packets, client and upstream; `None` where that is up to the device.
    pub homes: [Option<u16>; 2],
    /// Since the client was there.
    pub age: Duration,
    /// Since data came on either leg.
    pub idle: Duration,
    /// Payload bytes from the client.
    pub bytes_up: u64,
    /// Payload bytes from the server.
    pub bytes_down: u64,
}

/// Which sessions to list: those of which a leg fits, to one of the servers if any are named.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    /// What a leg has to be like; `service` is the session's.
    pub flow: FlowFilter,
    /// Numbers of servers; empty: any.
    pub servers: Vec<u16>,
}

impl SessionFilter {
    /// Whether a session fits.
    #[must_use]
    pub fn fits(&self, session: &SessionView) -> bool {
        (self.servers.is_empty() || session.server.is_some_and(|server| self.servers.contains(&server)))
            && [&session.client, &session.upstream].into_iter().flatten().any(|leg| self.flow.fits(leg))
    }
}

/// What control may ask of a worker.
pub enum Command {
    /// List flows that fit, at most `most` of them. The list comes in one message.
    Flows {
        /// Which.
        filter: FlowFilter,
        /// At most so many.
        most: usize,
        /// Where the list goes.
        answer: SyncSender<Vec<FlowView>>,
    },
    /// List proxied sessions that fit, at most `most` of them. The list comes in one message.
    Sessions {
        /// Which.
        filter: SessionFilter,
        /// At most so many.
        most: usize,
        /// Where the list goes.
        answer: SyncSender<Vec<SessionView>>,
    },
    /// Reset a flow, and with it the other leg of its session if it has one. The answer is whether there was one.
    Shutdown {
        /// Its handle, as in [`FlowView::id`].
        id: FlowId,
        /// Where the answer goes.
        answer: SyncSender<bool>,
    },
    /// Put these services in force for new flows; running flows keep the application they began with.
    Services(Arc<Services>),
    /// Change rate limits.
    Rates(Limits),
    /// Take no new flows.
    Drain,
    /// Abort what is left.
    Abort,
    /// End the worker's thread.
    Stop,
}

/// A worker's bounded queue of commands.
pub struct Mailbox(ArrayQueue<Command>);

impl Default for Mailbox {
    fn default() -> Self {
        Self(ArrayQueue::new(WAITING))
    }
}

impl Mailbox {
    /// Leaves a command; gives it back where too many are waiting.
    ///
    /// # Errors
    /// The command, where the queue is full.
    pub fn send(&self, command: Command) -> Result<(), Command> {
        self.0.push(command)
    }

    pub(crate) fn take(&self) -> Option<Command> {
        self.0.pop()
    }
}
