//! Clients and servers with nothing between them but other addresses: shows how fast the generator is in both roles.
//!
//! Invariant: no state but the packets under way. Where a packet goes follows from where it comes from.

use super::Servers;
use super::place;
use crate::link::{Burst, Link, Queue};
use crate::template::Ends;
use crate::wire::{L4, SERVER, be16, be32, readdress};
use dpdk_ffi::mbuf::Mbuf;
use std::collections::VecDeque;

/// Packets under way in each direction; the length of a memif ring.
const DEPTH: usize = 1024;

/// Servers at the end of the clients' link.
pub(crate) struct Shortcut {
    servers: Servers,
    wire: Wire,
}

/// Packets under way.
struct Wire {
    /// The port that clients connect to.
    port: u16,
    to_servers: VecDeque<Mbuf>,
    to_clients: VecDeque<Mbuf>,
}

impl Shortcut {
    /// `servers`, for clients that connect to Millrace's port `to`.
    pub(crate) fn new(servers: Servers, to: u16) -> Self {
        let (to_servers, to_clients) = (VecDeque::with_capacity(DEPTH), VecDeque::with_capacity(DEPTH));
        Self { servers, wire: Wire { port: to, to_servers, to_clients } }
    }

    /// What the servers counted.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> super::Counts {
        self.servers.counts()
    }
}

/// The ends of a frame of TCP or UDP.
fn ends(frame: &[u8]) -> Option<Ends> {
    let (head, l4) = frame.split_first_chunk::<L4>()?;
    let ports = l4.first_chunk::<4>()?;
    Some(Ends { from: (be32(head, 26), be16(ports, 0)), to: (be32(head, 30), be16(ports, 2)) })
}

fn take(from: &mut VecDeque<Mbuf>, burst: &mut Burst) {
    let n = from.len().min(burst.remaining_capacity());
    burst.extend(from.drain(..n));
}

impl Link for Shortcut {
    fn receive(&mut self, burst: &mut Burst) {
        take(&mut self.wire.to_clients, burst);
    }

    fn send(&mut self, queue: &mut Queue) {
        let n = queue.len().min(DEPTH - self.wire.to_servers.len());
        for mut mbuf in queue.drain(..n) {
            let port = self.servers.answers.port;
            let across = ends(mbuf.data()).and_then(|ends| place::across(ends.from, port));
            if let Some(Ends { from, to }) = across {
                readdress(mbuf.data_mut(), from, to);
                self.wire.to_servers.push_back(mbuf);
            }
        }
    }

    fn pump(&mut self, now: u64) -> u64 {
        self.servers.turn(&mut self.wire, now)
    }
}

impl Link for Wire {
    fn receive(&mut self, burst: &mut Burst) {
        take(&mut self.to_servers, burst);
    }

    fn send(&mut self, queue: &mut Queue) {
        let n = queue.len().min(DEPTH - self.to_clients.len());
        for mut mbuf in queue.drain(..n) {
            let home = ends(mbuf.data()).and_then(|ends| place::home(&ends));
            if let Some(client) = home {
                readdress(mbuf.data_mut(), (SERVER, self.port), client);
                self.to_clients.push_back(mbuf);
            }
        }
    }
}
